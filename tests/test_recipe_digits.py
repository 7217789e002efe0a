"""The digits recipe as a person runs it, on a tiny corpus of the same shape, and its quality on real speech."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "digits"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KEY = ("model", "features", "variant", "adaptation", "test", "metric", "seed")


def run(*arguments):
    command = [sys.executable, str(RECIPE / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three voices, ten digits, four recordings each, named as in the Free Spoken Digit Dataset; one file is broken."""
    pytest.importorskip("espeakng_loader")
    from asr.synth import speak

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
    first = run("--corpus", corpus, "--out", out, "--ship", tmp_path / "shipped")
    assert first.returncode == 0, first.stderr
    assert "3_ann_12" in first.stderr  # the broken file is named, the rest is used
    rows = json.loads((out / "results.json").read_text())
    keys = [tuple(row[k] for k in KEY) for row in rows]
    assert len(set(keys)) == len(keys) == 12
    assert {row["test"] for row in rows} == {"official", "loso"}
    assert all(row["errors"] <= row["total"] and row["train_cpu_seconds"] > 0 for row in rows)
    assert rows[0]["value"] < 20  # the same voices at another speed
    page = (out / "report.html").read_text()
    assert "<svg" in page and "http://" not in page.replace("http://www.w3.org", "")
    assert "recognised" in first.stdout and str(out / "report.html") in first.stdout
    card = (tmp_path / "shipped" / "README.md").read_text()
    assert "{" not in card and "errors in 30 words" in card

    again = run("--corpus", corpus, "--out", out)
    assert again.returncode == 0 and again.stdout.splitlines()[1:8] == first.stdout.splitlines()[1:8]
    assert " ...\n" not in again.stderr  # no stage was made again


def test_a_folder_of_something_else(tmp_path):
    done = run("--corpus", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_official_split(fsdd):
    """One training on the official split: the recipe's README has the mean of five, this guards it."""
    sys.path.insert(0, str(RECIPE))
    try:
        import run as recipe
    finally:
        sys.path.remove(str(RECIPE))
    from asr.features.extract import extract
    from asr.lang.lexicon import Lexicon
    from asr.recipe import load_config
    from asr.training import Data, decode_all, train_monophone, with_graph

    settings = load_config(RECIPE / "digits.toml", recipe.Settings)
    system = recipe.all_systems(settings)[0]
    corpus = recipe.fsdd(fsdd)
    table, failures = extract(corpus, system.features)
    assert not failures
    data = Data(table, corpus.speaker_of, corpus.transcripts())
    (fold,), _ = recipe.fsdd_tests(corpus)["official"]
    model, _ = train_monophone(data.select(fold.train), Lexicon.load(recipe.LEXICON), system.features, system.options)
    test = data.select(fold.test)
    result = decode_all(with_graph(model).with_decoding(acoustic_scale=1 / 12), test).score(test.references)
    assert result.total == 300
    assert result.rate <= 1.4  # Kaldi's own code: 0.33 to 1.3 over its runs


def test_the_committed_results_are_the_readmes():
    from asr.recipe import read_results, results_table

    table = results_table(read_results(RECIPE / "results.json"))
    assert table in (RECIPE / "README.md").read_text(encoding="utf-8")
