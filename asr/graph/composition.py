"""L ∘ G and T ∘ LG, found state by state, so that one that grows out of bounds is stopped in time."""

import numpy as np

from ..errors import GraphError
from .budget import Budget
from .const_fst import Graph, as_rows
from .pairs import Pairs
from .trimming import trimmed


def compose(left: Graph, right: Graph, *, budget: Budget, what: str = "L o G") -> Graph:
    """The paths of two graphs of which the first writes what the second one reads, trimmed: L ∘ G.

    What it reads is what the first reads, and what it writes what the second writes: a back-off symbol, which grammars
    do not write, is gone.

    Args:
        left: output label 0 stands for none.
        right: input label 0 stands for none.
        what: names the composition in messages.

    Raises:
        GraphError: where nothing is left, or more than the budget has.

    Same as OpenFst's compose.
    """
    from .pair_kernels import compose_pairs

    n_right = right.n_states
    pairs = Pairs(2 * (left.start * n_right + right.start), what, budget)
    pairs.find(compose_pairs, *_by_output(left), *_by_input(right))
    states = np.divmod(pairs.keys // 2, n_right)
    final = left.states["final"][states[0]] + right.states["final"][states[1]]
    composed = trimmed(pairs.graph(final))
    if composed.n_states == 0:
        raise GraphError(f"{what} is empty: the grammar accepts no sequence of the lexicon's words")
    return composed


def _by_output(graph: Graph) -> tuple[np.ndarray, ...]:
    """Of each state its first arc, how many arcs have no output label, and how many there are; and the arcs.

    The arcs of a state ascend by output label; they come as numbers and as costs.
    """
    by_output = _turned(Graph.from_rows(graph.start, graph.sources(), _turned(graph).arcs, graph.states["final"]))
    names = ("first", "n_input_epsilons", "n_arcs")
    return (*(by_output.states[name].astype(np.int64) for name in names), *as_rows(by_output.arcs))


def _turned(graph: Graph) -> Graph:
    """The graph with the labels of each arc exchanged; what its states say of their arcs stays as it is."""
    arcs = graph.arcs.copy()
    arcs["ilabel"], arcs["olabel"] = graph.arcs["olabel"], graph.arcs["ilabel"]
    return Graph(graph.start, graph.states, arcs)


def _by_input(graph: Graph) -> tuple[np.ndarray, ...]:
    """As `_by_output`, of input labels."""
    names = ("first", "n_input_epsilons", "n_arcs")
    return (*(graph.states[name].astype(np.int64) for name in names), *as_rows(graph.arcs))
