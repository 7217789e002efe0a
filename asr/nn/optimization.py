"""Optimisers and learning rates, as a run's options ask for them."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from .options import TrainingOptions


def decayed(parameter: nn.Parameter) -> bool:
    """Whether L1 and L2 apply: matrices and kernels, not biases and norms, which have one dimension."""
    return parameter.ndim > 1


def make_optimizer(network: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    """The optimiser of a network's parameters that want a gradient; see TrainingOptions for what L2 means."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if decayed(p)], "weight_decay": options.l2},
        {"params": [p for p in parameters if not decayed(p)], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum)
    kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=options.learning_rate)


def add_l1(parameters: Iterable[nn.Parameter], l1: float) -> None:
    """Add the gradient of l1 * sum |w| to the gradients, in place; biases and norms are left out."""
    for parameter in parameters:
        if parameter.grad is not None and decayed(parameter):
            parameter.grad.add_(parameter.detach().sign(), alpha=l1)


class Schedule:
    """The learning rate at each step: a linear warm-up times a constant, a cosine, or a fall at each plateau.

    constant: always 1.
    cosine: half a cosine from 1 at the start to `cosine_end` at the end of max_epochs (Loshchilov and Hutter, 2017).
    plateau: times `plateau_factor` whenever more than `plateau_patience` epochs in a row were no improvement.

    Same as torch's LinearLR, CosineAnnealingLR and ReduceLROnPlateau; the cosine goes by the part of the training that
    is done, as the number of batches in an epoch may vary.
    """

    def __init__(self, options: TrainingOptions) -> None:
        self._options = options
        self._factor, self._best, self._bad_epochs = 1.0, math.inf, 0

    def rate(self, step: int, progress: float) -> float:
        """The learning rate.

        Args:
            step: batches done before.
            progress: part of max_epochs done before, 0 to 1.
        """
        options = self._options
        warm = min(1.0, (step + 1) / options.warmup_steps) if options.warmup_steps else 1.0
        shape = 1.0
        if options.schedule == "cosine":
            shape = options.cosine_end + (1 - options.cosine_end) * (1 + math.cos(math.pi * progress)) / 2
        elif options.schedule == "plateau":
            shape = self._factor
        return options.learning_rate * warm * shape

    def report(self, loss: float) -> None:
        """Tell the held-out loss after an epoch."""
        if loss < self._best - self._options.plateau_threshold * abs(self._best) or math.isinf(self._best):
            self._best, self._bad_epochs = loss, 0
            return
        self._bad_epochs += 1
        if self._bad_epochs > self._options.plateau_patience:
            self._factor *= self._options.plateau_factor
            self._bad_epochs = 0

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON can hold it."""
        best = None if math.isinf(self._best) else self._best
        return {"factor": self._factor, "best": best, "bad_epochs": self._bad_epochs}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from an earlier `state`.

        Raises:
            KeyError: for what is none.
            TypeError: for what is none.
            ValueError: for what is none.
        """
        self._factor, self._bad_epochs = float(state["factor"]), int(state["bad_epochs"])
        self._best = math.inf if state["best"] is None else float(state["best"])
