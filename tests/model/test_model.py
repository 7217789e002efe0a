"""A model directory: saved, loaded, and complained about."""

import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import asr
from asr.audio import resample
from asr.audio.augment import change_speed
from asr.errors import AudioError, CorpusError, GraphError, LexiconError, ModelError
from asr.features.pipeline import FeaturePipeline, Given
from asr.graph.const_fst import Graph


@pytest.fixture
def copy(digits_model, tmp_path) -> Path:
    return digits_model.save(tmp_path / "model")


def test_saved_and_loaded_is_the_same_model(digits_model, copy, sample):
    assert asr.load(copy).transcribe(sample) == digits_model.transcribe(sample)
    again = asr.load(copy).save(copy.parent / "again")
    for path in copy.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_samples_and_files_give_the_same_words(digits_model, sample):
    samples, rate = soundfile.read(sample, dtype="int16")
    from_file = digits_model.transcribe(sample)
    assert digits_model.transcribe(samples, rate) == from_file
    assert digits_model.transcribe((samples / 32768).astype(np.float32), rate) == from_file
    assert from_file.text == sample.with_suffix(".txt").read_text().strip()


def test_phones_and_words_tile_the_alignment(digits_model, sample):
    result = digits_model.transcribe(sample)
    edges = [p.start for p in result.phones] + [result.phones[-1].end]
    assert edges[0] == 0.0 and edges == sorted(edges)
    # 25 ms every 10 ms: two frames' middles meet 7.5 ms behind the second one's shift
    assert edges[-1] == pytest.approx(len(result.alignment) * digits_model.frame_shift + 0.0075)
    assert edges[1] * 1000 % 10 == pytest.approx(7.5)
    starts, ends = {p.start for p in result.phones}, {p.end for p in result.phones}
    assert all(w.start in starts and w.end in ends for w in result.words)


def test_word_times_equal_a_forced_alignment(digits_model, sample):
    """Decoding finds the words; aligning those same words must put them on the same frames."""
    decoded = digits_model.with_decoding(insertion_penalty=0.0, beam=1000.0).transcribe(sample)
    forced = digits_model.align(sample, decoded.text)
    assert forced.words == decoded.words
    assert np.array_equal(forced.alignment, decoded.alignment)


def test_silence_gives_no_words(digits_model):
    assert digits_model.transcribe(np.zeros(8000, np.float32), 8000).text == ""


def test_every_file_is_guarded(copy):
    for name in [p.name for p in copy.iterdir() if p.name != "README.md"]:
        path = copy / name
        original = path.read_bytes()
        path.write_bytes(original[:-7])
        with pytest.raises(ModelError, match=name.replace(".", r"\.")):
            asr.load(copy)
        path.unlink()
        with pytest.raises(ModelError):
            asr.load(copy)
        path.write_bytes(original)
    asr.load(copy)


def test_newer_formats_and_unknown_kinds_are_refused(copy):
    path = copy / "model.json"
    description = json.loads(path.read_text())
    for key, value in (("format", 99), ("kind", "oracle")):
        path.write_text(json.dumps({**description, key: value}))
        with pytest.raises(ModelError, match=str(value)):
            asr.load(copy)


def test_files_outside_the_directory_are_never_named(copy):
    path = copy / "model.json"
    description = json.loads(path.read_text())
    description["files"]["../secret"] = {"bytes": 1, "sha256": ""}
    path.write_text(json.dumps(description))
    (copy.parent / "secret").write_text("x")
    with pytest.raises(ModelError, match="secret"):
        asr.load(copy)


def test_no_such_model():
    with pytest.raises(ModelError, match="did you mean 'digits'"):
        asr.load("digit")


def test_a_card_may_be_edited(copy):
    (copy / "README.md").write_text("My notes.\n")
    assert asr.load(copy).card == "My notes.\n"


def test_interrupted_save_leaves_the_old_model(digits_model, copy, monkeypatch):
    monkeypatch.setattr("asr.model.model.write_parts", lambda model, directory: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        digits_model.save(copy)
    asr.load(copy)
    assert [p.name for p in copy.parent.iterdir()] == ["model"]
    shutil.rmtree(copy)


def test_odd_samples_are_audio_errors(digits_model):
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    for samples, rate in (([[1.0], [1.0, 2.0]], None), (noise, 0), (noise, -1), (noise, 1e-3), (noise, float("nan"))):
        with pytest.raises(AudioError, match="samples: "):
            digits_model.transcribe(samples, rate)


def test_a_constant_offset_is_silence(digits_model):
    assert digits_model.transcribe(np.full(16000, 0.9, np.float32), 8000).text == ""


def test_a_word_outside_the_lexicon_is_an_error(digits_model, sample):
    graph = digits_model.graph
    arcs = graph.arcs.copy()
    arcs["olabel"][arcs["olabel"] > 0] = 500
    with pytest.raises(GraphError, match="word 500"):
        dataclasses.replace(digits_model, graph=Graph(graph.start, graph.states, arcs)).transcribe(sample)


def test_a_model_of_given_features_is_saved_loaded_and_used(digits_model, sample, tmp_path):
    """The digits model without its front-end hears the same in the features that the front-end computes."""
    pipeline = digits_model.features
    steps = (Given(pipeline.raw_dim, frame_shift=10.0, first_boundary=7.5), *pipeline.later)
    model = dataclasses.replace(digits_model, features=FeaturePipeline(0, steps))
    model = asr.load(model.save(tmp_path / "model"))
    raw = pipeline.front_end(digits_model.read(sample))
    expected = digits_model.transcribe(sample)
    assert model.transcribe_features(raw) == digits_model.transcribe_features(raw) == expected
    assert model.transcribe_features(raw.astype(np.float64)) == expected
    assert model.align_features(raw, expected.text) == digits_model.align(sample, expected.text)
    assert (model.sample_rate, model.streaming, model.frame_shift) == (0, True, 0.01)
    for call in (lambda: model.transcribe(sample), lambda: model.align(sample, "one"), lambda: model.transcribe(raw)):
        with pytest.raises(ModelError, match=r"takes features \(13 values every 10 ms\), not audio"):
            call()
    for bad, message in ((raw[:, :12], "has 12 values per frame; need 13"), (raw[:0], "shape"), (raw[0], "shape")):
        with pytest.raises(CorpusError, match=message):
            model.transcribe_features(bad)


@pytest.mark.parametrize(("rate", "step"), [(8000, {"kind": "given", "dim": 13}), (0, {"kind": "mfcc"})])
def test_a_rate_that_does_not_belong_to_the_first_step_is_refused(copy, rate, step):
    path = copy / "model.json"
    description = json.loads(path.read_text())
    description["features"] = {"sample_rate": rate, "steps": [step, *description["features"]["steps"][1:]]}
    path.write_text(json.dumps({**description, "sample_rate": rate}))
    with pytest.raises(ModelError, match=rf"model.json: .*sample_rate={rate}; need"):
        asr.load(copy)


@pytest.mark.parametrize("rate", ["8000", [8000], True, float("nan"), 12, -8000])
def test_a_rate_that_is_none_is_an_error_wherever_one_is_taken(digits_model, rate):
    samples = 0.1 * np.random.default_rng(0).standard_normal(4000)
    for use in (
        lambda: digits_model.transcribe(samples, rate),
        lambda: digits_model.align(samples, "one", rate),
        lambda: digits_model.stream(rate),
        lambda: change_speed(samples, rate, 1.1),
    ):
        with pytest.raises(AudioError, match=r"samples: rate=.*; need a number of Hz"):
            use()


@pytest.mark.parametrize("rate", ["8000", None, float("nan"), float("inf"), 0])
def test_resampling_takes_numbers_alone(rate):
    with pytest.raises(AudioError, match=r"samples: rate=.*; need a number of Hz, 1000 to 1000000"):
        resample(np.zeros(100, np.float32), rate, 8000)


def test_arguments_of_align_in_the_order_of_transcribe_are_told(digits_model):
    samples = np.zeros(8000, np.float32)
    with pytest.raises(ModelError, match=r"text is 8000; need the words in one str: align\(audio, text, rate\)"):
        digits_model.align(samples, 8000, "two")
    with pytest.raises(ModelError, match="text is of type list; need the words in one str"):
        digits_model.align(samples, ["two"], 8000)
    with pytest.raises(AudioError, match="samples: rate='two'; need a number of Hz"):
        digits_model.align(samples, "two", "two")


def test_alignment_takes_words_of_another_lexicon(digits_model, sample, tmp_path):
    """`too` is said as `two`; a phone that the model lacks is named."""
    (tmp_path / "lexicon.txt").write_text("too T UW\nlate L EY T\n")
    text = "too seven one eight too eight"
    found = digits_model.align(sample, text, lexicon=tmp_path / "lexicon.txt")
    plain = digits_model.align(sample, text.replace("too", "two"))
    assert found.text == text and [(w.start, w.end) for w in found.words] == [(w.start, w.end) for w in plain.words]
    with pytest.raises(LexiconError, match="'late': the model has no 'L'; give a lexicon"):
        digits_model.align(sample, "too late", lexicon=tmp_path / "lexicon.txt")
    with pytest.raises(LexiconError, match=r"'hello': it has no .* 'world': it has no pronunciation"):
        digits_model.align(sample, "hello world")


def test_an_array_needs_its_rate_and_a_file_has_its_own(digits_model, sample):
    samples, _ = soundfile.read(sample, dtype="int16")
    for use in (digits_model.transcribe, lambda x: digits_model.align(x, "two"), lambda x: digits_model.stream()):
        with pytest.raises(AudioError, match=r"give rate=\.\.\., in Hz \(8000 is the model's own\)"):
            use(samples)
    with pytest.raises(AudioError, match="rate=16000 was given with a file, which knows its own"):
        digits_model.transcribe(sample, 16000)
    with pytest.raises(AudioError, match="rate=16000 was given with a file"):
        digits_model.align(sample, "two", 16000)


def test_a_channel_can_be_asked_for(digits_model, sample, tmp_path):
    samples, rate = soundfile.read(sample, dtype="float32")
    other = samples[::-1]
    stereo = np.stack([samples, other], axis=1)
    soundfile.write(tmp_path / "stereo.flac", stereo, rate, subtype="PCM_16")
    said = digits_model.transcribe(samples, rate)
    assert digits_model.transcribe(stereo, rate, channel=0) == said
    assert digits_model.transcribe(tmp_path / "stereo.flac", channel=0).text == said.text
    assert digits_model.transcribe(stereo, rate, channel=1) == digits_model.transcribe(other, rate)
    assert digits_model.align(stereo, said.text, rate, channel=0) == digits_model.align(samples, said.text, rate)
    with pytest.raises(AudioError, match="has no channel 3"):
        digits_model.transcribe(stereo, rate, channel=2)


def test_open_files_and_bytes_are_recordings_too(digits_model, sample):
    whole = digits_model.transcribe(sample)
    assert digits_model.transcribe(io.BytesIO(sample.read_bytes())) == whole
    with sample.open("rb") as file:
        assert digits_model.transcribe(file) == whole


def test_a_tensor_with_gradients_is_told_how_to_be_an_array(digits_model):
    torch = pytest.importorskip("torch")
    with pytest.raises(AudioError, match=r"not an array of numbers .*detach"):
        digits_model.transcribe(torch.zeros(8000, requires_grad=True), 8000)


def test_words_of_another_spelling_are_told_how_the_model_writes_them(digits_model, sample):
    with pytest.raises(LexiconError, match=r"lower case without punctuation .asr text normalize"):
        digits_model.align(sample, "Two seven, one")
    with pytest.raises(LexiconError) as found:
        digits_model.align(sample, "hello")
    assert "lower case" not in str(found.value)


@pytest.mark.parametrize("value", [None, 3, ["a"]])
def test_what_is_no_path_is_told_by_its_type(value):
    for use in (asr.load, asr.Lexicon.load, asr.Corpus.read):
        with pytest.raises(TypeError, match=rf"is of type {type(value).__name__}; need"):
            use(value)
