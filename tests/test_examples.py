"""The examples in the docstrings run and give what they say."""

import doctest
import importlib
import inspect
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

PACKAGE = Path(__file__).parents[1] / "asr"
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
NEEDS = {"asr.nn": "torch", "asr.model.torch": "torch", "asr.train.joint": "torch"}


def with_examples() -> list[str]:
    """The modules whose text has an example; nothing is imported."""
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    parts = [path.relative_to(PACKAGE.parent).with_suffix("").parts for path in files]
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """The examples of a module, of its classes and functions; of decorated ones too, which doctest's finder passes."""
    names = {**vars(module), "np": np}
    found = [doctest.DocTestFinder(recurse=False).find(module, module=module, globs=names)]
    for thing in vars(module).values():
        if getattr(thing, "__module__", None) == module.__name__ and callable(thing):
            found.append(doctest.DocTestFinder().find(inspect.unwrap(thing), module=module, globs=names))
    return [test for tests in found for test in tests if test.examples]


@pytest.mark.parametrize("name", with_examples())
def test_examples(name, monkeypatch, tmp_path):
    for room, library in NEEDS.items():
        if f"{name}.".startswith(f"{room}."):
            pytest.importorskip(library)
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    report: list[str] = []
    for test in examples(module):
        runner.run(test, out=report.append)
    assert not runner.summarize(verbose=False).failed, "".join(report)


def test_every_example_is_found():
    """As many prompts as the text of a module has in its docstrings come to be run."""
    module = importlib.import_module("asr.lang.letters")
    text = (PACKAGE / "lang" / "letters.py").read_text(encoding="utf-8")
    assert sum(len(test.examples) for test in examples(module)) == text.count(">>> ") > 5


def test_functions_with_options_have_examples():
    names = "cepstra.mfcc filterbank.fbank linear_prediction.lpc pitch_tracking.track_pitch frames.n_frames"
    for name in names.split():
        home, function = name.split(".")
        module = importlib.import_module(f"asr.features.{home}")
        assert any(test.name.split(".")[-1] == function for test in examples(module)), name
