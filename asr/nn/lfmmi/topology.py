"""One-frame HMMs at a third of the frame rate: the topology, and other models' alignments brought to it."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...errors import ModelError
from ...hmm.topology import HmmState, Topology
from ...hmm.transitions import PhoneSegment, TransitionModel
from ...hmm.tree import ContextDependency


def chain_topology(phones: Iterable[int]) -> Topology:
    """One emitting state a phone, with one pdf for its first frame (class 0) and one for the others (class 1).

    A phone can be passed in one frame. Staying and leaving have probability 0.5 and are never trained.

    Args:
        phones: all phone ids; silence is as any other.

    Same as the topology of Kaldi's chain models (steps/nnet3/chain/gen_topo.py).
    """
    return Topology(dict.fromkeys(phones, (HmmState(0, ((0, 0.5), (1, 0.5)), 1),)))


def thinned_segments(segments: Sequence[PhoneSegment], n_frames: int, subsampling: int) -> list[PhoneSegment] | None:
    """The phones of an utterance with their times in output frames, of which each phone has one or more.

    Output frame t is about input frame t * subsampling, so that n_frames give ceil(n_frames / subsampling). A phone
    between two of these takes a frame from a neighbour. None where there are more phones than output frames.

    Args:
        segments: in input frames, without gaps from 0 to n_frames.
    """
    n_out = -(-n_frames // subsampling)
    if not segments or len(segments) > n_out:
        return None
    ends = [-(-segment.end // subsampling) for segment in segments]
    ends[-1] = n_out
    for i in range(len(ends)):
        ends[i] = max(ends[i], ends[i - 1] + 1 if i else 1)
    for i in range(len(ends) - 1, -1, -1):
        ends[i] = min(ends[i], n_out - (len(ends) - 1 - i))
    starts = [0, *ends[:-1]]
    return [PhoneSegment(s.phone, a, b) for s, a, b in zip(segments, starts, ends, strict=True)]


def chain_alignments(
    segments: Mapping[str, Sequence[PhoneSegment]], tree: ContextDependency, transitions: TransitionModel
) -> dict[str, np.ndarray]:
    """The only transition ids that phones with their times can have in a chain topology.

    Args:
        segments: utterance id -> phones in output frames, as `thinned_segments` gives them.
        tree: of the chain topology.
        transitions: of the chain topology.

    Returns:
        utterance id -> int32 (out_frames,): the forward transition, then self-loops.

    Same as Kaldi's convert-ali --frame-subsampling-factor.
    """
    left, right = tree.central_position, tree.context_width - 1 - tree.central_position
    ids_of_window: dict[tuple[int, ...], tuple[int, int]] = {}
    alignments = {}
    for utterance, phones in segments.items():
        padded = [0] * left + [segment.phone for segment in phones] + [0] * right
        pieces = []
        for i, segment in enumerate(phones):
            window = tuple(padded[i : i + tree.context_width])
            if window not in ids_of_window:
                ids_of_window[window] = _ids(window, tree, transitions)
            forward, loop = ids_of_window[window]
            pieces.append([forward] + [loop] * (segment.end - segment.start - 1))
        alignments[utterance] = np.array([i for piece in pieces for i in piece], np.int32)
    return alignments


def _ids(window: tuple[int, ...], tree: ContextDependency, transitions: TransitionModel) -> tuple[int, int]:
    """The transition id that leaves a phone in context, and its self-loop."""
    row = chain_row(window, tree, transitions)
    loop = int(transitions.self_loop_of_state[row])
    (forward,) = {int(transitions.first_id[row]), int(transitions.first_id[row]) + 1} - {loop}
    return forward, loop


def chain_row(window: Sequence[int], tree: ContextDependency, transitions: TransitionModel) -> int:
    """The row of transitions.tuples of a phone in context.

    Raises:
        ModelError: for another than the chain topology.
    """
    phone = window[tree.central_position]
    states = transitions.topology.states(phone)
    if len(states) != 1 or len(states[0].transitions) != 2 or {d for d, _ in states[0].transitions} != {0, 1}:
        raise ModelError(f"phone id {phone} has not the HMM of one state that sequence training needs")
    pdfs = tree.pdf(window, states[0].pdf_class), tree.pdf(window, states[0].self_loop_pdf_class)
    return transitions.transition_state(phone, 0, *pdfs)
