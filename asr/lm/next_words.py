"""The language model's part in a search that makes several strings at once, word by word."""

from collections.abc import Sequence

import numpy as np

from ..jit import kernel
from .kernels import follow
from .model import NgramModel
from .states import StateTable

_MODEL = "int32[::1], int32[::1], int32[::1], int32[::1], float64[::1], float64[::1]"


class NextWords:
    """The log probabilities of some words after each of several histories.

    Args:
        model: a back-off model.
        words: ids in its vocabulary, those of `follow`'s columns.
    """

    def __init__(self, model: NgramModel, words: Sequence[int] | np.ndarray) -> None:
        self._table, self._words = StateTable.of(model), np.asarray(words, np.int32)
        self.start = self._table.start

    def follow(self, states: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Natural logs, float64 (n_states, n_words), and the states after the words, int32 of that shape.

        Args:
            states: of the histories; the first is `start`, at the beginning of a sentence.
        """
        states = np.asarray(states, np.int32)
        shape = len(states), len(self._words)
        log_probs, after = np.empty(shape), np.empty(shape, np.int32)
        follow_all(states, self._words, *self._table, log_probs, after)
        return log_probs, after


@kernel(f"void(int32[::1], int32[::1], {_MODEL}, float64[:, ::1], int32[:, ::1])")
def follow_all(states, words, first_child, last_word, suffix, state_of, log_probs, back_offs, scores, after):
    """Fill `scores` and `after` as `NextWords.follow` says."""
    for i in range(len(states)):
        for j in range(len(words)):
            score, node = follow(states[i], words[j], first_child, last_word, suffix, log_probs, back_offs)
            scores[i, j], after[i, j] = score, state_of[node]
