"""Corpora of features: arrays in folders, feats.scp, and commands that the user allows."""

import kaldiio
import numpy as np
import pytest

from asr.corpus import Corpus, Utterance
from asr.errors import CorpusError
from asr.features.archive import read_matrix

TABLES = {"text": "u1 one\nu2 two\nu3 three\n", "utt2spk": "u1 ann\nu2 bob\nu3 bob\n"}


def matrix(i):
    return np.arange(12, dtype=np.float32).reshape(4, 3) + i


@pytest.fixture
def kaldi(tmp_path, monkeypatch):
    """A data directory of features alone, written by kaldiio with paths from its own folder."""
    monkeypatch.chdir(tmp_path)
    kaldiio.save_ark("raw.ark", {f"u{i}": matrix(i) for i in (1, 2, 3)}, scp="feats.scp")
    for name, content in TABLES.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path.parent)
    return tmp_path


def test_a_data_directory_of_features_alone(kaldi):
    corpus = Corpus.read(kaldi, strict=True)
    assert corpus.transcripts() == {"u1": "one", "u2": "two", "u3": "three"}
    assert corpus.speakers == ["ann", "bob"] and all(u.audio is None for u in corpus)
    for i, utterance in enumerate(corpus, 1):
        np.testing.assert_array_equal(read_matrix(utterance.features), matrix(i))


def test_features_of_segments_stand_beside_their_audio(kaldi, recording):
    recording(kaldi / "r1.wav", 3.0)
    (kaldi / "wav.scp").write_text("r1 r1.wav\n")
    (kaldi / "segments").write_text("u2 r1 1 2\nu1 r1 0 1\nu3 r1 2 -1\n")
    corpus = Corpus.read(kaldi, strict=True)
    place = (kaldi / "feats.scp").read_text().split()[3].split(":")[1]
    assert corpus["u2"] == Utterance("u2", "bob", kaldi / "r1.wav", "two", 1.0, 2.0, f"{kaldi}/raw.ark:{place}")
    assert corpus.ids == ["u2", "u1", "u3"]


def test_features_are_used_where_the_audio_is_out_of_reach(kaldi, shown):
    """A data directory of another machine: its recordings are commands, its features were copied."""
    (kaldi / "wav.scp").write_text("u1 sph2pipe /elsewhere/1.sph |\nu2 /elsewhere/2.wav\nu3 /elsewhere/3.wav\n")
    corpus = Corpus.read(kaldi)
    assert corpus.ids == ["u1", "u2", "u3"] and all(u.features and u.audio is None for u in corpus)
    assert [p.split(": ")[0] for p in shown(corpus, kaldi)] == ["wav.scp:1", "wav.scp:2", "wav.scp:3"]


def test_features_and_audio_that_lack_each_other_are_named(kaldi, recording, shown):
    for i in (1, 2, 4):
        recording(kaldi / f"u{i}.wav")
    (kaldi / "wav.scp").write_text("u1 u1.wav\nu2 u2.wav\nu4 u4.wav\n")
    (kaldi / "text").write_text("u1 one\nu2 two\nu4 four\n"), (kaldi / "utt2spk").write_text("u1 a\nu2 b\nu4 c\n")
    corpus = Corpus.read(kaldi)
    assert corpus.ids == ["u1", "u2", "u4"] and corpus["u4"].features is None
    assert shown(corpus, kaldi) == [
        "wav.scp:3: utterance 'u4' has no feature matrix in feats.scp",
        "feats.scp:3: utterance 'u3' has a feature matrix but no audio in wav.scp",
    ]


def test_to_kaldi_keeps_features(kaldi, tmp_path):
    corpus = Corpus.read(kaldi)
    corpus.to_kaldi(tmp_path / "out")
    assert Corpus.read(tmp_path / "out", strict=True) == corpus
    assert not (tmp_path / "out" / "wav.scp").exists()
    corpus.where(lambda u: u.id == "u1").to_kaldi(tmp_path / "out")
    assert Corpus.read(tmp_path / "out").ids == ["u1"]


def test_to_kaldi_says_what_kaldi_cannot_read(tmp_path, recording):
    with pytest.raises(CorpusError, match=r"utterance 'u': Kaldi cannot read 'x.npy'"):
        Corpus([Utterance("u", "s", text="x", features="x.npy")]).to_kaldi(tmp_path / "out")
    recording(tmp_path / "u.wav")
    Corpus([Utterance("u", "s", tmp_path / "u.wav", "x", features="x.npy")]).to_kaldi(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["spk2utt", "text", "utt2spk", "wav.scp"]
    with pytest.raises(CorpusError, match="'v' has no audio"):
        mixed = [Utterance("u", "s", tmp_path / "u.wav", "x"), Utterance("v", "s", text="x", features="x.ark:1")]
        Corpus(mixed).to_kaldi(tmp_path / "other")


def test_a_folder_of_arrays(tmp_path, shown):
    for name in ("ann/u1", "ann/u2", "bob/u3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / f"{name}.npy", matrix(1))
        (tmp_path / f"{name}.txt").write_text(name)
    (tmp_path / "ann/u2.npy").write_bytes(b""), (tmp_path / "bob/u4.txt").write_text("x")
    corpus = Corpus.read(tmp_path)
    assert list(corpus) == [
        Utterance("u1", "ann", text="ann/u1", features=str(tmp_path / "ann/u1.npy")),
        Utterance("u3", "bob", text="bob/u3", features=str(tmp_path / "bob/u3.npy")),
    ]
    assert [p.split(": ")[0] for p in shown(corpus, tmp_path)] == ["ann/u2.npy", "bob/u4.txt"]


def test_arrays_beside_recordings_are_their_features(tmp_path, recording, shown):
    for name in ("u1", "u2", "u3"):
        recording(tmp_path / f"{name}.wav"), np.save(tmp_path / f"{name}.npy", matrix(1))
        (tmp_path / f"{name}.txt").write_text("x")
    np.save(tmp_path / "statistics.npy", matrix(1))
    (tmp_path / "u2.wav").write_bytes(b""), (tmp_path / "u3.npy").write_bytes(b"")
    corpus = Corpus.read(tmp_path)
    assert [(u.id, u.audio is not None, u.features is not None) for u in corpus] == [
        ("u1", True, True),
        ("u2", False, True),
        ("u3", True, False),
    ]
    assert shown(corpus, tmp_path) == [
        "u2.wav: the file is empty; its features u2.npy are used alone",
        "u3.npy: the file is empty; only the recording beside it is used",
    ]


# --- commands


@pytest.fixture
def commands(kaldi, recording):
    """A data directory whose recordings and features are what commands write."""
    recording(kaldi / "a.wav", 2.0)
    (kaldi / "wav.scp").write_text(
        f"u1 cat '{kaldi}/a.wav' |\nu2 echo one >&2; echo the cause >&2; exit 3 |\nu3 true |\n"
    )
    (kaldi / "feats.scp").write_text(f"u1 tail -c +4 '{kaldi}/one.ark' |\nu2 nonesuch-program |\nu3 raw.ark:3\n")
    kaldiio.save_ark(str(kaldi / "one.ark"), {"u1": matrix(7)})
    return kaldi


def test_commands_run_only_where_they_are_allowed(commands, shown):
    refused = Corpus.from_kaldi(commands)
    assert refused.ids == ["u3"] and len(refused.problems) == 5
    assert all("commands are not run unless allowed" in p.message for p in refused.problems)
    corpus = Corpus.read(commands, allow_commands=commands / "made")
    assert corpus.ids == ["u1", "u3"]
    assert corpus["u1"].audio.read_bytes() == (commands / "a.wav").read_bytes()
    np.testing.assert_array_equal(read_matrix(corpus["u1"].features), matrix(7))
    problems = shown(corpus, commands)
    assert problems[0].startswith("wav.scp:2: recording 'u2': command 'echo one >&2; ")
    assert problems[0].endswith(" failed (exit status 3): the cause")
    assert problems[1] == "wav.scp:3: recording 'u3': command 'true |' wrote nothing"
    assert problems[2].startswith("feats.scp:2: utterance 'u2': command 'nonesuch-program |' failed (exit status 127)")


def test_what_a_command_wrote_is_kept_for_the_next_reading(commands):
    first = Corpus.from_kaldi(commands, allow_commands=commands / "made")
    (commands / "a.wav").unlink(), (commands / "one.ark").unlink()
    assert Corpus.from_kaldi(commands, allow_commands=commands / "made") == first
    assert len(list((commands / "made").iterdir())) == 2  # failures leave nothing


def test_other_commands_of_an_id_are_run_anew(commands, recording):
    first = Corpus.from_kaldi(commands, allow_commands=commands / "made")["u1"].audio
    (commands / "wav.scp").write_text(f"u1 cat {recording(commands / 'b.wav', 0.5)} |\n")
    (commands / "text").write_text("u1 x\n"), (commands / "utt2spk").write_text("u1 a\n")
    again = Corpus.from_kaldi(commands, allow_commands=commands / "made")["u1"].audio
    assert again != first and again.read_bytes() == (commands / "b.wav").read_bytes()


def test_a_folder_that_cannot_be_written_is_a_problem_not_a_traceback(commands):
    (commands / "file").touch()
    corpus = Corpus.from_kaldi(commands, allow_commands=commands / "file" / "made")
    assert corpus.ids == ["u3"]
    assert "cannot be written" in corpus.problems[0].message
