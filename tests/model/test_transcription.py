"""What is transcribed, under which id, and how it is written."""

import dataclasses
import os
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from asr.cli import main
from asr.corpus import Problem
from asr.corpus.recordings import find_recordings
from asr.errors import CorpusError
from asr.features.archive import write_archive, write_matrix
from asr.features.pipeline import FeaturePipeline, Given
from asr.model.transcript import TimedWord, Transcript
from asr.model.transcription import transcribe_all, transforms_in_words
from asr.transcribe.writing import as_ctm, as_json, as_text


@pytest.fixture
def run(monkeypatch, capsys):
    """A function of a command's arguments: what it says on stderr, and its status."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["asr", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return SimpleNamespace(err=capsys.readouterr().err, status=ended.value.code or 0)

    return call


@pytest.fixture
def tree(tmp_path, sample, monkeypatch):
    """A folder `rec` with one.wav, x/same.wav, y/same.wav, and the working folder above it."""
    for name in ("one.wav", "x/same.wav", "y/same.wav"):
        (tmp_path / "rec" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample, tmp_path / "rec" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "rec"


def ids(*inputs):
    recordings, failures = find_recordings(inputs)
    return [r.id for r in recordings], [str(f) for f in failures]


def test_ids_are_stems_and_longer_where_they_clash(tree):
    assert ids("rec") == (["one", "x-same", "y-same"], [])
    assert ids("rec/x", "rec/y") == (["rec-x-same", "rec-y-same"], [])
    assert ids("rec/x/same.wav", "rec/one.wav", "rec/y/same.wav") == (["rec-x-same", "one", "rec-y-same"], [])
    shutil.copy(tree / "one.wav", tree / "one.flac")
    assert ids("rec")[0] == ["one.flac", "one.wav", "x-same", "y-same"]
    shutil.copy(tree / "one.wav", tree / "x-same.wav")  # which no way of joining tells apart from x/same.wav
    names, failures = ids("rec")
    assert len(set(names)) == 4 and len(failures) == 1 and "has the id 'rec-x-same.wav' like rec/" in failures[0]


def test_what_is_given_twice_is_taken_once(tree):
    assert ids("rec/one.wav", tree / "one.wav", "rec/x/../one.wav", "rec")[0] == ["one", "x-same", "y-same"]
    (tree / "link.wav").symlink_to("one.wav")
    assert ids("rec")[0] == ["link", "one", "x-same", "y-same"]


def test_speakers_in_names(tree):
    """Of a folder the way inside it counts, of a file its name; corpora say who speaks themselves."""
    shutil.copy(tree / "one.wav", tree / "ann_1.wav")
    found, failures = find_recordings(["rec", "rec/ann_1.wav"], speaker="^[a-z]+(?=[_/])")
    assert {r.id: r.speaker for r in found} == {"ann_1": "ann", "x-same": "x", "y-same": "y"}
    assert [str(f) for f in failures] == ["rec/one.wav: its speaker would be None; need a name without blanks: "
                                             "mend `speaker`"]  # fmt: skip
    assert [r.speaker for r in find_recordings(["rec/ann_1.wav"], speaker="^[^_]+")[0]] == ["ann"]
    assert len({r.speaker for r in find_recordings(["rec"])[0]}) == 4
    (tree / "a.scp").write_text("a rec/one.wav\n")
    assert "says who speaks" in find_recordings(["rec/a.scp"], speaker="x")[1][0].message
    with pytest.raises(CorpusError, match="not a regular expression"):
        find_recordings(["rec"], speaker="(")


def test_transforms_are_told_in_one_line():
    kinds = {"ann": "full", "bob": "diagonal", "eve": "identity", "kim": "full"}
    assert transforms_in_words(kinds) == (
        "adapted to 4 speakers: 2 in full, 1 roughly (less than 5 s of speech), 1 not, as nothing was heard"
    )
    assert transforms_in_words({}) == transforms_in_words({"ann": ""}) == ""


def test_hidden_files_are_passed_over_and_lost_links_are_not(tree, digits_model):
    shutil.copy(tree / "one.wav", tree / "._one.wav")
    (tree / "lost.wav").symlink_to("nowhere.wav")
    (tree / "folder.wav").mkdir()
    recordings, failures = find_recordings(["rec"])
    assert [r.id for r in recordings] == ["lost", "one", "x-same", "y-same"] and not failures
    results = [result for _, result in transcribe_all(digits_model, recordings)]
    assert (
        isinstance(results[0], Problem)
        and results[0].message == "rec/lost.wav: the link leads to no file (nowhere.wav)"
    )
    assert all(isinstance(r, Transcript) for r in results[1:])


def test_names_that_cannot_be_are_failures(tree):
    assert ids("")[1] == ["an empty name is given; need a file or folder"]
    assert ids("nowhere.wav")[1] == ["nowhere.wav: no such file or folder"]
    assert ids("rec/one.wav/inner")[1] == ["rec/one.wav/inner: no such file or folder"]
    (tree / "empty").mkdir()
    assert ids("rec/empty")[1][0].startswith("rec/empty: no audio files (.wav, ")
    recordings, failures = find_recordings(["a" * 5000])  # longer than any file system allows
    assert len(recordings) == 1 and not failures


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode on Windows")
def test_a_name_that_is_no_text_is_a_failure(tree):
    (tree / os.fsdecode(b"bad\xff.wav")).write_bytes(b"")
    names, failures = ids("rec")
    assert names == ["one", "x-same", "y-same"]
    assert len(failures) == 1 and failures[0].endswith("its name is not Unicode; rename it")


def test_each_problem_of_a_data_directory_is_a_failure_of_its_own(tree):
    data = tree / "data"
    data.mkdir()
    (data / "wav.scp").write_text("r1 sph2pipe x |\nr2 nowhere.wav\nr3\n")
    names, failures = ids(data)
    assert names == [] and [f.split(": ")[0] for f in failures] == [f"{data}/wav.scp:{i}" for i in (1, 2, 3)]
    (data / "wav.scp").write_text("\n")
    assert ids(data)[1] == [f"{data}: the data directory is empty: its scp has no line"]
    (data / "wav.scp").write_text(f"r1 {tree}/one.wav\n")
    (data / "segments").mkdir()
    assert ids(data)[1] == [f"{data}/segments: cannot be read: Is a directory"]


def test_a_failed_part_names_its_utterance(tree, digits_model):
    (tree / "wav.scp").write_text(f"r1 {tree}/one.wav\n")
    (tree / "segments").write_text("u1 r1 0 0.01\nu2 r1 0 1\n")
    results = {r.id: result for r, result in transcribe_all(digits_model, find_recordings([tree])[0])}
    assert results["u1"].message.startswith(f"utterance u1: {tree}/one.wav: too short")
    assert isinstance(results["u2"], Transcript)


def test_of_a_recording_and_its_converted_copy_the_copy_is_heard(tmp_path, sample):
    shutil.copy(sample, tmp_path / "x.wav")
    for name in ("x.m4a", "y.m4a"):
        (tmp_path / name).write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    recordings, failures = find_recordings([tmp_path])
    assert [(r.id, r.path.name) for r in recordings] == [("x", "x.wav"), ("y", "y.m4a")] and not failures


@pytest.fixture
def features_model(digits_model):
    """The digits model without its front-end: the features that it computes are to be given to it."""
    pipeline = digits_model.features
    steps = (Given(pipeline.raw_dim, first_boundary=7.5), *pipeline.later)
    return dataclasses.replace(digits_model, features=FeaturePipeline(0, steps))


def test_features_from_files_lists_and_directories(tree, digits_model, features_model, sample):
    raw = digits_model.features.front_end(digits_model.read(sample))
    write_matrix(tree / "f" / "a.npy", raw)
    write_archive(tree / "data" / "feats.ark", [("u1", raw), ("u2", raw[:50])])
    (tree / "data" / "utt2spk").write_text("u1 ann\nu2 bob\n")
    expected, part = digits_model.transcribe(sample), digits_model.transcribe_features(raw[:50])
    inputs = {"f/a.npy": ["a"], "f": ["a"], "data": ["u1", "u2"], "data/feats.scp": ["u1", "u2"]}
    for given, names in inputs.items():
        recordings, failures = find_recordings([tree / given])
        assert [r.id for r in recordings] == names and not failures
        assert [r.speaker for r in recordings] == (["ann", "bob"] if given == "data" else recordings_own(recordings))
        results = [result for _, result in transcribe_all(features_model, recordings)]
        assert results == [expected, part][: len(names)]
    assert len(find_recordings([tree / "data" / "feats.scp", tree / "data" / "feats.scp"])[0]) == 2
    shutil.copy(sample, tree / "f" / "a.wav")  # beside its features: the model takes what it can
    for model in (digits_model, features_model):
        ((_, result),) = transcribe_all(model, find_recordings([tree / "f"])[0])
        assert result == expected


def recordings_own(recordings):
    return [str(r.path) if r.path.suffix == ".npy" else r.id for r in recordings]


def test_what_a_model_cannot_take_is_said(tree, digits_model, features_model):
    write_matrix(tree / "a.npy", np.ones((9, 13)))
    write_matrix(tree / "b.npy", np.ones((9, 12)))
    for model, name, message in (
        (digits_model, "a.npy", "rec/a.npy: holds features, and this model takes audio at 8000 Hz: give it the"),
        (features_model, "one.wav", r"rec/one.wav: this model takes features (13 values every 10 ms), not audio: give"),
        (features_model, "b.npy", "rec/b.npy: has 12 values per frame; need 13"),
        (features_model, "lost.scp", "utterance u1: rec/lost.ark:7: no such file"),
    ):
        (tree / "lost.scp").write_text("u1 rec/lost.ark:7\n")
        ((_, result),) = transcribe_all(model, find_recordings([f"rec/{name}"])[0])
        assert isinstance(result, Problem) and result.message.startswith(message), result


def test_lists_of_recordings_and_lists_that_are_wrong(tree):
    (tree / "x.scp").write_text("u1 rec/one.wav\nu2 cat rec/one.wav |\nu3\nu1 rec/x.ark:3\n")
    recordings, failures = find_recordings(["rec/x.scp"])
    assert [(r.id, str(r.audio), r.features) for r in recordings] == [("u1", "rec/one.wav", None)]
    assert [f.where for f in failures] == ["rec/x.scp:2", "rec/x.scp:3", "rec/x.scp:4"]
    assert "commands are not run" in failures[0].message
    (tree / "x.scp").write_text("\n")
    (tree / "x.ark").write_bytes(b"")
    messages = [str(f) for f in find_recordings(["rec/x.scp", "rec/x.ark"])[1]]
    assert messages == [
        "rec/x.scp: the list is empty",
        "rec/x.ark: an archive is read by its list; give the .scp that belongs to it",
    ]


def test_ids_with_blanks_do_not_break_the_lines():
    heard = Transcript("one", (TimedWord("one", 0.25, 0.5),))
    assert as_text("a b\tc\nd\u2028e", heard) == "a b_c_d_e\tone\n"
    assert as_ctm("a b\tc\nd", heard) == "a_b_c_d 1 0.250 0.250 one\n"
    assert as_json("a\nb", heard).count("\n") == 1


def test_a_command_whose_end_is_cut_off_is_found_by_a_wider_search(digits_model, sample, tmp_path, run):
    """A grammar of two sentences, of which one is the sample's; its last word is not said to the end."""
    pynini = pytest.importorskip("pynini")
    from asr.graph.grammar import sequence
    from asr.graph.openfst import to_pynini
    from asr.model.graphs import with_graph

    said = sample.with_suffix(".txt").read_text().split()
    phrases = [to_pynini(sequence(digits_model.lexicon, words)) for words in (said, ["nine", "zero", "zero"])]
    model = with_graph(digits_model, pynini.union(*phrases).optimize()).with_decoding(beam=13.0)
    samples = digits_model.read(sample)
    soundfile.write(tmp_path / "cut.wav", samples[: int(0.74 * len(samples))], 8000)
    raw = model.features.front_end(model.read(tmp_path / "cut.wav"))
    once = model.decode(model.features.finish([raw], ["speaker"])[0])
    assert not once.reached_final and once.text.split() == said[:-1]
    ((_, found),) = transcribe_all(model, find_recordings([tmp_path / "cut.wav"])[0])
    assert found.reached_final and found.text.split() == said and found == model.transcribe(tmp_path / "cut.wav")
    narrow = model.with_decoding(beam=3.0)  # where that finds none, the best so far remains
    ((_, found),) = transcribe_all(narrow, find_recordings([tmp_path / "cut.wav"])[0])
    assert found == narrow.transcribe(tmp_path / "cut.wav") and not found.reached_final
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asr.model.model.load", lambda name: narrow)
        done = run("transcribe", "digits", tmp_path / "cut.wav")
    assert "it ends where the model's grammar allows no end" in done.err and "cut off" in done.err
