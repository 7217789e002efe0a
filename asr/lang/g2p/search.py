"""The likeliest pronunciations of a word under an n-gram model of graphones."""

import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ...lm import NgramModel
from ...lm.states import StateTable
from ...lm.vocabulary import END_ID
from .graphones import Graphone

BEAM = 8.0  # nats

_MOST_STEPS = 20000  # of the search for a word's pronunciations: short lists end long before
_SAME = 9  # decimals; costs that agree so far are equal but for rounding


class Pronunciation(NamedTuple):
    """Phones of a word.

    Attributes:
        log_prob: natural log of the joint probability of letters and phones, in their best cut.
    """

    phones: tuple[str, ...]
    log_prob: float


class Search:
    """A model laid out for the search, with its working memory.

    Args:
        graphones: for each word of the model its graphone; None for `<unk>`, `<s>` and `</s>`.
    """

    def __init__(self, model: NgramModel, graphones: Sequence[Graphone | None]) -> None:
        self._phones = [() if graphone is None else graphone.phones for graphone in graphones]
        self.letters = frozenset(x for graphone in graphones if graphone is not None for x in graphone.letters)
        groups: dict[tuple[str, ...], list[int]] = {}
        for word, graphone in enumerate(graphones):
            if graphone is not None and np.isfinite(model.log_probs[1 + word]):
                groups.setdefault(graphone.letters, []).append(word)
        self._candidates = np.array([word for words in groups.values() for word in words], np.int32)
        ends = np.cumsum([len(words) for words in groups.values()]).tolist()
        self._ranges = {k: (e - len(words), e) for (k, words), e in zip(groups.items(), ends, strict=True)}
        self._most = max(map(len, groups), default=1)
        self._model = StateTable.of(model)
        self._slot_of = np.zeros((self._most + 1, model.trie.n_nodes), np.int32)
        self._room = 1 << 12

    def best(self, spelling: Sequence[str], n_best: int = 1, beam: float = BEAM) -> list[Pronunciation]:
        """The likeliest pronunciations, best first; fewer than n_best where there are no more in the beam.

        Args:
            spelling: letters of the model.
        """
        if not spelling:
            return []
        last = self._fill(spelling, beam)
        said = (path for path in self._paths(last) if path.phones) if last >= 0 else iter(())
        return sorted(itertools.islice(said, n_best), key=lambda path: -path.log_prob)

    def _fill(self, spelling: Sequence[str], beam: float) -> int:
        """Make the lattice of a word; returns the token of its end, or a negative number."""
        from . import kernels

        n = len(spelling)
        ranges = np.zeros((n, self._most, 2), np.int32)
        for i in range(n):
            for k in range(min(self._most, n - i)):
                ranges[i, k] = self._ranges.get(tuple(spelling[i : i + k + 1]), (0, 0))
        while True:
            self._tokens, self._scores = np.empty((self._room, 4), np.int32), np.empty(self._room)
            self._arcs, self._arc_scores = np.empty((4 * self._room, 3), np.int32), np.empty(4 * self._room)
            arguments = (self._tokens, self._scores, self._arcs, self._arc_scores, np.empty(n + 1, np.int32))
            last = kernels.search(
                ranges, self._candidates, *self._model, self._model.start, END_ID, beam, *arguments, self._slot_of
            )
            if last != kernels.FULL:
                return last
            self._room *= 2

    def _paths(self, last: int) -> Iterator[Pronunciation]:
        """Each pronunciation in the lattice with its best path, the likeliest first, up to rounding: a search
        backwards, which the forward scores lead.

        Of equal costs the newest goes on, so that the first path ends after as many steps as it is long: where many
        paths are equally likely ("aaaa", each letter in two ways), going on with the oldest would walk all their
        first halves before. What comes to the same token with the same phones again is never better.
        Ref: Soong and Huang, 1991.
        """
        waiting = [(-float(self._scores[last]), 0, last, 0.0, ())]
        number = itertools.count(-1, -1)
        seen: set[tuple[int, tuple[str, ...]]] = set()
        for _ in range(_MOST_STEPS):
            if not waiting:
                return
            _, _, token, after, phones = heapq.heappop(waiting)
            if (token, phones) in seen:
                continue
            seen.add((token, phones))
            if token == 0:
                yield Pronunciation(phones, float(self._scores[0]) + after)
                continue
            arc = int(self._tokens[token, 3])
            while arc >= 0:
                source, word, following = self._arcs[arc].tolist()
                score = after + float(self._arc_scores[arc])
                cost = round(-(float(self._scores[source]) + score), _SAME)
                heapq.heappush(waiting, (cost, next(number), source, score, self._phones[word] + phones))
                arc = following


def posteriors(pronunciations: Sequence[Pronunciation]) -> list[float]:
    """The probabilities of some pronunciations of a word, relative to the likeliest.

    Examples:
        >>> posteriors([Pronunciation(("T", "UW"), 0.0), Pronunciation(("T", "AH"), -math.inf)])
        [1.0, 0.0]
    """
    return [math.exp(p.log_prob - pronunciations[0].log_prob) for p in pronunciations]
