"""The labels of a CTC model, in the place of the transition ids of an HMM."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import ModelError
from ..hmm.transitions import PhoneSegment

BLANK = 1
"""The label of the blank in graphs and alignments; its column is 0."""


@dataclass(frozen=True)
class CtcTokens:
    """The blank and the units of a CTC model: labels 1 to n_phones + 1, each one column of the network's output.

    Attributes:
        n_phones: units, which have the ids of a lexicon's phones, from 1. The unit p has column p and the label p + 1,
            since 0 is no label in graphs.

    Raises:
        ModelError: without units.
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

    def is_silence(self, alignment: np.ndarray, silence_phone: int) -> np.ndarray:
        """Which rows of an alignment say nothing, bool (n_rows,): the blanks."""
        return np.asarray(alignment) == BLANK

    def phone_segments(
        self, alignment: Sequence[int] | np.ndarray, pauses: Sequence[tuple[int, int]] = (), reach: int = 1
    ) -> list[PhoneSegment]:
        """The units of an alignment, with their rows.

        A network writes a unit as a spike of a row or two; what lies between two spikes is shared by both, but neither
        gets more than `reach` rows of it: the rest is silence, or a long sound. So a unit as long as a word is said to
        be shorter than it was.

        Args:
            alignment: one label per output frame.
            pauses: rows in which nothing was said (see asr.ctc.pauses), the ends not included. No unit is widened into
                one. A spike in one, as recurrent networks write them at a recording's first or last row, is of what was
                said on that side of it where there is more room.
        """
        labels = np.asarray(alignment)
        written = _spikes(labels)
        spikes = _where_speech_is(written, pauses, len(labels))
        units = [int(labels[start]) - 1 for start, _ in written]
        begin = max((q for _, q in pauses if spikes and q <= spikes[0][0]), default=0)
        segments = list[PhoneSegment]()
        for i, (unit, (start, end)) in enumerate(zip(units, spikes, strict=True)):
            after = spikes[i + 1][0] if i + 1 < len(spikes) else len(labels)
            between = [(max(p, end), min(q, after)) for p, q in pauses if p < after and q > end]
            shared = end + (after - end + 1) // 2 if i + 1 < len(spikes) else after
            until, following = (between[0][0], between[-1][1]) if between else (shared, shared)
            segments.append(PhoneSegment(unit, max(begin, start - reach), min(until, end + reach)))
            begin = following
        return segments


def _spikes(labels: np.ndarray) -> list[tuple[int, int]]:
    """Rows of the same label without a break, but for blanks; the ends not included."""
    changes = np.flatnonzero(np.diff(labels)) + 1
    starts, ends = np.concatenate([[0], changes]), np.concatenate([changes, [len(labels)]])
    return [(s, e) for s, e in zip(starts.tolist(), ends.tolist(), strict=True) if e > s and labels[s] != BLANK]


def _where_speech_is(
    spikes: Sequence[tuple[int, int]], pauses: Sequence[tuple[int, int]], n_rows: int
) -> Sequence[tuple[int, int]]:
    """Spikes, those inside a pause moved to that edge of it where more rows are free, if there is room at all."""
    for first, last in pauses:
        inside = [i for i, (start, end) in enumerate(spikes) if first <= start and end <= last]
        if not inside:
            continue
        before = first - (spikes[inside[0] - 1][1] if inside[0] else 0)
        after = (spikes[inside[-1] + 1][0] if inside[-1] + 1 < len(spikes) else n_rows) - last
        ways = [_moved(spikes, inside, first - len(inside)), _moved(spikes, inside, last)]
        fitting = (way for way in (ways if before >= after else ways[::-1]) if way[0][0] >= 0 and way[-1][1] <= n_rows)
        spikes = next(fitting, spikes)
    return spikes


def _moved(spikes: Sequence[tuple[int, int]], some: Sequence[int], row: int) -> list[tuple[int, int]]:
    """Spikes, some of which have one row each from `row` on; those before and after them make room."""
    moved = list(spikes)
    for k, i in enumerate(some):
        moved[i] = (row + k, row + k + 1)
    for i in range(some[0] - 1, -1, -1):
        over = max(0, moved[i][1] - moved[i + 1][0])
        moved[i] = (moved[i][0] - over, moved[i][1] - over)
    for i in range(some[-1] + 1, len(moved)):
        over = max(0, moved[i - 1][1] - moved[i][0])
        moved[i] = (moved[i][0] + over, moved[i][1] + over)
    return moved
