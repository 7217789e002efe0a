"""How large a graph may become on the way to HCLG: a message in time instead of a full memory."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import GraphError
from ..files.whole import size_in_words
from ..processes import free_memory

# Measured on graphs of up to 72,544 words and 2.05 million bigrams: of the largest graph on the way, H o CLG, each
# state with its two arcs takes 250 to 280 bytes at the hungriest step.
BYTES_PER_STATE = 300
_ARCS_PER_STATE = 8  # graphs of speech have two or three; a loop over many words has one state with all arcs


class Step(NamedTuple):
    """One step of a graph's compilation: its name, what it left, and how long it took."""

    name: str
    n_states: int
    n_arcs: int
    seconds: float


@dataclass(frozen=True)
class Budget:
    """The most states that a graph may have at any step; arcs may be eight times as many.

    Attributes:
        max_states: None: as many as fit into the memory that is free now, 300 bytes each.
    """

    max_states: int = field(default_factory=lambda: free_memory() // BYTES_PER_STATE)

    @classmethod
    def of(cls, max_states: int | None) -> "Budget":
        """The budget that was given, or what memory allows.

        Raises:
            GraphError: for less than one state.
        """
        if max_states is None:
            return cls()
        if max_states < 1:
            raise GraphError(f"max_states={max_states}; need 1 or more, such as {free_memory() // BYTES_PER_STATE:,}")
        return cls(max_states)

    @property
    def max_arcs(self) -> int:
        """The most arcs that a graph may have."""
        return _ARCS_PER_STATE * self.max_states

    def check(self, step: str, n_states: int, n_arcs: int = 0) -> None:
        """Raise GraphError if a step has come to, or is going to have, more states or arcs than there may be."""
        if n_states > self.max_states:
            raise GraphError(f"{step}: {n_states:,} states, and more to come; {self._advice()}")
        if n_arcs > self.max_arcs:
            raise GraphError(f"{step}: {n_arcs:,} arcs, and at most {self.max_arcs:,} are allowed; {self._advice()}")

    def against(self, n_states: int, n_bytes: int) -> str:
        """What speaks against a graph that is expected to have so many states on the way, and take so much memory."""
        if n_states > self.max_states:
            return f"about {n_states:,} states are expected, and {self._advice()}"
        free = free_memory()
        if n_bytes > free:
            return (
                f"about {size_in_words(n_bytes)} of memory are expected, and {size_in_words(free)} are free. {REMEDY}"
            )
        return ""

    def _advice(self) -> str:
        return f"the budget is {self.max_states:,} states. {REMEDY}"


REMEDY = (
    "Make the language model smaller (asr lm prune, a lower --order, fewer words), or allow more states "
    f"(--max-states; a million need about {BYTES_PER_STATE / 1000:.1f} GB of memory; --dry-run tells what is expected)"
)
