"""What the building of a decoding graph is going to take, from its words and n-grams alone.

States are counted where they come from: in det(L o G), what may follow a history is a tree of pronunciations, whose
branches grow together again in the last phones of a word wherever the same history follows. What the later steps make
of it are proportions, measured on graphs of 1,000 to 72,544 words; so are memory and time.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..files.whole import size_in_words
from .const_fst import ARC, STATE

if TYPE_CHECKING:
    from .budget import Step

SMALL = 100_000
"""States of graphs that are built in a fraction of a second. They are less regular than large ones: building them is
better than estimating."""

_GRID = 24  # sizes of trees that are counted; between them the number is interpolated

# What follows a history is more alike than what is drawn; and before each history may be a pause, of three states.
_ALIKE, _OF_PAUSES = 1.1, 3
# Without contexts, and with some: how many states a state of det(L o G) becomes in C o LG, and what each state of an
# HMM adds; the states of the result for each of H o CLG, and its arcs for each of its states.
_ALONE, _IN_CONTEXT = (0.95, 0.64, 1.0, 2.65), (1.15, 0.9, 0.78, 2.55)
_BYTES_PER_STATE, _OTHER_BYTES = 195, 250 << 20  # of the largest graph on the way; and of all else
# Of the largest graph, for each arc of the grammar, and for all else; on one core of a server of 2024.
_SECONDS_PER_STATE, _SECONDS_PER_ARC, _OTHER_SECONDS = 2.4e-6, 1e-5, 3.0
_TYPICAL_ERROR = 0.25


class Forecast(NamedTuple):
    """What the building of a graph takes, estimated.

    Attributes:
        most_states: of the largest graph on the way.
        n_states: of the graph itself.
        n_arcs: of the graph itself.
        n_bytes: of memory, at the most.
        seconds: of one core.
        is_counted: whether the numbers of states and arcs are those of a graph that was built to see.
    """

    most_states: int
    n_states: int
    n_arcs: int
    n_bytes: int
    seconds: float
    is_counted: bool = False

    @property
    def file_bytes(self) -> int:
        """The size of the graph's file."""
        return self.n_states * STATE.itemsize + self.n_arcs * ARC.itemsize

    def counted(self, steps: "Sequence[Step]") -> "Forecast":
        """The same with numbers of states and arcs as they were after each step, the last one's of the graph itself."""
        most = max(step.n_states for step in steps if step.name not in ("G", "L"))  # these are given, not found
        return self._replace(most_states=most, n_states=steps[-1].n_states, n_arcs=steps[-1].n_arcs, is_counted=True)

    def in_words(self) -> str:
        """The estimate in words."""
        minutes = f"{self.seconds / 60:.1f} minutes" if self.seconds >= 60 else f"{self.seconds:.0f} seconds"
        made = f"{_about(self.n_states)} states, {_about(self.n_arcs)} arcs, {_size(self.file_bytes)}"
        taken = f"{_about(self.most_states)} states, {_size(self.n_bytes)} of memory, {minutes} of one core"
        if self.is_counted:
            return f"expected: {made}, as it was built to see; on the way {taken}"
        return f"expected: {made}; on the way {taken}. Each may be {_TYPICAL_ERROR:.0%} less or more"


def forecast(
    pronunciations: Sequence[Sequence[int]],
    often: np.ndarray,
    after: np.ndarray,
    n_tails: float,
    context_width: int,
    n_hmm_states: float,
) -> Forecast:
    """What building a graph will take.

    Args:
        pronunciations: the phones of all that can be said.
        often: on how many arcs of the grammar each of them is; what follows a history is drawn accordingly.
        after: of each state of the grammar, how many of them may follow.
        n_tails: phones of words, once for each state of the grammar that they lead to.
        context_width: how many phones say what a label stands for.
        n_hmm_states: of a phone.
    """
    sizes, shared, alone = _trees(pronunciations, often)
    fewest = after[after > 0].min(initial=len(pronunciations))  # where few may follow, words are certain soonest
    uncertain = _ALIKE * float(np.interp(after, sizes, shared).sum())
    spoken = uncertain + n_tails * float(np.interp(fewest, sizes, alone)) + _OF_PAUSES * len(after)
    in_context, by_state, left, arcs = _IN_CONTEXT if context_width > 1 else _ALONE
    most = spoken * (in_context + by_state * n_hmm_states)
    n_states = most * left
    seconds = _OTHER_SECONDS + _SECONDS_PER_STATE * most + _SECONDS_PER_ARC * float(after.sum())
    n_bytes = _OTHER_BYTES + _BYTES_PER_STATE * most
    return Forecast(int(most), int(n_states), int(n_states * arcs), int(n_bytes), seconds)


def _about(n: int) -> str:
    """A number with two digits that count.

    Examples:
        >>> _about(5_089_847), _about(36)
        ('5,100,000', '36')
    """
    return f"{float(f'{n:.2g}'):,.0f}"


def _size(n_bytes: int) -> str:
    """Bytes with two digits that count, in words."""
    return size_in_words(int(float(f"{n_bytes:.2g}")))


def _trees(pronunciations: Sequence[Sequence[int]], often: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What trees of some of the pronunciations, drawn as often as is said, have: by how many there are.

    Returns:
        sizes; how many beginnings two or more of them have; and what part of their phones is of beginnings of one.
    """
    n, longest = len(pronunciations), max(map(len, pronunciations))
    phones = np.zeros((n, longest), np.int32)
    lengths = np.array([len(said) for said in pronunciations])
    phones[np.arange(longest) < lengths[:, None]] = np.concatenate([np.asarray(said) for said in pronunciations])
    order = np.lexsort(phones.T[::-1])
    phones = phones[order]
    # What comes first of exponential variables with these rates is a draw without replacement.
    drawn = np.argsort(np.random.default_rng(0).exponential(size=n) / np.maximum(often[order], 1e-9))
    sizes = np.unique(np.geomspace(1, n, _GRID).astype(int))
    counted = [_tree(phones[np.sort(drawn[:k])]) for k in sizes]
    shared, alone = (np.array(column) for column in zip(*counted, strict=True))
    return np.append(0, sizes), np.append(0.0, shared), np.append(1.0, alone)


def _tree(phones: np.ndarray) -> tuple[int, float]:
    """How many beginnings two or more of some rows have, the empty one among them, and the part of phones of only one.

    Args:
        phones: (n, longest) in order, 0 after each row's end.
    """
    same = np.cumprod((phones[1:] == phones[:-1]) & (phones[1:] > 0), axis=1).sum(axis=1)
    # Neighbours share their beginnings; one that neighbours before shared, too, was counted there.
    shared = int(np.maximum(same - np.append(0, same[:-1]), 0).sum())
    n_phones = int((phones > 0).sum())
    return shared + (len(phones) > 1), (n_phones - int(same.sum()) - shared) / n_phones
