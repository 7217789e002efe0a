"""Determinisation against Kaldi's (kaldifst) and OpenFst's, and what cannot be determinised."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import GraphError
from asr.graph.budget import Budget
from asr.graph.const_fst import Graph
from asr.graph.determinise import DELTA, determinise

SMALL = Budget(2000)


def random_graph(rng, *, output=0.15, exact=True):
    """A few states and arcs. Arcs without input label go upwards, so that they make no cycle; costs may be negative."""
    n, m = int(rng.integers(2, 8)), int(rng.integers(1, 16))
    source, target = rng.integers(0, n, (2, m))
    ilabel = np.where(rng.random(m) < 0.25, 0, rng.integers(1, 4, m))
    low, high = np.minimum(source, target), np.maximum(source, target)
    keep = (ilabel > 0) | (low < high)
    source, target = np.where(ilabel == 0, low, source), np.where(ilabel == 0, high, target)
    olabel = np.where(rng.random(m) < output, rng.integers(1, 4, m), 0)
    weight, final = rng.normal(1, 1, m), rng.random(n)
    if exact:
        weight, final = np.round(weight * 4) / 4, np.round(final * 4) / 4
    final = np.where(rng.random(n) < 0.4, final, np.inf)
    return Graph.from_arrays(0, *(a[keep] for a in (source, ilabel, olabel, weight, target)), final)


def by_kaldi(graph, folder, *, in_log=False):
    """What Kaldi makes of it; None where it finds it ambiguous or too large."""
    kaldifst = pytest.importorskip("kaldifst", reason="kaldifst has no wheel here")
    pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")
    from asr.graph.openfst import from_pynini, to_pynini

    path = str(folder / "graph.fst")
    to_pynini(graph).connect().write(path)
    fst = kaldifst.StdVectorFst.read(path)
    try:
        kaldifst.determinize_star(fst, delta=DELTA, use_log=in_log, max_states=SMALL.max_states)
    except RuntimeError:
        return None
    fst.write(path)
    return from_pynini(pynini.Fst.read(path))


def check_deterministic(graph):
    graph.check()
    pairs = np.stack([graph.sources(), graph.arcs["ilabel"]])[:, graph.arcs["ilabel"] > 0]
    assert len(np.unique(pairs, axis=1).T) == pairs.shape[1], "two arcs of a state have the same input label"
    silent = graph.states["n_input_epsilons"] > 0
    assert (graph.states["n_input_epsilons"][silent] == 1).all()


def sampled_inputs(rng, n=12):
    return [(), *(tuple(rng.integers(1, 4, length).tolist()) for length in rng.integers(1, 7, n))]


def test_1000_random_graphs_are_as_kaldis(tmp_path):
    """The same states and arcs, and the same best path and cost for random inputs, as Kaldi's and as the graph's."""
    pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")
    from asr.graph.openfst import to_pynini

    compared = refused = 0
    for seed in range(1000):
        graph = random_graph(np.random.default_rng(seed))
        theirs = by_kaldi(graph, tmp_path)
        try:
            ours = determinise(graph, budget=SMALL, in_log=False)
        except GraphError:
            assert theirs is None, seed
            refused += 1
            continue
        assert theirs is not None, seed
        if not ours.n_states:
            assert not theirs.n_states, seed
            continue
        check_deterministic(ours)
        assert (ours.n_states, ours.n_arcs) == (theirs.n_states, theirs.n_arcs), seed
        for other in (to_pynini(theirs), to_pynini(graph).connect()):
            assert pynini.randequivalent(to_pynini(ours), other, npath=5, seed=seed + 1, delta=1e-3, max_length=20), (
                seed
            )
        compared += 1
    assert compared > 300 and refused > 100


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.booleans())
def test_best_paths_and_costs_stay(toys, seed, exact):
    """Against a search of all paths; costs that are no round numbers too."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, exact=exact)
    try:
        ours = determinise(graph, budget=SMALL, in_log=False)
    except GraphError:
        return
    if not ours.n_states:
        return
    check_deterministic(ours)
    for inputs in sampled_inputs(rng):
        before, after = toys.costs_of_outputs(graph, inputs), toys.costs_of_outputs(ours, inputs)
        assert before.keys() == after.keys()
        assert all(abs(before[k] - after[k]) < 1e-4 for k in before)


def total_cost(graph, inputs):
    """The cost of the sum of the probabilities of all paths that read `inputs`, and what the first of them writes."""
    arcs_of = [[] for _ in range(graph.n_states)]
    for source, arc in zip(graph.sources().tolist(), graph.arcs.tolist(), strict=True):
        arcs_of[source].append(arc)
    paths, total, written = [(graph.start, 0, 0.0, ())], 0.0, None
    while paths:
        state, position, cost, outputs = paths.pop()
        if position == len(inputs) and graph.states["final"][state] < math.inf:
            total += math.exp(-cost - graph.states["final"][state])
            written = outputs
        for ilabel, olabel, weight, target in arcs_of[state]:
            if ilabel == 0 or (position < len(inputs) and inputs[position] == ilabel):
                longer = (*outputs, olabel) if olabel else outputs
                paths.append((target, position + (ilabel != 0), cost + weight, longer))
    return -math.log(total) if total else math.inf, written


def test_in_the_log_semiring_probabilities_add_up():
    rng, compared = np.random.default_rng(0), 0
    for _ in range(1200):
        graph = random_graph(rng, exact=False)
        if graph.states["n_input_epsilons"].any():
            continue  # of epsilon paths the best one counts
        try:
            ours = determinise(graph, budget=SMALL)
        except GraphError:
            continue
        if ours.n_states:
            for inputs in sampled_inputs(rng, 5):
                before, after = total_cost(graph, inputs), total_cost(ours, inputs)
                assert after[0] == pytest.approx(before[0], abs=1e-3) and before[1] == after[1]
                compared += before[0] < math.inf
    assert compared > 100


def test_output_labels_wait_until_they_are_certain_and_make_chains():
    """Two words of the same beginning: 1 2 3 writes 7 8, 1 2 4 writes 9."""
    arcs = [
        (0, 1, 7, 1.0, 1),
        (1, 2, 8, 1.0, 2),
        (2, 3, 0, 1.0, 5),
        (0, 1, 9, 2.0, 3),
        (3, 2, 0, 2.0, 4),
        (4, 4, 0, 2.0, 5),
    ]
    ours = determinise(Graph.from_arrays(0, *zip(*arcs, strict=True), [np.inf] * 5 + [0.0]), in_log=False)
    assert [a[:3] for a in ours.arcs.tolist()] == [(1, 0, 1.0), (2, 0, 1.0), (3, 7, 1.0), (4, 9, 4.0), (0, 8, 0.0)]
    # What is left when the input ends is written behind it.
    arcs = [(0, 1, 7, 1.0, 1), (1, 2, 0, 0.0, 2), (0, 1, 0, 1.0, 3), (3, 3, 0, 0.0, 2)]
    ours = determinise(Graph.from_arrays(0, *zip(*arcs, strict=True), [np.inf, 0.5, 0.0, np.inf]), in_log=False)
    assert [a[:3] for a in ours.arcs.tolist()] == [(1, 0, 1.0), (0, 7, 0.0), (2, 7, 0.0), (3, 0, 0.0)]


def test_costs_closer_than_delta_are_one_and_others_two():
    """Two ways into one pair of states, which differ in cost."""

    def graph(cost, gap):
        arcs = [(0, 1, 0, 0.0, 1), (0, 1, 0, cost, 2), (0, 2, 0, 0.0, 1), (0, 2, 0, cost + gap, 2)]
        arcs += [(1, 3, 0, 0.0, 3), (2, 4, 0, 0.0, 3)]
        return Graph.from_arrays(0, *zip(*arcs, strict=True), [np.inf] * 3 + [0.0])

    for gap, n_states in ((0.0, 3), (0.9 * DELTA, 3), (-0.9 * DELTA, 3), (1.5 * DELTA, 4), (1.0, 4)):
        assert determinise(graph(1.5, gap), in_log=False).n_states == n_states
    # 1 is a border between the bins that costs are looked up in.
    for i in range(-8, 9):
        for gap in (0.9 * DELTA, -0.9 * DELTA):
            assert determinise(graph(1.0 + i * DELTA / 4, gap), in_log=False).n_states == 3
            assert determinise(graph(1.0 + i * DELTA / 4, 1.5 * gap), in_log=False).n_states == 4


def test_a_cycle_of_epsilons_is_fine_unless_it_writes_or_gains():
    def graph(olabel, weight):
        arcs = [(0, 1, 5, 0.0, 1), (1, 0, olabel, weight, 2), (2, 0, 0, 0.0, 1), (2, 3, 0, 0.0, 3)]
        return Graph.from_arrays(0, *zip(*arcs, strict=True), [np.inf] * 3 + [0.0])

    for weight in (0.0, 0.25):
        assert determinise(graph(0, weight), in_log=False).arcs["weight"].tolist() == [0.0, weight]
    with pytest.raises(GraphError, match=r"cycle of arcs without input label .* negative cost"):
        determinise(graph(0, -0.25))
    with pytest.raises(GraphError, match="written in two ways"):
        determinise(graph(6, 0.25))


def test_what_is_written_in_two_ways_is_named():
    names = {1: "two", 2: "too", 3: "one"}
    arcs = [(0, 1, 3, 0.0, 1), (1, 5, 1, 0.0, 2), (1, 5, 2, 0.0, 2)]
    graph = Graph.from_arrays(0, *zip(*arcs, strict=True), [np.inf, np.inf, 0.0])
    with pytest.raises(GraphError, match=r"det\(LG\): .* after 'one' is written in two ways: 'two' and 'too'"):
        determinise(graph, what="LG", name_of=names.get)


def test_a_graph_that_cannot_be_determinised_is_refused_not_endless():
    """The same input twice round two loops, told apart only by what follows."""

    def graph(first, second, cost):
        arcs = [(0, 1, 1, 0.0, 1), (0, 1, 2, 0.0, 2), (1, 3, first, 1.0, 1), (2, 3, second, cost, 2)]
        arcs += [(1, 4, 4, 0.0, 3), (2, 5, 5, 0.0, 3)]
        return Graph.from_arrays(0, *zip(*arcs, strict=True), [np.inf, np.inf, np.inf, 0.0])

    with pytest.raises(GraphError, match=r"more than 250 output labels.* have to wait .*: 'w[12]' 'w[34]' 'w[34]'"):
        determinise(graph(3, 4, 2.0), name_of=lambda label: f"w{label}")
    message = r"det.LG.: 4 states, 6 arcs .* budget of 1,000 states.* it is still open whether .* is 'w1', or 'w2'"
    for in_log in (True, False):
        with pytest.raises(GraphError, match=message):
            determinise(graph(0, 0, 2.0), budget=Budget(1000), what="LG", in_log=in_log, name_of=lambda i: f"w{i}")
    # With the same cost round both loops, the words wait, but nothing grows.
    assert determinise(graph(0, 0, 1.0)).n_states == 5


def test_a_full_memory_is_said(monkeypatch):
    from asr.graph.determinise import _Room

    def full(self, kind):
        raise MemoryError

    monkeypatch.setattr(_Room, "grow", full)
    n = 2000
    graph = Graph.from_arrays(0, range(n), [1] * n, [2] * n, [0] * n, range(1, n + 1), [np.inf] * n + [0.0])
    with pytest.raises(GraphError, match=r"could not be determinised within the memory of this machine: there are 1,0"):
        determinise(graph)


def test_it_goes_on_where_it_was_when_room_is_made():
    """One state with 5,000 arcs, each to a subset of its own, and a tree of strings."""
    n = 5000
    label = np.arange(1, n + 1)
    arcs = [
        (np.zeros(2 * n), np.tile(label, 2), np.arange(2 * n) + 1, np.zeros(2 * n), np.arange(2 * n) + 1),
        (np.arange(2 * n) + 1, np.repeat([1, 2], n), np.full(2 * n, 9), np.ones(2 * n), np.full(2 * n, 2 * n + 1)),
    ]
    graph = Graph.from_arrays(0, *map(np.concatenate, zip(*arcs, strict=True)), [np.inf] * (2 * n + 1) + [0.0])
    ours = determinise(graph, in_log=False)
    check_deterministic(ours)
    # A chain for each word whose label waits: first it, then 9.
    assert (ours.n_states, ours.n_arcs) == (1 + n + 2 * n + 1, n + 2 * n + 2 * n)
    assert sorted(ours.arcs["olabel"][ours.arcs["ilabel"] > 0].tolist()) == [0] * n + list(range(1, 2 * n + 1))


def test_graphs_that_accept_nothing():
    endless = Graph.from_arrays(0, [0, 0], [1, 1], [1, 2], [0, 0], [1, 1], [np.inf, np.inf])
    for graph in (Graph.from_arrays(-1, [], [], [], [], [], []), endless):
        assert determinise(graph).n_states == 0


@pytest.mark.parametrize("seed", range(6))
def test_spoken_loops_are_as_kaldis(toys, seed, tmp_path):
    pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")
    from asr.graph.openfst import from_pynini, to_pynini

    rng = np.random.default_rng(seed)
    graph = toys.spoken_loop(rng)
    ours, theirs = determinise(graph), by_kaldi(graph, tmp_path, in_log=True)
    check_deterministic(ours)
    assert (ours.n_states, ours.n_arcs) == (theirs.n_states, theirs.n_arcs)
    compared = 0
    for labels in toys.inputs_of(graph, 30, seed):
        before, after = toys.costs_of_outputs(graph, labels), toys.costs_of_outputs(ours, labels)
        assert before.keys() == after.keys() and len(before) == 1
        assert all(abs(before[k] - after[k]) < 1e-3 for k in before)
        compared += 1
    assert compared > 10
    assert pynini.equivalent(*(accepted(to_pynini(g)) for g in (ours, graph)))
    assert from_pynini(to_pynini(ours)).n_arcs == ours.n_arcs


def accepted(fst):
    """The inputs that a graph accepts, whatever they cost."""
    import pynini

    fst = pynini.arcmap(pynini.project(fst, "input"), map_type="rmweight")
    return pynini.determinize(fst.rmepsilon())


def test_a_large_determinisation_pauses_for_ctrl_c_and_goes_on(monkeypatch):
    from asr.graph import determinise_kernels as kernels

    n, ended, kernel = 2 * kernels.PAUSE + 5, [], kernels.determinise
    states = np.arange(n)
    final = np.full(n + 1, np.inf)
    final[n] = 0.0
    chain = Graph.from_arrays(0, states, 1 + states % 7, states % 3, np.zeros(n), states + 1, final)
    monkeypatch.setattr(kernels, "determinise", lambda *given: ended.append(kernel(*given)) or ended[-1])
    assert determinise(chain).arcs.tolist() == chain.arcs.tolist()
    assert ended.count(kernels.PAUSED) == 2 and ended[-1] == kernels.DONE
