"""Training on a GPU, where there is one: the CPU's curves, half precision, kills, and the processes of torchrun."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.features.table import FeatureTable
from asr.model.torch import NetworkAcoustic
from asr.nn import AttentionConfig, CnnConfig, DnnConfig, RecurrentConfig, TdnnConfig, build
from asr.nn.batches import Examples
from asr.nn.checkpoints import read_state
from asr.nn.ctc.loss import CtcLoss
from asr.nn.curves import read_curves
from asr.nn.losses import FrameCrossEntropy
from asr.nn.options import SpecAugmentOptions, TrainingOptions
from asr.nn.parallel import current_group, train_on
from asr.nn.training import evaluate, train_network

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")

DIM, N_OUTPUTS = 8, 6
CONFIGS = {
    "dnn": DnnConfig(hidden=(32, 32), context=2, dropout=0.0),
    "tdnn": TdnnConfig(width=32, offsets=((-1, 0, 1), (-1, 0, 1)), bottleneck=8, dropout=0.0),
    "cnn": CnnConfig(channels=(8,), pool=(2,), pointwise=4, width=32, offsets=((-1, 0, 1),), dropout=0.0),
    "blstm": RecurrentConfig(width=16, layers=2, dropout=0.0),
    "gru": RecurrentConfig(cell="gru", bidirectional=False, width=16, layers=1, dropout=0.0),
    "attention": AttentionConfig(layers=1, width=16, heads=2, feedforward=32, dropout=0.0),
}
# Not Adam, which makes a step of a rounding error where a gradient should be zero.
OPTIONS = TrainingOptions(max_epochs=4, batch_frames=600, optimizer="sgd", learning_rate=0.1)
KILLED = replace(
    OPTIONS, max_epochs=12, optimizer="adam", learning_rate=1e-3, schedule="cosine", checkpoint_every_seconds=0.0,
    spec_augment=SpecAugmentOptions(time_masks=1),
)  # fmt: skip


def examples_of(n_utterances, seed):
    """Six classes with means of their own; each lasts three frames."""
    means, rng = np.random.default_rng(0).standard_normal((N_OUTPUTS, DIM)), np.random.default_rng(seed)
    labels = {
        f"u{seed}-{i}": np.repeat(rng.integers(0, N_OUTPUTS, rng.integers(5, 15)), 3) for i in range(n_utterances)
    }
    features = {u: (means[y] + 0.5 * rng.standard_normal((len(y), DIM))).astype(np.float32) for u, y in labels.items()}
    return Examples(FeatureTable.from_dict(features), labels)


def train(folder, device, options=OPTIONS, config=CONFIGS["dnn"]):
    """The network and its curves."""
    network = build(config, DIM, N_OUTPUTS)
    sets = examples_of(60, 1), examples_of(10, 2)
    return network, train_network(network, FrameCrossEntropy(), *sets, options, folder=folder, device=device).curves


def numbers(points, *names):
    return np.array([[asdict(point)[name] for name in names] for point in points])


@pytest.mark.parametrize("name", CONFIGS)
def test_curves_are_those_of_the_cpu(name, tmp_path):
    _, expected = train(tmp_path / "cpu", "cpu", config=CONFIGS[name])
    network, found = train(tmp_path / "cuda", "cuda", config=CONFIGS[name])
    assert {p.device.type for p in network.parameters()} == {"cuda"}
    wanted = ("train_loss", "held_out_loss")
    np.testing.assert_allclose(numbers(found, *wanted), numbers(expected, *wanted), atol=0.01)  # TF32 in convolutions
    assert found[-1].held_out_loss < 0.8 * found[0].train_loss


def test_ctc_s_curves_are_those_of_the_cpu(tmp_path):
    def units(examples):  # classes that last three frames are said once
        said = {u: tuple((y[::3][np.r_[True, np.diff(y[::3]) != 0]] + 1).tolist()) for u, y in examples.targets.items()}
        return Examples(examples.features, said)

    sets, curves = (units(examples_of(60, 1)), units(examples_of(10, 2))), {}
    for device in ("cpu", "cuda"):
        network = build(CONFIGS["blstm"], DIM, N_OUTPUTS + 1)
        result = train_network(
            network, CtcLoss(N_OUTPUTS + 1), *sets, OPTIONS, folder=tmp_path / device, device=device
        )  # fmt: skip
        curves[device] = numbers(result.curves, "train_loss", "held_out_loss")
    np.testing.assert_allclose(curves["cuda"], curves["cpu"], atol=0.01)
    assert curves["cpu"][-1, 1] < curves["cpu"][0, 0]


def test_scores_are_those_of_the_cpu(tmp_path):
    network, _ = train(tmp_path, "cuda")
    acoustic = NetworkAcoustic(network, CONFIGS["dnn"], np.zeros(N_OUTPUTS))
    features = examples_of(3, 3).features
    on_gpu = {u: acoustic.log_likelihoods(features[u]) for u in features}
    acoustic.scores.cpu()
    for u, scores in on_gpu.items():
        np.testing.assert_allclose(acoustic.log_likelihoods(features[u]), scores, atol=1e-3)


@pytest.mark.parametrize("name", CONFIGS)
def test_mixed_precision_trains_to_a_similar_loss(name, tmp_path):
    options = replace(OPTIONS, max_epochs=10, batch_frames=300)  # the first batches may be skipped: scales too large
    _, plain = train(tmp_path / "plain", "cuda", options, CONFIGS[name])
    options = replace(options, mixed_precision=True)
    network, mixed = train(tmp_path / "mixed", "cuda", options, CONFIGS[name])
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert mixed[-1].held_out_loss == pytest.approx(plain[-1].held_out_loss, abs=0.1)
    assert "scale" in read_state(tmp_path / "mixed" / "last")["scaler"]


@pytest.mark.parametrize("mixed", [False, True])
def test_killed_and_resumed_it_goes_on(mixed, tmp_path):
    """Dropout goes on with the GPU's own random state, so the curves are those without the kill."""
    options, config = replace(KILLED, mixed_precision=mixed), replace(CONFIGS["dnn"], dropout=0.2)
    _, whole = train(tmp_path / "whole", "cuda", options, config)
    child = subprocess.Popen([sys.executable, __file__, str(tmp_path / "killed"), str(int(mixed))])
    stem = tmp_path / "killed" / "last"
    try:
        while (state := read_state(stem)) is None or state["position"]["step"] < 10:
            assert child.poll() is None, "the child ended before it could be killed"
            time.sleep(0.002)
    finally:
        child.kill()
        child.wait()
    left_at = read_state(stem)["position"]["step"]
    assert left_at < whole[-1].step
    network, resumed = train(tmp_path / "killed", "cuda", options, config)
    wanted = ("step", "train_loss", "held_out_loss")
    np.testing.assert_allclose(numbers(resumed, *wanted), numbers(whole, *wanted), atol=5e-3)
    loss, _ = evaluate(network, FrameCrossEntropy(), examples_of(10, 2), device="cuda")
    assert loss == pytest.approx(min(point.held_out_loss for point in resumed), abs=1e-4)


def test_a_training_moves_from_the_cpu_to_a_gpu(tmp_path):
    _, begun = train(tmp_path, "cpu", replace(OPTIONS, max_epochs=2))
    _, found = train(tmp_path, "cuda")
    assert found[:2] == begun and len(found) == 4 and found[3].held_out_loss < found[1].held_out_loss


def test_processes_for_all_gpus_have_the_curves_of_one(tmp_path):
    _, expected = train(tmp_path / "one", "cuda")
    train_on("all", partial(be_one_of_a_group, tmp_path))
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert told == {"device": "cuda:0", "backend": "nccl", "size": torch.cuda.device_count()}
    found = read_curves(tmp_path / "group" / "curves.json")
    wanted = ("step", "train_loss", "held_out_loss")
    np.testing.assert_allclose(numbers(found, *wanted), numbers(expected, *wanted), atol=1e-3)


def be_killed(folder, mixed):
    """What another process does until it is killed."""
    config = replace(CONFIGS["dnn"], dropout=0.2)
    train(Path(folder), "cuda", replace(KILLED, mixed_precision=mixed == "1"), config)


def be_one_of_a_group(folder, device, report):
    """What the process for each GPU does."""
    group = current_group()
    if group.writes:
        told = {"device": device, "backend": torch.distributed.get_backend(), "size": group.size}
        (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")
    train(folder / "group", device)


if __name__ == "__main__":
    torch.set_num_threads(1)
    be_killed(*sys.argv[1:])
