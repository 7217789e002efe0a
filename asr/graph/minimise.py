"""Minimisation: states from which the same is read, written and paid, arc by arc, become one."""

import numpy as np

from .const_fst import STATE, Graph, ranges
from .trimming import trimmed

# Rounding errors keep equal states apart unless nearly equal costs count as equal; see also determinise.DELTA.
GRAIN = 2.0**-14  # costs are rounded to multiples of this


def minimise(graph: Graph) -> Graph:
    """The smallest equivalent graph that keeps labels and costs together on their arcs; nothing is pushed.

    Costs are rounded to multiples of 2^-14 first, so that rounding errors do not keep equal states apart. States that
    no path from the start to a final state goes through are dropped. It is the smallest for a graph in which no state
    has two arcs with the same labels and cost; others may stay larger than they need to be. States keep their order.

    Same as Kaldi's fstminimizeencoded, which rounds to multiples of 2^-10.

    Examples:
        >>> graph = Graph.from_arrays(0, [0, 0, 1, 2], [1, 2, 3, 3], [0] * 4, [1.0] * 4, [1, 2, 3, 3], [9, 9, 9, 0])
        >>> minimise(graph)
        <Graph: 3 states, 3 arcs>
    """
    from . import minimise_kernels as kernels

    graph = _rounded(trimmed(graph))
    n, m = graph.n_states, graph.n_arcs
    if not n:
        return graph
    states, arcs = graph.states.view(np.int32), graph.arcs.view(np.int32)
    state_label, arc_label, counts = np.empty(n, np.int32), np.empty(m, np.int32), np.zeros(3, np.int64)
    table = np.zeros(1 << (2 * (n + m + 1) - 1).bit_length(), np.int32)
    keys, last = np.empty(3 * (n + m + 1), np.int32), np.full(n + m + 1, -1, np.int32)
    kernels.label(states, arcs, table, keys, last, arc_label, state_label, counts)
    del table, keys, last
    by_state = [state_label if i == 2 else np.empty(n, np.int32) for i in range(7)]
    by_arc = [arc_label if i == 2 else np.empty(m, np.int32) for i in range(7)]
    adjacency = (np.empty(m, np.int32), np.empty(m, np.int32), np.zeros(n + 1, np.int32))
    chosen = np.empty(n, np.int32)
    n_classes = kernels.refine(states, arcs, *adjacency, *by_state, *by_arc, counts[1], counts[0], chosen)
    del by_arc, adjacency
    return _merged(graph, state_label, chosen[:n_classes], may_repeat=bool(counts[2]))


def _rounded(graph: Graph) -> Graph:
    states, arcs = graph.states.copy(), graph.arcs.copy()
    for costs in (states["final"], arcs["weight"]):
        costs[:] = np.round(costs / GRAIN) * GRAIN + 0.0  # no negative zeros, whose bits differ
    return Graph(graph.start, states, arcs)


def _merged(graph: Graph, number: np.ndarray, chosen: np.ndarray, *, may_repeat: bool) -> Graph:
    """One state for each class.

    Args:
        number: the class of each state.
        chosen: the first state of each class.
        may_repeat: whether a state may have two arcs with the same labels and cost, which may by now lead to one state.
    """
    arcs = ranges(graph.states["first"][chosen].astype(np.int64), graph.states["n_arcs"][chosen].astype(np.int64))
    merged = _subgraph(graph, chosen, arcs, number)
    if not may_repeat:
        return merged
    columns = [merged.sources(), *(merged.arcs[name] for name in ("ilabel", "olabel", "weight", "next"))]
    order = np.lexsort(columns[::-1])
    same = np.all([column[order][1:] == column[order][:-1] for column in columns], axis=0)
    kept = np.ones(merged.n_arcs, bool)
    kept[order[1:][same]] = False
    return _subgraph(merged, np.arange(merged.n_states), np.flatnonzero(kept), np.arange(merged.n_states))


def _subgraph(graph: Graph, states: np.ndarray, arcs: np.ndarray, number: np.ndarray) -> Graph:
    """Some states of a graph and some of these states' arcs.

    Args:
        states: ascending, as
        arcs: those that are kept.
        number: integer (n_states of `graph`,): the new number of each state that the arcs lead to.
    """
    chosen = graph.arcs[arcs]
    chosen["next"] = number[chosen["next"]]
    # How many of the kept arcs there are before each state's first, and before its last.
    ends = graph.states["first"][states].astype(np.int64)
    first = np.searchsorted(arcs, ends)
    after = np.searchsorted(arcs, ends + graph.states["n_arcs"][states])
    result = np.zeros(len(states), STATE)
    result["final"] = graph.states["final"][states]
    result["first"], result["n_arcs"] = first, after - first
    for name, label in (("n_input_epsilons", "ilabel"), ("n_output_epsilons", "olabel")):
        silent = np.append(0, np.cumsum(chosen[label] == 0))
        result[name] = silent[after] - silent[first]
    return Graph(int(number[graph.start]), result, chosen)
