"""The settings of training a network, as frozen dataclasses that a recipe's TOML file fills."""

from dataclasses import dataclass, field
from typing import Literal

from ..errors import ConfigError, ModelError
from ..hmm.tree_building import TreeOptions


@dataclass(frozen=True)
class SpecAugmentOptions:
    """Masks over time and frequency.   Ref: Park et al., 2019, SpecAugment; without its time warp, which helps least.

    Frequency masks are for features whose neighbours are neighbours in frequency: filterbanks, not cepstra.
    """

    time_masks: int = 0  # per row of a batch
    max_time_frames: int = 20  # each mask's width is drawn from 0 to this
    max_time_part: float = 0.2  # ... and to this part of the row
    frequency_masks: int = 0
    max_frequency_bins: int = 8

    def __post_init__(self) -> None:
        for name in ("time_masks", "max_time_frames", "frequency_masks", "max_frequency_bins"):
            if getattr(self, name) < 0:
                raise ConfigError(f"spec_augment.{name} = {getattr(self, name)}; need 0 or more")
        if not 0.0 <= self.max_time_part <= 1.0:
            raise ConfigError(f"spec_augment.max_time_part = {self.max_time_part}; need 0 to 1")

    @property
    def is_on(self) -> bool:
        """Whether any mask is drawn."""
        return self.time_masks + self.frequency_masks > 0


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained.

    L2 is a weight decay: for sgd and adam the gradient of l2 / 2 * |w|^2 (a part of the loss), for adamw decoupled from
    the gradient (Loshchilov and Hutter, 2019). L1 adds l1 * sign(w) to the gradient after clipping. Neither touches
    biases, norms, or any other parameter of one dimension, and neither counts in the losses that are shown.
    """

    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: float = 1e-3  # at the end of the warm-up
    momentum: float = 0.9  # of sgd
    schedule: Literal["constant", "plateau", "cosine"] = "plateau"
    warmup_steps: int = 0  # batches in which the learning rate rises linearly
    plateau_factor: float = 0.5  # on the learning rate, where the held-out loss does not fall any more
    plateau_patience: int = 0  # epochs without improvement that are forgiven
    plateau_threshold: float = 0.005  # part of the best loss by which it must fall
    cosine_end: float = 0.0  # part of the learning rate that is left after max_epochs
    l1: float = 0.0
    l2: float = 0.0
    gradient_clip: float = 5.0  # norm of all gradients together, of the mean loss per frame; 0: no clipping
    max_epochs: int = 20
    patience: int = 4  # epochs without a new best held-out loss before it ends; 0: never
    batch_frames: int = 4096  # input frames in a batch at most, padding and context counted
    chunk_frames: int = 0  # utterances are cut into equal parts of at most this; 0: whole
    chunk_context: int | None = (
        None  # frames either side of a chunk that are seen; the network's `context` if not given
    )
    seed: int = 0
    spec_augment: SpecAugmentOptions = field(default_factory=SpecAugmentOptions)
    mixed_precision: bool = False  # float16 on a GPU, bfloat16 on a CPU that has instructions for it, where it is safe
    checkpoint_every_seconds: float = 300.0  # besides the end of each epoch; 0: after every batch
    explosion: float = 10.0  # times the first batch's loss (at least 1) that stop the training
    max_gradient_norm: float = 1e5  # above this it stops
    tensorboard: bool = False  # curves in FOLDER/tensorboard too

    def __post_init__(self) -> None:
        for name in ("learning_rate", "max_epochs", "batch_frames", "explosion", "max_gradient_norm", "plateau_factor"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} = {getattr(self, name)}; need more than 0")
        not_negative = ("momentum", "warmup_steps", "plateau_patience", "plateau_threshold", "cosine_end", "l1", "l2")
        for name in (*not_negative, "gradient_clip", "patience", "chunk_frames", "checkpoint_every_seconds"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} = {getattr(self, name)}; need 0 or more")
        if self.chunk_context is not None and self.chunk_context < 0:
            raise ConfigError(f"chunk_context = {self.chunk_context}; need 0 or more")
        if self.optimizer not in ("sgd", "adam", "adamw"):
            raise ConfigError(f"optimizer = {self.optimizer!r}; it is 'sgd', 'adam' or 'adamw'")
        if self.schedule not in ("constant", "plateau", "cosine"):
            raise ConfigError(f"schedule = {self.schedule!r}; it is 'constant', 'plateau' or 'cosine'")


@dataclass(frozen=True)
class DecoderConfig:
    """The sizes of an attention decoder."""

    width: int = 256  # of the LSTM
    embedding: int = 128  # values that tell the LSTM which unit was last
    attention: int = 128  # values in which rows and the LSTM's state are compared
    channels: int = 10  # of a convolution over the weights before, which tells where it looked; 0: not told
    reach: int = 15  # rows on each side that the convolution sees: half a second where a row is 30 ms
    dropout: float = 0.2  # share of the embedding's and the LSTM's outputs set to zero in training

    def __post_init__(self) -> None:
        for name, least in (("width", 1), ("embedding", 1), ("attention", 1), ("channels", 0), ("reach", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"decoder: {name}={getattr(self, name)}; need {least} or more")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"decoder: dropout={self.dropout}; need at least 0 and below 1")


@dataclass(frozen=True)
class SupervisionOptions:
    """How graphs are made. Defaults are those of Kaldi's chain recipes."""

    subsampling: int = 3  # input frames to one output frame
    context_width: int = 2  # phones that a pdf depends on: 2 = the phone and the one before, 1 = the phone
    tree: TreeOptions = field(default_factory=TreeOptions)  # max_leaves: pdfs before leaves are joined
    tolerance: int = 5  # input frames by which a phone may begin earlier or end later than aligned
    lm_order: int = 4  # of the denominator's phone n-gram
    lm_extra_states: int = 2000  # histories of lm_order - 1 phones
    leaky: float = 0.1  # leaky-HMM coefficient

    def __post_init__(self) -> None:
        if self.subsampling < 1 or self.context_width not in (1, 2) or self.tolerance < 0:
            raise ModelError(
                f"subsampling={self.subsampling}, context_width={self.context_width}, tolerance={self.tolerance}; need"
                " 1 or more, 1 or 2, and 0 or more"
            )


@dataclass(frozen=True)
class LfmmiOptions:
    """The weights of what is added to the objective. Names are those of Kaldi's nnet3-chain-train.

    Attributes:
        l2_regularize: half of it times the squares of the scores is added to the loss, which keeps them near 0.
        xent_regularize: the weight of the cross-entropy of a second set of outputs, with the numerator's posterior
            probabilities as targets; it keeps the layers below from overfitting. 0 = no second set.
    """

    l2_regularize: float = 5e-5
    xent_regularize: float = 0.1

    def __post_init__(self) -> None:
        if self.l2_regularize < 0 or self.xent_regularize < 0:
            raise ModelError(
                f"l2_regularize={self.l2_regularize}, xent_regularize={self.xent_regularize}; need 0 or more"
            )
