"""Checkpoints: everything comes back, a pair of files is always whole, and damage is told."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from asr.errors import ModelError
from asr.nn.checkpoints import load_checkpoint, read_state, save_checkpoint
from asr.nn.optimization import Schedule, make_optimizer
from asr.nn.options import TrainingOptions


def parts(optimizer="adam", width=4):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Dropout(0.5), nn.Linear(width, 2))
    options = TrainingOptions(optimizer=optimizer, l2=0.01)
    return network, make_optimizer(network, options), Schedule(options)


def step(network, optimizer):
    optimizer.zero_grad()
    network(torch.randn(8, 3)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_training_goes_on_to_the_same_bits(kind, tmp_path):
    network, optimizer, schedule = parts(kind)
    for loss in (3.0, 2.0, 2.0):
        step(network, optimizer)
        schedule.report(loss)
    optimizer.param_groups[0]["lr"] = 0.123
    save_checkpoint(tmp_path / "last", network, optimizer, schedule, {"epoch": 3}, {"best": torch.ones(2)})
    for _ in range(2):
        step(network, optimizer)
    other, other_optimizer, other_schedule = parts(kind)
    state, tensors = load_checkpoint(tmp_path / "last", other, other_optimizer, other_schedule)
    assert state == {"epoch": 3} == read_state(tmp_path / "last")
    np.testing.assert_array_equal(tensors["best"], [1, 1])
    assert other_optimizer.param_groups[0]["lr"] == 0.123
    assert other_schedule.rate(0, 0) == schedule.rate(0, 0) == pytest.approx(0.0005)
    for _ in range(2):
        step(other, other_optimizer)
    for (name, a), b in zip(network.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_an_interrupted_save_leaves_the_checkpoint_before_and_is_tidied_up(tmp_path, monkeypatch):
    network, optimizer, schedule = parts()
    stem = tmp_path / "last"
    save_checkpoint(stem, network, optimizer, schedule, {"step": 1})

    def killed(path, text):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("asr.nn.checkpoints.write_text", killed)
        step(network, optimizer)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(stem, network, optimizer, schedule, {"step": 2})
    (tmp_path / ".last.json.junk").mkdir()  # of a write that was killed
    other, *rest = parts()
    assert load_checkpoint(stem, other, *rest)[0] == {"step": 1}
    assert torch.equal(other[0].weight, parts()[0][0].weight)
    save_checkpoint(stem, network, optimizer, schedule, {"step": 3})
    assert len(list(tmp_path.iterdir())) == 2
    assert load_checkpoint(stem, other, *rest)[0] == {"step": 3}
    assert torch.equal(other[0].weight, network[0].weight)


def test_wrong_checkpoints_are_told(tmp_path):
    stem = tmp_path / "last"
    assert read_state(stem) is None
    save_checkpoint(stem, *parts(), {})
    with pytest.raises(ModelError, match="it is of another network"):
        load_checkpoint(stem, *parts(width=5))
    with pytest.raises(ModelError, match="its optimiser is Adam, not SGD"):
        load_checkpoint(stem, *parts("sgd"))
    (tensors,) = tmp_path.glob("*.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"last-1\.safetensors: missing or damaged .* to start anew"):
        load_checkpoint(stem, *parts())
    tensors.unlink()
    with pytest.raises(ModelError, match=r"last-1\.safetensors: missing or damaged"):
        load_checkpoint(stem, *parts())
    (tmp_path / "last.json").write_text(json.dumps({"format": 99}), encoding="utf-8")
    with pytest.raises(ModelError, match="format 99"):
        read_state(stem)
    (tmp_path / "last.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"not JSON, or damaged .*; remove it to start anew"):
        read_state(stem)


def test_a_killed_process_leaves_the_old_or_the_new_checkpoint(tmp_path, killed_everywhere):
    torch.set_num_threads(1)  # a forked process has no more
    network, optimizer, schedule = parts()
    save_checkpoint(tmp_path / "last", network, optimizer, schedule, {"step": 1})
    old = network[0].weight.detach().clone()
    step(network, optimizer)
    found = set()

    def check():
        other, *rest = parts()
        state, _ = load_checkpoint(tmp_path / "last", other, *rest)
        found.add((state["step"], torch.equal(other[0].weight, old)))

    assert (
        killed_everywhere(lambda: save_checkpoint(tmp_path / "last", network, optimizer, schedule, {"step": 2}), check)
        > 5
    )
    assert found == {(1, True), (2, False)}


def test_others_may_read_the_tensors(tmp_path):
    save_checkpoint(tmp_path / "last", *parts(), {})
    (tmp_path / "new").touch()
    assert {p.stat().st_mode for p in tmp_path.iterdir()} == {(tmp_path / "new").stat().st_mode}


def test_a_flipped_bit_in_the_tensors_is_told(tmp_path):
    save_checkpoint(tmp_path / "last", *parts(), {})
    (tensors,) = tmp_path.glob("*.safetensors")
    raw = bytearray(tensors.read_bytes())
    raw[-3] ^= 1
    tensors.write_bytes(raw)
    with pytest.raises(ModelError, match=r"last-1\.safetensors: missing or damaged \(its checksum differs\)"):
        load_checkpoint(tmp_path / "last", *parts())
