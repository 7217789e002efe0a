"""Quiet and loud frames of a recording, which pauses are told by."""

from collections.abc import Iterator

import numpy as np


def loudness_threshold(loudness: np.ndarray) -> float:
    """The value that divides frames into quiet and loud ones, so that the two groups differ most from each other.

    It maximises the variance between the groups, n_quiet * n_loud * (mean_loud - mean_quiet)².

    Args:
        loudness: (n_frames,), two different values or more.   Ref: Otsu, 1979, eq. 14.

    Examples:
        >>> loudness_threshold(np.array([0.0, 1.0, 9.0, 10.0, 11.0]))
        5.0
    """
    values, counts = np.unique(np.asarray(loudness, np.float64), return_counts=True)
    n_quiet, sum_quiet = np.cumsum(counts)[:-1], np.cumsum(counts * values)[:-1]
    n_loud, sum_loud = counts.sum() - n_quiet, counts @ values - sum_quiet
    best = int(np.argmax(n_quiet * n_loud * (sum_loud / n_loud - sum_quiet / n_quiet) ** 2.0))
    return float((values[best] + values[best + 1]) / 2)


def stretches(mask: np.ndarray, kind: bool) -> Iterator[tuple[int, int]]:
    """(start, end) of each run of `kind` in a mask, bool (n_frames,); the ends are not included."""
    edges = np.flatnonzero(np.diff(np.concatenate([[not kind], mask, [not kind]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
