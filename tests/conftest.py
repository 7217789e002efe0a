"""Fixtures that several rooms' tests share."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest


def pytest_collection_modifyitems(items):
    """Files with slow tests first: processes get whole files, and a long one that begins last is waited for alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


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
def sample() -> Path:
    """The recording inside the package, with its words beside it in sample.txt."""
    import asr

    return Path(asr.__file__).parent / "data" / "sample.wav"


@pytest.fixture(scope="session")
def digits_model():
    """The shipped digits model."""
    import asr

    return asr.load("digits")


@pytest.fixture
def killed_everywhere():
    """A function (act, check): `act` runs in processes that die before the first, the second, ... thing they do with
    files, as from kill -9, and `check` after each; returns how many died. The last one comes to its end.
    """
    if not hasattr(os, "fork"):
        pytest.skip("no processes that begin where this one is")
    import ctypes  # noqa: F401 - here, so that no child dies while importing it

    def run(act, check) -> int:
        for number in range(1, 10_000):
            child = os.fork()
            if child == 0:
                left = [number]

                def count(event, arguments, left=left):
                    if event == "open" or event.startswith(("os.", "shutil.", "tempfile.", "ctypes.dlsym")):
                        left[0] -= 1
                        if left[0] == 0:
                            os._exit(9)

                sys.addaudithook(count)
                try:
                    act()
                finally:
                    os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            check()
            if status == 0:
                return number - 1
        raise AssertionError("it never came to its end")

    return run


@pytest.fixture(scope="session")
def monophones() -> Path:
    """The smallest model at hand: digits by monophones."""
    return Path(__file__).parent / "monophones"


class Done(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The only line on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("asr: ") and self.status in (1, 2), self
        return lines[0]


@pytest.fixture
def run(monkeypatch, capsys):
    """A function of a command's arguments, which gives Done: the command line in this process, with no start to wait
    for."""
    from asr.cli import main

    def call(*arguments) -> Done:
        monkeypatch.setattr(sys, "argv", ["asr", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Done(ended.value.code or 0, said.out, said.err)

    return call
