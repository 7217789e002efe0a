"""Pauses, from how loud a recording's frames are: CTC posteriors are spiky and do not tell where words end."""

import numpy as np

from ..features.silence import loudness_threshold, stretches

_SMOOTHED = 0.15  # seconds of the median that takes out clicks and closures of stops
_LEAST_PAUSE = 0.15  # seconds; stops close the mouth for less
_LEAST_SPEECH = 0.16  # seconds between the recording's edge and a pause; what is shorter is a noise
_QUIET = 0.25  # how far a frame may be on the way from the mean of the quiet ones to that of the loud ones
_REACH = 0.09  # seconds that a unit is longer than its spike at most, on either side


def find_pauses(loudness: np.ndarray, frame_shift: float = 0.01) -> list[tuple[int, int]]:
    """Stretches of frames without speech, the ends not included, in order; none in what is shorter than 0.3 s.

    Two levels are found in a recording, so that neither gain nor noise need to be known. In one without pauses the
    quiet frames are parts of speech, and stretches of them mostly too short to be taken for one.

    Args:
        loudness: (n_frames,) logarithms of energy, on any scale.
        frame_shift: seconds from one frame to the next.

    Examples:
        >>> find_pauses(np.repeat([0.0, 9.0, 0.0], [40, 100, 50]))
        [(0, 40), (140, 190)]
    """
    from scipy.ndimage import median_filter

    smoothed, pause, speech = (round(s / frame_shift) for s in (_SMOOTHED, _LEAST_PAUSE, _LEAST_SPEECH))
    n = len(loudness)
    if n < max(2, 2 * pause):
        return []
    loudness = median_filter(np.asarray(loudness, np.float64), max(1, smoothed), mode="nearest")
    if loudness.min() == loudness.max():
        return []
    is_loud = loudness >= loudness_threshold(loudness)
    quiet, loud = loudness[~is_loud].mean(), loudness[is_loud].mean()
    pauses = [(p, q) for p, q in stretches(loudness < quiet + _QUIET * (loud - quiet), True) if q - p >= pause]
    if pauses and 0 < pauses[0][0] < speech:
        pauses[0] = (0, pauses[0][1])
    if pauses and 0 < n - pauses[-1][1] < speech:
        pauses[-1] = (pauses[-1][0], n)
    return [] if pauses == [(0, n)] else pauses


def rows_of_pauses(loudness: np.ndarray, frame_shift: float, subsampling: int) -> list[tuple[int, int]]:
    """The same in rows of a network's output, each of which stands for the frames around its middle.

    Args:
        subsampling: frames to a row.
    """
    half = subsampling // 2 + (subsampling - 1) // 2  # to the nearest boundary of rows; the first is before frame 0
    return [((p + half) // subsampling, (q + half) // subsampling) for p, q in find_pauses(loudness, frame_shift)]


def rows_of_reach(frame_shift: float, subsampling: int) -> int:
    """By how many rows a unit may be longer than its spike, on either side, where pauses are known."""
    return max(1, round(_REACH / (frame_shift * subsampling)))
