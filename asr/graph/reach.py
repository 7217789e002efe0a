"""Label look-ahead: which words may come next from each state of a graph, as few intervals of words in a good order."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..display.brief import many
from .const_fst import Graph

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon


def word_labels(lexicon: "Lexicon") -> np.ndarray:
    """int32 (n_words + 1,): a number from 1 for each word id, such that words which begin alike have neighbouring ones.

    Words are sorted by their first pronunciations, which is the order of a depth-first walk through the tree of all
    pronunciations: the words below a node of that tree are then one interval.

    Examples:
        >>> from asr.lang.lexicon import Lexicon
        >>> lexicon = Lexicon([("a", ("T", "O")), ("b", ("I",)), ("c", ("T", "I", "N"))])
        >>> word_labels(lexicon).tolist()
        [0, 3, 1, 2]
    """
    said: dict[int, tuple[int, ...]] = {}
    for entry in lexicon.entries:
        said.setdefault(lexicon.words[entry.word], lexicon.phone_ids(entry))
    labels = np.zeros(lexicon.n_words + 1, np.int32)
    labels[sorted(said, key=lambda word: (said[word], word))] = np.arange(1, lexicon.n_words + 1)
    return labels


@dataclass(frozen=True, eq=False)
class Reach:
    """The words that may come next from the states of a graph, and whether the sentence may end there.

    Attributes:
        set_of_state: int32 (n_states,): the number of the state's set. Most states share theirs with others.
        first: int32 (n_sets + 1,): where the intervals of each set begin.
        bounds: int32 (2 * n_intervals,): of each interval the lowest label and the one after the highest, ascending.
            Labels are those of `word_labels`; n_words + 1 is the sentence's end.
    """

    set_of_state: np.ndarray
    first: np.ndarray
    bounds: np.ndarray

    def __repr__(self) -> str:
        return f"<Reach: {many(self.n_sets, 'set')}, {many(len(self.bounds) // 2, 'interval')}>"

    @property
    def n_sets(self) -> int:
        """How many different sets there are."""
        return len(self.first) - 1

    def labels(self, state: int) -> list[int]:
        """The labels that a state reaches, ascending."""
        s = self.set_of_state[state]
        pairs = self.bounds[2 * self.first[s] : 2 * self.first[s + 1]].reshape(-1, 2).tolist()
        return [label for low, high in pairs for label in range(low, high)]

    @classmethod
    def of(cls, graph: Graph, labels: np.ndarray) -> "Reach":
        """The reach of all states of a graph.

        Args:
            labels: as of `word_labels`, for the graph's output labels.
        """
        from .reach_kernels import MORE_ROOM, reach

        states = np.ascontiguousarray(graph.states).view(np.int32)
        arcs = np.ascontiguousarray(graph.arcs).view(np.int32)
        is_final = np.isfinite(graph.states["final"])
        labels, most = np.ascontiguousarray(labels, np.int32), max(1 << 10, graph.n_states)
        while True:
            set_of = np.full(graph.n_states, -1, np.int32)
            first, bounds = np.zeros(most + 2, np.int32), np.zeros(8 * most, np.int32)
            size = 1 << (4 * most).bit_length()
            table, memo = np.zeros(2 * size, np.int64), np.zeros(2 * size, np.int64)
            scratch = np.empty((2, 4 * most + len(labels)), np.int64)
            work = np.full((5, graph.n_states + 1), -1, np.int32)
            n_sets = reach(
                states, arcs, is_final, labels, len(labels), set_of, first, bounds, table, memo,
                np.full(most + 2, -1, np.int32), scratch[0], scratch[1], work,
            )  # fmt: skip
            if n_sets != MORE_ROOM:
                return cls(set_of, first[: n_sets + 1].copy(), bounds[: 2 * first[n_sets]].copy())
            most *= 2
