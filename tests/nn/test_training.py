"""Training as a whole: one step by hand, early stopping, kills and resumption, explosions, curves."""

import json
import logging
import re
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from asr.errors import AsrError, CorpusError, ModelError
from asr.features.table import FeatureTable
from asr.nn import DnnConfig, build
from asr.nn.batches import Examples
from asr.nn.checkpoints import read_state
from asr.nn.curves import read_curves, spoken_time
from asr.nn.losses import FrameCrossEntropy, LossSum
from asr.nn.options import SpecAugmentOptions, TrainingOptions
from asr.nn.training import _Run, evaluate, train_network

DIM, N_OUTPUTS = 5, 6
SHORT = TrainingOptions(max_epochs=3, batch_frames=300, chunk_frames=20, chunk_context=2)
KILLED = replace(
    SHORT,
    max_epochs=6,
    schedule="cosine",
    warmup_steps=5,
    l1=1e-5,
    l2=1e-4,
    spec_augment=SpecAugmentOptions(time_masks=1, frequency_masks=1),
    checkpoint_every_seconds=0.0,
)


def examples_of(n_utterances, seed, *, random_labels=False):
    """Six classes with means of their own; each lasts three frames."""
    means = np.random.default_rng(0).standard_normal((N_OUTPUTS, DIM))
    rng = np.random.default_rng(seed)
    labels, features = {}, {}
    for i in range(n_utterances):
        key, n_frames = f"u{seed}-{i}", int(rng.integers(9, 36))
        states = np.repeat(rng.integers(0, N_OUTPUTS, 12), 3)[:n_frames]
        features[key] = (means[states] + 0.5 * rng.standard_normal((n_frames, DIM))).astype(np.float32)
        labels[key] = rng.integers(0, N_OUTPUTS, n_frames) if random_labels else states
    return Examples(FeatureTable.from_dict(features), labels)


def network_of(dropout=0.2, normalization="batch"):
    config = DnnConfig(hidden=(16,), context=2, dropout=dropout, normalization=normalization, zero_output=False)
    return build(config, DIM, N_OUTPUTS)


def train(folder, options=SHORT, *, network=None, loss=None, train_set=None, held_out=None, **keywords):
    network = network or network_of()
    sets = train_set or examples_of(30, 1), held_out or examples_of(6, 2)
    return network, train_network(network, loss or FrameCrossEntropy(), *sets, options, folder=folder, **keywords)


def weights(network):
    return {k: v.clone() for k, v in network.state_dict().items()}


def assert_same_weights(a, b):
    assert a.keys() == b.keys()
    assert [k for k in a if not torch.equal(a[k], b[k])] == []


def without_seconds(points):
    return [{k: v for k, v in asdict(p).items() if k != "seconds"} for p in points]


def test_it_learns_and_ends_with_the_best_weights_and_curves(tmp_path, caplog):
    told = []
    held_out = examples_of(6, 2)
    before = torch.get_rng_state()
    with caplog.at_level(logging.INFO, "asr.nn"):
        options = replace(SHORT, learning_rate=0.03)
        network, result = train(tmp_path, options, held_out=held_out, progress=lambda *pair: told.append(pair))
    assert torch.equal(torch.get_rng_state(), before)  # the caller's random numbers are its own
    assert not network.training
    losses = [p.held_out_loss for p in result.curves]
    assert losses[-1] < losses[0] < np.log(N_OUTPUTS) + 0.2
    assert result.best_loss == min(losses) and result.best_epoch == 1 + int(np.argmin(losses))
    best = result.curves[result.best_epoch - 1]
    assert evaluate(network, FrameCrossEntropy(), held_out) == pytest.approx(
        (best.held_out_loss, best.held_out_accuracy), rel=1e-5
    )
    assert best.held_out_accuracy > 0.5
    assert read_curves(tmp_path / "curves.json") == result.curves
    assert [p.epoch for p in result.curves] == [1, 2, 3]
    total = 3 * 30  # utterances of all epochs
    assert told[-1] == (total, total) and told == sorted(told) and {t for _, t in told} == {total}
    assert "epoch 1: loss" in caplog.text and re.search(r"epoch 2.* at most .* left", caplog.text)


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_one_step_is_that_of_plain_torch(tmp_path, clip):
    """Mean cross-entropy over all frames of the batch, clipping by norm, SGD."""
    options = replace(
        SHORT, optimizer="sgd", learning_rate=0.1, gradient_clip=clip, max_epochs=1, batch_frames=10**6, chunk_frames=0
    )
    examples = examples_of(1, 3)
    plain = network_of(dropout=0.0, normalization="none")
    network, result = train(tmp_path, options, network=network_of(0.0, "none"), train_set=examples)
    (key,) = examples.features
    x, y = torch.from_numpy(examples.features[key])[None], torch.from_numpy(examples.targets[key])
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    loss = functional.cross_entropy(plain(x, torch.tensor([x.shape[1]]))[0], y)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), clip or float("inf"))
    optimizer.step()
    assert result.curves[0].train_loss == pytest.approx(loss.item(), rel=1e-5)
    assert result.curves[0].gradient_norm == pytest.approx(norm.item(), rel=1e-4)
    assert norm.item() > 0.05
    for (name, a), b in zip(network.state_dict().items(), plain.state_dict().values(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, err_msg=name)


def test_it_stops_early_when_the_held_out_loss_rises(tmp_path):
    options = replace(SHORT, max_epochs=50, patience=2, learning_rate=0.02, schedule="constant")
    noise = examples_of(6, 1, random_labels=True)
    network, result = train(tmp_path, options, train_set=noise, held_out=examples_of(6, 2, random_labels=True))
    assert len(result.curves) == result.best_epoch + 2 < 50
    assert evaluate(network, FrameCrossEntropy(), examples_of(6, 2, random_labels=True))[0] == pytest.approx(
        result.best_loss, rel=1e-5
    )


def test_killed_at_a_random_step_and_resumed_it_ends_with_the_same_bits(tmp_path):
    """Another process is killed by SIGKILL; this one goes on from what it left, and compares with no interruption."""
    whole, result = train(tmp_path / "whole", KILLED)
    steps = int(np.random.default_rng().integers(1, result.curves[-1].step - 10))
    child = subprocess.Popen([sys.executable, __file__, str(tmp_path / "killed")])
    try:
        stem = tmp_path / "killed" / "last"
        while (state := read_state(stem)) is None or state["position"]["step"] < steps:
            assert child.poll() is None, "the child ended before it could be killed"
            time.sleep(0.002)
    finally:
        child.kill()
    assert child.wait() != 0
    left_at = read_state(stem)["position"]["step"]
    assert steps <= left_at < result.curves[-1].step
    resumed, again = train(tmp_path / "killed", KILLED)
    assert without_seconds(again.curves) == without_seconds(result.curves), f"killed after step {left_at}"
    assert_same_weights(weights(resumed), weights(whole))
    # A kill in the middle of a write may leave a hidden folder beside the file, which stays whole.
    seen = [p.name for p in (tmp_path / "killed").iterdir() if not p.name.startswith(".")]
    assert sorted(name.split("-")[0] for name in seen) == ["curves.json", "last", "last.json"]


def test_a_finished_training_is_not_done_again_but_can_be_made_longer(tmp_path):
    first, result = train(tmp_path)
    second, again = train(tmp_path, replace(SHORT, learning_rate=0.5))
    assert again.curves == result.curves
    assert_same_weights(weights(first), weights(second))
    _, longer = train(tmp_path, replace(SHORT, max_epochs=4))
    assert longer.curves[:3] == result.curves and len(longer.curves) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": replace(SHORT, seed=1)}, "with other options"),
        ({"train_set": examples_of(29, 1)}, "with other training utterances"),
        ({"held_out": examples_of(5, 2)}, "with other held-out utterances"),
        ({"network": build(DnnConfig(hidden=(17,), context=2), DIM, N_OUTPUTS)}, "of another network"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(tmp_path, change, message):
    train(tmp_path, replace(SHORT, max_epochs=1))
    with pytest.raises(ModelError, match=message):
        train(tmp_path, **change)


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_spoilt(tmp_path):
    network, at_stop, calls = network_of(), {}, []

    def loss(scores, out_lengths, targets):
        found = FrameCrossEntropy()(scores, out_lengths, targets)
        calls.append(1)
        if len(calls) < 15 or not network.training:
            return found
        at_stop.update({k: p.detach().clone() for k, p in network.named_parameters()})
        return LossSum(found.total * float("nan"), found.n_frames, found.errors)

    options = replace(SHORT, max_epochs=50, checkpoint_every_seconds=0.0)
    with pytest.raises(ModelError) as stopped:
        train(tmp_path, options, network=network, loss=loss)
    message = str(stopped.value)
    assert re.match(r"epoch \d+, batch \d+ of \d+ \(utterances u1-\d+, .* more\): the loss per frame is nan", message)
    assert "Lower learning_rate (it is 0.001)" in message and "last.json" in message
    assert_same_weights({k: p.detach() for k, p in network.named_parameters()}, at_stop)
    _, result = train(tmp_path, replace(options, learning_rate=1e-4, max_epochs=4))
    assert len(result.curves) == 4


def test_exploding_losses_and_gradients_stop(tmp_path):
    wild = replace(SHORT, optimizer="sgd", learning_rate=1e4, gradient_clip=0.0)
    with pytest.raises(ModelError, match=r"the (loss per frame|gradient norm) is \S+, (above|not a finite)"):
        train(tmp_path / "loss", wild, network=network_of(normalization="none"))
    with pytest.raises(ModelError, match=r"batch 1 of .* the gradient norm is \S+, above 0\.001; .*nothing was saved"):
        train(tmp_path / "norm", replace(SHORT, max_gradient_norm=1e-3))


def test_wrong_data_and_devices_are_told_before_anything_slow(tmp_path):
    nothing = Examples(FeatureTable.from_dict({"a": np.zeros((0, DIM), np.float32)}), {"a": np.zeros(0, np.int64)})
    with pytest.raises(ModelError, match="no held-out frames"):
        train(tmp_path, held_out=nothing)
    bad = examples_of(3, 1)
    bad.targets["u1-1"][2] = 6
    with pytest.raises(CorpusError, match=r"'u1-1': targets from . to 6"):
        train(tmp_path, train_set=bad)
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="finds no GPU"):
            train(tmp_path, device="cuda")
    assert not list(tmp_path.iterdir())


def test_mixed_precision_changes_nothing_on_a_cpu_without_instructions_for_it(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("asr.nn.training._narrow_type", lambda device: None)
    caplog.set_level("INFO", "asr")  # no warning: it costs only time, and `asr train` asks for it without being asked
    plain, _ = train(tmp_path / "plain")
    mixed, _ = train(tmp_path / "mixed", replace(SHORT, mixed_precision=True))
    assert "no instructions for bfloat16" in caplog.text
    assert_same_weights(weights(plain), weights(mixed))


def test_bfloat16_on_a_cpu_learns_the_same(tmp_path, monkeypatch):
    """Any processor can compute in it, if slowly."""
    monkeypatch.setattr("asr.nn.training._narrow_type", lambda device: torch.bfloat16)
    options = replace(SHORT, optimizer="sgd", learning_rate=0.02)
    _, plain = train(tmp_path / "plain", options, network=network_of(0.0))
    network, mixed = train(tmp_path / "mixed", replace(options, mixed_precision=True), network=network_of(0.0))
    assert mixed.curves[-1].held_out_loss == pytest.approx(plain.curves[-1].held_out_loss, abs=0.05)
    assert mixed.curves[-1].train_loss != plain.curves[-1].train_loss
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_half_precision_with_scaled_gradients_learns_the_same(tmp_path, monkeypatch):
    """The GPU's way, on a CPU that can do it in float16: the first scales overflow, and those batches are skipped."""
    usual = _Run.__init__

    def half(self, *arguments):
        usual(self, *arguments)
        self.narrow, self.half = torch.float16, True
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**18)

    options = replace(SHORT, batch_frames=200, optimizer="sgd", learning_rate=0.02)
    _, plain = train(tmp_path / "plain", options, network=network_of(0.0))
    monkeypatch.setattr(_Run, "__init__", half)
    network, mixed = train(tmp_path / "half", options, network=network_of(0.0))
    assert read_state(tmp_path / "half" / "last")["scaler"]["scale"] < 2.0**18
    assert mixed.curves[-1].held_out_loss == pytest.approx(plain.curves[-1].held_out_loss, abs=0.1)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_tensorboard_has_the_curves_or_says_how_to_install_it(tmp_path, monkeypatch):
    options = replace(SHORT, max_epochs=1, tensorboard=True)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "torch.utils.tensorboard", None)
        with pytest.raises(AsrError, match="pip install tensorboard"):
            train(tmp_path, options)
    pytest.importorskip("tensorboard")
    train(tmp_path, options)
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"held_out_loss" in events.read_bytes()


def test_times_and_wrong_curves(tmp_path):
    assert [spoken_time(s) for s in (7.4, 99, 120, 5400, 9000)] == ["7 s", "99 s", "2 min", "90 min", "2.5 h"]
    (tmp_path / "curves.json").write_text(json.dumps([{"epoch": 1}]), encoding="utf-8")
    with pytest.raises(ModelError, match="not the curves of a training"):
        read_curves(tmp_path / "curves.json")


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Path(sys.argv[1]), KILLED)
