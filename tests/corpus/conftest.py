"""What the tests of corpora share: recordings of silence, and problems with places that can be read."""

import numpy as np
import pytest
import soundfile


@pytest.fixture
def recording():
    """Writes an audio file of zeros."""

    def write(path, seconds=1.0, channels=1):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros((round(8000 * seconds), channels), np.float32), 8000)
        return path

    return write


@pytest.fixture
def shown():
    """The problems of a corpus as text, with places relative to a directory."""
    return lambda corpus, directory: [str(problem).replace(f"{directory}/", "") for problem in corpus.problems]
