"""Minimisation: states from which the same is read, written and paid, arc by arc, become one."""

import numpy as np

from .const_fst import Graph, ranges
from .trimming import subgraph, trimmed

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
    merged = subgraph(graph, chosen, arcs, number)
    if not may_repeat:
        return merged
    columns = [merged.sources(), *(merged.arcs[name] for name in ("ilabel", "olabel", "weight", "next"))]
    order = np.lexsort(columns[::-1])
    same = np.all([column[order][1:] == column[order][:-1] for column in columns], axis=0)
    kept = np.ones(merged.n_arcs, bool)
    kept[order[1:][same]] = False
    return subgraph(merged, np.arange(merged.n_states), np.flatnonzero(kept), np.arange(merged.n_states))
