"""Convolutions over time and frequency below recurrent layers: the usual network of CTC."""

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from .cnn import Convolution
from .layers import NORMALIZATIONS, Network, initialise, splice
from .networks import CnnRecurrentConfig
from .recurrent import ENOUGH, RecurrentLayer


class CnnRecurrent(Network):
    """Convolutions with pooling over frequency, then layers of LSTM or GRU cells over all of a frame and its
    neighbours.

    Ref: Sainath et al., Convolutional, long short-term memory, fully connected deep neural networks, 2015; Amodei et
    al., Deep Speech 2, 2016.
    """

    def __init__(self, config: CnnRecurrentConfig, dim: int, n_outputs: int):
        seen = dim - config.beside
        if seen < 1 or seen % config.maps:
            raise ConfigError(
                f"features of {dim} values, of which {config.beside} are beside the pictures: the others are not "
                f"{config.maps} equal maps; set maps to a divisor"
            )
        reach = len(config.channels) * (config.kernel[0] // 2) + config.context
        super().__init__(dim, n_outputs, config.subsampling, reach + ENOUGH)
        self.maps, self.beside = config.maps, config.beside
        self.window = range(-config.context, config.context + 1)
        self.pictures, below, height = nn.ModuleList(), config.maps, seen // config.maps
        for channels, pool in zip(config.channels, config.pool, strict=True):
            self.pictures.append(Convolution(below, channels, config, kernel=config.kernel, pool=pool))
            below, height = channels, height // pool
        if not height:
            raise ConfigError(f"pool={config.pool} leaves nothing of features of {seen // config.maps} frequencies")
        width = config.width * (2 if config.bidirectional else 1)
        sizes = [len(self.window) * (height * below + config.beside)] + [width] * (config.layers - 1)
        self.layers = nn.ModuleList(RecurrentLayer(size, config) for size in sizes)
        self.norms = nn.ModuleList(NORMALIZATIONS[config.normalization](width) for _ in sizes)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, n_outputs)
        initialise(self, config)

    def encode(self, features: Tensor, lengths: Tensor) -> Tensor:
        x, mask = self.start(features, lengths)
        x, beside = x[..., : x.shape[-1] - self.beside], x[..., x.shape[-1] - self.beside :]
        x = x.unflatten(2, (self.maps, -1)).transpose(2, 3)
        for picture in self.pictures:
            x = picture(x, mask)
        x = torch.cat([x.flatten(2), beside], dim=-1)
        x, mask = splice(x, self.window, self.subsampling), mask[:, :: self.subsampling]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.dropout(norm(layer(x, mask), mask))
        return x
