"""Minimisation: states from which the same is read, written and paid, arc by arc, become one."""

import numpy as np

from .const_fst import Graph, ranges
from .trimming import trimmed

# Rounding errors keep equal states apart unless nearly equal costs count as equal; see also determinise.DELTA.
GRAIN = 2.0**-14  # costs are rounded to multiples of this

_STEPS = 8  # what states can do in so many steps tells most of them apart


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
    graph = _rounded(trimmed(graph))
    first = _first_of_class(graph)
    chosen = np.flatnonzero(first == np.arange(graph.n_states))
    if len(chosen) == graph.n_states:
        return graph
    number = np.empty(graph.n_states, np.int32)
    number[chosen] = np.arange(len(chosen))
    return _merged(graph, number[first], chosen)


def _rounded(graph: Graph) -> Graph:
    states, arcs = graph.states.copy(), graph.arcs.copy()
    for costs in (states["final"], arcs["weight"]):
        costs[:] = np.round(costs / GRAIN) * GRAIN + 0.0  # no negative zeros, whose bits differ
    return Graph(graph.start, states, arcs)


def _first_of_class(graph: Graph) -> np.ndarray:
    """int32 (n_states,): of each state the first that is equivalent.

    Hashes tell most states apart at once. States of equal hashes are parted exactly.
    """
    from . import minimise_kernels as kernels

    n = graph.n_states
    states, arcs = graph.states.view(np.int32), graph.arcs.view(np.int32)
    hashes, room = np.zeros(n, np.int64), np.empty(n, np.int64)
    for _ in range(_STEPS):
        kernels.look_ahead(states, arcs, hashes, room)
        hashes, room = room, hashes
    class_of, size = np.empty(n, np.int32), np.zeros(n, np.int32)
    kernels.group_equal(hashes, np.zeros(1 << (3 * n // 2 + 1).bit_length(), np.int32), class_of, size)
    first, open_states = np.arange(n, dtype=np.int32), np.flatnonzero(size[class_of] > 1).astype(np.int32)
    del hashes, room, size
    if len(open_states):
        _, old = np.unique(class_of[open_states], return_inverse=True)
        new = _parted(graph, class_of, open_states, old.astype(np.int32), int(old.max()) + 1)
        _, index, inverse = np.unique(new, return_index=True, return_inverse=True)
        first[open_states] = open_states[index][inverse]
    return first


def _parted(graph: Graph, class_of: np.ndarray, open_states: np.ndarray, old: np.ndarray, n_old: int) -> np.ndarray:
    """The exact classes of states that share a class with others.

    Args:
        class_of: classes so far, of all states.
        old: classes so far of the open states, from 0 to n_old - 1.
    """
    from . import minimise_kernels as kernels

    n, m = len(open_states), int(graph.states["n_arcs"][open_states].sum())
    states, arcs = graph.states.view(np.int32), graph.arcs.view(np.int32)
    local = np.full(graph.n_states, -1, np.int32)
    local[open_states] = np.arange(n)
    source, target, label = (np.empty(m, np.int32) for _ in range(3))
    table, keys = np.zeros(1 << (4 * m + 1).bit_length(), np.int32), np.empty(9 * m, np.int32)
    last = np.full(3 * m, -1, np.int32)
    n_labels = kernels.label_arcs(states, arcs, class_of, open_states, local, table, keys, last, source, target, label)
    del table, keys, last, local
    by_state = [old if i == 2 else np.empty(n, np.int32) for i in range(7)]
    by_arc = [label if i == 2 else np.empty(m, np.int32) for i in range(7)]
    room = np.empty(m, np.int32), np.zeros(n + 1, np.int32)
    kernels.refine(source, target, *room, *by_state, *by_arc, n_old, n_labels)
    return old


def _merged(graph: Graph, number: np.ndarray, chosen: np.ndarray) -> Graph:
    """One state for each class.

    Args:
        number: the class of each state.
        chosen: the first state of each class.
    """
    n_arcs = graph.states["n_arcs"][chosen].astype(np.int64)
    arcs = graph.arcs[ranges(graph.states["first"][chosen].astype(np.int64), n_arcs)]
    arcs["next"] = number[arcs["next"]]
    source = np.repeat(np.arange(len(chosen), dtype=np.int32), n_arcs)
    # Arcs of one state with the same labels and cost may by now lead to the same state.
    suspect = np.flatnonzero((source[1:] == source[:-1]) & (arcs["ilabel"][1:] == arcs["ilabel"][:-1]))
    suspect = np.union1d(suspect, suspect + 1)
    columns = [source[suspect], *(arcs[name][suspect] for name in ("ilabel", "olabel", "weight", "next"))]
    order = np.lexsort(columns[::-1])
    same = np.all([column[order][1:] == column[order][:-1] for column in columns], axis=0)
    if same.any():
        repeated = suspect[order[1:][same]]
        source, arcs = np.delete(source, repeated), np.delete(arcs, repeated)
    return Graph.from_rows(int(number[graph.start]), source, arcs, graph.states["final"][chosen])
