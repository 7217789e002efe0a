"""Speed, noise floors and joined recordings: against scipy's Welch estimate, tones, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from asr.augment import change_speed, floor_noise, join, noise_floor

RATE = 8000


def tone(hertz, seconds):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def loudest_hertz(samples):
    return np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * RATE / len(samples)


@pytest.mark.parametrize("factor", [0.9, 1.1, 2.0])
def test_a_faster_tone_is_shorter_and_higher(factor):
    fast = change_speed(tone(500, 1.0), RATE, factor)
    assert fast.dtype == np.float32
    assert abs(len(fast) - RATE / factor) <= 1
    assert loudest_hertz(fast) == pytest.approx(500 * factor, abs=2)
    assert np.abs(fast[500:-500]).max() == pytest.approx(1.0, abs=0.01)


def test_speed_one_changes_nothing_and_wild_speeds_are_refused():
    samples = tone(500, 0.1)
    assert change_speed(samples, RATE, 1.0) is samples
    for factor in (0.1, 3.0, float("nan")):
        with pytest.raises(ValueError, match=r"need 0\.5 to 2"):
            change_speed(samples, RATE, factor)


def test_white_noise_has_its_variance_at_every_frequency():
    noise = 0.1 * np.random.default_rng(0).standard_normal(20 * RATE)
    quietest = noise_floor([noise], RATE)
    assert quietest.shape == (65,)
    assert 0.6 * 0.01 < quietest[1:-1].mean() < 0.01  # the quietest tenth of equally loud frames
    loud_too = noise_floor([noise[: 4 * RATE], 100 * noise], RATE)  # a sixth of the frames are quiet
    assert loud_too[1:-1].mean() == pytest.approx(0.01, rel=0.25)


def test_the_floor_comes_from_the_pause_of_whichever_recording_has_one():
    rng = np.random.default_rng(1)
    hiss = 0.001 * rng.standard_normal(RATE // 2)
    close_cut = tone(300, 0.5)
    with_pause = np.concatenate([tone(300, 0.5), hiss])
    floor = noise_floor([close_cut, close_cut, with_pause], RATE)
    assert floor[1:-1].mean() == pytest.approx(1e-6, rel=0.3)


def test_noise_has_the_spectrum_it_was_made_from():
    """Welch's estimate of long noise, by scipy, beside a spectrum that falls by 40 dB."""
    wanted = 10 ** np.linspace(-2, -6, 65)
    noise = floor_noise(wanted, 60 * RATE, np.random.default_rng(2))
    _, density = signal.welch(noise, fs=1.0, nperseg=128, window="hann")
    assert noise.dtype == np.float32
    np.testing.assert_allclose(10 * np.log10(density[2:-2] / 2), 10 * np.log10(wanted[2:-2]), atol=0.7)


@given(
    lengths=st.lists(st.integers(0, 700), min_size=1, max_size=4),
    data=st.data(),
)
@settings(deadline=None, max_examples=40)
def test_recordings_are_inside_untouched_where_the_edges_say(lengths, data):
    pauses = data.draw(st.lists(st.integers(0, 60), min_size=len(lengths) + 1, max_size=len(lengths) + 1))
    rng = np.random.default_rng(3)
    recordings = [rng.uniform(-1, 1, n).astype(np.float32) for n in lengths]
    found = join(recordings, pauses, RATE, rng)
    assert found.samples.dtype == np.float32
    assert len(found.samples) == sum(lengths) + 8 * sum(pauses)
    end = 0
    for recording, pause, (begin, stop) in zip(recordings, pauses, found.edges, strict=False):
        assert begin == end + 8 * pause
        np.testing.assert_array_equal(found.samples[begin:stop], recording)
        end = stop


def test_pauses_are_as_loud_as_the_recordings_silence():
    rng = np.random.default_rng(4)
    recording = np.concatenate([tone(300, 0.4), 0.01 * rng.standard_normal(RATE // 5)]).astype(np.float32)
    found = join([recording, recording], [0, 300, 0], RATE, rng)
    pause = found.samples[found.edges[0][1] : found.edges[1][0]]
    assert len(pause) == 2400
    assert 20 * np.log10(np.sqrt(np.mean(pause**2)) / 0.01) == pytest.approx(0, abs=1.5)
    quieter = join([recording], [0, 300], RATE, rng, floor=np.full(65, 1e-8))
    assert np.sqrt(np.mean(quieter.samples[-2400:] ** 2)) == pytest.approx(1e-4, rel=0.1)


def test_the_same_seed_makes_the_same_sound():
    first, second = (join([tone(300, 0.2)], [50, 50], RATE, np.random.default_rng(5)).samples for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_wrong_pauses_are_refused():
    rng = np.random.default_rng(0)
    for recordings, pauses in (([tone(300, 0.1)], [0]), ([], [0])):
        with pytest.raises(ValueError, match="need one more"):
            join(recordings, pauses, RATE, rng)
    with pytest.raises(ValueError, match="a pause of -1 ms"):
        join([tone(300, 0.1)], [0, -1], RATE, rng)
