"""Signals made from signals: another speed, noise, a room's echoes, recordings joined into longer ones."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr
from . import check_rate

_WINDOW_MS = 16.0  # of the frames whose spectra make a noise floor; short enough to fit between two sounds
_QUIETEST = 0.1  # part of the frames taken for the floor


class Joined(NamedTuple):
    """Recordings in a row.

    Attributes:
        samples: float32 (n_samples,).
        edges: (first sample, one past the last sample) of each recording inside `samples`.
    """

    samples: np.ndarray
    edges: list[tuple[int, int]]

    def __repr__(self) -> str:
        return brief_repr(self)


def change_speed(samples: np.ndarray, rate: int, factor: float) -> np.ndarray:
    """The recording played `factor` times as fast, at the same sample rate: shorter and higher for factors above 1.

    Speakers of another rate and another length of the vocal tract, for training. The samples are taken as if they had
    been recorded at `factor * rate` and resampled to `rate`.

    Args:
        samples: float32 (n_samples,), at `rate` Hz.
        factor: 0.5 to 2; 0.9 and 1.1 are usual.

    Returns:
        float32 (about n_samples / factor,); the same samples for 1.

    Same as sox's effect `speed`, which Kaldi's perturb_data_dir_speed.sh uses.   Ref: Ko et al., 2015, Audio
    augmentation for speech recognition.
    """
    if not 0.5 <= factor <= 2.0:
        raise ValueError(f"factor={factor}; need 0.5 to 2")
    check_rate(rate)
    if factor == 1.0:
        return samples
    import soxr

    return soxr.resample(samples, rate * factor, rate).astype(np.float32)


def add_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """The recording with noise behind all of it, at a signal-to-noise ratio.

    Noise that is longer is used from a place drawn by chance; noise that is shorter is repeated from such a place on.
    Powers are means over the whole recording and over the noise that is used. The sum may leave [-1, 1], which features
    do not mind; scale it down before writing it to a file.

    Args:
        samples: float32 (n_samples,), at the same rate.
        noise: float32 (n_samples,), at the same rate.
        snr_db: the recording's power over the noise's, dB; 5 to 20 are usual.

    Returns:
        float32 (n_samples,); the same samples where either is silent, as then no ratio can be had.

    Same as Kaldi's wav-reverberate --additive-signals --snrs with one noise.
    """
    if not np.isfinite(snr_db):
        raise ValueError(f"snr_db={snr_db}; need a finite number")
    if not len(samples) or not len(noise):
        return samples
    n_places = len(noise) - len(samples) + 1 if len(noise) >= len(samples) else len(noise)
    begin = int(rng.integers(n_places))
    used = np.resize(np.roll(noise, -begin), len(samples)).astype(np.float64)
    power, noise_power = np.mean(np.square(samples, dtype=np.float64)), np.mean(np.square(used))
    if power == 0.0 or noise_power == 0.0:
        return samples
    gain = np.sqrt(power / noise_power / 10 ** (snr_db / 10))
    return (samples + gain * used).astype(np.float32)


def reverberate(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The recording as a microphone in a room has it: as long, as loud, and not later.

    The convolution with the room's impulse response, from its loudest sample on, which is the direct sound, so that
    alignments stay right; scaled to the recording's power.

    Args:
        samples: float32 (n_samples,).
        response: float (n_taps,), at the same rate, e.g. from `room_response`.

    Returns:
        float32 (n_samples,).

    Same as Kaldi's wav-reverberate --shift-output --normalize-output.   Ref: Ko et al., 2017, A study on data
    augmentation of reverberant speech for robust speech recognition.
    """
    if not len(response) or not np.any(response) or not np.all(np.isfinite(response)):
        raise ValueError("an impulse response needs samples that are finite and not all 0")
    if not len(samples):
        return samples
    from scipy.signal import oaconvolve

    direct = int(np.argmax(np.abs(response)))
    wet = oaconvolve(samples.astype(np.float64), np.asarray(response, np.float64))[direct : direct + len(samples)]
    power, wet_power = np.mean(np.square(samples, dtype=np.float64)), np.mean(np.square(wet))
    return (wet * np.sqrt(power / wet_power) if wet_power > 0 else wet).astype(np.float32)


def room_response(
    rate: int, decay_seconds: float, rng: np.random.Generator, *, direct_to_echoes_db: float = 5.0
) -> np.ndarray:
    """An impulse response like a room's: the direct sound, then noise that dies away exponentially.

    Args:
        rate: Hz.
        decay_seconds: the time in which the echoes fall by 60 dB (RT60); rooms have 0.2 to 0.8.
        direct_to_echoes_db: energy of the direct sound over that of all echoes; small far from the microphone.

    Returns:
        float32 (n_taps,), down to -60 dB, with 1 at the start.

    Ref: Polack, 1988; the simplest model of a room: its early reflections have no places of their own.
    """
    if not 0.0 < decay_seconds < 60.0:
        raise ValueError(f"decay_seconds={decay_seconds}; need more than 0 and less than 60")
    times = np.arange(1, max(2, round(decay_seconds * rate))) / rate
    echoes = rng.standard_normal(len(times)) * 10 ** (-3 * times / decay_seconds)
    echoes *= 10 ** (-direct_to_echoes_db / 20) / np.sqrt(np.sum(echoes**2))
    return np.concatenate([[1.0], echoes]).astype(np.float32)


def noise_floor(recordings: Sequence[np.ndarray], rate: int) -> np.ndarray:
    """The power spectrum of the noise in recordings: the mean over the quietest tenth of all their frames.

    Frames last 16 ms and overlap by half. Take recordings of one place: a word that was cut out closely has no silence
    of its own, but among a few of them some have. Where none has, this is the level of their weakest sounds.

    Args:
        recordings: float32 (n_samples,) each, at `rate` Hz; one that is shorter than a frame is filled with zeros.

    Returns:
        float64 (n_bins,): power per sample at frequencies from 0 to rate / 2, such that white noise of variance v has v
        everywhere.
    """
    size = max(2, round(_WINDOW_MS * rate / 2000) * 2)
    window = np.hanning(size + 1)[:-1]
    spectra = []
    for samples in recordings:
        padded = np.pad(np.asarray(samples, np.float64), (0, max(0, size - len(samples))))
        frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
        spectra.append(np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 / np.sum(window**2))
    power = np.concatenate(spectra)
    n_quiet = max(1, round(_QUIETEST * len(power)))
    return power[np.argsort(power.sum(axis=1), kind="stable")[:n_quiet]].mean(axis=0)


def floor_noise(spectrum: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise with a power spectrum, float32 (n_samples,).

    Args:
        spectrum: float64 (n_bins,), as from `noise_floor`.
    """
    if n_samples == 0:
        return np.zeros(0, np.float32)
    size = max(n_samples, 2 * len(spectrum))
    white = np.fft.rfft(rng.standard_normal(size))
    bins = np.linspace(0, len(spectrum) - 1, len(white))
    gain = np.sqrt(np.interp(bins, np.arange(len(spectrum)), spectrum))
    return np.fft.irfft(white * gain, n=size)[:n_samples].astype(np.float32)


def join(
    recordings: Sequence[np.ndarray],
    pauses_ms: Sequence[float],
    rate: int,
    rng: np.random.Generator,
    *,
    floor: np.ndarray | None = None,
) -> Joined:
    """Recordings in a row, with pauses that sound like the recordings' own silence.

    The recordings' samples are not changed: no cross-fade, no trimming, no gain. The pauses are Gaussian noise with
    the noise floor of all the recordings together, as one background would be there all the time.

    Args:
        recordings: float32 (n_samples,) each, at `rate` Hz; one or more.
        pauses_ms: before the first, between, and after the last: one more than there are recordings.
        rng: draws the noise.
        floor: float64 (n_bins,), the pauses' spectrum instead, e.g. the `noise_floor` of more recordings of that place.

    Examples:
        >>> found = join([np.ones(8, np.float32)] * 2, [0, 1, 0], 8000, np.random.default_rng(0))
        >>> found.edges, len(found.samples)
        ([(0, 8), (16, 24)], 24)
    """
    if not recordings or len(pauses_ms) != len(recordings) + 1:
        raise ValueError(f"{len(pauses_ms)} pauses for {len(recordings)} recordings; need one more, and a recording")
    if min(pauses_ms) < 0:
        raise ValueError(f"a pause of {min(pauses_ms)} ms; need 0 or more")
    floor = noise_floor(recordings, rate) if floor is None else floor
    pauses = [floor_noise(floor, round(ms * rate / 1000), rng) for ms in pauses_ms]
    pieces, edges, length = [pauses[0]], [], len(pauses[0])
    for samples, pause in zip(recordings, pauses[1:], strict=True):
        pieces += [np.asarray(samples, np.float32), pause]
        edges.append((length, length + len(samples)))
        length += len(samples) + len(pause)
    return Joined(np.concatenate(pieces), edges)
