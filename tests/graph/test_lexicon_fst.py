"""L against a brute-force reader of pronunciations and silences."""

import math

import numpy as np
import pytest

from asr.graph.const_fst import Graph
from asr.graph.lexicon_fst import lexicon_graph
from asr.lang.lexicon import Lexicon


def without_symbols(graph, lexicon):
    """The graph with disambiguation symbols as epsilons, and the #0 loop gone (it would be free of cost)."""
    columns = {name: graph.arcs[name].copy() for name in ("ilabel", "olabel", "weight", "next")}
    keep = columns["ilabel"] != lexicon.disambiguation_ids[0]
    columns = {name: c[keep] for name, c in columns.items()}
    columns["ilabel"][columns["ilabel"] > lexicon.n_phones] = 0
    return Graph.from_arrays(
        graph.start,
        graph.sources()[keep],
        columns["ilabel"],
        columns["olabel"],
        columns["weight"],
        columns["next"],
        graph.states["final"],
    )


def test_the_arcs_of_a_lexicon_worked_out_by_hand():
    lexicon = Lexicon((("ab", ("A", "B")), ("a", ("A",))), silence_prob=0.25)
    graph = lexicon_graph(lexicon)
    no, yes = -math.log(0.75), -math.log(0.25)
    ab, a, back = lexicon.words["ab"], lexicon.words["a"], lexicon.words["#0"]
    phone = {name: lexicon.phones[name] for name in lexicon.phones}
    # 0 between words, 1 start, 2 before a pause, 3 after it, 4 inside "ab", 5 inside "a"
    expected = [
        (0, phone["A"], ab, 0, 4),
        (4, phone["B"], 0, no, 0),
        (4, phone["B"], 0, yes, 2),
        (0, phone["A"], a, 0, 5),
        (5, phone["#1"], 0, no, 0),
        (5, phone["#1"], 0, yes, 2),
        (0, phone["#0"], back, 0, 0),
        (1, 0, 0, no, 0),
        (1, 0, 0, yes, 2),
        (2, phone["SIL"], 0, 0, 3),
        (3, phone["#2"], 0, 0, 0),
    ]
    found = [(s, *arc) for s, arc in zip(graph.sources().tolist(), graph.arcs.tolist(), strict=True)]
    assert sorted((s, i, o, round(w, 5), n) for s, i, o, w, n in found) == sorted(
        (s, i, o, round(w, 5), n) for s, i, o, w, n in expected
    )
    assert graph.start == 1 and graph.states["final"].tolist() == [0.0] + [math.inf] * 5


@pytest.mark.parametrize("silence_prob", [0.0, 0.5, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_readings_of_random_phone_strings(toys, seed, silence_prob):
    rng = np.random.default_rng(seed)
    lexicon = toys.random_lexicon(rng, silence_prob=silence_prob)
    graph = without_symbols(lexicon_graph(lexicon), lexicon)
    read = 0
    for _ in range(30):
        phones = []
        for _ in range(rng.integers(0, 4)):
            phones += [1] if rng.random() < (0.3 if silence_prob else 0.05) else []
            phones += lexicon.phone_ids(lexicon.entries[rng.integers(len(lexicon.entries))])
        phones += [1] if rng.random() < (0.3 if silence_prob else 0.05) else []
        expected = toys.spoken_costs(lexicon, phones, lambda words: 0.0, max_words=len(phones))
        found = toys.costs_of_outputs(graph, phones)
        assert found.keys() == expected.keys()
        assert all(abs(found[w] - expected[w]) < 1e-5 for w in expected)
        read += len(expected)
    assert read > 20


def test_without_silence_there_is_one_state_between_words():
    lexicon = Lexicon((("a", ("A",)), ("b", ("B",))), silence_prob=0.0)
    graph = lexicon_graph(lexicon)
    assert graph.n_states == 1 and graph.start == 0
    assert graph.arcs["weight"].tolist() == [0.0, 0.0, 0.0]
