"""Arrays of samples: full scale, channels, sampling rates."""

import logging
from collections.abc import Iterable, Iterator
from numbers import Real
from typing import Any

import numpy as np

from ..errors import AudioError

logger = logging.getLogger(__name__)

LOUDEST = 100.0  # float samples beyond this are on an integer scale, not in [-1, 1]
CANCELLED = 1e-3  # of the channels' power: with less in their mean, they are each other's negative
RATES = (1000, 1_000_000)  # Hz; a header that says less or more is damaged, and resampling it would take for ever


def check_rate(rate: Any, *, where: str = "samples") -> None:
    """Raise AudioError unless a sampling rate is a number of Hz that recordings have (RATES)."""
    is_number = isinstance(rate, Real) and not isinstance(rate, bool)
    if not is_number or not RATES[0] <= rate <= RATES[1]:
        raise AudioError(f"{where}: rate={rate!r}; need a number of Hz, {RATES[0]} to {RATES[1]}")


def need_rate(rate: Any, own: int) -> float:
    """The rate that came with samples for a model of `own` Hz.

    Raises:
        AudioError: for None, and as `check_rate`.
    """
    if rate is None:
        raise AudioError(f"samples: an array does not tell its rate: give rate=..., in Hz ({own} is the model's own)")
    return as_rate(rate)


def as_rate(rate: Any, *, where: str = "samples") -> float:
    """A sampling rate in Hz as a float, after `check_rate`: the one rule for all that take a rate."""
    check_rate(rate, where=where)
    return float(rate)


def resample(samples: np.ndarray, rate: float, new_rate: float) -> np.ndarray:
    """The signal at another sampling rate, float32 (about n_samples * new_rate / rate,).

    Args:
        samples: float32 (n_samples,).
        rate: Hz.
        new_rate: Hz.

    Raises:
        AudioError: for an impossible rate.
    """
    check_rate(rate)
    check_rate(new_rate, where="resampled samples")
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if rate == new_rate or len(samples) == 0:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate, new_rate, quality="HQ"), dtype=np.float32)


def resampled(pieces: Iterable[np.ndarray], rate: float, new_rate: float) -> Iterator[np.ndarray]:
    """Consecutive pieces at another rate: joined, they are `resample` of the joined pieces, to the bit.

    Args:
        pieces: float32 (n,) or (n, n_channels), each of any length. Some of what comes out may be empty.
    """
    if rate == new_rate:
        yield from pieces
        return
    import soxr

    stream, last = None, None
    for piece in pieces:
        if len(piece) == 0:
            continue
        if stream is None:
            n_channels = piece.shape[1] if piece.ndim == 2 else 1
            stream = soxr.ResampleStream(rate, new_rate, n_channels, dtype="float32", quality="HQ")
        if last is not None:
            yield stream.resample_chunk(last)
        last = np.ascontiguousarray(piece, dtype=np.float32)
    if stream is not None:
        yield stream.resample_chunk(last, last=True)


def check_samples(array: Any, *, channel: str | int = "mix", where: str = "samples") -> np.ndarray:
    """Samples given from Python as float32 (n_samples,) in [-1, 1].

    The one rule for every function that takes an array: floats are taken as they are; 8-, 16- and 32-bit integers are
    divided by their full scale (2^7, 2^15, 2^31; unsigned ones after their middle is taken off).

    Args:
        array: (n_samples,) or (n_samples, n_channels), as soundfile and scipy read them (scipy: 24 bits as the upper
            ones of 32).
        channel: "mix" or the number of one, from 0.
        where: what to call the array in messages.

    Raises:
        AudioError: for another shape or type, no samples, values that are not finite or floats far beyond [-1, 1].

    Examples:
        >>> check_samples(np.array([0, 16384, -32768], dtype=np.int16))
        array([ 0. ,  0.5, -1. ], dtype=float32)
    """
    refuse_pair(array, where)
    try:
        samples = np.asarray(array)
    except (ValueError, TypeError, RuntimeError) as error:  # the last: torch's, of a tensor with gradients
        raise AudioError(f"{where}: not an array of numbers ({error})") from None
    if samples.ndim not in (1, 2):
        raise AudioError(f"{where}: shape {samples.shape}; need (n_samples,) or (n_samples, n_channels)")
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        raise AudioError(
            f"{where}: shape {samples.shape} looks like channels first; need (n_samples, n_channels): pass array.T"
        )
    if samples.size == 0:
        raise AudioError(f"{where}: no samples (shape {samples.shape})")
    samples = _unit_scaled(samples, where)
    mixer = Mixer(channel, where)
    mono = mixer(samples if samples.ndim == 2 else samples[:, None])
    mixer.finish()
    if not np.isfinite(mono).all():
        bad = np.flatnonzero(~np.isfinite(mono))
        first = f"the first is sample {bad[0]}"
        raise AudioError(f"{where}: {len(bad)} of {len(mono)} samples are NaN or infinite, {first}")
    if (loudest := peak(mono)) > LOUDEST:
        raise AudioError(f"{where}: floats up to {loudest:g}; need [-1, 1]: divide by the full scale, or pass int16")
    return mono


def refuse_pair(samples: Any, where: str = "samples") -> None:
    """Raise AudioError for samples and their rate in one, as asr.audio.read, soundfile, librosa and scipy give them."""
    if isinstance(samples, tuple) and len(samples) == 2 and sum(isinstance(each, Real) for each in samples) == 1:
        order = "rate, samples" if isinstance(samples[0], Real) else "samples, rate"
        raise AudioError(f"{where}: a pair of samples and their rate; take it apart, {order} = ..., and pass both")


def _unit_scaled(samples: np.ndarray, where: str) -> np.ndarray:
    """Samples as float32; integers of a known full scale divided by it."""
    kind, bits = samples.dtype.kind, 8 * samples.dtype.itemsize
    if kind == "f":
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    if kind not in "iu" or bits > 32:
        hint = "; it has no known full scale" if kind in "iu" else ""
        raise AudioError(f"{where}: type {samples.dtype}{hint}; need floats in [-1, 1] or 8-, 16- or 32-bit integers")
    half = 2.0 ** (bits - 1)
    return ((samples - (half if kind == "u" else 0.0)) / half).astype(np.float32)


class Mixer:
    """(n, n_channels) -> float32 (n,): the mean of all channels, or one of them; piece by piece.

    `finish` says once whether the channels cancelled each other out in the mean.

    Args:
        channel: "mix" or the number of one, from 0.
        where: the recording's name in messages.
    """

    def __init__(self, channel: str | int, where: str):
        self.channel, self.where = channel, where
        self.power, self.mean_power = 0.0, 0.0

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        n_channels = samples.shape[1]
        if self.channel == "mix":
            if n_channels == 1:
                return np.ascontiguousarray(samples[:, 0])
            mean = samples.mean(axis=1, dtype=np.float32)
            self.mean_power += float(np.vdot(mean, mean))
            self.power += float(np.vdot(samples, samples)) / n_channels
            return mean
        if isinstance(self.channel, str) or not 0 <= self.channel < n_channels:
            number = self.channel + 1 if isinstance(self.channel, int) else self.channel
            have = "1" if n_channels == 1 else f"1 to {n_channels}"
            raise AudioError(
                f"{self.where}: has no channel {number}; it has {have} (in Python 0 to {n_channels - 1}, or 'mix')"
            )
        return samples[:, self.channel].copy()

    def finish(self) -> None:
        if self.mean_power < CANCELLED * self.power:
            advice = "take one of them: --channel 1 (in Python channel=0)"
            logger.warning("%s: its channels cancel each other out (opposite phase); %s", self.where, advice)


def peak(samples: np.ndarray) -> float:
    """The largest absolute value, without a second array as long as the recording."""
    return max(float(samples.max()), -float(samples.min()))
