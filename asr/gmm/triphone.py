"""Triphone training: a decision tree from an alignment, then GMMs for its leaves (Kaldi's train_deltas.sh)."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..display.brief import brief_repr, many
from ..errors import ModelError
from ..hmm.convert import convert_alignments
from ..hmm.decision_tree import DecisionTree
from ..hmm.questions import Question, clustered_questions, position_questions
from ..hmm.transitions import TransitionModel
from ..hmm.tree_building import GrownTree, RootSpec, TreeOptions, grow_tree
from ..hmm.tree_statistics import VARIANCE_FLOOR, tree_statistics
from .coverage import warn_of_retried
from .model import DiagGmms
from .passes import PART_FRAMES, Part, Workers, make_parts
from .schedule import PassRecord, Run, Schedule, usable_utterances

if TYPE_CHECKING:
    from ..features.table import FeatureTable
    from ..lang.lexicon import Lexicon

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TriphoneOptions(Schedule):
    """The schedule and settings of triphone training. Names and defaults are those of Kaldi's steps/train_deltas.sh."""

    context_width: int = 3  # phones in a window
    central_position: int = 1
    tree: TreeOptions = field(default_factory=TreeOptions)  # max_leaves: Kaldi's numleaves

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.central_position < self.context_width:
            raise ModelError(f"central_position={self.central_position} is outside {self.context_width} phones")


class Aligned(Protocol):
    """A trained model that says which HMM state each frame is in."""

    @property
    def transitions(self) -> TransitionModel: ...

    @property
    def alignments(self) -> Mapping[str, np.ndarray]: ...


@dataclass(frozen=True, eq=False)
class TriphoneResult:
    """A trained triphone model, and what happened on the way.

    Attributes:
        grown: its tree with the gains of the splits.
        alignments: utterance id -> int32 (n_frames,) transition ids, of the last realignment.
        failures: utterance id -> why it has no alignment.
        retried: utterances that only the retry beam aligned, in half of the realignments or more.
        log: one record per pass.
    """

    gmms: DiagGmms
    transitions: TransitionModel
    grown: GrownTree
    alignments: dict[str, np.ndarray]
    failures: dict[str, str]
    retried: list[str]
    log: list[PassRecord]

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def tree(self) -> DecisionTree:
        """The decision tree."""
        return self.grown.tree


def train_deltas(
    table: "FeatureTable",
    transcripts: Mapping[str, Sequence[int]],
    lexicon: "Lexicon",
    previous: Aligned,
    options: TriphoneOptions | None = None,
    *,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> TriphoneResult:
    """A triphone GMM-HMM, or one of wider context, from the alignment of the model before.

    Args:
        table: features of the utterances; complete (deltas, normalisation), float32 (n_frames, dim) each.
        transcripts: utterance id -> word ids of the lexicon. Utterances without features, or that cannot be aligned,
            are left out and listed in the result's failures.
        previous: the model whose alignment the tree is grown from, e.g. of train_mono.
        questions: sets of phone ids that the tree may ask about, besides those found by clustering phones.
        seed: of clustering and of splitting. The result depends on it, not on n_jobs.
        n_jobs: processes.
        progress: called after each pass with the number done and the number of all.

    Raises:
        ModelError: where no utterance can be used.

    Same schedule as Kaldi's steps/train_deltas.sh.
    """
    options = options or TriphoneOptions()
    rng = np.random.default_rng(seed)
    start = start_training(table, transcripts, lexicon, previous, options, questions=questions, rng=rng)
    with Workers(start.parts, n_jobs) as workers:
        run = start.run(options, workers, lexicon, rng)
        run_passes(run, progress)
        return TriphoneResult(**start.outcome(run))


@dataclass(frozen=True, eq=False)
class Start:
    """What training of a model with a tree begins with.

    Attributes:
        unusable: utterance id -> why it is left out.
        grown: the tree.
        transitions: the first model.
        gmms: the first model.
        parts: the corpus with its training graphs.
        ids: its alignment, and why some utterances have none yet.
        missing: its alignment, and why some utterances have none yet.
    """

    unusable: dict[str, str]
    grown: GrownTree
    transitions: TransitionModel
    gmms: DiagGmms
    parts: list[Part]
    ids: list[np.ndarray]
    missing: dict[str, str]

    def __repr__(self) -> str:
        return brief_repr(self)

    def run(self, options: TriphoneOptions, workers: Workers, lexicon: "Lexicon", rng: np.random.Generator) -> Run:
        """The run of training passes."""
        boosts = silence_boosts(self.grown.tree, self.transitions, lexicon, options.boost_silence)
        return Run(
            options, workers, self.gmms, self.transitions, boosts, rng, (self.ids, self.missing), len(self.unusable),
            first_target=options.tree.max_leaves,
        )  # fmt: skip

    def outcome(self, run: Run) -> dict[str, Any]:
        """The fields of a TriphoneResult after the last pass; what went wrong is logged."""
        run.warn_of_lost()
        retried = run.often_retried()
        warn_of_retried(retried, sum(len(part.ids) for part in self.parts))
        return {
            "gmms": run.gmms,
            "transitions": run.transitions,
            "grown": self.grown,
            "alignments": run.alignments(),
            "failures": {**self.unusable, **run.failures},
            "retried": retried,
            "log": run.log,
        }


def start_training(
    table: "FeatureTable",
    transcripts: Mapping[str, Sequence[int]],
    lexicon: "Lexicon",
    previous: Aligned,
    options: TriphoneOptions,
    *,
    questions: Sequence[Question],
    rng: np.random.Generator,
) -> Start:
    """The tree, the first model and the converted alignment; the arguments are those of train_deltas."""
    usable, unusable = usable_utterances(table, transcripts)
    known = {u: previous.alignments[u] for u in usable if u in previous.alignments}
    grown = context_tree(table, known, previous.transitions, lexicon, options, questions=questions, rng=rng)
    transitions = TransitionModel.from_tree(previous.transitions.topology, grown.tree)
    chosen = {u: transcripts[u] for u in usable}
    parts = make_parts(table, chosen, lexicon, grown.tree, transitions, part_frames=PART_FRAMES)
    ids, missing = converted_start(parts, known, previous.transitions, transitions, grown.tree)
    gmms = gmms_of_leaves(grown.leaf_sums)
    _logger.info(
        "training with a tree: %s in %s, %d pdfs, %d features a frame",
        many(len(usable), "utterance"), many(len(parts), "part"), gmms.n_pdfs, gmms.dim,
    )  # fmt: skip
    return Start(unusable, grown, transitions, gmms, parts, ids, missing)


def run_passes(
    run: Run,
    progress: Callable[[int, int], None] | None,
    before_pass: Callable[[int], None] = lambda iteration: None,
) -> None:
    """The passes from 1 on; pass 0 was the first model's.

    Args:
        before_pass: called with the pass to come.
    """
    n_passes = run.options.num_iters - 1
    for iteration in range(1, n_passes + 1):
        before_pass(iteration)
        run.one_pass(iteration)
        if progress:
            progress(iteration, n_passes)


def context_tree(
    table: "FeatureTable | Mapping[str, np.ndarray]",
    alignments: Mapping[str, np.ndarray],
    transitions: TransitionModel,
    lexicon: "Lexicon",
    options: TriphoneOptions,
    *,
    questions: Sequence[Question] = (),
    rng: np.random.Generator,
) -> GrownTree:
    """The decision tree of aligned utterances; silence is not split and does not see its neighbours.

    Phones that the lexicon counts as one, such as one phone in different positions of a word, share their roots; the
    tree may ask for the position.
    """
    silence = lexicon.silence_id
    statistics = tree_statistics(
        table, alignments, transitions,
        width=options.context_width, central=options.central_position, context_free=[silence],
    )  # fmt: skip
    sets = lexicon.phone_sets
    asked = [*clustered_questions(statistics, sets, rng), *position_questions(lexicon), *questions]
    roots = [RootSpec(s, shared=silence not in s, split=silence not in s) for s in sets]
    classes = {phone: transitions.topology.n_pdf_classes(phone) for phone in transitions.topology.phones}
    grown = grow_tree(statistics, list(dict.fromkeys(asked)), roots, classes, options.tree)
    _logger.info(
        "decision tree: %s of %s, %d frames; %d leaves by splitting, %d pdfs after joining, gain %.3f nats per frame",
        many(len(statistics.windows), "context"), many(len(sets), "phone"), statistics.n_frames,
        grown.n_split_leaves, grown.tree.n_pdfs, grown.gain,
    )  # fmt: skip
    return grown


def gmms_of_leaves(sums: np.ndarray, *, variance_floor: float = VARIANCE_FLOOR) -> DiagGmms:
    """One Gaussian for each pdf, with the mean and variance of its frames; of all frames where it has none.

    Args:
        sums: float64 (n_pdfs, 1 + 2 dim), as GrownTree.leaf_sums. Same as Kaldi's gmm-init-model.
    """
    dim = (sums.shape[1] - 1) // 2
    sums = np.where(sums[:, :1] > 0, sums, sums.sum(axis=0))
    means = sums[:, 1 : 1 + dim] / sums[:, :1]
    variances = np.maximum(sums[:, 1 + dim :] / sums[:, :1] - means**2, variance_floor)
    return DiagGmms(np.ones(len(sums)), means, variances, np.arange(len(sums) + 1))


def converted_start(
    parts: Sequence[Part],
    alignments: Mapping[str, np.ndarray],
    old: TransitionModel,
    new: TransitionModel,
    tree: DecisionTree,
) -> tuple[list[np.ndarray], dict[str, str]]:
    """Every part's alignment in ids of the new model, and why some utterances have none yet."""
    converted = convert_alignments(alignments, old, new, tree)
    missing = {u: "the model before could not align it" for part in parts for u in part.ids if u not in converted}
    return [part.together(converted) for part in parts], missing


def silence_boosts(
    tree: DecisionTree, transitions: TransitionModel, lexicon: "Lexicon", factor: float
) -> np.ndarray | None:
    """float32 (n_pdfs,): added to log-likelihoods in alignment only, so that the model itself stays as it is."""
    if factor == 1.0:
        return None
    boosts = np.zeros(tree.n_pdfs, np.float32)
    silence = transitions.tuples[:, 0] == lexicon.silence_id
    boosts[transitions.tuples[silence, 2:].reshape(-1)] = np.log(factor)
    return boosts
