"""The yesno recipe: its split and its errors without data, its quality on the real recordings."""

import subprocess
import sys
from pathlib import Path

import pytest

from asr.errors import GraphError

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "yesno"


@pytest.fixture(scope="module")
def recipe(recipe_module):
    """The recipe's functions."""
    return recipe_module(RECIPE, "run")


def test_corpus_and_split(recipe, tmp_path):
    for name in ("0_1_1_0_1_0_1_1", "0_0_0_0_1_1_1_1", "0_0_0_1_0_0_0_1", "1_0_0_0_0_0_0_0", "0_1_1_0", "noise"):
        (tmp_path / f"{name}.wav").touch()
    corpus = recipe.waves_yesno(tmp_path)
    assert len(corpus) == 4
    assert corpus["0_1_1_0_1_0_1_1"].text == "no yes yes no yes no yes yes"
    fold = recipe.official(corpus, 2)
    assert fold.test == ("1_0_0_0_0_0_0_0",) and len(fold.train) == 3
    assert sorted(i for part in fold.held_out for i in part.test) == sorted(fold.train)
    assert all(set(part.train) == set(fold.train) - set(part.test) for part in fold.held_out)


def test_a_folder_of_something_else(tmp_path):
    command = [sys.executable, str(RECIPE / "run.py"), "--corpus", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr and "openslr.org/1" in done.stderr and "Traceback" not in done.stderr


def test_without_pynini_it_ends_before_anything_is_made(recipe, tmp_path, monkeypatch):
    for name in ("0_1_1_0_1_0_1_1", "0_0_0_0_1_1_1_1", "0_0_0_1_0_0_0_1", "1_0_0_0_0_0_0_0"):
        (tmp_path / f"{name}.wav").touch()
    monkeypatch.setattr("asr.model.graphs.has_pynini", lambda: False)
    monkeypatch.setattr(sys, "argv", ["run.py", "--corpus", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(GraphError, match="this recipe builds decoding graphs with pynini, which is not installed"):
        recipe.main()
    assert not (tmp_path / "out" / "features").exists()


def test_settings_are_kaldis_but_for_the_start(recipe):
    from asr.recipe import load_config

    plain, kaldi = recipe.all_systems(load_config(RECIPE / "yesno.toml", recipe.Settings))
    assert (plain.variant, plain.options.start) == ("", "pauses")
    assert (kaldi.variant, kaldi.options.start) == ("kaldi-start", "equal")
    assert plain.features == kaldi.features


def test_the_committed_results_are_the_readmes():
    from asr.recipe import read_results, results_table

    rows = read_results(RECIPE / "results.json")
    assert results_table(rows) in (RECIPE / "README.md").read_text(encoding="utf-8")
    plain = [row for row in rows if not row.variant]
    assert rows[0].value == 0.0 and rows[0].seed == 0 and len(plain) == 5
    assert max(row.value for row in plain) <= 1.5


@pytest.mark.slow
def test_one_seed_on_the_real_recordings(recipe, real_data, tmp_path):
    """The whole way of one seed, tuning on held-out training recordings included."""
    if not (real_data / "yesno").is_dir():
        pytest.skip("no yesno under ASR_TEST_DATA")
    pytest.importorskip("pynini")
    from asr.recipe import Run, load_config
    from asr.recipe.systems import Bench
    from asr.recipe.tasks import extract_features

    settings = load_config(RECIPE / "yesno.toml", recipe.Settings)
    system, _ = recipe.all_systems(settings)
    corpus = recipe.waves_yesno(real_data / "yesno")
    assert len(corpus) == 60
    run = Run(tmp_path / "out")
    inputs = {"utterances": list(corpus), "pipeline": system.features, "n_jobs": 1}
    bench = Bench(run, run.stage("features", extract_features, inputs), recipe.LEXICON, settings.grid)
    fold = recipe.official(corpus, settings.n_parts)
    assert (len(fold.train), len(fold.test)) == (31, 29)
    score = bench.test(system, [fold], seed=1).score()
    assert score.total == 232
    assert score.rate <= 1.5  # the README's five seeds: 0.00 to 0.43; with Kaldi's start 0 to 32
