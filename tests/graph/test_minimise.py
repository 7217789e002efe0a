"""Minimisation against Kaldi's (kaldifst) and OpenFst's."""

import numpy as np
import pytest

from asr.graph.const_fst import Graph
from asr.graph.determinise import determinise
from asr.graph.minimise import GRAIN, minimise


def by_openfst(graph):
    """OpenFst's minimisation of the graph as an acceptor of labels and costs, which are rounded first."""
    pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")
    from asr.graph.openfst import from_pynini, to_pynini

    states, arcs = graph.states.copy(), graph.arcs.copy()
    for costs in (states["final"], arcs["weight"]):
        costs[:] = np.round(costs / GRAIN) * GRAIN
    fst = to_pynini(Graph(graph.start, states, arcs))
    mapper = pynini.EncodeMapper("standard", encode_labels=True, encode_weights=True)
    fst.encode(mapper)
    fst.minimize(allow_nondet=True)
    fst.decode(mapper)
    return from_pynini(fst.connect())


def random_graph(rng, *, is_acyclic, n_copies=3):
    """A graph of which every state is there three times; arcs lead to any of the three."""
    n, m = int(rng.integers(1, 8)), int(rng.integers(0, 16))
    source, target = rng.integers(0, n, (2, m))
    if is_acyclic:
        source, target = np.minimum(source, target), np.maximum(source, target)
        source, target = source[source < target], target[source < target]
    m = len(source)
    ilabel, olabel, weight = rng.integers(0, 3, m), rng.integers(0, 2, m), rng.integers(0, 2, m) * 0.5
    final = np.where(rng.random(n) < 0.4, rng.integers(0, 2, n), np.inf)
    copies = np.repeat(np.arange(n_copies) * n, m)
    target = np.tile(target, n_copies) + n * rng.integers(0, n_copies, n_copies * m)
    columns = (np.tile(column, n_copies) for column in (ilabel, olabel, weight))
    return Graph.from_arrays(0, np.tile(source, n_copies) + copies, *columns, target, np.tile(final, n_copies))


def without_repeats(graph):
    """At most one arc of a state with the same labels and cost."""
    columns = [graph.sources(), *(graph.arcs[name] for name in ("ilabel", "olabel", "weight", "next"))]
    _, first = np.unique(np.stack(columns[:4]), axis=1, return_index=True)
    return Graph.from_arrays(graph.start, *(column[first] for column in columns), graph.states["final"])


@pytest.mark.parametrize("is_acyclic", [False, True])
def test_1000_random_graphs_are_as_small_as_openfsts(is_acyclic):
    pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")
    from asr.graph.openfst import to_pynini

    merged = 0
    for seed in range(500):
        graph = without_repeats(random_graph(np.random.default_rng(seed), is_acyclic=is_acyclic))
        ours, theirs = minimise(graph), by_openfst(graph)
        ours.check()
        assert (ours.n_states, ours.n_arcs) == (theirs.n_states, theirs.n_arcs), seed
        if ours.n_states:
            before = to_pynini(graph).connect()
            assert pynini.randequivalent(to_pynini(ours), before, npath=5, seed=seed + 1, max_length=20), seed
            merged += ours.n_states < before.num_states()
    assert merged > 100


def test_states_with_several_arcs_of_the_same_labels_keep_all_their_paths():
    pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")
    from asr.graph.openfst import to_pynini

    repeated = 0
    for seed in range(200):
        graph = random_graph(np.random.default_rng(seed), is_acyclic=False)
        ours = minimise(graph)
        ours.check()
        if ours.n_states:
            before = to_pynini(graph).connect()
            assert pynini.randequivalent(to_pynini(ours), before, npath=10, seed=seed + 1, max_length=20), seed
            repeated += without_repeats(graph).n_arcs < graph.n_arcs
    assert repeated > 20
    # Two ways to equal ends, which become one.
    graph = Graph.from_arrays(0, [0, 0], [1, 1], [2, 2], [0.5, 0.5], [1, 2], [np.inf, 0, 0])
    assert (minimise(graph).n_states, minimise(graph).n_arcs) == (2, 1)


@pytest.mark.parametrize("seed", range(6))
def test_minimisation_is_kaldis(toys, seed, tmp_path):
    kaldifst = pytest.importorskip("kaldifst", reason="kaldifst has no wheel here")
    pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")
    from asr.graph.openfst import from_pynini, to_pynini

    graph = toys.spoken_loop(np.random.default_rng(seed))
    to_pynini(graph).write(str(tmp_path / "in.fst"))
    fst = kaldifst.StdVectorFst.read(str(tmp_path / "in.fst"))
    assert kaldifst.determinize_star(fst, use_log=True) is False
    kaldifst.minimize_encoded(fst)
    fst.write(str(tmp_path / "out.fst"))
    theirs = from_pynini(pynini.Fst.read(str(tmp_path / "out.fst")))
    ours = minimise(determinise(graph))
    # Kaldi rounds costs 16 times more coarsely, and may merge the start state with the state between words.
    fan_out = ours.states["n_arcs"][ours.start]
    assert ours.n_states <= theirs.n_states + 1 and ours.n_arcs <= theirs.n_arcs + fan_out
    for labels in toys.inputs_of(graph, 30, seed):
        before, after = toys.costs_of_outputs(graph, labels), toys.costs_of_outputs(ours, labels)
        assert before.keys() == after.keys()
        assert all(abs(before[k] - after[k]) < 1e-3 for k in before)


def test_minimisation_changes_no_arc_weight():
    """Weights stay where they are: 1 + 2 and 2 + 1 are not made equal by pushing."""
    graph = Graph.from_arrays(
        0, [0, 0, 1, 2], [1, 2, 3, 3], [1, 2, 3, 3], [1, 2, 2, 1], [1, 2, 3, 3], [np.inf] * 3 + [0]
    )
    assert sorted(minimise(graph).arcs["weight"].tolist()) == [1, 1, 2, 2]


def test_costs_are_rounded_and_those_that_become_equal_merge():
    graph = Graph.from_arrays(
        0, [0, 0, 1, 2], [1, 2, 3, 3], [0] * 4, [-1e-6, 0, 1, 1 + GRAIN / 3], [1, 2, 3, 3], [np.inf] * 3 + [0]
    )
    ours = minimise(graph)
    assert ours.arcs["weight"].tolist() == [0, 0, 1] and ours.n_states == 3


def test_graphs_that_accept_nothing():
    assert minimise(Graph.from_arrays(0, [0], [1], [1], [0], [1], [np.inf, np.inf])).n_states == 0
