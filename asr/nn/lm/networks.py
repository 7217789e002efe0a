"""Networks from words to scores of the next one.

They are trained as acoustic networks are: a sentence is an utterance, a word a frame, whose only value is its id.
"""

import torch
from torch import Tensor, nn

from ..attention import EncoderLayer, positions
from ..networks import AttentionConfig
from .config import WordNetworkConfig

State = tuple[Tensor, ...]
"""What a network remembers of n histories: tensors whose first dimension is n."""


class WordNetwork(nn.Module):
    """Word vectors, layers that look back alone, and an output that shares the vectors.   Ref: Press and Wolf, 2017."""

    subsampling = 1

    def __init__(self, config: WordNetworkConfig, n_words: int) -> None:
        super().__init__()
        self.dim, self.n_outputs = 1, n_words
        self.embedding = nn.Embedding(n_words, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.bias = nn.Parameter(torch.zeros(n_words))
        nn.init.normal_(self.embedding.weight, std=config.width**-0.5)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Unnormalised log scores of what comes after each word.

        Args:
            features: float32 (batch, words, 1), ids.
            lengths: int64 (batch,); what stands behind a sentence's end is never looked at from within it.

        Returns:
            (batch, words, n_words).
        """
        return self.scores(self.rows(features[..., 0].long()))

    def scores(self, rows: Tensor) -> Tensor:
        """(..., n_words) of rows (..., width)."""
        return nn.functional.linear(self.dropout(rows), self.embedding.weight, self.bias)

    def rows(self, ids: Tensor) -> Tensor:
        """What the layers make of ids (batch, words): (batch, words, width)."""
        raise NotImplementedError

    def start(self, n: int) -> State:
        """The state of n histories without a word."""
        raise NotImplementedError

    def step(self, state: State, ids: Tensor) -> tuple[Tensor, State]:
        """Scores (n, n_words) of what comes after one word more, ids (n,), and the states then."""
        raise NotImplementedError


class RecurrentWords(WordNetwork):
    """Layers of LSTM or GRU cells.   Ref: Mikolov et al., 2010; Zaremba, Sutskever and Vinyals, 2014, for dropout."""

    def __init__(self, config: WordNetworkConfig, n_words: int) -> None:
        super().__init__(config, n_words)
        kind = nn.LSTM if config.kind == "lstm" else nn.GRU
        dropout = config.dropout if config.layers > 1 else 0.0
        self.layers = kind(config.width, config.width, config.layers, batch_first=True, dropout=dropout)

    def rows(self, ids: Tensor) -> Tensor:
        return self.layers(self.dropout(self.embedding(ids)))[0]

    def start(self, n: int) -> State:
        nothing = self.bias.new_zeros(n, self.layers.num_layers, self.layers.hidden_size)
        return (nothing, nothing) if isinstance(self.layers, nn.LSTM) else (nothing,)

    def step(self, state: State, ids: Tensor) -> tuple[Tensor, State]:
        before = tuple(part.transpose(0, 1).contiguous() for part in state)
        given = before if len(before) > 1 else before[0]
        rows, after = self.layers(self.embedding(ids)[:, None], given)
        parts = after if isinstance(after, tuple) else (after,)
        return self.scores(rows[:, 0]), tuple(part.transpose(0, 1) for part in parts)


class CausalWords(WordNetwork):
    """A transformer in which each word attends to itself and those before it.   Ref: Irie et al., 2019."""

    def __init__(self, config: WordNetworkConfig, n_words: int) -> None:
        super().__init__(config, n_words)
        sizes = AttentionConfig(
            width=config.width, heads=config.heads, feedforward=4 * config.width, dropout=config.dropout, layers=1
        )
        self.layers = nn.ModuleList(EncoderLayer(sizes) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        # Without it the output, which shares the vectors, would begin by finding each word likely to come again.
        self.turn = nn.Linear(config.width, config.width)

    def rows(self, ids: Tensor) -> Tensor:
        n, width = ids.shape[1], self.embedding.embedding_dim
        # Vectors start short, as the output shares them; beside the positions they must not be.
        x = self.dropout(self.embedding(ids) * width**0.5 + positions(n, width, ids.device))
        seen = torch.ones(n, n, dtype=torch.bool, device=ids.device).tril()
        for layer in self.layers:
            x = layer(x, seen)
        return self.turn(self.norm(x))

    def start(self, n: int) -> State:
        return (torch.zeros(n, 0, dtype=torch.int64, device=self.bias.device),)

    def step(self, state: State, ids: Tensor) -> tuple[Tensor, State]:
        words = torch.cat([state[0], ids[:, None]], dim=1)
        return self.scores(self.rows(words)[:, -1]), (words,)


def build_words(config: WordNetworkConfig, n_words: int, *, seed: int = 0) -> WordNetwork:
    """A network with initial weights, which depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return (CausalWords if config.kind == "transformer" else RecurrentWords)(config, n_words)
