"""The command line run in the tests' own process: what it says, and with which status it ends."""

import sys
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from asr.cli import main


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
    """A function of a command's arguments, which gives Done."""

    def call(*arguments) -> Done:
        monkeypatch.setattr(sys, "argv", ["asr", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Done(ended.value.code or 0, said.out, said.err)

    return call


@pytest.fixture
def recordings(tmp_path):
    """A folder with three short recordings at 16 kHz, of noise, one in a folder of its own."""
    folder = tmp_path / "recordings"
    (folder / "ann").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, seconds in (("one.wav", 0.4), ("two.wav", 0.3), ("ann/one.wav", 0.5)):
        soundfile.write(folder / name, 0.1 * rng.standard_normal(round(16000 * seconds)), 16000)
    return folder
