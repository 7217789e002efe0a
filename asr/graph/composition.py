"""L ∘ G, found state by state, so that one that grows out of bounds is stopped in time."""

import numpy as np

from ..errors import GraphError
from .budget import Budget
from .const_fst import Graph, as_rows
from .pairs import Pairs
from .trimming import trimmed


def compose(words: Graph, grammar: Graph, *, budget: Budget, what: str = "L o G") -> Graph:
    """L ∘ G: the transducer's paths whose output labels the acceptor accepts, trimmed.

    What it writes are the grammar's output labels, so that a back-off symbol, which has none, is gone.

    Args:
        words: output label 0 stands for none.
        grammar: arcs without label on their input are not followed.
        what: names the composition in messages.

    Raises:
        GraphError: where nothing is left, or more than the budget has.

    Same as OpenFst's compose; as only one side has arcs that the other does not follow, no filter is needed.
    """
    from .pair_kernels import compose_pairs

    n_right = grammar.n_states
    pairs = Pairs(words.start * n_right + grammar.start, what, budget)
    pairs.find(compose_pairs, *_by_output(words), *_by_input(grammar))
    left, right = np.divmod(pairs.keys, n_right)
    composed = trimmed(pairs.graph(words.states["final"][left] + grammar.states["final"][right]))
    if composed.n_states == 0:
        raise GraphError(f"{what} is empty: the grammar accepts no sequence of the lexicon's words")
    return composed


def _by_output(graph: Graph) -> tuple[np.ndarray, ...]:
    """Of each state its first arc, how many arcs have no output label, and how many there are; and the arcs.

    The arcs ascend by output label and come as numbers and as costs.
    """
    turned = graph.arcs.copy()
    turned["ilabel"], turned["olabel"] = graph.arcs["olabel"], graph.arcs["ilabel"]
    by_output = Graph.from_rows(graph.start, graph.sources(), turned, graph.states["final"])
    arcs = by_output.arcs.copy()
    arcs["ilabel"], arcs["olabel"] = by_output.arcs["olabel"], by_output.arcs["ilabel"]
    names = ("first", "n_input_epsilons", "n_arcs")
    return (*(by_output.states[name].astype(np.int64) for name in names), *as_rows(arcs))


def _by_input(graph: Graph) -> tuple[np.ndarray, ...]:
    """Of each state its first arc with an input label, and how many of these there are; and the arcs, as above."""
    silent = graph.states["n_input_epsilons"].astype(np.int64)
    return graph.states["first"] + silent, graph.states["n_arcs"] - silent, *as_rows(graph.arcs)
