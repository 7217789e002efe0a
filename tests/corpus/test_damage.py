"""Damaged corpora of all kinds: each fault is named with its file and line, and the good rest is used.

A corpus of three good utterances gets a fourth that is damaged; the fault may not raise anything, must be named at its
very place, and u1 to u3 must be there as if nothing had happened.
"""

import json
import os
import shutil
import unicodedata

import numpy as np
import pytest

from asr.audio import ffmpeg
from asr.corpus import Corpus
from asr.errors import CorpusError

LISTS = ("kaldi", "tsv", "lhotse")
KINDS = ("folder", *LISTS)
COLUMNS = ("id", "audio", "text", "speaker", "start", "end")


@pytest.fixture
def audio(tmp_path, recording, monkeypatch):
    """Recordings a1 to a4 of 1 s, which the lists name."""
    for i in range(1, 5):
        recording(tmp_path / "audio" / f"a{i}.wav")
    monkeypatch.setattr(ffmpeg, "decoder", lambda: None)  # neither PyAV nor the ffmpeg program
    return tmp_path


def entries():
    return [
        {"id": f"u{i}", "audio": f"audio/a{i}.wav", "text": f"word{i}", "speaker": f"s{i}", "start": None, "end": None}
        for i in range(1, 5)
    ]


def write_kaldi(folder, items):
    tables = {"wav.scp": [], "segments": [], "text": [], "utt2spk": []}
    for i, e in enumerate(items, 1):
        tables["wav.scp"].append(f"r{i} {e['audio']}")
        tables["segments"].append(f"{e['id']} r{i} {e['start'] or 0} {-1 if e['end'] is None else e['end']}")
        tables["text"].append(f"{e['id']} {e['text']}")
        tables["utt2spk"].append(f"{e['id']} {e['speaker']}")
    for name, lines in tables.items():
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def write_tsv(folder, items):
    cells = [COLUMNS, *([("" if e[c] is None else str(e[c])) for c in COLUMNS] for e in items)]
    (folder / "corpus.tsv").write_text("".join("\t".join(row) + "\n" for row in cells), encoding="utf-8")


def write_lhotse(folder, items):
    recordings, supervisions = [], []
    for i, e in enumerate(items, 1):
        start, end = e["start"] or 0, 1.0 if e["end"] is None else e["end"]
        sources = [{"type": "file", "channels": [0], "source": e["audio"]}]
        recordings.append({"id": f"r{i}", "sources": sources, "duration": 1.0})
        one = {"id": e["id"], "recording_id": f"r{i}", "start": start, "duration": end - start}
        supervisions.append(one | {"text": e["text"], "speaker": e["speaker"]})
    for name, objects in (("recordings", recordings), ("supervisions", supervisions)):
        lines = [json.dumps(o, ensure_ascii=False) + "\n" for o in objects]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def write_folder(folder, items):
    for e in items:
        path = folder / e["speaker"] / f"{e['id']}.wav"
        path.parent.mkdir()
        (folder / e["audio"]).rename(path)
        path.with_suffix(".txt").write_text(e["text"] + "\n", encoding="utf-8")
    (folder / "audio").rmdir()


def write(kind, folder, items):
    {"kaldi": write_kaldi, "tsv": write_tsv, "lhotse": write_lhotse, "folder": write_folder}[kind](folder, items)


def read(kind, folder, **options):
    return Corpus.read(folder / "corpus.tsv" if kind == "tsv" else folder, **options)


def check(kind, folder, place, message, used):
    """The heart of this file: what is used, and where the fault is said to be."""
    corpus = read(kind, folder)
    assert [u.id for u in corpus] == used
    for u in corpus:
        if u.id in ("u1", "u2", "u3"):
            assert (u.text, u.speaker) == (f"word{u.id[1]}", f"s{u.id[1]}")
            assert u.audio.is_file()
    places = {p.where: p.message for p in corpus.problems}
    assert f"{folder}/{place}" in places, places
    said = [p.message for p in corpus.problems if p.where == f"{folder}/{place}"]
    messages = (message,) if isinstance(message, str) else message
    assert any(message in text for text in said for message in messages), said
    with pytest.raises(CorpusError) as caught:
        read(kind, folder, strict=True)
    assert f"{folder}/{place}: " in str(caught.value)


# --- one damaged entry, the same in all three kinds of lists: what to do, its list in a Kaldi directory, what is said


def as_file(content):
    def change(entry, folder):
        entry["audio"] = "audio/odd.wav"
        (folder / "audio" / "odd.wav").write_bytes(content)

    return change


def with_link(target):
    def change(entry, folder):
        entry["audio"] = "audio/link.wav"
        (folder / "audio" / "link.wav").symlink_to(target)

    return change


def with_pipe(entry, folder):
    entry["audio"] = "audio/pipe.wav"
    os.mkfifo(folder / "audio" / "pipe.wav")


def with_folder(entry, folder):
    entry["audio"] = "audio/x.wav"
    (folder / "audio" / "x.wav").mkdir()


def unreadable(entry, folder):
    (folder / "audio" / "a4.wav").chmod(0)


def foreign(entry, folder):
    entry["audio"] = "audio/a b.m4a"
    (folder / "audio" / "a b.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))


def times(start, end):
    return lambda entry, folder: entry.update(start=start, end=end)


def odd_times(entry, folder):
    as_file(b"RIFF not audio at all")(entry, folder)
    entry.update(start=0.25, end=0.5)


def of(**values):
    return lambda entry, folder: entry.update(values)


NOTHING = ("no path is given", "names neither audio nor features")  # one of them is said
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
ENTRIES = {
    "missing file": (of(audio="audio/gone.wav"), "wav.scp", "no such file: audio/gone.wav"),
    "no path": (of(audio=""), "wav.scp", NOTHING),
    "upper and lower case": (of(audio="audio/A4.WAV"), "wav.scp", "there is 'a4.wav': mend upper and lower case"),
    "empty file": (as_file(b""), "wav.scp", "the file is empty"),
    "folder named x.wav": (with_folder, "wav.scp", "is a folder, not a file"),
    "pipe or device": (with_pipe, "wav.scp", "is a pipe or device"),
    "link to nowhere": (with_link("nowhere.wav"), "wav.scp", "the link leads to no file (nowhere.wav): audio/link.wav"),
    "link to itself": (with_link("link.wav"), "wav.scp", "the link leads to no file"),
    "name too long": (of(audio="a" * 5000), "wav.scp", "may not or cannot be opened"),
    "unreadable file": (unreadable, "wav.scp", "no permission to read the file"),
    "undecodable format": (foreign, "wav.scp", "ffmpeg -i"),
    "Git LFS pointer": (as_file(b"version https://git-lfs.github.com/spec/v1\n"), "wav.scp", "git lfs pull"),
    "web page": (as_file(b"<!DOCTYPE html><html>404"), "wav.scp", "a web page"),
    "command": (of(audio="touch ran; cat audio/a4.wav |"), "wav.scp", "commands are not run unless allowed"),
    "command that reads": (of(audio="| touch ran"), "wav.scp", "commands are not run unless allowed"),
    "archive": (of(audio="wav.ark:12"), "wav.scp", "lies in an archive"),
    "end before start": (times(0.5, 0.25), "segments", "end 0.25 s is not after start 0.5 s"),
    "no length": (times(0.5, 0.5), "segments", "end 0.5 s is not after start 0.5 s"),
    "negative time": (times(-0.5, 0.5), "segments", "time -0.5 is not a number of seconds"),
    "infinite time": (times(0.5, float("inf")), "segments", "time inf is not a number of seconds"),
    "beyond the end": (times(0.25, 1.75), "segments", "beyond the recording's 1.00 s"),
    "behind the end": (times(1.25, 1.3), "segments", "beyond the recording's 1.00 s"),
    "part of what is no audio": (odd_times, "segments", "its recording cannot be read"),
    "blank transcript": (of(text="  "), "text", "transcript"),
}


@pytest.mark.parametrize(("kind", "damage"), [(kind, damage) for damage in ENTRIES for kind in LISTS])
def test_a_damaged_entry(audio, monkeypatch, kind, damage):
    if damage == "unreadable file" and AS_ROOT:
        pytest.skip("root may read everything")
    monkeypatch.chdir(audio)
    change, table, message = ENTRIES[damage]
    items = entries()
    change(items[3], audio)
    write(kind, audio, items)
    place = {"kaldi": f"{table}:4", "tsv": "corpus.tsv:5", "lhotse": "supervisions.jsonl:4"}[kind]
    check(kind, audio, place, message, ["u1", "u2", "u3"])
    assert not (audio / "ran").exists()


@pytest.mark.parametrize("kind", LISTS)
def test_an_id_that_is_given_twice(audio, kind):
    items = entries()
    items[3]["id"] = "u3"
    write(kind, audio, items)
    place = {"kaldi": "segments:4", "tsv": "corpus.tsv:5", "lhotse": "supervisions.jsonl:4"}[kind]
    check(kind, audio, place, "'u3' was given before, in", ["u1", "u2"])


@pytest.mark.parametrize(("kind", "used"), [("kaldi", 3), ("tsv", 3), ("lhotse", 4)])
def test_a_missing_speaker(audio, kind, used):
    items = entries()
    items[3]["speaker"] = ""
    write(kind, audio, items)
    place = {"kaldi": "utt2spk:4", "tsv": "corpus.tsv:5", "lhotse": "supervisions.jsonl:4"}[kind]
    check(kind, audio, place, "speaker", ["u1", "u2", "u3", "u4"][:used])


@pytest.mark.parametrize("kind", LISTS)
def test_overlapping_parts_of_one_speaker_are_named_and_used(audio, kind):
    items = entries()
    for item, start, end in zip(items[2:], (0.0, 0.4), (0.5, 0.9), strict=True):
        item.update(audio="audio/a3.wav", speaker="s3", start=start, end=end)
    write(kind, audio, items)
    if kind == "kaldi":
        lines = (audio / "segments").read_text().replace("r4", "r3")
        (audio / "segments").write_text(lines)
    place = {"kaldi": "segments:4", "tsv": "corpus.tsv:5", "lhotse": "supervisions.jsonl:4"}[kind]
    check(kind, audio, place, "'u4' overlaps: it begins at 0.4 s, before 'u3'", ["u1", "u2", "u3", "u4"])


# --- one damaged line

BYTES = {
    "not UTF-8": (b"\xff", "not valid UTF-8"),
    "NUL byte": (b"\0", "holds a NUL byte"),
    "byte-order mark amid": (b"\xef\xbb\xbf", "holds a byte-order mark"),
}
LINES = {"kaldi": ("text", 4), "tsv": ("corpus.tsv", 5), "lhotse": ("supervisions.jsonl", 4)}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("damage", BYTES)
def test_bytes_that_are_no_text(audio, kind, damage):
    write(kind, audio, entries())
    name, number = LINES[kind]
    odd, message = BYTES[damage]
    (audio / name).write_bytes((audio / name).read_bytes().replace(b"word4", b"wo" + odd + b"rd4"))
    check(kind, audio, f"{name}:{number}", message, ["u1", "u2", "u3"])


REPLACED = {
    ("kaldi", "too few fields"): (
        "segments",
        "u4 r4 0",
        "expected 'id recording start end [channel]', found 'u4 r4 0'",
    ),
    ("kaldi", "too many fields"): ("segments", "u4 r4 0 1 0 0", "expected 'id recording start end"),
    ("kaldi", "no such channel"): ("segments", "u4 r4 0 1 1", "channel 1 (from 0) is not in the recording"),
    ("kaldi", "times that are words"): ("segments", "u4 r4 zero 1", "expected 'id recording start end"),
    ("kaldi", "unknown recording"): ("segments", "u4 r9 0 1", "recording 'r9' is not in wav.scp"),
    ("kaldi", "transcript of nothing"): ("text", "u9 word9", "'u9' has a transcript but no audio"),
    ("kaldi", "speaker of nothing"): ("utt2spk", "u9 s9", "'u9' has a speaker but no audio"),
    ("kaldi", "two speakers"): ("utt2spk", "u4 s4 s5", "need one name without blanks"),
    ("kaldi", "id alone"): ("text", "u4", "the transcript of 'u4' is blank"),
    ("tsv", "too few cells"): ("corpus.tsv", "u4\taudio/a4.wav\tword4", "has 3 cells, the header 6 columns"),
    ("tsv", "too many cells"): ("corpus.tsv", "u4\taudio/a4.wav\tword4\ts4\t\t\tx", "has 7 cells"),
    ("tsv", "blanks for tabs"): ("corpus.tsv", "u4 audio/a4.wav word4 s4", "has 1 cells"),
    ("tsv", "quotes around tabs"): ("corpus.tsv", 'u4\taudio/a4.wav\t"a\tb"\ts4\t\t', "a table without quoting"),
    ("tsv", "quotes around a path"): ("corpus.tsv", 'u4\t"audio/a4.wav"\tword4\ts4\t\t', "a table without quoting"),
    ("tsv", "decimal comma"): ("corpus.tsv", "u4\taudio/a4.wav\tword4\ts4\t0,5\t", "start '0,5' is not a number"),
    ("tsv", "blank in the id"): ("corpus.tsv", "u 4\taudio/a4.wav\tword4\ts4\t\t", "id 'u 4' is empty, has white"),
    ("tsv", "no id"): ("corpus.tsv", "\taudio/a4.wav\tword4\ts4\t\t", "id '' is empty"),
    ("lhotse", "half a line"): ("supervisions.jsonl", '{"id": "u4", "recor', "not JSON"),
    ("lhotse", "no object"): ("supervisions.jsonl", "[4]", "not an object with an 'id'"),
    ("lhotse", "deep nesting"): ("supervisions.jsonl", "[" * 100_000, "not JSON"),
    ("lhotse", "no start"): ("supervisions.jsonl", '{"id": "u4", "recording_id": "r4"}', "has no 'start'"),
    ("lhotse", "times that are words"): (
        "supervisions.jsonl",
        '{"id": "u4", "recording_id": "r4", "start": "0", "duration": 1}',
        "has no 'start' of the right type (found '0')",
    ),
    ("lhotse", "unknown recording"): (
        "supervisions.jsonl",
        '{"id": "u4", "recording_id": "r9", "start": 0, "duration": 1}',
        "recording 'r9' is not in recordings.jsonl",
    ),
    ("lhotse", "null source"): (
        "recordings.jsonl",
        '{"id": "r4", "sources": [{"type": "file", "source": null}]}',
        "source",
    ),
}


@pytest.mark.parametrize(("kind", "damage"), REPLACED)
def test_a_line_of_another_shape(audio, kind, damage):
    write(kind, audio, entries())
    name, line, message = REPLACED[kind, damage]
    lines = (audio / name).read_text().splitlines()
    (audio / name).write_text("\n".join([*lines[:-1], line, ""]))
    named = "supervisions.jsonl" if name == "recordings.jsonl" else name  # where the recording is missed
    check(kind, audio, f"{named}:{len(lines)}", message, ["u1", "u2", "u3"])


# --- folders

FOLDER = {
    "no transcript": (lambda f: (f / "s4/u4.txt").unlink(), "s4/u4.wav", "no transcript u4.txt beside it"),
    "transcript of another case": (
        lambda f: (f / "s4/u4.txt").rename(f / "s4/U4.txt"),
        "s4/u4.wav",
        "no transcript u4.txt beside it; U4.txt differs by upper and lower case",
    ),
    "blank transcript": (lambda f: (f / "s4/u4.txt").write_text(" \n\n"), "s4/u4.txt", "the transcript is blank"),
    "empty transcript": (lambda f: (f / "s4/u4.txt").write_text(""), "s4/u4.txt", "the transcript is blank"),
    "not UTF-8": (lambda f: (f / "s4/u4.txt").write_bytes(b"a\ncaf\xe9\n"), "s4/u4.txt:2", "not valid UTF-8"),
    "NUL byte": (lambda f: (f / "s4/u4.txt").write_bytes(b"a\0\n"), "s4/u4.txt:1", "holds a NUL byte"),
    "byte-order mark amid": (lambda f: (f / "s4/u4.txt").write_text("a\ufeffb"), "s4/u4.txt:1", "byte-order mark"),
    "transcript that is a folder": (
        lambda f: ((f / "s4/u4.txt").unlink(), (f / "s4/u4.txt").mkdir()),
        "s4/u4.wav",
        "no transcript u4.txt beside it",
    ),
    "no recording": (lambda f: (f / "s4/u4.wav").unlink(), "s4/u4.txt", "no recording of that name"),
    "folder named x.wav": (
        lambda f: ((f / "s4/u4.wav").unlink(), (f / "s4/u4.wav").mkdir()),
        "s4/u4.txt",
        "u4.wav is a folder",
    ),
    "empty recording": (lambda f: (f / "s4/u4.wav").write_bytes(b""), "s4/u4.wav", "the file is empty"),
    "Git LFS pointer": (
        lambda f: (f / "s4/u4.wav").write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
        "s4/u4.wav",
        "git lfs pull",
    ),
    "transcript is a pipe": (
        lambda f: ((f / "s4/u4.txt").unlink(), os.mkfifo(f / "s4/u4.txt")),
        "s4/u4.txt",
        "is a pipe or device",
    ),
    "pipe or device": (
        lambda f: ((f / "s4/u4.wav").unlink(), os.mkfifo(f / "s4/u4.wav")),
        "s4/u4.wav",
        "is a pipe or device",
    ),
    "link to nowhere": (
        lambda f: ((f / "s4/u4.wav").unlink(), (f / "s4/u4.wav").symlink_to("nowhere")),
        "s4/u4.wav",
        "the link leads to no file",
    ),
    "link to itself": (
        lambda f: ((f / "s4/u4.wav").unlink(), (f / "s4/u4.wav").symlink_to("u4.wav")),
        "s4/u4.wav",
        "the link leads to no file",
    ),
    "undecodable format": (
        lambda f: (
            (f / "s4/u4.wav").unlink(),
            (f / "s4/u4.webm").write_bytes(b"\x1aE\xdf\xa3" + bytes(100)),
        ),
        "s4/u4.webm",
        "ffmpeg -i",
    ),
    "same id twice": (lambda f: shutil.copy(f / "s4/u4.wav", f / "s4/u4.flac"), "s4/u4.wav", "has the same id 'u4'"),
    "name that is no Unicode": (
        lambda f: [os.rename(f / f"s4/u4.{s}", os.fsencode(f) + b"/s4/u\xff." + s.encode()) for s in ("wav", "txt")],  # noqa: PTH104
        "s4/u\udcff.wav",
        "not Unicode",
    ),
}


@pytest.mark.parametrize("damage", FOLDER)
def test_a_damaged_folder(audio, damage):
    write("folder", audio, entries())
    change, place, message = FOLDER[damage]
    change(audio)
    check("folder", audio, place, message, ["u1", "u2", "u3"])


def test_names_that_differ_by_case_alone_are_named_and_used(audio, recording):
    write("folder", audio, entries())
    recording(audio / "s4" / "U4.wav")
    (audio / "s4" / "U4.txt").write_text("word4")
    check("folder", audio, "s4/u4.wav", "differs from", ["u1", "u2", "u3", "U4", "u4"])


@pytest.mark.skipif(AS_ROOT, reason="root may read everything")
def test_a_folder_that_may_not_be_read(audio):
    write("folder", audio, entries())
    (audio / "s4").chmod(0)
    try:
        check("folder", audio, "s4", "the folder cannot be read", ["u1", "u2", "u3"])
        for reader in (Corpus.read, Corpus.from_lhotse):
            with pytest.raises(CorpusError, match="s4: the folder cannot be read"):
                reader(audio / "s4")
    finally:
        (audio / "s4").chmod(0o700)


# --- features in the place of audio

FEATURES = {
    "missing archive": ("gone.ark:5", "no such file: gone.ark"),
    "offset beyond": ("feats.ark:5000", "offset 5000 lies beyond the 60 bytes"),
    "no offset": ("feats.ark", "need X.npy or X.ark:OFFSET"),
    "empty archive": ("empty.ark:0", "the file is empty"),
    "missing array": ("gone.npy", "no such file: gone.npy"),
    "folder for a file": ("audio:0", "is a folder"),
    "command": ("copy-feats ark:x ark:- |", "commands are not run unless allowed"),
    "command behind an offset": ("touch ran |:12", "commands are not run unless allowed"),
    "nothing": ("", NOTHING),
}


@pytest.mark.parametrize("kind", ["kaldi", "tsv"])
@pytest.mark.parametrize("damage", FEATURES)
def test_damaged_features(audio, kind, damage):
    (audio / "feats.ark").write_bytes(bytes(60)), (audio / "empty.ark").touch()
    given, message = FEATURES[damage]
    places = ["feats.ark:1", "feats.ark:20", "feats.ark:40[0:3]", given]
    if kind == "kaldi":
        write("kaldi", audio, entries())
        (audio / "wav.scp").unlink(), (audio / "segments").unlink()
        (audio / "feats.scp").write_text("".join(f"u{i} {p}\n" for i, p in enumerate(places, 1)))
    else:
        rows = [f"u{i}\t{p}\tword{i}" for i, p in enumerate(places, 1)]
        (audio / "corpus.tsv").write_text("\n".join(["id\tfeatures\ttext", *rows]))
    corpus = read(kind, audio)
    assert [u.features for u in corpus] == [f"{audio}/{p}" for p in places[:3]]
    (problem,) = corpus.problems
    assert problem.where == f"{audio}/{'feats.scp:4' if kind == 'kaldi' else 'corpus.tsv:5'}"
    messages = (message,) if isinstance(message, str) else message
    assert any(message in problem.message for message in messages)


@pytest.mark.parametrize("kind", KINDS)
def test_random_damage_never_ends_in_a_traceback(audio, kind):
    """Bytes changed, cut out or doubled anywhere in the lists: an error of ours or a corpus, whose audio is there."""
    write(kind, audio, entries())
    whole = {path: path.read_bytes() for path in texts(kind, audio)}
    random = np.random.default_rng(1)
    for _ in range(150):
        for path, raw in whole.items():
            first, last = sorted(random.integers(0, len(raw) + 1, 2))
            odd = [random.bytes(3), b"\n", b"\t", b"|", b"\xff\xfe", b"\0", raw[first:last] * 2, b"-1", b"{", b""]
            path.write_bytes(raw[:first] + odd[random.integers(len(odd))] + raw[first + random.integers(1, 9) :])
        try:
            corpus = read(kind, audio)
        except CorpusError:
            continue
        assert all(u.audio.is_file() for u in corpus)


def test_there_are_enough_kinds_of_damage():
    names = {*ENTRIES, *BYTES, *(name for _, name in REPLACED), *FOLDER, *FEATURES}
    assert len(names) >= 60


# --- what looks odd but is handled: nothing is said, everything is used

NFD = unicodedata.normalize("NFD", "caf\u00e9.wav")


def encoded(encoding, end="\n", mark=b""):
    def change(kind, folder):
        for path in texts(kind, folder):
            lines = path.read_text(encoding="utf-8").splitlines()
            path.write_bytes(mark + "".join(line + end for line in lines).encode(encoding))

    return change


def texts(kind, folder):
    suffix = {"folder": "**/*.txt", "kaldi": "*", "tsv": "*.tsv", "lhotse": "*.jsonl"}[kind]
    return [path for path in folder.glob(suffix) if path.is_file()]


def joined_marks(kind, folder):
    for path in texts(kind, folder):
        path.write_bytes(b"".join(b"\xef\xbb\xbf" + line for line in path.read_bytes().splitlines(keepends=True)))


def blanks(kind, folder):
    for path in texts(kind, folder):
        end = "\t\t\t\n\n" if kind == "tsv" else "  \t\n  \n"
        path.write_text("".join(line + end for line in path.read_text().splitlines()))


def no_last_end(kind, folder):
    for path in texts(kind, folder):
        path.write_text(path.read_text().removesuffix("\n"))


HANDLED = {
    "UTF-8 mark": encoded("utf-8", mark=b"\xef\xbb\xbf"),
    "UTF-16 little-endian": encoded("utf-16-le", mark=b"\xff\xfe"),
    "UTF-16 big-endian, Windows": encoded("utf-16-be", "\r\n", mark=b"\xfe\xff"),
    "Windows": encoded("utf-8", "\r\n"),
    "old Mac": encoded("utf-8", "\r"),
    "UTF-16, old Mac": encoded("utf-16-le", "\r", mark=b"\xff\xfe"),
    "marks of joined files": joined_marks,
    "blanks and blank lines": blanks,
    "no end of the last line": no_last_end,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("oddity", HANDLED)
def test_text_files_of_other_systems_are_read(audio, kind, oddity):
    write(kind, audio, entries())
    before = read(kind, audio, strict=True)
    HANDLED[oddity](kind, audio)
    assert read(kind, audio, strict=True) == before
    assert before.transcripts() == {f"u{i}": f"word{i}" for i in range(1, 5)}


NAMES = {
    "accents apart in the file, together in the list": ("caf\u00e9.wav", NFD),
    "accents together in the file, apart in the list": (NFD, "caf\u00e9.wav"),
    "blanks": ("a b  c.wav", "a b  c.wav"),
    "Windows' separators": ("audio\\w.wav", "w.wav"),
    "no Latin letters": ("\u0434\u0430\u30c6.wav", "\u0434\u0430\u30c6.wav"),
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("name", NAMES)
def test_odd_names_of_files_are_found(audio, recording, kind, name):
    listed, there = NAMES[name]
    path = recording(audio / "audio" / there)
    items = entries()
    items[3]["audio"] = listed if "\\" in listed else f"audio/{listed}"
    write(kind, audio, items)
    assert read(kind, audio, strict=True)["u4"].audio.samefile(path)


def test_odd_names_in_a_folder_are_found(audio, recording):
    write("folder", audio, entries())
    recording(audio / "s 4" / NFD), (audio / "s 4" / "caf\u00e9.txt").write_text("x")
    recording(audio / "s 4" / "a b.wav"), (audio / "s 4" / "a b.txt").write_text("y")
    recording(audio / "s 4" / "q.wav"), (audio / "s 4" / "q.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    (audio / "s 4" / "q.TXT").write_text("z")
    (audio / "s4" / "loop").symlink_to(audio)
    corpus = Corpus.read(audio, strict=True)
    assert {u.id: (u.text, u.speaker) for u in corpus if u.speaker == "s_4"} == {
        "caf\u00e9": ("x", "s_4"),
        "a_b": ("y", "s_4"),
        "q": ("z", "s_4"),
    }


@pytest.mark.parametrize("kind", LISTS)
def test_order_and_speakers_at_once_are_no_faults(audio, kind):
    items = entries()
    for item, start, end in zip(items[2:], (0.0, 0.4), (0.5, 0.9), strict=True):
        item.update(audio="audio/a3.wav", start=start, end=end)
    write(kind, audio, items[::-1])
    corpus = read(kind, audio, strict=True)
    assert corpus.ids == ["u4", "u3", "u2", "u1"]
    assert (corpus["u4"].start, corpus["u4"].end) == (0.4, 0.9)
