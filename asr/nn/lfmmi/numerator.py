"""The numerator graph of an utterance: its own phones, near the times that an alignment gave them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ...display.brief import brief_repr
from ...errors import ModelError
from ...hmm.transitions import PhoneSegment
from .denominator import Denominator
from .topology import thinned_segments


@dataclass(frozen=True, eq=False)
class Numerator:
    """The paths of a denominator graph that say an utterance's phones, each phone in its window of frames.

    A node is one phone of the utterance in one state of the denominator; nodes are in order of the phones.

    Attributes:
        n_frames: output frames.
        first: int32 (n_nodes,): the window, output frames; both ascending.
        end: int32 (n_nodes,): the window, output frames; both ascending.
        entry_pdf: int32 (n_nodes,).
        loop_pdf: int32 (n_nodes,).
        stay: float64 (n_nodes,), natural logarithm.
        begin: float64 (n_nodes,): log probability of the first phone's nodes in the first frame; -inf of others.
        into: int32 (n_nodes + 1,): the arcs into each node.
        source: int32, float64 (n_arcs,).
        log_prob: int32, float64 (n_arcs,).
        n_last: nodes of the last phone, where paths end: the last ones.
        alignment: int32 (n_frames,): the pdfs of the path that has the alignment's own times.
    """

    n_frames: int
    first: np.ndarray
    end: np.ndarray
    entry_pdf: np.ndarray
    loop_pdf: np.ndarray
    stay: np.ndarray
    begin: np.ndarray
    into: np.ndarray
    source: np.ndarray
    log_prob: np.ndarray
    n_last: int
    alignment: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    @cached_property
    def pdfs(self) -> np.ndarray:
        """int64 (n_columns,): the pdfs that any path has, ascending; all that is needed of the scores."""
        return np.unique(np.concatenate([self.entry_pdf, self.loop_pdf])).astype(np.int64)

    @cached_property
    def entry_column(self) -> np.ndarray:
        """int32 (n_nodes,): the place of each node's entry_pdf in `pdfs`."""
        return np.searchsorted(self.pdfs, self.entry_pdf).astype(np.int32)

    @cached_property
    def loop_column(self) -> np.ndarray:
        """int32 (n_nodes,): the place of each node's loop_pdf in `pdfs`."""
        return np.searchsorted(self.pdfs, self.loop_pdf).astype(np.int32)

    @property
    def n_nodes(self) -> int:
        """Phones times the histories that they may have."""
        return len(self.stay)


def numerator_graph(
    segments: Sequence[PhoneSegment],
    n_frames: int,
    denominator: Denominator,
    *,
    subsampling: int = 3,
    tolerance: int = 5,
) -> Numerator:
    """The numerator graph of an aligned utterance.

    Phone n-grams that the denominator has not, of utterances that it was not estimated from, cost what a leak to
    another history costs.

    Args:
        segments: the phones of the alignment, in input frames.
        n_frames: input frames.
        subsampling: input frames to one output frame.
        tolerance: input frames by which a phone may begin earlier or end later; Kaldi's recipes have 5.

    Raises:
        ModelError: where there are more phones than output frames, or a phone that the denominator has not.

    Same as Kaldi's supervision from an alignment (chain-get-supervision) with its weights from the denominator. Paths
    are the denominator's without leaks, or with one where they must: never more than all of them.
    """
    thinned = thinned_segments(segments, n_frames, subsampling)
    if thinned is None:
        raise ModelError(f"{len(segments)} phones do not fit into {n_frames} frames, {subsampling} at a time")
    first = [
        min(s.start, max(0, -(-(g.start - tolerance) // subsampling))) for g, s in zip(segments, thinned, strict=True)
    ]
    n_out = thinned[-1].end
    end = [
        max(s.end, min(n_out, -(-(g.end + tolerance) // subsampling))) for g, s in zip(segments, thinned, strict=True)
    ]
    nodes, begin, arcs = _nodes([s.phone for s in segments], denominator)
    states = np.array([state for position in nodes for state in position], np.int32)
    position = np.repeat(np.arange(len(nodes)), [len(p) for p in nodes])
    alignment = [state for s, p in zip(thinned, nodes, strict=True) for state in _pdfs(next(iter(p)), s, denominator)]
    all_begin = np.full(len(states), -np.inf)
    all_begin[: len(begin)] = begin
    return Numerator(
        n_frames=n_out,
        first=np.array(first, np.int32)[position],
        end=np.array(end, np.int32)[position],
        entry_pdf=denominator.entry_pdf[states],
        loop_pdf=denominator.loop_pdf[states],
        stay=np.log(denominator.stay[states]),
        begin=all_begin,
        into=np.cumsum([0, *(len(a) for a in arcs)]).astype(np.int32),
        source=np.array([source for a in arcs for source, _ in a], np.int32),
        log_prob=np.array([log_prob for a in arcs for _, log_prob in a], np.float64),
        n_last=len(nodes[-1]),
        alignment=np.array(alignment, np.int32),
    )


_Arcs = list[tuple[int, float]]
"""Of a node: (source node, natural-log probability)."""


def _nodes(phones: Sequence[int], denominator: Denominator) -> tuple[list[list[int]], np.ndarray, list[_Arcs]]:
    """The states of each phone, the log probabilities of the first phone's, and the arcs into each node."""
    targets, probs = denominator.ways_to(phones[0])
    states, begin = [targets.tolist()], np.log(probs)
    arcs: list[_Arcs] = [[] for _ in targets]
    n_before = 0  # nodes before those of the phone before
    for previous, phone in pairwise(phones):
        sources_of: dict[int, _Arcs] = {}
        for node, state in enumerate(states[-1], n_before):
            if phone in denominator.next_of_state[state]:
                target, log_prob = denominator.next_of_state[state][phone]
                sources_of.setdefault(target, []).append((node, log_prob))
        if not sources_of:
            sources = range(n_before, n_before + len(states[-1]))
            ways = zip(*(a.tolist() for a in denominator.leaks_to(phone, previous)), strict=True)
            sources_of = {target: [(node, float(np.log(prob))) for node in sources] for target, prob in ways}
        n_before += len(states[-1])
        states.append(list(sources_of))
        arcs.extend(sources_of.values())
    return states, begin, arcs


def _pdfs(state: int, segment: PhoneSegment, denominator: Denominator) -> list[int]:
    """The pdfs of a phone, frame by frame."""
    loops = [int(denominator.loop_pdf[state])] * (segment.end - segment.start - 1)
    return [int(denominator.entry_pdf[state]), *loops]
