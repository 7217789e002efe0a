"""CTC and attention trained together: everything from features and transcripts to a model of CTC and its decoder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...errors import ConfigError, ModelError
from ...features.pipeline import FeaturePipeline
from ...ladder import Rung, warn_of_failures
from ...lang.lexicon import Lexicon
from ...model import Model
from ...training import Data
from ..networks import NetworkConfig
from ..options import DecoderConfig
from ..training import train_network
from .attention import AttentionDecoder
from .decoder_file import digest_of, encoder_of, save_decoder
from .joint import JointLoss, JointNetwork
from .training import CtcOptions, Ready, finish, prepare


@dataclass(frozen=True)
class JointOptions:
    """How a network and its decoder are trained. Raises ConfigError for numbers out of range."""

    ctc: CtcOptions = field(default_factory=CtcOptions)  # the training, and what its CTC outputs are used with
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    ctc_weight: float = 0.3  # of CTC's loss, above 0 and below 1; the decoder's has the rest
    smoothing: float = 0.1  # of the decoder's targets: this part of a unit's probability goes to all evenly

    def __post_init__(self) -> None:
        if not 0 < self.ctc_weight < 1:
            raise ConfigError(f"ctc_weight={self.ctc_weight}; need more than 0 and less than 1: 1 is `train_ctc`")
        if not 0 <= self.smoothing < 1:
            raise ConfigError(f"smoothing={self.smoothing}; need 0 to less than 1")


@dataclass(frozen=True, eq=False)
class JointRung:
    """What a training made.

    rung: the model of CTC, as `train_ctc` makes it: it can be used without the decoder.
    decoder: for `asr.nn.ctc.joint_search.JointSearch`, with this model; `save_decoder` keeps it.
    """

    rung: Rung
    decoder: AttentionDecoder

    def save(self, folder: Path) -> None:
        """Write the rung and the decoder into a folder."""
        self.rung.save(folder)
        save_decoder(self.decoder, self.rung.model, folder)


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
) -> JointRung:
    """A CTC model of the phones of a lexicon, and an attention decoder of the same units above its last layer.

    The arguments are those of `train_ctc`; the network must be one that has `encode`, as all of the toolkit's have.
    start: a CTC model of the same units and network, on the same features, whose weights the network begins with. It
        hears already what is said, so that a few epochs are enough for the decoder, whose steps cost most.
    Raises what `train_ctc` raises, and ModelError for another network, or where the folder holds a training with other
    weights of the losses.
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
    return JointRung(finish(ready, result, lexicon, config, options.ctc, seed=seed), network.decoder)


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
