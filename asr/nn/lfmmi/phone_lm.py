"""The phone n-gram of the denominator: maximum likelihood, with few histories instead of smoothing."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...display.brief import brief_repr
from ...errors import LanguageModelError

History = tuple[int, ...]
"""The last phones, the latest last; shorter than the others only near the start of an utterance."""

_END = 0  # counted like a phone, so that room is left for an utterance's end


class PhoneArc(NamedTuple):
    """Going on with a phone: the state that this leads to, and its natural-log probability."""

    target: int
    log_prob: float


@dataclass(frozen=True, eq=False)
class PhoneLm:
    """A deterministic automaton over phones.

    Attributes:
        histories: the states; state 0 is the empty history, an utterance's start.
        arcs: for each state phone -> PhoneArc; what is missing to 1 is the probability of the utterance's end.
        order: phones in the longest n-gram; every history has order - 2 phones or more, but near the start.
    """

    histories: list[History]
    arcs: list[dict[int, PhoneArc]]
    order: int

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def n_arcs(self) -> int:
        """How many ways to go on there are."""
        return sum(len(arcs) for arcs in self.arcs)

    def log_prob(self, phones: Iterable[int]) -> float:
        """The natural-log probability of an utterance's phones, without its end; -inf for what was never seen."""
        state, total = 0, 0.0
        for phone in phones:
            if phone not in self.arcs[state]:
                return float("-inf")
            state, log_prob = self.arcs[state][phone]
            total += log_prob
        return total


def estimate_phone_lm(sequences: Iterable[Sequence[int]], *, order: int = 4, n_extra_states: int = 2000) -> PhoneLm:
    """The phone n-gram model of training utterances.

    Probabilities are relative frequencies: what was not seen has none, which keeps the graph sparse. Every history of
    order - 2 phones is a state; of those of order - 1 phones the ones that raise the utterances' likelihood most.

    Args:
        sequences: the phones of each utterance.
        order: 3 or more; phones in the longest n-gram.
        n_extra_states: histories of order - 1 phones.

    Raises:
        LanguageModelError: where there is no phone.

    As Kaldi's chain-est-phone-lm (4-grams, all trigrams, 2,000 more states); differs in choosing the long histories at
    once by what each gains over the shorter one, where Kaldi drops them one by one.
    """
    if order < 3 or n_extra_states < 0:
        raise LanguageModelError(f"order={order}, n_extra_states={n_extra_states}; need 3 or more, and 0 or more")
    utterances = [(*(int(p) for p in sequence), _END) for sequence in sequences if len(sequence)]
    if not utterances:
        raise LanguageModelError("there are no phones to estimate a phone language model from")
    short, long = _counts(utterances, order - 2), _counts(utterances, order - 1)
    extra = [h for h in long if len(h) == order - 1]
    gains = np.array([_gain(long[h], short[h[1:]]) for h in extra])
    best = np.argsort(-gains, kind="stable")[:n_extra_states]
    histories = sorted({*short, *(extra[i] for i in best.tolist())}, key=lambda h: (len(h), h))
    number = {h: i for i, h in enumerate(histories)}
    # Counted again: a short history keeps only what the long ones do not take from it.
    counts: list[Counter[int]] = [Counter() for _ in histories]
    for phones in utterances:
        for history, phone in _histories(phones, order - 1):
            counts[_state(history, number)][phone] += 1
    return PhoneLm(histories, [_arcs(h, c, number, order) for h, c in zip(histories, counts, strict=True)], order)


def _histories(phones: Sequence[int], length: int) -> Iterator[tuple[History, int]]:
    for i, phone in enumerate(phones):
        yield tuple(phones[max(0, i - length) : i]), phone


def _counts(utterances: Iterable[Sequence[int]], length: int) -> dict[History, Counter[int]]:
    """How often each phone followed each history of some phones, or of fewer at the start."""
    counts: dict[History, Counter[int]] = defaultdict(Counter)
    for phones in utterances:
        for history, phone in _histories(phones, length):
            counts[history][phone] += 1
    return counts


def _gain(counts: Counter[int], shorter: Counter[int]) -> float:
    """Nats by which a history's own distribution is better than that of the history without its first phone."""
    n, n_shorter = sum(counts.values()), sum(shorter.values())
    return sum(c * math.log(c / n * n_shorter / shorter[phone]) for phone, c in counts.items())


def _state(history: History, number: dict[History, int]) -> int:
    """The longest history that is a state."""
    while history not in number:
        history = history[1:]
    return number[history]


def _arcs(history: History, counts: Counter[int], number: dict[History, int], order: int) -> dict[int, PhoneArc]:
    total = sum(counts.values())
    return {
        phone: PhoneArc(_state((*history, phone)[-(order - 1) :], number), math.log(count / total))
        for phone, count in sorted(counts.items())
        if phone != _END
    }
