"""Pitch against signals whose pitch is known, Viterbi against all paths, and features against their definition."""

import itertools

import numpy as np
import pytest
import scipy.signal

from asr.errors import AudioError, ConfigError, ModelError
from asr.features import PitchOptions, mfcc, pitch, pitch_tracking, track_pitch
from asr.features.pipeline import FeaturePipeline
from asr.features.pitch_kernels import advance, correlate, trace_back

RATE = 16000


def voice(f0: np.ndarray, rate: int = RATE, noise: float = 0.003, seed: int = 0) -> np.ndarray:
    """Pulses at a changing rate through three formants, with noise; f0 in Hz at each sample, 0 for silence."""
    rng = np.random.default_rng(seed)
    turns = np.cumsum(f0 / rate)
    source = (np.diff(np.floor(turns), prepend=0) > 0) * 1.0
    for hz, width in ((500, 80), (1500, 100), (2500, 150)):
        radius = np.exp(-np.pi * width / rate)
        source = scipy.signal.lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hz / rate), radius**2], source)
    return (0.5 * source / np.abs(source).max() + noise * rng.standard_normal(len(f0))).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
@pytest.mark.parametrize(("low", "high"), [(80, 120), (150, 250), (220, 350)])
def test_a_gliding_voice_is_followed_within_a_percent(rate, low, high):
    time = np.arange(2 * rate) / rate
    f0 = low + (high - low) * (0.5 - 0.5 * np.cos(2 * np.pi * 0.7 * time))
    track = track_pitch(voice(f0, rate), rate)
    middles = 0.0125 + 0.01 * np.arange(len(track.hz))
    error = np.abs(np.log(track.hz / np.interp(middles, time, f0)))[5:-5]
    assert np.median(error) < 0.005 and np.quantile(error, 0.95) < 0.02
    assert np.mean(track.voicing > 0.5) > 0.95


def test_voicing_tells_a_voice_from_noise_and_silence():
    f0 = np.full(3 * RATE, 140.0)
    f0[RATE:] = 0
    signal = voice(f0, noise=0.0)
    signal[2 * RATE :] = 0.1 * np.random.default_rng(1).standard_normal(RATE)
    voicing = track_pitch(signal, RATE).voicing
    assert np.median(voicing[5:90]) > 0.9
    assert np.median(voicing[110:190]) < 0.1 and np.median(voicing[205:290]) < 0.1


def test_recordings_agree_with_another_estimate(fsdd):
    """Each frame's strongest peak in the spectrum of harmonics: no search over frames, no correlation."""
    from asr import audio

    close = []
    for path in sorted(fsdd.glob("*.wav"))[::250]:
        samples, rate = audio.read(path)
        track = track_pitch(samples, rate, min_f0=70)
        believed = np.flatnonzero(track.voicing > 0.9)
        for t in believed:
            middle = round((0.0125 + 0.01 * t) * rate)
            frame = samples[max(0, middle - 320) : middle + 320]
            power = np.abs(np.fft.rfft(frame * np.hanning(len(frame)), 8192))
            hz = np.arange(70, 400, 0.5)
            bins = np.round(hz[:, None] * np.arange(1, 9) * 8192 / rate).astype(int)
            between = np.round(hz[:, None] * (np.arange(1, 9) - 0.5) * 8192 / rate).astype(int)
            weight = 0.85 ** np.arange(8)
            found = hz[np.argmax((np.sqrt(power[bins]) - np.sqrt(power[between])) @ weight)]
            close.append(abs(np.log(track.hz[t] / found)) < 0.05)
    assert len(close) > 100 and np.mean(close) > 0.85


@pytest.mark.parametrize("seed", range(5))
def test_the_path_is_the_cheapest_of_all(seed):
    rng = np.random.default_rng(seed)
    costs, penalty = rng.uniform(0, 1, (5, 6)), float(rng.uniform(0.01, 0.3))

    def cost(path):
        return sum(costs[t, s] for t, s in enumerate(path)) + penalty * float((np.diff(path) ** 2).sum())

    best = min(itertools.product(range(6), repeat=5), key=cost)
    path, total, back = np.empty(5, np.int64), np.zeros(6), np.empty((5, 6), np.int16)
    for some in (slice(0, 2), slice(2, 5)):  # frames may come a few at a time
        advance(costs[some], penalty, total, back[some])
    trace_back(total, back, path)
    assert tuple(path) == best


def test_correlations_are_those_of_their_definition():
    rng = np.random.default_rng(0)
    signal, centres, lags, size = rng.normal(size=400), np.array([150, 201]), np.arange(10, 40), 50
    plain, ballasted = np.empty((2, 30)), np.empty((2, 30))
    correlate(signal, centres, lags, size, 0.0, 7.0, plain, ballasted)
    for t, centre in enumerate(centres):
        around = signal[centre - (50 + 39) // 2 :][: 50 + 39]
        for k, lag in enumerate(lags):
            begin = centre - (size + lag) // 2
            x, y = signal[begin : begin + size] - around.mean(), signal[begin + lag :][:size] - around.mean()
            assert plain[t, k] == pytest.approx(x @ y / np.sqrt(x @ x * (y @ y)), abs=1e-9)
            assert ballasted[t, k] == pytest.approx(x @ y / np.sqrt(x @ x * (y @ y) + 7), abs=1e-9)


def test_features_are_what_the_track_says():
    f0 = np.concatenate([np.full(RATE, 120.0), np.zeros(RATE // 2), np.linspace(180, 220, RATE)])
    signal = voice(f0)
    track, features = track_pitch(signal, RATE), pitch(signal, RATE)
    assert features.shape == (len(track.hz), 3) and features.dtype == np.float32
    level = np.log(track.hz)
    for t in (0, 60, 130, len(level) - 1):
        near = slice(max(0, t - 75), t + 76)
        mean = np.average(level[near], weights=track.voicing[near])
        assert features[t, 1] == pytest.approx(2 * (level[t] - mean), abs=1e-5)
    slope = scipy.signal.savgol_filter(level, 5, 1, deriv=1)
    np.testing.assert_allclose(features[2:-2, 2], 10 * slope[2:-2], atol=1e-4)
    np.testing.assert_allclose(features[:, 0], 2 * ((1.0001 - track.correlation) ** 0.15 - 1), atol=1e-6)


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("n_samples", [400, 401, 1000, 15999])
def test_frames_are_those_of_mfcc(snip_edges, n_samples):
    signal = 0.1 * np.random.default_rng(0).standard_normal(n_samples)
    assert len(pitch(signal, RATE, snip_edges=snip_edges)) == len(mfcc(signal, RATE, snip_edges=snip_edges))


def test_loudness_and_number_type_do_not_matter():
    signal = voice(np.full(RATE, 130.0))
    integers = np.round(signal * 32767).astype(np.int16)
    track = track_pitch(signal, RATE)
    np.testing.assert_array_equal(track.hz, track_pitch(signal / 8, RATE).hz)
    np.testing.assert_allclose(track.hz, track_pitch(integers, RATE).hz, rtol=0.01)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"min_f0": 0.01}, "min_f0=0.01; need 10 or more"),
        ({"resample_freq": 1e9}, "resample_freq=1000000000.0; need more than 0, 16000 or less"),
        ({"min_f0": 500.0}, "max_f0=400.0; need more than 500"),
        ({"max_f0": 2000.0}, "max_f0=2000.0"),
        ({"resample_freq": 1500.0}, "resample_freq=1500.0; need more than 2000"),
        ({"lowpass_cutoff": 0.001}, "lowpass_cutoff=0.001; need 100 or more"),
        ({"delta_pitch": 0.5}, "delta_pitch=0.5; need 0.001 to 0.1"),
    ],
)
def test_impossible_options_are_told(names, message):
    with pytest.raises(ValueError, match=message):
        PitchOptions(**names)


def test_unusable_samples_are_told():
    with pytest.raises(AudioError, match="too short"):
        pitch(np.zeros(100), RATE)
    with pytest.raises(AudioError, match="the first is sample 7"):
        pitch(np.where(np.arange(1000) == 7, np.nan, 0.0), RATE)
    with pytest.raises(TypeError, match=r"min_f1.*did you mean 'min_f0'"):
        pitch(np.zeros(1000), RATE, min_f1=3)
    with pytest.raises(ValueError, match="lowpass_cutoff=1000; need less than half the sampling rate"):
        pitch(np.zeros(1000), 1500)


def test_a_pipeline_puts_pitch_behind_its_features():
    signal = voice(np.full(RATE, 130.0))
    first = {"kind": "mfcc", "options": {"snip_edges": False, "num_ceps": 20}, "pitch": {"min_f0": 70.0}}
    pipeline = FeaturePipeline(RATE, (first, {"kind": "cmvn", "mode": "causal"}))
    raw = pipeline.front_end(signal)
    assert (pipeline.raw_dim, pipeline.dim, pipeline.streaming) == (23, 23, False)
    np.testing.assert_array_equal(raw[:, :20], mfcc(signal, RATE, num_ceps=20, snip_edges=False))
    np.testing.assert_array_equal(raw[:, 20:], pitch(signal, RATE, min_f0=70, snip_edges=False))
    again = FeaturePipeline.from_json(pipeline.to_json())
    np.testing.assert_array_equal(again.front_end(signal), raw)
    with pytest.raises(ModelError, match="pitch is known when a recording has ended"):
        pipeline.with_prior([raw]).stream()
    alone = FeaturePipeline(RATE, ({"kind": "pitch"},))
    assert (alone.dim, alone.streaming) == (3, False)


@pytest.mark.parametrize(
    ("pitch", "message"),
    [
        ({"min_fo": 70}, "pitch has no option 'min_fo'; did you mean 'min_f0'"),
        ({"frame_shift": 5}, "pitch has the front-end's frame_shift; leave it out"),
        ({"min_f0": -1}, "min_f0=-1.0; need 10 or more"),
        (None, "pitch = None; need a table of settings"),
        (False, "pitch = False; need a table of settings"),
    ],
)
def test_a_pipelines_pitch_is_checked_when_it_is_made(pitch, message):
    with pytest.raises(ConfigError, match=message):
        FeaturePipeline(RATE, ({"kind": "mfcc", "pitch": pitch},))


def test_pitch_alone_takes_no_second_pitch():
    with pytest.raises(ConfigError, match="pitch has no key 'pitch'"):
        FeaturePipeline(RATE, ({"kind": "pitch", "pitch": {}},))


@pytest.mark.parametrize("rate", [8000, 11025, 16000])
@pytest.mark.parametrize("offset", [0.0, 0.01, 0.05])
def test_a_constant_pause_is_not_voiced(rate, offset):
    signal = voice(np.full(2 * rate, 140.0), rate, noise=0.0)
    signal[rate // 2 : rate] = 0.0
    voicing = track_pitch(np.round(32767 * (0.5 * signal + offset)).astype(np.int16), rate).voicing
    assert voicing[60:85].max() < 0.1 and np.median(voicing[105:190]) > 0.9


def test_frames_keep_step_with_the_signal_at_odd_rates():
    rate = 15999
    time = np.arange(60 * rate) / rate
    f0 = np.where(time % 2 < 1, 110.0, 220.0)
    track = track_pitch(voice(f0, rate), rate)
    middles = (200 + 159 * np.arange(len(track.hz))) / rate
    inside = np.abs(middles % 1 - 0.5) < 0.4
    error = np.abs(np.log(track.hz / np.where(middles % 2 < 1, 110.0, 220.0)))[inside]
    assert np.mean(error < 0.02) > 0.98


def test_a_long_signal_is_the_same_in_parts(monkeypatch):
    signal = voice(np.linspace(90, 300, 3 * RATE))
    whole = track_pitch(signal, RATE)
    monkeypatch.setattr(pitch_tracking, "_FRAMES_AT_ONCE", 64)
    np.testing.assert_allclose(track_pitch(signal, RATE).hz, whole.hz)
    np.testing.assert_allclose(track_pitch(signal, RATE).correlation, whole.correlation, atol=1e-9)


def test_voicing_is_kaldis_function_of_the_correlation():
    """NccfToPov in Kaldi's feat/pitch-functions.cc, at five correlations."""
    from asr.features import PitchTrack

    correlation = np.array([0.0, 0.5, 0.8, 0.95, 1.0])
    expected = [0.000748, 0.063787, 0.480300, 0.990208, 0.999899]
    np.testing.assert_allclose(PitchTrack(np.ones(5), correlation).voicing, expected, atol=2e-6)
