"""Forced alignment with CTC: where the units of a known transcript are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from .check import check_log_probs, check_units, least_frames


@dataclass(frozen=True, eq=False)
class CtcAlignment:
    """The most probable path of a transcript.

    Attributes:
        columns: int32 (n_frames,): what each frame says, 0 for a blank.
        starts: int32 (n_units,): the frames of each unit's spike, the end not included.
        ends: see `starts`.
        scores: float64 (n_units,): mean log probability of the spike's frames, which tells units that are in the speech
            from those that were not.
        score: natural-log probability of the path.
    """

    columns: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    scores: np.ndarray
    score: float

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def labels(self) -> np.ndarray:
        """int32 (n_frames,): as `CtcTokens` has them, the blank 1."""
        return self.columns + np.int32(1)


def ctc_align(log_probs: np.ndarray, units: Sequence[int] | np.ndarray) -> CtcAlignment:
    """The most probable path of a transcript's units through a CTC network's output.

    Args:
        log_probs: float32 (n_frames, n_columns); column 0 is the blank.
        units: columns, in order.

    Raises:
        ModelError: where there are fewer frames than the units need, or no path is possible.

    Examples:
        >>> found = ctc_align(np.log(np.array([[0.1, 0.9], [0.7, 0.3], [0.2, 0.8]], np.float32)), [1, 1])
        >>> found.columns.tolist(), found.starts.tolist()
        ([1, 0, 1], [0, 2])
    """
    from .kernels import best_states

    log_probs = check_log_probs(log_probs)
    wanted = check_units(units, log_probs.shape[1])
    least = least_frames(wanted)
    if len(log_probs) < max(least, 1):
        raise ModelError(f"{len(wanted)} units need {max(least, 1)} rows of log_probs; there are {len(log_probs)}")
    states = np.zeros(len(log_probs), np.int32)
    score = best_states(log_probs, wanted, states)
    if score == -np.inf:
        raise ModelError("no path says these units: some have a probability of 0 wherever they could be")
    spoken = states % 2 == 1
    columns = np.where(spoken, np.append(wanted, 0)[np.minimum(states // 2, len(wanted))], 0).astype(np.int32)
    which = states[spoken] // 2
    frames = np.flatnonzero(spoken)
    starts = frames[np.searchsorted(which, np.arange(len(wanted)))]
    ends = frames[np.searchsorted(which, np.arange(len(wanted)), side="right") - 1] + 1
    frame_scores = log_probs[np.arange(len(log_probs)), columns].astype(np.float64)
    scores = np.array([frame_scores[a:b].mean() for a, b in zip(starts.tolist(), ends.tolist(), strict=True)])
    return CtcAlignment(columns, starts.astype(np.int32), ends.astype(np.int32), scores, float(score))
