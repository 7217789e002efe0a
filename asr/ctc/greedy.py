"""The most probable unit of each frame, without a language model."""

import numpy as np

from .check import check_log_probs


def greedy(log_probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The units of the most probable path (best path decoding): repetitions are merged, blanks removed.

    Args:
        log_probs: float32 (n_frames, n_columns); column 0 is the blank.

    Returns:
        int32 (n_units,), columns, and int32 (n_units,), the frame that each begins at.

    Raises:
        ModelError: for another shape or NaN.

    Ref: Graves et al., 2006, best path decoding.

    Examples:
        >>> greedy(np.log(np.array([[0.1, 0.9], [0.1, 0.9], [0.8, 0.2], [0.4, 0.6]], np.float32)))
        (array([1, 1], dtype=int32), array([0, 3], dtype=int32))
    """
    best = check_log_probs(log_probs).argmax(axis=1) if len(log_probs) else np.zeros(0, np.int64)
    begins = (best != 0) & (best != np.concatenate([[-1], best[:-1]]))
    frames = np.flatnonzero(begins)
    return best[frames].astype(np.int32), frames.astype(np.int32)
