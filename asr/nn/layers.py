"""The parts that networks are made of: masks, splicing, normalisation, activations, initial weights.

Activations inside a network are (batch, frames, dim), with zeros after the end of each utterance. A mask, bool
(batch, frames, 1), says which frames are real; layers take and return both, so that an utterance gets the same
outputs alone as among longer ones.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}


class Network(nn.Module):
    """What training, decoding and export know of a network; the base of all of them, and of your own.

    A subclass is made with (config, dim, n_outputs) and defines `encode(features, lengths)`: features float32
    (batch, frames, dim), whatever stands after an utterance's end, and lengths int64 (batch,), at least 1 each;
    it returns what its last layer, `output`, sees: rows (batch, ceil(frames / subsampling), width), of which row i is
    about input frame i * subsampling. `forward` then gives unnormalised log scores (batch, rows, n_outputs). A network
    whose end is not such a layer defines `forward` itself, and no decoder can look at its rows. What stands in rows
    beyond `output_lengths(lengths)` is not used.

    Args:
        context: input frames on each side that an output depends on, which training in chunks gives it; where it is
            unlimited, as many as are enough.
    """

    output: nn.Linear

    def __init__(self, dim: int, n_outputs: int, subsampling: int = 1, context: int = 40):
        super().__init__()
        self.dim, self.n_outputs, self.subsampling, self.context = dim, n_outputs, subsampling, context
        self.normalize = Normalize(dim)

    def encode(self, features: Tensor, lengths: Tensor) -> Tensor:
        """The rows (batch, ceil(frames / subsampling), width) below the output layer."""
        raise ModelError(f"{type(self).__name__} defines neither encode nor forward; define one, see asr.nn.Network")

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Unnormalised log scores (batch, ceil(frames / subsampling), n_outputs)."""
        return self.output(self.encode(features, lengths))

    def start(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The normalised features with zeros after each utterance's end, and the mask: what `encode` begins with."""
        mask = frame_mask(lengths, features.shape[1])
        return zero_padding(self.normalize(features), mask), mask

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """The number of output rows that belong to utterances of so many frames."""
        return torch.div(lengths + (self.subsampling - 1), self.subsampling, rounding_mode="floor")


class Normalize(nn.Module):
    """Features less a fixed mean, divided by a fixed standard deviation; 0 and 1 until they are set."""

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def set_statistics(self, mean, std) -> None:
        """Takes the mean and standard deviation (dim,) of the training features; a deviation of 0 counts as 1."""
        mean, std = (torch.as_tensor(x, dtype=torch.float32) for x in (mean, std))
        if mean.shape != self.mean.shape or std.shape != self.std.shape:
            raise ValueError(
                f"mean {tuple(mean.shape)} and std {tuple(std.shape)}; the features have {len(self.mean)} values"
            )
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, torch.ones_like(std)))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std


def frame_mask(lengths: Tensor, n_frames: int) -> Tensor:
    """bool (batch, n_frames, 1): whether a frame lies within its utterance."""
    return (torch.arange(n_frames, device=lengths.device) < lengths[:, None])[..., None]


def zero_padding(x: Tensor, mask: Tensor) -> Tensor:
    """The values of real frames, zero elsewhere, even where the padding holds NaN."""
    return x.masked_fill(~mask, 0.0)


def splice(x: Tensor, offsets: Sequence[int], stride: int = 1) -> Tensor:
    """Every `stride`-th frame beside its neighbours: (batch, ceil(frames / stride), len(offsets) * dim).

    Row t holds the frames t * stride + offset for each offset, in order; zeros beyond the ends.
    """
    left, right = max(0, -min(offsets)), max(0, max(offsets))
    n_frames = x.shape[1]
    padded = nn.functional.pad(x, (0, 0, left, right))
    return torch.cat([padded[:, left + o : left + o + n_frames : stride] for o in offsets], dim=-1)


class BatchNorm(nn.Module):
    """Batch normalisation with scale and shift, whose statistics count real frames only, over all processes.

    x: (batch, frames, ..., dim), mask: (batch, frames, ..., 1). Each of the dim columns is brought to mean 0 and
    variance 1 by this batch in training, by running averages in evaluation, then scaled and shifted by learnt amounts.
    Without padding it equals torch.nn.BatchNorm1d; data-parallel processes equal one with the whole batch.

    Ref: Ioffe and Szegedy, Batch normalization, 2015.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, dim: int, *, momentum: float = 0.1, epsilon: float = 1e-5):
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        mean, variance = self._statistics(x, mask) if self.training else (self.running_mean, self.running_var)
        scale = self.weight * torch.rsqrt(variance + self.epsilon)
        return x * scale + (self.bias - mean * scale)

    def _statistics(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (dim,) of the real frames of all processes; moves the running averages towards them."""
        x = x.float()  # half precision cannot hold the sums
        others = tuple(range(x.dim() - 1))
        count = sum_over_processes(mask.sum() * math.prod(x.shape[2:-1])).to(x.dtype)
        mean = sum_over_processes(zero_padding(x, mask).sum(others)) / count
        variance = sum_over_processes(zero_padding(x - mean, mask).square().sum(others)) / count
        with torch.no_grad():
            unbiased = variance * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        return mean, variance


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum of x over data-parallel processes, through which gradients flow back to all; x itself without them."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return x
    return _Sum.apply(x)


class _Sum(torch.autograd.Function):
    """A sum over all processes. Each one's x is in all their sums, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Sum.apply(gradients[0])


class LayerNorm(nn.LayerNorm):
    """torch's layer normalisation of each frame, called as BatchNorm is."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)


class NoNorm(nn.Identity):
    """The input itself, called as BatchNorm is."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return x


NORMALIZATIONS: dict[str, type[nn.Module]] = {"batch": BatchNorm, "layer": LayerNorm, "none": NoNorm}


class Finish(nn.Module):
    """What follows a layer's affine or convolutional part: activation, normalisation, dropout, zeros in the padding."""

    def __init__(self, dim: int, config):
        super().__init__()
        self.activation = ACTIVATIONS[config.activation]()
        self.norm = NORMALIZATIONS[config.normalization](dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return zero_padding(self.dropout(self.norm(self.activation(x), mask)), mask)


class Dense(nn.Module):
    """One layer of a DNN or TDNN: affine over spliced frames, activation, normalisation, dropout.

    Args:
        offsets: the frames of the layer below that one frame of this layer sees, e.g. (-3, 0, 3).
        stride: keeps every stride-th frame, and computes no other.
    """

    def __init__(self, dim: int, width: int, config, *, offsets: Sequence[int] = (0,), stride: int = 1):
        super().__init__()
        self.offsets, self.stride = tuple(offsets), stride
        self.linear = nn.Linear(len(self.offsets) * dim, width)
        self.finish = Finish(width, config)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        mask = mask[:, :: self.stride]
        return self.finish(self.linear(splice(x, self.offsets, self.stride)), mask), mask


def initialise(network: nn.Module, config) -> None:
    """Random weights of every affine and convolutional part as the config says, zero biases; the last layer's zero.

    xavier: uniform, variance 2 / (inputs + outputs), for sigmoid and tanh (Glorot and Bengio, 2010). he: normal,
    variance 2 / inputs, for ReLU (He et al., 2015). orthogonal: Saxe et al., 2014. The last layer is `network.output`.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            fill_weights(module.weight, config.initialization)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if config.zero_output:
        nn.init.zeros_(network.output.weight)  # type: ignore[union-attr,arg-type]


def fill_weights(weight: Tensor, kind: str) -> None:
    """Random values in place, of the kind that `initialise` tells."""
    if kind == "xavier":
        nn.init.xavier_uniform_(weight)
    elif kind == "he":
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
    else:
        nn.init.orthogonal_(weight)
