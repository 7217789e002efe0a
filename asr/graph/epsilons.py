"""Removal of arcs without input label where that makes a graph smaller, never larger."""

import numpy as np

from .const_fst import Graph

_LEAST_GAIN = 1e-3  # passes go on while each joins more than this part of the arcs


def remove_epsilons_locally(graph: Graph) -> Graph:
    """An equivalent graph with fewer arcs without labels; the number of arcs does not grow.

    Two arcs in a row become one if together they have at most one input and one output label, where the state between
    them has no other arc out (the first arc is replaced) or no other arc in (the second is replaced).

    Same idea as Kaldi's fstrmepslocal.
    """
    from .epsilon_kernels import link, shorten

    n, m = graph.n_states, graph.n_arcs
    if graph.start < 0:
        return graph
    rows, final = graph.arcs.copy(), np.ascontiguousarray(graph.states["final"])
    arcs, costs = rows.view(np.int32), rows.view(np.float32)
    lists = source, _, _, n_in = (
        np.empty(m, np.int32),
        np.empty(m, np.int32),
        np.empty(n, np.int32),
        np.zeros(n, np.int32),
    )
    link(np.ascontiguousarray(graph.states).view(np.int32), arcs, graph.start, *lists)
    while shorten(arcs, costs, final, *lists) > _LEAST_GAIN * m:
        pass
    # What left a state that none enters goes with it.
    while (lost := np.flatnonzero((source >= 0) & (n_in[source] == 0))).size:
        n_in -= np.bincount(rows["next"][lost], minlength=n).astype(np.int32)
        source[lost] = -1
    kept, used = source >= 0, n_in > 0
    number = np.cumsum(used, dtype=np.int32) - np.int32(1)
    rows = rows[kept]
    rows["next"] = number[rows["next"]]
    return Graph.from_rows(int(number[graph.start]), number[source[kept]], rows, final[used])
