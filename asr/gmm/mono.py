"""Monophone training from nothing: flat start, Viterbi training with realignment, mixing up (Kaldi's train_mono.sh).

There is a flat start that knows the pauses, too: quiet stretches begin as silence, and words share the rest of the
frames. Kaldi's draws for each gap between words whether silence has a share of the frames, and gives it the same
share wherever it is. With long pauses and few phones the silence model then begins as a mixture of pauses and words,
and may keep words, or parts of them, for good. Loudness tells the two apart before there is a model.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..display.brief import brief_repr, many
from ..errors import ModelError
from ..features.silence import loudness_threshold, stretches
from ..hmm.align import AlignOptions, equal_alignment
from ..hmm.topology import Topology
from ..hmm.training_graph import TrainingGraphs, training_graphs
from ..hmm.transitions import TransitionModel
from ..hmm.tree import ContextDependency, MonophoneTree
from .coverage import warn_of_retried, warn_of_seldom, warn_of_untrained
from .em import MStepOptions
from .model import DiagGmms
from .passes import PART_FRAMES, Part, Workers, equal_alignments, make_parts
from .schedule import PassRecord, Run, Schedule, examples, usable_utterances

if TYPE_CHECKING:
    from ..features.table import FeatureTable
    from ..lang.lexicon import Lexicon

_logger = logging.getLogger(__name__)

REALIGN_ITERS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 35, 38)
MIN_PAUSE = 10  # frames; a tenth of a second at the usual shift, longer than the closure of a stop
MIN_SPEECH = 5  # frames; shorter sounds inside a pause are clicks


@dataclass(frozen=True)
class MonoOptions(Schedule):
    """The schedule and settings of monophone training. Names and defaults are those of Kaldi's steps/train_mono.sh."""

    num_iters: int = 40  # passes, the flat start included
    realign_iters: tuple[int, ...] = REALIGN_ITERS  # passes that align anew; pass 0 has the equal alignment
    total_gaussians: int = 1000
    max_iter_inc: int = 30  # Gaussians are added until this pass
    first_beam: float = 6.0  # nats, of scaled scores; the first realignment's
    first_min_occupancy: float = 3.0  # frames a pdf needs to be updated by the flat start
    n_states: int = 3  # of a speech phone
    n_silence_states: int = 5
    start: Literal["equal", "pauses"] = "equal"  # pass 0: Kaldi's, or quiet frames as silence (see pause_alignments)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start not in ("equal", "pauses"):
            raise ModelError(f"start={self.start!r}; it is 'equal' or 'pauses'")
        if self.start == "pauses" and not any(0 < i < self.num_iters for i in self.realign_iters):
            raise ModelError(f"start='pauses' needs a realignment; there is none in {self.num_iters} passes")

    def align_options(self, iteration: int) -> AlignOptions:
        options = super().align_options(iteration)
        return replace(options, beam=self.first_beam) if iteration == 1 else options

    def m_step_of(self, iteration: int) -> MStepOptions:
        if iteration > 0:
            return self.m_step
        return replace(self.m_step, min_gaussian_occupancy=self.first_min_occupancy)


@dataclass(frozen=True, eq=False)
class MonoResult:
    """A trained monophone model, and what happened on the way.

    Attributes:
        alignments: utterance id -> int32 (n_frames,) transition ids, of the last realignment.
        failures: utterance id -> why it has no alignment.
        log: one record per pass.
        retried: the utterances that only the retry beam aligned, in half of the realignments or more: where there are
            many, look at their transcripts.
    """

    gmms: DiagGmms
    transitions: TransitionModel
    tree: MonophoneTree
    alignments: dict[str, np.ndarray]
    failures: dict[str, str]
    retried: list[str]
    log: list[PassRecord]

    def __repr__(self) -> str:
        return brief_repr(self)


def train_mono(
    table: "FeatureTable",
    transcripts: Mapping[str, Sequence[int]],
    lexicon: "Lexicon",
    options: MonoOptions | None = None,
    *,
    seed: int = 0,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> MonoResult:
    """A monophone GMM-HMM, trained from transcripts alone.

    Args:
        table: features of the utterances; complete (deltas, normalisation), float32 (n_frames, dim) each.
        transcripts: utterance id -> word ids of the lexicon (Lexicon.encode). Utterances without features, or that
            cannot be aligned, are left out and listed in the result's failures. What the transcripts leave untrained is
            logged.
        seed: of the flat start's random paths and of splitting. The result depends on it, not on n_jobs.
        n_jobs: processes; utterances are divided among them.
        progress: called after each pass with the number done and the number of all.

    Raises:
        ModelError: where no utterance can be used.
        GraphError: for a word without pronunciation.

    Same schedule as Kaldi's steps/train_mono.sh; differs in starting from the statistics of all frames, not of ten
    utterances'.
    """
    options = options or MonoOptions()
    rng = np.random.default_rng(seed)
    usable, unusable = usable_utterances(table, transcripts)
    topology = Topology.kaldi(
        (p for p in range(1, lexicon.n_phones + 1) if p != lexicon.silence_id),
        [lexicon.silence_id],
        n_states=options.n_states,
        n_silence_states=options.n_silence_states,
    )
    tree = MonophoneTree.from_topology(topology, lexicon.phone_sets)
    transitions = TransitionModel.from_tree(topology, tree)
    chosen = {u: transcripts[u] for u in usable}
    parts = make_parts(table, chosen, lexicon, tree, transitions, part_frames=PART_FRAMES)
    if options.start == "pauses":
        start = pause_alignments(parts, chosen, lexicon, tree, transitions, rng)
    else:
        start = equal_alignments(parts, rng)
    if len(start[1]) == len(usable):
        raise ModelError(
            f"no utterance can be aligned with its transcript, all {len(usable)} are too short{examples(start[1])}"
        )
    gmms = flat_start(table, usable, tree.n_pdfs)
    _logger.info(
        "monophone training: %s in %s, %d pdfs, %d features a frame",
        many(len(usable), "utterance"), many(len(parts), "part"), tree.n_pdfs, gmms.dim,
    )  # fmt: skip
    warn_of_untrained(lexicon, chosen)
    boosts = silence_boosts(tree, lexicon.silence_id, options.boost_silence)
    with Workers(parts, n_jobs) as workers:
        run = Run(options, workers, gmms, transitions, boosts, rng, start, n_unusable=len(unusable))
        for iteration in range(options.num_iters):
            run.one_pass(iteration)
            if progress:
                progress(iteration + 1, options.num_iters)
    run.warn_of_lost()
    warn_of_seldom(lexicon, run.transitions, run.counts, options.m_step.min_gaussian_occupancy)
    failures, retried = {**unusable, **run.failures}, run.often_retried()
    warn_of_retried(retried, len(usable))
    return MonoResult(run.gmms, run.transitions, tree, run.alignments(), failures, retried, run.log)


def flat_start(table: "FeatureTable", utterances: Sequence[str], n_pdfs: int) -> DiagGmms:
    """One Gaussian a pdf, each with the mean and variance of all frames.

    Raises:
        ModelError: where a feature is constant: no Gaussian fits it.
    """
    n_frames = sum(len(table[u]) for u in utterances)
    mean = sum(table[u].sum(axis=0, dtype=np.float64) for u in utterances) / n_frames
    variance = sum(((table[u] - mean) ** 2).sum(axis=0) for u in utterances) / n_frames
    if not (variance > 0).all():
        constant, where = int(np.argmin(variance > 0)), f"{n_frames} of {many(len(utterances), 'utterance')}"
        raise ModelError(
            f"feature {constant} is {mean[constant]:g} in every frame ({where}); are the recordings silent, or a frame "
            "long each?"
        )
    return DiagGmms(np.ones(n_pdfs), np.tile(mean, (n_pdfs, 1)), np.tile(variance, (n_pdfs, 1)), np.arange(n_pdfs + 1))


def silence_boosts(tree: MonophoneTree, silence_phone: int, factor: float) -> np.ndarray | None:
    """float32 (n_pdfs,): added to log-likelihoods in alignment only, so that the model itself stays as it is."""
    if factor == 1.0:
        return None
    boosts = np.zeros(tree.n_pdfs, np.float32)
    first = tree.first_pdf[silence_phone]
    boosts[first : first + tree.n_classes[silence_phone]] = np.log(factor)
    return boosts


def pause_alignments(
    parts: Sequence[Part],
    transcripts: Mapping[str, Sequence[int]],
    lexicon: "Lexicon",
    tree: ContextDependency,
    transitions: TransitionModel,
    rng: np.random.Generator,
) -> tuple[list[np.ndarray], dict[str, str]]:
    """Transition ids to begin training with, of every part, and why some utterances have none.

    An utterance's words, without silence between them, share its frames outside of pauses equally; each pause is a
    piece of silence of its own. The result is for the first statistics only: it is no path through the training graph
    where a pause interrupts a word. An utterance with too few frames outside of pauses is aligned as in
    `equal_alignments`, and so are all with a lexicon without silence.

    Args:
        parts: their frames' first feature must rise with loudness, as C0, the log energy and low mel bands do.
        transcripts: utterance id -> word ids.
    """
    all_ids, failures = equal_alignments(parts, rng)
    if lexicon.silence_prob == 0:
        return all_ids, failures
    threshold = loudness_threshold(np.concatenate([part.frames[:, 0] for part in parts]))
    unbroken = replace(lexicon, silence_prob=0.0)
    silence = training_graphs({"silence": []}, lexicon, tree, transitions)
    min_pause = max(MIN_PAUSE, int(silence.min_frames[0]))
    for part, ids in zip(parts, all_ids, strict=True):
        spoken = {u: transcripts[u] for u in part.ids if len(transcripts[u]) and u not in failures}
        if not spoken:
            continue
        words = training_graphs(spoken, unbroken, tree, transitions)
        for utterance, start, end in zip(part.ids, part.offsets[:-1], part.offsets[1:], strict=True):
            if utterance in spoken:
                pause = find_pauses(part.frames[start:end, 0], threshold, min_pause=min_pause)
                spread = equal_alignment(words, words.graph_of[utterance], int((~pause).sum()), rng)
                if spread is not None:
                    ids[start:end][~pause] = spread
                    ids[start:end][pause] = _silences(silence, pause, rng)
    return all_ids, failures


def _silences(silence: TrainingGraphs, pause: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The transition ids of the frames in pauses: each pause is spread over the states of one silence."""
    pieces = [equal_alignment(silence, 0, end - start, rng) for start, end in stretches(pause, True)]
    return np.concatenate([p for p in pieces if p is not None] or [np.zeros(0, np.int32)])


def find_pauses(
    loudness: np.ndarray, threshold: float, *, min_pause: int = MIN_PAUSE, min_speech: int = MIN_SPEECH
) -> np.ndarray:
    """bool (n_frames,): the frames of pauses.

    Args:
        loudness: (n_frames,). Frames below `threshold` are quiet; louder stretches shorter than `min_speech` count as
            quiet too, then quiet stretches shorter than `min_pause` as speech.

    Examples:
        >>> find_pauses(np.array([0, 0, 0, 1, 0, 1, 1, 1, 0, 1]), 0.5, min_pause=2, min_speech=2).astype(int)
        array([1, 1, 1, 1, 1, 0, 0, 0, 1, 1])
    """
    pause = np.asarray(loudness) < threshold
    for kind, shortest in ((False, min_speech), (True, min_pause)):
        for start, end in list(stretches(pause, kind)):
            if end - start < shortest:
                pause[start:end] = not kind
    return pause
