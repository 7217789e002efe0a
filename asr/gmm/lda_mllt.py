"""Training on spliced features that LDA and MLLT transform (Kaldi's train_lda_mllt.sh)."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from ..features.affine import affine
from ..features.deltas import splice
from ..features.table import FeatureTable
from ..hmm.questions import Question
from ..hmm.transitions import TransitionModel
from .lda import accumulate_classes, estimate_lda
from .mllt import MlltStatistics, accumulate_mllt, estimate_mllt, transform_means
from .model import DiagGmms
from .passes import Part, Workers
from .schedule import Run, usable_utterances
from .triphone import Aligned, TriphoneOptions, TriphoneResult, run_passes, start_training

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LdaMlltOptions(TriphoneOptions):
    """The settings of training with LDA and MLLT. Names and defaults are those of Kaldi's steps/train_lda_mllt.sh."""

    dim: int = 40  # features that LDA keeps
    splice_left: int = 4  # frames before
    splice_right: int = 4  # frames after
    mllt_iters: tuple[int, ...] = (2, 4, 6, 12)  # passes before which the MLLT transform is estimated anew


@dataclass(frozen=True, eq=False)
class LdaMlltResult(TriphoneResult):
    """A trained model; see TriphoneResult.

    Attributes:
        transform: float64 (dim, spliced dim): what spliced features are to be multiplied by for this model.
    """

    transform: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


def train_lda_mllt(
    table: FeatureTable,
    transcripts: Mapping[str, Sequence[int]],
    lexicon: "Lexicon",
    previous: Aligned,
    options: LdaMlltOptions | None = None,
    *,
    questions: Sequence[Question] = (),
    seed: int = 0,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> LdaMlltResult:
    """A model of wider-context features, in the directions that tell its pdfs apart.

    The other arguments are those of train_deltas.

    Args:
        table: static features, e.g. 13 cepstra, normalised; they are spliced here.
        previous: the model whose alignment the LDA's classes and the tree come from, e.g. of train_deltas.

    Raises:
        ModelError: where no utterance can be used or the spliced features do not allow LDA to `dim`.

    Same schedule as Kaldi's steps/train_lda_mllt.sh; statistics are not pruned at random. Log-likelihoods are those of
    the features after LDA: the determinants of the MLLT transforms are counted.
    """
    options = options or LdaMlltOptions()
    rng = np.random.default_rng(seed)
    usable, unusable = usable_utterances(table, transcripts)
    chosen = {u: transcripts[u] for u in usable}
    known = {u: previous.alignments[u] for u in usable if u in previous.alignments}
    lda = lda_of_alignment(table, known, previous.transitions, [lexicon.silence_id], options)
    reduced = transformed(table, usable, lda, options)
    start = start_training(reduced, chosen, lexicon, previous, options, questions=questions, rng=rng)
    start = replace(start, unusable=unusable)
    transform = lda
    with Workers(start.parts, n_jobs) as workers:
        run = start.run(options, workers, lexicon, rng)

        def rotate(iteration: int) -> None:
            nonlocal transform
            if iteration in options.mllt_iters:
                transform = update_mllt(run, transform)
                features = transformed(table, usable, transform, options)
                workers.parts = [with_features(part, features) for part in workers.parts]

        run_passes(run, progress, rotate)
        return LdaMlltResult(**start.outcome(run), transform=transform)


def lda_of_alignment(
    table: Mapping[str, np.ndarray] | FeatureTable,
    alignments: Mapping[str, np.ndarray],
    transitions: TransitionModel,
    silence: Iterable[int],
    options: LdaMlltOptions,
) -> np.ndarray:
    """The LDA of spliced features, whose classes are the pdfs of aligned frames; frames of silence do not count."""
    if not alignments:
        raise ModelError("LDA needs the alignment of a model before; it has none of these utterances")
    class_of_id = np.where(np.isin(transitions.phone_of_id, list(silence)), -1, transitions.pdf_of_id)
    statistics = reduce(
        add,
        (
            accumulate_classes(spliced(table[u], options), class_of_id[ids], transitions.n_pdfs)
            for u, ids in alignments.items()
        ),
    )
    return estimate_lda(statistics, options.dim)


def spliced(features: np.ndarray, options: LdaMlltOptions) -> np.ndarray:
    """Frames with their neighbours."""
    return splice(features, left=options.splice_left, right=options.splice_right)


def transformed(
    table: FeatureTable, ids: Iterable[str], transform: np.ndarray, options: LdaMlltOptions
) -> FeatureTable:
    """Some utterances' features after splicing and transform."""
    return FeatureTable.from_pairs((u, affine(spliced(table[u], options), transform)) for u in ids)


def with_features(part: Part, table: FeatureTable) -> Part:
    """The part of a corpus with other features of the same frames."""
    return replace(part, frames=np.concatenate([table[u] for u in part.ids]))


def update_mllt(run: Run, transform: np.ndarray) -> np.ndarray:
    """Estimate MLLT from the run's alignment, put it into the run's model, and return it times `transform`."""
    results = run.workers.each(mllt_of_part, [(ids, run.gmms, run.transitions) for ids in run.ids])
    mllt = estimate_mllt(reduce(add, results))
    run.gmms = transform_means(run.gmms, mllt.matrix)
    run.log_det += float(np.linalg.slogdet(mllt.matrix)[1])
    _logger.info("MLLT: %.4f nats per frame gained", mllt.gain)
    return mllt.matrix @ transform


def mllt_of_part(part: Part, ids: np.ndarray, gmms: DiagGmms, transitions: TransitionModel) -> MlltStatistics:
    """The statistics of one part's aligned frames."""
    used = ids > 0
    return accumulate_mllt(gmms, part.frames[used], transitions.pdf_of_id[ids[used]])
