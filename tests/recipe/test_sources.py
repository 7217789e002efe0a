"""The code that a step uses, in a copy of the package: an edit of it makes the step anew, an edit of other code not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import asr

PACKAGE = Path(asr.__file__).parent

SCRIPT = """
import json, sys
from pathlib import Path
from asr.recipe import sources
from asr.recipe.run import _key
from asr.recipe.systems import extract_data, train_mono, train_stage
from asr.recipe.searches import GraphSearch, JointSearch, PrefixSearch, recognise, try_settings
from asr.recipe.networks import train_above, train_without_hmms
from asr.recipe.grammars import language_model
import helper
functions = [extract_data, train_mono, train_stage, try_settings, recognise, train_above, train_without_hmms,
             language_model, helper.own]

def keys():
    sources._code_of.cache_clear()
    found = {f.__name__: _key(f.__name__, f, {}) for f in functions}
    return found | {"by prefixes": _key("by prefixes", try_settings, {"search": PrefixSearch()})}

def changed(file, text):
    path, before = Path(file), keys()
    old = path.read_text(encoding="utf-8")
    path.write_text(old.replace(*text) if isinstance(text, list) else old + text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") != old
    after = keys()
    path.write_text(old, encoding="utf-8")
    return [name for name in before if before[name] != after[name]]

print(json.dumps([changed(*edit) for edit in json.load(sys.stdin)]))
"""
HELPER = """
from asr.scoring import score
from beside import twice

def own() -> float:
    return twice(score({}, {}).rate)
"""

ALL = {
    "extract_data", "train_mono", "train_stage", "try_settings", "recognise", "train_above", "train_without_hmms",
    "language_model", "own", "by prefixes",
}  # fmt: skip
DECODE = {"try_settings", "recognise", "by prefixes"}
TRAIN = {"train_mono", "train_stage", "train_above", "train_without_hmms"}

EDITED = "\n_EDITED = 1\n"


USED = {
    "asr/gmm/mono.py": TRAIN,  # also by imports inside functions
    "asr/gmm/sat.py": {"train_stage"},
    "asr/nn/ctc/loss.py": {"train_without_hmms"},
    "asr/nn/recurrent.py": {"train_above", "train_without_hmms"},  # a network is imported by its name
    "asr/features/mel.py": TRAIN | DECODE | {"extract_data"},
    "asr/recipe/systems.py": TRAIN | DECODE | {"extract_data", "language_model"},
    "asr/recipe/searches.py": DECODE,
    "asr/recipe/grammars.py": {"language_model"},
    "asr/scoring/errors.py": {"try_settings", "by prefixes", "own"},
    "asr/ctc/prefix.py": DECODE,
    "asr/lm/smoothing.py": {"language_model"},
    "beside.py": {"own"},  # a neighbour of a script
}
UNUSED = {
    "asr/cli/train.py": ALL,
    "asr/report/curves.py": ALL,
    "asr/recipe/finish.py": ALL,
    "asr/recipe/own_report.py": ALL,
    "asr/recipe/run.py": ALL,
    "asr/gmm/sat.py": {"train_mono", "extract_data", "language_model", "own"},
    "asr/decoding/viterbi.py": {"train_mono", "train_stage", "extract_data", "language_model", "own"},
    "asr/nn/training.py": ALL - {"train_above", "train_without_hmms"},
    "asr/graph/hclg.py": ALL,
    "asr/corpus/kaldi.py": {"train_mono", "train_stage", "own", "recognise"},
}
IN_WORDS = [("asr/gmm/mono.py", "# a comment\n"), ("asr/features/mel.py", ['"""', '"""Really. ', 1])]


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """What changes in a copy of the package with each edit, by file; and with edits of words alone."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / "asr", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "helper.py").write_text(HELPER)
    (folder / "beside.py").write_text("def twice(x):\n    return 2 * x\n")
    files = list(dict.fromkeys([*USED, *UNUSED]))
    edits = [*((file, EDITED) for file in files), *IN_WORDS]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(edits), capture_output=True, text=True, timeout=600,
        check=False, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [set(names) for names in json.loads(done.stdout)]
    return dict(zip(files, found, strict=False)), found[len(files) :]


@pytest.mark.parametrize("file", USED)
def test_code_that_is_used_makes_a_step_anew(changed, file):
    assert not USED[file] - changed[0][file]  # else stale results are shown as new


@pytest.mark.parametrize("file", UNUSED)
def test_other_code_changes_nothing(changed, file):
    assert not UNUSED[file] & changed[0][file]


def test_comments_and_docstrings_change_nothing(changed):
    assert changed[1] == [set(), set()]
