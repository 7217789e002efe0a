"""Another language model for a lattice: the costs of the one it was made with are taken out, those of another put in.

A lattice of a small model, which is fast, then has the words of a large one, of any order, or of a network.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from ..errors import GraphError
from ..lm import NgramModel
from .words import ARC, WordLattice

State = Any
"""A history of words; hashable, and compared by value."""


class LanguageModel(Protocol):
    """What rescoring needs of a language model; words are the ids of the lattice."""

    def start(self) -> State:
        """The history at the begin of a sentence."""

    def step(self, state: State, word: int) -> tuple[float, State]:
        """The natural-log probability of a word after a history, and the history that it leads to."""

    def end(self, state: State) -> float:
        """The natural-log probability of the sentence's end after a history."""


@dataclass
class Ngrams:
    """An n-gram model over the words of a lattice.

    Args:
        names: of the lattice's words, by id; those that the model lacks count as `<unk>`, and where that is impossible,
            as `floor`.
    """

    model: NgramModel
    names: Sequence[str] | Callable[[int], str]
    floor: float = -20.0
    _known: dict[tuple[int, int], tuple[float, int]] = field(default_factory=dict, repr=False)
    _ids: dict[int, int] = field(default_factory=dict, repr=False)

    def start(self) -> State:
        """The history at the begin of a sentence."""
        return self._step(0, self.model.vocabulary.id("<s>"))[1]

    def step(self, state: State, word: int) -> tuple[float, State]:
        """As of `LanguageModel`."""
        if word not in self._ids:
            name = self.names(word) if callable(self.names) else self.names[word]
            self._ids[word] = self.model.vocabulary.id(name)
        return self._step(state, self._ids[word])

    def end(self, state: State) -> float:
        """As of `LanguageModel`."""
        return self._step(state, self.model.vocabulary.id("</s>"))[0]

    def _step(self, state: int, word: int) -> tuple[float, int]:
        key = (state, word)
        if key not in self._known:
            scores, states = self.model.step(np.array([state]), np.array([word]))
            self._known[key] = max(float(scores[0]), self.floor), int(self.model.states[states[0]])
        return self._known[key]


@dataclass
class Mixed:
    """Two language models mixed linearly, word by word.

    Args:
        weight: of the first, above 0 and below 1.
    """

    first: LanguageModel
    second: LanguageModel
    weight: float

    def __post_init__(self) -> None:
        if not 0 < self.weight < 1:
            raise ValueError(f"weight={self.weight}; need more than 0 and less than 1")

    def start(self) -> State:
        """As of `LanguageModel`."""
        return self.first.start(), self.second.start()

    def step(self, state: State, word: int) -> tuple[float, State]:
        """As of `LanguageModel`."""
        (a, one), (b, other) = self.first.step(state[0], word), self.second.step(state[1], word)
        return self._mixed(a, b), (one, other)

    def end(self, state: State) -> float:
        """As of `LanguageModel`."""
        return self._mixed(self.first.end(state[0]), self.second.end(state[1]))

    def _mixed(self, a: float, b: float) -> float:
        return float(np.logaddexp(math.log(self.weight) + a, math.log1p(-self.weight) + b))


def rescored(
    lattice: WordLattice, new: LanguageModel, old: LanguageModel | None = None, *, max_states: int = 200_000
) -> WordLattice:
    """The lattice with the costs of another language model.

    Args:
        old: the one that it was made with, whose costs are taken out; None: the new ones are added to what is there.
        max_states: of the result.

    Raises:
        GraphError: where it would get more states: prune the lattice first, or take a smaller beam.

    Same as Kaldi's lattice-lmrescore, with the scores of words rather than of the graph's back-off arcs.
    """
    first, finals = lattice.first, lattice.finals
    begin = (0, new.start(), None if old is None else old.start())
    numbers: dict[Any, int] = {begin: 0}
    waiting, arcs, ends = [begin], list[tuple[int, int, int, float, float]](), list[tuple[float, float]]()
    for state in waiting:  # grows while it is read: lattice states come in topological order, or each after its sources
        at, history, before = state
        graph, acoustic = finals[at]
        if np.isfinite(graph):
            graph += -new.end(history) + (0.0 if old is None else old.end(before))
        ends.append((float(graph), float(acoustic)))
        for _, target, word, graph, acoustic in lattice.arcs[first[at] : first[at + 1]].tolist():
            gained, after = new.step(history, word)
            lost, behind = (0.0, None) if old is None else old.step(before, word)
            key = (target, after, behind)
            if key not in numbers:
                if len(numbers) >= max_states:
                    raise GraphError(f"rescoring: more than {max_states:,} states; prune the lattice first")
                numbers[key] = len(numbers)
                waiting.append(key)
            arcs.append((numbers[state], numbers[key], word, graph - gained + lost, acoustic))
    return _in_order(lattice, waiting, arcs, ends)


def _in_order(
    lattice: WordLattice,
    states: Sequence[tuple[int, Any, Any]],
    arcs: Sequence[tuple[int, int, int, float, float]],
    ends: Sequence[tuple[float, float]],
) -> WordLattice:
    """The lattice with its states in the order of those that they come from, so that arcs lead to higher numbers."""
    origin = np.array([state[0] for state in states])
    order = np.argsort(origin, kind="stable")
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    found = np.array(arcs, ARC)
    found["source"], found["next"] = number[found["source"]], number[found["next"]]
    found = found[np.lexsort((found["word"], found["source"]))]
    return replace(lattice, frames=lattice.frames[origin[order]], arcs=found, finals=np.array(ends)[order])
