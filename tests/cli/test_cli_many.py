"""Thousands of complaints of one kind are a few lines, and a corpus that is refused is refused before hours of work."""

import shutil

import numpy as np
import pytest
import soundfile

from asr.cli.common import Complaints
from asr.corpus import Corpus, Utterance
from asr.errors import CorpusError
from asr.recipe.own_data import planned


def test_complaints_of_a_kind_are_counted(capsys):
    problems = Complaints(how="all with -v")
    for i in range(6388):
        problems.add(f"clips/{i}.mp3: truncated: {i / 7:.3f} s of {i}", f"clips/{i}.mp3")
    problems.add("other.wav: not audio", "other.wav")
    problems.end()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5 and lines[3] == "asr: other.wav: not audio"
    assert lines[4].startswith("asr: and 6385 more of this kind (all with -v); the last: clips/6387.mp3: truncated")
    everything = Complaints(verbose=True)
    for i in range(10):
        everything.add(f"{i}.wav: empty", f"{i}.wav")
    everything.end()
    assert len(capsys.readouterr().err.splitlines()) == 10


@pytest.fixture
def broken(tmp_path):
    """60 recordings that promise more than they hold, with transcripts."""
    folder = tmp_path / "broken"
    folder.mkdir()
    soundfile.write(tmp_path / "whole.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), 8000)
    data = (tmp_path / "whole.wav").read_bytes()
    for i in range(60):
        (folder / f"r{i:02d}.wav").write_bytes(data[: len(data) // 2])
        (folder / f"r{i:02d}.txt").write_text("a b c\n")
    return folder


def test_transcribing_says_at_once_that_all_are_refused(run, broken):
    done = run("transcribe", "digits", broken)
    lines = done.err.splitlines()
    assert done.status == 1 and len(lines) == 6
    assert "not one of the first 50 of 60 could be used" in lines[3]
    assert "and 57 more of this kind" in lines[4] and lines[5] == "asr: 60 of 60 failed"
    assert len(run("transcribe", "digits", broken, "-v").err.splitlines()) == 63


def test_problems_of_a_corpus_are_told_by_kind(run, broken, tmp_path):
    for path in broken.glob("*.txt"):
        path.write_text("\n")
    shutil.copy(tmp_path / "whole.wav", broken / "good.wav")
    (broken / "good.txt").write_text("a b\n")
    done = run("info", broken)
    told = done.out.partition("first problems\n")[2].splitlines()
    assert len(told) == 1 and "transcript is blank" in told[0] and "(and 59 more of this kind" in told[0]
    assert len(run("info", broken, "-v").out.partition("first problems\n")[2].splitlines()) == 60


def test_training_tries_some_recordings_before_all_else(run, broken, tmp_path):
    done = run("train", broken, tmp_path / "out", "--stages", "mono")
    assert done.status == 1 and "30 of 30 recordings from all over the corpus cannot be used" in done.err
    assert "truncated" in done.err and not (tmp_path / "out").exists()
    paths = sorted(broken.glob("*.wav"))
    for path in paths[::3]:
        shutil.copy(tmp_path / "whole.wav", path)
    corpus = Corpus([Utterance(path.stem, "s", path, "a b c") for path in paths])
    notes = planned(corpus, stages=["mono"]).notes
    assert any("recordings from all over the corpus cannot be used" in note for note in notes)
    with pytest.raises(CorpusError, match="cannot be used"):
        planned(corpus.where(lambda u: u.id not in {path.stem for path in paths[::3]}), stages=["mono"])
