"""Networks as language models of lattices."""

from collections.abc import Callable, Sequence

import numpy as np

from ...lm.vocabulary import END_ID, START_ID
from .model import NeuralModel
from .networks import State


class NeuralScorer:
    """A network over the words of a lattice, see `asr.lattice.rescoring.LanguageModel`.

    Histories that end in the same words are taken for one, the first that is met: the network remembers more, and a
    lattice in which all were apart would be a list of its paths.

    Args:
        names: of the lattice's words, by id; those that the model lacks count as `<unk>`.
        order: so many words less one tell histories apart.

    Ref: Liu, Chen, Wang, Gales and Woodland, Two efficient lattice rescoring methods using recurrent neural network
    language models, 2016: n-gram based clustering of histories.
    """

    def __init__(self, model: NeuralModel, names: Sequence[str] | Callable[[int], str], order: int = 5) -> None:
        if order < 1:
            raise ValueError(f"order={order}; need 1 or more")
        self._model, self._names, self._order = model, names, order
        self._ids: dict[int, int] = {}
        self._known: dict[tuple[int, ...], tuple[np.ndarray, State]] = {}

    def start(self) -> tuple[int, ...]:
        """The history at the begin of a sentence."""
        key = (START_ID,)
        if key not in self._known:
            self._known[key] = self._model.start()
        return key

    def step(self, state: tuple[int, ...], word: int) -> tuple[float, tuple[int, ...]]:
        """The natural-log probability of a word after a history, and the history that it leads to."""
        if word not in self._ids:
            name = self._names(word) if callable(self._names) else self._names[word]
            self._ids[word] = self._model.vocabulary.id(name)
        number = self._ids[word]
        log_probs, inside = self._known[state]
        after = (*state, number)[-max(self._order - 1, 1) :]
        if after not in self._known:
            self._known[after] = self._model.step(inside, number)
        return float(log_probs[number]), after

    def end(self, state: tuple[int, ...]) -> float:
        """The natural-log probability of the sentence's end after a history."""
        return float(self._known[state][0][END_ID])

    def forget(self) -> None:
        """Forget all histories: before another utterance, so that what it is given does not depend on others."""
        self._known.clear()
