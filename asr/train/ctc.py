"""A network trained with CTC: everything from features and transcripts to a model without graph. It needs no HMMs."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..ctc.check import least_frames
from ..ctc.tokens import CtcTokens
from ..display.brief import brief_repr
from ..errors import CorpusError
from ..features.pipeline import FeaturePipeline
from ..features.table import FeatureTable, joined_tables
from ..lang.lexicon import Lexicon
from ..model.model import DecodingOptions, Model
from ..model.torch import NetworkAcoustic
from ..model.units import CtcUnits
from ..nn.batches import Examples
from ..nn.ctc.loss import CtcLoss
from ..nn.layers import Network
from ..nn.networks import NetworkConfig, build
from ..nn.training import TrainingResult, train_network
from .data import Data
from .options import CtcOptions
from .speeds import speed_prefix
from .stage import TrainedStage, warn_of_failures, why_too_short, without_pronunciation

_logger = logging.getLogger(__name__)

SEARCH = DecodingOptions(acoustic_scale=1.0, beam=15.0)
"""How graphs of such models are searched: scores are log-probabilities of sequences already."""

_PRIOR_UTTERANCES = 300  # that priors are averaged over


def train_ctc(
    data: Data,
    lexicon: Lexicon,
    config: NetworkConfig,
    options: CtcOptions | None = None,
    *,
    pipeline: FeaturePipeline,
    held_out: Sequence[str],
    folder: Path,
    copies: Mapping[float, Data] | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> TrainedStage:
    """A CTC model of the phones of a lexicon: its units. For letters, let the lexicon spell the words.

    Args:
        data: utterances, those held out too, with the pipeline's front-end features.
        lexicon: of all words; the first pronunciation of each is what is said. Its pauses are not used.
        config: of the network; its `subsampling` is the input frames to a row of output, 3 or so: recurrent networks
            cost less, and spikes find each other sooner.
        held_out: utterances that are not trained on: training ends when their loss does not fall any more.
        folder: for checkpoints; an interrupted training goes on there.
        copies: by speed, features of the same recordings at that speed, under the same ids; they are trained on too.
        seed: as of `asr.train.hybrid.train_hybrid`.
        device: as of `asr.train.hybrid.train_hybrid`.
        progress: as of `asr.train.hybrid.train_hybrid`.

    Returns:
        the model, without a graph, and no alignments; `failures` are utterances with unknown words, or with fewer rows
        than units.

    Raises:
        CorpusError: where nothing is left to train on.
        AsrError: without torch.
    """
    options = options or CtcOptions()
    ready = prepare(data, lexicon, config, pipeline=pipeline, held_out=held_out, copies=copies, seed=seed)
    warn_of_failures("CTC", ready.failures, ready.n_given)
    result = train_network(
        ready.network, CtcLoss(ready.tokens.n_pdfs), ready.examples, ready.held_out,
        replace(options.training, seed=seed), folder=folder / "network", device=device, progress=progress,
    )  # fmt: skip
    return finish(ready, result, lexicon, config, options, seed=seed)


@dataclass(frozen=True, eq=False)
class Ready:
    """What `prepare` made: all that a training needs besides its loss.

    Attributes:
        pipeline: with the prior of the data.
        network: with the statistics of its input.
        examples: utterances with their units.
        held_out: utterances with their units.
        failures: utterance id -> why it is in neither.
        n_given: utterances and copies in all.
    """

    pipeline: FeaturePipeline
    tokens: CtcTokens
    network: Network
    examples: Examples
    held_out: Examples
    failures: dict[str, str]
    n_given: int

    def __repr__(self) -> str:
        return brief_repr(self)


def prepare(
    data: Data,
    lexicon: Lexicon,
    config: NetworkConfig,
    *,
    pipeline: FeaturePipeline,
    held_out: Sequence[str],
    copies: Mapping[float, Data] | None = None,
    seed: int = 0,
) -> Ready:
    """Features, units and a network with initial weights. The arguments are those of `train_ctc`, and the errors."""
    copies, tokens = copies or {}, CtcTokens(lexicon.n_phones)
    pipeline = pipeline.with_prior([data.raw[u] for u in data.raw])
    units = units_of(data.references, lexicon)
    table, original, failures = _trainable(data, pipeline, copies, units, config.subsampling)
    apart = set(held_out)
    train = [u for u in table if original[u] not in apart]
    rest = [u for u in table if u in apart and original[u] == u]
    for name, ids in (("trained on", train), ("held out", rest)):
        if not ids:
            raise CorpusError(f"no utterance that is {name} has enough frames and known words; the network needs some")
    targets = {u: units[original[u]] for u in table}
    examples, others = (Examples(table.select(ids), targets, data.speakers) for ids in (train, rest))
    network = build(config, table.dim, tokens.n_pdfs, seed=seed)
    frames = examples.features.frames
    network.normalize.set_statistics(frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64))
    n_given = len(data.raw) + sum(len(copied.raw) for copied in copies.values())
    return Ready(pipeline, tokens, network, examples, others, failures, n_given)


def finish(
    ready: Ready, result: TrainingResult, lexicon: Lexicon, config: NetworkConfig, options: CtcOptions, *, seed: int
) -> TrainedStage:
    """The model of a network that has been trained, with its priors. The arguments are those of `train_ctc`."""
    network, features, n_columns = ready.network.cpu(), ready.examples.features, ready.tokens.n_pdfs
    best = result.curves[result.best_epoch - 1]
    _logger.info(
        "CTC: %d frames, epoch %d is best: held-out loss %.4f a unit, %.1f %% of held-out units wrong",
        len(features.frames), result.best_epoch, best.held_out_loss, 100 * (1 - best.held_out_accuracy),
    )  # fmt: skip
    some = [features[u] for u in features.ids[:: max(1, len(features.ids) // _PRIOR_UTTERANCES)]]
    plain = NetworkAcoustic(network, config, np.zeros(n_columns, np.float32), 0.0)
    acoustic = NetworkAcoustic(network, config, mean_log_probs(plain, some), options.prior_scale)
    silent = replace(lexicon, silence_prob=0.0)
    model = Model(ready.pipeline, silent, CtcUnits(ready.tokens), acoustic, None, SEARCH, seed)
    return TrainedStage(model, {}, ready.failures, [])


def units_of(transcripts: Mapping[str, str], lexicon: Lexicon) -> dict[str, tuple[int, ...]]:
    """The units of each transcript: the phones of each word's first pronunciation.

    Args:
        transcripts: utterance id -> words; those with words that the lexicon lacks are left out, as its policy says.
    """
    words = lexicon.encode_all(transcripts)
    return {u: tuple(p for word in ids for p in lexicon.pronunciations(word)[0]) for u, ids in words.items()}


def too_few_rows(
    data: Data, units: Mapping[str, tuple[int, ...]], subsampling: int, frame_shift: float
) -> dict[str, str]:
    """Why utterances cannot be trained on that give fewer rows of output than their units need.

    Args:
        units: as of `units_of`; utterances without are not looked at.
        subsampling: frames to a row.
        frame_shift: s.
    """
    found: dict[str, str] = {}
    for u in (u for u in data.raw if u in units):
        n_frames, least = len(data.raw[u]), max(1, least_frames(np.array(units[u])))
        if -(-n_frames // subsampling) < least:
            needed = (least - 1) * subsampling + 1
            found[u] = why_too_short(n_frames * frame_shift, needed * frame_shift)
    return found


def mean_log_probs(acoustic: NetworkAcoustic, features: Sequence[np.ndarray]) -> np.ndarray:
    """float32 (n_columns,): logarithms of the columns' probabilities, averaged over all rows of some utterances."""
    total, n_rows = np.zeros(acoustic.n_pdfs), 0
    for matrix in features:
        log_probs = acoustic.log_likelihoods(matrix)
        total += np.exp(log_probs.astype(np.float64)).sum(axis=0)
        n_rows += len(log_probs)
    return np.log(np.maximum(total / max(n_rows, 1), 1e-6)).astype(np.float32)


def _trainable(
    data: Data,
    pipeline: FeaturePipeline,
    copies: Mapping[float, Data],
    units: Mapping[str, tuple[int, ...]],
    subsampling: int,
) -> tuple[FeatureTable, dict[str, str], dict[str, str]]:
    """The finished features of utterances and copies that are long enough for their units; of each the utterance that
    it is, or is a copy of; and why others are not there."""
    failures, original = without_pronunciation(data, units), dict[str, str]()
    tables = []
    for speed, copied in ((1.0, data), *copies.items()):
        prefix = "" if speed == 1.0 else speed_prefix(speed)
        short = too_few_rows(copied, units, subsampling, pipeline.frame_shift)
        failures |= {prefix + u: why for u, why in short.items()}
        ids = [u for u in copied.raw if u in units and u not in short]
        if ids:
            finished = copied.select(ids).normalised(pipeline)
            original |= {prefix + u: u for u in finished}
            tables.append(FeatureTable([prefix + u for u in finished], finished.frames, finished.offsets))
    if not tables:
        first, why = next(iter(failures.items()))
        raise CorpusError(f"not one of {len(data.raw)} utterances can be trained on, such as {first}: {why}")
    return joined_tables(tables), original, failures
