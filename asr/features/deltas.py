"""Features with their surroundings: derivatives over time, and neighbouring frames side by side."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .frames import Arrays

# More is a slip, or a model made to take all memory and time.
_MOST_ORDER, _MOST_FRAMES = 20, 1000


def as_matrix(features: np.ndarray, dim: int | None = None) -> np.ndarray:
    """Features as float32, C-contiguous.

    Raises:
        ValueError: unless they are (n_frames, dim); dim None is any.
    """
    features = np.ascontiguousarray(features, dtype=np.float32)
    if features.ndim != 2 or (dim is not None and features.shape[1] != dim):
        raise ValueError(f"features have shape {features.shape}; need (n_frames, {'dim' if dim is None else dim})")
    return features


def check_delta(order: int, window: int) -> None:
    """Check the settings of `delta`.

    Raises:
        ValueError: for an impossible order or window.
    """
    if not 0 <= order <= _MOST_ORDER or not 1 <= window <= _MOST_FRAMES:
        raise ValueError(f"order={order}, window={window}; need order 0 to {_MOST_ORDER}, window 1 to {_MOST_FRAMES}")


def check_splice(left: int, right: int) -> None:
    """Check the settings of `splice`.

    Raises:
        ValueError: for impossible numbers of frames.
    """
    if not (0 <= left <= _MOST_FRAMES and 0 <= right <= _MOST_FRAMES):
        raise ValueError(f"left={left}, right={right}; need 0 to {_MOST_FRAMES}")


def is_batch(features: object) -> bool:
    """Whether these are the features of several recordings, as front-ends give them for a list."""
    return isinstance(features, (list, tuple)) and all(np.ndim(one) == 2 for one in features)


def of_each_matrix(compute: Callable[[np.ndarray], np.ndarray], features: Any) -> Any:
    """What is computed of the features of a recording, or of each of several, as a list."""
    return [compute(one) for one in features] if is_batch(features) else compute(features)


def delta(features: Arrays, *, order: int = 2, window: int = 2) -> Arrays:
    """The features and their time derivatives, float32 (n_frames, dim * (order + 1)).

    The first derivative is the slope of the line fitted to the 2 * window + 1 frames around; each higher one is the
    slope of the one before. Before the first frame and after the last, the first and the last frame are repeated.

    Args:
        features: float32 (n_frames, dim); or a list of such arrays, which gives a list.
        order: highest derivative, 0 to 20.
        window: frames on each side, 1 to 1000.

    Raises:
        ValueError: for another shape, order or window.

    Same as Kaldi's add-deltas --delta-order --delta-window.   Ref: Furui, 1986.

    Examples:
        >>> delta(np.arange(5.0)[:, None], order=1)[2]
        array([2., 1.], dtype=float32)
    """
    return of_each_matrix(partial(_delta, order=order, window=window), features)


def _delta(features: np.ndarray, order: int, window: int) -> np.ndarray:
    """The same of one recording."""
    features = as_matrix(features)
    check_delta(order, window)
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


def splice(features: np.ndarray, *, left: int = 4, right: int = 4) -> np.ndarray:
    """Each frame with its neighbours side by side, float32 (n_frames, dim * (left + 1 + right)).

    The earliest frame comes first. Before the first frame and after the last, these are repeated.

    Args:
        features: float32 (n_frames, dim).
        left: frames taken from before and from after, 0 to 1000.
        right: frames taken from before and from after, 0 to 1000.

    Raises:
        ValueError: for another shape or number.

    Same as Kaldi's splice-feats --left-context=4 --right-context=4.

    Examples:
        >>> splice(np.arange(3.0)[:, None], left=1, right=1)[0]
        array([0., 0., 1.], dtype=float32)
    """
    features = as_matrix(features)
    check_splice(left, right)
    n_frames, dim = features.shape
    neighbours = np.arange(n_frames)[:, None] + np.arange(-left, right + 1)
    return features[np.clip(neighbours, 0, n_frames - 1)].reshape(n_frames, dim * (left + 1 + right))
