"""The examples in the docstrings of the features run and give what they say."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import asr.features

MODULES = [
    *sorted(f"asr.features.{m.name}" for m in pkgutil.iter_modules(asr.features.__path__)),
    "asr.options",
    "asr.display.brief",
    "asr.display.notebook",
]


def examples(module):
    """The examples of a module, of its classes and functions; of decorated ones too, which doctest's finder passes."""
    found = [doctest.DocTestFinder(recurse=False).find(module, module=module)]
    for thing in vars(module).values():
        if getattr(thing, "__module__", None) == module.__name__ and callable(thing):
            found.append(doctest.DocTestFinder().find(inspect.unwrap(thing), module=module))
    return [test for tests in found for test in tests if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS, verbose=False)
    report: list[str] = []
    for test in examples(module):
        runner.run(test, out=report.append)
    assert not runner.summarize(verbose=False).failed, "".join(report)


def test_functions_with_options_have_examples():
    for name in ("cepstra.mfcc", "filterbank.fbank", "linear_prediction.lpc", "pitch.track_pitch", "frames.n_frames"):
        home, function = name.split(".")
        module = importlib.import_module(f"asr.features.{home}")
        assert any(test.name.split(".")[-1] == function for test in examples(module)), name
