"""What is said of a folder that was not read as it was meant: which files are the transcripts, and who speaks."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.corpus import Corpus
from asr.corpus.hints import speaker_hint
from asr.errors import CorpusError
from asr.info import describe


@pytest.fixture
def folder(tmp_path):
    """Eight recordings of two speakers, each with files of three kinds beside it."""
    for k in range(8):
        stem = f"{k}_{'ann' if k % 2 else 'bob'}_x.{k}"
        soundfile.write(tmp_path / f"{stem}.wav", np.full(1600, 0.1), 8000)
        (tmp_path / f"{stem}.mb.cleaned").write_text("one Two\ntwo, 3 & [noise]\n")
        (tmp_path / f"{stem}.trs").write_text("<?xml version='1.0'?>\n<Trans/>\n")
        (tmp_path / f"{stem}.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\0")
    return tmp_path


def test_files_of_any_ending_that_may_be_transcripts_are_named(folder):
    problems = describe(folder)["first_problems"]
    assert problems == [
        f"{folder}: 8 recordings have a file .mb.cleaned beside them; --text-suffix .mb.cleaned reads them as "
        "transcripts",
        f"{folder}: 8 recordings have a file .trs beside them, which is not read: 0_bob_x.0.trs is XML, not a "
        "transcript; write what is said into a text file",
    ]
    with pytest.raises(CorpusError) as error:
        Corpus.read(folder)
    told = str(error.value).splitlines()
    assert len(told) == 2 and "there is 0_bob_x.0.mb.cleaned: --text-suffix .mb.cleaned reads it" in told[1]
    assert "and 7 more of this kind" in told[1]
    assert len(Corpus.from_folder(folder, text_suffix=".mb.cleaned")) == 8
    for path in folder.glob("*.cleaned"):
        path.unlink()
    with pytest.raises(CorpusError, match=r"there is 0_bob_x.0.trs, but a file .trs is not read"):
        Corpus.read(folder)


def test_who_may_speak_is_told_by_names_and_the_pattern_finds_it(folder):
    hint = describe(folder)["who_speaks"]
    assert "2 different second parts (ann, bob)" in hint
    pattern = re.search("--speaker '(.*)'", hint)[1]
    corpus = Corpus.from_folder(folder, speaker=pattern, need_text=False)
    assert corpus.speakers == ["ann", "bob"]
    assert describe(folder, speaker=pattern).get("who_speaks") is None


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ([f"d/{s}-{k}.wav" for s in ("p1", "p2") for k in range(5)], "^[^\\-]+"),
        ([f"d/{s}/{k}/x.wav" for s in ("ann", "bob") for k in range(5)], "^[^/]+"),
        ([f"d/2020_{k}_{s}.wav" for s in ("01", "02") for k in range(5)], "^[^_]*_[^_]*_([^_]+)"),
        ([f"d/x{k}.wav" for k in range(9)], None),
        ([f"d/ann_{k}.wav" for k in range(9)], None),
        (["d/a_1.wav", "d/b_1.wav"], None),
    ],
)
def test_patterns_of_speakers(names, pattern):
    hint = speaker_hint(list(map(Path, names)))
    assert (hint is None) if pattern is None else hint.endswith(f"--speaker '{pattern}'")


def test_what_transcripts_are_made_into_is_told(folder):
    facts = describe(folder, text_suffix=".mb.cleaned")["transcripts"]["as_asr_train_reads_them"]
    assert facts[0] == "1 word in several spellings by case: Two/two"
    assert [line.split(" ", 1)[1] for line in facts[2:4]] == [
        "words without their punctuation: two,, &", "words in brackets, or other marks, left out: [noise]"
    ]  # fmt: skip
