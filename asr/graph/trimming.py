"""The part of a graph that its sentences go through."""

import numpy as np

from .const_fst import Graph


def trimmed(graph: Graph) -> Graph:
    """The graph without the states that no path from the start to a final state visits; maybe without any.

    States and arcs keep their order.

    Same as OpenFst's connect.
    """
    used = _reached(graph) & leading_on(graph)
    if used.all():
        return graph
    if not used.any():
        return Graph.from_arrays(-1, [], [], [], [], [], [])
    number, source = np.cumsum(used, dtype=np.int32) - np.int32(1), graph.sources()
    kept = used[source] & used[graph.arcs["next"]]
    arcs = graph.arcs[kept]
    arcs["next"] = number[arcs["next"]]
    return Graph.from_rows(int(number[graph.start]), number[source[kept]], arcs, graph.states["final"][used])


def _reached(graph: Graph) -> np.ndarray:
    """bool (n_states,): what a path from the start comes to."""
    from .arc_kernels import reach

    reached, stack = np.zeros(graph.n_states, bool), np.zeros(graph.n_states, np.int32)
    begins = graph.start >= 0
    if begins:
        stack[0], reached[graph.start] = graph.start, True
    reach(*_rows(graph), reached, stack, int(begins))
    return reached


def leading_on(graph: Graph) -> np.ndarray:
    """bool (n_states,): what a path to a final state leads on from."""
    from .arc_kernels import reach_backwards

    ends = np.flatnonzero(np.isfinite(graph.states["final"]))
    reached, stack = np.zeros(graph.n_states, bool), np.zeros(graph.n_states, np.int32)
    stack[: len(ends)], reached[ends] = ends, True
    head, tail = np.full(graph.n_states, -1, np.int32), np.zeros(graph.n_arcs, np.int32)
    reach_backwards(*_rows(graph), head, tail, reached, stack, len(ends))
    return reached


def _rows(graph: Graph) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A graph as kernels see it: each state's first arc and number of arcs, and the arcs as int32 (n_arcs, 4)."""
    first, n_arcs = (graph.states[name].astype(np.int32) for name in ("first", "n_arcs"))
    return first, n_arcs, np.ascontiguousarray(graph.arcs).view(np.int32).reshape(-1, 4)
