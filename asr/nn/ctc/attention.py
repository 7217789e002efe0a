"""A decoder that says units one by one, each time looking at the encoder's rows where it hears the next."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...display.brief import brief_repr
from ..layers import frame_mask, zero_padding
from ..losses import IGNORED
from ..options import DecoderConfig

END = 0
"""The decoder's column of the string's end, where CTC has its blank; as an input it is the string's beginning."""


class Memory(NamedTuple):
    """What the decoder looks at: of each utterance, or of one that all hypotheses share (batch 1).

    Attributes:
        rows: (batch, n_rows, dim), zeros in the padding.
        keys: (batch, n_rows, attention).
        mask: bool (batch, n_rows, 1).
    """

    rows: Tensor
    keys: Tensor
    mask: Tensor

    def __repr__(self) -> str:
        return brief_repr(self)


class State(NamedTuple):
    """Where the decoder is in each of several strings.

    Attributes:
        hidden: (batch, width), of the LSTM.
        cell: (batch, width), of the LSTM.
        weights: (batch, n_rows), how much it looked at each row.
    """

    hidden: Tensor
    cell: Tensor
    weights: Tensor

    def __repr__(self) -> str:
        return brief_repr(self)

    def select(self, places: Tensor) -> "State":
        """Those of some strings.

        Args:
            places: int64 (n,).
        """
        return State(*(values[places] for values in self))


class AttentionDecoder(nn.Module):
    """An LSTM over units that attends to rows, by content and by where it looked before.

    The energy of row t is v . tanh(W s + V h_t + U f_t), where s is the LSTM's state after the unit before, h_t the
    row, and f_t the output at t of a convolution over the weights before. The softmax of the energies are the weights;
    the weighted mean of the rows, with the unit before, is the LSTM's next input, and, with its output, what the next
    unit is told from.

    Ref: Chorowski, Bahdanau, Serdyuk, Cho and Bengio, 2015, Attention-based models for speech recognition.

    Args:
        dim: of the rows.
        n_columns: units and the end, column 0.
    """

    def __init__(self, config: DecoderConfig, dim: int, n_columns: int) -> None:
        super().__init__()
        self.config, self.dim, self.n_columns = config, dim, n_columns
        self.embedding = nn.Embedding(n_columns, config.embedding)
        self.cell = nn.LSTMCell(config.embedding + dim, config.width)
        self.key = nn.Linear(dim, config.attention)
        self.query = nn.Linear(config.width, config.attention, bias=False)
        self.energy = nn.Linear(config.attention, 1, bias=False)
        if config.channels:
            size = 2 * config.reach + 1
            self.convolution = nn.Conv1d(1, config.channels, size, padding=config.reach, bias=False)
            self.place = nn.Linear(config.channels, config.attention, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.width + dim, n_columns)
        with torch.no_grad():  # it remembers from the start, as the LSTMs of the encoder do
            self.cell.bias_ih[config.width : 2 * config.width] = 1.0

    def remember(self, rows: Tensor, lengths: Tensor) -> Memory:
        """What does not change from unit to unit.

        Args:
            rows: (batch, n_rows, dim), from the encoder.
            lengths: int64 (batch,), at least 1: rows that count.
        """
        mask = frame_mask(lengths.to(rows.device), rows.shape[1])
        rows = zero_padding(rows, mask)
        return Memory(rows, self.key(rows), mask)

    def start(self, memory: Memory) -> State:
        """The state before the first unit: it has looked everywhere alike."""
        precise = torch.promote_types(memory.rows.dtype, torch.float32)
        nothing = memory.rows.new_zeros(len(memory.rows), self.config.width, dtype=precise)
        real = memory.mask[..., 0].to(precise)
        return State(nothing, nothing, real / real.sum(dim=1, keepdim=True))

    def step(self, units: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Unnormalised log scores (batch, n_columns) of the next units, and the state after hearing these.

        Args:
            units: int64 (batch,), the last ones; `END` where there is none yet.
        """
        weights = self._attend(state, memory)
        seen = torch.bmm(weights[:, None].to(memory.rows.dtype), memory.rows.expand(len(units), -1, -1))[:, 0]
        inputs = torch.cat([self.dropout(self.embedding(units)), seen], dim=1)
        hidden, cell = self.cell(inputs, (state.hidden, state.cell))
        scores = self.output(torch.cat([self.dropout(hidden), seen], dim=1))
        return scores, State(hidden, cell, weights)

    def forward(self, memory: Memory, units: Tensor) -> Tensor:
        """The scores at every place of known strings (teacher forcing), (batch, n_places, n_columns).

        Args:
            units: int64 (batch, n_places), the units before each place: `END`, then the units; anything in padding.
        """
        state, places = self.start(memory), []
        for column in units.unbind(dim=1):
            scores, state = self.step(column, state, memory)
            places.append(scores)
        return torch.stack(places, dim=1)

    def _attend(self, state: State, memory: Memory) -> Tensor:
        """The weights of the rows (batch, n_rows), which sum to 1."""
        compared = memory.keys + self.query(state.hidden)[:, None]
        if self.config.channels:
            compared = compared + self.place(self.convolution(state.weights[:, None]).transpose(1, 2))
        energies = self.energy(torch.tanh(compared))[..., 0].to(state.weights.dtype)  # not of half precision
        return energies.masked_fill(~memory.mask[..., 0], -torch.inf).softmax(dim=1)


def teacher_forcing(targets: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """The decoder's inputs and targets of a batch, int64 (batch, n_places), n_places being one more than the units.

    Inputs begin with `END` and go on with the units; targets are the units, then `END`, then IGNORED.

    Examples:
        >>> [x.tolist() for x in teacher_forcing([(3, 4), (5,)])]
        [[[0, 3, 4], [0, 5, 0]], [[3, 4, 0], [5, 0, -1]]]
    """
    n_places = 1 + max(map(len, targets), default=0)
    inputs = torch.full((len(targets), n_places), END)
    wanted = torch.full((len(targets), n_places), IGNORED)
    for i, units in enumerate(targets):
        inputs[i, 1 : 1 + len(units)] = wanted[i, : len(units)] = torch.tensor(units, dtype=torch.int64)
        wanted[i, len(units)] = END
    return inputs.to(device), wanted.to(device)


def cross_entropy(scores: Tensor, wanted: Tensor, smoothing: float = 0.0) -> Tensor:
    """The summed cross-entropy of the places that count, in nats.

    Args:
        smoothing: as of `asr.nn.losses`.
    """
    return functional.cross_entropy(
        scores.flatten(0, 1).float(), wanted.flatten(), ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing
    )
