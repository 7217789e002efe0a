"""Determinisation and minimisation against Kaldi's (kaldifst), the memory limit, and life without pynini."""

import sys

import numpy as np
import pytest

from asr.errors import GraphError
from asr.graph.budget import Budget
from asr.graph.const_fst import Graph
from asr.graph.grammar import checked_grammar, word_loop
from asr.graph.hclg import compile_hclg
from asr.graph.lexicon_fst import lexicon_graph
from asr.graph.openfst import determinize, from_pynini, load_pynini, minimize, to_pynini

pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")


def spoken_loop(toys, seed, n_entries=8):
    lexicon = toys.random_lexicon(np.random.default_rng(seed), n_entries=n_entries)
    words = to_pynini(lexicon_graph(lexicon)).arcsort("olabel")
    return from_pynini(pynini.compose(words, to_pynini(checked_grammar(word_loop(lexicon), lexicon))))


def by_kaldi(graph, folder, *, minimise):
    kaldifst = pytest.importorskip("kaldifst")
    to_pynini(graph).write(str(folder / "in.fst"))
    fst = kaldifst.StdVectorFst.read(str(folder / "in.fst"))
    assert kaldifst.determinize_star(fst, use_log=True) is False
    if minimise:
        kaldifst.minimize_encoded(fst)
    fst.write(str(folder / "out.fst"))
    return from_pynini(pynini.Fst.read(str(folder / "out.fst")))


@pytest.mark.parametrize("seed", range(6))
def test_determinisation_is_kaldis(toys, seed, tmp_path):
    graph = spoken_loop(toys, seed)
    ours, theirs = determinize(graph), by_kaldi(graph, tmp_path, minimise=False)
    source = ours.sources()
    pairs = np.stack([source, ours.arcs["ilabel"]])[:, ours.arcs["ilabel"] > 0]
    assert len(np.unique(pairs, axis=1).T) == pairs.shape[1], "two arcs of a state have the same input label"
    assert (ours.n_states, ours.n_arcs) == (theirs.n_states, theirs.n_arcs)
    for other in (graph, theirs):
        assert pynini.equivalent(accepted(ours), accepted(other))
    rng = np.random.default_rng(seed)
    compared = 0
    for labels in sampled_inputs(graph, rng, 30):
        before, after = toys.costs_of_outputs(graph, labels), toys.costs_of_outputs(ours, labels)
        assert before.keys() == after.keys() and len(before) == 1
        assert all(abs(before[k] - after[k]) < 1e-3 for k in before)
        compared += 1
    assert compared > 10


def accepted(graph):
    """The inputs that a graph accepts, whatever they cost."""
    fst = pynini.arcmap(pynini.project(to_pynini(graph), "input"), map_type="rmweight")
    return pynini.determinize(fst.rmepsilon())


def sampled_inputs(graph, rng, n_paths):
    paths = pynini.randgen(to_pynini(graph).connect(), npath=n_paths, seed=int(rng.integers(1 << 30)), max_length=30)
    found = paths.paths()
    while not found.done():
        yield [label for label in found.ilabels() if label]
        found.next()


@pytest.mark.parametrize("seed", range(6))
def test_minimisation_is_kaldis(toys, seed, tmp_path):
    graph = spoken_loop(toys, seed)
    ours, theirs = minimize(determinize(graph)), by_kaldi(graph, tmp_path, minimise=True)
    # Kaldi rounds costs 16 times more coarsely, and may merge the start state with the state between words.
    fan_out = ours.states["n_arcs"][ours.start]
    assert ours.n_states <= theirs.n_states + 1 and ours.n_arcs <= theirs.n_arcs + fan_out
    for labels in sampled_inputs(graph, np.random.default_rng(seed), 30):
        before, after = toys.costs_of_outputs(graph, labels), toys.costs_of_outputs(ours, labels)
        assert before.keys() == after.keys()
        assert all(abs(before[k] - after[k]) < 1e-3 for k in before)


def test_minimisation_changes_no_arc_weight():
    """Weights stay where they are: 1 + 2 and 2 + 1 are not made equal by pushing."""
    graph = Graph.from_arrays(
        0, [0, 0, 1, 2], [1, 2, 3, 3], [1, 2, 3, 3], [1, 2, 2, 1], [1, 2, 3, 3], [np.inf] * 3 + [0]
    )
    assert sorted(minimize(graph).arcs["weight"].tolist()) == [1, 1, 2, 2]


def test_a_graph_that_cannot_be_determinised_is_refused_not_endless():
    """The same input twice round two loops of different cost and output: no finite deterministic graph exists."""
    arcs = [(0, 1, 1, 0.0, 1), (0, 1, 2, 0.0, 2), (1, 3, 3, 1.0, 1), (2, 3, 4, 2.0, 2)]
    arcs += [(1, 4, 4, 0.0, 3), (2, 5, 5, 0.0, 3)]
    graph = Graph.from_arrays(0, *zip(*arcs, strict=True), [np.inf, np.inf, np.inf, 0.0])
    with pytest.raises(GraphError, match=r"det.LG.: 4 states, 6 arcs could not be determinised within 0\.3 GiB"):
        determinize(graph, budget=Budget(1000), what="LG")


def test_graphs_survive_the_way_to_pynini_and_back():
    graph = Graph.from_arrays(1, [0, 1], [3, 0], [0, 2], [0.5, 0.25], [1, 0], [1.0, np.inf])
    back = from_pynini(to_pynini(graph))
    assert back.start == 1 and (back.arcs == graph.arcs).all() and (back.states == graph.states).all()


def test_without_pynini_building_says_where_to_build(toys, monkeypatch):
    lexicon = toys.random_lexicon(np.random.default_rng(0))
    tree, transitions = toys.acoustic_units(lexicon, 1, 0)
    monkeypatch.setitem(sys.modules, "pynini", None)
    with pytest.raises(GraphError, match=r"Linux x86-64 only.*decoding needs no pynini"):
        load_pynini()
    with pytest.raises(GraphError, match="pynini"):
        word_loop(lexicon)
    with pytest.raises(GraphError, match="pynini"):
        compile_hclg(lexicon, None, tree, transitions)
