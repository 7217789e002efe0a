"""Words of a signal that is still arriving: bit for bit those of the whole recording."""

import dataclasses

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr import audio
from asr.errors import AudioError, ModelError
from asr.features.pipeline import FeaturePipeline, Given


def pieces_of(samples, sizes):
    """The samples in pieces of these sizes, again and again."""
    at, found = 0, []
    while at < len(samples):
        for size in sizes:
            found.append(samples[at : at + size])
            at += size
    return found


def test_a_stream_equals_the_whole_recording_bit_for_bit(digits_model, sample):
    @settings(max_examples=25, deadline=None)
    @given(sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=6).filter(any), is_int=st.booleans())
    def check(sizes, is_int):
        samples, rate = soundfile.read(sample, dtype="int16" if is_int else "float32")
        whole = digits_model.transcribe(samples, rate)
        stream = digits_model.stream(rate)
        for piece in pieces_of(samples, sizes):
            stream.accept(piece)
        found = stream.finish()
        assert found == whole and found.score == whole.score
        assert np.array_equal(found.alignment, whole.alignment)
        assert stream.seconds == pytest.approx(len(samples) / rate, abs=1e-3)

    check()


@pytest.mark.parametrize("rate", [16000, 44100])
def test_other_rates_and_channels(digits_model, sample, rate):
    samples = audio.resample(*audio.read(sample), rate)
    stereo = np.stack([samples, 0.5 * samples], axis=1)
    stream = digits_model.stream(rate)
    for piece in pieces_of(stereo, [4321]):
        stream.accept(piece)
    assert stream.finish() == digits_model.transcribe(stereo, rate)


def test_words_come_while_somebody_is_speaking_and_streams_do_not_disturb_each_other(digits_model, sample):
    samples = digits_model.read(sample)
    one, other = digits_model.stream(8000), digits_model.stream(8000)
    said = []
    for piece in pieces_of(samples, [800]):
        said.append(one.accept(piece))
        other.accept(np.zeros(800, np.float32))
    before = digits_model.transcribe(sample)  # the model's own search in between
    assert one.finish() == before and other.finish().text == ""
    assert len({text for text in said if text}) >= 4 and said[len(said) // 2].split()[:2] == before.text.split()[:2]


def test_silence_too_little_and_too_late(digits_model):
    stream = digits_model.stream(8000)
    assert stream.accept(np.zeros(0, np.float32)) == ""
    stream.accept(np.zeros(4000, np.float32))
    assert stream.finish() == digits_model.transcribe(np.zeros(4000, np.float32), 8000)
    for late in (lambda: stream.accept(np.zeros(8)), stream.finish):
        with pytest.raises(ModelError, match=r"finished.*model\.stream\(rate\)"):
            late()
    stream = digits_model.stream(8000)
    stream.accept(np.zeros(20, np.float32))
    with pytest.raises(AudioError, match="less than a frame"):
        stream.finish()
    nothing = digits_model.stream(8000).finish()
    assert nothing.text == "" and nothing.is_silent
    with pytest.raises(AudioError, match="rate=12"):
        digits_model.stream(12)
    with pytest.raises(AudioError, match="NaN"):
        digits_model.stream(8000).accept(np.full(100, np.nan, np.float32))


def test_a_model_that_needs_the_end_says_so(digits_model):
    steps = ({"kind": "mfcc"}, {"kind": "cmvn", "mode": "speaker"}, {"kind": "delta"})
    model = dataclasses.replace(digits_model, features=FeaturePipeline(8000, steps))
    with pytest.raises(ModelError, match="needs a recording's end"):
        model.stream()


def test_given_features_stream_too(digits_model, sample):
    pipeline = FeaturePipeline(0, (Given(13), *digits_model.features.later))
    model = dataclasses.replace(digits_model, features=pipeline)
    raw = digits_model.features.front_end(digits_model.read(sample))
    stream = model.stream()
    for piece in pieces_of(raw, [7, 1, 30]):
        stream.accept(piece) if len(piece) else None
    assert stream.finish() == model.transcribe_features(raw)
