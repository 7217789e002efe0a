"""The arrays of a composition while it is found: as long as they have to be, and within the budget."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .budget import Budget
from .const_fst import ARC, Graph

_FIRST = 1 << 10  # states that there is room for at the beginning


class Pairs:
    """States that are pairs, and their arcs, filled by the compiled steps of `pair_kernels`.

    Attributes:
        keys: int64: what state i is a pair of, as one number.
    """

    def __init__(self, start: int, what: str, budget: Budget):
        """A composition that is named `what`, from one pair."""
        from .pair_kernels import N_REGISTERS, N_STATES, fill_slots

        self._what, self._budget, self._fill = what, budget, fill_slots
        self._registers = np.zeros(N_REGISTERS, np.int64)
        self._registers[N_STATES] = 1
        room = min(_FIRST, budget.max_states + 1)
        self._keys, self._n_out = np.full(room, start, np.int64), np.zeros(room, np.int32)
        self._arcs = np.empty((2 * room, 4), np.int32)
        self._slots = self._table(self._keys, 1)

    def find(self, kernel: Callable, *inputs: Any) -> None:
        """Find all states and arcs: call a kernel until it is done, with longer arrays each time.

        Raises:
            GraphError: for more than the budget has.
        """
        self._call(kernel, inputs, ())

    def find_windows(self, kernel: Callable, *inputs: Any) -> np.ndarray:
        """As `find`, of a kernel that finds windows, too. Returns int64 (n_windows,): these."""
        from .pair_kernels import N_WINDOWS

        windows = np.zeros(_FIRST, np.int64)
        while not self._call(kernel, inputs, (windows, self._table(windows, int(self._registers[N_WINDOWS])))):
            windows = _longer(windows, 2 * len(windows))
        return windows[: self._registers[N_WINDOWS]]

    def _call(self, kernel: Callable, inputs: tuple, more: tuple) -> bool:
        """Whether all is found; False where one of the arrays in `more` is full."""
        from .pair_kernels import DONE, FULL_ARCS, FULL_STATES

        while True:
            found = (self._registers, self._keys, self._slots, self._n_out, self._arcs, self._arcs.view(np.float32))
            end = kernel(*inputs, *found, *more)
            if end == FULL_STATES:
                self._more_states()
            elif end == FULL_ARCS:
                self._budget.check(self._what, self.n_states, len(self._arcs))
                self._arcs = _longer(self._arcs, min(2 * len(self._arcs), self._budget.max_arcs + 1))
            else:
                return end == DONE

    def _more_states(self) -> None:
        self._budget.check(self._what, len(self._keys))
        room = min(2 * len(self._keys), self._budget.max_states + 1)
        self._keys, self._n_out = _longer(self._keys, room), _longer(self._n_out, room)
        if 2 * room > len(self._slots):
            self._slots = self._table(self._keys, self.n_states)

    def _table(self, keys: np.ndarray, n_keys: int) -> np.ndarray:
        """A hash table that is at most half full when there is no room for more keys."""
        slots = np.zeros(1 << (2 * len(keys) - 1).bit_length(), np.int32)
        self._fill(keys, n_keys, slots)
        return slots

    @property
    def n_states(self) -> int:
        """How many states were found."""
        from .pair_kernels import N_STATES

        return int(self._registers[N_STATES])

    @property
    def keys(self) -> np.ndarray:
        return self._keys[: self.n_states]

    @property
    def arcs(self) -> np.ndarray:
        """ARC (n_arcs,): in order of the states that they leave; not a copy."""
        from .pair_kernels import N_ARCS

        return self._arcs[: self._registers[N_ARCS]].view(ARC).reshape(-1)

    def graph(self, final: np.ndarray) -> Graph:
        """The graph, which begins at the first pair.

        Args:
            final: by state.
        """
        source = np.repeat(np.arange(self.n_states, dtype=np.int32), self._n_out[: self.n_states])
        return Graph.from_rows(0, source, self.arcs, final)


def _longer(array: np.ndarray, length: int) -> np.ndarray:
    """The array with more rows."""
    result = np.empty((length, *array.shape[1:]), array.dtype)
    result[: len(array)] = array
    return result
