"""Silence. Pauses are told by their loudness; digital silence, which no microphone made, is replaced by such frames.

A muted call, a noise gate or an editor leaves exact zeros, or a constant with a step or two of rounding. Their log mel
energies lie some 25 nats below those of any microphone's noise, so a few of them move the mean of all frames, and no
model has seen their like. A pipeline therefore marks such frames, counts them in no mean, and puts frames of a pause in
their place. (Kaldi's dither of one step hides the zeros, but moves the mean all the same.)
"""

from collections.abc import Iterator, Sequence

import numpy as np

from .frames import Framing, mirrored

# A frame, or a recording, whose samples stay this close to their middle holds nothing: 1.6 steps of 16 bits, more than
# rounding and a step of noise make even after resampling, and less than the weakest of microphones.
PEAK = 5e-5

# In a recording so weak that this part of its range is less than that, a frame must be as quiet as this part to hold
# nothing, or as one step of 16 bits: speech 40 dB too weak has vowels of a few steps.
_PART, _STEP = 0.05, 3.1e-5

# So many that no Gaussian can sit on a single one of them, and so few that all come in half a second: with 256, models
# that were trained on short silences inserted words in the later frames of long ones.
_PAUSE_FRAMES = 48
_QUIETEST = 0.1  # part of the frames that is taken for pauses
_SPREAD = 0.25  # of their standard deviation: what lies far from the middle sounds like a word now and then


def is_silent(samples: np.ndarray) -> bool:
    """Whether all samples, floats in [-1, 1], are nearly equal: nothing was recorded, or nobody said anything."""
    return len(samples) == 0 or float(samples.max()) - float(samples.min()) <= 2 * PEAK


def silent_frames(samples: np.ndarray, framing: Framing, earlier: tuple[float, float] | None = None) -> np.ndarray:
    """Which frames are digital silence, bool (n_frames,), as far as can be told at the end of each.

    Args:
        samples: float (n_samples,) in [-1, 1], long enough for a frame.
        earlier: the smallest and the largest sample of what was before them.
    """
    n_frames = framing.n_frames(len(samples))
    begin = framing.first_sample(0)
    used = (n_frames - 1) * framing.shift + framing.size
    if begin >= 0 and begin + used <= len(samples):
        part = samples[begin : begin + used]
    else:
        part = samples[mirrored(np.arange(begin, begin + used), len(samples))]
    frames = np.lib.stride_tricks.sliding_window_view(part, framing.size)[:: framing.shift]
    lowest, highest = earlier or (np.inf, -np.inf)
    ends = np.minimum(begin + framing.size + framing.shift * np.arange(n_frames), len(samples)) - 1
    low, high = np.minimum.accumulate(samples)[ends], np.maximum.accumulate(samples)[ends]
    loudest = np.maximum(high, highest) - np.minimum(low, lowest)
    largest = np.where(loudest <= 2 * PEAK, 2 * PEAK, np.clip(_PART * loudest, _STEP, 2 * PEAK))
    return frames.max(axis=1) - frames.min(axis=1) <= largest


def pause_frames(features: Sequence[np.ndarray]) -> np.ndarray:
    """Frames as pauses have them, float32 (48, dim), drawn from the distribution of the quietest frames of all.

    They are drawn and not taken, as a real pause holds a breath or the end of a word here and there, and a model would
    hear them again and again. Neighbours are alike, the last and the first one too, as frames overlap in real pauses.

    Args:
        features: normalised matrices (n_frames, dim) of training speech without digital silence, one frame at least;
            their first column rises with loudness.
    """
    threshold = np.quantile(np.concatenate([matrix[:, 0] for matrix in features]), _QUIETEST)
    quiet = np.concatenate([matrix[matrix[:, 0] <= threshold] for matrix in features]).astype(np.float64)
    mean, dim = quiet.mean(axis=0), quiet.shape[1]
    covariance = np.cov(quiet, rowvar=False, bias=True).reshape(dim, dim) + 1e-6 * np.eye(dim)
    white = np.random.default_rng(0).standard_normal((_PAUSE_FRAMES, dim))
    smooth = _SPREAD * (white + np.roll(white, 1, axis=0)) / np.sqrt(2)
    return np.ascontiguousarray(mean + smooth @ np.linalg.cholesky(covariance).T, dtype=np.float32)


def equal_rows(features: np.ndarray, silence: np.ndarray | None) -> np.ndarray:
    """Which frames are marked as digital silence, bool (n_frames,).

    Args:
        features: (n_frames, dim).
        silence: (k,), what the first k values of such a frame are; None: there is no such frame.
    """
    if silence is None:
        return np.zeros(len(features), bool)
    return (features[:, : len(silence)] == silence).all(axis=1)


def with_pauses(features: np.ndarray, silent: np.ndarray, pauses: np.ndarray | None, first: int = 0) -> np.ndarray:
    """Features with frames of pauses in place of digital silence; the same array where there is nothing to do.

    Args:
        features: float32 (n_frames, dim).
        silent: bool (n_frames,).
        pauses: float32 (n, dim), used in turn, or None.
        first: the number of the first frame in its recording, which says with which pause frame a piece begins.
    """
    if pauses is None or not silent.any():
        return features
    result = features.copy()
    result[silent] = pauses[(first + np.flatnonzero(silent)) % len(pauses)]
    return result


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
