"""L ∘ G, found state by state in numpy, so that one that grows out of bounds is stopped in time."""

from typing import NamedTuple

import numpy as np

from ..errors import GraphError
from .budget import Budget
from .const_fst import Graph, ranges
from .openfst import from_pynini, to_pynini


def compose(words: Graph, grammar: Graph, *, budget: Budget) -> Graph:
    """L ∘ G: the transducer's paths whose output labels the acceptor accepts, trimmed.

    What it writes are the grammar's output labels, so that a back-off symbol, which has none, is gone.

    Args:
        words: output label 0 stands for none.
        grammar: an acceptor without arcs that carry no label on their input.

    Raises:
        GraphError: where nothing is left, or more than the budget has.

    Same as OpenFst's compose; as only one side has arcs that the other does not follow, no filter is needed.
    """
    composed = to_pynini(_paired(_ByOutput.of(words), words, grammar, budget)).connect()
    if composed.num_states() == 0:
        raise GraphError("L o G is empty: the grammar accepts no sequence of the lexicon's words")
    return from_pynini(composed)


class _ByOutput(NamedTuple):
    """The arcs of a transducer, sorted by source, then output label.

    Attributes:
        key: int64 (n_arcs,): source * base + output label.
        first: of each state, its first arc, how many have no output label, and how many have one; the former come
            first.
        n_silent: see `first`.
        n_labelled: see `first`.
    """

    arcs: np.ndarray
    key: np.ndarray
    base: int
    first: np.ndarray
    n_silent: np.ndarray
    n_labelled: np.ndarray

    @classmethod
    def of(cls, graph: Graph) -> "_ByOutput":
        source, olabel = graph.sources().astype(np.int64), graph.arcs["olabel"].astype(np.int64)
        base = int(olabel.max(initial=0)) + 1
        order = np.argsort(source * base + olabel, kind="stable")
        n_silent = graph.states["n_output_epsilons"].astype(np.int64)
        n_arcs = graph.states["n_arcs"].astype(np.int64)
        key = (source * base + olabel)[order]
        return cls(graph.arcs[order], key, base, np.cumsum(n_arcs) - n_arcs, n_silent, n_arcs - n_silent)

    def with_label(self, state: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of some states, the first arc with a label above 0, and how many there are."""
        wanted = state * self.base + label
        first = np.searchsorted(self.key, wanted)
        count = np.searchsorted(self.key, wanted, side="right") - first
        return first, np.where(label < self.base, count, 0)


def _paired(left: _ByOutput, words: Graph, grammar: Graph, budget: Budget) -> Graph:
    """The composition, of which some states may lead nowhere.

    A state is a pair of a state of each side. Pairs are found in breadth-first order, all arcs of one distance from the
    start at once.
    """
    n_right, right_first = grammar.n_states, grammar.states["first"].astype(np.int64)
    right_count = grammar.states["n_arcs"].astype(np.int64)
    begin = words.start * n_right + grammar.start
    known = frontier = np.array([begin], np.int64)
    arcs: list[tuple[np.ndarray, ...]] = []
    n_found = 0
    while len(frontier):
        l_state, r_state = np.divmod(frontier, n_right)
        count = left.n_silent[l_state]
        silent, waiting = ranges(left.first[l_state], count), np.repeat(np.arange(len(frontier)), count)
        # From the grammar's side: a state of it has few arcs, the state between words one for each word.
        count = np.where(left.n_labelled[l_state] > 0, right_count[r_state], 0)
        budget.check("L o G", len(known), n_found + len(silent) + int(count.sum()))
        right_arc, moving = ranges(right_first[r_state], count), np.repeat(np.arange(len(frontier)), count)
        first, count = left.with_label(l_state[moving], grammar.arcs["ilabel"][right_arc].astype(np.int64))
        n_found += len(silent) + int(count.sum())
        budget.check("L o G", len(known), n_found)
        left_arc, right_arc, moving = ranges(first, count), np.repeat(right_arc, count), np.repeat(moving, count)
        arc, right = left.arcs[np.concatenate((silent, left_arc))], grammar.arcs[right_arc]
        following = np.concatenate((r_state[waiting], right["next"]))
        reached = arc["next"].astype(np.int64) * n_right + following
        olabel = np.concatenate((np.zeros(len(silent), np.int32), right["olabel"]))
        weight = arc["weight"] + np.concatenate((np.zeros(len(silent), np.float32), right["weight"]))
        arcs.append((np.concatenate((frontier[waiting], frontier[moving])), arc["ilabel"], olabel, weight, reached))
        frontier = np.setdiff1d(reached, known)
        known = np.insert(known, np.searchsorted(known, frontier), frontier)
    source, ilabel, olabel, weight, reached = (np.concatenate(column) for column in zip(*arcs, strict=True))
    l_state, r_state = np.divmod(known, n_right)
    final = words.states["final"][l_state] + grammar.states["final"][r_state]
    start, source, reached = (np.searchsorted(known, pairs) for pairs in (begin, source, reached))
    return Graph.from_arrays(start, source, ilabel, olabel, weight, reached, final)
