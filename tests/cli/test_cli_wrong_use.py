"""Every wrong use is told in one line that says what is wrong, with status 1 or 2 and without a traceback."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.extras import install

MONOPHONES = Path(__file__).parents[1] / "monophones"

# Arguments, in which {name} is a path of `places`, and what the line must hold.
WRONG = [
    ("transcrib digits x.wav", "did you mean 'transcribe'"),
    ("--vers", "did you mean --version"),
    ("align digits x.wav", "no command 'align' (see"),  # not train, which it is not like
    ("transcribe digits {wav} --threads 2", "no option --threads (see"),
    ("transcribe digits {wav} --jobs 0", "give the number of processes, or -1"),
    ("transcribe digits {wav} --fromat json", "did you mean --format"),
    ("transcribe digits {wav} --format jsno", "did you mean 'json'"),
    ("transcribe digits", "at least one file"),
    ("transcribe digitz {wav}", "did you mean 'digits'"),
    ("transcribe {folder} {wav}", "not a model directory"),
    ("transcribe {othermodel} {wav}", "kind 'rnn-t'"),
    ("transcribe digits {wav} --beam much", "'--beam'"),
    ("transcribe digits {wav} --beam -1", "'--beam'"),
    ("transcribe digits {wav} --beam", "--beam"),
    ("transcribe digits {wav} --out {wav}", "is an input too"),
    ("transcribe digits {wav} --out {folder}", "is a folder"),
    ("transcribe digits {wav} --out {wav}/inner", "cannot be written"),
    ("score {text}", "HYP"),
    ("score {text} {text} {text}", "extra argument"),
    ("score {text} {missing}", "missing"),
    ("score {text} {text} --unit phone", "'word', 'char'"),
    ("score {text} {text} --confusions -3", "--confusions"),
    ("score {empty} {folder}", "nothing"),
    ("features mfc {wav} --out {new}", "did you mean 'mfcc'"),
    ("features mfcc --out {new}", "at least one file"),
    ("features mfcc {wav}", "the folder to write to"),
    ("features mfcc {wav} --out=", "the folder to write to"),
    ("features mfcc {wav} --out {new} --set frame_length=1e9", "more than 0, 10000 or less"),
    ("features mfcc {wav} --out {new} --as arc", "did you mean 'ark'"),
    ("features mfcc {wav} --out {new} --set num_cep=3", "did you mean 'num_ceps'"),
    ("features mfcc {wav} --out {new} --set num_ceps", "NAME=VALUE"),
    ("features mfcc {wav} --out {new} --set num_ceps=many", "whole number"),
    ("features mfcc {wav} --out {new} --set num_ceps=0", "need 1 to"),
    ("features mfcc {wav} --out {new} --set num_ceps=5 --set num-ceps=6", "given twice"),
    ("features mfcc {wav} --out {new} --set snip_edges=maybe", "True or False"),
    ("features mfcc {wav} --out {new} --set window_type=hanin", "did you mean 'hanning'"),
    ("features mfcc {wav} --out {new} --num-ceps 5", "--set num_ceps=VALUE"),
    ("features lpc {wav} --out {new} --set num_mel_bins=5", "no setting"),
    ("features mfcc {wav} --out {new} --set high_freq=9000", "half the sampling rate"),
    ("features mfcc {wav} --out {new} --norm-vars", "needs --cmvn"),
    ("features mfcc {wav} --out {new} --cmvn causal", "'sliding'"),
    ("features mfcc {wav} --out {new} --rate 3", "1000 to"),
    ("features mfcc {wav} --out {new} --jobs 0", "--jobs"),
    ("features mfcc {wav} --out {new} --deltas -1", "--deltas"),
    ("features mfcc {wav} {wav8} --out {new}", "different sampling rates"),
    ("features mfcc {wav} --out {wav}", "is no folder"),
    ("features mfcc {wav} --out {wav}/inner", "cannot be written"),
    ("features mfcc {folder} --out {folder}", "is an input too"),
    ("plot {wav}", "the picture to write"),
    ("plot {wav} --out {new}.jpg", ".png, .svg, .pdf"),
    ("plot {wav} --out {new}", ".png, .svg, .pdf"),
    ("plot {wav} --out {wav}", "is an input too"),
    ("plot {wav} --out {wav}/x.png", "cannot be written"),
    ("plot {missing} --out {new}.png", "no such file"),
    ("plot {text} --out {new}.png", "not audio"),
    ("plot {folder} --out {new}.png", "is a folder"),
    ("plot {wav} --out {new}.png --text seven", "needs a --model"),
    ("plot {wav} --out {new}.png --model digits --text eleven", "eleven"),
    ("plot {wav} --out {new}.png --model nothing", "no model 'nothing'"),
    ("plot {wav} --out {new}.png --features mfc", "did you mean 'mfcc'"),
    ("plot {wav} --out {new}.png --lexicon cmudict", "of no use without --text"),
    (
        "plot {wav} --out {new}.png --model digits --text eleven",
        "'eleven': it has no pronunciation in the model; give a",
    ),
    ("plot {wav} --out {new}.png --features none --set num_ceps=3", "of no use"),
    ("plot {wav} --out {new}.png --set order=3", "no setting 'order'"),
    ("plot {wav} --out {new}.png --start 5", "beyond the end at 0.3 s"),
    ("plot {wav} --out {new}.png --start inf", "need numbers of seconds"),
    ("plot {wav} --out {new}.png --start 0.2 --end 0.1", "empty"),
    ("plot {wav} --out {new}.png --end 0.01", "short"),
    ("info {missing}", "no such file or folder"),
    ("info digitz", "did you mean 'digits'"),
    ("info {void}", "no recordings"),
    ("info {zero}", "of no kind"),
    ("info {badwav}", "bad.wav"),
    ("info {fst}", "not an OpenFst file"),
    ("info {npy}", "bad.npy"),
    ("info {othermodel}", "kind 'rnn-t'"),
    ("info {latin}", "latin.txt:1: not valid UTF-8"),
    ("info {folder} --text-suffix=", "text_suffix is empty"),
    ("info {wav} --speaker x", "no folder"),
    ("info {wav} --jsno", "did you mean --json"),
    ("info digits --draw {new}.png", ".svg"),
    (f"info {MONOPHONES} --draw {{new}}.svg", "nothing to draw"),
    ("info {wav} --draw {new}.svg", "not a model directory"),
    ("doctor everything", "extra argument"),
]


@pytest.fixture
def places(tmp_path, recordings):
    found = {name: tmp_path / name for name in ("missing", "new", "void", "zero", "empty", "text", "othermodel")}
    found |= {"folder": recordings, "wav": recordings / "two.wav", "wav8": tmp_path / "eight.wav"}
    found |= {name: tmp_path / f"bad.{name.removeprefix('bad')}" for name in ("badwav", "fst", "npy")}
    found["void"].mkdir()
    for name in ("badwav", "fst", "npy"):
        found[name].write_bytes(b"nothing of the kind")
    found["zero"].write_bytes(bytes(100))
    found["empty"].touch()
    found["latin"] = tmp_path / "latin.txt"
    found["latin"].write_bytes("caf\xe9 K AE F EY\n".encode("latin-1"))
    found["text"].write_text("a1 one\n")
    soundfile.write(found["wav8"], np.zeros(8000), 8000)
    found["othermodel"].mkdir()
    (found["othermodel"] / "model.json").write_text(json.dumps({"format": 1, "kind": "rnn-t", "files": {}}))
    return found


@pytest.mark.parametrize(("line", "complaint"), WRONG)
def test_wrong_use_is_one_line(run, places, line, complaint):
    if line.startswith("plot"):
        pytest.importorskip("matplotlib")
    before = sorted(p for p in places["folder"].rglob("*"))
    done = run(*(part.format(**places) for part in line.split()))
    if complaint == "nothing":  # what it says is scoring's affair
        assert done.complaint
    else:
        assert complaint in done.complaint, done
    assert done.out == "" and sorted(p for p in places["folder"].rglob("*")) == before
    assert not [p for p in places["new"].parent.iterdir() if p.is_file() and p.stem == "new"]


@pytest.mark.parametrize("line", ["transcribe digits {void}", "features fbank {void} --out {new}"])
def test_an_empty_folder_is_named(run, places, line):
    done = run(*(part.format(**places) for part in line.split()))
    lines = done.err.splitlines()
    assert done.status == 1 and len(lines) == 2 and "no audio files" in lines[0] and "1 of 1 failed" in lines[1]


def test_plots_without_matplotlib_name_the_command_that_installs_it(run, places, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    done = run("plot", places["wav"], "--out", places["new"].with_suffix(".png"))
    assert install("demo") in done.complaint


def test_every_command_has_an_example_and_shows_its_help_without_arguments(run):
    helped = run("--help")
    commands = [line.split()[0] for line in helped.out.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    commands = [name for name in commands if name not in ("Train", "decoding.")]
    assert {"transcribe", "score", "features", "plot", "info", "doctor"} <= set(commands) and helped.status == 0
    for name in commands:
        told = run(name, "--help")
        assert told.status == 0 and f"asr {name}" in told.out.partition("Example")[2], name
        if name != "doctor":
            bare = run(name)
            assert "Example" in bare.out + bare.err and "Traceback" not in bare.err


def test_an_output_that_is_there_survives_a_failure(run, places):
    out = places["new"].with_suffix(".tsv")
    out.write_text("before")
    shutil.copy(places["text"], places["folder"] / "text.wav")
    assert run("transcribe", "digits", places["missing"], "--out", out).status == 1
    assert out.read_text() in ("before", "")
