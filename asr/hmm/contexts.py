"""The phone context of every frame of an alignment, for all utterances at once."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from .transitions import TransitionModel


class Contexts(NamedTuple):
    """The phone contexts of the frames of aligned utterances.

    Attributes:
        ids: the utterances.
        offsets: int64 (n_utterances + 1,): the frames of each among all.
        transition_ids: int32 (n_frames,).
        windows: int32 (n_windows, width): the different phone contexts, sorted; 0 where there is no phone.
        window_of_frame: int32 (n_frames,): row of `windows`.
    """

    ids: tuple[str, ...]
    offsets: np.ndarray
    transition_ids: np.ndarray
    windows: np.ndarray
    window_of_frame: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


def contexts_of(
    alignments: Mapping[str, np.ndarray],
    transitions: TransitionModel,
    *,
    width: int = 3,
    central: int = 1,
    context_free: Iterable[int] = (),
) -> Contexts:
    """The phone context of each frame.

    Args:
        alignments: utterance id -> int (n_frames,) transition ids of `transitions`.
        width: windows of `width` phones around the one at index `central`; across words, 0 beyond an utterance.
        central: see `width`.
        context_free: phones whose neighbours do not matter: their windows hold 0 beside them (Kaldi's --ci-phones).

    Raises:
        ModelError: where there is no alignment, or one is not of this transition model.
    """
    if not 0 <= central < width:
        raise ModelError(f"central position {central} is outside a window of {width} phones")
    chosen = tuple(u for u in alignments if len(alignments[u]))
    if not chosen:
        raise ModelError("there are no alignments to take phone contexts from")
    offsets = np.concatenate([[0], np.cumsum([len(alignments[u]) for u in chosen])]).astype(np.int64)
    ids = np.concatenate([np.asarray(alignments[u], np.int32) for u in chosen])
    if not 1 <= ids.min() <= ids.max() <= transitions.n_transition_ids:
        raise ModelError(
            f"the alignments have transition ids {ids.min()} to {ids.max()}; the model has 1 to "
            f"{transitions.n_transition_ids}: give the model that made them"
        )
    start, phone = _segments(ids, offsets, transitions)
    utterance = np.searchsorted(offsets, start, side="right") - 1
    windows = _windows(phone, utterance, width, central, context_free)
    different, of_segment = np.unique(windows, axis=0, return_inverse=True)
    length = np.diff(np.append(start, len(ids)))
    of_frame = np.repeat(of_segment.reshape(-1).astype(np.int32), length)
    return Contexts(chosen, offsets, ids, different, of_frame)


def _segments(ids: np.ndarray, offsets: np.ndarray, transitions: TransitionModel) -> tuple[np.ndarray, np.ndarray]:
    """The first frame and the phone of each phone of all utterances (TransitionModel.phone_segments of many)."""
    state, loops = transitions.state_of_id[ids], transitions.is_self_loop[ids]
    is_last = np.zeros(len(ids), bool)
    is_last[offsets[1:] - 1] = True
    ends_run = is_last.copy()
    ends_run[:-1] |= ~loops[1:] | (state[1:] != state[:-1])
    run_end = np.flatnonzero(ends_run) + 1
    run_start = np.append(0, run_end[:-1])
    leaves = (transitions.is_final & ~transitions.is_self_loop)[ids[run_start]]
    end = run_end[leaves | is_last[run_end - 1]]
    start = np.append(0, end[:-1])
    return start, transitions.phone_of_id[ids[start]]


def _windows(
    phone: np.ndarray, utterance: np.ndarray, width: int, central: int, context_free: Iterable[int]
) -> np.ndarray:
    """int32 (n_segments, width): each phone with its neighbours in the same utterance."""
    windows = np.zeros((len(phone), width), np.int32)
    depends = ~np.isin(phone, list(context_free))
    for position in range(width):
        there = np.arange(len(phone)) + position - central
        inside = (there >= 0) & (there < len(phone))
        neighbour = np.where(inside, there, 0)
        same = inside & (utterance[neighbour] == utterance) & (depends | (position == central))
        windows[:, position] = np.where(same, phone[neighbour], 0)
    return windows


def pdf_class_of_id(transitions: TransitionModel) -> np.ndarray:
    """int32 (n_transition_ids + 1,): the pdf class that each transition id's frame has; entry 0 is unused."""
    classes = np.array(
        [
            (s.pdf_class, s.self_loop_pdf_class)
            for phone, index in transitions.tuples[:, :2].tolist()
            for s in [transitions.topology.states(phone)[index]]
        ],
        np.int32,
    )
    return classes[transitions.state_of_id, transitions.is_self_loop.astype(np.int64)]
