"""From counts to probabilities: modified Kneser-Ney and Witten-Bell, both interpolated with the shorter history."""

import logging
from collections.abc import Iterable

import numpy as np

from ..errors import LanguageModelError, did_you_mean
from .counting import Counts, count
from .model import NgramModel
from .smoothing_kernels import discount, share_with_new
from .vocabulary import START_ID, UNKNOWN, UNKNOWN_ID, Sentence

_log = logging.getLogger(__name__)

SMOOTHINGS = ("modified-kneser-ney", "witten-bell")
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)  # for counts of 1, 2, and 3 or more; KenLM's


def train(
    sentences: Iterable[Sentence],
    order: int,
    *,
    words: Iterable[str] | None = None,
    smoothing: str = "modified-kneser-ney",
) -> NgramModel:
    """A model of some sentences; `count` and `estimate` in one call.

    Args:
        words: all that can occur, e.g. those of the lexicon, or the phones: the vocabulary is then closed, and words
            of the sentences outside it raise an error; unless `<unk>` is among them, which others then count as. None:
            the words of the sentences, and a little left for others.

    Raises:
        LanguageModelError: see `count` and `estimate`.

    Examples:
        >>> model = train(["yes no", "yes yes"], 2, words=["no", "yes", "maybe"], smoothing="witten-bell")
        >>> round(float(np.exp(model.log_prob(["<s>"], "yes"))), 3), model.is_closed
        (0.806, True)
    """
    known = None if words is None else set(words)
    closed = known is not None and UNKNOWN not in known
    return estimate(count(sentences, order, vocabulary=known), smoothing, closed=closed)


def estimate(counts: Counts, smoothing: str = "modified-kneser-ney", *, closed: bool = False) -> NgramModel:
    """The back-off model of some counts.

    Both kinds of smoothing interpolate: the probability of an n-gram is its discounted relative frequency plus the mass
    that its history gives away, times the probability of its last word after the history without its first word. Below
    single words is the uniform distribution over the vocabulary, without `<s>`.

    Args:
        smoothing: "modified-kneser-ney" takes off discounts for counts of 1, 2, and 3 or more, estimated for each order
            from the numbers of n-grams with counts 1 to 4; below the highest order, an n-gram counts as often as there
            are different words before it, unless it begins a sentence. Where text is so small, or the units so few,
            that the discounts cannot be estimated, they are 0.5, 1 and 1.5. "witten-bell" gives away as much as there
            are different words after the history.
        closed: whether `<unk>` is impossible; otherwise it has its share of the uniform distribution.

    Raises:
        LanguageModelError: for an unknown smoothing, and for unknown words in the counts if closed.

    Same as KenLM's lmplz --discount_fallback.   Ref: Chen and Goodman, 1998, sections 2.4 and 3; equation 26.
    """
    if smoothing not in SMOOTHINGS:
        raise LanguageModelError(
            f"smoothing={smoothing!r}; need one of {', '.join(SMOOTHINGS)}{did_you_mean(smoothing, SMOOTHINGS)}"
        )
    if closed and counts.counts[1 + UNKNOWN_ID]:
        raise LanguageModelError(
            f"closed vocabulary of {len(counts.vocabulary) - 3} words: {counts.counts[1 + UNKNOWN_ID]} words of the "
            "text are not in it; add them, leave out their sentences, or allow unknown words"
        )
    is_kneser_ney = smoothing == "modified-kneser-ney"
    if not is_kneser_ney and any(counts.cutoffs):
        raise LanguageModelError(f"cutoffs go with modified-kneser-ney smoothing, not with {smoothing}; prune instead")
    trie, numbers = counts.trie, counts.adjusted if is_kneser_ney else counts.counts.copy()
    numbers[1 + START_ID] = 0
    probs, weights = np.zeros(trie.n_nodes), np.ones(trie.n_nodes)
    probs[trie.nodes(1)] = _uniform(trie.n_words, closed)
    arrays = (trie.first_child, trie.suffix, numbers, counts.left_out, probs, weights)
    for order in range(1, trie.order + 1):
        above = trie.nodes(order - 1)
        if is_kneser_ney:
            discount(above.start, above.stop, *_discounts(counts.classes[order], order), *arrays)
        else:
            share_with_new(above.start, above.stop, *arrays)
    weights[0] = 1.0
    with np.errstate(divide="ignore"):
        return NgramModel(counts.vocabulary, trie, np.log(probs, out=probs), np.log(weights, out=weights))


def _uniform(n_words: int, closed: bool) -> np.ndarray:
    """The same probability for each word that can come next."""
    possible = np.ones(n_words)
    possible[START_ID] = 0.0
    possible[UNKNOWN_ID] = 0.0 if closed else 1.0
    return possible / possible.sum()


def discounts(numbers: np.ndarray, order: int = 1) -> tuple[float, float, float]:
    """The three discounts of modified Kneser-Ney smoothing, for counts of 1, 2, and 3 or more.

    Args:
        numbers: int (n_ngrams,): the adjusted counts of all n-grams of an order.
        order: named in the log where the discounts cannot be estimated and FALLBACK_DISCOUNTS are used.

    Ref: Chen and Goodman, 1998, equation 26.
    """
    return _discounts(np.array([np.count_nonzero(numbers == k) for k in range(5)]), order)


def _discounts(classes: np.ndarray, order: int) -> tuple[float, float, float]:
    """The discounts, from the numbers of n-grams with counts of 0 to 4."""
    n1, n2, n3, n4 = classes[1:].tolist()
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if all(0 < d <= k for k, d in enumerate(found, 1)):
            _log.info("order %d: discounts %.3f, %.3f, %.3f", order, *found)
            return found
    _log.info(
        "order %d: numbers of n-grams with counts 1 to 4 are %d, %d, %d, %d: too few for discounts; %g, %g, %g instead",
        *(order, n1, n2, n3, n4, *FALLBACK_DISCOUNTS),
    )
    return FALLBACK_DISCOUNTS
