"""Pauses, from how loud a recording's frames are: CTC tells what was said, but not when it began or ended."""

import numpy as np

_SMOOTHED = 15  # frames of the median that takes out clicks and closures of stops
_LEAST_PAUSE = 15  # frames; stops close the mouth for less
_LEAST_SPEECH = 24  # frames between the recording's edge and a pause; what is shorter is a noise
_QUIET = 0.25  # how far a frame may be on the way from the mean of the quiet ones to that of the loud ones


def find_pauses(loudness: np.ndarray) -> list[tuple[int, int]]:
    """Stretches of frames without speech, the ends not included, in order.

    Two levels are found in a recording, so that neither gain nor noise need to be known. In one without pauses the
    quiet frames are parts of speech, and stretches of them mostly too short to be taken for one.

    loudness: (n_frames,) logarithms of energy, of frames 10 ms apart, on any scale.
    Ref: Otsu, A threshold selection method from gray-level histograms, 1979.

    >>> find_pauses(np.repeat([0.0, 9.0, 0.0], [40, 100, 50]))
    [(0, 40), (140, 190)]
    """
    from scipy.ndimage import median_filter

    if len(loudness) < 2 * _LEAST_PAUSE:
        return []
    loudness = median_filter(np.asarray(loudness, np.float64), _SMOOTHED, mode="nearest")
    quiet, loud = _two_levels(loudness)
    pauses = [run for run in _runs(loudness < quiet + _QUIET * (loud - quiet)) if run[1] - run[0] >= _LEAST_PAUSE]
    if pauses and 0 < pauses[0][0] < _LEAST_SPEECH:
        pauses[0] = (0, pauses[0][1])
    if pauses and 0 < len(loudness) - pauses[-1][1] < _LEAST_SPEECH:
        pauses[-1] = (pauses[-1][0], len(loudness))
    return [] if pauses == [(0, len(loudness))] else pauses


def _two_levels(values: np.ndarray) -> tuple[float, float]:
    """The means of the lower and the upper values, cut where those differ most, as Otsu has it."""
    ordered = np.sort(values)
    n_lower = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    lower, upper = sums[:-1] / n_lower, (sums[-1] - sums[:-1]) / n_lower[::-1]
    best = int(np.argmax(n_lower * n_lower[::-1] * (upper - lower) ** 2))
    return float(lower[best]), float(upper[best])


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Where a mask is true without a break."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
