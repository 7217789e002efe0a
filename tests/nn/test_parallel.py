"""Two processes that share each batch have the loss curve of one; which GPUs --gpus means."""

import json
import os
import subprocess
import sys
import weakref
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.errors import ConfigError
from asr.features.table import FeatureTable
from asr.nn import DnnConfig, RecurrentConfig, build
from asr.nn.batches import Examples
from asr.nn.ctc.joint import JointLoss, JointNetwork
from asr.nn.losses import FrameCrossEntropy
from asr.nn.options import DecoderConfig, SpecAugmentOptions, TrainingOptions
from asr.nn.parallel import current_group, is_worker, join_group, leave_group, parse_gpus, train_on
from asr.nn.training import train_network

DIM, N_OUTPUTS = 5, 6
MASKS = SpecAugmentOptions(time_masks=1, max_time_frames=5, frequency_masks=1, max_frequency_bins=1)
CASES = {
    "chunks": ("none", TrainingOptions(max_epochs=4, batch_frames=300, chunk_frames=20, spec_augment=MASKS)),
    "batch norm": ("batch", TrainingOptions(max_epochs=4, batch_frames=400, optimizer="sgd", learning_rate=0.1)),
    "single utterances": ("layer", TrainingOptions(max_epochs=2, batch_frames=1, l1=1e-4, l2=1e-3)),
}


def examples_of(n_utterances, seed):
    means = np.random.default_rng(0).standard_normal((N_OUTPUTS, DIM))
    rng = np.random.default_rng(seed)
    labels = {
        f"u{seed}-{i}": np.repeat(rng.integers(0, N_OUTPUTS, 12), 3)[: rng.integers(9, 36)] for i in range(n_utterances)
    }
    features = {k: (means[y] + 0.5 * rng.standard_normal((len(y), DIM))).astype(np.float32) for k, y in labels.items()}
    return Examples(FeatureTable.from_dict(features), labels)


def train_cases(folder):
    """The curves of every case, as JSON would give them back."""
    curves = {}
    for name, (normalization, options) in CASES.items():
        network = build(DnnConfig(hidden=(16,), context=2, dropout=0.0, normalization=normalization), DIM, N_OUTPUTS)
        train, held_out = examples_of(21, 1), examples_of(5, 2)
        result = train_network(network, FrameCrossEntropy(), train, held_out, options, folder=folder / name)
        curves[name] = [asdict(point) for point in result.curves]
    curves["joint"] = [asdict(point) for point in train_joint_case(folder / "joint").curves]
    return curves


def train_joint_case(folder):
    """CTC and attention: the loss has weights of its own, and targets are whole utterances' units."""
    config = RecurrentConfig(layers=1, width=8, context=0, dropout=0.0, normalization="batch")
    network = JointNetwork(build(config, DIM, N_OUTPUTS), DecoderConfig(8, 4, 6, channels=2, reach=1, dropout=0.0))
    sets = examples_of(21, 1), examples_of(5, 2)
    spoken = [replace(s, targets={u: tuple((1 + y[::9] % 5).tolist()) for u, y in s.targets.items()}) for s in sets]
    options = TrainingOptions(max_epochs=3, batch_frames=300)
    return train_network(network, JointLoss(network), *spoken, options, folder=folder)


def be_one_of_two(folder, device, report):
    """What each of the processes does, on the CPU."""
    torch.set_num_threads(1)
    assert device == "cpu" and current_group().size == 2 and (report is not None) == current_group().writes
    train_cases(folder)


def test_two_processes_have_the_curves_of_one(tmp_path, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there are GPUs here, which tests/nn/test_gpu.py uses")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)  # the processes find none
    alone = train_cases(tmp_path / "alone")
    train_on("all", partial(be_one_of_two, tmp_path / "shared"))
    for name, points in alone.items():
        shared = json.loads((tmp_path / "shared" / name / "curves.json").read_text(encoding="utf-8"))
        assert len(shared) == len(points) > 1
        for a, b in zip(points, shared, strict=True):
            assert a["step"] == b["step"]
            for key in ("train_loss", "held_out_loss", "train_accuracy", "gradient_norm"):
                assert b[key] == pytest.approx(a[key], abs=1e-4), (name, key)
        assert points[-1]["train_loss"] < points[0]["train_loss"] - 0.01


def test_gpus_by_number():
    assert parse_gpus("all", 3) == [0, 1, 2]
    assert parse_gpus("0,2", 3) == [0, 2]
    assert parse_gpus("1", 2) == [1]
    for gpus, message in [("0,3", "no GPU 3; this machine has 0, 1, 2"), ("1,1", "named twice"), ("two", "need 'all'")]:
        with pytest.raises(ConfigError, match=message):
            parse_gpus(gpus, 3)


def test_a_machine_without_gpus_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="--gpus all: torch finds no GPU on this machine; leave --gpus out"):
        train_on("all", print)


def test_processes_of_torchrun_share_batches_and_leave_their_group(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__]
    places = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
    environment = {**os.environ, "PYTHONPATH": places, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*command, str(tmp_path)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {place.name for place in tmp_path.iterdir()} == {*CASES, "joint"}


def test_without_torchrun_nothing_is_joined():
    assert not is_worker()
    assert join_group() in ("cpu", "cuda:0")
    assert not torch.distributed.is_initialized()
    leave_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert is_worker() and join_group()
    train_cases(Path(sys.argv[1]))
    world = weakref.ref(torch.distributed.group.WORLD)
    leave_group()
    assert world() is None, "a group that lives on has threads, which abort the process when Python ends under them"
