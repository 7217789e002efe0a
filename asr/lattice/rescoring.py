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
from .lattice import Lattice
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
        return self._step(state, self._id(word))

    def end(self, state: State) -> float:
        """As of `LanguageModel`."""
        return self._step(state, self.model.vocabulary.id("</s>"))[0]

    def ends(self, histories: np.ndarray) -> np.ndarray:
        """float64 (n,): the natural-log probability of the sentence's end after each of some histories."""
        words = np.full(len(histories), self.model.vocabulary.id("</s>"))
        return np.maximum(self.model.step(histories, words)[0], self.floor)

    def ids(self, words: np.ndarray) -> np.ndarray:
        """int32 (largest + 1,): the model's ids of some of the lattice's words; 0 elsewhere."""
        result = np.zeros(int(words.max(initial=0)) + 1, np.int32)
        for word in np.unique(words[words > 0]).tolist():
            result[word] = self._id(word)
        return result

    def _id(self, word: int) -> int:
        if word not in self._ids:
            name = self.names(word) if callable(self.names) else self.names[word]
            self._ids[word] = self.model.vocabulary.id(name)
        return self._ids[word]

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


def rescored_paths(lattice: Lattice, new: Ngrams, old: Ngrams | None = None, *, max_size: int = 50_000_000) -> Lattice:
    """The lattice with the costs of another n-gram model: all its paths, whose words need not be told apart first.

    Args:
        old: as of `rescored`.
        max_size: states, and arcs, of the result.

    Raises:
        GraphError: where it would get more states or arcs: prune the lattice first, or take a smaller beam.
    """
    state, new_history, old_history, arc, source, target, graph = _composed(lattice, new, old, max_size)
    finals = lattice.finals[state] - new.ends(new_history) + (0.0 if old is None else old.ends(old_history))
    order = np.argsort(state, kind="stable")  # pairs of one state have no arcs between them
    number = np.empty(len(order), np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    arcs = lattice.arcs[arc]
    arcs["source"], arcs["next"], arcs["graph"] = number[source], number[target], graph
    arcs = arcs[np.argsort(arcs["source"], kind="stable")]
    return Lattice(lattice.frames[state[order]], arcs, finals[order], lattice.reached_final)


def _composed(lattice: Lattice, new: Ngrams, old: Ngrams | None, max_size: int) -> list[np.ndarray]:
    """Pairs of a state and histories: state, new and old history; their arcs: lattice's arc, source, target, cost."""
    from .kernels import rescore

    arcs, n = lattice.arcs, lattice.n_states
    first = np.searchsorted(arcs["source"], np.arange(n + 1)).astype(np.int32)
    flat = _flat(new, arcs["olabel"]), _flat(new if old is None else old, arcs["olabel"])
    starts = new.start(), -1 if old is None else old.start()
    room, counts = [4 * n, 4 * len(arcs) + 1], np.zeros(2, np.int64)
    while True:
        table = np.full(1 << (2 * room[0]).bit_length(), -1, np.int32)
        latest, pairs = np.full(n, -1, np.int32), [np.empty(room[0], np.int32) for _ in range(4)]
        taken: list[np.ndarray] = [np.empty(room[1], kind) for kind in (np.int32, np.int32, np.int32, np.float64)]
        outcome = rescore(
            arcs["next"], arcs["olabel"], first, arcs["graph"], *flat, *starts, table, latest, *pairs, *taken, counts
        )  # fmt: skip
        if outcome == 0:
            return [*(part[: counts[0]] for part in pairs[1:]), *(part[: counts[1]] for part in taken)]
        room[0 if outcome == -1 else 1] *= 2
        if max(room) > max_size:
            raise GraphError(f"rescoring: more than {max_size:,} states or arcs; prune the lattice first")


def _flat(model: Ngrams, words: np.ndarray) -> tuple:
    """What `kernels.rescore` takes of a model."""
    trie = model.model.trie
    return (
        model.ids(words), model.floor, trie.first_child, trie.word, trie.suffix, *model.model._doubles,
        model.model.states,
    )  # fmt: skip


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
    return replace(lattice, frames=lattice.frames[origin[order]], arcs=found, finals=np.array(ends)[order], beam=0.0)
