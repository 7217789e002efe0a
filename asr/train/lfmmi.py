"""A network trained by LF-MMI from a stage of the GMM ladder: everything from alignments to a model without graph."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..features.pipeline import FeaturePipeline
from ..hmm.transitions import PhoneSegment
from ..model.adaptation import UNADAPTED
from ..model.model import DecodingOptions
from ..model.torch import NetworkAcoustic
from ..model.units import HmmUnits
from ..nn.batches import Examples
from ..nn.lfmmi.loss import LfmmiLoss, without_second_outputs
from ..nn.lfmmi.supervision import Supervision, lfmmi_setup, numerators_of
from ..nn.lfmmi.topology import chain_alignments, thinned_segments
from ..nn.networks import NetworkConfig, build
from ..nn.options import SupervisionOptions
from ..nn.training import train_network
from .data import Data
from .hybrid import Prepared, prepare
from .options import LfmmiTrainingOptions
from .speeds import segments_at_speed
from .stage import TrainedStage, warn_of_failures

if TYPE_CHECKING:
    from ..nn.layers import Network

_logger = logging.getLogger(__name__)

SEARCH = DecodingOptions(acoustic_scale=1.0, beam=15.0)
"""How graphs of such models are searched: scores are log-likelihoods of sequences already."""


def train_lfmmi(
    data: Data,
    stage: TrainedStage,
    config: NetworkConfig,
    options: LfmmiTrainingOptions | None = None,
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
    """The stage above a GMM-HMM: a network trained by LF-MMI, with a tree and transitions of its own.

    Arguments and errors are those of `asr.train.hybrid.train_hybrid`, but that the network's subsampling is that of
    options.supervision, and that its features are never adapted to a speaker by fMLLR, which would need the GMMs' tree
    in decoding: without `pipeline` they are those of the stage before adaptation.

    Returns:
        the model, without a graph, with the alignments that the numerators are made around, one transition id for each
        row of the network's output. Any scales of transition probabilities in its graph give the same words, since all
        are 0.5; the acoustic scale is 1.
    """
    options = options or LfmmiTrainingOptions()
    unit = options.supervision.subsampling
    config = replace(config, subsampling=unit)
    found = prepare(data, stage, inputs=inputs, pipeline=pipeline or stage.model.features, copies=copies)
    apart = set(held_out)
    known = {u: ids for u, ids in found.alignments.items() if u not in apart}
    # The tree is grown from the features that the GMMs' own tree was: without derivatives or splicing it is poorer.
    plain = data.select(known).normalised(stage.model.features)
    made = lfmmi_setup(replace(stage, alignments=known), plain, stage.model.lexicon, options.supervision, seed=seed)
    train, rest, unusable = _examples(found, stage, made, held_out, options.supervision)
    failures = {**found.failures, **made.failures, **unusable}
    warn_of_failures("LF-MMI", failures, sum(len(part.raw) for part in (data, *(copies or {}).values())))
    network = _trained(train, rest, made, config, options, seed, folder / "network", device, progress)
    trained = [u for u in (*train.features, *rest.features) if u in found.alignments]
    segments = {u: stage.transitions.phone_segments(found.alignments[u]) for u in trained}
    thinned = {u: thinned_segments(s, len(found.alignments[u]), unit) or [] for u, s in segments.items()}
    alignments = chain_alignments(thinned, made.tree, made.transitions)
    model = replace(
        stage.model, features=found.pipeline, units=HmmUnits(made.transitions, made.tree), decoding=SEARCH,
        acoustic=NetworkAcoustic(network, config), graph=None, seed=seed, card="", adaptation=UNADAPTED,
    )  # fmt: skip
    return TrainedStage(model, alignments, failures, [])


def _examples(
    found: Prepared, stage: TrainedStage, made: Supervision, held_out: Sequence[str], options: SupervisionOptions
) -> tuple[Examples, Examples, dict[str, str]]:
    """The utterances to train on, with copies, and those held out, with their numerators; and why others have none."""
    apart = [u for u in held_out if u in found.alignments]
    segments = {u: stage.transitions.phone_segments(found.alignments[u]) for u in apart}
    of: dict[str, list[PhoneSegment]] = {}
    for copy, (u, speed) in found.copy_of.items():
        if u in made.numerators:
            of[u] = of.get(u) or stage.transitions.phone_segments(found.alignments[u])
            segments[copy] = segments_at_speed(of[u], len(found.table[copy]), speed)
    others, failures = numerators_of(segments, made.denominator, options)
    targets = {**made.numerators, **others}
    train, rest = (Examples(found.table.select(ids), targets) for ids in found.parts(targets, held_out))
    return train, rest, failures


def _trained(
    train: Examples,
    held_out: Examples,
    made: Supervision,
    config: NetworkConfig,
    options: LfmmiTrainingOptions,
    seed: int,
    folder: Path,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> "Network":
    """The network for decoding."""
    loss = LfmmiLoss(made.denominator, options.loss)
    network = build(config, train.features.dim, loss.n_outputs, seed=seed)
    frames = train.features.frames
    network.normalize.set_statistics(frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64))
    result = train_network(
        network, loss, train, held_out, replace(options.training, seed=seed),
        folder=folder, device=device, progress=progress,
    )  # fmt: skip
    best = result.curves[result.best_epoch - 1]
    _logger.info(
        "LF-MMI: %d frames, epoch %d is best: held-out loss %.4f", train.n_frames, result.best_epoch, best.held_out_loss
    )
    return without_second_outputs(network.cpu(), config, made.tree.n_pdfs)
