"""The feed-forward network over spliced frames."""

from torch import Tensor, nn

from .layers import Dense, Network, initialise
from .networks import DnnConfig


class Dnn(Network):
    """Each output from its frame and `context` frames on each side, through fully connected layers.

    Ref: Hinton et al., Deep neural networks for acoustic modeling in speech recognition, 2012.
    """

    def __init__(self, config: DnnConfig, dim: int, n_outputs: int):
        super().__init__(dim, n_outputs, config.subsampling, config.context)
        window = range(-config.context, config.context + 1)
        first = Dense(dim, config.hidden[0], config, offsets=window, stride=config.subsampling)
        pairs = zip(config.hidden[:-1], config.hidden[1:], strict=True)
        self.layers = nn.ModuleList([first, *(Dense(below, width, config) for below, width in pairs)])
        self.output = nn.Linear(config.hidden[-1], n_outputs)
        initialise(self, config)

    def encode(self, features: Tensor, lengths: Tensor) -> Tensor:
        x, mask = self.start(features, lengths)
        for layer in self.layers:
            x, mask = layer(x, mask)
        return x
