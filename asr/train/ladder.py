"""The ladder of acoustic models, each trained from the alignment of the one before: Kaldi's usual way, by functions.

    mono       monophones, of the shortest utterances first
    tri        triphones with a decision tree
    lda-mllt   spliced features in the directions that tell the tree's pdfs apart
    sat        features that each speaker's fMLLR transform normalises

Options are Kaldi's but for the sizes, which grow with the hours of speech (`Sizes`).
"""

import json
import logging
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from ..display.brief import brief_repr
from ..errors import ConfigError, CorpusError, ModelError, did_you_mean
from ..features.pipeline import Delta, FeaturePipeline, Splice
from ..features.table import FeatureTable
from ..files import replacing, write_text
from ..files.json_files import read_json, taking_apart
from ..gmm.lda_mllt import LdaMlltOptions, train_lda_mllt
from ..gmm.model import DiagGmms
from ..gmm.mono import MonoOptions, train_mono
from ..gmm.passes import Workers, make_parts
from ..gmm.sat import SatOptions, train_sat
from ..gmm.schedule import PassRecord
from ..gmm.triphone import TriphoneOptions, TriphoneResult, train_deltas
from ..hmm.questions import Question
from ..hmm.transitions import TransitionModel
from ..hmm.tree import ContextDependency
from ..hmm.tree_building import TreeOptions
from ..lang.lexicon import Lexicon
from ..model.adaptation import SpeakerAdaptation
from ..model.model import Model, load
from ..model.parts import load_arrays
from ..model.units import HmmUnits
from .data import Data

logger = logging.getLogger(__name__)

STAGES = ("mono", "tri", "lda-mllt", "sat")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sizes:
    """How large the models are.

    Attributes:
        mono_gaussians: of monophones.
        mono_hours: of the shortest utterances, that monophones are trained on.
        leaves: of the other models.
        gaussians: of the other models.
    """

    mono_gaussians: int = 1000
    mono_hours: float = 1.0
    leaves: int = 2000
    gaussians: int = 10_000

    @classmethod
    def of_hours(cls, hours: float) -> "Sizes":
        """Sizes that suit some hours of speech, pauses counted.

        leaves = 750 h^0.65 and Gaussians = 3,500 h^0.7, which is 2,000 and 10,000 for 4 to 5 hours, about what Kaldi's
        recipes have, and 370 and 1,600 for 20 minutes. (On 18 minutes of Mboshi, LDA+MLLT models of 900 and 1,500
        Gaussians had character error rates of 54.1 and 52.6 %.)
        """
        hours = max(hours, 0.02)
        leaves = round(750 * hours**0.65)
        return cls(
            mono_gaussians=round(min(1000, 200 + 1600 * hours)),
            leaves=leaves,
            gaussians=max(round(3500 * hours**0.7), round(1.5 * leaves)),
        )

    @property
    def of_tree(self) -> dict[str, Any]:
        """The options of a model with a tree."""
        return {"total_gaussians": self.gaussians, "tree": TreeOptions(max_leaves=self.leaves)}


@dataclass(frozen=True, eq=False)
class Rung:
    """A model of the ladder, and what the next one needs.

    Attributes:
        model: without a graph.
        alignments: utterance id -> int32 (n_frames,) transition ids.
        failures: utterance id -> why it was left out.
        log: one record a pass.
    """

    model: Model
    alignments: dict[str, np.ndarray]
    failures: dict[str, str]
    log: list[PassRecord]

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def transitions(self) -> TransitionModel:
        """The model's transitions."""
        return self.model.hmms.transitions

    @property
    def tree(self) -> ContextDependency:
        """The model's tree."""
        return self.model.hmms.tree

    @property
    def gmms(self) -> DiagGmms:
        """The model's Gaussians."""
        return cast(DiagGmms, self.model.acoustic)

    def save(self, folder: Path) -> None:
        """Write the model, its alignments and the log into a folder."""
        self.model.save(folder / "model")
        ids = list(self.alignments)
        with replacing(folder / "alignments.npz") as temporary:
            np.savez(
                temporary,
                ids=np.array(ids, dtype=np.str_),
                lengths=np.array([len(self.alignments[u]) for u in ids], np.int64),
                transition_ids=np.concatenate([np.zeros(0, np.int32), *self.alignments.values()]),
            )
        told = {"failures": self.failures, "log": [asdict(record) for record in self.log]}
        write_text(folder / "training.json", json.dumps(told, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Rung":
        """What `save` wrote."""
        arrays = load_arrays(folder / "alignments.npz")
        with taking_apart(folder / "alignments.npz", what="alignments", error=ModelError):
            pieces = np.split(arrays["transition_ids"], np.cumsum(arrays["lengths"]))[:-1]  # none with CTC
            alignments = dict(zip(arrays["ids"].tolist(), pieces, strict=True))
        told = read_json(folder / "training.json", error=ModelError)
        with taking_apart(folder / "training.json", what="a training's log", error=ModelError):
            log = [PassRecord(**record) for record in told["log"]]
        return cls(load(folder / "model"), alignments, told["failures"], log)


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
) -> dict[str, Rung]:
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
    found: dict[str, Rung] = {}
    for stage in stages:
        told = None if progress is None else (lambda done, total, stage=stage: progress(stage, done, total))
        found[stage] = train_rung(
            stage, data, lexicon, next(reversed(found.values()), None),
            pipeline=pipeline, sizes=sizes, questions=questions, seed=seed, n_jobs=n_jobs, progress=told,
        )  # fmt: skip
    return found


def check_stages(stages: Sequence[str]) -> None:
    """Raise ConfigError unless the stages are some of STAGES in their order, beginning with mono."""
    for stage in stages:
        if stage not in STAGES:
            raise ConfigError(f"no stage {stage!r}{did_you_mean(stage, STAGES)}; there are {', '.join(STAGES)}")
    if list(stages) != [s for s in STAGES if s in stages] or "mono" not in stages:
        raise ConfigError(f"stages {', '.join(stages) or '(none)'}: begin with mono, and keep to {', '.join(STAGES)}")


def train_rung(
    stage: str,
    data: Data,
    lexicon: Lexicon,
    previous: Rung | None,
    *,
    pipeline: FeaturePipeline,
    sizes: Sizes,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> Rung:
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
) -> Rung:
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
    rung = Rung(model, result.alignments, result.failures, result.log)
    others = [u for u in table if u not in short]
    if not others:
        return rung
    found, failures = aligned(rung, table.select(others), transcripts, options or MonoOptions(), n_jobs=n_jobs)
    return Rung(model, {**result.alignments, **found}, {**result.failures, **failures}, result.log)


def triphones(
    data: Data,
    lexicon: Lexicon,
    pipeline: FeaturePipeline,
    previous: Rung,
    options: TriphoneOptions | None = None,
    *,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> Rung:
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
    return _rung(result, pipeline, lexicon, how)


def lda_mllt(
    data: Data,
    lexicon: Lexicon,
    pipeline: FeaturePipeline,
    previous: Rung,
    options: LdaMlltOptions | None = None,
    *,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> Rung:
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
    return _rung(result, pipeline.then(splice).then_affine(result.transform), lexicon, how)


def sat(
    data: Data,
    lexicon: Lexicon,
    previous: Rung,
    options: SatOptions | None = None,
    *,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> Rung:
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
    return _rung(result, pipeline, lexicon, how, SpeakerAdaptation(result.alignment_gmms, result.gmms))


def aligned(
    rung: Rung,
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
    model, wanted = rung.model, {u: transcripts[u] for u in table}
    parts = make_parts(table, wanted, model.lexicon, rung.tree, rung.transitions)
    nothing = [np.zeros(len(part.frames), np.int32) for part in parts]
    with Workers(parts, n_jobs) as workers:
        results = workers.run(nothing, rung.gmms, rung.transitions, options.align_options(options.num_iters), None)
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


def warn_of_failures(stage: str, failures: Mapping[str, str], n_utterances: int) -> None:
    """Warn of utterances that a model is not trained on, in one line with an example.

    Args:
        failures: id -> why.
    """
    if failures:
        first, why = next(iter(failures.items()))
        logger.warning(
            "%s: %d of %d utterances %s left out, such as %s: %s",
            stage, len(failures), n_utterances, "is" if len(failures) == 1 else "are", first, why,
        )  # fmt: skip


def without_pronunciation(data: Data, known: Container[str]) -> dict[str, str]:
    """Why utterances are left out that are not among those whose words the lexicon knows."""
    return {u: f"its words are not all in the lexicon: {data.transcripts[u]}" for u in data.raw if u not in known}


def too_short(data: Data, lexicon: Lexicon, frame_shift: float) -> dict[str, str]:
    """Why utterances cannot be aligned that have fewer frames than the HMMs of their words have states.

    Args:
        frame_shift: s. Utterances with words that the lexicon lacks are not looked at.
    """
    found: dict[str, str] = {}
    for u, words in lexicon.encode_all(data.references).items():
        least = MonoOptions.n_states * sum(min(map(len, lexicon.pronunciations(word))) for word in words)
        if len(data.raw[u]) < least:
            found[u] = too_short_told(len(data.raw[u]) * frame_shift, least * frame_shift)
    return found


def too_short_told(seconds: float, needed: float) -> str:
    """Why a recording of so many seconds is of no use, where its transcript needs others."""
    return f"its {seconds:.2f} s are too short for its transcript, which needs {needed:.2f} s or more"


def hours_of(data: Data, pipeline: FeaturePipeline) -> float:
    """Hours of speech, pauses counted."""
    return len(data.raw.frames) * pipeline.frame_shift / 3600


def _usable(data: Data, lexicon: Lexicon, pipeline: FeaturePipeline) -> tuple[FeatureTable, dict[str, list[int]]]:
    """The features and word ids of the utterances whose words the lexicon has."""
    transcripts = lexicon.encode_all(data.references)
    if not transcripts:
        raise CorpusError("no utterance can be used for training: each has a word that the lexicon lacks")
    return data.select(transcripts).normalised(pipeline), transcripts


def _rung(
    result: TriphoneResult,
    pipeline: FeaturePipeline,
    lexicon: Lexicon,
    how: Mapping[str, Any],
    adaptation: SpeakerAdaptation | None = None,
) -> Rung:
    units = HmmUnits(result.transitions, result.tree)
    model = Model(pipeline, lexicon, units, result.gmms, graph=None, seed=how.get("seed", 0), adaptation=adaptation)
    return Rung(model, result.alignments, result.failures, result.log)
