"""L against a brute-force reader of pronunciations and silences, and composed by kaldifst."""

import itertools
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


def test_a_pronunciation_costs_its_probability_on_the_words_first_arc():
    """As Kaldi's make_lexicon_fst.py: a word of one phone has the cost on both of its arcs, before silence or not."""
    lexicon = Lexicon((("a", ("A",), 0.5), ("bc", ("B", "C"), 0.2)), silence_prob=0.25, position_dependent=True)
    graph = lexicon_graph(lexicon)
    no, yes, half, fifth = -math.log(0.75), -math.log(0.25), math.log(2), math.log(5)
    expected = {("A_S", 0): half + no, ("A_S", 2): half + yes, ("B_B", 4): fifth, ("C_E", 0): no, ("C_E", 2): yes}
    arcs = [(lexicon.phones.name(i), n, w) for i, _, w, n in graph.arcs.tolist() if 1 < i <= lexicon.n_phones]
    assert {(phone, target): pytest.approx(weight) for phone, target, weight in arcs} == expected


@pytest.mark.parametrize("silence_prob", [0.0, 0.5, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_readings_of_random_phone_strings(toys, seed, silence_prob):
    rng = np.random.default_rng(seed)
    kinds = {"probabilities": seed > 0, "positions": seed > 1}
    lexicon = toys.random_lexicon(rng, silence_prob=silence_prob, **kinds)
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


def kaldifst_graph(kaldifst, graph):
    """The same transducer made arc by arc."""
    result = kaldifst.StdVectorFst()
    for _ in range(graph.n_states):
        result.add_state()
    result.start = graph.start
    for state, final in enumerate(graph.states["final"].tolist()):
        if final < math.inf:
            result.set_final(state, final)
    for source, (i, o, weight, target) in zip(graph.sources().tolist(), graph.arcs.tolist(), strict=True):
        result.add_arc(state=source, arc=kaldifst.StdArc(ilabel=i, olabel=o, weight=weight, nextstate=target))
    return result


def total_cost(kaldifst, fst):
    """The cost of the best path, or infinity; by OpenFst's shortest path."""
    path = kaldifst.shortest_path(fst)
    if path.start < 0:
        return math.inf
    state, cost = path.start, 0.0
    while arcs := list(kaldifst.ArcIterator(path, state)):
        cost, state = cost + arcs[0].weight.value, arcs[0].nextstate
    return cost + path.final(state).value


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("silence_prob", [0.0, 0.3])
def test_composed_with_a_grammar_by_kaldifst_it_costs_what_its_parts_cost(toys, silence_prob, positions):
    """Every way to say one or two words, with and without silences; the grammar is a unigram."""
    kaldifst = pytest.importorskip("kaldifst")
    rng = np.random.default_rng(3)
    kinds = {"probabilities": True, "positions": positions}
    lexicon = toys.random_lexicon(rng, n_phones=2, n_entries=5, longest=2, silence_prob=silence_prob, **kinds)
    unigram = rng.uniform(1, 3, lexicon.n_words + 1)
    words = np.arange(1, lexicon.n_words + 1)
    grammar = Graph.from_arrays(0, 0 * words, words, words, unigram[1:], 0 * words, [0.0])
    spoken = kaldifst_graph(kaldifst, without_symbols(lexicon_graph(lexicon), lexicon))
    kaldifst.arcsort(spoken, sort_type="olabel")
    composed = kaldifst.compose(spoken, kaldifst_graph(kaldifst, grammar))
    kaldifst.arcsort(composed, sort_type="ilabel")
    compared = 0
    for said in itertools.chain.from_iterable(itertools.product(lexicon.entries, repeat=n) for n in (1, 2)):
        for pauses in itertools.product([False, True] if silence_prob else [False], repeat=len(said) + 1):
            phones = [1] * pauses[0]
            for entry, pause in zip(said, pauses[1:], strict=True):
                phones += [*lexicon.phone_ids(entry), *[1] * pause]
            costs = toys.spoken_costs(lexicon, phones, lambda read: sum(unigram[w] for w in read))
            found = total_cost(kaldifst, kaldifst.compose(kaldifst.make_linear_acceptor(phones), composed))
            assert found == pytest.approx(min(costs.values()), abs=1e-4)
            compared += 1
    assert compared > 20
