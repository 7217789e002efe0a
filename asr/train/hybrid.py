"""The hybrid of network and HMM: a network learns which pdf each frame belongs to, as a GMM-HMM has aligned them.

The tree, the transitions and with them the decoding graph stay those of the GMM-HMM. In decoding the network's
log-posteriors, less the logarithms of the pdfs' priors, take the place of the GMMs' log-likelihoods.
Ref: Bourlard and Morgan, Connectionist speech recognition, 1994; Hinton et al., 2012.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..display.brief import brief_repr
from ..errors import ConfigError, CorpusError
from ..features.affine import affine
from ..features.pipeline import FeaturePipeline
from ..features.table import FeatureTable, joined_tables
from ..hmm.align import Alignments, AlignOptions, align, align_scored
from ..hmm.training_graph import training_graphs
from ..model.acoustic import AcousticModel
from ..model.adaptation import ESTIMATES, UNADAPTED, estimated
from ..model.model import Model
from ..nn.networks import AttentionConfig, NetworkConfig, RecurrentConfig
from ..nn.options import TrainingOptions
from .data import Data
from .speeds import frames_at_speed, speed_prefix
from .stage import TrainedStage, warn_of_failures, without_pronunciation

if TYPE_CHECKING:
    from ..gmm.fmllr import Fmllr
    from ..model.torch import NetworkAcoustic
    from ..nn.batches import Examples
    from ..nn.layers import Network

logger = logging.getLogger(__name__)

_ALIGNED_FRAMES = 20_000  # scored at a time in realignment, to bound memory


@dataclass(frozen=True)
class HybridOptions:
    """How a hybrid is trained.

    Attributes:
        training: of each network.
        n_networks: whose log-posteriors are averaged; they differ in their seeds.
        realignments: how often the networks align the training data anew, and are then trained anew.
        prior_floor: least share of the training frames that a pdf's prior stands for.
        prior_scale: factor on log priors.
        align: of realignment.
        learn_every: an epoch learns from one of so many frames, another one each time; layers with offsets that are its
            multiples then cost less (see TdnnConfig), and neighbouring frames are much alike. Not for networks whose
            rows depend on the rows before, such as recurrent ones, which would see fewer frames.
    """

    training: TrainingOptions = field(default_factory=TrainingOptions)
    n_networks: int = 1
    realignments: int = 0
    prior_floor: float = 1e-5
    prior_scale: float = 1.0
    align: AlignOptions = field(default_factory=AlignOptions)
    learn_every: int = 1

    def __post_init__(self) -> None:
        if self.learn_every < 1:
            raise ConfigError(f"learn_every={self.learn_every}; need 1 or more frames")
        if self.n_networks < 1 or self.realignments < 0:
            raise ConfigError(
                f"n_networks={self.n_networks}, realignments={self.realignments}; need 1 or more, and 0 or more"
            )
        if not 0 < self.prior_floor < 1:
            raise ConfigError(f"prior_floor={self.prior_floor}; need more than 0 and less than 1")


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the network is trained on.

    Attributes:
        table: its input features.
        alignments: utterance id -> int32 (n_frames,) transition ids, of the utterances that have one.
        failures: utterance id -> why it has none.
        transcripts: utterance id -> word ids.
        pipeline: of the features.
        copy_of: id of a copy in `table` -> the utterance that it is of, and its speed; copies have no alignments of
            theirs.
    """

    table: FeatureTable
    alignments: dict[str, np.ndarray]
    failures: dict[str, str]
    transcripts: dict[str, list[int]]
    pipeline: FeaturePipeline
    copy_of: dict[str, tuple[str, float]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return brief_repr(self)

    def parts(self, targets: Mapping[str, Any], held_out: Iterable[str]) -> tuple[list[str], list[str]]:
        """The ids in `table` that have a target: to train on, copies among them; and held out, none of them a copy.

        Raises:
            CorpusError: where one of both is empty.
        """
        apart = set(held_out)
        train = [u for u in self.table if u in targets and self.copy_of.get(u, (u,))[0] not in apart]
        rest = [u for u in self.table if u in targets and u in apart]
        for name, ids in (("trained on", train), ("held out", rest)):
            if not ids:
                raise CorpusError(f"no utterance that is {name} is aligned; the network needs some to be")
        return train, rest


def train_hybrid(
    data: Data,
    stage: TrainedStage,
    config: NetworkConfig,
    options: HybridOptions | None = None,
    *,
    held_out: Sequence[str],
    folder: Path,
    inputs: Data | None = None,
    pipeline: FeaturePipeline | None = None,
    copies: Mapping[float, Data] | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> TrainedStage:
    """The stage above a GMM-HMM: its model with a network, or several, for acoustic model; without a graph.

    Args:
        data: the utterances that the stage was trained on, and those held out; with the stage's front-end features.
        config: of the network, see asr.nn.networks.
        held_out: utterances that are not trained on: training ends when their loss does not fall any more. What of them
            the stage has not aligned, it aligns now.
        folder: for checkpoints; an interrupted training goes on there. It has a folder for each network with its
            curves.
        inputs: features of another kind, such as log mel filter outputs, frame by frame in step with the stage's; by
            default the network takes the stage's own, after each speaker's fMLLR transform where the stage adapts.
        pipeline: see `inputs`.
        copies: by speed, the network's features of the same recordings at that speed (`extract(..., speed=)`), under
            the same ids; they are trained on too, aligned as the recordings are (asr.train.speeds). Only with
            `pipeline`, where the stage adapts to speakers.
        device: where the networks are trained and realign, such as "cuda"; the model is on the CPU. See also
            asr.nn.parallel: processes that torchrun started share the batches.
        progress: called with (done, total).

    Raises:
        CorpusError: where features or alignments do not fit together or nothing is left to train on.
        ConfigError: for a network of several frames to a row, or of unlimited context with learn_every.
        AsrError: without torch.
    """
    from ..extras import require_torch

    require_torch()
    from ..model.torch import NetworkAcoustic

    options = options or HybridOptions()
    _check_frames(config, options)
    found = prepare(data, stage, inputs=inputs, pipeline=pipeline, copies=copies)
    warn_of_failures("hybrid", found.failures, len(data.raw))
    acoustic: NetworkAcoustic | None = None
    for number in range(options.realignments + 1):
        if acoustic is not None:
            found = realigned(found, stage.model, acoustic, options.align)
        examples = labelled(found, stage.model, held_out, data.speakers)
        networks = []
        for n in range(options.n_networks):
            name, part = f"round{number}-network{n}", number * options.n_networks + n
            reported = _part_of(progress, part, options.n_networks * (options.realignments + 1))
            training = replace(options.training, seed=seed + n)
            networks.append(
                _trained(*examples, stage, config, training, options.learn_every, folder / name, device, reported)
            )
        own = (examples[0].targets[u] for u in examples[0].features if u not in found.copy_of)
        priors = log_priors(own, stage.tree.n_pdfs, options)
        acoustic = NetworkAcoustic(networks, [config] * len(networks), priors, options.prior_scale)
    assert acoustic is not None
    acoustic.scores.cpu()
    adaptation = stage.model.adaptation if pipeline is None else UNADAPTED  # whose features are others
    model = replace(
        stage.model, features=found.pipeline, acoustic=acoustic, graph=None, seed=seed, card="", adaptation=adaptation
    )
    return TrainedStage(model, found.alignments, found.failures, [])


def _check_frames(config: NetworkConfig, options: HybridOptions) -> None:
    if config.subsampling != 1:
        raise ConfigError(f"subsampling={config.subsampling}; a hybrid's network has a row of output for each frame: 1")
    if options.learn_every > 1 and isinstance(config, (RecurrentConfig, AttentionConfig)):
        raise ConfigError(
            f"learn_every={options.learn_every}; a {config.kind} network would see fewer frames too: need 1"
        )


def prepare(
    data: Data,
    stage: TrainedStage,
    *,
    inputs: Data | None = None,
    pipeline: FeaturePipeline | None = None,
    copies: Mapping[float, Data] | None = None,
) -> Prepared:
    """The network's input features, and the alignments of all utterances whose words the stage's lexicon has.

    Arguments and errors: as of `train_hybrid`.
    """
    if copies and pipeline is None and stage.model.adaptation.adapts:
        raise ConfigError("copies at other speeds have no fMLLR transforms; give the network a pipeline of its own")
    transcripts = stage.model.lexicon.encode_all(data.references)
    if not transcripts:
        raise CorpusError("no utterance can be used for training: each has a word that the lexicon lacks")
    plain = data.select(transcripts).normalised(stage.model.features)
    alignments, failures, transforms = _aligned_by(stage, plain, data.speakers, transcripts)
    failures |= without_pronunciation(data, transcripts)
    if pipeline is None:
        table, pipeline = _transformed(plain, data.speakers, transforms), stage.model.features
    else:
        source = data if inputs is None else inputs
        lost = [u for u in alignments if u not in source.raw]
        if lost:
            raise CorpusError(f"utterance {lost[0]!r} has an alignment, but none of the network's features")
        source = source.select(u for u in transcripts if u in alignments)
        pipeline = pipeline.with_prior([source.raw[u] for u in source.raw])
        table = source.normalised(pipeline)
    for u, ids in alignments.items():
        if len(ids) != len(table[u]):
            raise CorpusError(
                f"utterance {u!r} has {len(ids)} aligned frames, but {len(table[u])} of the network's features; need "
                "front-ends with the same frame shift, frame length and edges"
            )
    tables, copy_of = [table], dict[str, tuple[str, float]]()
    for speed, copied in (copies or {}).items():
        features = copied.select(u for u in table if u in copied.raw and u in alignments).normalised(pipeline)
        mine = {speed_prefix(speed) + u: u for u in features}
        copy_of |= {copy: (u, speed) for copy, u in mine.items()}
        tables.append(FeatureTable(list(mine), features.frames, features.offsets))
    return Prepared(joined_tables(tables), alignments, failures, transcripts, pipeline, copy_of)


def _aligned_by(
    stage: TrainedStage, plain: FeatureTable, speakers: Mapping[str, str], transcripts: Mapping[str, Sequence[int]]
) -> tuple[dict[str, np.ndarray], dict[str, str], dict[str, "Fmllr"]]:
    """All utterances' alignments by the stage, why some have none, and each speaker's transform if the stage adapts."""
    model = stage.model
    known = {u: stage.alignments[u] for u in plain if u in stage.alignments}
    failures = {u: why for u, why in stage.failures.items() if u in plain}
    missing = {u: transcripts[u] for u in plain if u not in known and u not in failures}

    def align_missing(table: FeatureTable, acoustic: AcousticModel) -> Alignments:
        graphs = training_graphs(missing, model.lexicon, stage.tree, stage.transitions)
        return align(graphs, table, stage.transitions, acoustic.log_likelihoods)

    transforms: dict[str, Fmllr] = {}
    if missing:
        found = align_missing(plain.select(missing), model.first_pass)
    if model.adaptation.adapts:
        aligned = {**known, **(found.transition_ids if missing else {})}
        for _ in range(ESTIMATES):
            transforms = estimated(model, plain, aligned, speakers, earlier=transforms)
        if missing:
            found = align_missing(_transformed(plain.select(missing), speakers, transforms), model.acoustic)
    if missing:
        known |= found.transition_ids
        failures |= found.failures
    return known, failures, transforms


def _transformed(table: FeatureTable, speakers: Mapping[str, str], transforms: Mapping[str, "Fmllr"]) -> FeatureTable:
    """The features after their speakers' transforms; as they are where there is none."""
    if not transforms:
        return table
    matrices = {speaker: transform.matrix for speaker, transform in transforms.items()}
    nothing = np.hstack([np.eye(table.dim), np.zeros((table.dim, 1))])
    return FeatureTable.from_pairs((u, affine(table[u], matrices.get(speakers[u], nothing))) for u in table)


def labelled(
    found: Prepared, model: Model, held_out: Iterable[str], speakers: Mapping[str, str]
) -> tuple["Examples", "Examples"]:
    """The examples to train on and those held out: features, and the pdf of each frame.

    Raises:
        CorpusError: where one of both is empty.
    """
    from ..nn.batches import Examples

    targets = {u: model.units.pdf_of_label[ids].astype(np.int64) for u, ids in found.alignments.items()}
    for copy, (u, speed) in found.copy_of.items():
        targets[copy] = frames_at_speed(targets[u], len(found.table[copy]), speed)
    parts = found.parts(targets, held_out)
    train, rest = (Examples(found.table.select(ids), targets, speakers, every_frame=True) for ids in parts)
    return train, rest


def log_priors(targets: Iterable[np.ndarray], n_pdfs: int, options: HybridOptions | None = None) -> np.ndarray:
    """float32 (n_pdfs,): natural logarithms of the pdfs' shares of frames, of the floor at least.

    Args:
        targets: int (n_frames,) pdf ids of each utterance.
    """
    floor = (options or HybridOptions()).prior_floor
    counts = np.zeros(n_pdfs)
    for pdfs in targets:
        counts += np.bincount(pdfs, minlength=n_pdfs)
    return np.log(np.maximum(counts / max(counts.sum(), 1.0), floor)).astype(np.float32)


def realigned(
    found: Prepared, model: Model, acoustic: "NetworkAcoustic", options: AlignOptions | None = None
) -> Prepared:
    """The same utterances as a network aligns them; where it cannot, the alignment before stays."""
    ids = [u for u in found.table if u in found.alignments]
    lengths = np.cumsum([len(found.table[u]) for u in ids])
    alignments, kept = dict(found.alignments), 0
    n_changed, n_frames = 0, int(lengths[-1]) if ids else 0
    for chunk in np.split(np.arange(len(ids)), np.flatnonzero(np.diff(lengths // _ALIGNED_FRAMES)) + 1):
        chosen = [ids[i] for i in chunk]
        texts = {u: found.transcripts[u] for u in chosen}
        graphs = training_graphs(texts, model.lexicon, model.hmms.tree, model.hmms.transitions)
        scores = {u: acoustic.log_likelihoods(found.table[u]) for u in chosen}
        new = align_scored(graphs, scores, model.hmms.transitions, options)
        kept += len(new.failures)
        for u, transition_ids in new.transition_ids.items():
            n_changed += int((transition_ids != alignments[u]).sum())
            alignments[u] = transition_ids
    share = 100 * n_changed / max(n_frames, 1)
    logger.info("realigned by the network: %.1f %% of %d frames changed, %d utterances kept", share, n_frames, kept)
    return replace(found, alignments=alignments)


def _trained(
    train: "Examples",
    held_out: "Examples",
    stage: TrainedStage,
    config: NetworkConfig,
    options: TrainingOptions,
    learn_every: int,
    folder: Path,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> "Network":
    """One network, trained on labelled frames; with a row of output for each."""
    from ..nn.losses import FrameCrossEntropy
    from ..nn.networks import build
    from ..nn.training import train_network

    fewer_rows = replace(config, subsampling=learn_every)
    network = build(fewer_rows, train.features.dim, stage.tree.n_pdfs, seed=options.seed)
    frames = train.features.frames
    network.normalize.set_statistics(frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64))
    result = train_network(
        network, FrameCrossEntropy(), train, held_out, options, folder=folder, device=device, progress=progress
    )
    best = result.curves[result.best_epoch - 1]
    logger.info(
        "%s: %d frames, epoch %d is best: held-out loss %.4f, %.1f %% of held-out frames right",
        folder.name, train.n_frames, result.best_epoch, best.held_out_loss, 100 * best.held_out_accuracy,
    )  # fmt: skip
    whole = build(config, train.features.dim, stage.tree.n_pdfs).to(device)
    whole.load_state_dict(network.state_dict())
    return whole.eval()


def _part_of(
    progress: Callable[[int, int], None] | None, number: int, n_parts: int
) -> Callable[[int, int], None] | None:
    """Progress of one part as that of the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, n_parts * total)
