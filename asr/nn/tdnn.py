"""The time-delay network, plain or factorised (TDNN-F)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .layers import Dense, Finish, Network, initialise, splice
from .networks import CnnConfig, TdnnConfig


class Tdnn(Network):
    """Layers that each splice a few frames of the layer below, farther apart the higher they are.

    Ref: Peddinti, Povey and Khudanpur, A time delay neural network architecture, 2015; with a bottleneck Povey et al.,
    Semi-orthogonal low-rank matrix factorization for deep neural networks, 2018.
    """

    def __init__(self, config: TdnnConfig, dim: int, n_outputs: int):
        super().__init__(dim, n_outputs, config.subsampling, reach(config.offsets))
        self.layers = delay_layers(config, dim)
        self.output = nn.Linear(config.width, n_outputs)
        initialise(self, config)

    def encode(self, features: Tensor, lengths: Tensor) -> Tensor:
        x, mask = self.start(features, lengths)
        for layer in self.layers:
            x, mask = layer(x, mask)
        return x


class Factorised(nn.Module):
    """A TDNN-F layer: its matrix is the product of a semi-orthogonal one and a free one, and its input bypasses it.

    The frames up to the centre go through the semi-orthogonal factor, those from the centre on through the other.
    """

    def __init__(self, width: int, config: TdnnConfig, offsets: Sequence[int], stride: int):
        super().__init__()
        self.before = sorted({0, *(o for o in offsets if o < 0)})
        self.after = sorted({0, *(o for o in offsets if o > 0)})
        self.stride, self.bypass = stride, config.bypass
        self.factor = SemiOrthogonal(len(self.before) * width, config.bottleneck)
        self.linear = nn.Linear(len(self.after) * config.bottleneck, width)
        self.finish = Finish(width, config)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        narrow = self.factor(splice(x, self.before)) * mask
        x, mask = x[:, :: self.stride], mask[:, :: self.stride]
        y = self.linear(splice(narrow, self.after, self.stride))
        return self.finish(y, mask) + self.bypass * x, mask


class SemiOrthogonal(nn.Linear):
    """A linear layer whose rows are kept orthogonal and of one length, by a small step before each use in training.

    The step is that of Kaldi's ConstrainOrthonormal with a floating scale, here at every batch instead of every fourth.
    """

    def __init__(self, dim: int, width: int):
        super().__init__(dim, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.autocast(x.device.type, enabled=False):  # half precision cannot tell how orthogonal rows are
                self.constrain()
        return super().forward(x)

    @torch.no_grad()
    def constrain(self) -> None:
        """Moves the weights towards those whose product with their own transpose is a multiple of the identity."""
        weight = self.weight if len(self.weight) <= self.weight.shape[1] else self.weight.T
        product = weight @ weight.T
        squares, trace = product.square().sum(), product.trace()
        scale = squares / trace  # of the identity: it makes the step orthogonal to a change of scale
        ratio = squares * len(product) / trace.square()  # 1 when it is reached
        # Shorter steps from farther away, where full ones could diverge.
        speed = 0.125 * torch.where(ratio > 1.02, 0.5, 1.0) * torch.where(ratio > 1.1, 0.5, 1.0)
        product.diagonal().sub_(scale)
        weight.sub_(4 * speed / scale * (product @ weight))


def delay_layers(config: TdnnConfig | CnnConfig, dim: int) -> nn.ModuleList:
    """The layers of a config with offsets and width, above inputs of so many values."""
    layers = nn.ModuleList()
    for offsets, stride in strided(config.offsets, config.subsampling):
        if layers and isinstance(config, TdnnConfig) and config.bottleneck:
            layers.append(Factorised(config.width, config, offsets, stride))
        else:
            below = config.width if layers else dim
            layers.append(Dense(below, config.width, config, offsets=offsets, stride=stride))
    return layers


def strided(offsets: Sequence[Sequence[int]], subsampling: int) -> list[tuple[tuple[int, ...], int]]:
    """Each layer's offsets, counted in frames that the layer below computes, and its stride.

    The stride is at the highest layer with an offset that is no multiple of it: above, no other frames are needed.

    Examples:
        >>> strided([(-1, 0, 1), (-3, 0, 3)], 3)
        [((-1, 0, 1), 3), ((-1, 0, 1), 1)]
    """
    at = max((i for i, frames in enumerate(offsets) if any(o % subsampling for o in frames)), default=0)
    layers = []
    for i, frames in enumerate(offsets):
        unit = subsampling if i > at else 1
        layers.append((tuple(o // unit for o in frames), subsampling if i == at else 1))
    return layers


def reach(offsets: Sequence[Sequence[int]]) -> int:
    """How many frames before or after its own, whichever is more, an output depends on at most."""
    return max(-sum(min(0, *frames) for frames in offsets), sum(max(0, *frames) for frames in offsets))
