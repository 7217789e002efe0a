"""Fixtures that several rooms' tests share."""

import importlib
import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real speech; the test is skipped where ASR_TEST_DATA does not name one."""
    folder = os.environ.get("ASR_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("ASR_TEST_DATA does not name a folder with real speech")
    return Path(folder)


@pytest.fixture(scope="session")
def fsdd(real_data) -> Path:
    """The recordings of the Free Spoken Digit Dataset."""
    folder = real_data / "fsdd" / "recordings"
    if not folder.is_dir():
        pytest.skip("no fsdd/recordings under ASR_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def recipe_module():
    """A function (folder, name) that imports a module of a recipe, whose modules are each other's neighbours."""

    def imported(folder: Path, name: str):
        sys.path.insert(0, str(folder))
        names = [path.stem for path in folder.glob("*.py")]
        hidden = {n: sys.modules.pop(n) for n in names if n in sys.modules}  # another recipe's
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(str(folder))
            for n in names:
                sys.modules.pop(n, None)
            sys.modules.update(hidden)

    return imported


@pytest.fixture(scope="session")
def sample() -> Path:
    """The recording inside the package, with its words beside it in sample.txt."""
    import asr

    return Path(asr.__file__).parent / "data" / "sample.wav"


@pytest.fixture(scope="session")
def digits_model():
    """The shipped digits model."""
    import asr

    return asr.load("digits")
