"""The path of a lattice that is nearest to what was said: the fewest errors that any rescoring could leave."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .lattice import _only_start

if TYPE_CHECKING:
    from .words import WordLattice


class Oracle(NamedTuple):
    """The word sequence of a lattice with the fewest errors.

    Attributes:
        words: it.
        errors: its edit distance to the reference: words that are wrong, too much, or missing.
        n_words: of the reference.
        cost: of the sequence.
    """

    words: tuple[int, ...]
    errors: int
    n_words: int
    cost: float

    @property
    def error_rate(self) -> float:
        """Errors for each word of the reference; of an empty one 0 or inf."""
        if not self.n_words:
            return 0.0 if not self.errors else float("inf")
        return self.errors / self.n_words


def closest(lattice: "WordLattice", reference: Sequence[int]) -> Oracle:
    """See `WordLattice.oracle`. A shortest path through the lattice composed with the edits of the reference."""
    from .order_kernels import fewest_errors

    said, arcs, n_states = np.asarray(reference, np.int64).reshape(-1), lattice.arcs, len(lattice.frames)
    shape = n_states, len(said) + 1
    errors, cost = np.full(shape, np.iinfo(np.int32).max, np.int32), np.full(shape, np.inf)
    errors[0, 0], cost[0, 0] = 0, _only_start(1)[0]
    taken = np.full(shape, -1, np.int32)
    fewest_errors(lattice.first, arcs["next"], arcs["word"], lattice.costs, said, errors, cost, taken)
    total = cost[:, -1] + lattice.finals.sum(axis=1)
    ends = np.flatnonzero(np.isfinite(total))
    state = int(ends[np.lexsort((total[ends], errors[ends, -1]))[0]])
    found, at, best = list[int](), len(said), state
    while state or at:
        arc = int(taken[state, at]) // 2
        at -= int(taken[state, at]) % 2  # whether a word of the reference is used up
        if arc < len(arcs):
            found.append(int(arcs["word"][arc]))
            state = int(arcs["source"][arc])
    words = tuple(word for word in found[::-1] if word)
    return Oracle(words, int(errors[best, -1]), len(said), float(total[best]))
