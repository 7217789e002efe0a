"""The stage of a recipe that trains a network: above the best model of the ladder, or with CTC without one.

Its decoding is tuned and tested as that of the ladder's models, by asr.recipe.rungs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..features.pipeline import FeaturePipeline
from ..hybrid import HybridOptions, train_hybrid
from ..ladder import Rung
from ..lang.lexicon import Lexicon
from ..nn.networks import NetworkConfig, config_from_json
from ..nn.options import DecoderConfig, SpecAugmentOptions, TrainingOptions
from ..training import Data
from .network_job import NetworkJob, run_job
from .rungs import Search
from .stages import Progress
from .tasks import read_json

if TYPE_CHECKING:
    from ..nn.ctc.joint_training import JointRung
    from ..nn.lfmmi.training import LfmmiTrainingOptions

HYBRID, LFMMI, RNN_CTC, CNN_CTC, CTC_ATTENTION = (
    "dnn-hmm", "tdnn-lfmmi", "rnn-ctc", "cnn-lstm-ctc", "ctc-attention",
)  # fmt: skip
"""The names of the systems in results."""
CTC_SYSTEMS = (RNN_CTC, CNN_CTC, CTC_ATTENTION)
"""Those without HMMs."""


@dataclass(frozen=True)
class NetworkPlan:
    """A table of a recipe's TOML file that says what network is trained, on what.

    network: see asr.nn.networks: "kind", and the settings of that kind. training: see asr.nn.options.
    front_end: the network's own features, {kind = "mfcc", options = {...}, pitch = {...}}, less the speaker's mean;
        none: those of the rung below. norm_vars: they are divided by the speaker's standard deviation too.
    speeds: at which the recordings are trained on too, where there is a front end.
    search: how decoding is tuned; as for the ladder, if not given.
    """

    network: dict = field(default_factory=lambda: {"kind": "dnn"})
    training: TrainingOptions = field(default_factory=TrainingOptions)
    front_end: dict = field(default_factory=dict)
    norm_vars: bool = False
    speeds: tuple[float, ...] = (1.0,)
    search: Search | None = None

    def __post_init__(self) -> None:
        self.config  # noqa: B018 - a wrong setting is told before anything is trained
        if self.front_end:
            self.pipeline(16000)
        elif self.speeds != (1.0,):
            raise ConfigError(f"speeds = {self.speeds} need a front_end: copies of recordings have no fMLLR transforms")

    @property
    def config(self) -> NetworkConfig:
        """The network's settings."""
        return config_from_json(self.network)

    @property
    def features(self) -> str:
        """What the column of results calls its features, such as mfcc-40."""
        options = self.front_end.get("options", {})
        size = options.get("num_ceps") or options.get("num_mel_bins")
        pitch = "pitch" if "pitch" in self.front_end else ""
        return "-".join(str(part) for part in (self.front_end.get("kind", "fmllr"), size, pitch) if part)

    def pipeline(self, sample_rate: int) -> FeaturePipeline:
        """Of the network's own features."""
        cmvn: dict[str, Any] = {"kind": "cmvn", "mode": "speaker"}
        return FeaturePipeline(sample_rate, (self.front_end, cmvn | ({"norm_vars": True} if self.norm_vars else {})))


@dataclass(frozen=True)
class HybridPlan(NetworkPlan):
    """A network for the HMMs of the rung below.

    learn_every, n_networks, realignments, prior_scale: see asr.hybrid.HybridOptions.
    """

    learn_every: int = 1
    n_networks: int = 1
    realignments: int = 0
    prior_scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.options  # noqa: B018

    @property
    def options(self) -> HybridOptions:
        """The training's settings."""
        return HybridOptions(
            self.training,
            learn_every=self.learn_every,
            n_networks=self.n_networks,
            realignments=self.realignments,
            prior_scale=self.prior_scale,
        )

    def train(self, data: Data, below: Rung, **how: Any) -> Rung:
        """The hybrid above a rung. how: as of `train_hybrid`."""
        return train_hybrid(data, below, self.config, self.options, **how)


@dataclass(frozen=True)
class LfmmiPlan(NetworkPlan):
    """A network with HMMs of its own. supervision, loss: of asr.nn.lfmmi, SupervisionOptions and LfmmiOptions."""

    supervision: dict = field(default_factory=dict)
    loss: dict = field(default_factory=dict)

    def options(self) -> "LfmmiTrainingOptions":
        """The training's settings. Raises ConfigError for a wrong one; needs torch."""
        from ..nn.lfmmi import LfmmiOptions, SupervisionOptions
        from ..nn.lfmmi.training import LfmmiTrainingOptions
        from .config import from_table

        return LfmmiTrainingOptions(
            from_table(SupervisionOptions, self.supervision, where="supervision."),
            from_table(LfmmiOptions, self.loss, where="loss."),
            self.training,
        )

    def train(self, data: Data, below: Rung, **how: Any) -> Rung:
        """The network above a rung. how: as of `train_lfmmi`."""
        from ..nn.lfmmi.training import train_lfmmi

        return train_lfmmi(data, below, self.config, self.options(), **how)


@dataclass(frozen=True)
class CtcPlan(NetworkPlan):
    """A network without HMMs, on features of its own.

    prior_scale: see asr.nn.ctc.training.CtcOptions. plain: what else is set for training without augmentation.
    """

    prior_scale: float = 0.0
    plain: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.without_augmentation  # noqa: B018 - a wrong setting is told before anything is trained
        if not 0 <= self.prior_scale <= 1:
            raise ConfigError(f"prior_scale={self.prior_scale}; need 0 to 1")
        if not self.front_end:
            raise ConfigError("a network trained with CTC needs a front_end: there is no model below it with features")

    @property
    def without_augmentation(self) -> TrainingOptions:
        """The training's settings for recordings as they are: no masks, and the plan's plain ones.

        Raises ConfigError for a wrong one.
        """
        from .config import from_table

        settings = from_table(TrainingOptions, self.plain, where="plain.")
        plain = {name: getattr(settings, name) for name in self.plain}
        return replace(self.training, **{"spec_augment": SpecAugmentOptions(), **plain})

    def as_plain(self) -> "CtcPlan":
        """The same system, trained without augmentation: without masks and copies at other speeds."""
        return replace(self, speeds=(1.0,), training=self.without_augmentation, plain={})

    def train(self, data: Data, below: Lexicon, **how: Any) -> Rung:
        """The model of the lexicon's phones. how: as of `train_ctc`; inputs, if given, are taken in place of data."""
        from ..nn.ctc.training import CtcOptions, train_ctc

        options = CtcOptions(self.training, self.prior_scale)
        inputs = how.pop("inputs", None)
        return train_ctc(data if inputs is None else inputs, below, self.config, options, **how)


@dataclass(frozen=True)
class JointPlan(CtcPlan):
    """CTC and attention on one network.

    decoder: see asr.nn.options.DecoderConfig. ctc_weight: of CTC's loss. start: the system trained with CTC whose
    network it begins as; empty: with random weights.
    """

    decoder: dict = field(default_factory=dict)
    ctc_weight: float = 0.3
    start: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.ctc_weight < 1:
            raise ConfigError(f"ctc_weight={self.ctc_weight}; need more than 0 and less than 1")
        self.decoder_config  # noqa: B018

    @property
    def decoder_config(self) -> DecoderConfig:
        """The decoder's settings."""
        from .config import from_table

        return from_table(DecoderConfig, self.decoder, where="decoder.")

    def train(self, data: Data, below: Lexicon, **how: Any) -> "JointRung":  # type: ignore[override]
        """The model of the lexicon's phones, and its decoder. how: as of `train_joint`, and as of CtcPlan's."""
        from ..nn.ctc.joint_training import JointOptions, train_joint
        from ..nn.ctc.training import CtcOptions

        ctc = CtcOptions(self.training, self.prior_scale)
        options = JointOptions(ctc, self.decoder_config, self.ctc_weight)
        inputs = how.pop("inputs", None)
        return train_joint(data if inputs is None else inputs, below, self.config, options, **how)


Plans = HybridPlan | LfmmiPlan | CtcPlan | JointPlan


def present_gpus(gpus: str) -> str:
    """A recipe's --gpus, as it is, before anything is done with it.

    Raises ConfigError unless it is "all" or numbers of GPUs that are there, AsrError without torch.
    """
    from ..nn import require_torch

    require_torch()
    import torch

    from ..nn.parallel import parse_gpus

    parse_gpus(gpus, torch.cuda.device_count())
    return gpus


def make_network(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    held_out: Sequence[str],
    below: Path,
    plan: Plans,
    seed: int,
    n_jobs: int,
    progress: Callable[[int, int], None],
    inputs: Path | None = None,
    pipeline: FeaturePipeline | None = None,
    copies: Mapping[float, Path] | None = None,
    gpus: str | None = None,
    start: Path | None = None,
) -> None:
    """A network, trained from the alignments of a rung of the ladder or with CTC; model and curves in `folder`.

    below: the rung's folder; for CTC the file of a lexicon. ids: utterances to train on, those of the rung. held_out:
        others, for the network's early stopping.
    inputs, pipeline: a folder of `extract_features` and what is done to them, for features of another kind than the
        rung's. copies: by speed, folders of such features of the recordings at that speed.
    n_jobs: threads. gpus: "all" or numbers such as 0,2, to train on those. start: the folder of a rung whose network
        it begins as, for CTC with attention.
    What an interrupted training has reached is kept beside the stages, in OUT/.training.
    """
    name_epochs(progress, plan)
    job = NetworkJob(data, ids, held_out, below, plan, seed, n_jobs, inputs, pipeline, copies or {}, start)
    run_job(folder, job, gpus, progress)


def name_epochs(progress: Callable[[int, int], None], plan: NetworkPlan) -> None:
    """Let a stage's progress say which epoch, and of which network, is trained."""
    if not isinstance(progress, Progress):
        return
    epochs, networks = plan.training.max_epochs, 1
    if isinstance(plan, HybridPlan):
        networks = plan.n_networks * (plan.realignments + 1)

    def place(part: float) -> str:
        done = min(int(part * networks * epochs + 1e-9), networks * epochs - 1)
        network = f"network {done // epochs + 1} of {networks}, " if networks > 1 else ""
        return f"{network}epoch {done % epochs + 1} of {epochs}"

    progress.place = place


def read_training(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The curves that `make_network` left, by network: see asr.nn.curves.Point."""
    return {file.stem.removeprefix("curves-"): read_json(file) for file in sorted(folder.glob("curves-*.json"))}
