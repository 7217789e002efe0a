"""Networks in ONNX: equal to torch for any length, whole model directories, and no torch to run them."""

import json
import shutil
import subprocess
import sys
from dataclasses import make_dataclass, replace

import numpy as np
import pytest

import asr
from asr.errors import ModelError
from asr.extras import install

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from asr.model.export import export_onnx  # noqa: E402
from asr.model.onnx import OnnxAcoustic  # noqa: E402
from asr.model.torch import NetworkAcoustic  # noqa: E402
from asr.nn import AttentionConfig, CnnConfig, DnnConfig, RecurrentConfig, TdnnConfig, build  # noqa: E402

DIM, N_PDFS = 12, 20
SIZES = {
    "dnn": {"hidden": (24, 24)},
    "tdnn": {"width": 64},
    "cnn": {"width": 32},
    "recurrent": {"width": 16, "layers": 2},
    "attention": {"width": 32, "layers": 2, "feedforward": 64},
}
KINDS = {c.kind: c for c in (DnnConfig, TdnnConfig, CnnConfig, RecurrentConfig, AttentionConfig)}


def network(config, dim=DIM, n_outputs=N_PDFS, seed=0):
    """A network with outputs that differ, of features that are not 0 and 1 on average."""
    made = build(config, dim, n_outputs, seed=seed)
    made.normalize.set_statistics(np.linspace(-3, 3, dim), np.linspace(0.5, 4, dim))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        made.output.weight.normal_(0, 0.1)
    return made.eval()


def small(kind, **changes):
    return KINDS[kind](**{**SIZES[kind], **changes})


@pytest.fixture(scope="module")
def hybrid(digits_model):
    """The shipped digits model with a small untrained network."""
    config = DnnConfig(context=2, hidden=(24, 24))
    made = network(config, digits_model.features.dim, digits_model.units.n_pdfs)
    priors = np.log(np.linspace(1, 3, digits_model.units.n_pdfs) / 100)
    return replace(digits_model, acoustic=NetworkAcoustic(made, config, priors))


def bare_model(acoustic):
    """All that exporting looks at."""
    return make_dataclass("Bare", ["acoustic"])(acoustic)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_equals_torch_at_any_length(kind):
    config = small(kind)
    acoustic = NetworkAcoustic(network(config), config, np.full(N_PDFS, np.log(1 / N_PDFS)))
    found = export_onnx(bare_model(acoustic))
    assert found.difference < 1e-4 and found.same_best > 0.999
    rng = np.random.default_rng(1)
    for n in (1, 4, 60, 257):
        features = rng.normal(size=(n, DIM)).astype(np.float32) * 3
        expected = acoustic.log_likelihoods(features)
        assert expected.shape == (n, N_PDFS)
        np.testing.assert_allclose(found.model.acoustic.log_likelihoods(features), expected, atol=1e-4)
        some = np.array([3, 0, 7])
        np.testing.assert_array_equal(acoustic.log_likelihoods(features, some), expected[:, some])
        np.testing.assert_allclose(found.model.acoustic.log_likelihoods(features, some), expected[:, some], atol=1e-4)
    assert found.model.acoustic.log_likelihoods(np.zeros((0, DIM), np.float32)).shape == (0, N_PDFS)


def test_an_ensemble_is_the_mean_of_log_posteriors():
    config = small("dnn")
    networks = [network(config, seed=seed) for seed in (1, 2)]
    priors = np.log(np.linspace(1, 2, N_PDFS) / 30).astype(np.float32)
    features = np.random.default_rng(0).normal(size=(9, DIM)).astype(np.float32)
    together = NetworkAcoustic(networks, [config, config], priors, prior_scale=0.7)
    logits = [n(torch.from_numpy(features)[None], torch.tensor([9]))[0].detach().numpy() for n in networks]
    posteriors = [x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in logits]
    np.testing.assert_allclose(together.log_likelihoods(features), sum(posteriors) / 2 - 0.7 * priors, atol=1e-4)
    assert export_onnx(bare_model(together)).difference < 1e-4


def test_without_priors_scores_are_what_the_network_says_and_subsampling_is_kept():
    config = DnnConfig(context=2, hidden=(16,), subsampling=3)
    made = network(config)
    acoustic = NetworkAcoustic(made, config)
    found = export_onnx(bare_model(acoustic))
    for n in (1, 3, 10):
        features = np.random.default_rng(n).normal(size=(n, DIM)).astype(np.float32)
        expected = made(torch.from_numpy(features)[None], torch.tensor([n]))[0].detach().numpy()
        assert len(expected) == -(-n // 3)
        np.testing.assert_allclose(acoustic.log_likelihoods(features), expected, atol=1e-5)
        np.testing.assert_allclose(found.model.acoustic.log_likelihoods(features), expected, atol=1e-4)
    assert found.model.acoustic.subsampling == 3


@pytest.mark.parametrize("kind", ["dnn", "tdnn"])
def test_int8_is_smaller_and_near(kind):
    config = DnnConfig(hidden=(256, 256)) if kind == "dnn" else TdnnConfig(width=256)
    acoustic = NetworkAcoustic(network(config), config, np.zeros(N_PDFS))
    found = export_onnx(bare_model(acoustic), int8=True)
    before, after = found.n_bytes
    assert after < 0.45 * before
    assert 0 < found.difference < 1.0 and found.same_best > 0.9


def test_int8_is_refused_for_others_and_models_without_a_network():
    config = small("recurrent")
    acoustic = NetworkAcoustic(network(config), config)
    with pytest.raises(ModelError, match="int8 is for networks of the kinds dnn and tdnn; this is recurrent"):
        export_onnx(bare_model(acoustic), int8=True)
    with pytest.raises(ModelError, match="Gaussians, not a network"):
        export_onnx(asr.load("digits"))


def test_directories_of_both_transcribe_alike(hybrid, sample, tmp_path):
    hybrid.save(tmp_path / "torch")
    export_onnx(hybrid).model.save(tmp_path / "onnx")
    names = {p.name for p in (tmp_path / "onnx").iterdir()}
    assert {"am.onnx", "am.npz"} <= names and "am.safetensors" not in names
    one, other = asr.load(tmp_path / "torch"), asr.load(tmp_path / "onnx")
    assert not one.streaming and not other.streaming
    first, second = one.transcribe(sample), other.transcribe(sample)
    assert (first.text, first.words) == (second.text, second.words)
    assert first.score == pytest.approx(second.score, abs=0.1)
    assert first == hybrid.transcribe(sample)
    assert first.words == one.align(sample, first.text).words
    assert {p.name for p in one.save(tmp_path / "again").iterdir()} == {p.name for p in (tmp_path / "torch").iterdir()}
    assert (other.save(tmp_path / "copy") / "am.onnx").read_bytes() == (tmp_path / "onnx" / "am.onnx").read_bytes()


def test_no_torch_is_needed_to_run_an_exported_model(hybrid, sample, tmp_path):
    export_onnx(hybrid).model.save(tmp_path / "onnx")
    hybrid.save(tmp_path / "torch")
    script = """
import sys
for name in ("torch", "safetensors", "onnx"):
    sys.modules[name] = None          # any import of it now fails
import asr
from asr.errors import ModelError
print(asr.load(sys.argv[1]).transcribe(sys.argv[3]).text)
try:
    asr.load(sys.argv[2])
except ModelError as error:
    print(error)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "onnx"), str(tmp_path / "torch"), str(sample)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    text, complaint = done.stdout.splitlines()
    assert text == hybrid.transcribe(sample).text
    assert f"run by torch, which is not installed: {install('nn')}" in complaint and str(tmp_path) in complaint


def renew(folder):
    """Make model.json's checksums right again: a stranger's would be."""
    import hashlib

    description = json.loads((folder / "model.json").read_text())
    for name in description["files"]:
        content = (folder / name).read_bytes()
        description["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "model.json").write_text(json.dumps(description))


@pytest.fixture(scope="module")
def saved(hybrid, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    hybrid.save(folder / "torch")
    export_onnx(hybrid).model.save(folder / "onnx")
    return folder


def not_finite(content):
    from safetensors.torch import load, save

    tensors = load(content)
    tensors["0.output.bias"][0] = float("nan")
    return save(tensors)


def another_shape(content):
    from safetensors.torch import load, save

    tensors = load(content)
    return save({**tensors, "0.output.bias": tensors["0.output.bias"][:-1].clone()})


DAMAGE = {
    "no safetensors": ("torch", "am.safetensors", lambda c: b"hello", "SafetensorError"),
    "a huge header": ("torch", "am.safetensors", lambda c: b"\xff" * 8 + c[8:], "SafetensorError"),
    "a pickle": ("torch", "am.safetensors", lambda c: b"\x80\x04cposix\nsystem\n.", "SafetensorError"),
    "cut": ("torch", "am.safetensors", lambda c: c[:-100], "SafetensorError"),
    "not finite": ("torch", "am.safetensors", not_finite, "'0.output.bias' has values that are not finite"),
    "another shape": ("torch", "am.safetensors", another_shape, "'output.bias' has the shape"),
    "no onnx": ("onnx", "am.onnx", lambda c: b"hello", "not an ONNX file"),
    "empty onnx": ("onnx", "am.onnx", lambda c: b"", "no network that onnxruntime"),
    "cut onnx": ("onnx", "am.onnx", lambda c: c[: len(c) // 2], "damaged or cut short"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_networks(saved, tmp_path, case):
    which, name, change, complaint = DAMAGE[case]
    folder = shutil.copytree(saved / which, tmp_path / "model")
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    with pytest.raises(ModelError, match="size or checksum differs"):
        asr.load(folder)
    renew(folder)
    with pytest.raises(ModelError, match=complaint) as error:
        asr.load(folder)
    assert str(folder / name) in str(error.value)


DESCRIPTIONS = {
    "network": ([{"kind": "dnn", "hidden": [10**9, 10**9]}], "has the shape"),
    "network_file": ("am.pt", "lists no checksum|missing"),
    "subsampling": (3, "subsampling is 1"),
}


@pytest.mark.parametrize("key", DESCRIPTIONS)
def test_descriptions_of_other_networks(saved, tmp_path, key):
    value, complaint = DESCRIPTIONS[key]
    folder = shutil.copytree(saved / "torch", tmp_path / "model")
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**description, key: value}))
    if key == "network_file":
        (folder / "am.safetensors").unlink()
    with pytest.raises(ModelError, match=complaint):
        asr.load(folder)


def test_networks_that_do_not_fit_each_other_or_the_priors():
    config = small("dnn")
    with pytest.raises(ModelError, match="equally many"):
        NetworkAcoustic([network(config), network(config, n_outputs=3)], [config, config])
    with pytest.raises(ModelError, match=r"log_priors of shape \(3,\)"):
        NetworkAcoustic(network(config), config, np.zeros(3))
    with pytest.raises(ModelError, match=r"features of shape \(4, 3\)"):
        NetworkAcoustic(network(config), config).log_likelihoods(np.zeros((4, 3), np.float32))
    with pytest.raises(ModelError, match="inputs and outputs"):
        OnnxAcoustic(_another_onnx(), [])


def _another_onnx():
    """An ONNX file whose ends have other names."""
    import io

    stream = io.BytesIO()
    torch.onnx.export(torch.nn.Linear(2, 3), (torch.zeros(1, 2),), stream, dynamo=False, opset_version=17)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["dnn", "cnn", "recurrent"])
def test_parameters_are_counted_as_those_of_the_network(hybrid, tmp_path, kind):
    """Of an exported model as many as before, but for what the exporter folds together: within 2 %."""
    from asr.info import describe

    config = small(kind)
    made = network(config, hybrid.features.dim, hybrid.units.n_pdfs)
    whole = replace(hybrid, acoustic=NetworkAcoustic(made, config, hybrid.acoustic.log_priors))
    before = describe(whole.save(tmp_path / "before"))["parameters"]
    after = describe(export_onnx(whole).model.save(tmp_path / "after"))["parameters"]
    assert before > 1000 and after == pytest.approx(before, rel=0.02)
