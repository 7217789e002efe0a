"""Speed, noise, rooms and joined recordings: against scipy's Welch estimate, tones, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from asr.audio.augment import add_noise, change_speed, floor_noise, join, noise_floor, reverberate, room_response

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


@pytest.mark.parametrize("n_noise", [300, 4000, 9000])
def test_noise_is_there_at_its_ratio_whether_shorter_or_longer(n_noise):
    samples, noise = tone(500, 0.5), np.random.default_rng(6).standard_normal(n_noise).astype(np.float32)
    noisy = add_noise(samples, noise, 10.0, np.random.default_rng(7))
    added = noisy.astype(np.float64) - samples
    assert noisy.dtype == np.float32 and len(noisy) == len(samples)
    assert 10 * np.log10(np.mean(samples**2) / np.mean(added**2)) == pytest.approx(10.0, abs=0.01)
    if n_noise == 300:  # repeated: the same again after its length
        np.testing.assert_allclose(added[300:], added[:-300], atol=1e-6)
    if n_noise > len(samples):  # a part of it, from some place
        gain = np.sqrt(np.mean(added**2))
        places = np.correlate(noise.astype(np.float64), added / gain, mode="valid") / len(added)
        assert places.max() == pytest.approx(1.0, abs=0.05)
        assert not np.array_equal(noisy, add_noise(samples, noise, 10.0, np.random.default_rng(8)))


def test_silence_and_nothing_stay_as_they_are():
    rng = np.random.default_rng(9)
    silence, noise, nothing = np.zeros(10, np.float32), np.ones(10, np.float32), np.zeros(0, np.float32)
    assert add_noise(silence, noise, 10, rng) is silence
    assert add_noise(noise, silence, 10, rng) is noise
    assert add_noise(noise, nothing, 10, rng) is noise
    assert add_noise(nothing, noise, 10, rng) is nothing
    assert reverberate(nothing, np.ones(3)) is nothing
    np.testing.assert_array_equal(reverberate(silence, np.ones(3)), silence)
    with pytest.raises(ValueError, match="snr_db=nan"):
        add_noise(noise, noise, float("nan"), rng)


def test_a_room_is_a_convolution_from_the_direct_sound_on_at_the_same_power():
    samples = np.random.default_rng(10).standard_normal(500).astype(np.float32)
    response = np.array([0.0, 0.1, -2.0, 0.5, 0.25])
    wet = np.convolve(samples.astype(np.float64), response)[2:502]
    wet *= np.sqrt(np.mean(samples.astype(np.float64) ** 2) / np.mean(wet**2))
    found = reverberate(samples, response)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wet, atol=1e-5)
    np.testing.assert_allclose(reverberate(samples, np.array([0, 0, 3.0])), samples, atol=1e-5)
    for wrong in (np.zeros(0), np.zeros(3), np.array([1.0, np.nan])):
        with pytest.raises(ValueError, match="impulse response"):
            reverberate(samples, wrong)


def test_a_rooms_echoes_fall_by_60_db_in_its_decay_time():
    """The slope of Schroeder's backward integral, in dB."""
    response = room_response(RATE, 0.4, np.random.default_rng(11), direct_to_echoes_db=3.0)
    assert len(response) == round(0.4 * RATE) and response[0] == 1.0
    assert -10 * np.log10(np.sum(response[1:].astype(np.float64) ** 2)) == pytest.approx(3.0, abs=0.01)
    energy = 10 * np.log10(np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1])
    begin, end = round(0.02 * RATE), round(0.25 * RATE)
    slope = np.polyfit(np.arange(begin, end) / RATE, energy[begin:end], 1)[0]
    assert slope == pytest.approx(-60 / 0.4, rel=0.1)
    with pytest.raises(ValueError, match="decay_seconds=0"):
        room_response(RATE, 0, np.random.default_rng(0))
