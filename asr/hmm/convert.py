"""An alignment with the transition ids of another model: same phones and HMM states, another tree."""

from collections.abc import Mapping

import numpy as np

from ..errors import ModelError
from .contexts import contexts_of
from .transitions import TransitionModel
from .tree import ContextDependency


def convert_alignments(
    alignments: Mapping[str, np.ndarray], old: TransitionModel, new: TransitionModel, tree: ContextDependency
) -> dict[str, np.ndarray]:
    """The alignments in transition ids of `new`.

    Args:
        alignments: utterance id -> int (n_frames,) transition ids of `old`; every frame keeps its phone, HMM state and
            transition.
        tree: the tree of `new`.

    Raises:
        ModelError: where the models' HMMs differ.

    Same as Kaldi's convert-ali for models of one topology.
    """
    if old.topology != new.topology:
        raise ModelError("alignments can be converted only between models with the same HMM topology; align anew")
    contexts = contexts_of(alignments, old, width=tree.context_width, central=tree.central_position)
    n_states = int(old.tuples[:, 1].max()) + 1
    code = contexts.window_of_frame.astype(np.int64) * n_states + old.hmm_state_of_id[contexts.transition_ids]
    used, inverse = np.unique(code, return_inverse=True)
    window, state = np.divmod(used, n_states)
    row = np.array([_row(contexts.windows[w].tolist(), int(s), new, tree) for w, s in zip(window, state, strict=True)])
    nth = contexts.transition_ids - old.first_id[old.state_of_id[contexts.transition_ids]]
    ids = (new.first_id[row][inverse.reshape(-1)] + nth).astype(np.int32)
    return {u: ids[a:b] for u, a, b in zip(contexts.ids, contexts.offsets[:-1], contexts.offsets[1:], strict=True)}


def _row(window: list[int], hmm_state: int, new: TransitionModel, tree: ContextDependency) -> int:
    """The row of new.tuples of a phone's HMM state in a context."""
    phone = window[tree.central_position]
    state = new.topology.states(phone)[hmm_state]
    pdfs = (tree.pdf(window, state.pdf_class), tree.pdf(window, state.self_loop_pdf_class))
    return new.transition_state(phone, hmm_state, *pdfs)
