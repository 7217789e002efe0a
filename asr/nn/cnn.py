"""The convolutional network: pictures of time and frequency, then the layers of a TDNN."""

from torch import Tensor, nn

from ..errors import ConfigError
from .layers import Finish, Network, initialise
from .networks import CnnConfig, CnnRecurrentConfig
from .tdnn import delay_layers, reach


class Cnn(Network):
    """Convolutions with pooling over frequency, a 1x1 convolution if asked for, then a TDNN over all of a frame.

    Ref: Abdel-Hamid et al., Convolutional neural networks for speech recognition, 2014.
    """

    def __init__(self, config: CnnConfig, dim: int, n_outputs: int):
        height = dim // config.maps
        if dim % config.maps:
            raise ConfigError(f"features of {dim} values are not {config.maps} equal maps; set maps to a divisor")
        context = len(config.channels) * (config.kernel[0] // 2) + reach(config.offsets)
        super().__init__(dim, n_outputs, config.subsampling, context)
        self.maps, self.pictures, below = config.maps, nn.ModuleList(), config.maps
        for channels, pool in zip(config.channels, config.pool, strict=True):
            self.pictures.append(Convolution(below, channels, config, kernel=config.kernel, pool=pool))
            below, height = channels, height // pool
        if config.pointwise:
            self.pictures.append(Convolution(below, config.pointwise, config, kernel=(1, 1)))
            below = config.pointwise
        if not height:
            raise ConfigError(f"pool={config.pool} leaves nothing of features of {dim // config.maps} frequencies")
        self.layers = delay_layers(config, height * below)
        self.output = nn.Linear(config.width, n_outputs)
        initialise(self, config)

    def encode(self, features: Tensor, lengths: Tensor) -> Tensor:
        x, mask = self.start(features, lengths)
        x = x.unflatten(2, (self.maps, -1)).transpose(2, 3)
        for picture in self.pictures:
            x = picture(x, mask)
        x = x.flatten(2)
        for layer in self.layers:
            x, mask = layer(x, mask)
        return x


class Convolution(nn.Module):
    """A convolution of (batch, frames, frequencies, channels), pooled, with what follows an affine layer.

    Args:
        kernel: frames and frequencies, odd; zeros are seen beyond the edges, so that the size stays.
        pool: keeps the largest of so many neighbouring frequencies.
    """

    def __init__(
        self,
        below: int,
        channels: int,
        config: CnnConfig | CnnRecurrentConfig,
        *,
        kernel: tuple[int, int],
        pool: int = 1,
    ):
        super().__init__()
        self.convolution = nn.Conv2d(below, channels, kernel, padding=(kernel[0] // 2, kernel[1] // 2))
        self.pool = nn.MaxPool2d((1, pool)) if pool > 1 else nn.Identity()
        self.finish = Finish(channels, config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        # Pooled before the activation, which costs less and, as activations rise, mostly gives the same.
        x = self.pool(self.convolution(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        return self.finish(x, mask[..., None])
