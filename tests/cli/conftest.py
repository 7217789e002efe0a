"""Recordings that tests of the command line share."""

import numpy as np
import pytest
import soundfile


@pytest.fixture
def recordings(tmp_path):
    """A folder with three short recordings at 16 kHz, of noise, one in a folder of its own."""
    folder = tmp_path / "recordings"
    (folder / "ann").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, seconds in (("one.wav", 0.4), ("two.wav", 0.3), ("ann/one.wav", 0.5)):
        soundfile.write(folder / name, 0.1 * rng.standard_normal(round(16000 * seconds)), 16000)
    return folder
