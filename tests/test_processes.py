"""A worker that the system kills, as it does when memory runs out, is one line that says so."""

import multiprocessing
import os
import signal

import numpy as np
import pytest
import soundfile

from asr.corpus import Corpus
from asr.corpus.extract import extract
from asr.errors import AsrError
from asr.features.pipeline import FeaturePipeline
from asr.gmm.passes import Workers


def killed(*arguments, **options):
    if multiprocessing.current_process().name == "MainProcess":
        raise AssertionError("this is no worker")
    os.kill(os.getpid(), signal.SIGKILL)


def full(part):
    raise MemoryError


@pytest.mark.parametrize(
    ("what", "message"), [(killed, "ended by the system, most likely as memory ran out"), (full, "not enough memory")]
)
def test_workers_of_training(what, message):
    with (
        pytest.raises(AsrError, match=f"{message}.*there were 2: give fewer") as error,
        Workers(["a", "b"], 2) as workers,
    ):
        workers.each(what, [(), ()])
    assert len(str(error.value).splitlines()) == 1


def test_workers_of_features(tmp_path, monkeypatch):
    samples = 0.1 * np.random.default_rng(0).standard_normal(1600)
    for i in range(40):
        soundfile.write(tmp_path / f"u{i}.wav", samples, 8000)
    monkeypatch.setattr("asr.corpus.extract._extract_batch", killed)
    with pytest.raises(AsrError, match="there were 2: give fewer"):
        extract(Corpus.from_folder(tmp_path, need_text=False), FeaturePipeline(8000, ({"kind": "mfcc"},)), n_jobs=2)
