"""From an aligned model to all that LF-MMI needs: the chain tree, its transitions, denominator and numerators."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...display.brief import brief_repr
from ...errors import ModelError
from ...features.table import FeatureTable
from ...gmm.triphone import Aligned, TriphoneOptions, context_tree
from ...hmm.transitions import PhoneSegment, TransitionModel
from ...hmm.tree import ContextDependency, MonophoneTree
from ..options import SupervisionOptions
from .denominator import Denominator, denominator_graph
from .numerator import Numerator, numerator_graph
from .phone_lm import estimate_phone_lm
from .topology import chain_alignments, chain_topology, thinned_segments

if TYPE_CHECKING:
    from ...lang.lexicon import Lexicon

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Supervision:
    """What a network is trained on by LF-MMI, and decoded with.

    Attributes:
        tree: of the chain model; graphs for decoding are compiled with both scales 1 and searched with an acoustic
            scale of 1.
        transitions: see `tree`.
        denominator: one for all utterances.
        numerators: by utterance id.
        failures: utterance id -> why it has none.
    """

    tree: ContextDependency
    transitions: TransitionModel
    denominator: Denominator
    numerators: dict[str, Numerator]
    failures: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return brief_repr(self)


def lfmmi_setup(
    model: Aligned,
    table: FeatureTable | Mapping[str, np.ndarray],
    lexicon: "Lexicon",
    options: SupervisionOptions | None = None,
    *,
    seed: int = 0,
) -> Supervision:
    """Tree, denominator and numerators from the alignments of another model.

    Args:
        model: the model, usually a GMM-HMM, and its alignments of the training utterances.
        table: features of these utterances at the alignments' frame rate, float32 (n_frames, dim); the tree is grown
            from every `subsampling`-th of them. More utterances than have alignments do no harm.
        seed: of the clustering of phones for the tree's questions.

    Raises:
        ModelError: where no utterance can be used.

    As Kaldi's steps/nnet3/chain/build_tree.sh, chain-est-phone-lm, chain-make-den-fst and chain-get-supervision.
    """
    options = options or SupervisionOptions()
    segments = {u: model.transitions.phone_segments(ids) for u, ids in model.alignments.items() if u in table}
    thinned = {u: thinned_segments(s, s[-1].end, options.subsampling) for u, s in segments.items() if s}
    usable = {u: s for u, s in thinned.items() if s is not None}
    if not usable:
        raise ModelError(f"none of {len(model.alignments)} alignments has features and frames enough for its phones")
    tree, transitions = _tree(usable, table, lexicon, options, seed)
    phone_lm = estimate_phone_lm(
        [[s.phone for s in usable[u]] for u in usable], order=options.lm_order, n_extra_states=options.lm_extra_states
    )
    denominator = denominator_graph(phone_lm, tree, transitions, leaky=options.leaky)
    _logger.info(
        "sequence training: %d pdfs; denominator of %d states and %d arcs",
        tree.n_pdfs, denominator.n_states, denominator.n_arcs,
    )  # fmt: skip
    numerators, failures = numerators_of(segments, denominator, options)
    return Supervision(tree, transitions, denominator, numerators, failures)


def numerators_of(
    segments: Mapping[str, Sequence[PhoneSegment]], denominator: Denominator, options: SupervisionOptions
) -> tuple[dict[str, Numerator], dict[str, str]]:
    """The numerators of aligned utterances, and why others have none.

    Args:
        segments: utterance id -> phones in input frames (TransitionModel.phone_segments); held-out utterances too.
    """
    numerators, failures = {}, {}
    for utterance, phones in segments.items():
        try:
            numerators[utterance] = numerator_graph(
                phones, phones[-1].end if phones else 0, denominator,
                subsampling=options.subsampling, tolerance=options.tolerance,
            )  # fmt: skip
        except ModelError as error:
            failures[utterance] = str(error)
    return numerators, failures


def _tree(
    segments: Mapping[str, Sequence[PhoneSegment]],
    table: FeatureTable | Mapping[str, np.ndarray],
    lexicon: "Lexicon",
    options: SupervisionOptions,
    seed: int,
) -> tuple[ContextDependency, TransitionModel]:
    """The tree of the chain topology and its transition model."""
    topology = chain_topology(range(1, lexicon.n_phones + 1))
    mono = MonophoneTree.from_topology(topology, lexicon.phone_sets)
    transitions = TransitionModel.from_tree(topology, mono)
    if options.context_width == 1:
        return mono, transitions
    alignments = chain_alignments(segments, mono, transitions)
    thinned = {u: np.asarray(table[u])[:: options.subsampling] for u in alignments}
    chosen = TriphoneOptions(
        context_width=options.context_width,
        central_position=options.context_width - 1,
        tree=options.tree,
    )
    rng = np.random.default_rng(seed)
    tree = context_tree(thinned, alignments, transitions, lexicon, chosen, rng=rng).tree
    return tree, TransitionModel.from_tree(topology, tree)
