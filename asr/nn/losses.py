"""Losses summed over frames: sum and count are separate, so that parts of a batch can be added."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..display.brief import brief_repr

IGNORED = -1  # the target of a frame that does not count


class LossSum(NamedTuple):
    """A loss over some frames.

    Attributes:
        total: scalar, summed over the frames; the gradient flows through it.
        n_frames: how many frames counted.
        errors: how many of them had their best score elsewhere than at the target; a loss without such a thing says 0.
    """

    total: Tensor
    n_frames: float
    errors: float

    def __repr__(self) -> str:
        return brief_repr(self)


# (scores (batch, out_frames, n_outputs), out_lengths (batch,), targets) -> LossSum
Loss = Callable[[Tensor, Tensor, Any], LossSum]


class FrameCrossEntropy:
    """Cross-entropy between each frame's target and the softmax of its scores, in nats.

    Args:
        smoothing: part of the target's probability that is spread evenly over all outputs (Szegedy et al., 2016).
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        if not 0.0 <= smoothing < 1.0:
            raise ValueError(f"smoothing={smoothing}; need 0 to less than 1")
        self.smoothing = smoothing

    def __call__(self, scores: Tensor, out_lengths: Tensor, targets: Tensor) -> LossSum:
        """The loss of a batch.

        Args:
            scores: float (batch, out_frames, n_outputs), unnormalised.
            out_lengths: int64 (batch,), rows that count.
            targets: int64 (batch, out_frames), IGNORED (-1) where a frame does not count, as in padding.
        """
        rows = torch.arange(scores.shape[1], device=scores.device)
        counted = (targets != IGNORED) & (rows < out_lengths[:, None])
        chosen, wanted = scores[counted].float(), targets[counted]
        total = functional.cross_entropy(chosen, wanted, reduction="sum", label_smoothing=self.smoothing)
        errors = int((chosen.detach().argmax(dim=1) != wanted).sum()) if len(wanted) else 0
        return LossSum(total, float(len(wanted)), float(errors))
