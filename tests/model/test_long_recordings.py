"""Long recordings: cut at pauses they give the words and times of the whole, in the memory of a piece."""

import dataclasses
import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr import audio
from asr.corpus import Problem, Utterance
from asr.features.pipeline import FeaturePipeline, Given
from asr.model.adaptation import ESTIMATES, UNADAPTED, SpeakerAdaptation
from asr.model.model import Model, load
from asr.model.transcript import Transcript
from asr.model.transcription import LongOptions, recognise, transcribe_all
from asr.scoring import score

WHOLE = LongOptions(longer_than=1e9)


def spoken(sample: Path, n: int, *, seed: int = 0) -> np.ndarray:
    """The sample n times, softer and louder, with pauses of its own kind of silence between: about 3.5 s each."""
    rng = np.random.default_rng(seed)
    samples, rate = audio.read(sample)
    parts = []
    for _ in range(n):
        pause = rng.choice([0.3, 0.5, 0.8, 1.2])
        parts += [rng.uniform(0.5, 1.0) * samples, 1e-4 * rng.standard_normal(int(pause * rate)).astype(np.float32)]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def long(tmp_path_factory, sample) -> Utterance:
    """About 140 s."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    soundfile.write(path, spoken(sample, 40), 8000, subtype="PCM_16")
    return Utterance("long", "ann", path)


def words_of(parts):
    return [word for part in parts for word in part.result.words]


def test_cut_at_pauses_the_words_and_times_are_those_of_the_whole(digits_model, long, sample):
    (whole,) = recognise(digits_model, [long], options=WHOLE)
    parts = list(recognise(digits_model, [long]))
    assert len(parts) >= 6 and [p.number for p in parts] == list(range(len(parts)))
    assert [p.is_last for p in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[0].start == 0 and all(a.end == b.start for a, b in pairwise(parts))
    assert parts[-1].end == pytest.approx(soundfile.info(long.path).duration)
    assert all(p.start <= w.start and w.end <= p.end + 0.02 for p in parts for w in p.result.words)
    found, expected = words_of(parts), words_of([whole])
    said = sample.with_suffix(".txt").read_text().split() * 40
    assert score({"long": " ".join(said)}, {"long": whole.result.text}).rate < 5  # else the next line says little
    cut, all_at_once = [w.word for w in found], [w.word for w in expected]
    assert score({"long": " ".join(all_at_once)}, {"long": " ".join(cut)}).rate < 2
    starts = np.array([w.start for w in expected])
    pairs = [(w, expected[int(np.abs(starts - w.start).argmin())]) for w in found]
    edges = np.array([[a.start - b.start, a.end - b.end] for a, b in pairs])
    # beside a cut, the silence of the whole may begin a frame or two earlier or later; elsewhere all is the same
    assert np.mean(np.abs(edges) < 1e-3) > 0.9


def test_the_features_of_pieces_are_those_of_the_whole(digits_model, long, monkeypatch):
    """The normalisation of a streaming model carries on over the cuts, to the bit."""
    seen = []
    decode = type(digits_model).decode
    monkeypatch.setattr(type(digits_model), "decode", lambda self, x: seen.append(x) or decode(self, x))
    list(recognise(digits_model, [long]))
    raw = digits_model.features.front_end(digits_model.read(long.path))
    (whole,) = digits_model.features.finish([raw], ["ann"])
    assert np.array_equal(np.concatenate(seen), whole)


def with_statistics_of_all(model: Model, mode: str, *, adapts: bool) -> Model:
    """The model with features that are normalised with all of a recording, or of a speaker."""
    steps = ({"kind": "mfcc"}, {"kind": "cmvn", "mode": mode}, {"kind": "delta"})
    adaptation = SpeakerAdaptation(model.acoustic, model.acoustic) if adapts else UNADAPTED
    return dataclasses.replace(model, features=FeaturePipeline(8000, steps), adaptation=adaptation)


@pytest.mark.parametrize("mode", ["utterance", "speaker"])
@pytest.mark.parametrize("adapts", [False, True])
def test_statistics_are_those_of_all_of_it(digits_model, monophones, long, sample, mode, adapts):
    """What needs the future hears all of the recording, or of the speaker, before the first piece."""
    # The many Gaussians of the shipped model fit its own normalisation; monophones can be adapted to this one.
    model = with_statistics_of_all(load(monophones) if adapts else digits_model, mode, adapts=adapts)
    recordings = [long, Utterance("short", "ann", sample), Utterance("other", "bob", sample)]
    whole = {p.recording.id: p.result for p in recognise(model, recordings, options=WHOLE)}
    cut = {r.id: result for r, result in transcribe_all(model, recordings)}
    assert list(cut) == list(whole) and len(cut) == 3
    assert len(whole["long"].words) > 150
    assert score({"long": whole["long"].text}, {"long": cut["long"].text}).rate < 3
    assert cut["other"] == whole["other"] and cut["short"].text == whole["short"].text
    assert [w.transform != "" for w in cut.values()] == [adapts] * 3
    lengths = [len(p.result.alignment) for p in recognise(model, [long]) if p.result.words]
    assert len(lengths) >= 6  # in pieces it was


def test_all_of_it_is_told_in_each_pass(monophones, long, sample):
    """Who watches sees a model that adapts go on, though its first words come with the last pass."""
    model = with_statistics_of_all(load(monophones), "speaker", adapts=True)
    gone: dict[int, float] = {}
    order = []

    def told(recording: Utterance, seconds: float, number: int) -> None:
        gone[number] = gone.get(number, 0.0) + seconds
        order.append(number)

    parts = recognise(model, [long, Utterance("short", "ann", sample)], progress=told)
    next(parts)
    total = soundfile.info(long.path).duration + soundfile.info(sample).duration
    assert order == sorted(order) and order.count(1) == order.count(2) >= 6
    assert gone == pytest.approx(dict.fromkeys(range(1 + ESTIMATES), total), abs=1e-3)


@pytest.mark.parametrize("mode", ["causal", "speaker"])
def test_python_hears_what_the_command_hears(digits_model, long, mode, monkeypatch):
    """A long recording is cut at pauses, however it is given; nothing is searched for longer than a piece may be."""
    model = digits_model
    if mode == "speaker":
        model = with_statistics_of_all(model, mode, adapts=False)
    ((_, expected),) = transcribe_all(model, [long])
    searched, decode = [], type(model).decode
    monkeypatch.setattr(type(model), "decode", lambda self, x: searched.append(len(x)) or decode(self, x))
    samples, _ = audio.read(long.path)
    assert (
        model.transcribe(samples, model.sample_rate) == model.transcribe(long.path) == expected
        and len(expected.words) > 150
    )
    assert len(searched) > 12 and max(searched) < 2600
    found = model.transcribe(samples, model.sample_rate)
    assert found.seconds == pytest.approx(len(samples) / 8000) and len(found.outline) == round(50 * found.seconds)


def test_options_of_features_are_read_once(digits_model):
    """Each time of a word asks for them: made anew they took half of the time of a long recording."""
    features = digits_model.features
    assert features.options is features.options and features.first is features.first
    given = FeaturePipeline(0, (Given(3),))
    assert given.given is given.given and given.given.dim == 3


def test_silent_pieces_and_pieces_that_fail(digits_model, tmp_path, sample, monkeypatch):
    signal = np.concatenate([spoken(sample, 12), np.zeros(70 * 8000, np.float32), spoken(sample, 12, seed=1)])
    soundfile.write(tmp_path / "gap.wav", signal, 8000, subtype="FLOAT")
    parts = list(recognise(digits_model, [Utterance("gap", "ann", tmp_path / "gap.wav")]))
    begin = len(spoken(sample, 12)) / 8000
    silent = [part for part in parts if begin <= part.start and part.end <= begin + 70]
    assert len(silent) >= 2 and all(part.result == Transcript("") for part in silent)
    broken = signal.copy()
    broken[-8000] = np.nan  # found when most has been heard
    soundfile.write(tmp_path / "broken.wav", broken, 8000, subtype="FLOAT")
    parts = list(recognise(digits_model, [Utterance("broken", "ann", tmp_path / "broken.wav")]))
    assert isinstance(parts[-1].result, Problem) and "NaN" in parts[-1].result.message and parts[-1].is_last
    assert len(parts) > 3 and all(isinstance(p.result, Transcript) for p in parts[:-1])
    ((_, result),) = transcribe_all(digits_model, [Utterance("broken", "ann", tmp_path / "broken.wav")])
    assert isinstance(result, Problem)


def test_what_is_known_is_not_searched_again(digits_model, long, monkeypatch):
    first = {(p.number, p.start, p.end): p.result for p in recognise(digits_model, [long])}
    searched = []
    decode = type(digits_model).decode
    monkeypatch.setattr(type(digits_model), "decode", lambda self, x: searched.append(len(x)) or decode(self, x))

    def known(recording, number, start, end):
        return first[number, start, end] if number % 2 else None

    again = {(p.number, p.start, p.end): p.result for p in recognise(digits_model, [long], known=known)}
    assert again == first and len(searched) == (len(first) + 1) // 2


def test_memory_does_not_grow_with_the_hour(digits_model, tmp_path, sample):
    """What a recording takes at most, and one three times as long, of whose samples 5 MB are more."""
    once = spoken(sample, 22)
    peaks = []
    for n in (1, 3):
        path = tmp_path / f"{n}.wav"
        soundfile.write(path, np.tile(once, n), 8000, subtype="PCM_16")
        tracemalloc.start()
        for part in recognise(digits_model, [Utterance("x", "x", path)]):
            del part
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6, peaks


def test_first_words_come_long_before_the_end(long):
    """On stdout as they are found: the first pieces are there while the others are not searched yet."""
    code = (
        "import sys, asr.model.transcription as t\n"
        "def three(*a, **k):\n"
        "    for part in parts(*a, **k):\n"
        "        if part.number == 3: sys.exit('enough')\n"
        "        yield part\n"
        "parts, t.recognise = t.recognise, three\n"
        f"sys.argv = ['asr', 'transcribe', 'digits', {str(long.path)!r}]\n"
        "from asr.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("long\ttwo seven") and 12 < len(done.stdout.split()) < 120, done
    assert done.stderr == "enough\n"
