"""The sizes of a language model that is a network."""

from dataclasses import dataclass
from typing import Literal

from ...errors import ConfigError

Kind = Literal["lstm", "gru", "transformer"]


@dataclass(frozen=True)
class WordNetworkConfig:
    """A network that predicts the next word.

    Raises:
        ConfigError: for a number out of range, or another kind.
    """

    kind: Kind = "lstm"
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
    def for_text(cls, n_tokens: int, kind: Kind = "lstm") -> "WordNetworkConfig":
        """The sizes that suit a text of so many words.

        A small text is soon known by heart, against which only dropout helps: of Mboshi's 27,000 words a tenth was held
        out, and widths of 64 to 256, one and two layers and dropout of 0.3 to 0.8 were tried.
        """
        is_small, is_large, looks = n_tokens < 100_000, n_tokens >= 2_000_000, kind == "transformer"
        if is_large:
            return cls(kind, 512, 4 if looks else 2, dropout=0.2)
        if looks:
            return cls(kind, 128, 1 if is_small else 2, dropout=0.5 if is_small else 0.3)
        return cls(kind, 256, 1, dropout=0.7 if is_small else 0.5)
