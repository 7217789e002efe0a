"""What rooms, microphones and editors do to a recording, drawn by chance, for training models that hear any of them.

Each function takes float32 samples (n_samples,) in [-1, 1] at `rate` Hz and gives such samples; those that draw take a
generator. `recorded_elsewhere` puts them together.
"""

from dataclasses import dataclass

import numpy as np

from .augment import add_noise, change_speed, floor_noise, noise_floor, reverberate, room_response

_TAPS = 101  # taps of filters


@dataclass(frozen=True)
class Conditions:
    """How often each thing happens to a recording, 0 to 1, in the order in which it does.

    Attributes:
        speed: it is played 0.85 to 1.15 times as fast.
        pauses: background before and behind it, 0.35 s each on average, 1.5 s at most: its own, or another one that is
            25 to 75 dB below its peak.
        click: of a switch or a mouth before it.
        breath: before it.
        response: another microphone's.
        room: its echoes.
        noise: 8 to 20 dB below it.
        hum: of the mains, 10 to 30 dB below its peak.
        zeros: up to 0.8 s before and behind it.
        gate: its quiet stretches are zeros.
        clipped: it is 6 to 24 dB too loud.
        level: its peak is 0 to 70 dB below full scale, whatever it was.
        coded: by a codec of few bits, as mp3 files of 8 kbit/s are.
    """

    speed: float = 0.5
    pauses: float = 0.6
    click: float = 0.2
    breath: float = 0.2
    response: float = 0.6
    room: float = 0.3
    noise: float = 0.35
    hum: float = 0.15
    zeros: float = 0.2
    gate: float = 0.1
    clipped: float = 0.25
    level: float = 0.4
    coded: float = 0.2


def recorded_elsewhere(
    samples: np.ndarray, rate: int, rng: np.random.Generator, conditions: Conditions | None = None
) -> np.ndarray:
    """The recording as if somebody else's equipment had made it: each of the conditions with its chance."""
    conditions, x = conditions or Conditions(), np.asarray(samples, np.float32)
    if not len(x) or not np.any(x):
        return x

    def happens(chance: float) -> bool:
        return bool(rng.random() < chance)

    if happens(conditions.speed):
        x = change_speed(x, rate, float(rng.uniform(0.85, 1.15)))
    floor = noise_floor([x], rate)
    if happens(conditions.pauses):
        x = np.concatenate([_background(x, rate, rng), x, _background(x, rate, rng)])
    if happens(conditions.click):
        gap = floor_noise(floor, int(rng.uniform(0, 0.2) * rate), rng)
        x = np.concatenate([_at_level(click(rate, rng), x, rng.uniform(-14, 0)), gap, x])
    elif happens(conditions.breath):
        gap = floor_noise(floor, int(rng.uniform(0.05, 0.3) * rate), rng)
        x = np.concatenate([_at_level(breath(rate, rng), x, rng.uniform(-28, -8)), gap, x])
    if happens(conditions.response):
        x = microphone(x, rng)
    if happens(conditions.room):
        x = room(x, rate, rng)
    if happens(conditions.noise):
        x = add_noise(x, coloured_noise(len(x), rng), float(rng.uniform(8, 20)), rng)
    if happens(conditions.hum):
        x = hum(x, rate, rng, float(rng.uniform(-30, -10)))
    if happens(conditions.gate):
        x = gated(x, rate, float(rng.uniform(-45, -30)))
    if happens(conditions.zeros):
        x = np.concatenate([np.zeros(int(rng.uniform(0, 0.8) * rate), np.float32), x])
        x = np.concatenate([x, np.zeros(int(rng.uniform(0, 0.8) * rate), np.float32)])
    if happens(conditions.clipped):
        x = clipped(x, float(rng.uniform(6, 24)))
    if happens(conditions.level):
        x = x * np.float32(10 ** (rng.uniform(-70, 0) / 20) / np.abs(x).max())
    if happens(conditions.coded):
        x = coded(x, rate, float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.6, 1)))
    return x.astype(np.float32)


def click(rate: int, rng: np.random.Generator) -> np.ndarray:
    """A click of 20 to 60 ms with a peak of 1: a burst of noise, a pulse of a few samples, or a tone that dies."""
    n = max(8, int(rng.uniform(0.02, 0.06) * rate))
    times, noise = np.arange(n) / rate, rng.standard_normal(n)
    kind = rng.integers(3)
    if kind == 0:
        sound = noise * np.exp(-times / rng.uniform(0.002, 0.012))
    elif kind == 1:
        start, width = int(rng.integers(n // 2)), int(rng.integers(1, max(2, rate // 400)))
        sound = np.where(
            (np.arange(n) >= start) & (np.arange(n) < start + width), rng.choice([-1.0, 1.0]), 0.01 * noise
        )
    else:
        frequency, decay = rng.uniform(300, 0.35 * rate), rng.uniform(0.001, 0.009)
        sound = np.sin(2 * np.pi * frequency * times) * np.exp(-times / decay) + 0.3 * noise * np.exp(-times / 0.004)
    return (sound / np.abs(sound).max()).astype(np.float32)


def breath(rate: int, rng: np.random.Generator) -> np.ndarray:
    """A breath of 0.15 to 0.5 s with a peak of 1: noise of a mouth's band that swells and fades."""
    n = int(rng.uniform(0.15, 0.5) * rate)
    low, high = rng.uniform(200, 500), min(rng.uniform(1500, 3500), 0.45 * rate)
    sound = _filtered(rng.standard_normal(n), [0.0, low / 2, low, high, rate / 2], [-10, -10, 0, -3, -14], rate)
    sound *= np.hanning(n) ** 0.7
    return (sound / np.abs(sound).max()).astype(np.float32)


def microphone(samples: np.ndarray, rng: np.random.Generator, *, decibels: float = 12.0) -> np.ndarray:
    """The recording by a microphone whose response rises and falls by up to `decibels`, smoothly."""
    levels = np.cumsum(3 * rng.standard_normal(9))
    return _filtered(samples, np.linspace(0, 1, 9), np.clip(levels - levels.mean(), -decibels, decibels), 2)


def room(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """The recording in a room of 0.2 to 0.6 s reverberation, whose echoes die away behind its end."""
    response = room_response(rate, rng.uniform(0.2, 0.6), rng, direct_to_echoes_db=rng.uniform(0, 10))
    return reverberate(np.concatenate([samples, np.zeros(rate // 10, np.float32)]), response)


def coloured_noise(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls with frequency by 0, 3 or 6 dB an octave, as that of hissing, rooms and traffic does."""
    spectrum = np.fft.rfft(rng.standard_normal(max(n_samples, 2)))
    spectrum /= np.arange(1, len(spectrum) + 1) ** (0.5 * rng.integers(3))
    return np.fft.irfft(spectrum, max(n_samples, 2))[:n_samples].astype(np.float32)


def hum(samples: np.ndarray, rate: int, rng: np.random.Generator, decibels: float = -20.0) -> np.ndarray:
    """The recording with the hum of the mains and its multiples.

    Args:
        decibels: the hum's peak to that of the recording.
    """
    times, mains = np.arange(len(samples)) / rate, rng.choice([50, 60])
    parts = ((1, 1.0), (2, rng.uniform(0, 0.6)), (3, rng.uniform(0, 0.8)), (5, rng.uniform(0, 0.4)))
    tone = sum(level * np.sin(2 * np.pi * (mains * k * times + rng.random())) for k, level in parts)
    return (samples + _at_level(np.asarray(tone), samples, decibels)).astype(np.float32)


def gated(samples: np.ndarray, rate: int, decibels: float = -35.0) -> np.ndarray:
    """The recording behind a noise gate: pieces of 10 ms whose level is this far below its peak, or farther, are 0."""
    size = max(1, rate // 100)
    padded = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    levels = np.sqrt(np.mean(np.square(padded, dtype=np.float64), axis=1))
    is_open = levels >= np.abs(samples).max(initial=0.0) * 10 ** (decibels / 20)
    return (padded * is_open[:, None]).reshape(-1)[: len(samples)].astype(np.float32)


def clipped(samples: np.ndarray, decibels: float) -> np.ndarray:
    """The recording so much too loud: its peaks are cut off where they were, and it is as loud as its peak was."""
    peak = np.abs(samples).max(initial=0.0)
    return np.clip(samples * 10 ** (decibels / 20), -peak, peak).astype(np.float32)


def coded(samples: np.ndarray, rate: int, kept: float = 0.1, band: float = 0.75) -> np.ndarray:
    """The recording after a codec that spends its bits on the strongest sounds alone, as MPEG's and Vorbis do.

    Args:
        kept: the part of the spectrum's lines that is left in each of eight bands, the strongest ones.
        band: the part of the frequencies that is coded at all; 0.75 is what mp3 leaves at 8 kbit/s.
    """
    from scipy.signal import istft, stft

    size = max(32, round(0.032 * rate) // 16 * 16)
    lines = stft(samples, nperseg=size)[2][:-1]  # without that of half the rate, so that bands are of one size
    lines[round(band * len(lines)) :] = 0
    bands = lines.reshape(8, -1, lines.shape[1])
    n_kept = max(1, round(kept * bands.shape[1]))
    weakest = np.sort(np.abs(bands), axis=1)[:, -n_kept, None]
    strong = np.where(np.abs(bands) >= weakest, bands, 0).reshape(lines.shape)
    sound = istft(np.concatenate([strong, np.zeros_like(strong[:1])]), nperseg=size)[1]
    return np.pad(sound, (0, max(0, len(samples) - len(sound))))[: len(samples)].astype(np.float32)


def _background(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A piece of a recording's background, or of another one, as what was cut off before or behind it."""
    n_samples = int(min(rng.exponential(0.35), 1.5) * rate)
    if rng.random() < 0.5:
        return floor_noise(noise_floor([samples], rate), n_samples, rng)
    noise = coloured_noise(2 * rate, rng)
    level = np.abs(samples).max() * 10 ** (rng.uniform(-75, -25) / 20)
    return (noise[:n_samples] * (level / noise.std())).astype(np.float32)


def _at_level(sound: np.ndarray, of: np.ndarray, decibels: float) -> np.ndarray:
    """A sound whose peak is at a level, dB, to the peak of a recording."""
    peak = np.abs(sound).max(initial=1e-12)
    return (sound * (np.abs(of).max(initial=0.0) / peak * 10 ** (decibels / 20))).astype(np.float32)


def _filtered(samples: np.ndarray, frequencies, decibels, rate: float) -> np.ndarray:
    """As long a signal through a filter of linear phase with these levels at these frequencies up to rate / 2."""
    from scipy.signal import firwin2, oaconvolve

    taps = firwin2(_TAPS, np.asarray(frequencies), 10 ** (np.asarray(decibels) / 20), fs=rate)
    return oaconvolve(samples, taps)[_TAPS // 2 :][: len(samples)].astype(np.float32)
