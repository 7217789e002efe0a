"""A word in a transcript that stands for something else inside models costs its own utterance, which is named."""

import json

import numpy as np
import pytest
import soundfile

from asr.corpus import Corpus


@pytest.fixture
def recordings(tmp_path):
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.random.default_rng(0).normal(0, 0.1, 800), 8000)
    return tmp_path


@pytest.mark.parametrize("word", ["<eps>", "#1", "<s>", "</s>"])
def test_in_every_kind_of_corpus(recordings, word):
    said = {"a": f"one {word} two", "b": "one two #hash <s>x"}
    for name, text in said.items():
        (recordings / f"{name}.txt").write_text(text)
    kaldi = recordings / "kaldi"
    kaldi.mkdir()
    (kaldi / "wav.scp").write_text("".join(f"{n} {recordings / n}.wav\n" for n in said))
    (kaldi / "text").write_text("".join(f"{n} {t}\n" for n, t in said.items()))
    (kaldi / "utt2spk").write_text("".join(f"{n} ann\n" for n in said))
    (recordings / "t.tsv").write_text("audio\ttext\n" + "".join(f"{n}.wav\t{t}\n" for n, t in said.items()))
    (recordings / "t.csv").write_text("path,text\n" + "".join(f"{n}.wav,{t}\n" for n, t in said.items()))
    cuts = [
        {
            "id": n, "start": 0, "duration": 0.1, "channel": 0, "type": "MonoCut",
            "supervisions": [{"id": n, "recording_id": n, "start": 0, "duration": 0.1, "text": t, "speaker": "ann"}],
            "recording": {"id": n, "sources": [{"type": "file", "channels": [0], "source": f"{recordings / n}.wav"}]},
        }
        for n, t in said.items()
    ]  # fmt: skip
    (recordings / "cuts.jsonl").write_text("".join(json.dumps(cut) + "\n" for cut in cuts))
    places = {"kaldi": "text:1", "t.tsv": "t.tsv:2", "t.csv": "t.csv:2", "cuts.jsonl": "cuts.jsonl:1"}
    for name, place in places.items():
        corpus = Corpus.read(recordings / name)
        assert corpus.transcripts() == {"b": "one two #hash <s>x"}, name
        (problem,) = (p for p in corpus.problems if "reserved" in p.message)
        assert problem.where.endswith(place) and repr(word) in problem.message
    for name in ("kaldi", "cuts.jsonl"):
        (recordings / name).rename(recordings / f".{name}")
    corpus = Corpus.from_folder(recordings)
    assert corpus.ids == ["b"] and corpus.problems[0].where.endswith("a.txt")
    assert len(Corpus.from_folder(recordings, need_text=False)) == 2
