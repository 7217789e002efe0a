"""What rooms, microphones and editors do to a recording."""

import numpy as np
import pytest

from asr.audio.conditions import (
    Conditions,
    breath,
    click,
    clipped,
    coded,
    coloured_noise,
    gated,
    hum,
    microphone,
    recorded_elsewhere,
    room,
)

RATE = 8000


def tone(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """A tone that swells and fades, with a peak of 0.5."""
    times = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * times) * np.hanning(len(times))).astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


NEVER = dict.fromkeys(Conditions.__dataclass_fields__, 0.0)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("name", [None, *NEVER])
def test_each_condition_gives_finite_sound_and_does_something(name, rate):
    x = tone(rate=rate)
    conditions = Conditions(**NEVER | ({} if name is None else {name: 1.0}))
    y = recorded_elsewhere(x, rate, rng(), conditions)
    assert y.dtype == np.float32 and np.isfinite(y).all() and np.abs(y).max() < 2
    assert (len(y) == len(x) and np.array_equal(x, y)) == (name is None)


def test_the_same_draw_gives_the_same_sound_and_silence_stays_silence():
    x = tone()
    assert np.array_equal(recorded_elsewhere(x, RATE, rng(1)), recorded_elsewhere(x, RATE, rng(1)))
    assert not np.array_equal(recorded_elsewhere(x, RATE, rng(1)), recorded_elsewhere(x, RATE, rng(2)))
    assert not recorded_elsewhere(np.zeros(100, np.float32), RATE, rng()).any()
    assert len(recorded_elsewhere(np.zeros(0, np.float32), RATE, rng())) == 0


@pytest.mark.parametrize("seed", range(6))
def test_clicks_are_short_and_breaths_swell_and_fade(seed):
    sound = click(RATE, rng(seed))
    assert 0.02 * RATE <= len(sound) <= 0.06 * RATE and np.abs(sound).max() == pytest.approx(1)
    sound = breath(RATE, rng(seed))
    middle, ends = len(sound) // 3, len(sound) // 20
    assert np.std(sound[middle:-middle]) > 3 * np.std(np.r_[sound[:ends], sound[-ends:]])


def test_a_gate_leaves_zeros_where_it_is_quiet_and_the_rest_as_it_was():
    x = tone()
    y = gated(x, RATE, -20)
    quiet = np.abs(x) < 0.5 * 0.05
    assert not y[: RATE // 20].any() and np.array_equal(y[RATE // 2 - 100 : RATE // 2], x[RATE // 2 - 100 : RATE // 2])
    assert np.array_equal(y[y != 0], x[y != 0]) and quiet[y == 0].mean() > 0.3


def test_levels():
    x = tone()
    loud = clipped(x, 20)
    assert np.abs(loud).max() == np.abs(x).max() and (np.abs(loud) > 0.499).mean() > 0.5
    added = hum(x, RATE, rng(), -20) - x
    assert np.abs(added).max() == pytest.approx(0.05, rel=1e-2)
    peaks = np.abs(np.fft.rfft(added))
    assert np.argmax(peaks) in (50, 60)  # one second long, so a bin is a Hz


def test_noise_falls_with_frequency_and_rooms_ring_on():
    falls = []
    for seed in range(12):
        power = np.abs(np.fft.rfft(coloured_noise(RATE, rng(seed)))) ** 2
        falls.append(10 * np.log10(power[200:400].mean() / power[400:800].mean()))
    assert {round(f / 3) for f in falls} == {0, 1, 2}
    dry = tone(0.2)
    wet = room(dry, RATE, rng())
    assert len(wet) == len(dry) + RATE // 10 and np.abs(wet[-RATE // 10 :]).max() > 1e-4


def test_a_microphone_colours_and_keeps_the_place():
    x = rng(3).standard_normal(RATE).astype(np.float32)
    y = microphone(x, rng(5))
    lag = np.argmax(np.correlate(y[1000:3000], x[900:3100], "valid")) - 100
    assert len(y) == len(x) and lag == 0
    gain = np.abs(np.fft.rfft(y)) / np.abs(np.fft.rfft(x))
    parts = [20 * np.log10(np.median(part)) for part in np.array_split(gain, 8)]
    assert 3 < max(parts) - min(parts) < 26


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_codec_leaves_the_strongest_lines_of_its_band(rate):
    x = rng(3).standard_normal(rate).astype(np.float32)
    y = coded(x, rate, kept=0.25, band=0.5)
    power = np.abs(np.fft.rfft(y)) ** 2
    assert len(y) == len(x) and power[len(power) * 55 // 100 :].sum() < 1e-3 * power.sum()
    assert 0.2 < power.sum() / (np.abs(np.fft.rfft(x)[: len(power) // 2]) ** 2).sum() < 0.9
    assert np.allclose(coded(x, rate, kept=1.0, band=1.0)[100:-100], x[100:-100], atol=0.2)
