"""Monophones from features and transcripts."""

from collections.abc import Callable

from ..errors import CorpusError
from ..features.pipeline import FeaturePipeline
from ..gmm.mono import MonoOptions, MonoResult, train_mono
from ..lang.lexicon import Lexicon
from ..model.model import Model
from ..model.units import HmmUnits
from .data import Data


def train_monophone(
    data: Data,
    lexicon: Lexicon,
    pipeline: FeaturePipeline,
    options: MonoOptions | None = None,
    *,
    seed: int = 0,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Model, MonoResult]:
    """A monophone GMM-HMM and the log of its training; the model has no graph yet.

    Args:
        pipeline: what follows the front end is applied here; a causal normalisation learns its prior from the data.

    Raises:
        LexiconError: for words without pronunciation under the lexicon's policy "error".
    """
    ids = list(data.raw)
    pipeline = pipeline.with_prior([data.raw[i] for i in ids])
    transcripts = lexicon.encode_all(data.references)
    if not transcripts:
        raise CorpusError("no utterance can be used for training: each has a word that the lexicon lacks")
    table = data.select(transcripts).normalised(pipeline)
    result = train_mono(
        table, transcripts, lexicon, options or MonoOptions(), seed=seed, n_jobs=n_jobs, progress=progress
    )
    model = Model(pipeline, lexicon, HmmUnits(result.transitions, result.tree), result.gmms, graph=None, seed=seed)
    return model, result
