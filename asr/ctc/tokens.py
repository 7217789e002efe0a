"""The labels of CTC, which stand where models of HMMs have transition ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import ModelError
from ..hmm.transitions import PhoneSegment

BLANK = 1
"""The label of the blank in graphs and alignments; its column is 0."""

_REACH = 1  # rows that a unit's spike is widened by at most, on either side


@dataclass(frozen=True)
class CtcTokens:
    """The blank and the units of a CTC model: labels 1 to n_phones + 1, each one column of the network's output.

    n_phones: units, which have the ids of a lexicon's phones, from 1. The unit p has column p and the label p + 1,
        since 0 is no label in graphs.
    Raises ModelError without units.
    """

    n_phones: int

    def __post_init__(self) -> None:
        if self.n_phones < 1:
            raise ModelError(f"n_phones={self.n_phones}; need one unit or more besides the blank")

    @property
    def n_transition_ids(self) -> int:
        """The greatest label."""
        return self.n_phones + 1

    @property
    def n_pdfs(self) -> int:
        """Columns of the network's output."""
        return self.n_phones + 1

    @cached_property
    def pdf_of_id(self) -> np.ndarray:
        """int32 (n_phones + 2,): the column of each label; entry 0 is not used."""
        return np.arange(-1, self.n_phones + 1, dtype=np.int32)

    def phone_segments(self, alignment: Sequence[int] | np.ndarray) -> list[PhoneSegment]:
        """The units of an alignment, with their rows.

        alignment: one label a row. A network writes a unit as a spike of a row or two; what lies between two spikes is
        shared by both, but neither gets more than a row of it: the rest is silence, or a long sound. So these are times
        of spikes, and a unit as long as a word is said to be much shorter than it was.
        """
        labels = np.asarray(alignment)
        changes = np.flatnonzero(np.diff(labels)) + 1
        starts, ends = np.concatenate([[0], changes]), np.concatenate([changes, [len(labels)]])
        runs = [(s, e) for s, e in zip(starts.tolist(), ends.tolist(), strict=True) if e > s and labels[s] != BLANK]
        before, found = 0, list[PhoneSegment]()
        for i, (start, end) in enumerate(runs):
            after = runs[i + 1][0] if i + 1 < len(runs) else len(labels)
            middle = end + (after - end + 1) // 2 if i + 1 < len(runs) else after
            begin, until = max(before, start - _REACH), min(middle, end + _REACH)
            found.append(PhoneSegment(int(labels[start]) - 1, begin, until))
            before = middle
        return found
