"""From counts to probabilities: modified Kneser-Ney and Witten-Bell, both interpolated with the shorter history."""

import logging
from collections.abc import Iterable

import numpy as np

from ..errors import LanguageModelError, did_you_mean
from .counting import Counts, count
from .model import NgramModel
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
    trie, probs, weights = counts.trie, np.zeros(counts.trie.n_nodes), np.ones(counts.trie.n_nodes)
    is_kneser_ney = smoothing == "modified-kneser-ney"
    numbers = adjusted_counts(counts) if is_kneser_ney else counts.counts.copy()
    numbers[1 + START_ID] = 0
    for order in range(1, trie.order + 1):
        here = trie.nodes(order)
        number, parent = numbers[here], trie.parent[here]
        if is_kneser_ney:
            taken = np.concatenate(([0.0], discounts(number, order)))[np.minimum(number, 3)]
        else:
            taken = np.zeros(len(number))
        total = np.bincount(parent, number, trie.n_nodes)
        given = np.bincount(parent, taken if is_kneser_ney else number > 0, trie.n_nodes)
        if not is_kneser_ney:
            total += given  # one more time each for the words that are new after this history
        lower = _uniform(trie.n_words, closed) if order == 1 else probs[trie.suffix[here]]
        probs[here] = (number - taken + given[parent] * lower) / total[parent]
        histories = np.unique(parent)
        weights[histories] = given[histories] / total[histories]
    weights[0] = 1.0
    with np.errstate(divide="ignore"):
        return NgramModel(counts.vocabulary, trie, np.log(probs), np.log(weights))


def _uniform(n_words: int, closed: bool) -> np.ndarray:
    """The same probability for each word that can come next."""
    possible = np.ones(n_words)
    possible[START_ID] = 0.0
    possible[UNKNOWN_ID] = 0.0 if closed else 1.0
    return possible / possible.sum()


def adjusted_counts(counts: Counts) -> np.ndarray:
    """What Kneser-Ney smoothing counts: for the highest order and at the start of a sentence occurrences, else words.

    Returns:
        int64 (n_nodes,): below the highest order the number of different words, `<s>` included, before each n-gram.
    """
    trie, result = counts.trie, counts.counts.copy()
    begins = np.zeros(trie.n_nodes, bool)
    begins[1 + START_ID] = True
    for order in range(1, trie.order):
        here, longer = trie.nodes(order), trie.nodes(order + 1)
        if order > 1:
            begins[here] = begins[trie.parent[here]]
        before = np.bincount(trie.suffix[longer], minlength=trie.n_nodes)[here]
        result[here] = np.where(begins[here], result[here], before)
    return result


def discounts(numbers: np.ndarray, order: int = 1) -> tuple[float, float, float]:
    """The three discounts of modified Kneser-Ney smoothing, for counts of 1, 2, and 3 or more.

    Args:
        numbers: int (n_ngrams,): the adjusted counts of all n-grams of an order.
        order: named in the log where the discounts cannot be estimated and FALLBACK_DISCOUNTS are used.

    Ref: Chen and Goodman, 1998, equation 26.
    """
    n1, n2, n3, n4 = (int(np.count_nonzero(numbers == k)) for k in (1, 2, 3, 4))
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
