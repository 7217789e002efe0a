"""Samples of any type: one rule for every function and class that takes them, that of `asr.audio.check_samples`."""

from pathlib import Path

import numpy as np
import pytest

import asr
from asr import audio
from asr.audio.augment import change_speed
from asr.audio.voice_activity import voice_activity
from asr.errors import AudioError
from asr.features import (
    StreamingFrontEnd,
    fbank,
    lpc,
    lpcc,
    mfcc,
    n_frames,
    pitch,
    reflection_coefficients,
    track_pitch,
)
from asr.features.pipeline import FeaturePipeline

SAMPLE = Path(asr.__file__).parent / "data" / "sample.wav"
RATE = 8000
FULL_SCALE = {np.int8: 2**7, np.int16: 2**15, np.int32: 2**31, np.uint8: 2**7}
PIPELINE = FeaturePipeline(RATE, ({"kind": "fbank", "pitch": {}},))


def streamed(kind):
    def compute(samples, rate):
        stream = StreamingFrontEnd(kind, rate)
        return np.concatenate([stream.accept(samples[:300]), stream.accept(samples[300:]), stream.flush()])

    return compute


ENTRIES = {
    "mfcc": mfcc,
    "fbank": fbank,
    "lpc": lpc,
    "lpcc": lpcc,
    "reflection_coefficients": reflection_coefficients,
    "pitch": pitch,
    "track_pitch": lambda samples, rate: track_pitch(samples, rate).hz,
    "a stream of mfcc": streamed("mfcc"),
    "a stream of lpc": streamed("lpc"),
    "a pipeline": lambda samples, rate: PIPELINE.front_end(samples),
    "a stream of a pipeline": lambda samples, rate: FeaturePipeline(RATE, ({"kind": "mfcc"},)).stream().accept(samples),
    "a model": lambda samples, rate: asr.load("digits").read(samples, rate),
    "check_samples": lambda samples, rate: audio.check_samples(samples),
}
TAKE_A_RATE = {
    **{name: ENTRIES[name] for name in ENTRIES if "pipeline" not in name and name != "check_samples"},
    "n_frames": lambda samples, rate: n_frames(len(samples), rate),
    "resample": lambda samples, rate: audio.resample(samples, rate, 8000),
    "resample to": lambda samples, rate: audio.resample(samples, 8000, rate),
    "read": lambda samples, rate: audio.read(SAMPLE, rate),
    "blocks": lambda samples, rate: list(audio.blocks(SAMPLE, rate)),
    "transcribe": lambda samples, rate: asr.load("digits").transcribe(samples, rate),
    "align": lambda samples, rate: asr.load("digits").align(samples, "two", rate),
    "stream": lambda samples, rate: asr.load("digits").stream(rate),
    "voice_activity": voice_activity,
    "change_speed": lambda samples, rate: change_speed(samples, rate, 1.1),
}
one_rule = pytest.mark.parametrize("compute", ENTRIES.values(), ids=ENTRIES)


def noise(n_samples: int = 4000, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).clip(-0.9, 0.9).astype(np.float32)


@pytest.mark.parametrize("rate", ["8000", [8000], True, 0, -8000, float("nan"), 10, 1e9, 8000j], ids=str)
@pytest.mark.parametrize("use", TAKE_A_RATE.values(), ids=TAKE_A_RATE)
def test_rates_are_numbers_that_recordings_have(use, rate):
    """One rule for everything that takes one: a text, or a rate that would fill the memory, is refused by its value."""
    with pytest.raises(AudioError, match=r"samples: rate=.*; need a number of Hz, 1000 to 1000000"):
        use(noise(), rate)


def test_torch_features_have_the_same_rule():
    pytest.importorskip("torch")
    from asr.nn.features import Fbank, Mfcc

    for module in (Fbank, Mfcc):
        with pytest.raises(AudioError, match=r"rate='8000'; need a number of Hz"):
            module("8000")


@one_rule
@pytest.mark.parametrize("dtype", FULL_SCALE)
def test_integers_are_divided_by_their_full_scale(compute, dtype):
    scale = FULL_SCALE[dtype]
    zero = scale if dtype is np.uint8 else 0
    integers = (np.round(noise().astype(np.float64) * scale) + zero).astype(dtype)
    floats = ((integers - float(zero)) / scale).astype(np.float32)
    assert np.array_equal(compute(integers, RATE), compute(floats, RATE))


@one_rule
def test_types_without_a_full_scale_and_floats_of_an_integer_scale_are_refused_in_words(compute):
    whole = np.round(noise() * 32768)
    with pytest.raises(
        AudioError, match=r"type int64; it has no known full scale; need floats in .* or 8-, 16- or 32-"
    ):
        compute(whole.astype(np.int64), RATE)
    with pytest.raises(AudioError, match=r"floats up to .*; need \[-1, 1\]: divide by the full scale, or pass int16"):
        compute(whole, RATE)


@one_rule
def test_a_sample_that_is_not_finite_is_named(compute):
    samples = noise()
    samples[[200, 250]] = np.nan, np.inf
    with pytest.raises(AudioError, match=r"2 of \d+ samples are NaN or infinite, the first is sample 200"):
        compute(samples, RATE)


@one_rule
def test_samples_and_rate_in_one_are_refused_in_words(compute):
    """asr.audio.read, soundfile.read and librosa.load give such a pair, scipy's wavfile.read the other way round."""
    with pytest.raises(AudioError, match=r"a pair of samples and their rate; take it apart, samples, rate = \.\.\."):
        compute(audio.Audio(noise(), RATE), RATE)
    with pytest.raises(AudioError, match=r"a pair of .*, rate, samples = \.\.\., and pass both"):
        compute((RATE, noise()), RATE)


def test_a_stream_says_where_a_bad_piece_begins():
    stream = StreamingFrontEnd("mfcc", RATE)
    stream.accept(noise(300))
    with pytest.raises(AudioError, match=r"samples from 300 on: 1 of 100 .* the first is sample 7"):
        stream.accept(np.where(np.arange(100) == 7, np.nan, 0.0))


@pytest.mark.parametrize("compute", [mfcc, fbank, lpc, lpcc, reflection_coefficients, pitch, track_pitch])
def test_of_two_channels_the_advice_is_right(compute):
    left = noise()
    stereo = np.stack([left, noise(seed=1)])
    with pytest.raises(AudioError, match=r"shape \(2, 4000\); need one channel: pick one, samples\[0\], or mix, samp"):
        compute(stereo, RATE)
    with pytest.raises(AudioError, match=r"shape \(4000, 2\); .* samples\[:, 0\], or mix, samples.mean\(axis=1\)"):
        compute(stereo.T, RATE)
    advised = compute(stereo[0], RATE), compute(stereo.T[:, 0], RATE), compute(left, RATE)
    assert np.array_equal(advised[0], advised[2]) and np.array_equal(advised[1], advised[2])


@pytest.mark.parametrize("compute", [mfcc, fbank, lpc, lpcc, reflection_coefficients, pitch])
@pytest.mark.parametrize("names", [{}, {"snip_edges": False, "frame_shift": 7.0}])
def test_batches_give_the_rows_of_the_single_calls(compute, names):
    recordings = [noise(n, seed=n) for n in (4000, 201, 1111)]
    alone = [compute(samples, RATE, **names) for samples in recordings]
    together = compute(recordings, RATE, **names)
    assert isinstance(together, list) and all(map(np.array_equal, together, alone))
    lengths = [len(samples) for samples in recordings]
    counts = n_frames(lengths, RATE, **names)
    assert counts.tolist() == [len(matrix) for matrix in alone]
    batch = np.full((3, 4000), 0.9, dtype=np.float32)  # what lies behind a recording does not matter
    for row, samples in zip(batch, recordings, strict=True):
        row[: len(samples)] = samples
    for given in (lengths, np.array(lengths)):
        padded = compute(batch, RATE, lengths=given, **names)
        assert padded.shape == (3, counts.max(), alone[0].shape[1]) and padded.dtype == np.float32
        for rows, matrix in zip(padded, alone, strict=True):
            assert np.array_equal(rows[: len(matrix)], matrix) and not rows[len(matrix) :].any()
    assert compute([], RATE) == []


def test_dither_is_the_single_calls_too():
    recordings = [noise(1000), noise(1500)]
    alone = [fbank(samples, RATE, dither=1.0, seed=3) for samples in recordings]
    assert all(map(np.array_equal, fbank(recordings, RATE, dither=1.0, seed=3), alone))


def test_a_list_of_numbers_is_one_recording():
    assert np.array_equal(mfcc(noise().tolist(), RATE), mfcc(noise(), RATE))


def test_batches_that_cannot_be_used():
    with pytest.raises(AudioError, match="recording 1 of 3: too short: 100 samples"):
        mfcc([noise(), noise(100), noise()], RATE)
    batch = np.zeros((2, 500))
    with pytest.raises(AudioError, match="recording 1 of 2: too short"):
        fbank(batch, RATE, lengths=[500, 10])
    for lengths, message in (
        ([500], r"samples of shape \(2, 500\) with lengths of shape \(1,\); need \(batch, n_samples\) and \(batch,\)"),
        ([500, 501], r"lengths=\[500, 501\]; need whole numbers of samples, 1 to 500"),
        ([500, 0], "lengths="),
        ([1.0, 0.5], r"lengths=\[1.0, 0.5\]"),
    ):
        with pytest.raises(ValueError, match=message):
            mfcc(batch, RATE, lengths=lengths)
    with pytest.raises(ValueError, match=r"samples of shape \(500,\)"):
        mfcc(batch[0], RATE, lengths=[500])
    with pytest.raises(ValueError, match="no recordings"):
        mfcc(np.zeros((0, 500)), RATE, lengths=np.zeros(0, int))


def test_how_many_frames():
    assert n_frames(16000, 16000) == 98 and n_frames(399, 16000) == 0
    assert n_frames([[400, 560], [0, 1]], 16000).tolist() == [[1, 2], [0, 0]]
    assert n_frames([80, 16000], 16000, snip_edges=False).tolist() == [1, 100]
    with pytest.raises(ValueError, match="frame_shift=0"):
        n_frames(100, 16000, frame_shift=0)


def test_pictures_of_integers_are_those_of_floats():
    pytest.importorskip("matplotlib")
    from asr.report.signal import draw_signal

    def drawn(samples):
        return draw_signal(samples, RATE).axes[0].lines[0].get_ydata()

    integers = np.round(noise() * 32768).astype(np.int16)
    assert np.array_equal(drawn(integers), drawn(integers / 32768))
    with pytest.raises(AudioError, match="type int64; it has no known full scale"):
        drawn(integers.astype(np.int64))
