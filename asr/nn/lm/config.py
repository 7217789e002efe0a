"""The sizes of a language model that is a network."""

from dataclasses import dataclass
from typing import Literal

from ...errors import ConfigError


@dataclass(frozen=True)
class WordNetworkConfig:
    """A network that predicts the next word.

    Raises:
        ConfigError: for a number out of range, or another kind.
    """

    kind: Literal["lstm", "gru", "transformer"] = "lstm"
    width: int = 256  # of a word's vector, which the output shares, and of each layer
    layers: int = 1
    heads: int = 4  # of a transformer; width is a multiple of twice as many
    dropout: float = 0.5  # share of the words' vectors and of each layer's outputs set to zero in training

    def __post_init__(self) -> None:
        if self.kind not in ("lstm", "gru", "transformer"):
            raise ConfigError(f"kind={self.kind!r}; it is 'lstm', 'gru' or 'transformer'")
        for name, most in (("width", 10_000), ("layers", 100), ("heads", 1000)):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= most:
                raise ConfigError(f"{name}={value!r}; need a whole number from 1 to {most}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout={self.dropout}; need at least 0 and below 1")
        if self.kind == "transformer" and self.width % (2 * self.heads):
            raise ConfigError(f"width={self.width}; it must be a multiple of twice heads={self.heads}")

    @classmethod
    def for_text(cls, n_tokens: int, kind: Literal["lstm", "gru", "transformer"] = "lstm") -> "WordNetworkConfig":
        """The sizes that suit a text of so many words: a small text does not fill a wide network."""
        width = 128 if n_tokens < 100_000 else 256 if n_tokens < 2_000_000 else 512
        layers = (2 if kind == "transformer" else 1) if n_tokens < 2_000_000 else (4 if kind == "transformer" else 2)
        return cls(kind, width, layers, dropout=0.5 if n_tokens < 2_000_000 else 0.2)
