"""Recurrent networks: LSTM and GRU, in one direction or both."""

import torch
from torch import Tensor, nn

from .layers import NORMALIZATIONS, Network, fill_weights, initialise, splice
from .networks import RecurrentConfig

_CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}
ENOUGH = 40  # frames: what training in chunks shows on each side, as Kaldi's chunk-left-context for LSTMs


class Recurrent(Network):
    """Layers of LSTM or GRU cells over slightly spliced frames, each normalised, with dropout between them.

    Ref: Graves, Jaitly and Mohamed, Hybrid speech recognition with deep bidirectional LSTM, 2013.
    """

    def __init__(self, config: RecurrentConfig, dim: int, n_outputs: int):
        super().__init__(dim, n_outputs, config.subsampling, config.context + ENOUGH)
        self.add_layers(config, dim)

    def encode(self, features: Tensor, lengths: Tensor) -> Tensor:
        return self.through_layers(*self.start(features, lengths))

    def add_layers(self, config: RecurrentConfig, dim: int) -> None:
        """Make all from the splicing of (batch, frames, dim) to the output, and the network's initial weights."""
        self.window = range(-config.context, config.context + 1)
        width = config.width * (2 if config.bidirectional else 1)
        below = [len(self.window) * dim] + [width] * (config.layers - 1)
        self.layers = nn.ModuleList(RecurrentLayer(d, config) for d in below)
        self.norms = nn.ModuleList(NORMALIZATIONS[config.normalization](width) for _ in below)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, self.n_outputs)
        initialise(self, config)

    def through_layers(self, x: Tensor, mask: Tensor) -> Tensor:
        """The rows (batch, rows, width) of spliced frames (batch, frames, dim) with their mask."""
        x, mask = splice(x, self.window, self.subsampling), mask[:, :: self.subsampling]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.dropout(norm(layer(x, mask), mask))
        return x


class RecurrentLayer(nn.Module):
    """One layer of cells, (batch, frames, dim) to (batch, frames, width), or twice the width in both directions.

    The backward cells read each utterance from its own last frame, so that they do not meet the padding first.
    """

    def __init__(self, dim: int, config: RecurrentConfig):
        super().__init__()
        cell = _CELLS[config.cell]
        self.forwards = cell(dim, config.width, batch_first=True)
        self.backwards = cell(dim, config.width, batch_first=True) if config.bidirectional else None
        for cells in (self.forwards, self.backwards):
            if cells is not None:
                _initialise_cells(cells, config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.forwards(x)[0]
        if self.backwards is None:
            return y
        turned = turned_frames(mask)
        z = self.backwards(x.gather(1, turned.expand(-1, -1, x.shape[-1])))[0]  # gather: ONNX has it
        return torch.cat([y, z.gather(1, turned.expand(-1, -1, z.shape[-1]))], dim=-1)


def turned_frames(mask: Tensor) -> Tensor:
    """int64 (batch, frames, 1): the frame that comes to each place when utterances, not their padding, are reversed."""
    places = torch.arange(mask.shape[1], device=mask.device)[:, None]
    return torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - places, places)


@torch.no_grad()
def _initialise_cells(cells: nn.LSTM | nn.GRU, config: RecurrentConfig) -> None:
    """Input matrices as the config says, recurrent ones orthogonal, gate by gate; zero biases.

    An LSTM's forget gates begin with a bias of 1, so that it remembers (Jozefowicz, Zaremba and Sutskever, 2015).
    """
    weights = dict(cells.named_parameters())
    gates = len(weights["bias_ih_l0"]) // config.width
    for weight in weights["weight_ih_l0"].chunk(gates):
        fill_weights(weight, config.initialization)
    for weight in weights["weight_hh_l0"].chunk(gates):
        nn.init.orthogonal_(weight)
    for name in ("bias_ih_l0", "bias_hh_l0"):
        weights[name].zero_()
    if config.cell == "lstm":
        weights["bias_ih_l0"][config.width : 2 * config.width] = 1.0
