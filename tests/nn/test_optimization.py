"""Optimisers, learning rates and penalties, beside torch's own."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from asr.errors import ConfigError
from asr.nn.optimization import Schedule, add_l1, make_optimizer
from asr.nn.options import SpecAugmentOptions, TrainingOptions

LOSSES = [5.0, 4.0, 3.99, 3.985, 3.5, 3.49, 3.6, 3.3, 3.301, 3.302, 3.303, 3.2]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def torch_rates(scheduler_of, n_steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = scheduler_of(optimizer)
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_cosine_is_torchs():
    schedule = Schedule(TrainingOptions(schedule="cosine", learning_rate=0.1, cosine_end=0.2))
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40, eta_min=0.02), 40)
    np.testing.assert_allclose([schedule.rate(i, i / 40) for i in range(40)], expected, rtol=1e-9)
    assert schedule.rate(40, 1.0) == pytest.approx(0.02)


def test_warm_up_is_torchs_and_multiplies_the_schedule():
    constant = Schedule(TrainingOptions(schedule="constant", learning_rate=0.1, warmup_steps=10))
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.1, total_iters=9), 20)
    np.testing.assert_allclose([constant.rate(i, i / 20) for i in range(20)], expected, rtol=1e-9)
    cosine = Schedule(TrainingOptions(schedule="cosine", learning_rate=0.1, warmup_steps=10))
    assert cosine.rate(4, 0.3) == pytest.approx(0.5 * 0.1 * (1 + math.cos(0.3 * math.pi)) / 2)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("patience", [0, 1])
def test_plateau_is_torchs(patience, sign):
    """torch's relative threshold lets a negative loss rise; ours does not, so only positive ones are compared."""
    losses = LOSSES if sign == 1 else [x - 10 for x in LOSSES]
    options = TrainingOptions(
        schedule="plateau", learning_rate=0.1, plateau_factor=0.5, plateau_patience=patience, plateau_threshold=0.005
    )
    schedule = Schedule(options)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience, threshold=0.005)
    ours, theirs = [], []
    for loss in losses:
        schedule.report(loss)
        oracle.step(loss)
        ours.append(schedule.rate(0, 0.0))
        theirs.append(optimizer.param_groups[0]["lr"])
    assert ours[-1] < 0.1
    if sign == 1:
        np.testing.assert_allclose(ours, theirs)
    again = Schedule(options)
    again.restore(schedule.state())
    for s in (schedule, again):
        s.report(losses[-1])
        s.report(losses[-1])
    assert again.rate(0, 0.0) == schedule.rate(0, 0.0)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_weight_decay_is_in_the_loss_or_decoupled_and_spares_biases_and_norms(name):
    options = TrainingOptions(optimizer=name, learning_rate=0.01, l2=0.1, momentum=0.5)
    ours, theirs = network(), network()
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    optimizer = make_optimizer(ours, options)
    oracle = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.5),
        "adam": lambda p: torch.optim.Adam(p, lr=0.01),
        "adamw": lambda p: torch.optim.Adam(p, lr=0.01),
    }[name](theirs.parameters())
    matrices = [theirs[0].weight, theirs[2].weight]
    for _ in range(5):
        optimizer.zero_grad()
        ours(x).square().sum().backward()
        optimizer.step()
        oracle.zero_grad()
        penalty = 0.05 * sum(w.square().sum() for w in matrices) if name != "adamw" else 0.0
        (theirs(x).square().sum() + penalty).backward()
        if name == "adamw":  # Loshchilov and Hutter, algorithm 2
            with torch.no_grad():
                for w in matrices:
                    w *= 1 - 0.01 * 0.1
        oracle.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.detach(), b.detach(), atol=1e-6)


def test_l1_is_the_gradient_of_the_sum_of_magnitudes():
    net = network()
    net(torch.ones(1, 3)).sum().backward()
    before = {k: p.grad.clone() for k, p in net.named_parameters()}
    matrices = {"0.weight", "2.weight"}
    (penalty,) = [0.3 * sum(p.abs().sum() for k, p in net.named_parameters() if k in matrices)]
    wanted = dict(zip(sorted(matrices), torch.autograd.grad(penalty, [net[0].weight, net[2].weight]), strict=True))
    add_l1(net.parameters(), 0.3)
    for name, parameter in net.named_parameters():
        np.testing.assert_allclose(parameter.grad, before[name] + wanted.get(name, 0.0), atol=1e-7)


def test_frozen_parameters_are_left_out():
    net = network()
    net[0].requires_grad_(False)
    optimizer = make_optimizer(net, TrainingOptions())
    assert sum(len(g["params"]) for g in optimizer.param_groups) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate = 0.0; need more than 0"),
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
        ({"l2": -1.0}, "l2 = -1.0; need 0 or more"),
        ({"chunk_context": -1}, "chunk_context = -1"),
        ({"optimizer": "lbfgs"}, "it is 'sgd', 'adam' or 'adamw'"),
        ({"schedule": "step"}, "it is 'constant', 'plateau' or 'cosine'"),
    ],
)
def test_impossible_options_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        TrainingOptions(**settings)


def test_impossible_masks_are_refused():
    with pytest.raises(ConfigError, match=r"spec_augment\.time_masks = -1"):
        SpecAugmentOptions(time_masks=-1)
    with pytest.raises(ConfigError, match="need 0 to 1"):
        SpecAugmentOptions(max_time_part=1.5)
