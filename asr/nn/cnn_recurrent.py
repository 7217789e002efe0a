"""Convolutions over time and frequency below recurrent layers: the usual network of CTC."""

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from .cnn import Convolution
from .layers import Network
from .networks import CnnRecurrentConfig
from .recurrent import ENOUGH, Recurrent


class CnnRecurrent(Recurrent):
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
        Network.__init__(self, dim, n_outputs, config.subsampling, reach + ENOUGH)  # its layers come last
        self.maps, self.beside = config.maps, config.beside
        self.pictures, below, height = nn.ModuleList(), config.maps, seen // config.maps
        for channels, pool in zip(config.channels, config.pool, strict=True):
            self.pictures.append(Convolution(below, channels, config, kernel=config.kernel, pool=pool))
            below, height = channels, height // pool
        if not height:
            raise ConfigError(f"pool={config.pool} leaves nothing of features of {seen // config.maps} frequencies")
        self.add_layers(config, height * below + config.beside)

    def encode(self, features: Tensor, lengths: Tensor) -> Tensor:
        x, mask = self.start(features, lengths)
        x, beside = x[..., : x.shape[-1] - self.beside], x[..., x.shape[-1] - self.beside :]
        x = x.unflatten(2, (self.maps, -1)).transpose(2, 3)
        for picture in self.pictures:
            x = picture(x, mask)
        return self.through_layers(torch.cat([x.flatten(2), beside], dim=-1), mask)
