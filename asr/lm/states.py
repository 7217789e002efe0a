"""A language model laid out for searches that step through it word by word."""

from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr
from .model import NgramModel
from .vocabulary import START_ID


class StateTable(NamedTuple):
    """The arrays of a model that the compiled `kernels.follow` reads, by node of its trie, and the states that matter.

    Attributes:
        first_child: int32 (n_nodes + 1,): the first n-gram that begins with this one, by number; the last ends at the
            next.
        last_word: int32 (n_nodes,): id of the last word.
        suffix: int32 (n_nodes,): the longest other n-gram that this one ends in.
        state_of: int32 (n_nodes,): the longest n-gram that this one ends in and that matters for what comes next.
        log_probs: float64 (n_nodes,), natural logs, as in the model.
        back_offs: float64 (n_nodes,), natural logs, as in the model.
    """

    first_child: np.ndarray
    last_word: np.ndarray
    suffix: np.ndarray
    state_of: np.ndarray
    log_probs: np.ndarray
    back_offs: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    @classmethod
    def of(cls, model: NgramModel) -> "StateTable":
        """The table of a model."""
        trie = model.trie
        ints = (trie.first_child, trie.word, trie.suffix, model.states)
        children, words, suffixes, states = (np.require(x, np.int32, ["C", "W"]) for x in ints)
        log_probs, back_offs = (np.require(x, np.float64, ["C", "W"]) for x in (model.log_probs, model.back_offs))
        return cls(children, words, suffixes, states, log_probs, back_offs)

    @property
    def start(self) -> int:
        """The state at the beginning of a sentence."""
        return int(self.state_of[1 + START_ID])
