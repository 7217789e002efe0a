"""HCLG against brute force: every path's cost from the lexicon, the grammar and the HMMs, without any transducer."""

import itertools
import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asr.decoding import SearchOptions, ViterbiDecoder
from asr.errors import GraphError
from asr.graph import compile_hclg, sequence, word_loop
from asr.graph.const_fst import Graph
from asr.graph.openfst import to_pynini
from asr.hmm.align import AlignOptions, align
from asr.hmm.topology import Topology
from asr.hmm.training_graph import training_graphs
from asr.hmm.transitions import TransitionModel
from asr.hmm.tree import MonophoneTree
from asr.lang.lexicon import Lexicon

pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")

REFERENCE = Path(__file__).parents[1] / "references" / "graph.json"
CONTEXTS = [(1, 0), (2, 0), (2, 1), (3, 1), (3, 0)]


def loop_cost(n_words):
    return lambda words: (len(words) + 1) * math.log(n_words + 1)


def back_off_grammar(lexicon, seed):
    """A bigram with back-off arcs on #0, and the same as a cost of word tuples (best of both ways)."""
    rng = np.random.default_rng(seed)
    n, back = lexicon.n_words, lexicon.words["#0"]
    unigram, bigram = rng.uniform(1, 3, n + 1), rng.uniform(0.1, 2, (n + 1, n + 1))
    known, leave = rng.random((n + 1, n + 1)) < 0.4, rng.uniform(0.2, 1, n + 1)
    end = rng.uniform(0.5, 2, n + 1)
    # State w: after word w (0: at the start); state n + 1: backed off.
    arcs = [(h, w, w, bigram[h, w], w) for h in range(n + 1) for w in range(1, n + 1) if known[h, w]]
    arcs += [(h, back, 0, leave[h], n + 1) for h in range(n + 1)]
    arcs += [(n + 1, w, w, unigram[w], w) for w in range(1, n + 1)]
    graph = Graph.from_arrays(0, *zip(*arcs, strict=True), [*end, np.inf])

    def cost(words):
        pairs = itertools.pairwise((0, *words))
        ways = (min(leave[h] + unigram[w], bigram[h, w] if known[h, w] else math.inf) for h, w in pairs)
        return sum(ways) + end[words[-1] if words else 0]

    return to_pynini(graph), cost


def check_against_brute_force(toys, graph, lexicon, tree, transitions, word_cost, *, seed, n_words=3, rounds=25):
    """Best costs of sentences that we make, and of paths that the graph makes. Returns how many were compared."""
    rng, compared = np.random.default_rng(seed), 0
    inputs = []
    for _ in range(rounds):
        phones = []
        for _ in range(rng.integers(0, n_words + 1)):
            phones += [1] if lexicon.silence_prob and rng.random() < 0.3 else []
            phones += lexicon.phone_ids(lexicon.entries[rng.integers(len(lexicon.entries))])
        inputs.append((phones, toys.random_alignment(transitions, tree, phones, rng)))
    paths = pynini.randgen(to_pynini(graph).connect(), npath=rounds, seed=seed, max_length=60).paths()
    while not paths.done():
        ids = [label for label in paths.ilabels() if label]
        inputs.append(([s.phone for s in transitions.phone_segments(ids)], ids))
        paths.next()
    for phones, ids in inputs:
        acoustic = toys.hmm_cost(transitions, tree, phones, ids)
        assert acoustic is not None, "the graph accepts transition ids that the HMMs do not"
        expected = toys.spoken_costs(lexicon, phones, word_cost, max_words=len(phones))
        found = toys.costs_of_outputs(graph, ids)
        assert found.keys() == expected.keys()
        tolerance = 5e-4 * (len(ids) + 2) ** 0.5
        assert all(abs(found[w] - expected[w] - acoustic) < tolerance for w in expected)
        compared += len(expected)
    return compared


TOY = (
    ("two", ("T", "UW")),
    ("to", ("T", "UW")),
    ("too", ("T", "UW")),
    ("twot", ("T", "UW", "T")),
    ("the", ("DH", "AH")),
    ("the", ("DH", "IY")),
    ("ah", ("AH",)),
    ("!SIL", ("SIL",)),
)


@pytest.mark.parametrize("silence_prob", [0.0, 0.5])
@pytest.mark.parametrize("width, central", CONTEXTS)
def test_homophones_prefixes_variants_and_silence(toys, width, central, silence_prob):
    entries = TOY if silence_prob else TOY[:-1]
    lexicon = Lexicon(entries, silence_prob=silence_prob)
    tree, transitions = toys.acoustic_units(lexicon, width, central)
    graph = compile_hclg(lexicon, word_loop(lexicon), tree, transitions)
    cost = loop_cost(lexicon.n_words)
    compared = check_against_brute_force(toys, graph, lexicon, tree, transitions, cost, seed=width)
    assert compared > 30


@pytest.mark.parametrize("width, central", [(1, 0), (3, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_back_off_grammars(toys, width, central, seed):
    lexicon = toys.random_lexicon(np.random.default_rng(seed))
    tree, transitions = toys.acoustic_units(lexicon, width, central, seed)
    grammar, cost = back_off_grammar(lexicon, seed)
    graph = compile_hclg(lexicon, grammar, tree, transitions)
    assert check_against_brute_force(toys, graph, lexicon, tree, transitions, cost, seed=seed) > 20


@settings(max_examples=12, deadline=None)
@example(6, (3, 0), 0.0, 5, False, False)  # two sentences that differ only in where a symbol stands among late phones
@given(
    st.integers(0, 10**6),
    st.sampled_from(CONTEXTS),
    st.sampled_from([0.0, 0.2, 0.7]),
    st.integers(2, 7),
    st.booleans(),
    st.booleans(),
)
def test_random_lexicons(toys, seed, context, silence_prob, n_entries, probabilities, positions):
    """With and without pronunciation probabilities and position-dependent phones."""
    rng = np.random.default_rng(seed)
    kinds = {"probabilities": probabilities, "positions": positions}
    lexicon = toys.random_lexicon(rng, n_phones=3, n_entries=n_entries, silence_prob=silence_prob, **kinds)
    tree, transitions = toys.acoustic_units(lexicon, *context, seed)
    graph = compile_hclg(lexicon, word_loop(lexicon), tree, transitions)
    cost = loop_cost(lexicon.n_words)
    check_against_brute_force(toys, graph, lexicon, tree, transitions, cost, seed=seed, rounds=12)


@pytest.mark.parametrize("width, central", [(1, 0), (3, 1)])
@pytest.mark.parametrize("silence_prob", [0.0, 0.3])
def test_the_best_path_is_the_forced_alignment_of_its_words(toys, width, central, silence_prob):
    """Homophones, prefixes and variants: decoding and aligning the same words agree on transition ids and score."""
    lexicon = Lexicon(TOY if silence_prob else TOY[:-1], silence_prob=silence_prob)
    tree, transitions = toys.acoustic_units(lexicon, width, central)
    graph = compile_hclg(lexicon, word_loop(lexicon), tree, transitions)
    wide = SearchOptions(beam=1e4, max_active=10**5, acoustic_scale=1.0, insertion_penalty=0.5)
    decoder = ViterbiDecoder(graph, transitions.pdf_of_id, wide, n_columns=tree.n_pdfs)
    rng, n_words = np.random.default_rng(0), 0
    for _ in range(25):
        loglikes = rng.normal(0, 2, (int(rng.integers(20, 60)), tree.n_pdfs)).astype(np.float32)
        best = decoder.decode(loglikes)
        assert best.reached_final
        transcript = {"u": best.words.tolist()}
        graphs = training_graphs(transcript, lexicon, tree, transitions)
        options = AlignOptions(beam=1e4, acoustic_scale=1.0)
        found = align(graphs, {"u": loglikes}, transitions, lambda frames, pdfs: frames[:, pdfs], options)
        grammar = loop_cost(lexicon.n_words)(best.words) + 0.5 * len(best.words)
        assert best.score + grammar == pytest.approx(found.acoustic + found.graph, abs=5e-3)
        np.testing.assert_array_equal(best.labels, found.transition_ids["u"])
        n_words += len(best.words)
    assert n_words > 50


def test_scales_weigh_transitions_and_self_loops(toys):
    lexicon = Lexicon((("a", ("A",)), ("b", ("B",))))
    tree, transitions = toys.acoustic_units(lexicon, 1, 0)
    graph = compile_hclg(lexicon, word_loop(lexicon), tree, transitions, transition_scale=0.5, self_loop_scale=0.3)
    rng, phones = np.random.default_rng(0), [2, 1, 3]
    ids = toys.random_alignment(transitions, tree, phones, rng, loops=0.6)
    expected = toys.spoken_costs(lexicon, phones, loop_cost(2))[1, 2]
    expected += toys.hmm_cost(transitions, tree, phones, ids, 0.5, 0.3)
    assert toys.costs_of_outputs(graph, ids) == {(1, 2): pytest.approx(expected, abs=2e-3)}


def test_a_sentence_reads_only_itself(toys):
    lexicon = Lexicon(TOY[:5])
    tree, transitions = toys.acoustic_units(lexicon, 3, 1)
    words = tuple(lexicon.encode("to the two"))
    graph = compile_hclg(lexicon, sequence(lexicon, words), tree, transitions)
    cost = lambda w: 0.0 if w == words else math.inf  # noqa: E731
    spoken = [p for w in ("to", "the", "two") for p in lexicon.pronunciations(w)[0]]
    for phones in (spoken, [1, *spoken], [*spoken[:2], 1, *spoken[2:], 1]):
        ids = toys.random_alignment(transitions, tree, phones, np.random.default_rng(1))
        expected = toys.spoken_costs(lexicon, phones, cost)[words] + toys.hmm_cost(transitions, tree, phones, ids)
        assert toys.costs_of_outputs(graph, ids) == {words: pytest.approx(expected, abs=5e-3)}
    for phones in (spoken[:-2], [*spoken, *spoken], [1, 1, *spoken]):
        ids = toys.random_alignment(transitions, tree, phones, np.random.default_rng(1))
        assert toys.costs_of_outputs(graph, ids) == {}


def test_every_label_is_a_transition_or_a_word_and_states_are_trimmed(toys):
    lexicon = toys.random_lexicon(np.random.default_rng(5), n_entries=9)
    tree, transitions = toys.acoustic_units(lexicon, 3, 1)
    graph = compile_hclg(lexicon, word_loop(lexicon), tree, transitions)
    assert graph.arcs["ilabel"].max() <= transitions.n_transition_ids
    assert set(graph.arcs["olabel"].tolist()) == set(range(lexicon.n_words + 1))
    assert to_pynini(graph).connect().num_states() == graph.n_states
    loops = graph.arcs["next"] == graph.sources()
    assert (graph.arcs["ilabel"][loops] > 0).all()
    assert transitions.is_self_loop[graph.arcs["ilabel"]].sum() == loops.sum()


def test_kaldis_own_hclg_has_the_same_costs_and_is_not_smaller(toys):
    """Lexicon, back-off grammar and transition model as recorded; the graph that Kaldi's own steps made of them."""
    kaldi = json.loads(REFERENCE.read_text(encoding="utf-8"))
    lexicon = Lexicon(tuple((w, tuple(p)) for w, p in kaldi["entries"]), silence_prob=kaldi["silence_prob"])
    topology = Topology.kaldi(range(2, lexicon.n_phones + 1), [1])
    tree = MonophoneTree.from_topology(topology)
    transitions = TransitionModel.from_tree(topology, tree).updated(np.array(kaldi["counts"]))

    def graph_of(record):
        final = [np.inf if f is None else f for f in record["final"]]
        return Graph.from_arrays(record["start"], *zip(*record["arcs"], strict=True), final)

    theirs = graph_of(kaldi["hclg"])
    ours = compile_hclg(lexicon, to_pynini(graph_of(kaldi["grammar"])), tree, transitions)
    assert ours.n_states <= 1.05 * theirs.n_states and ours.n_arcs <= 1.05 * theirs.n_arcs
    for first, second in ((ours, theirs), (theirs, ours)):
        paths = pynini.randgen(to_pynini(first).connect(), npath=40, seed=3, max_length=80).paths()
        compared = 0
        while not paths.done():
            ids = [label for label in paths.ilabels() if label]
            a, b = toys.costs_of_outputs(first, ids), toys.costs_of_outputs(second, ids)
            assert a.keys() == b.keys()
            assert all(abs(a[w] - b[w]) < 2e-3 * (len(ids) + 2) ** 0.5 for w in a)  # Kaldi rounds to 2^-10
            compared += len(ids) > 5
            paths.next()
        assert compared > 10


def test_each_step_is_logged_with_its_size(toys, caplog):
    lexicon = Lexicon((("a", ("A",)),))
    tree, transitions = toys.acoustic_units(lexicon, 1, 0)
    with caplog.at_level(logging.INFO, logger="asr.graph.hclg"):
        graph = compile_hclg(lexicon, word_loop(lexicon), tree, transitions)
    steps = [record.getMessage().split(":")[0] for record in caplog.records]
    assert steps[:3] == ["G", "L", "L o G"] and steps[-1] == "HCLG" and len(steps) == 11
    assert f"HCLG: {graph.n_states} states, {graph.n_arcs} arcs, 0.0" in caplog.text


def test_grammars_that_cannot_become_a_graph_are_refused(toys):
    lexicon = Lexicon((("a", ("A",)), ("b", ("B",))))
    tree, transitions = toys.acoustic_units(lexicon, 1, 0)
    with pytest.raises(GraphError, match="accepts no sentence"):
        compile_hclg(lexicon, pynini.Fst(), tree, transitions)
    # "a b*" twice, "b" at different costs, told apart only by what follows: the twins property fails.
    arcs = [(0, 1, 1, 0, 1), (0, 1, 1, 0, 2), (1, 2, 2, 1, 1), (2, 2, 2, 2, 2), (1, 1, 1, 0, 3), (2, 1, 1, 0, 3)]
    ambiguous = to_pynini(Graph.from_arrays(0, *zip(*arcs, strict=True), [np.inf, np.inf, np.inf, 0]))
    with pytest.raises(GraphError, match=r"det\(LG\): .* could not be determinised.*several ways"):
        compile_hclg(lexicon, ambiguous, tree, transitions, max_states=10_000)
