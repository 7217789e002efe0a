"""The step that trains a network: above a stage of the ladder, or with CTC without one; in this process, or on GPUs.

A table of a recipe's TOML file says what network is trained, on what. On GPUs a process for each trains on its share of
each batch (asr.nn.parallel); the first one leaves the model.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..extras import require_torch
from ..features.pipeline import FeaturePipeline
from ..files.json_files import read_json
from ..lang.lexicon import Lexicon
from ..nn.networks import NetworkConfig, config_from_json
from ..nn.options import SpecAugmentOptions, TrainingOptions
from ..options import from_table
from ..train.data import Data
from ..train.hybrid import HybridOptions
from ..train.options import CtcOptions, JointOptions, LfmmiTrainingOptions
from ..train.stage import TrainedStage
from .progress import Progress
from .searches import GraphSearch
from .systems import Part, usable, with_copies, write_json

# The names of the systems in results, above the ladder and without HMMs.
HYBRID, LFMMI = "dnn-hmm", "tdnn-lfmmi"
CTC_SYSTEMS = RNN_CTC, CNN_CTC, CTC_ATTENTION = "rnn-ctc", "cnn-lstm-ctc", "ctc-attention"

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class NetworkTable(ABC):
    """A network, and what it is trained on. Its subclasses have `options`, of the training."""

    network: dict = field(default_factory=lambda: {"kind": "dnn"})  # see asr.nn.networks
    # Its own features, {kind = "mfcc", options = {...}, pitch = {...}}, less the speaker's mean; or those of the stage.
    front_end: dict = field(default_factory=dict)
    norm_vars: bool = False  # whether they are divided by the speaker's standard deviation too
    speeds: tuple[float, ...] = (1.0,)  # at which the recordings are trained on too, where there is a front end
    search: GraphSearch = field(default_factory=GraphSearch)
    options: Any = None
    n_networks = 1  # that are trained one after another

    @abstractmethod
    def train(self, data: Data, below: Any, lexicon: Any, **how: Any) -> Any:
        """A stage, from a stage or network below or with a lexicon of units. how: what all networks' training takes."""

    def __post_init__(self) -> None:
        self.config  # noqa: B018 - a wrong setting is reported before anything is trained
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
        """What the results call its features, such as mfcc-40."""
        options = self.front_end.get("options", {})
        size = options.get("num_ceps") or options.get("num_mel_bins")
        parts = (self.front_end.get("kind", "fmllr"), size, "pitch" if "pitch" in self.front_end else "")
        return "-".join(str(part) for part in parts if part)

    def pipeline(self, sample_rate: int) -> FeaturePipeline:
        """Of the network's own features."""
        cmvn: dict[str, Any] = {"kind": "cmvn", "mode": "speaker"}
        return FeaturePipeline(sample_rate, (self.front_end, cmvn | ({"norm_vars": True} if self.norm_vars else {})))


@dataclass(frozen=True)
class HybridTable(NetworkTable):
    """A network for the HMMs of the stage below."""

    options: HybridOptions = field(default_factory=HybridOptions)

    @property
    def n_networks(self) -> int:  # type: ignore[override]
        return self.options.n_networks * (self.options.realignments + 1)

    def train(self, data: Data, below: Any, lexicon: Any, **how: Any) -> Any:
        from ..train.hybrid import train_hybrid

        return train_hybrid(data, below, self.config, self.options, **how)


@dataclass(frozen=True)
class LfmmiTable(NetworkTable):
    """A network with HMMs of its own."""

    options: LfmmiTrainingOptions = field(default_factory=LfmmiTrainingOptions)

    def train(self, data: Data, below: Any, lexicon: Any, **how: Any) -> Any:
        from ..train.lfmmi import train_lfmmi

        return train_lfmmi(data, below, self.config, self.options, **how)


@dataclass(frozen=True)
class CtcTable(NetworkTable):
    """A network without HMMs, on features of its own."""

    options: CtcOptions = field(default_factory=CtcOptions)
    plain: dict = field(default_factory=dict)  # what of the training is set otherwise without augmentation

    def __post_init__(self) -> None:
        super().__post_init__()
        from_table(TrainingOptions, self.plain, where="plain.")
        if not self.front_end:
            raise ConfigError("a network trained with CTC needs a front_end: there is no model below it with features")

    def without_augmentation(self) -> "CtcTable":
        """The same, trained on recordings as they are: without masks and copies at other speeds, as `plain` says."""
        settings = from_table(TrainingOptions, self.plain, where="plain.")
        plain = {"spec_augment": SpecAugmentOptions(), **{name: getattr(settings, name) for name in self.plain}}
        training = replace(self.options.training, **plain)
        return replace(self, speeds=(1.0,), plain={}, options=replace(self.options, training=training))

    def train(self, data: Data, below: Any, lexicon: Any, **how: Any) -> Any:
        from ..train.ctc import train_ctc

        return train_ctc(data, lexicon, self.config, self.options, **how)


@dataclass(frozen=True)
class AttentionTable(CtcTable):
    """A network of CTC with an attention decoder above it; `joint`, of a JointTable, has `options` for CTC."""

    joint: JointOptions = field(default_factory=JointOptions)

    def train(self, data: Data, below: Any, lexicon: Any, **how: Any) -> Any:
        from ..train.joint import train_joint

        joint = replace(self.joint, ctc=self.options)
        return train_joint(data, lexicon, self.config, joint, start=below.model, **how)


@dataclass(frozen=True)
class JointTable:
    """An attention decoder above a network of CTC, which it begins as: on its features, and with its search."""

    start: str = CNN_CTC  # the name of that system
    options: JointOptions = field(default_factory=JointOptions)
    plain: dict = field(default_factory=dict)

    def above(self, table: CtcTable) -> AttentionTable:
        """The table that it begins as, with the training and the decoder of this one."""
        return AttentionTable(**{**vars(table), "options": self.options.ctc, "plain": self.plain}, joint=self.options)


def present_gpus(gpus: str) -> str:
    """A recipe's --gpus, as it is. Raises ConfigError unless it is "all" or numbers of GPUs that are there."""
    require_torch()
    import torch

    from ..nn.parallel import parse_gpus

    parse_gpus(gpus, torch.cuda.device_count())
    return gpus


def train_network(
    data: Data, part: Part, below: TrainedStage | None = None, prefixes: tuple[str, ...] = ("",), *,
    table: NetworkTable,
    pipeline: FeaturePipeline | None = None, lexicon: Lexicon | None = None, aligned: Data | None = None,
    copies: Mapping[float, Data] | None = None, seed: int, folder: Path, checkpoints: Path, n_jobs: int = 1,
    gpus: str | None = None, progress: Report | None = None,
) -> TrainedStage:  # fmt: skip
    """A step: the network of a table. Beside the model lie curves.json (see asr.nn.curves), and its decoder if any.

    Args:
        below: the stage of the ladder with whose alignments it is trained; of a decoder, the network it begins as.
        pipeline: what is done to its features, if they are not the stage's.
        lexicon: of a network without HMMs, whose units are its phones.
        aligned: the stage's features, if the network's are others.
        copies: by speed, its features of the recordings at that speed.
        gpus: see `present_gpus`; None: the CPU.
    """
    require_torch()
    if lexicon is None:
        wanted = with_copies(aligned or data, list(dict.fromkeys([*part.train, *part.apart])), prefixes)
    else:  # none of the utterances that tell the best epoch is trained on, nor is a copy of one
        ids = [u for u in part.train if u not in set(part.apart)]
        wanted = usable(data, [*(p + u for p in prefixes for u in ids), *part.apart])
    how: dict[str, Any] = {
        "held_out": [p + u for p in prefixes for u in part.apart if p + u in wanted.raw], "pipeline": pipeline,
        "copies": {speed: usable(copied, part.train) for speed, copied in (copies or {}).items()},
        "seed": seed, "folder": checkpoints,
    }  # fmt: skip
    if aligned is not None:
        how["inputs"] = usable(data, list(wanted.raw))
    if isinstance(progress, Progress):
        progress.place = partial(epoch_in_words, table.options.training.max_epochs, table.n_networks)
    train = partial(_trained, partial(table.train, wanted, below, lexicon, **how), folder, checkpoints, n_jobs)
    if gpus is None:
        return train("cpu", progress)
    from ..nn.parallel import train_on

    train_on(gpus, train, progress)
    return TrainedStage.load(checkpoints / "made")


def epoch_in_words(n_epochs: int, n_networks: int, part: float) -> str:
    """Which epoch, and of which network, is trained when a part of the work is done."""
    done = min(int(part * n_networks * n_epochs + 1e-9), n_networks * n_epochs - 1)
    network = f"network {done // n_epochs + 1} of {n_networks}, " if n_networks > 1 else ""
    return f"{network}epoch {done % n_epochs + 1} of {n_epochs}"


def _trained(
    train: Callable[..., Any], folder: Path, checkpoints: Path, n_threads: int, device: str, progress: Report | None
) -> TrainedStage:
    """What a training makes in this process; the first one of several leaves it among the checkpoints."""
    import torch

    from ..model.decoder_file import save_decoder
    from ..nn.parallel import current_group

    group = current_group()
    torch.set_num_threads(max(1, n_threads // group.size))
    made = train(device=device, progress=progress)
    stage = made.stage if hasattr(made, "stage") else made
    if group.writes:
        files = sorted(checkpoints.glob("*/curves.json"))
        write_json(folder / "curves.json", {file.parent.name: read_json(file, kind=list) for file in files})
        if stage is not made:
            save_decoder(made.decoder, stage.model, folder)
    if group.size > 1 and group.writes:
        (checkpoints / "made").mkdir(exist_ok=True)
        stage.save(checkpoints / "made")
    return stage
