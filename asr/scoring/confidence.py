"""How good confidences are: which words are right, and three figures of how well their confidences told so."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr


def right_words(reference: Sequence[str], hypothesis: Sequence[str]) -> np.ndarray:
    """Which words of a hypothesis are right, bool (n_words,): those that a best alignment gives the same word."""
    from rapidfuzz.distance import Levenshtein

    right = np.ones(len(hypothesis), bool)
    number: dict[str, int] = {}
    left, other = ([number.setdefault(token, len(number)) for token in side] for side in (reference, hypothesis))
    for edit in Levenshtein.editops(left, other):
        if edit.tag != "delete":
            right[edit.dest_pos] = False
    return right


class Reliability(NamedTuple):
    """Confidences against what was right, in bins of equally many words, the least sure first.

    Attributes:
        confidence: float64 (n_bins,), mean.
        right: float64 (n_bins,), part of the words.
        n_words: int64 (n_bins,).
        calibration_error: mean distance of the two, by words.
        cross_entropy: normalised: 1 less the ratio of the confidences' cross-entropy to that of the mean; 1 is perfect,
            0 as good as the mean alone, and below worse. NaN where all words are right, or all wrong.
        area: under the curve of right words kept against wrong ones kept, as the least sure are left out; 0.5 is
            chance. NaN as above.

    Ref: Siu, Gish and Richardson, Improved estimation, evaluation and applications of confidence measures, 1997, for
    the normalised cross-entropy (NIST's); Naeini, Cooper and Hauskrecht, 2015, for the calibration error.
    """

    confidence: np.ndarray
    right: np.ndarray
    n_words: np.ndarray
    calibration_error: float
    cross_entropy: float
    area: float

    def __repr__(self) -> str:
        return brief_repr(self)


def reliability(confidence: np.ndarray, right: np.ndarray, *, n_bins: int = 15) -> Reliability:
    """How well confidences tell which words are right.

    Args:
        confidence: float (n_words,), 0 to 1; one at least.
        right: bool (n_words,).

    Raises:
        ValueError: for no words, or different lengths.
    """
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, bool)
    if not len(confidence) or confidence.shape != right.shape:
        raise ValueError(f"confidences {confidence.shape}, right {right.shape}; need one of each for a word or more")
    order = np.argsort(confidence, kind="stable")
    bins = [part for part in np.array_split(order, n_bins) if len(part)]
    means = np.array([confidence[part].mean() for part in bins])
    rights = np.array([right[part].mean() for part in bins])
    counts = np.array([len(part) for part in bins])
    error = float((counts * np.abs(means - rights)).sum() / counts.sum())
    return Reliability(means, rights, counts, error, _cross_entropy(confidence, right), _area(confidence, right))


def _cross_entropy(confidence: np.ndarray, right: np.ndarray) -> float:
    n, n_right = len(right), int(right.sum())
    if n_right in (0, n):
        return math.nan
    share = n_right / n
    whole = -(n_right * math.log(share) + (n - n_right) * math.log(1.0 - share))
    p = np.clip(confidence, 1e-7, 1.0 - 1e-7)
    mine = -(np.log(p[right]).sum() + np.log1p(-p[~right]).sum())
    return float((whole - mine) / whole)


def _area(confidence: np.ndarray, right: np.ndarray) -> float:
    """By ranks (Mann and Whitney), where equal confidences share theirs."""
    n, n_right = len(right), int(right.sum())
    if n_right in (0, n):
        return math.nan
    from scipy.stats import rankdata

    ranks = rankdata(confidence)
    return float((ranks[right].sum() - n_right * (n_right + 1) / 2) / (n_right * (n - n_right)))
