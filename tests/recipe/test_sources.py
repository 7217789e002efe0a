"""The code that a step uses, in a copy of the package: an edit of it makes the step anew, an edit of other code not."""

import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import asr
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.lang.lexicon import Lexicon
from asr.train.data import Data
from asr.train.stage import Sizes

PACKAGE = Path(asr.__file__).parent

SCRIPT = """
import json, sys
from pathlib import Path
from asr.recipe import sources
from asr.recipe.run import _key
from asr.recipe.systems import train_mono, train_stage
from asr.train.data import Data
from asr.recipe.searches import GraphSearch, JointSearch, PrefixSearch, recognise, try_settings
from asr.recipe.networks import CtcTable, HybridTable, train_network
from asr.recipe.grammars import language_model
import helper
functions = [train_mono, train_stage, try_settings, recognise, language_model, helper.own]
arguments = {"extract_data": (Data.of, {}), "by prefixes": (try_settings, {"search": PrefixSearch()}),
             "train_hybrid": (train_network, {"table": HybridTable()}),
             "train_ctc": (train_network, {"table": CtcTable(front_end={"kind": "fbank"})})}

def keys():
    sources._reached.cache_clear()
    found = {f.__name__: _key(f.__name__, f, {}) for f in functions}
    return found | {name: _key(name, *called) for name, called in arguments.items()}

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
    "extract_data", "train_mono", "train_stage", "try_settings", "recognise", "language_model", "own",
    "by prefixes", "train_hybrid", "train_ctc",
}  # fmt: skip
DECODE = {"try_settings", "recognise", "by prefixes"}
TRAIN = {"train_mono", "train_stage", "train_hybrid", "train_ctc"}

EDITED = "\n_EDITED = 1\n"


USED = {
    "asr/gmm/mono.py": {"train_mono", "train_stage"},  # also by imports inside functions
    "asr/gmm/sat.py": {"train_stage"},
    "asr/nn/ctc/loss.py": {"train_ctc"},  # the class of an argument: the table
    "asr/nn/recurrent.py": {"train_hybrid", "train_ctc"},  # a network is imported by its name
    "asr/features/mel.py": TRAIN | DECODE | {"extract_data"},
    "asr/recipe/systems.py": TRAIN | DECODE,
    "asr/recipe/searches.py": DECODE,
    "asr/recipe/grammars.py": {"language_model"},
    "asr/scoring/errors.py": {"try_settings", "by prefixes", "own"},
    "asr/ctc/prefix.py": {"by prefixes"},  # the class of an argument
    "asr/lm/smoothing.py": {"language_model"},
    "beside.py": {"own"},  # a neighbour of a script
}
UNUSED = {
    "asr/cli/train.py": ALL,
    "asr/report/curves.py": ALL,
    "asr/recipe/finish.py": ALL,
    "asr/recipe/own_report.py": ALL,
    "asr/recipe/run.py": ALL,
    "asr/recipe/systems.py": {"extract_data"},
    "asr/recipe/bench.py": ALL,
    "asr/gmm/sat.py": {"train_mono", "extract_data", "language_model", "own"},
    "asr/decoding/viterbi.py": {"extract_data", "own"},
    "asr/nn/training.py": ALL - {"train_hybrid", "train_ctc"},
    "asr/nn/ctc/loss.py": ALL - {"train_ctc"},
    "asr/train/hybrid.py": {"train_ctc"},
    "asr/graph/hclg.py": {"extract_data", "own"},
    "asr/corpus/kaldi.py": {"own"},
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


@pytest.fixture(scope="module")
def planted():
    """Features of two words whose phones have a mean each, and their lexicon."""
    rng = np.random.default_rng(3)
    means = {phone: 3 * rng.normal(size=4) for phone in ("SIL", "A", "B")}
    raw, texts = {}, {}
    for i in range(24):
        texts[f"u{i}"] = " ".join(rng.choice(["aa", "ab"], 2))
        phones = ["SIL", *texts[f"u{i}"].replace(" ", "").upper(), "SIL"]
        rows = np.repeat([means[p] for p in phones], 9, axis=0)
        raw[f"u{i}"] = (rows + 0.5 * rng.normal(size=rows.shape)).astype(np.float32)
    data = Data(FeatureTable.from_dict(raw), {u: u[:2] for u in raw}, texts)
    return data, Lexicon((("aa", ("A", "A")), ("ab", ("A", "B"))))


def modules_that_run(function, *args, **options):
    """What a function returns, and the modules of which functions ran for it."""
    ran = set()

    def note(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_flags & inspect.CO_OPTIMIZED and code.co_filename[0] != "<":  # none being made
            ran.add(frame.f_globals.get("__name__", ""))

    sys.setprofile(note)
    try:
        made = function(*args, **options)
    finally:
        sys.setprofile(None)
    return made, {name for name in ran if name.partition(".")[0] == "asr"}


def test_whatever_runs_in_a_step_is_counted(planted):
    """The names that are followed in the source lead to every module that a training, a graph and a search run."""
    from asr.recipe import searches, systems
    from asr.recipe.sources import modules_of

    data, lexicon = planted
    pipeline = FeaturePipeline(
        0, ({"kind": "given", "dim": 4, "frame_shift": 10.0}, {"kind": "cmvn", "mode": "speaker"})
    )
    part, ids = systems.Part("all", tuple(data.raw)), {u: data.transcripts[u] for u in list(data.raw)[:4]}
    below, steps = None, []
    for stage in ("mono", "tri", "lda-mllt", "sat"):
        sizes = Sizes(20, 1.0, 12, 30)
        how = {"stage": stage, "pipeline": pipeline, "lexicon": lexicon, "sizes": sizes, "seed": 0}
        below, ran = modules_that_run(systems.train_stage, data, part, below, **how)
        steps.append((systems.train_stage, ran))
    graph, ran = modules_that_run(systems.build_graph, below)
    search, asked = searches.GraphSearch((0.1,), (0.0,)), searches.Asked(below, graph=graph)
    points, tried = modules_that_run(searches.try_settings, search, asked, data, ids)
    _, recognised = modules_that_run(searches.recognise, search, asked, data, ids, [points])
    steps += [(systems.build_graph, ran), (searches.try_settings, tried), (searches.recognise, recognised)]
    for function, ran in steps:
        counted = set(modules_of([function, searches.GraphSearch]))
        assert len(ran) >= 15 and not ran - counted, (function.__name__, ran - counted)


def test_what_was_followed_before_changes_nothing(planted):
    """The same function uses the same modules whatever was asked for before it."""
    from asr.recipe import networks, searches, sources, systems

    functions = (systems.train_stage, searches.recognise, networks.train_network, Data.of)
    found = []
    for order in (functions, functions[::-1]):
        sources._reached.cache_clear()
        sources._read.cache_clear()
        found.append({f.__name__: sources.modules_of([f]) for f in order})
    assert found[0] == found[1]
