"""The yesno recipe: its split and its errors without data, its quality on the real recordings."""

import ast
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "yesno"


@pytest.fixture(scope="module")
def recipe():
    """The recipe's functions."""
    return importlib.import_module("recipes.yesno.run")


def test_corpus_and_split(recipe, tmp_path):
    for name in ("0_1_1_0_1_0_1_1", "0_0_0_0_1_1_1_1", "0_0_0_1_0_0_0_1", "1_0_0_0_0_0_0_0", "0_1_1_0", "noise"):
        (tmp_path / f"{name}.wav").touch()
    corpus = recipe.waves_yesno(tmp_path)
    assert len(corpus) == 4
    assert corpus["0_1_1_0_1_0_1_1"].text == "no yes yes no yes no yes yes"
    fold = recipe.official(corpus, 2)
    train = set(fold.part.train)
    assert fold.test == ("1_0_0_0_0_0_0_0",) and len(train) == 3
    assert sorted(i for _, held_out in fold.tuning for i in held_out) == sorted(train)
    assert all(set(part.train) == train - set(held_out) for part, held_out in fold.tuning)


def test_a_folder_of_something_else(tmp_path):
    command = [sys.executable, str(RECIPE / "run.py"), "--corpus", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr and "openslr.org/1" in done.stderr and "Traceback" not in done.stderr


def test_the_committed_results_are_the_readmes():
    from asr.report.results import read_results, results_table

    rows = read_results(RECIPE / "results.json")
    assert results_table(rows) in (RECIPE / "README.md").read_text(encoding="utf-8")
    plain = [row for row in rows if not row.variant]
    assert rows[0].value == 0.0 and rows[0].seed == 0 and len(plain) == 5
    assert max(row.value for row in plain) <= 1.5


MODULES = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print(sorted(name for name in sys.modules if name.partition(".")[0] == "asr"))
"""


@pytest.mark.slow
def test_the_whole_run_on_the_real_recordings(real_data, tmp_path):
    """With two seeds and three parts, tuning on held-out training recordings included."""
    if not (real_data / "yesno").is_dir():
        pytest.skip("no yesno under ASR_TEST_DATA")
    pytest.importorskip("matplotlib")
    folder = tmp_path / "recipes" / "yesno"
    shutil.copytree(RECIPE, folder)
    (tmp_path / "lang").symlink_to(ROOT / "lang")
    settings = (folder / "yesno.toml").read_text(encoding="utf-8")
    few = settings.replace("seeds = [0, 1, 2, 3, 4]", "seeds = [0, 1]").replace("n_parts = 4", "n_parts = 3")
    (folder / "yesno.toml").write_text(few.replace("num_iters = 40", "num_iters = 30"), encoding="utf-8")
    arguments = [str(folder / "run.py"), "--corpus", str(real_data / "yesno"), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", MODULES, *arguments], capture_output=True, text=True, timeout=900, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert [(r["variant"], r["seed"]) for r in rows] == [("", 0), ("", 1), ("kaldi-start", 0), ("kaldi-start", 1)]
    assert all(r["total"] == 232 for r in rows)
    assert rows[0]["value"] <= 1.5 and rows[1]["value"] <= 1.5  # the README's five seeds: 0.00 to 0.86
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Tuning on held-out speech" in page and "mean of 2 seeds" in page
    modules = ast.literal_eval(done.stdout.splitlines()[-1])
    rooms = {name.split(".")[1] for name in modules if "." in name}
    assert not rooms & {"nn", "cli", "info", "transcribe"} and len(modules) <= 125, modules
    again = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=900, check=False, cwd=ROOT
    )
    assert again.returncode == 0 and " ...\n" not in again.stderr  # no step was made again


@pytest.mark.parametrize("name", ["digits/networks", "mboshi/run"])
def test_a_script_that_imports_its_neighbours_says_how_it_is_started(name):
    script = ROOT / "recipes" / f"{name}.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.endswith(f"python -m recipes.{name.replace('/', '.')}\n")
