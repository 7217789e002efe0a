"""Monophone training from nothing: flat start, Viterbi training with realignment, mixing up (Kaldi's train_mono.sh)."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import ModelError
from ..hmm.align import AlignOptions
from ..hmm.topology import Topology
from ..hmm.transitions import TransitionModel
from ..hmm.tree import MonophoneTree
from .coverage import counted, warn_of_retried, warn_of_seldom, warn_of_unheard
from .em import GmmStatistics, MStepOptions, mix_up, split_targets, update
from .model import DiagGmms
from .passes import PART_FRAMES, PassResult, Workers, equal_alignments, make_parts
from .pauses import pause_alignments

if TYPE_CHECKING:
    from ..features.table import FeatureTable
    from ..lang.lexicon import Lexicon

_logger = logging.getLogger(__name__)

REALIGN_ITERS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 35, 38)


@dataclass(frozen=True)
class MonoOptions:
    """The schedule and settings of monophone training. Names and defaults are those of Kaldi's steps/train_mono.sh."""

    num_iters: int = 40  # passes, the flat start included
    realign_iters: tuple[int, ...] = REALIGN_ITERS  # passes that align anew; pass 0 has the equal alignment
    total_gaussians: int = 1000
    max_iter_inc: int = 30  # Gaussians are added until this pass
    first_beam: float = 6.0  # nats, of scaled scores; the first realignment's
    beam: float = 10.0
    retry_beam: float = 40.0  # for utterances that the beam loses; 0 = give them up
    acoustic_scale: float = 0.1
    transition_scale: float = 1.0
    self_loop_scale: float = 0.1
    boost_silence: float = 1.0  # factor on silence likelihoods in alignment only; above 1 gives silence more frames
    power: float = 0.25  # a pdf's share of the Gaussians grows with its frames to this power
    perturb_factor: float = 0.01  # standard deviations; how far a split moves the means
    min_split_count: float = 20.0  # frames that each Gaussian of a split pdf must have
    first_min_occupancy: float = 3.0  # frames a pdf needs to be updated by the flat start
    m_step: MStepOptions = field(default_factory=MStepOptions)
    n_states: int = 3  # of a speech phone
    n_silence_states: int = 5
    fall_tolerance: float = 0.1  # nats a frame; a larger fall after a split or realignment is warned of
    start: Literal["equal", "pauses"] = "equal"  # pass 0: Kaldi's, or quiet frames as silence (see pause_alignments)

    def __post_init__(self) -> None:
        if self.num_iters < 1:
            raise ModelError(f"num_iters={self.num_iters}; training needs 1 or more passes")
        if self.total_gaussians < 1 or self.max_iter_inc < 1:
            raise ModelError(
                f"total_gaussians={self.total_gaussians}, max_iter_inc={self.max_iter_inc}; both are 1 or more"
            )
        if not (self.boost_silence > 0 and self.acoustic_scale > 0):
            raise ModelError(
                f"boost_silence={self.boost_silence}, acoustic_scale={self.acoustic_scale}; both are above 0"
            )
        if self.start not in ("equal", "pauses"):
            raise ModelError(f"start={self.start!r}; it is 'equal' or 'pauses'")
        if self.start == "pauses" and not any(0 < i < self.num_iters for i in self.realign_iters):
            raise ModelError(f"start='pauses' needs a realignment; there is none in {self.num_iters} passes")

    def align_options(self, iteration: int) -> AlignOptions:
        """The search settings of a pass."""
        return AlignOptions(
            beam=self.first_beam if iteration == 1 else self.beam,
            retry_beam=self.retry_beam,
            acoustic_scale=self.acoustic_scale,
            transition_scale=self.transition_scale,
            self_loop_scale=self.self_loop_scale,
        )


@dataclass(frozen=True)
class PassRecord:
    """One line of the training log.

    iteration, n_iterations: which pass of how many, from 0.
    log_likelihood: nats a frame, of the model before this pass's update, given the alignment.
    n_frames: that were aligned. n_gaussians: in the model before the update. realigned: in this pass.
    n_failed, n_retried: utterances without alignment, and those that needed the retry beam, when last aligned.
    fell: the likelihood fell more than splitting or realignment explains.
    seconds: wall-clock time of the pass.
    """

    iteration: int
    n_iterations: int
    log_likelihood: float
    n_frames: int
    n_gaussians: int
    realigned: bool
    n_failed: int
    n_retried: int
    fell: bool
    seconds: float


@dataclass(frozen=True, eq=False)
class MonoResult:
    """A trained monophone model, and what happened on the way.

    alignments: utterance id -> int32 (n_frames,) transition ids, of the last realignment.
    failures: utterance id -> why it has no alignment. log: one record a pass.
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

    table: features of the utterances; complete (deltas, normalisation), float32 (n_frames, dim) each.
    transcripts: utterance id -> word ids of the lexicon (Lexicon.encode). Utterances without features, or that cannot
        be aligned, are left out and listed in the result's failures. What the transcripts leave untrained is logged.
    seed: of the flat start's random paths and of splitting. The result depends on it, not on n_jobs.
    n_jobs: processes; utterances are divided among them.
    progress: called after each pass with the number done and the number of all.
    Raises ModelError where no utterance can be used, GraphError for a word without pronunciation.

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
    gmms = flat_start(table, usable, tree.n_pdfs)
    _logger.info(
        "monophone training: %s in %s, %d pdfs, %d features a frame",
        counted(len(usable), "utterance"), counted(len(parts), "part"), tree.n_pdfs, gmms.dim,
    )  # fmt: skip
    warn_of_unheard(lexicon, chosen)
    boosts = silence_boosts(tree, lexicon.silence_id, options.boost_silence)
    if options.start == "pauses":
        start = pause_alignments(parts, chosen, lexicon, tree, transitions, rng)
    else:
        start = equal_alignments(parts, rng)
    with Workers(parts, n_jobs) as workers:
        run = _Run(options, workers, gmms, transitions, boosts, rng, start, n_unusable=len(unusable))
        for iteration in range(options.num_iters):
            run.one_pass(iteration)
            if progress:
                progress(iteration + 1, options.num_iters)
    run.warn_of_lost()
    warn_of_seldom(lexicon, run.transitions, run.counts, options.m_step.min_gaussian_occupancy)
    failures, retried = {**unusable, **run.failures}, run.often_retried()
    warn_of_retried(retried, len(usable))
    return MonoResult(run.gmms, run.transitions, tree, run.alignments(), failures, retried, run.log)


def usable_utterances(
    table: "FeatureTable", transcripts: Mapping[str, Sequence[int]]
) -> tuple[list[str], dict[str, str]]:
    """The ids of utterances that have features and a transcript, in order; and why others do not."""
    usable, unusable = [], {}
    for utterance in transcripts:
        if utterance not in table:
            unusable[utterance] = "it has a transcript, but no features"
        elif len(table[utterance]) == 0:
            unusable[utterance] = "it has no frames"
        elif not np.isfinite(table[utterance]).all():
            unusable[utterance] = "its features are not all finite numbers; look at its audio"
        else:
            usable.append(utterance)
    if not usable:
        raise ModelError(f"no utterance has both features and a transcript{_examples(unusable)}")
    if unusable:
        left_out = counted(len(unusable), "utterance")
        _logger.warning("unusable, left out: %s%s", left_out, _examples(unusable))
    return usable, unusable


def flat_start(table: "FeatureTable", utterances: Sequence[str], n_pdfs: int) -> DiagGmms:
    """One Gaussian a pdf, each with the mean and variance of all frames.

    Raises ModelError where a feature is constant: no Gaussian fits it.
    """
    n_frames = sum(len(table[u]) for u in utterances)
    mean = sum(table[u].sum(axis=0, dtype=np.float64) for u in utterances) / n_frames
    variance = sum(((table[u] - mean) ** 2).sum(axis=0) for u in utterances) / n_frames
    if not (variance > 0).all():
        raise ModelError(f"feature {int(np.argmin(variance > 0))} is {mean[np.argmin(variance > 0)]:g} in every frame")
    return DiagGmms(np.ones(n_pdfs), np.tile(mean, (n_pdfs, 1)), np.tile(variance, (n_pdfs, 1)), np.arange(n_pdfs + 1))


def silence_boosts(tree: MonophoneTree, silence_phone: int, factor: float) -> np.ndarray | None:
    """float32 (n_pdfs,): added to log-likelihoods in alignment only, so that the model itself stays as it is."""
    if factor == 1.0:
        return None
    boosts = np.zeros(tree.n_pdfs, np.float32)
    first = tree.first_pdf[silence_phone]
    boosts[first : first + tree.n_classes[silence_phone]] = np.log(factor)
    return boosts


def _examples(reasons: Mapping[str, str], count: int = 3) -> str:
    """A few of the utterances and reasons, for a message."""
    shown = "; ".join(f"{u}: {reason}" for u, reason in list(reasons.items())[:count])
    more = f"; and {len(reasons) - count} more" if len(reasons) > count else ""
    return f": {shown}{more}" if shown else ""


def _log_failures(failures: Mapping[str, str], level: int) -> None:
    if failures:
        _logger.log(level, "no alignment, left out: %s%s", counted(len(failures), "utterance"), _examples(failures))


class _Run:
    """The state of a training run between passes."""

    def __init__(
        self,
        options: MonoOptions,
        workers: Workers,
        gmms: DiagGmms,
        transitions: TransitionModel,
        boosts: np.ndarray | None,
        rng: np.random.Generator,
        start: tuple[list[np.ndarray], dict[str, str]],
        n_unusable: int,
    ):
        self.options, self.workers, self.rng, self.boosts = options, workers, rng, boosts
        self.gmms, self.transitions = gmms, transitions
        self.n_unusable = n_unusable
        self.log: list[PassRecord] = []
        self.target = gmms.n_gauss
        self.increment = max(0, options.total_gaussians - gmms.n_gauss) // options.max_iter_inc
        self.size_changed = False
        self.n_retried = 0
        self.times_retried: Counter[str] = Counter()
        self.counts = np.zeros(transitions.n_transition_ids + 1)  # of transition ids, in the newest pass
        self.ids, self.failures = start
        self.too_short = self.failures
        _log_failures(self.failures, logging.WARNING)
        if options.total_gaussians < gmms.n_gauss:
            _logger.warning("total_gaussians=%d is below the %d pdfs", options.total_gaussians, gmms.n_gauss)

    def one_pass(self, iteration: int) -> None:
        """Align if it is time, accumulate, log, update, split."""
        started = time.perf_counter()
        realign = iteration > 0 and iteration in self.options.realign_iters
        results = self.workers.run(
            self.ids,
            self.gmms,
            self.transitions,
            self.options.align_options(iteration) if realign else None,
            self.boosts,
        )
        if realign:
            self._take_alignments(results)
        statistics = results[0].statistics
        self.counts = results[0].transition_counts
        for result in results[1:]:
            statistics = statistics + result.statistics
            self.counts = self.counts + result.transition_counts
        if statistics.n_frames == 0:
            raise ModelError(f"no utterance can be aligned with its transcript{_examples(self.failures)}")
        log_likelihood = statistics.log_likelihood / statistics.n_frames
        fell = self._fell(iteration, log_likelihood, realign)
        n_gaussians = self.gmms.n_gauss
        self._update(iteration, statistics)
        record = PassRecord(
            iteration, self.options.num_iters, log_likelihood, statistics.n_frames, n_gaussians, realign,
            len(self.failures) + self.n_unusable, self.n_retried, fell, time.perf_counter() - started,
        )  # fmt: skip
        self.log.append(record)
        _logger.info(
            "pass %d: %.4f nats a frame over %d frames, %d Gaussians%s, %d failed, %d retried",
            iteration, log_likelihood, record.n_frames, n_gaussians, ", realigned" if realign else "",
            record.n_failed, record.n_retried,
        )  # fmt: skip

    def _take_alignments(self, results: list[PassResult]) -> None:
        failures = {u: reason for result in results for u, reason in result.failures.items()}
        _log_failures({u: why for u, why in failures.items() if u not in self.failures}, logging.INFO)
        self.failures = failures
        self.ids = [result.transition_ids for result in results]
        self.n_retried = sum(len(result.retried) for result in results)
        for result in results:
            self.times_retried.update(result.retried)

    def _fell(self, iteration: int, log_likelihood: float, realign: bool) -> bool:
        """Whether the likelihood fell more than it may: by rounding only, where alignment and sizes are the same."""
        if not self.log:
            return False
        fall = self.log[-1].log_likelihood - log_likelihood
        allowed = self.options.fall_tolerance if realign or self.size_changed else 1e-3
        if fall > allowed:
            _logger.warning(
                "pass %d: the likelihood fell by %.4f to %.4f nats a frame (allowed: %g); look at the features",
                iteration,
                fall,
                log_likelihood,
                allowed,
            )
        return bool(fall > allowed)

    def _update(self, iteration: int, statistics: GmmStatistics) -> None:
        """The M-step, and more Gaussians if it is time."""
        options = self.options
        m_step = options.m_step
        if iteration == 0:
            m_step = replace(m_step, min_gaussian_occupancy=options.first_min_occupancy)
        occupancies = np.add.reduceat(statistics.occupancy, self.gmms.offsets[:-1])
        before = self.gmms.n_gauss
        self.gmms = update(self.gmms, statistics, m_step)
        self.transitions = self.transitions.updated(self.counts)
        self.size_changed = self.gmms.n_gauss != before
        if self.target > self.gmms.n_gauss:
            targets = split_targets(occupancies, self.target, power=options.power, min_count=options.min_split_count)
            self.gmms = mix_up(self.gmms, targets, self.rng, perturb_factor=options.perturb_factor)
            self.size_changed = True
        if 1 <= iteration <= options.max_iter_inc:
            self.target += self.increment

    def warn_of_lost(self) -> None:
        """Log the utterances that the last realignment lost as a warning; those too short were warned of before."""
        lost = {u: why for u, why in self.failures.items() if u not in self.too_short}
        _log_failures(lost, logging.WARNING)

    def often_retried(self) -> list[str]:
        """The utterances that needed the retry beam in half of the realignments or more, sorted."""
        n_realigned = sum(record.realigned for record in self.log)
        return sorted(u for u, times in self.times_retried.items() if 2 * times >= n_realigned)

    def alignments(self) -> dict[str, np.ndarray]:
        """Utterance id -> transition ids, of those that are aligned."""
        found: dict[str, np.ndarray] = {}
        for part, ids in zip(self.workers.parts, self.ids, strict=True):
            found.update(part.by_utterance(ids))
        return found
