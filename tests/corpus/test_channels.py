"""Which channel an utterance is in: as the corpus says, as asked for, each as a speaker of its own."""

import gzip
import json

import numpy as np
import pytest
import soundfile

from asr.corpus import Corpus
from asr.corpus.extract import extract
from asr.errors import CorpusError
from asr.features.pipeline import FeaturePipeline

MFCC = FeaturePipeline(8000, ({"kind": "mfcc"},))


@pytest.fixture
def folder(tmp_path):
    """call.wav with noise on the left and a tone on the right, mono.wav with the tone alone, and transcripts."""
    time = np.arange(8000) / 8000
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    noise = 0.1 * np.random.default_rng(0).standard_normal(8000)
    soundfile.write(tmp_path / "call.wav", np.stack([noise, tone], axis=1), 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "left.wav", noise, 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "mono.wav", tone, 8000, subtype="FLOAT")
    for name in ("call", "left", "mono"):
        (tmp_path / f"{name}.txt").write_text(f"of {name}\n")
    return tmp_path


def features(corpus):
    table, failures = extract(corpus, MFCC)
    assert not failures
    return {name: table[name] for name in table.ids}


def same(a, b):
    return np.array_equal(a, b)


def heard(folder):
    """What each channel of call.wav gives, and both together."""
    plain = features(Corpus.from_folder(folder))
    return plain["left"], plain["mono"], plain["call"]


def test_one_channel_of_a_folder_or_each(folder):
    left, right, both = heard(folder)
    (folder / "left.wav").unlink()
    assert same(features(Corpus.read(folder, channel=1, need_text=False).select(["call"]))["call"], right)
    assert "no channel 2; it has 1 " in extract(Corpus.read(folder, channel=1, need_text=False), MFCC)[1][0].message
    (folder / "call-1.txt").write_text("hiss\n")
    (folder / "call-2.txt").write_text("hum\n")
    corpus = Corpus.read(folder, channel="each")
    assert corpus.transcripts() == {"call-1": "hiss", "call-2": "hum", "mono": "of mono"}
    assert corpus.speaker_of == {"call-1": "call-1", "call-2": "call-2", "mono": "mono"}
    found = features(corpus)
    assert same(found["call-1"], left) and same(found["call-2"], right) and not same(left, both)
    assert [p.message for p in corpus.problems if "call.txt" in p.where] != []  # it belongs to neither
    (folder / "call-2.txt").unlink()
    corpus = Corpus.read(folder, channel="each")
    assert corpus.ids == ["call-1", "mono"] and any("call-2.txt" in p.message for p in corpus.problems)


def test_a_kaldi_directory_says_the_channel(folder):
    left, right, both = heard(folder)
    data = folder / "data"
    data.mkdir()
    (data / "wav.scp").write_text(
        f"A {folder}/call.wav\nB {folder}/call.wav\nC {folder}/call.wav\nM {folder}/mono.wav\n"
    )
    (data / "reco2file_and_channel").write_text("A call A\nB call 2\nM mono B\nC call X\n")
    (data / "utt2spk").write_text("A a\nB b\nC c\nM m\n")
    corpus = Corpus.read(data, need_text=False)
    found = features(corpus)
    assert same(found["A"], left) and same(found["B"], right) and same(found["C"], both) and same(found["M"], right)
    assert len(corpus.problems) == 1 and "channel 'X' of 'C'" in corpus.problems[0].message
    (data / "segments").write_text("u1 C 0 1 0\nu2 C 0 -1 1\nu3 C 0 1 -1\nu4 A 0 1\nu5 M 0 1 0\nu6 C 0 1 2\n")
    (data / "utt2spk").write_text("".join(f"u{i} s\n" for i in range(1, 7)))
    corpus = Corpus.read(data, need_text=False)
    found = features(corpus)
    wanted = {"u1": left, "u2": right, "u3": both, "u4": left, "u5": right}
    assert corpus.ids == list(wanted) and all(same(found[name], wanted[name]) for name in wanted)
    assert any("channel 2 (from 0) is not in the recording" in p.message for p in corpus.problems)


def test_a_table_may_name_the_channels_of_a_call_a_and_b(folder):
    (folder / "ab.tsv").write_text(
        "id\taudio\ttext\tchannel\tspeaker\na\tcall.wav\tx\tA\tann\nb\tcall.wav\ty\tB\tbob\n"
    )
    corpus = Corpus.read(folder / "ab.tsv")
    assert {u.id: u.channel for u in corpus} == {"a": 0, "b": 1} and not corpus.problems


def test_tables_and_manifests_say_the_channel_and_all_of_it_is_written(folder):
    left, right, both = heard(folder)
    table = folder / "t.tsv"
    table.write_text(
        "id\taudio\ttext\tchannel\na\tcall.wav\tx\t1\nb\tcall.wav\ty\t2\nc\tcall.wav\tz\t\nd\tcall.wav\tz\tC\n"
    )
    corpus = Corpus.read(table)
    found = features(corpus)
    assert same(found["a"], left) and same(found["b"], right) and same(found["c"], both)
    assert [p.message for p in corpus.problems] == ["channel 'C' is not the number of one, from 1, nor A or B"]
    corpus.to_tsv(folder / "again.tsv")
    assert Corpus.read(folder / "again.tsv") == corpus
    corpus.to_kaldi(folder / "kaldi")
    assert {u.id: u.channel for u in Corpus.read(folder / "kaldi")} == {"a": 0, "b": 1, "c": None}
    recording = {
        "id": "call", "sources": [{"type": "file", "channels": [0, 1], "source": str(folder / "call.wav")}],
        "sampling_rate": 8000, "num_samples": 8000, "duration": 1.0, "channel_ids": [0, 1],
    }  # fmt: skip
    said = {
        "id": "s",
        "recording_id": "call",
        "start": 0.0,
        "duration": 1.0,
        "channel": 1,
        "text": "hum",
        "speaker": "b",
    }
    for name, item in (("recordings", recording), ("supervisions", said)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt") as stream:
            stream.write(json.dumps(item) + "\n")
    assert same(features(Corpus.read(folder / "recordings.jsonl.gz"))["s"], right)


def test_one_transcript_is_not_that_of_each_channel(folder):
    table = folder / "t.tsv"
    table.write_text("audio\ttext\ncall.wav\tx\nmono.wav\ty\n")
    corpus = Corpus.read(table, channel="each")
    assert corpus.ids == ["mono"] and "2 channels and one transcript" in corpus.problems[0].message
    assert Corpus.read(table, channel="each", need_text=False).ids == ["call-1", "call-2", "mono"]
    assert Corpus.read(table, channel=1)["call"].channel == 1
    with pytest.raises(CorpusError, match="2 channels"):
        Corpus.read(table, channel="each", strict=True)
