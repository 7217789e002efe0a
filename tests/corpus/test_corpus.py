"""Corpora: folders and Kaldi data directories in and out, and every kind of inconsistency with its place."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus import Corpus, Problem, Utterance
from asr.errors import CorpusError

REAL = os.environ.get("ASR_TEST_DATA")
needs_speech = pytest.mark.skipif(not REAL, reason="ASR_TEST_DATA is not set")


def recording(path, seconds=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(int(8000 * seconds), np.float32), 8000)
    return path


@pytest.fixture
def folder(tmp_path):
    """Three good utterances of two speakers."""
    for name, text in [("ann/one", "one"), ("ann/two", "two\ntoo"), ("bob/three", "  three ")]:
        recording(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.txt").write_text(text)
    return tmp_path


@pytest.fixture
def kaldi(tmp_path):
    """A good data directory with recordings r1 (1 s) and r2 (2 s), cut into three segments."""
    recording(tmp_path / "audio" / "r1.wav"), recording(tmp_path / "audio" / "r2.wav", 2.0)
    files = {
        "wav.scp": f"r1 {tmp_path}/audio/r1.wav\nr2 audio/r2.wav\n",
        "segments": "u3 r2 1 -1\nu1 r1 0 0.5\nu2 r2 0.25 1\n",
        "text": "u1 one\nu2 two  two\nu3 three\n",
        "utt2spk": "u1 ann\nu2 bob\nu3 bob\n",
        "spk2utt": "ann u1\nbob u2 u3\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def shown(corpus, directory):
    """The problems, with places relative to the directory."""
    return [str(problem).replace(f"{directory}/", "") for problem in corpus.problems]


def append(path, text):
    with path.open("ab") as stream:
        stream.write(text if isinstance(text, bytes) else text.encode())


# --- the classes


def test_a_corpus_is_an_ordered_collection_with_ids():
    corpus = Corpus([Utterance("b", "x", text="one"), Utterance("a", "y"), Utterance("c", "x", text="two  three")])
    assert corpus.ids == ["b", "a", "c"] and [u.id for u in corpus] == ["b", "a", "c"] and len(corpus) == 3
    assert corpus["a"].speaker == "y" and "a" in corpus and "z" not in corpus
    assert corpus.speakers == ["x", "y"]
    assert corpus.speaker_of == {"b": "x", "a": "y", "c": "x"}
    assert corpus.transcripts() == {"b": "one", "c": "two three"}
    assert corpus.select(["c", "b"]).ids == ["c", "b"]
    assert corpus.where(lambda u: u.speaker == "x").ids == ["b", "c"]


def test_problems_stay_with_a_part_of_the_corpus():
    corpus = Corpus([Utterance("a", "x"), Utterance("b", "x")], [Problem("text:1", "odd")])
    assert corpus.select(["a"]).problems == corpus.where(lambda u: True).problems == (Problem("text:1", "odd"),)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Corpus([]), "no usable utterance"),
        (lambda: Corpus([Utterance("a", "x")]).where(lambda u: False), "no usable utterance"),
        (lambda: Corpus([Utterance("a", "x"), Utterance("a", "y")]), "'a' is given twice"),
        (lambda: Corpus([Utterance("abc", "x")])["abd"], "'abd' is not in the corpus; did you mean 'abc'"),
        (lambda: Corpus([Utterance("a b", "x")]), "'a b' is empty, has white space"),
        (lambda: Corpus([Utterance("", "x")]), "is empty"),
        (lambda: Corpus([Utterance("a", "\udcff")]), "not Unicode"),
        (lambda: Utterance("a", "x", start=2.0, end=1.0), "end 1 s is not after start 2 s"),
        (lambda: Utterance("a", "x", start=-1.0), "time -1 is not a number of seconds"),
        (lambda: Utterance("a", "x", end=float("nan")), "time nan"),
    ],
)
def test_impossible_corpora_and_utterances_are_refused(make, message):
    with pytest.raises(CorpusError, match=re.escape(message)):
        make()


# --- folders


def test_a_folder_with_a_speaker_per_subfolder(folder):
    corpus = Corpus.from_folder(folder)
    assert corpus.problems == ()
    assert list(corpus) == [
        Utterance("one", "ann", folder / "ann" / "one.wav", "one"),
        Utterance("two", "ann", folder / "ann" / "two.wav", "two too"),
        Utterance("three", "bob", folder / "bob" / "three.wav", "three"),
    ]
    assert Corpus.read(folder) == corpus


def test_a_flat_folder_and_other_ways_to_name_the_speaker(tmp_path):
    for name in ("7_ann_0.wav", "8_bob_0.FLAC"):
        recording(tmp_path / name)
    corpus = Corpus.from_folder(tmp_path, need_text=False)
    assert corpus.speaker_of == {"7_ann_0": "7_ann_0", "8_bob_0": "8_bob_0"}
    assert corpus.transcripts() == {}
    assert Corpus.from_folder(tmp_path, speaker=r"_([a-z]+)_", need_text=False).speakers == ["ann", "bob"]
    assert Corpus.from_folder(tmp_path, speaker=lambda p: p.name[0], need_text=False).speakers == ["7", "8"]
    unmatched = Corpus.from_folder(tmp_path, speaker=r"ann", need_text=False)
    assert unmatched.ids == ["7_ann_0"]
    assert shown(unmatched, tmp_path) == [
        "8_bob_0.FLAC: its speaker would be None; need a name without blanks: mend `speaker`"
    ]


def test_stems_that_clash_get_their_path_as_id(tmp_path):
    for name in ("ann/1.wav", "bob/x/1.wav", "bob/x/2.wav"):
        recording(tmp_path / name)
    assert Corpus.from_folder(tmp_path, need_text=False).ids == ["ann-1", "bob-x-1", "2"]


def test_one_id_for_two_recordings_leaves_both_out(tmp_path):
    for name in ("a.wav", "a.flac", "b.wav"):
        recording(tmp_path / name)
    corpus = Corpus.from_folder(tmp_path, need_text=False)
    assert corpus.ids == ["b"]
    (problem,) = shown(corpus, tmp_path)
    assert problem == "a.wav: has the same id 'a' as a.flac; neither is used, rename one"


def test_every_fault_of_a_folder_is_listed_and_the_rest_is_used(folder):
    recording(folder / "ann" / "no text.wav"), recording(folder / "ann" / "four.wav")
    recording(folder / "bob" / "blank.wav"), (folder / "bob" / "blank.txt").write_text(" \n")
    recording(folder / "bob" / "latin.wav"), (folder / "bob" / "latin.txt").write_bytes(b"one\ncaf\xe9\n")
    (folder / "bob" / "empty.wav").touch(), (folder / "bob" / "empty.txt").write_text("six")
    (folder / "bob" / "orphan.txt").write_text("seven")
    (folder / ".hidden.wav").touch()
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav"), (folder / "gone.txt").write_text("eight")
    corpus = Corpus.from_folder(folder)
    assert corpus.ids == ["one", "two", "three"]
    assert shown(corpus, folder) == [
        "ann/four.wav: no transcript four.txt beside it",
        "ann/no text.wav: no transcript no text.txt beside it",
        "bob/blank.txt: the transcript is blank; write what is said, or remove the recording",
        "bob/empty.wav: the file is empty",
        "bob/latin.txt:2: not valid UTF-8; save the file as UTF-8",
        "gone.wav: the link leads to no file (nowhere.wav)",
        "bob/orphan.txt: no recording of that name beside it (.wav, .flac, .mp3 ...)",
    ]
    with pytest.raises(CorpusError, match="7 problems") as caught:
        Corpus.from_folder(folder, strict=True)
    assert str(caught.value).count("\n") == 7


def test_linked_folders_are_followed_once(folder):
    (folder / "ann" / "loop").symlink_to(folder)
    assert Corpus.from_folder(folder).ids == ["one", "two", "three"]


def test_folders_without_recordings_are_errors(tmp_path):
    with pytest.raises(CorpusError, match=r"no recordings \(.wav"):
        Corpus.from_folder(tmp_path)
    with pytest.raises(CorpusError, match="nowhere: no such folder"):
        Corpus.from_folder(tmp_path / "nowhere")
    (tmp_path / "a.wav").touch()
    with pytest.raises(CorpusError, match=r"no usable utterance\n.*a.wav: the file is empty"):
        Corpus.from_folder(tmp_path)


# --- Kaldi data directories


def test_a_kaldi_directory_with_segments(kaldi):
    corpus = Corpus.from_kaldi(kaldi)
    assert corpus.problems == ()
    assert list(corpus) == [
        Utterance("u3", "bob", kaldi / "audio" / "r2.wav", "three", 1.0, None),
        Utterance("u1", "ann", kaldi / "audio" / "r1.wav", "one", None, 0.5),
        Utterance("u2", "bob", kaldi / "audio" / "r2.wav", "two two", 0.25, 1.0),
    ]
    assert Corpus.read(kaldi) == corpus


def test_relative_paths_start_at_the_current_folder(kaldi, monkeypatch):
    recording(kaldi / "elsewhere" / "audio" / "r2.wav", 3.0)
    monkeypatch.chdir(kaldi / "elsewhere")
    assert Corpus.from_kaldi(kaldi)["u2"].audio == Path("audio/r2.wav")


def test_a_kaldi_directory_to_transcribe_needs_wav_scp_alone(kaldi):
    for name in ("segments", "text", "utt2spk", "spk2utt"):
        (kaldi / name).unlink()
    corpus = Corpus.from_kaldi(kaldi, need_text=False, strict=True)
    assert corpus.speaker_of == {"r1": "r1", "r2": "r2"}
    with pytest.raises(CorpusError, match="text: no such file"):
        Corpus.from_kaldi(kaldi)


FAULTS = {
    "missing file": ("wav.scp", "r3 nowhere.wav\n", "wav.scp:3: recording 'r3': no such file: nowhere.wav"),
    "pipe": ("wav.scp", "r3 sph2pipe a.sph |\n", "wav.scp:3: recording 'r3': is a command ('sph2pipe a.sph |')"),
    "archive": ("wav.scp", "r3 wav.ark:17\n", "wav.scp:3: recording 'r3': lies in an archive"),
    "no path": ("wav.scp", "r3\n", "wav.scp:3: recording 'r3': no path is given"),
    "recording twice": (
        "wav.scp",
        "r0 audio/r1.wav\nr0 audio/r2.wav\n",
        "wav.scp:4: id 'r0' was given before, in line 3",
    ),
    "bytes": ("wav.scp", b"r\xff audio/r1.wav\n", "wav.scp:3: not valid UTF-8"),
    "segment fields": (
        "segments",
        "u4 r1 0\n",
        "segments:4: utterance 'u4': expected 'id recording start end [channel]', found 'u4 r1 0'",
    ),
    "segment number": (
        "segments",
        "u4 r1 zero 1\n",
        "segments:4: utterance 'u4': expected 'id recording start end [channel]'",
    ),
    "segment order": ("segments", "u4 r1 0.5 0.5\n", "segments:4: utterance 'u4': end 0.5 s is not after start 0.5 s"),
    "segment sign": ("segments", "u4 r1 -0.5 0.5\n", "segments:4: utterance 'u4': time -0.5 is not"),
    "segment beyond": (
        "segments",
        "u4 r1 0 1.6\n",
        "segments:4: utterance 'u4': the part from 0 s to 1.6 s is beyond the recording's 1.00 s",
    ),
    "segment after": ("segments", "u4 r1 1 -1\n", "segments:4: utterance 'u4': the part from 1 s to the end is beyond"),
    "unknown recording": ("segments", "u4 r9 0 1\n", "segments:4: utterance 'u4': recording 'r9' is not in wav.scp"),
    "no text": ("segments", "u4 r1 0 1\n", "segments:4: utterance 'u4' has no transcript in text"),
    "no speaker": ("segments", "u4 r1 0 1\n", "segments:4: utterance 'u4' has no speaker in utt2spk"),
    "text twice": ("text", "u4 a\nu4 b\n", "text:5: id 'u4' was given before, in line 4"),
    "orphan text": ("text", "u4 four\n", "text:4: utterance 'u4' has a transcript but no audio in segments"),
    "blank text": ("text", "u4\n", "text:4: the transcript of 'u4' is blank"),
    "orphan speaker": ("utt2spk", "u4 bob\n", "utt2spk:4: utterance 'u4' has a speaker but no audio in segments"),
    "two speakers": ("utt2spk", "u4 ann bob\n", "utt2spk:4: the speaker of 'u4' is 'ann bob'"),
    "spk2utt disagrees": ("spk2utt", "cid u1\n", "spk2utt:3: 'u1' is listed; utt2spk says speaker 'ann', and counts"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_kaldi_directory_is_named_and_the_rest_is_used(kaldi, fault):
    name, added, message = FAULTS[fault]
    append(kaldi / name, added)
    corpus = Corpus.from_kaldi(kaldi)
    assert any(problem.startswith(message) for problem in shown(corpus, kaldi)), shown(corpus, kaldi)
    assert corpus.ids == ["u3", "u1", "u2"]
    with pytest.raises(CorpusError, match=re.escape(message.split(": ", 1)[1])):
        Corpus.from_kaldi(kaldi, strict=True)


def test_a_fault_is_reported_once_where_it_is(kaldi):
    """An utterance given up for one reason is not reported again as missing elsewhere."""
    (kaldi / "wav.scp").write_text("r1 nowhere.wav\nr2 audio/r2.wav\n")
    (kaldi / "text").write_text("u1 one\nu2\nu3 three\n")
    corpus = Corpus.from_kaldi(kaldi)
    assert corpus.ids == ["u3"]
    assert shown(corpus, kaldi) == [
        "wav.scp:1: recording 'r1': no such file: nowhere.wav",
        "text:2: the transcript of 'u2' is blank; write it, or remove the utterance",
    ]


def test_without_utt2spk_each_utterance_is_a_speaker_and_it_is_said(kaldi):
    (kaldi / "utt2spk").unlink()
    corpus = Corpus.from_kaldi(kaldi)
    assert corpus["u1"].speaker == "u1"
    assert shown(corpus, kaldi)[0].startswith("utt2spk: no such file")


def test_spk2utt_that_lacks_an_utterance_is_reported(kaldi):
    (kaldi / "spk2utt").write_text("ann u1\nbob u2\n")
    assert shown(Corpus.from_kaldi(kaldi), kaldi) == ["utt2spk:3: utterance 'u3' is not in spk2utt"]


def test_a_segment_may_end_a_little_after_its_recording(kaldi):
    (
        append(kaldi / "segments", "u4 r1 0.5 1.4\n"),
        append(kaldi / "text", "u4 x\n"),
        append(kaldi / "utt2spk", "u4 ann\n"),
    )
    (kaldi / "spk2utt").unlink()
    assert Corpus.from_kaldi(kaldi, strict=True)["u4"] == Utterance("u4", "ann", kaldi / "audio/r1.wav", "x", 0.5, None)


def test_a_recording_that_is_not_audio_is_found_where_segments_need_its_length(kaldi):
    (kaldi / "audio" / "r1.wav").write_text("not audio")
    corpus = Corpus.from_kaldi(kaldi)
    assert corpus.ids == ["u3", "u2"]
    assert shown(corpus, kaldi)[0].startswith("segments:2: utterance 'u1': its recording cannot be read")


def test_windows_files_are_read(kaldi):
    for name in ("wav.scp", "segments", "text", "utt2spk", "spk2utt"):
        raw = (kaldi / name).read_bytes()
        (kaldi / name).write_bytes(b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"))
    assert Corpus.from_kaldi(kaldi, strict=True).transcripts() == {"u1": "one", "u2": "two two", "u3": "three"}


NAME = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=5).filter(
    lambda s: s.split() == [s] and "\ufeff" not in s
)
TIMES = st.one_of(
    st.just((None, None)),
    st.floats(0.01, 1.9).map(lambda start: (start, None)),
    st.tuples(st.floats(0, 0.9), st.floats(1.0, 2.0)),
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        NAME, st.tuples(NAME, st.integers(0, 2), st.lists(NAME, min_size=1, max_size=4), TIMES), min_size=1
    ),
    st.booleans(),
)
def test_to_kaldi_and_back_is_the_identity(tmp_path_factory, made, whole):
    base = tmp_path_factory.getbasetemp() / "recordings"
    audio = [base / "a" / "x.wav", base / "b" / "x.wav", base / "c d" / "a name.wav"]
    for path in audio:
        if not path.exists():
            recording(path, 2.0)
    corpus = Corpus(
        Utterance(name, speaker, audio[index], " ".join(words), *((None, None) if whole else times))
        for name, (speaker, index, words, times) in sorted(made.items())
    )
    directory = tmp_path_factory.mktemp("data") / "kaldi"
    corpus.to_kaldi(directory)
    assert (directory / "segments").exists() == any(u.start or u.end for u in corpus)
    again = Corpus.from_kaldi(directory)
    assert again == corpus
    assert all("overlaps" in problem.message for problem in again.problems)
    for path in directory.iterdir():
        lines = path.read_bytes().splitlines(keepends=True)
        assert [line.split(b" ")[0] for line in lines] == sorted(line.split(b" ")[0] for line in lines)


def test_to_kaldi_replaces_a_data_directory_but_nothing_else(kaldi, tmp_path):
    corpus = Corpus.from_kaldi(kaldi)
    corpus.to_kaldi(tmp_path / "out")
    corpus.where(lambda u: u.id == "u1").to_kaldi(tmp_path / "out")
    assert Corpus.from_kaldi(tmp_path / "out").ids == ["u1"]
    append(tmp_path / "out" / "feats.scp", "x")
    with pytest.raises(CorpusError, match=r"holds other files \(feats.scp\)"):
        corpus.to_kaldi(tmp_path / "out")
    assert Corpus.from_kaldi(tmp_path / "out").ids == ["u1"]


def test_to_kaldi_needs_audio_with_a_writable_path(tmp_path):
    with pytest.raises(CorpusError, match="'a' has no audio"):
        Corpus([Utterance("a", "x")]).to_kaldi(tmp_path / "out")
    with pytest.raises(CorpusError, match=r"wav.scp cannot hold the path"):
        Corpus([Utterance("a", "x", tmp_path / "a.wav |")]).to_kaldi(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_import_is_light():
    heavy = ["numpy", "scipy", "numba", "soundfile", "pynini"]
    code = f"import asr.corpus, sys; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- real corpora


@needs_speech
def test_fsdd_is_read_by_a_speaker_in_the_name():
    corpus = Corpus.from_folder(Path(REAL, "fsdd", "recordings"), speaker=r"_([a-z]+)_", need_text=False, strict=True)
    assert len(corpus) == 3000
    assert corpus.speakers == ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]


@needs_speech
def test_mboshi_is_read_with_its_own_transcript_suffix():
    corpus = Corpus.from_folder(Path(REAL, "mboshi", "dev"), speaker=r"^[a-z]+", text_suffix=".mb.cleaned", strict=True)
    assert (len(corpus), len(corpus.speakers)) == (514, 3)
    assert all(corpus.transcripts().values())


# --- damage


def test_damage_in_a_folder_is_named_and_the_rest_is_used(folder):
    (folder / "ann" / "one.txt").write_bytes(b"caf\xe9")
    (folder / "ann" / "gone.wav").symlink_to("nowhere.wav")
    (folder / "ann" / "gone.txt").write_text("x")
    os.mkfifo(folder / "ann" / "pipe.wav")
    (folder / "ann" / "pipe.txt").write_text("x")
    (folder / "ann" / "loop").symlink_to(folder)
    corpus = Corpus.from_folder(folder)
    assert corpus.ids == ["two", "three"]
    assert sorted(shown(corpus, folder)) == [
        "ann/gone.wav: the link leads to no file (nowhere.wav)",
        "ann/one.txt:1: not valid UTF-8; save the file as UTF-8",
        "ann/pipe.wav: is a pipe or device, not a file",
    ]
    with pytest.raises(CorpusError, match="is not a regular expression"):
        Corpus.from_folder(folder, speaker="(")


def test_paths_that_cannot_be_are_named_and_the_rest_is_used(kaldi):
    append(kaldi / "wav.scp", f"r3 {'a' * 5000}\nr4 a\0b\nr5 {kaldi}\n")
    corpus = Corpus.from_kaldi(kaldi)
    assert corpus.ids == ["u3", "u1", "u2"]
    assert [p.split(": ")[:3:2] for p in shown(corpus, kaldi)] == [
        ["wav.scp:4", "damaged, or UTF-16 without byte-order mark; save the file as UTF-8"],
        ["wav.scp:3", "may not or cannot be opened"],
        ["wav.scp:5", "is a folder, not a file"],
    ]
    with pytest.raises(CorpusError, match="is there and not a directory"):
        corpus.to_kaldi(kaldi / "text")


def test_a_folder_whose_name_is_not_unicode_costs_its_own_recordings_alone(tmp_path):
    for folder in (b"ann", b"d\xe9r"):
        place = os.fsencode(tmp_path) + b"/" + folder
        try:
            os.mkdir(place)  # noqa: PTH102
        except OSError:
            pytest.skip("this file system takes Unicode alone")
        Path(os.fsdecode(place + b"/" + folder[:1] + b".txt")).write_text("two")
        with Path(os.fsdecode(place + b"/" + folder[:1] + b".wav")).open("wb") as file:
            soundfile.write(file, np.zeros(800), 8000, format="WAV")
    (tmp_path / "ann" / "b.txt").symlink_to("nowhere.txt")
    soundfile.write(tmp_path / "ann" / "b.wav", np.zeros(800), 8000)
    corpus = Corpus.from_folder(tmp_path)
    assert corpus.ids == ["a"]
    told = [str(problem) for problem in corpus.problems]
    assert any(line.endswith("ann/b.txt: the link leads to no file (nowhere.txt)") for line in told)
    assert any("r/d.wav: its speaker would be" in line and "rename the folder" in line for line in told)
