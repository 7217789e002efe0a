"""The passes of GMM training, whatever it starts from: align, accumulate, update, split, log."""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..display.brief import many
from ..errors import ModelError
from ..hmm.align import AlignOptions
from ..hmm.transitions import TransitionModel
from .em import GmmStatistics, MStepOptions, mix_up, split_targets, update
from .model import DiagGmms
from .passes import PassResult, Workers

if TYPE_CHECKING:
    from ..features.table import FeatureTable

_logger = logging.getLogger(__name__)
_left_out = logging.getLogger(f"{__name__}.left_out")
"""What is said of utterances that cannot be used; a recipe that tells it of its stages itself does not show it."""


@dataclass(frozen=True)
class Schedule:
    """The passes of a training run and how each is done; names as in Kaldi's steps/train_*.sh."""

    num_iters: int = 35  # passes
    realign_iters: tuple[int, ...] = (10, 20, 30)  # passes that align anew
    total_gaussians: int = 10_000
    max_iter_inc: int = 25  # Gaussians are added until this pass
    beam: float = 10.0  # nats, of scaled scores
    retry_beam: float = 40.0  # for utterances that the beam loses; 0 = give them up
    acoustic_scale: float = 0.1
    transition_scale: float = 1.0
    self_loop_scale: float = 0.1
    boost_silence: float = 1.0  # factor on silence likelihoods in alignment only; above 1 gives silence more frames
    power: float = 0.25  # a pdf's share of the Gaussians grows with its frames to this power
    perturb_factor: float = 0.01  # standard deviations; how far a split moves the means
    min_split_count: float = 20.0  # frames that each Gaussian of a split pdf must have
    m_step: MStepOptions = field(default_factory=MStepOptions)
    fall_tolerance: float = 0.1  # nats per frame; a larger fall after a split or realignment is warned of

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

    def align_options(self, iteration: int) -> AlignOptions:
        """The search settings of a pass."""
        return AlignOptions(
            beam=self.beam,
            retry_beam=self.retry_beam,
            acoustic_scale=self.acoustic_scale,
            transition_scale=self.transition_scale,
            self_loop_scale=self.self_loop_scale,
        )

    def m_step_of(self, iteration: int) -> MStepOptions:
        """The update's settings of a pass."""
        return self.m_step


@dataclass(frozen=True)
class PassRecord:
    """One line of the training log.

    Attributes:
        iteration: which pass of how many, from 0.
        n_iterations: which pass of how many, from 0.
        log_likelihood: nats per frame, of the model before this pass's update, given the alignment; of the features
            that the run began with, where it transforms them.
        n_frames: that were aligned.
        n_gaussians: in the model before the update.
        realigned: in this pass.
        n_failed: utterances without alignment, and those that needed the retry beam, when last aligned.
        n_retried: see `n_failed`.
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
        raise ModelError(f"no utterance has both features and a transcript{examples(unusable)}")
    if unusable:
        left_out = many(len(unusable), "utterance")
        _left_out.warning("unusable, left out: %s%s", left_out, examples(unusable))
    return usable, unusable


def examples(reasons: Mapping[str, str], count: int = 3) -> str:
    """A few of the utterances and reasons, for a message."""
    shown = "; ".join(f"{u}: {reason}" for u, reason in list(reasons.items())[:count])
    more = f"; and {len(reasons) - count} more" if len(reasons) > count else ""
    return f": {shown}{more}" if shown else ""


def log_failures(failures: Mapping[str, str], level: int) -> None:
    if failures:
        _left_out.log(level, "no alignment, left out: %s%s", many(len(failures), "utterance"), examples(failures))


class Run:
    """The state of a training run between passes.

    Args:
        boosts: float32 (n_pdfs,): added to log-likelihoods in alignment, or None.
        start: every part's transition ids, 0 where an utterance has none, and why.
        n_unusable: utterances left out before.
        first_target: Gaussians after the first pass; as many as there are by default.
    """

    def __init__(
        self,
        options: Schedule,
        workers: Workers,
        gmms: DiagGmms,
        transitions: TransitionModel,
        boosts: np.ndarray | None,
        rng: np.random.Generator,
        start: tuple[list[np.ndarray], dict[str, str]],
        n_unusable: int,
        first_target: int | None = None,
    ):
        self.options, self.workers, self.rng, self.boosts = options, workers, rng, boosts
        self.gmms, self.transitions = gmms, transitions
        self.n_unusable = n_unusable
        self.log: list[PassRecord] = []
        self.target = max(gmms.n_gauss, min(first_target or 0, options.total_gaussians))
        self.increment = max(0, options.total_gaussians - self.target) // options.max_iter_inc
        self.size_changed = False
        self.n_retried = 0
        self.times_retried: Counter[str] = Counter()
        self.counts = np.zeros(transitions.n_transition_ids + 1)  # of transition ids, in the newest pass
        self.log_det = 0.0  # nats per frame; of transforms of the features since the run began
        self.ids, self.failures = start
        self.too_short = self.failures
        log_failures(self.failures, logging.WARNING)
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
            raise ModelError(f"no utterance can be aligned with its transcript{examples(self.failures)}")
        log_likelihood = statistics.log_likelihood / statistics.n_frames + self.log_det
        fell = self._fell(iteration, log_likelihood, realign)
        n_gaussians = self.gmms.n_gauss
        self._update(iteration, statistics)
        record = PassRecord(
            iteration, self.options.num_iters, log_likelihood, statistics.n_frames, n_gaussians, realign,
            len(self.failures) + self.n_unusable, self.n_retried, fell, time.perf_counter() - started,
        )  # fmt: skip
        self.log.append(record)
        _logger.info(
            "pass %d: %.4f nats per frame over %d frames, %d Gaussians%s, %d failed, %d retried",
            iteration, log_likelihood, record.n_frames, n_gaussians, ", realigned" if realign else "",
            record.n_failed, record.n_retried,
        )  # fmt: skip

    def _take_alignments(self, results: list[PassResult]) -> None:
        failures = {u: reason for result in results for u, reason in result.failures.items()}
        log_failures({u: why for u, why in failures.items() if u not in self.failures}, logging.INFO)
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
                "pass %d: the likelihood fell by %.4f to %.4f nats per frame (allowed: %g); look at the features",
                iteration,
                fall,
                log_likelihood,
                allowed,
            )
        return bool(fall > allowed)

    def _update(self, iteration: int, statistics: GmmStatistics) -> None:
        """The M-step, and more Gaussians if it is time."""
        options = self.options
        occupancies = np.add.reduceat(statistics.occupancy, self.gmms.offsets[:-1])
        before = self.gmms.n_gauss
        self.gmms = update(self.gmms, statistics, options.m_step_of(iteration))
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
        log_failures(lost, logging.WARNING)

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
