"""CTC and attention trained together: everything from features and transcripts to a model of CTC and its decoder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ModelError
from ..features.pipeline import FeaturePipeline
from ..lang.lexicon import Lexicon
from ..model.decoder_file import digest_of, encoder_of, save_decoder
from ..model.model import Model
from ..nn.ctc.attention import AttentionDecoder
from ..nn.ctc.joint import JointLoss, JointNetwork
from ..nn.networks import NetworkConfig
from ..nn.training import train_network
from .ctc import Ready, finish, prepare
from .data import Data
from .options import JointOptions
from .stage import TrainedStage, warn_of_failures


@dataclass(frozen=True, eq=False)
class JointStage:
    """What a training made.

    Attributes:
        stage: the model of CTC, as `train_ctc` makes it: it can be used without the decoder.
        decoder: for `asr.model.joint_search.JointSearch`, with this model; `save_decoder` keeps it.
    """

    stage: TrainedStage
    decoder: AttentionDecoder

    def save(self, folder: Path) -> None:
        """Write the stage and the decoder into a folder."""
        self.stage.save(folder)
        save_decoder(self.decoder, self.stage.model, folder)


def train_joint(
    data: Data,
    lexicon: Lexicon,
    config: NetworkConfig,
    options: JointOptions | None = None,
    *,
    pipeline: FeaturePipeline,
    held_out: Sequence[str],
    folder: Path,
    copies: Mapping[float, Data] | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    start: Model | None = None,
) -> JointStage:
    """A CTC model of the phones of a lexicon, and an attention decoder of the same units above its last layer.

    The arguments are those of `train_ctc`; the network must be one that has `encode`, as all of the toolkit's have.

    Args:
        start: a CTC model of the same units and network, on the same features, whose weights the network begins with.
            It recognises speech already, so that a few epochs are enough for the decoder, whose steps cost most.

    Raises:
        ModelError: for a network without `encode`, and where the folder holds a training with other weights of the
            losses; and what `train_ctc` raises.
    """
    options = options or JointOptions()
    ready = prepare(data, lexicon, config, pipeline=pipeline, held_out=held_out, copies=copies, seed=seed)
    warn_of_failures("CTC and attention", ready.failures, ready.n_given)
    if start is not None:
        _begin_as(ready, start, lexicon)
    begun = "" if start is None else digest_of(ready.network.state_dict())
    network = JointNetwork(ready.network, options.decoder, seed=seed)
    result = train_network(
        network, JointLoss(network, options.ctc_weight, options.smoothing, begun), ready.examples, ready.held_out,
        replace(options.ctc.training, seed=seed), folder=folder / "network", device=device, progress=progress,
    )  # fmt: skip
    network.cpu()
    return JointStage(finish(ready, result, lexicon, config, options.ctc, seed=seed), network.decoder)


def _begin_as(ready: Ready, start: Model, lexicon: Lexicon) -> None:
    """Give a network the weights of a model's. Raises ModelError where these are of other features, units or layers."""
    if start.features.steps != ready.pipeline.steps:
        raise ModelError(f"the model to start from has other features: {start.features.steps}; train both on the same")
    if list(start.lexicon.phones)[: lexicon.n_phones + 1] != list(lexicon.phones)[: lexicon.n_phones + 1]:
        raise ModelError("the model to start from has other units, or in another order; train both with one lexicon")
    try:
        ready.network.load_state_dict(encoder_of(start).state_dict())
    except RuntimeError:  # names or shapes; torch lists them over many lines
        raise ModelError("the model to start from has another network; train both with the same settings") from None
