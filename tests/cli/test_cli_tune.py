"""`asr tune`: a table, a picture, and a model with the chosen beam."""

import json

import numpy as np
import pytest
import soundfile

import asr
from asr.cli.common import sample_recording


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The sample's words, cut where the shipped model says, some of them with noise."""
    folder = tmp_path_factory.mktemp("corpus")
    model = asr.load("digits")
    samples = model.read(sample_recording())
    noise = np.random.default_rng(0)
    for i, word in enumerate(model.transcribe(samples, model.sample_rate).words):
        a, b = (round(t * model.sample_rate) for t in (word.start - 0.1, word.end + 0.1))
        part = samples[max(0, a) : b]
        part = part + 0.02 * np.abs(part).max() * noise.standard_normal(len(part))
        soundfile.write(folder / f"w{i}.wav", part, model.sample_rate)
        (folder / f"w{i}.txt").write_text(word.word)
    return folder


def test_a_table_a_picture_and_a_model_with_the_chosen_beam(run, corpus, tmp_path):
    out = tmp_path / "model"
    command = ("tune", "digits", corpus, "--beams", "13, 0.1,6", "--plot", tmp_path / "b.svg", "--out", out)
    done = run(*command)
    assert done.status == 0, done.err
    rows = [line.split() for line in done.out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["0.1", "6", "13"] and int(rows[2][2]) <= int(rows[0][2])
    (chosen,) = [float(row[0]) for row in rows if row[-1] == "chosen"]
    assert json.loads((out / "model.json").read_text())["decoding"]["beam"] == chosen
    assert "<svg" in (tmp_path / "b.svg").read_text()
    before = asr.load("digits")
    assert asr.load(out).decoding == before.with_decoding(beam=chosen).decoding

    done = run("tune", out, corpus, "--beams", "9", "--out", out)  # in its own place
    assert done.status == 0 and f"(before: {chosen:g})" in done.err
    assert asr.load(out).transcribe(corpus / "w0.wav").text


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--beams", "6,x"), 2, "give numbers above 0"),
        (("--beams", "6,-1"), 2, "give numbers above 0"),
        (("--beams", "nan"), 2, "give numbers above 0"),
        (("--plot", "beams.txt"), 1, "pictures are"),
        (("--beams", "6", "--speed", "1e-9"), 1, "no beam reaches a real-time factor of 1e-09"),
    ],
)
def test_what_cannot_be(run, corpus, tmp_path, options, status, said):
    done = run("tune", "digits", corpus, *options, "--out", tmp_path / "model")
    assert done.status == status and said in done.err and not (tmp_path / "model").exists()


def test_recordings_without_transcripts_are_refused(run, corpus, tmp_path):
    (tmp_path / "a.tsv").write_text(f"id\taudio\tspeaker\ttext\na\t{corpus / 'w0.wav'}\tann\t\n")
    done = run("tune", "digits", tmp_path / "a.tsv")
    assert done.status == 1 and "transcript" in done.err


def test_words_that_the_model_lacks_are_named(run, corpus, tmp_path):
    (tmp_path / "a.wav").write_bytes((corpus / "w0.wav").read_bytes())
    (tmp_path / "a.txt").write_text("Zwei")
    done = run("tune", "digits", tmp_path, "--beams", "6")
    assert done.status == 0 and "1 of 1 words in the transcripts are not in the model, such as Zwei" in done.err
