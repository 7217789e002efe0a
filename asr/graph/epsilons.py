"""Removal of arcs without input label where that makes a graph smaller, never larger."""

import numpy as np

from .const_fst import Graph

_LEAST_GAIN = 1e-3  # rounds go on while each makes the graph smaller by more than this part of it


def remove_epsilons_locally(graph: Graph) -> Graph:
    """An equivalent graph with fewer arcs without labels; the number of arcs does not grow.

    Two arcs in a row become one if together they have at most one input and one output label, where the state between
    them has no other arc out (the first arc is replaced) or no other arc in (the second is replaced).

    Same idea as Kaldi's fstrmepslocal.
    """
    while True:
        before = _size(graph)
        graph = _trimmed(_past_single_exits(graph))
        graph = _trimmed(_before_single_entries(graph))
        if before - _size(graph) <= _LEAST_GAIN * before:
            return graph


def _size(graph: Graph) -> int:
    return graph.n_arcs + int(graph.states["n_input_epsilons"].sum())


def _combinable(arcs: np.ndarray, following: np.ndarray) -> np.ndarray:
    both = (arcs["ilabel"] != 0) & (following["ilabel"] != 0) | (arcs["olabel"] != 0) & (following["olabel"] != 0)
    return ~both


def _joined(arcs: np.ndarray, following: np.ndarray) -> np.ndarray:
    result = following.copy()
    result["ilabel"] += arcs["ilabel"]
    result["olabel"] += arcs["olabel"]
    result["weight"] += arcs["weight"]
    return result


def _past_single_exits(graph: Graph) -> Graph:
    """Each arc that leads to a state with one way on takes that way at once, where labels allow."""
    arcs, states, source = graph.arcs.copy(), graph.states, graph.sources()
    target = arcs["next"]
    single = (states["n_arcs"] == 1) & np.isinf(states["final"])
    chosen = np.flatnonzero(single[target] & (target != source))
    following = graph.arcs[states["first"][arcs["next"][chosen]]]
    chosen_ok = _combinable(arcs[chosen], following) & (following["next"] != arcs["next"][chosen])
    chosen, following = chosen[chosen_ok], following[chosen_ok]
    arcs[chosen] = _joined(arcs[chosen], following)
    return _rebuilt(graph, source, arcs)


def _before_single_entries(graph: Graph) -> Graph:
    """An arc without input label that is a state's only entry is put in front of the state's own arcs."""
    arcs, states, source = graph.arcs, graph.states, graph.sources()
    n_entries = np.bincount(arcs["next"], minlength=graph.n_states)
    n_entries[graph.start] += 1
    candidate = (arcs["ilabel"] == 0) & (n_entries[arcs["next"]] == 1) & np.isinf(states["final"][arcs["next"]])
    has_word = np.zeros(graph.n_states, bool)  # some arc out of the state has an output label
    has_word[source[arcs["olabel"] != 0]] = True
    candidate &= ~(has_word[arcs["next"]] & (arcs["olabel"] != 0)) & (arcs["next"] != source)
    # Neighbours are not removed in one round: an arc waits while the state it leaves is itself to go.
    goes = np.zeros(graph.n_states, bool)
    goes[arcs["next"][candidate]] = True
    candidate &= ~goes[source]
    entry = np.full(graph.n_states, -1)
    entry[arcs["next"][candidate]] = np.flatnonzero(candidate)
    moved = np.flatnonzero(entry[source] >= 0)
    before = entry[source[moved]]
    result, new_source = arcs.copy(), source.copy()
    result[moved] = _joined(arcs[before], arcs[moved])
    new_source[moved] = source[before]
    return _rebuilt(graph, new_source[~candidate], result[~candidate])


def _rebuilt(graph: Graph, source: np.ndarray, arcs: np.ndarray) -> Graph:
    return Graph.from_arrays(
        graph.start, source, arcs["ilabel"], arcs["olabel"], arcs["weight"], arcs["next"], graph.states["final"]
    )


def _trimmed(graph: Graph) -> Graph:
    """The graph without the states that nothing enters any more."""
    while True:
        entered = np.zeros(graph.n_states, bool)
        entered[graph.start] = True
        entered[graph.arcs["next"]] = True
        if entered.all():
            return graph
        number, source = np.cumsum(entered) - 1, graph.sources()
        kept = entered[source]
        arcs = graph.arcs[kept].copy()
        arcs["next"] = number[arcs["next"]]
        smaller = Graph(int(number[graph.start]), graph.states[entered], arcs)
        graph = _rebuilt(smaller, number[source[kept]], arcs)
