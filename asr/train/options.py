"""How networks are trained, as frozen dataclasses that a TOML file fills. Importing this does not import torch.

Those of hybrids are in asr.train.hybrid.
"""

from dataclasses import dataclass, field

from ..errors import ConfigError
from ..nn.options import DecoderConfig, LfmmiOptions, SupervisionOptions, TrainingOptions


@dataclass(frozen=True)
class CtcOptions:
    """How a network is trained with CTC.

    Attributes:
        training: of the network, in whole utterances.
        prior_scale: how much of the logarithms of the columns' mean probabilities is subtracted in decoding: the
            blank's is high, and what it takes from units is given back.
    """

    training: TrainingOptions = field(default_factory=TrainingOptions)
    prior_scale: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.prior_scale <= 1:
            raise ConfigError(f"prior_scale={self.prior_scale}; need 0 to 1")


@dataclass(frozen=True)
class JointOptions:
    """How a network and its decoder are trained.

    Raises:
        ConfigError: for numbers out of range.
    """

    ctc: CtcOptions = field(default_factory=CtcOptions)  # the training, and what its CTC outputs are used with
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    ctc_weight: float = 0.3  # of CTC's loss, above 0 and below 1; the decoder's has the rest
    smoothing: float = 0.1  # of the decoder's targets: this part of a unit's probability goes to all evenly

    def __post_init__(self) -> None:
        if not 0 < self.ctc_weight < 1:
            raise ConfigError(f"ctc_weight={self.ctc_weight}; need more than 0 and less than 1: 1 is `train_ctc`")
        if not 0 <= self.smoothing < 1:
            raise ConfigError(f"smoothing={self.smoothing}; need 0 to less than 1")


@dataclass(frozen=True)
class LfmmiTrainingOptions:
    """How a network is trained by LF-MMI.

    Attributes:
        supervision: its graphs.
        loss: what is added to the objective.
        training: of the network, in whole utterances.
    """

    supervision: SupervisionOptions = field(default_factory=SupervisionOptions)
    loss: LfmmiOptions = field(default_factory=LfmmiOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
