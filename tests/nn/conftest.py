"""Networks are tested with one thread: faster at this size, and the same bits everywhere. And what several learn."""

import numpy as np
import pytest

from asr.features.table import FeatureTable
from asr.train.data import Data

WORDS = {"papa": "PAPA", "tata": "TATA", "ki": "KI", "aa": "AA"}  # word -> its phones


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def planted():
    """Utterances of two words whose phones have a mean each; a phone lasts 6 to 9 frames, pauses stand around words."""
    rng = np.random.default_rng(3)
    means = {phone: 3 * rng.normal(size=6) for phone in ("SIL", "P", "T", "K", "A", "I")}
    raw, speakers, texts = {}, {}, {}
    for i in range(90):
        words = [str(word) for word in rng.choice(list(WORDS), 2)]
        phones = ["SIL", *(p for word in words for p in (*WORDS[word], "SIL"))]
        frames = [means[p] for p in phones for _ in range(rng.integers(6, 10))]
        raw[f"u{i:02}"] = (np.array(frames) + 0.3 * rng.normal(size=(len(frames), 6))).astype(np.float32)
        speakers[f"u{i:02}"], texts[f"u{i:02}"] = "ann", " ".join(words)
    return Data(FeatureTable.from_dict(raw), speakers, texts)
