"""The self-attention encoder."""

import math

import torch
from torch import Tensor, nn

from .layers import ACTIVATIONS, Network, initialise, splice
from .networks import AttentionConfig

_ENOUGH = 100  # frames: what training in chunks shows on each side


class Attention(Network):
    """Spliced frames with their positions, through layers in which each frame attends to all of its utterance.

    Ref: Vaswani et al., Attention is all you need, 2017; normalised before each part as in Xiong et al., On layer
    normalization in the transformer architecture, 2020.
    """

    def __init__(self, config: AttentionConfig, dim: int, n_outputs: int):
        super().__init__(dim, n_outputs, config.subsampling, config.context + _ENOUGH)
        self.window = range(-config.context, config.context + 1)
        self.input = nn.Linear(len(self.window) * dim, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.output = nn.Linear(config.width, n_outputs)
        initialise(self, config)

    def encode(self, features: Tensor, lengths: Tensor) -> Tensor:
        x, mask = self.start(features, lengths)
        x, mask = self.input(splice(x, self.window, self.subsampling)), mask[:, :: self.subsampling]
        x = self.dropout(x + positions(x.shape[1], x.shape[2], x.device))
        keys = mask[:, None, None, :, 0]
        for layer in self.layers:
            x = layer(x, keys)
        return self.norm(x)


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward network, each on the normalised input and added to it."""

    def __init__(self, config: AttentionConfig):
        super().__init__()
        width, self.heads, self.rate = config.width, config.heads, config.dropout
        self.norm_attention, self.norm_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, config.feedforward), nn.Linear(config.feedforward, width)
        self.activation, self.dropout = ACTIVATIONS[config.activation](), nn.Dropout(config.dropout)

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        x = x + self.dropout(self.attend(self.norm_attention(x), keys))
        inner = self.dropout(self.activation(self.wide(self.norm_forward(x))))
        return x + self.dropout(self.narrow(inner))

    def attend(self, x: Tensor, keys: Tensor) -> Tensor:
        """For each frame the mean of all frames' values, weighted by how well their keys fit its query, per head.

        Args:
            keys: bool (batch, 1, 1, frames), the frames that may be attended to.
        """
        parts = self.queries_keys_values(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys_of_frames, values = parts[0], parts[1], parts[2]
        rate = self.rate if self.training else 0.0
        mixed = nn.functional.scaled_dot_product_attention(
            queries, keys_of_frames, values, attn_mask=keys, dropout_p=rate
        )
        return self.merge(mixed.transpose(1, 2).flatten(2))


def positions(n_frames: int, width: int, device: torch.device) -> Tensor:
    """(n_frames, width): sines, then cosines, of each position at wavelengths from 2 pi to 20,000 pi frames."""
    rates = torch.exp(torch.arange(width // 2, device=device) * (-2 * math.log(10000.0) / width))
    angles = torch.arange(n_frames, device=device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
