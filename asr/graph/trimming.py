"""The part of a graph that matters: states on a path from the start to a final state."""

import numpy as np

from .const_fst import ARC, STATE, Graph


def flat_views(graph: Graph) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """States (5 words each) and arcs (4 words each) as int32, then the same bytes as float32, for kernels."""
    states, arcs = np.ascontiguousarray(graph.states), np.ascontiguousarray(graph.arcs)
    return states.view(np.int32), arcs.view(np.int32), states.view(np.float32), arcs.view(np.float32)


def useful_states(graph: Graph) -> np.ndarray:
    """uint8 (n_states,): 1 for states on a path of finite cost from the start to a final state."""
    from .trimming_kernels import mark_useful

    n = graph.n_states
    useful = np.zeros(n, np.uint8)
    if graph.start >= 0:
        room = np.zeros(n + 1, np.int32), np.empty(n + graph.n_arcs, np.int32)
        mark_useful(*flat_views(graph), graph.start, useful, *room)
    return useful


def trimmed(graph: Graph) -> Graph:
    """The graph without states that no path from the start to a final state goes through, and arcs of infinite cost.

    Same as OpenFst's connect.

    Examples:
        >>> inf = np.inf
        >>> trimmed(Graph.from_arrays(0, [0, 0], [1, 2], [0, 0], [0.5, 0.5], [1, 2], [inf, 0.0, inf]))
        <Graph: 2 states, 1 arc>
    """
    useful = useful_states(graph).view(bool)
    if useful.all() and not np.isinf(graph.arcs["weight"]).any():
        return graph
    if not useful.any():
        return Graph(-1, np.empty(0, STATE), np.empty(0, ARC))
    kept = np.repeat(useful, graph.states["n_arcs"]) & useful[graph.arcs["next"]] & (graph.arcs["weight"] < np.inf)
    number = np.cumsum(useful) - 1
    return subgraph(graph, np.flatnonzero(useful), np.flatnonzero(kept), number)


def subgraph(graph: Graph, states: np.ndarray, arcs: np.ndarray, number: np.ndarray) -> Graph:
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
