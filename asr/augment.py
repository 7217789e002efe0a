"""Signals made from signals: another speed, noise like a recording's own, recordings joined into longer ones."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_WINDOW_MS = 16.0  # of the frames whose spectra make a noise floor; short enough to fit between two sounds
_QUIETEST = 0.1  # part of the frames taken for the floor


class Joined(NamedTuple):
    """Recordings in a row.

    samples: float32 (n_samples,).
    edges: (first sample, one past the last sample) of each recording inside `samples`.
    """

    samples: np.ndarray
    edges: list[tuple[int, int]]


def change_speed(samples: np.ndarray, rate: int, factor: float) -> np.ndarray:
    """The recording played `factor` times as fast, at the same sample rate: shorter and higher for factors above 1.

    Speakers of another rate and another length of the vocal tract, for training. The samples are taken as if they had
    been recorded at `factor * rate` and resampled to `rate`.

    samples: float32 (n_samples,), at `rate` Hz.
    factor: 0.5 to 2; 0.9 and 1.1 are usual.
    Returns float32 (about n_samples / factor,); the same samples for 1.

    Same as sox's effect `speed`, which Kaldi's perturb_data_dir_speed.sh uses.   Ref: Ko et al., 2015, Audio
    augmentation for speech recognition.
    """
    if not 0.5 <= factor <= 2.0:
        raise ValueError(f"factor={factor}; need 0.5 to 2")
    if factor == 1.0:
        return samples
    import soxr

    return soxr.resample(samples, rate * factor, rate).astype(np.float32)


def noise_floor(recordings: Sequence[np.ndarray], rate: int) -> np.ndarray:
    """The power spectrum of the noise in recordings: the mean over the quietest tenth of all their frames.

    Frames last 16 ms and overlap by half. Take recordings of one place: a word that was cut out closely has no silence
    of its own, but among a few of them some have. Where none has, this is the level of their weakest sounds.

    recordings: float32 (n_samples,) each, at `rate` Hz; one that is shorter than a frame is filled with zeros.
    Returns float64 (n_bins,): power per sample at frequencies from 0 to rate / 2, such that white noise of variance v
    has v everywhere.
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

    recordings: float32 (n_samples,) each, at `rate` Hz; one or more.
    pauses_ms: before the first, between, and after the last: one more than there are recordings.
    rng: draws the noise.
    floor: float64 (n_bins,), the pauses' spectrum instead, e.g. the `noise_floor` of more recordings of that place.

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
