"""`asr export onnx`: a model directory in, one that onnxruntime runs out; and what it refuses."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest

import asr

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")


@pytest.fixture
def hybrid(digits_model, tmp_path):
    """A model directory with a small untrained network."""
    from asr.model.torch import NetworkAcoustic
    from asr.nn import DnnConfig, build

    config = DnnConfig(context=1, hidden=(16,), zero_output=False)
    network = build(config, digits_model.features.dim, digits_model.tree.n_pdfs)
    acoustic = NetworkAcoustic(network, config, np.zeros(digits_model.tree.n_pdfs))
    return replace(digits_model, acoustic=acoustic).save(tmp_path / "hybrid")


@pytest.mark.parametrize("option", [[], ["--int8"]])
def test_export_transcribe_info(run, hybrid, sample, tmp_path, option):
    done = run("export", "onnx", hybrid, tmp_path / "out", *option)
    assert (done.status, done.out) == (0, "")
    assert "the best pdf is the same in" in done.err and str(tmp_path / "out") in done.err
    assert isinstance(asr.load(tmp_path / "out").acoustic, asr.model.onnx.OnnxAcoustic)
    heard = run("transcribe", tmp_path / "out", sample)
    assert heard.status == 0
    if not option:
        assert heard.out == run("transcribe", hybrid, sample).out
    facts = json.loads(run("info", tmp_path / "out", "--json").out)
    assert (facts["kind"], facts["network"]) == ("dnn-hmm", "dnn, run by onnxruntime")
    assert json.loads(run("info", hybrid, "--json").out)["network"] == "dnn, run by torch"


def test_what_is_refused(run, hybrid, tmp_path, monkeypatch):
    assert "Gaussians, not a network" in run("export", "onnx", "digits", tmp_path / "new").complaint
    with monkeypatch.context() as without_torch:
        find = importlib.util.find_spec
        without_torch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
        assert "Gaussians, not a network" in run("export", "onnx", "digits", tmp_path / "new").complaint
    assert "is an input too" in run("export", "onnx", hybrid, hybrid).complaint
    assert "no model 'nothing'" in run("export", "onnx", "nothing", tmp_path / "new").complaint
    assert not (tmp_path / "new").exists()
    run("export", "onnx", hybrid, tmp_path / "out")
    assert "is exported already" in run("export", "onnx", tmp_path / "out", tmp_path / "new").complaint
