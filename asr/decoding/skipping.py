"""Frame skipping: output frames of a CTC network that are blanks almost surely need no search."""

from typing import TYPE_CHECKING

import numpy as np

from ..ctc.check import check_log_probs
from ..ctc.tokens import BLANK
from ..errors import ModelError

if TYPE_CHECKING:
    from . import BestPath, ViterbiDecoder


def rows_to_search(log_probs: np.ndarray, threshold: float = 0.99) -> np.ndarray:
    """int64 (n_kept,): output frames to search: those that may hold a unit, and the first of each stretch of blanks.

    Most rows of a trained network are blanks beyond doubt. All paths take the blank there, so that leaving such a row
    out changes all scores by the same; only one of a stretch must stay, since it keeps two equal units apart.

    Args:
        log_probs: float32 (n_rows, n_columns), the network's own: without priors taken from them.
        threshold: rows whose blank is more probable than this are left out, 0.5 to 1; 1 keeps all.

    Raises:
        ModelError: for another threshold.

    Ref: Chen, Zhuang, Qian and Yu, Phone synchronous speech recognition with CTC lattices, 2016.

    Examples:
        >>> rows_to_search(np.log(np.array([[0.1, 0.9], [0.995, 0.005], [0.998, 0.002], [0.3, 0.7]], np.float32)))
        array([0, 1, 3])
    """
    if not 0.5 <= threshold <= 1:
        raise ModelError(f"threshold={threshold}; need 0.5 to 1")
    blank = check_log_probs(log_probs)[:, 0] > np.log(threshold) if threshold < 1 else np.zeros(len(log_probs), bool)
    return np.flatnonzero(~blank | ~np.concatenate([[False], blank[:-1]]))


def decode_spoken_rows(
    decoder: "ViterbiDecoder", scores: np.ndarray, log_probs: np.ndarray, threshold: float = 0.99
) -> "BestPath":
    """The decoder's best path through the output frames that need a search, with blanks in all others.

    Args:
        scores: float32 (n_rows, n_columns), what the decoder is given: log_probs, or with priors taken from them.
        log_probs: as of `rows_to_search`. The path's scores are those of the rows that were searched.
        threshold: see `log_probs`.

    Raises:
        ModelError: for scores and log_probs of different shapes.
    """
    if scores.shape != log_probs.shape:
        raise ModelError(f"scores of shape {scores.shape}, log_probs of {log_probs.shape}; need the same")
    kept = rows_to_search(log_probs, threshold)
    path = decoder.decode(np.ascontiguousarray(scores[kept]))
    labels = np.full(len(scores), BLANK, np.int32)
    labels[kept] = path.labels
    return path._replace(labels=labels)
