"""Raw features of a corpus, computed or read: in parallel, with progress, and with a list of what could not be used."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import audio
from ..errors import AsrError, AudioError, CorpusError
from ..features.pipeline import FeaturePipeline
from ..features.silence import is_silent
from ..features.table import FeatureTable
from ..processes import explained_workers, one_blas_thread, worker_pool
from .utterance import Problem

if TYPE_CHECKING:
    from .utterance import Utterance

SILENT = "all its samples are nearly equal: nothing was recorded"

_BATCH = 32  # utterances that a worker gets at a time
_audio_log = logging.getLogger(audio.__name__)


@one_blas_thread()
def extract(
    corpus: "Iterable[Utterance]",
    pipeline: FeaturePipeline,
    *,
    n_jobs: int = 1,
    vtln_warp: float = 1.0,
    speed: float = 1.0,
    allow_failures: bool = True,
    allow_silence: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[FeatureTable, list[Problem]]:
    """The front-end's features of every utterance, or those that the corpus brings along; and what failed.

    Args:
        corpus: a Corpus or any utterances, each with id, audio, channel, start and end; the audio is resampled to the
            pipeline's rate, and mixed to one channel where none is named. For a pipeline of given features, each with
            id and features, the place where the utterance's matrix lies (see asr.features.archive); nothing else of it
            counts.
        n_jobs: processes; the result does not depend on it.
        vtln_warp: of the mel filters, for every utterance (see `mfcc`).
        speed: at which every recording is heard (see asr.audio.augment.change_speed); not for given features.
        allow_failures: False raises the first failure instead of collecting it.
        allow_silence: False: recordings in which nothing can be heard from end to end are failures, the message SILENT.
        progress: called with the utterances done so far and their total.

    Returns:
        a FeatureTable in the corpus' order, and a Problem for each utterance without features, whose `where` is the id.

    Raises:
        AudioError: for the first failure, unless failures are allowed.
        CorpusError: the same where features are given.
    """
    utterances: Sequence[Utterance] = list(getattr(corpus, "utterances", corpus))
    batches = [utterances[i : i + _BATCH] for i in range(0, len(utterances), _BATCH)]
    good: list[tuple[str, np.ndarray]] = []
    problems: list[Problem] = []
    done = 0
    for results in _in_order(batches, pipeline, n_jobs, vtln_warp, speed, allow_silence):
        for utterance_id, result in results:
            if isinstance(result, np.ndarray):
                good.append((utterance_id, result))
            elif allow_failures:
                problems.append(Problem(utterance_id, result))
            else:
                raise (CorpusError if pipeline.given else AudioError)(f"utterance {utterance_id!r}: {result}")
        done += len(results)
        if progress:
            progress(done, len(utterances))
    return FeatureTable.from_pairs(good), problems


def _in_order(
    batches: "list[Sequence[Utterance]]",
    pipeline: FeaturePipeline,
    n_jobs: int,
    vtln_warp: float = 1.0,
    speed: float = 1.0,
    allow_silence: bool = True,
) -> Iterator[list[tuple[str, np.ndarray | str]]]:
    """Each batch's results, in order, from this process or from n_jobs others."""
    if n_jobs == 1 or len(batches) < 2:
        yield from (_extract_batch(batch, pipeline, vtln_warp, speed, allow_silence) for batch in batches)
        return
    from joblib import delayed

    in_order = worker_pool(n_jobs, return_as="generator")
    with explained_workers(n_jobs), in_order as parallel:
        found = parallel(
            delayed(_extract_elsewhere)(batch, pipeline, vtln_warp, speed, allow_silence) for batch in batches
        )
        for results, records in found:
            for record in records:
                logging.getLogger(record.name).handle(record)
            yield results


class _Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _extract_elsewhere(
    batch: "Sequence[Utterance]", pipeline: FeaturePipeline, vtln_warp: float, speed: float, allow_silence: bool
) -> tuple[list[tuple[str, np.ndarray | str]], list[logging.LogRecord]]:
    """The same in a worker process, and what the reader of audio logged there: it is said where all is said."""
    kept, propagate = _Kept(), _audio_log.propagate
    _audio_log.addHandler(kept)
    _audio_log.propagate = False
    try:
        return _extract_batch(batch, pipeline, vtln_warp, speed, allow_silence), kept.records
    finally:
        _audio_log.removeHandler(kept)
        _audio_log.propagate = propagate


def _extract_batch(
    batch: "Sequence[Utterance]", pipeline: FeaturePipeline, vtln_warp: float, speed: float, allow_silence: bool
) -> list[tuple[str, np.ndarray | str]]:
    """(id, features) of each utterance, or (id, message) of one that failed."""
    results: list[tuple[str, np.ndarray | str]] = []
    for utterance in batch:
        try:
            results.append((utterance.id, _features(utterance, pipeline, vtln_warp, speed, allow_silence)))
        except AsrError as error:
            results.append((utterance.id, str(error)))
    return results


def _features(
    utterance: "Utterance", pipeline: FeaturePipeline, vtln_warp: float, speed: float, allow_silence: bool
) -> np.ndarray:
    """One utterance's front-end features. Raises AudioError or CorpusError, naming the file."""
    if pipeline.given:
        if utterance.features is None:
            raise CorpusError(f"utterance {utterance.id!r} has no features, which this pipeline takes")
        from ..features.archive import read_matrix

        return pipeline.raw(read_matrix(utterance.features), where=utterance.features)
    if utterance.audio is None:
        raise AudioError(f"utterance {utterance.id!r} has no audio file")
    channel = "mix" if utterance.channel is None else utterance.channel
    samples, _ = audio.read(
        utterance.audio, pipeline.sample_rate, channel=channel, start=utterance.start, end=utterance.end
    )
    if not allow_silence and is_silent(samples):
        raise AudioError(SILENT)
    try:
        return pipeline.front_end(_at_speed(samples, pipeline.sample_rate, speed), vtln_warp=vtln_warp)
    except AudioError as error:
        raise AudioError(f"{os.fspath(utterance.audio)}: {error}") from None


def _at_speed(samples: np.ndarray, rate: int, speed: float) -> np.ndarray:
    """See `change_speed`."""
    if speed == 1.0:
        return samples
    from ..audio.augment import change_speed

    return change_speed(samples, rate, speed)
