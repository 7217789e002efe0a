"""Speaker-adaptive training: a model of features that each speaker's fMLLR transform normalises (train_sat.sh)."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..display.brief import brief_repr, many
from ..errors import ModelError
from ..features.affine import affine
from ..features.table import FeatureTable
from ..hmm.questions import Question
from ..hmm.transitions import TransitionModel
from .em import GmmStatistics, accumulate, update
from .fmllr import Fmllr, FmllrStatistics, accumulate_fmllr, estimate_fmllr
from .lda_mllt import with_features
from .model import DiagGmms
from .passes import Part, Workers
from .schedule import Run, usable_utterances
from .triphone import Aligned, TriphoneOptions, TriphoneResult, run_passes, start_training

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SatOptions(TriphoneOptions):
    """The settings of speaker-adaptive training. Names and defaults are those of Kaldi's steps/train_sat.sh."""

    power: float = 0.2
    fmllr_iters: tuple[int, ...] = (2, 4, 6, 12)  # passes before which the transforms are estimated anew
    silence_weight: float = 0.0  # of frames of silence in the transforms' statistics


class Model(Aligned, Protocol):
    """A trained model with its Gaussians."""

    @property
    def gmms(self) -> DiagGmms: ...


@dataclass(frozen=True, eq=False)
class SatResult(TriphoneResult):
    """A trained model; see TriphoneResult. gmms are of transformed features.

    Attributes:
        alignment_gmms: the same Gaussians for features without a transform, for the first decoding pass and for the
            posteriors from which a new speaker's transform is estimated (Kaldi's final.alimdl).
        transforms: speaker -> the transform of the training data.
    """

    alignment_gmms: DiagGmms
    transforms: dict[str, Fmllr]

    def __repr__(self) -> str:
        return brief_repr(self)


def train_sat(
    table: FeatureTable,
    transcripts: Mapping[str, Sequence[int]],
    lexicon: "Lexicon",
    previous: Model,
    speakers: Mapping[str, str],
    options: SatOptions | None = None,
    *,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SatResult:
    """A model for features that are transformed by speaker.

    The other arguments are those of train_deltas.

    Args:
        table: the features that `previous` was trained with, e.g. after LDA and MLLT.
        previous: the model that the first transforms are estimated with, e.g. of train_lda_mllt.
        speakers: utterance id -> speaker.

    Raises:
        ModelError: where no utterance can be used or one has no speaker.

    Same schedule as Kaldi's steps/train_sat.sh. Log-likelihoods are those of the features without transforms: their
    determinants are counted.
    """
    options = options or SatOptions()
    rng = np.random.default_rng(seed)
    usable, unusable = usable_utterances(table, transcripts)
    chosen = {u: transcripts[u] for u in usable}
    nobodys = [u for u in usable if u not in speakers]
    if nobodys:
        raise ModelError(f"utterance {nobodys[0]!r} has no speaker; {len(nobodys)} of {len(usable)} have none")
    plain = table.select(usable)
    known = {u: previous.alignments[u] for u in usable if u in previous.alignments}
    silence = [lexicon.silence_id]
    transforms = estimate_transforms(
        previous.gmms, previous.transitions, plain, known, {u: speakers[u] for u in usable},
        silence=silence, silence_weight=options.silence_weight,
    )  # fmt: skip
    features = adapted(plain, speakers, transforms)
    start = start_training(features, chosen, lexicon, previous, options, questions=questions, rng=rng)
    start = replace(start, unusable=unusable)
    with Workers(start.parts, n_jobs) as workers:
        run = start.run(options, workers, lexicon, rng)
        run.log_det = mean_log_det(plain, speakers, transforms)

        def adapt(iteration: int) -> None:
            nonlocal transforms
            if iteration in options.fmllr_iters:
                transforms = update_fmllr(run, plain, speakers, silence, options)
                features = adapted(plain, speakers, transforms)
                workers.parts = [with_features(part, features) for part in workers.parts]
                run.log_det = mean_log_det(plain, speakers, transforms)

        run_passes(run, progress, adapt)
        aligner = alignment_model(run, plain)
        return SatResult(**start.outcome(run), alignment_gmms=aligner, transforms=transforms)


def adapted(table: FeatureTable, speakers: Mapping[str, str], transforms: Mapping[str, Fmllr]) -> FeatureTable:
    """Every utterance's features after its speaker's transform."""
    return FeatureTable.from_pairs((u, affine(table[u], transforms[speakers[u]].matrix)) for u in table)


def mean_log_det(table: FeatureTable, speakers: Mapping[str, str], transforms: Mapping[str, Fmllr]) -> float:
    """Nats a frame by which transforms change the likelihood of features, on average over frames."""
    frames: Counter[str] = Counter()
    for u in table:
        frames[speakers[u]] += len(table[u])
    total = sum(n * np.linalg.slogdet(transforms[s].matrix[:, :-1])[1] for s, n in frames.items())
    return float(total) / max(len(table.frames), 1)


def speaker_transforms(
    statistics: Iterable[Mapping[str, FmllrStatistics]], everybody: Iterable[str]
) -> dict[str, Fmllr]:
    """The transform of each speaker from the statistics of parts of the data; those without a frame keep theirs."""
    total: dict[str, FmllrStatistics] = {}
    for by_speaker in statistics:
        for speaker, of_part in by_speaker.items():
            total[speaker] = total[speaker] + of_part if speaker in total else of_part
    if not total:
        raise ModelError("no utterance is aligned: there is nothing to estimate fMLLR transforms from")
    dim = len(next(iter(total.values())).linear)
    nothing = FmllrStatistics(0.0, np.zeros((dim, dim + 1)), np.zeros((dim, dim + 1, dim + 1)))
    transforms = {s: estimate_fmllr(total.get(s, nothing)) for s in sorted(set(everybody))}
    for speaker, made in transforms.items():
        _logger.info(
            "fMLLR of speaker %s: %s, from %.0f frames, %.3f nats per frame gained",
            speaker, made.kind, made.n_frames, made.gain,
        )  # fmt: skip
    silent = [speaker for speaker, made in transforms.items() if made.kind == "identity"]
    if silent:
        who = ", ".join(silent[:3])
        _logger.warning("no frame of speech from %s, so without a transform: %s", many(len(silent), "speaker"), who)
    return transforms


def weights_of_frames(
    ids: np.ndarray, transitions: TransitionModel, silence: Iterable[int], silence_weight: float
) -> np.ndarray:
    """float64 (n_frames,): silence_weight for frames of silence, 1 for others."""
    return np.where(np.isin(transitions.phone_of_id[ids], list(silence)), silence_weight, 1.0)


def estimate_transforms(
    gmms: DiagGmms,
    transitions: TransitionModel,
    table: "FeatureTable | Mapping[str, np.ndarray]",
    alignments: Mapping[str, np.ndarray],
    speakers: Mapping[str, str],
    *,
    silence: Iterable[int],
    silence_weight: float = 0.0,
    posterior_gmms: DiagGmms | None = None,
    earlier: Mapping[str, Fmllr] | None = None,
) -> dict[str, Fmllr]:
    """Every speaker's transform, from aligned utterances: of training data, or of a first decoding pass.

    Args:
        gmms: the model that the transformed features are to fit.
        transitions: the model that the transformed features are to fit.
        table: features without a transform.
        alignments: utterance id -> transition ids.
        speakers: utterance id -> speaker, of all that need a transform: one without a frame of speech gets the
            identity, and a warning says so.
        silence: phone ids.
        silence_weight: what their frames count.
        posterior_gmms: the model for features without a transform (SatResult.alignment_gmms), for a first transform.
        earlier: transforms, from which the posteriors of a second one come.
    """
    silence = list(silence)
    by_speaker: dict[str, FmllrStatistics] = {}
    for u, ids in alignments.items():
        plain = table[u]
        moved = None if earlier is None else affine(plain, earlier[speakers[u]].matrix)
        weights = weights_of_frames(ids, transitions, silence, silence_weight)
        statistics = accumulate_fmllr(
            gmms, plain, transitions.pdf_of_id[ids],
            weights=weights, posterior_gmms=posterior_gmms, posterior_features=moved,
        )  # fmt: skip
        by_speaker[speakers[u]] = by_speaker[speakers[u]] + statistics if speakers[u] in by_speaker else statistics
    return speaker_transforms([by_speaker], speakers.values())


def update_fmllr(
    run: Run, plain: FeatureTable, speakers: Mapping[str, str], silence: Iterable[int], options: SatOptions
) -> dict[str, Fmllr]:
    """The transforms under the run's model, from its alignment; posteriors are those of the features as they are."""
    arguments = [
        (ids, with_features(part, plain).frames, speakers, run.gmms, run.transitions, list(silence), options)
        for part, ids in zip(run.workers.parts, run.ids, strict=True)
    ]
    return speaker_transforms(run.workers.each(_fmllr_of_part, arguments), (speakers[u] for u in plain))


def _fmllr_of_part(part: Part, ids, plain, speakers, gmms, transitions, silence, options):
    """Speaker -> the statistics of his or her aligned frames in one part."""
    by_speaker: dict[str, FmllrStatistics] = {}
    speaker_of = np.repeat([speakers[u] for u in part.ids], np.diff(part.offsets))
    for speaker in np.unique(speaker_of).tolist():
        mine = (speaker_of == speaker) & (ids > 0)
        if mine.any():
            weights = weights_of_frames(ids[mine], transitions, silence, options.silence_weight)
            by_speaker[speaker] = accumulate_fmllr(
                gmms, plain[mine], transitions.pdf_of_id[ids[mine]],
                weights=weights, posterior_features=part.frames[mine],
            )  # fmt: skip
    return by_speaker


def alignment_model(run: Run, plain: FeatureTable) -> DiagGmms:
    """The run's Gaussians for features without transforms: posteriors of the transformed, sums of the plain ones."""
    arguments = [
        (ids, with_features(part, plain).frames, run.gmms, run.transitions)
        for part, ids in zip(run.workers.parts, run.ids, strict=True)
    ]
    statistics = reduce(add, run.workers.each(_two_features, arguments))
    return update(run.gmms, statistics, replace(run.options.m_step, remove_low_count=False))


def _two_features(
    part: Part, ids: np.ndarray, plain: np.ndarray, gmms: DiagGmms, transitions: TransitionModel
) -> GmmStatistics:
    used = ids > 0
    return accumulate(gmms, part.frames[used], transitions.pdf_of_id[ids[used]], summed=plain[used])
