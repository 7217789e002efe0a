"""The shipped model on what editors, gates, clicks, rooms and microphones do to recordings, and on other speech."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

import asr
from asr import audio
from asr.audio.conditions import click, gated, hum, microphone
from asr.scoring import score

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SAID = "two seven one eight two eight"


def changed(x: np.ndarray, rate: int, how: str) -> np.ndarray:
    """A recording after something was done to it."""
    rng = np.random.default_rng(1)
    half, tenth = np.zeros(rate // 2), np.zeros(rate // 20)
    step = rng.integers(-1, 2, rate // 2) / 32768
    made = {
        "as it is": lambda: x,
        "50 ms of zeros before": lambda: np.r_[tenth, x],
        "zeros before": lambda: np.r_[half, x],
        "zeros at both ends": lambda: np.r_[half, half, x, half, half],
        "zeros between words": lambda: np.r_[x[: round(0.5575 * rate)], half, x[round(0.5575 * rate) :]],
        "a constant before": lambda: np.r_[half + 1 / 32768, x],
        "noise of one step at both ends": lambda: np.r_[step, x, step],
        "gated": lambda: gated(x, rate),
        "a click before": lambda: np.r_[click(rate, rng) * 0.2, tenth, x],
        "hum": lambda: hum(x, rate, rng, -25),
        "an offset": lambda: x + 0.1,
        "40 dB weaker": lambda: x * 0.01,
        "another microphone": lambda: microphone(x, rng, decibels=6),
    }
    return made[how]().astype(np.float32)


KINDS = [
    "as it is", "50 ms of zeros before", "zeros before", "zeros at both ends", "zeros between words",
    "a constant before", "noise of one step at both ends", "gated", "a click before", "hum", "an offset",
    "40 dB weaker", "another microphone",
]  # fmt: skip


@pytest.mark.parametrize("how", KINDS)
def test_what_is_done_to_a_recording_changes_no_word(sample, digits_model, how):
    x, rate = soundfile.read(sample, dtype="float32")
    found = digits_model.transcribe(changed(x, rate, how), rate)
    assert found.text == SAID and found.fits


def test_words_are_where_they_were(sample, digits_model):
    x, rate = soundfile.read(sample, dtype="float32")
    plain = digits_model.transcribe(x, rate).words
    late = digits_model.transcribe(changed(x, rate, "zeros before"), rate).words
    assert all(abs(b.start - a.start - 0.5) < 0.05 for a, b in zip(plain, late, strict=True))


def test_the_stream_says_the_same(sample, digits_model):
    x, rate = soundfile.read(sample, dtype="float32")
    x = changed(x, rate, "zeros at both ends")
    stream = digits_model.stream(rate)
    for begin in range(0, len(x), 800):
        stream.accept(x[begin : begin + 800])
    assert stream.finish().words == digits_model.transcribe(x, rate).words


def test_other_speech_is_said_to_be_unlike_digits_once(run, tmp_path, digits_model):
    pytest.importorskip("espeakng_loader")
    from asr.audio.synth import speak

    sentences = ("please turn the lights on", "what a lovely morning it is", "my brother lives far away from here")
    for number, text in enumerate(sentences):
        samples = speak(text, voice="gmw/en-US", speed=140, rate_hz=16000)
        soundfile.write(tmp_path / f"{number}.wav", samples, 16000)
    assert not any(digits_model.transcribe(p).fits for p in tmp_path.glob("*.wav"))
    done = run("transcribe", "digits", tmp_path)
    assert done.status == 0 and done.err.count("digits: ten words") == 1
    assert "3 of 3 recordings are unlike what this model is for" in done.err


def test_silent_recordings_are_said_to_be_silent(run, tmp_path, sample):
    soundfile.write(tmp_path / "muted.wav", np.zeros(8000), 8000)
    done = run("transcribe", "digits", tmp_path / "muted.wav", sample)
    assert done.status == 0 and done.out == f"muted\t\nsample\t{SAID}\n"
    assert "1 of 2 recordings is silent all through" in done.err and "muted.wav" in done.err


@pytest.fixture(scope="module")
def official(fsdd) -> list[tuple[np.ndarray, str]]:
    """Recordings 0 to 4 of the Free Spoken Digit Dataset, which the model was not trained on, with their words."""
    paths = [p for p in sorted(Path(fsdd).glob("*.wav")) if int(p.stem.rsplit("_", 1)[1]) < 5]
    return [(audio.read(p, 8000).samples, WORDS[int(p.stem[0])]) for p in paths]


def errors_and_misfits(model: "asr.Model", recordings: list[tuple[np.ndarray, str]], how: str) -> tuple[float, float]:
    """The word error rate and the part of the recordings that are said to be unlike the model's kind, percent."""
    found = [model.transcribe(changed(x, 8000, how), 8000) for x, _ in recordings]
    hypotheses = {str(i): t.text for i, t in enumerate(found)}
    result = score({str(i): word for i, (_, word) in enumerate(recordings)}, hypotheses)
    return result.rate, 100 * np.mean([not t.fits for t in found])


@pytest.mark.slow
def test_official_recordings_whatever_is_done_to_them(official, digits_model):
    plain, unlike = errors_and_misfits(digits_model, official, "as it is")
    assert len(official) == 300 and plain <= 1.0 and unlike <= 1.0
    for how in ("zeros at both ends", "noise of one step at both ends", "gated", "a click before"):
        rate, unlike = errors_and_misfits(digits_model, official, how)
        assert abs(rate - plain) <= 0.7 and unlike <= 1.0, (how, rate, unlike)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_minutes_of_digits_fit_and_what_else_is_said_between_is_named(run, official, real_data, tmp_path, noise):
    rng = np.random.default_rng(5)
    pieces = []
    for i in rng.integers(0, len(official), 250):
        pieces += [official[i][0], noise * rng.standard_normal(rng.integers(1600, 8000))]
    asides = [audio.read(p, 8000).samples for p in sorted(real_data.glob("mboshi/dev/*.ogg"))[:5]]
    pause = np.zeros(8000)
    soundfile.write(tmp_path / "digits.wav", np.concatenate(pieces), 8000)
    soundfile.write(tmp_path / "mixed.wav", np.concatenate([*pieces[:200], pause, *asides, pause, *pieces[200:]]), 8000)

    def notices(name: str) -> str:
        return run("transcribe", "digits", tmp_path / name).err

    assert notices("digits.wav") == ""
    if asides and not noise:
        start = sum(map(len, pieces[:200])) / 8000
        said = notices("mixed.wav")
        assert "hardly" not in said and "has pieces that are unlike" in said
        assert f"{round(start) // 60}:" in said.partition("mixed.wav, ")[2]


def test_sound_without_words_is_not_passed_over(run, tmp_path, sample):
    x, rate = soundfile.read(sample, dtype="float32")
    noise = 1e-3 * np.random.default_rng(0).standard_normal(rate)
    soundfile.write(tmp_path / "noise.wav", noise, rate, subtype="FLOAT")
    soundfile.write(tmp_path / "words.wav", x, rate)
    done = run("transcribe", "digits", tmp_path)
    assert done.out == f"noise\t\nwords\t{SAID}\n"
    assert "no words were found in 1 of 2 recordings, though there is sound" in done.err and "noise.wav" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(("place", "step"), [("mboshi/dev/*.ogg", 4), ("english/clips/cv-*.opus", 20)])
def test_most_of_other_languages_and_sentences_do_not_fit(real_data, digits_model, place, step):
    paths = sorted(real_data.glob(place))[::step]
    if not paths:
        pytest.skip(f"no {place} under ASR_TEST_DATA")
    assert np.mean([not digits_model.transcribe(p).fits for p in paths]) >= 0.95
