"""The ladder of acoustic models, each trained from the alignment of the one before: Kaldi's usual way, by functions.

    mono       monophones, of the shortest utterances first
    tri        triphones with a decision tree
    lda-mllt   spliced features in the directions that tell the tree's pdfs apart
    sat        features that each speaker's fMLLR transform normalises

Options are Kaldi's but for the sizes, which grow with the hours of speech (`Sizes`).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..errors import ConfigError, CorpusError, did_you_mean
from ..features.pipeline import Delta, FeaturePipeline, Splice
from ..features.table import FeatureTable
from ..gmm.lda_mllt import LdaMlltOptions, train_lda_mllt
from ..gmm.mono import MonoOptions, train_mono
from ..gmm.passes import Workers, make_parts
from ..gmm.sat import SatOptions, train_sat
from ..gmm.triphone import TriphoneOptions, TriphoneResult, train_deltas
from ..hmm.questions import Question
from ..lang.lexicon import Lexicon
from ..model.adaptation import UNADAPTED, Adaptation, SpeakerAdaptation
from ..model.model import Model
from ..model.units import HmmUnits
from .data import Data
from .stage import Sizes, TrainedStage, hours_of

logger = logging.getLogger(__name__)

STAGES = ("mono", "tri", "lda-mllt", "sat")

Progress = Callable[[int, int], None]


def train_ladder(
    data: Data,
    lexicon: Lexicon,
    stages: Sequence[str] = STAGES,
    *,
    pipeline: FeaturePipeline,
    sizes: Sizes | None = None,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, TrainedStage]:
    """The models of some stages, by name, in order; the last is usually the best.

    Args:
        pipeline: front-end and normalisation; derivatives, splicing and transforms are added as each stage needs them.
        sizes: those of the hours of speech if not given.
        questions: for the trees, besides those found by clustering.
        progress: called with the stage, and its done and all passes.

    Raises:
        ConfigError: for unknown stages or ones out of order.
        CorpusError: where nothing can be trained.
        ModelError: where nothing can be trained.
    """
    check_stages(stages)
    sizes = sizes or Sizes.of_hours(hours_of(data, pipeline))
    found: dict[str, TrainedStage] = {}
    for stage in stages:
        reported = None if progress is None else (lambda done, total, stage=stage: progress(stage, done, total))
        found[stage] = train_stage(
            stage, data, lexicon, next(reversed(found.values()), None),
            pipeline=pipeline, sizes=sizes, questions=questions, seed=seed, n_jobs=n_jobs, progress=reported,
        )  # fmt: skip
    return found


def check_stages(stages: Sequence[str]) -> None:
    """Raise ConfigError unless the stages are some of STAGES in their order, beginning with mono."""
    for stage in stages:
        if stage not in STAGES:
            raise ConfigError(f"no stage {stage!r}{did_you_mean(stage, STAGES)}; there are {', '.join(STAGES)}")
    if list(stages) != [s for s in STAGES if s in stages] or "mono" not in stages:
        raise ConfigError(f"stages {', '.join(stages) or '(none)'}: begin with mono, and keep to {', '.join(STAGES)}")


def train_stage(
    stage: str,
    data: Data,
    lexicon: Lexicon,
    previous: TrainedStage | None,
    *,
    pipeline: FeaturePipeline,
    sizes: Sizes,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> TrainedStage:
    """One stage of the ladder from the one before; arguments as of `train_ladder`."""
    how: dict[str, Any] = {"seed": seed, "n_jobs": n_jobs, "progress": progress}
    if stage == "mono" or previous is None:
        options = MonoOptions(total_gaussians=sizes.mono_gaussians, start=_flat_start(pipeline))
        return monophones(data, lexicon, pipeline, options, hours=sizes.mono_hours, **how)
    how["questions"] = questions
    if stage == "tri":
        return triphones(data, lexicon, pipeline, previous, TriphoneOptions(**sizes.of_tree), **how)
    if stage == "lda-mllt":
        n_spliced = pipeline.dim * (LdaMlltOptions.splice_left + 1 + LdaMlltOptions.splice_right)
        reduced = LdaMlltOptions(dim=min(LdaMlltOptions.dim, n_spliced), **sizes.of_tree)
        return lda_mllt(data, lexicon, pipeline, previous, reduced, **how)
    return sat(data, lexicon, previous, SatOptions(**sizes.of_tree), **how)


def _flat_start(pipeline: FeaturePipeline) -> Literal["equal", "pauses"]:
    """By pauses, where the first feature tells how loud a frame is; it is not known of features that are given.

    Of 5,330 held-out units of Mboshi, monophones had 2,299 wrong after Kaldi's flat start, 2,211 after that by pauses.
    """
    return "pauses" if pipeline.first.rises_with_loudness else "equal"


def monophones(
    data: Data,
    lexicon: Lexicon,
    pipeline: FeaturePipeline,
    options: MonoOptions | None = None,
    *,
    hours: float = float("inf"),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> TrainedStage:
    """Monophones with derivatives, trained on the shortest utterances; all are aligned.

    Short utterances are easiest to align from nothing, and soon done; the models after use all.

    Args:
        hours: of the shortest utterances that are used.
    """
    pipeline = pipeline.then(Delta()).with_prior([data.raw[u] for u in data.raw])
    table, transcripts = _usable(data, lexicon, pipeline)
    chosen = shortest(table, hours * 3600 / pipeline.frame_shift)
    short = {u: transcripts[u] for u in chosen}
    if len(chosen) < len(table):
        logger.info("monophones: the %d shortest of %d utterances", len(chosen), len(table))
    result = train_mono(
        table.select(chosen), short, lexicon, options, seed=seed, n_jobs=n_jobs, progress=progress
    )  # fmt: skip
    units = HmmUnits(result.transitions, result.tree)
    model = Model(pipeline, lexicon, units, result.gmms, graph=None, seed=seed)
    stage = TrainedStage(model, result.alignments, result.failures, result.log)
    others = [u for u in table if u not in short]
    if not others:
        return stage
    found, failures = aligned(stage, table.select(others), transcripts, options or MonoOptions(), n_jobs=n_jobs)
    return TrainedStage(model, {**result.alignments, **found}, {**result.failures, **failures}, result.log)


def triphones(
    data: Data,
    lexicon: Lexicon,
    pipeline: FeaturePipeline,
    previous: TrainedStage,
    options: TriphoneOptions | None = None,
    *,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> TrainedStage:
    """Triphones with derivatives.

    Args:
        questions: as of `train_deltas`.
        seed: as of `train_deltas`.
        n_jobs: as of `train_deltas`.
        progress: as of `train_deltas`.
    """
    how: dict[str, Any] = {"questions": questions, "seed": seed, "n_jobs": n_jobs, "progress": progress}
    pipeline = pipeline.then(Delta()).with_prior([data.raw[u] for u in data.raw])
    result = train_deltas(*_usable(data, lexicon, pipeline), lexicon, previous, options, **how)
    return _stage(result, pipeline, lexicon, how)


def lda_mllt(
    data: Data,
    lexicon: Lexicon,
    pipeline: FeaturePipeline,
    previous: TrainedStage,
    options: LdaMlltOptions | None = None,
    *,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> TrainedStage:
    """Triphones of spliced features after LDA and MLLT.

    Args:
        questions: as of `triphones`.
        seed: as of `triphones`.
        n_jobs: as of `triphones`.
        progress: as of `triphones`.
    """
    how: dict[str, Any] = {"questions": questions, "seed": seed, "n_jobs": n_jobs, "progress": progress}
    options = options or LdaMlltOptions()
    pipeline = pipeline.with_prior([data.raw[u] for u in data.raw])
    result = train_lda_mllt(*_usable(data, lexicon, pipeline), lexicon, previous, options, **how)
    splice = Splice(left=options.splice_left, right=options.splice_right)
    return _stage(result, pipeline.then(splice).then_affine(result.transform), lexicon, how)


def sat(
    data: Data,
    lexicon: Lexicon,
    previous: TrainedStage,
    options: SatOptions | None = None,
    *,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> TrainedStage:
    """Triphones of the features before, after each speaker's transform; the model decodes in several passes.

    Args:
        questions: as of `triphones`.
        seed: as of `triphones`.
        n_jobs: as of `triphones`.
        progress: as of `triphones`.
    """
    how: dict[str, Any] = {"questions": questions, "seed": seed, "n_jobs": n_jobs, "progress": progress}
    pipeline = previous.model.features
    table, transcripts = _usable(data, lexicon, pipeline)
    result = train_sat(table, transcripts, lexicon, previous, data.speakers, options, **how)
    return _stage(result, pipeline, lexicon, how, SpeakerAdaptation(result.alignment_gmms, result.gmms))


def aligned(
    stage: TrainedStage,
    table: FeatureTable,
    transcripts: Mapping[str, Sequence[int]],
    options: MonoOptions | TriphoneOptions,
    *,
    n_jobs: int = 1,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The alignments of some utterances with a model of one pass, and why others have none.

    Args:
        table: their features after the model's pipeline.
        transcripts: utterance id -> word ids, of these and others.
    """
    model, wanted = stage.model, {u: transcripts[u] for u in table}
    parts = make_parts(table, wanted, model.lexicon, stage.tree, stage.transitions)
    nothing = [np.zeros(len(part.frames), np.int32) for part in parts]
    with Workers(parts, n_jobs) as workers:
        results = workers.run(nothing, stage.gmms, stage.transitions, options.align_options(options.num_iters), None)
    found: dict[str, np.ndarray] = {}
    failures: dict[str, str] = {}
    for part, result in zip(parts, results, strict=True):
        found.update(part.by_utterance(result.transition_ids))
        failures.update(result.failures)
    return found, failures


def shortest(table: FeatureTable, n_frames: float) -> list[str]:
    """The shortest utterances, as many as hold n_frames, one at least; in the table's order."""
    lengths = np.diff(table.offsets)
    order = np.argsort(lengths, kind="stable")
    n_chosen = max(1, int(np.searchsorted(np.cumsum(lengths[order]), n_frames, side="right")))
    return [table.ids[i] for i in sorted(order[:n_chosen].tolist())]


def _usable(data: Data, lexicon: Lexicon, pipeline: FeaturePipeline) -> tuple[FeatureTable, dict[str, list[int]]]:
    """The features and word ids of the utterances whose words the lexicon has."""
    transcripts = lexicon.encode_all(data.references)
    if not transcripts:
        raise CorpusError("no utterance can be used for training: each has a word that the lexicon lacks")
    return data.select(transcripts).normalised(pipeline), transcripts


def _stage(
    result: TriphoneResult,
    pipeline: FeaturePipeline,
    lexicon: Lexicon,
    how: Mapping[str, Any],
    adaptation: Adaptation = UNADAPTED,
) -> TrainedStage:
    units = HmmUnits(result.transitions, result.tree)
    model = Model(pipeline, lexicon, units, result.gmms, graph=None, seed=how.get("seed", 0), adaptation=adaptation)
    return TrainedStage(model, result.alignments, result.failures, result.log)
