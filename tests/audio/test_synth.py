import random
import subprocess
import sys
import wave
import zlib

import numpy as np
import pytest

from asr.audio.synth import (
    ACCENTS,
    SAMPLE_TEXT,
    TEST,
    TRAIN,
    VARIANTS,
    SynthOptions,
    plan_digits,
    speak,
    synthesise_digits,
    write_sample,
)
from asr.errors import AsrError

SMALL = SynthOptions(n_train_voices=3, n_test_voices=2, train_utterances=2, test_utterances=1)


@pytest.fixture(scope="module")
def small_corpus(tmp_path_factory):
    pytest.importorskip("espeakng_loader")
    return synthesise_digits(tmp_path_factory.mktemp("synth") / "digits", options=SMALL)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_parts_share_no_voice_speed_noise_or_utterance():
    plan = plan_digits(SynthOptions())
    train = [item for item in plan if item.part == "train"]
    test = [item for item in plan if item.part == "test"]
    assert 600 <= len(train) <= 1000 and 120 <= len(test) <= 200
    for field in ("id", "speaker", "speed", "snr_db", "noise_slope"):
        assert not {getattr(i, field) for i in train} & {getattr(i, field) for i in test}, field
    assert not {i.speaker.split("-")[1] for i in train} & {i.speaker.split("-")[1] for i in test}
    assert {len(i.text.split()) for i in train} == set(range(1, 8))
    assert set(TRAIN.speeds).isdisjoint(TEST.speeds)


def test_plan_depends_on_the_seed_only():
    assert plan_digits(SynthOptions(seed=3)) == plan_digits(SynthOptions(seed=3))
    assert plan_digits(SynthOptions(seed=3)) != plan_digits(SynthOptions(seed=4))


def test_too_many_voices_are_refused():
    with pytest.raises(AsrError, match=f"{len(VARIANTS)} or fewer"):
        plan_digits(SynthOptions(n_train_voices=len(VARIANTS)))


def test_speech_does_not_depend_on_what_was_spoken_before():
    pytest.importorskip("espeakng_loader")
    jobs = [("one two", f"{ACCENTS['gb']}+m3"), ("five", f"{ACCENTS['us']}+klatt2"), ("zero six", ACCENTS["scots"])]
    first = {job: speak(job[0], voice=job[1]) for job in jobs}
    for seed in range(3):
        random.Random(seed).shuffle(jobs)
        for job in jobs:
            np.testing.assert_array_equal(speak(job[0], voice=job[1]), first[job])
    speak_there = "from asr.audio.synth import speak; x = speak('one two', voice='gmw/en+m3')"
    code = f"{speak_there}; import zlib; print(zlib.crc32(x.tobytes()))"
    other_process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other_process.stdout) == zlib.crc32(first["one two", "gmw/en+m3"].tobytes())


def test_speed_pitch_and_rate_do_what_they_say():
    pytest.importorskip("espeakng_loader")
    slow, fast = (speak("one two three", speed=s) for s in (120, 240))
    assert len(slow) > 1.5 * len(fast)
    assert not np.array_equal(speak("one", pitch=30), speak("one", pitch=70))
    assert len(speak("one", rate_hz=8000)) == pytest.approx(len(speak("one")) * 8000 / 22050, abs=2)
    assert slow.dtype == np.float32 and 0.05 < np.abs(slow).max() <= 1


def test_unknown_voice_names_the_nearest():
    pytest.importorskip("espeakng_loader")
    with pytest.raises(AsrError, match="'gmw/en-USS'; did you mean 'gmw/en-US"):
        speak("one", voice="gmw/en-USS")


def test_missing_package_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(AsrError, match=r"pip install --editable '.*\[demo\]'"):
        synthesise_digits(tmp_path / "digits", options=SMALL)
    assert list(tmp_path.iterdir()) == []


def test_corpus_layout_and_determinism(small_corpus, tmp_path):
    files = contents(small_corpus)
    wavs = [name for name in files if name.endswith(".wav")]
    assert len(wavs) == 3 * 2 + 2 * 1
    manifest = (small_corpus / "manifest.tsv").read_text().splitlines()
    assert len(manifest) == 1 + len(wavs)
    for line in manifest[1:]:
        row = dict(zip(manifest[0].split("\t"), line.split("\t"), strict=True))
        stem = small_corpus / row["part"] / row["speaker"] / row["id"]
        assert stem.with_suffix(".txt").read_text() == row["text"] + "\n"
        with wave.open(str(stem.with_suffix(".wav"))) as wav:
            assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (8000, 1, 2)
            assert 0.3 < wav.getnframes() / 8000 < 8
    assert contents(synthesise_digits(tmp_path / "again", options=SMALL)) == files


def test_complete_corpus_is_kept_and_other_options_replace_it(tmp_path):
    pytest.importorskip("espeakng_loader")
    tiny = {"n_train_voices": 1, "n_test_voices": 1, "train_utterances": 1, "test_utterances": 1}
    calls = []
    folder = synthesise_digits(tmp_path / "d", progress=lambda *a: calls.append(a), **tiny)
    assert calls == [(1, 2), (2, 2)]
    before = contents(folder)
    synthesise_digits(folder, progress=lambda *a: calls.append(a), **tiny)
    assert len(calls) == 2
    synthesise_digits(folder, seed=1, **tiny)
    assert contents(folder).keys() != before.keys()


def test_interrupted_synthesis_leaves_nothing(tmp_path):
    pytest.importorskip("espeakng_loader")

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise_digits(tmp_path / "d", options=SMALL, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(AsrError, match=r"not a synthesised corpus"):
        synthesise_digits(tmp_path, options=SMALL)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_unknown_option_is_a_type_error(tmp_path):
    with pytest.raises(TypeError, match="did you mean 'n_test_voices'"):
        synthesise_digits(tmp_path / "d", n_test_voice=3)


def test_shipped_sample_can_be_made_again(tmp_path):
    pytest.importorskip("espeakng_loader")
    import importlib.resources

    write_sample(tmp_path / "sample.wav")
    shipped = importlib.resources.files("asr") / "data"
    assert (tmp_path / "sample.txt").read_text() == (shipped / "sample.txt").read_text() == SAMPLE_TEXT + "\n"
    with wave.open(str(tmp_path / "sample.wav")) as made, wave.open(str(shipped / "sample.wav")) as kept:
        assert (kept.getframerate(), kept.getnchannels(), kept.getsampwidth()) == (8000, 1, 2)
        a = np.frombuffer(made.readframes(made.getnframes()), "<i2").astype(int)
        b = np.frombuffer(kept.readframes(kept.getnframes()), "<i2").astype(int)
    assert len(a) == len(b) and np.abs(a - b).max() <= 2  # another processor may round the resampling differently
    assert (shipped / "sample.wav").stat().st_size < 100_000
