"""Delta features: how each feature changes over time."""

import numpy as np


def delta(features: np.ndarray, *, order: int = 2, window: int = 2) -> np.ndarray:
    """The features and their time derivatives, float32 (n_frames, dim * (order + 1)).

    The first derivative is the slope of the line fitted to the 2 * window + 1 frames around; each higher one is the
    slope of the one before. Before the first frame and after the last, the first and the last frame are repeated.

    features: float32 (n_frames, dim).
    order: highest derivative, 0 or more; window: frames on each side, 1 or more.
    Raises ValueError for another shape, order or window.

    Same as Kaldi's add-deltas --delta-order --delta-window.   Ref: Furui, 1986.
    >>> delta(np.arange(5.0)[:, None], order=1)[2]
    array([2., 1.], dtype=float32)
    """
    features = np.ascontiguousarray(features, dtype=np.float32)
    if features.ndim != 2:
        raise ValueError(f"features have shape {features.shape}; need (n_frames, dim)")
    if order < 0 or window < 1:
        raise ValueError(f"order={order}, window={window}; need order 0 or more and window 1 or more")
    n_frames, dim = features.shape
    result = np.empty((n_frames, dim * (order + 1)), dtype=np.float32)
    result[:, :dim] = features
    if n_frames == 0:
        return result
    reach = order * window
    padded = np.pad(features, ((reach, reach), (0, 0)), mode="edge")
    slope = np.arange(-window, window + 1) / (2 * sum(j * j for j in range(1, window + 1)))
    weights = np.ones(1)
    for k in range(1, order + 1):
        weights = np.convolve(weights, slope)
        block = result[:, k * dim : (k + 1) * dim]
        block[:] = 0
        for offset, weight in enumerate(weights.astype(np.float32), start=reach - k * window):
            if weight:
                block += weight * padded[offset : offset + n_frames]
    return result
