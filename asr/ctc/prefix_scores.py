"""CTC prefix probabilities: that a CTC network's output begins with a string, for many strings and all next units.

A search that makes strings unit by unit, such as with an attention decoder, asks this of each string it goes on with.
"""

from collections.abc import Sequence

import numpy as np

from ..jit import kernel
from .check import check_log_probs
from .kernels import log_add

NO_UNIT = 0  # the last unit of the empty string
_NEGLIGIBLE = -37.0  # nats below the largest term of a sum: less than a double's last digit
_ROWS = "Array(float32, 2, 'C', readonly=True)"


class PrefixScores:
    """The log probabilities of prefixes under one utterance's CTC output.

    A string has for each frame the probability that the frames so far say just this string, apart for paths that end
    in a blank and in the string's last unit: its `ends`, float64 (n_strings, 2, n_frames + 1), blanks first, of which
    column t is about the first t frames. The probability that the output begins with string and unit is the sum, over
    the frames in which that unit can begin, of the ends before times the unit's probability.

    Args:
        log_probs: float32 (n_frames, n_columns), column 0 the blank.

    Raises:
        ModelError: for another shape or NaN.

    Ref: Graves, 2008, Supervised sequence labelling with recurrent neural networks, section 7.5; Watanabe, Hori, Kim,
    Hershey and Hayashi, 2017, Hybrid CTC/attention architecture for end-to-end speech recognition, algorithm 2.

    Examples:
        >>> scores = PrefixScores(np.log(np.array([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]], np.float32)))
        >>> np.exp(scores.of_next(scores.start(), [0])).round(2).tolist()
        [[0.25, 0.6, 0.15]]
    """

    def __init__(self, log_probs: np.ndarray) -> None:
        self.log_probs = check_log_probs(log_probs)

    def start(self) -> np.ndarray:
        """The ends of the empty string, float64 (1, 2, n_frames + 1)."""
        blanks = np.concatenate([[0.0], np.cumsum(self.log_probs[:, 0], dtype=np.float64)])
        return np.stack([blanks, np.full(len(blanks), -np.inf)])[None]

    def of_next(self, ends: np.ndarray, last: Sequence[int] | np.ndarray) -> np.ndarray:
        """float64 (n_strings, n_columns): that the output begins with string and unit; column 0: that it is the string.

        Args:
            ends: of the strings.
            last: their last units, `NO_UNIT` for the empty string.
        """
        scores = np.empty((len(ends), self.log_probs.shape[1]))
        next_scores(self.log_probs, ends, np.asarray(last, np.int32), scores)
        return scores

    def extended(
        self,
        ends: np.ndarray,
        last: Sequence[int] | np.ndarray,
        parents: Sequence[int] | np.ndarray,
        units: Sequence[int] | np.ndarray,
    ) -> np.ndarray:
        """The ends of new strings, each one of the strings with a unit more.

        Args:
            parents: numbers of strings, one for each new string.
            units: the units that are added.
        """
        scores = np.empty((len(units), *ends.shape[1:]))
        arrays = (np.asarray(x, np.int32) for x in (last, parents, units))
        extend(self.log_probs, ends, *arrays, scores)
        return scores


@kernel(f"void({_ROWS}, float64[:, :, ::1], int32[::1], float64[:, ::1])")
def next_scores(log_probs, ends, last, next_score):
    """Fill `next_score` as `PrefixScores.of_next` says; each sum relative to its largest term, so that none is lost."""
    n_frames, n_columns = log_probs.shape
    highest = np.empty(n_columns)
    for i in range(len(ends)):
        highest[:] = -np.inf
        next_score[i] = 0.0
        for is_sum in (False, True):
            for t in range(n_frames):
                blank = ends[i, 0, t]
                any_end = log_add(blank, ends[i, 1, t])
                if any_end == -np.inf:
                    continue
                for unit in range(1, n_columns):
                    # Right after itself a unit is the same one still: there must be a blank between.
                    score = (blank if unit == last[i] else any_end) + log_probs[t, unit]
                    if not is_sum:
                        highest[unit] = max(highest[unit], score)
                    elif score - highest[unit] > _NEGLIGIBLE:  # False for NaN: both are -inf
                        next_score[i, unit] += np.exp(score - highest[unit])
        for unit in range(1, n_columns):
            next_score[i, unit] = -np.inf if highest[unit] == -np.inf else highest[unit] + np.log(next_score[i, unit])
        next_score[i, 0] = log_add(ends[i, 0, n_frames], ends[i, 1, n_frames])


@kernel(f"void({_ROWS}, float64[:, :, ::1], int32[::1], int32[::1], int32[::1], float64[:, :, ::1])")
def extend(log_probs, ends, last, parents, units, extended):
    """Fill `extended` with the ends of new strings, as `PrefixScores.extended` says."""
    for i in range(len(units)):
        parent, unit = parents[i], units[i]
        extended[i, :, 0] = -np.inf
        for t in range(log_probs.shape[0]):
            begins = ends[parent, 0, t]
            if unit != last[parent]:
                begins = log_add(begins, ends[parent, 1, t])
            blank, same = extended[i, 0, t], extended[i, 1, t]
            extended[i, 1, t + 1] = log_add(same, begins) + log_probs[t, unit]
            extended[i, 0, t + 1] = log_add(blank, same) + log_probs[t, 0]
