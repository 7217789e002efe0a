"""The fundamental frequency of speech and how voiced it is, frame by frame, and features made of them.

The signal is compared with itself a pitch period later; of all periods, the best sequence without leaps is found.
"""

import functools
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ..audio import as_rate
from ..display.brief import brief_repr
from ..options import takes_options
from .frames import INT16_SCALE, Arrays, Framing, checked_samples, of_each
from .options import PitchOptions

"""Values per frame of `pitch`."""

_INTERPOLATED = 5  # lags either side that a correlation between them is interpolated from
_POV_SCALE, _PITCH_SCALE, _DELTA_SCALE = 2.0, 2.0, 10.0  # Kaldi's: they give the three features similar ranges
_FRAMES_AT_ONCE = 2048  # so that a long recording does not take all memory
_SILENCE = 1e-14  # part of the recording's mean energy below which there are only rounding errors, which correlate too
_MEAN_FRAMES = 75  # either side, of the mean that is subtracted from the logarithm of the pitch


class PitchTrack(NamedTuple):
    """The pitch of each frame, whether it is voiced or not.

    Attributes:
        hz: float64 (n_frames,): the fundamental frequency; a line between the voiced stretches where there is none.
        correlation: float64 (n_frames,): of the signal with itself a period later, -1 to 1.
    """

    hz: np.ndarray
    correlation: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def voicing(self) -> np.ndarray:
        """float64 (n_frames,): how probably a frame is voiced, 0 to 1, by Kaldi's fit to marked speech."""
        n = np.abs(self.correlation)
        odds = -5.2 + 5.4 * np.exp(7.5 * (n - 1)) + 4.8 * n - 2 * np.exp(-10 * n) + 4.2 * np.exp(20 * (n - 1))
        return 1 / (1 + np.exp(-odds))


@takes_options(PitchOptions)
def track_pitch(
    samples: np.ndarray,
    rate: float,
    *,
    options: PitchOptions | None = None,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    snip_edges: bool = True,
    window: float = 25.0,
    min_f0: float = 50.0,
    max_f0: float = 400.0,
    soft_min_f0: float = 10.0,
    penalty_factor: float = 0.1,
    delta_pitch: float = 0.005,
    nccf_ballast: float = 7000.0,
    lowpass_cutoff: float = 1000.0,
    resample_freq: float = 4000.0,
) -> PitchTrack:
    """The fundamental frequency of each frame.

    Args:
        samples: (n_samples,), one channel: floats in [-1, 1], or integers of 8, 16 or 32 bits.
        rate: Hz.
        options: all settings at once; those given by name replace single ones.
        frame_length: frames are those of `mfcc` with the same values.
        frame_shift: frames are those of `mfcc` with the same values.
        snip_edges: frames are those of `mfcc` with the same values.
        window: ms, of each of the two stretches that are compared.
        min_f0: Hz.
        max_f0: Hz.
        soft_min_f0: Hz, how much the search leans to high pitch.
        penalty_factor: cost of a change.
        delta_pitch: ratio of neighbouring pitches in the search, less 1.
        nccf_ballast: how much loud frames count more.
        lowpass_cutoff: Hz, what is above is not looked at.
        resample_freq: Hz, more than twice that.

    Raises:
        AudioError: for samples that are not finite or shorter than a frame.
        TypeError: for an unknown name.
        ValueError: for an impossible value.

    In the manner of Kaldi's compute-kaldi-pitch-feats; but a frame's pitch is that around its middle for every period,
    and all frames are known before the best sequence is chosen.   Ref: Ghahremani et al., A pitch extraction algorithm
    tuned for automatic speech recognition, 2014.

    Examples:
        >>> time = np.arange(16000) / 16000
        >>> round(float(track_pitch(np.sign(np.sin(2 * np.pi * 125 * time)) / 4, 16000).hz[50]))
        125
    """
    from .pitch_kernels import advance, correlate, trace_back  # numba takes a while, which importing mfcc should not

    options = options or PitchOptions()
    framing, ratio = check_pitch(options, as_rate(rate))
    checked = checked_samples(samples, framing, as_rate(rate))
    signal = _low_passed((checked * INT16_SCALE).astype(np.float64), as_rate(rate), ratio, options)
    n_frames = framing.n_frames(len(checked))
    middles = framing.first_sample(0) + framing.size / 2 + framing.shift * np.arange(n_frames)
    search = _search(options)
    size = round(options.window * options.resample_freq / 1000)
    margin = size + int(search.lags[-1])  # silence around the signal, for windows that reach beyond its ends
    padded = np.concatenate([np.zeros(margin), signal, np.zeros(margin)])
    centres = np.round(middles * ratio.numerator / ratio.denominator).astype(np.int64) + margin
    energy = signal.var() * size
    plain, back = np.empty((n_frames, len(search.lags))), np.empty((n_frames, len(search.periods)), np.int16)
    total = np.zeros(len(search.periods))
    for begin in range(0, n_frames, _FRAMES_AT_ONCE):
        some = slice(begin, begin + _FRAMES_AT_ONCE)
        ballasted = np.empty_like(plain[some])
        floor, ballast = _SILENCE * energy, options.nccf_ballast * energy**2
        correlate(padded, centres[some], search.lags, size, floor, ballast, plain[some], ballasted)
        costs = 1 - (ballasted @ search.interpolation) * (1 - options.soft_min_f0 * search.periods)
        advance(costs, options.penalty_factor * np.log1p(options.delta_pitch) ** 2, total, back[some])
    path = np.empty(n_frames, np.int64)
    trace_back(total, back, path)
    correlation = np.empty(n_frames)
    for begin in range(0, n_frames, _FRAMES_AT_ONCE):
        some = slice(begin, begin + _FRAMES_AT_ONCE)
        correlation[some] = np.einsum("tl,lt->t", plain[some], search.interpolation[:, path[some]])
    return PitchTrack(1 / search.periods[path], np.clip(correlation, -1.0, 1.0))


def check_pitch(options: PitchOptions, rate: float) -> tuple[Framing, Fraction]:
    """How a signal is cut into frames, and what resample_freq is of its rate.

    Raises:
        ValueError: for options that are impossible at this rate.
    """
    framing = Framing.of(options, rate)
    if options.lowpass_cutoff >= rate / 2:
        raise ValueError(f"lowpass_cutoff={options.lowpass_cutoff:g}; need less than half the sampling rate, {rate:g}")
    ratio = Fraction(options.resample_freq / rate).limit_denominator(1000)
    if not ratio:
        raise ValueError(f"resample_freq={options.resample_freq:g}; need a 1000th of the sampling rate or more")
    return framing, ratio


@takes_options(PitchOptions)
def pitch(
    samples: Arrays,
    rate: float,
    *,
    lengths: Sequence[int] | np.ndarray | None = None,
    options: PitchOptions | None = None,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    snip_edges: bool = True,
    window: float = 25.0,
    min_f0: float = 50.0,
    max_f0: float = 400.0,
    soft_min_f0: float = 10.0,
    penalty_factor: float = 0.1,
    delta_pitch: float = 0.005,
    nccf_ballast: float = 7000.0,
    lowpass_cutoff: float = 1000.0,
    resample_freq: float = 4000.0,
) -> Arrays:
    """Pitch features for recognition, float32 (n_frames, 3): voicing, pitch relative to what is around, its slope.

    The first is made of the correlation a period later, less where frames are voiced. The second is the logarithm of
    the pitch less its mean over 1.5 s, in which frames count by their probability of being voiced. The third is the
    slope of the logarithm over five frames. Arguments and errors are those of `track_pitch`, and several recordings are
    taken as `mfcc` takes them.

    After Kaldi's process-kaldi-pitch-feats, without its random noise.

    Examples:
        >>> pitch(np.zeros(16000, dtype=np.float32), 16000).shape
        (98, 3)
    """
    return of_each(lambda one: _features(track_pitch(one, rate, options=options)), samples, lengths)


def _features(track: PitchTrack) -> np.ndarray:
    """What `pitch` makes of a track, float32 (n_frames, 3)."""
    level = np.log(track.hz)
    weights = track.voicing
    mean = _moving_sum(weights * level) / _moving_sum(weights)
    padded = np.pad(level, 2, mode="edge")
    slope = (2 * (padded[4:] - padded[:-4]) + padded[3:-1] - padded[1:-3]) / 10
    voiced = (1.0001 - track.correlation) ** 0.15 - 1
    columns = [_POV_SCALE * voiced, _PITCH_SCALE * (level - mean), _DELTA_SCALE * slope]
    return np.stack(columns, axis=1).astype(np.float32)


class _Search(NamedTuple):
    """Where periods are looked for.

    Attributes:
        lags: int64 (n_lags,), in samples.
        periods: float64 (n_periods,), in seconds, rising by an equal ratio.
        interpolation: float64 (n_lags, n_periods): what a correlation at a period is made of.
    """

    lags: np.ndarray
    periods: np.ndarray
    interpolation: np.ndarray


@functools.lru_cache(maxsize=16)
def _search(options: PitchOptions) -> _Search:
    """The periods from 1 / max_f0 to 1 / min_f0."""
    rate = options.resample_freq
    n_periods = 1 + int(np.log(options.max_f0 / options.min_f0) / np.log1p(options.delta_pitch))
    periods = (1 + options.delta_pitch) ** np.arange(n_periods) / options.max_f0
    first = max(1, int(periods[0] * rate) - _INTERPOLATED + 1)
    lags = np.arange(first, int(np.ceil(periods[-1] * rate)) + _INTERPOLATED)
    distance = periods * rate - lags[:, None]
    taper = 0.5 * (1 + np.cos(np.pi * np.clip(distance / _INTERPOLATED, -1, 1)))
    return _Search(lags, periods, np.sinc(distance) * taper)


def _low_passed(signal: np.ndarray, rate: float, ratio: Fraction, options: PitchOptions) -> np.ndarray:
    """The signal below lowpass_cutoff, at resample_freq."""
    from scipy.signal import firwin, resample_poly

    up, down = ratio.numerator, ratio.denominator
    taps = 2 * int(2 * rate * up / options.lowpass_cutoff) + 1  # a transition of about half the cutoff
    low = firwin(taps, options.lowpass_cutoff, window="hann", fs=rate * up)
    if up > 1:  # an offset would become a ripple, which has a pitch
        signal = signal - signal.mean()
    return resample_poly(signal, up, down, window=low)


def _moving_sum(values: np.ndarray) -> np.ndarray:
    """The sum over _MEAN_FRAMES frames either side, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    t = np.arange(len(values))
    return sums[np.minimum(t + _MEAN_FRAMES + 1, len(values))] - sums[np.maximum(t - _MEAN_FRAMES, 0)]
