"""Epsilon removal keeps every path's best cost and never adds an arc."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.graph.const_fst import Graph
from asr.graph.epsilons import remove_epsilons_locally


def random_graph(rng, n_states, n_arcs):
    """Half of the arcs without input label; those go upwards, so that they make no cycle."""
    source, target = rng.integers(0, n_states, (2, n_arcs))
    ilabel = np.where(rng.random(n_arcs) < 0.5, 0, rng.integers(1, 4, n_arcs))
    low, high = np.minimum(source, target), np.maximum(source, target)
    keep = (ilabel > 0) | (low < high)
    source, target = np.where(ilabel == 0, low, source), np.where(ilabel == 0, high, target)
    olabel = np.where(rng.random(n_arcs) < 0.6, 0, rng.integers(1, 4, n_arcs))
    final = np.where(rng.random(n_states) < 0.4, rng.random(n_states), np.inf)
    arrays = (a[keep] for a in (source, ilabel, olabel, rng.random(n_arcs), target))
    return Graph.from_arrays(0, *arrays, final)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 7), st.integers(0, 14))
def test_best_costs_stay_and_arcs_never_grow(toys, seed, n_states, n_arcs):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, n_states, n_arcs)
    shorter = remove_epsilons_locally(graph)
    assert shorter.n_arcs <= graph.n_arcs and shorter.n_states <= graph.n_states
    for inputs in [(), *(tuple(rng.integers(1, 4, n).tolist()) for n in (1, 1, 2, 2, 3, 4))]:
        before, after = toys.costs_of_outputs(graph, inputs), toys.costs_of_outputs(shorter, inputs)
        assert before.keys() == after.keys()
        assert all(abs(before[k] - after[k]) < 1e-5 for k in before)


def test_a_chain_becomes_its_labelled_arcs():
    """0 -eps-> 1 -a-> 2 -eps:w-> 3 -eps-> 4 -b-> 5: two arcs are enough."""
    graph = Graph.from_arrays(
        0, range(5), [0, 1, 0, 0, 2], [0, 0, 9, 0, 0], [1, 2, 3, 4, 5], range(1, 6), [np.inf] * 5 + [0]
    )
    shorter = remove_epsilons_locally(graph)
    assert shorter.n_arcs == 2 and shorter.n_states == 3
    assert shorter.arcs["weight"].sum() == 15
    assert sorted(shorter.arcs["ilabel"].tolist()) == [1, 2] and sorted(shorter.arcs["olabel"].tolist()) == [0, 9]


def test_a_disambiguation_arc_before_a_fork_is_put_into_the_fork():
    graph = Graph.from_arrays(
        0, [0, 1, 1, 0], [0, 1, 2, 3], [7, 0, 0, 0], [0.5, 1, 2, 3], [1, 2, 2, 2], [np.inf] * 2 + [0]
    )
    shorter = remove_epsilons_locally(graph)
    assert shorter.n_states == 2 and shorter.arcs["weight"].tolist() == [1.5, 2.5, 3.0]
    assert shorter.arcs["olabel"].tolist() == [7, 7, 0]
