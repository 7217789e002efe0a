"""Steps that train networks: above a stage of the ladder, or with CTC without one; in this process, or on GPUs.

A table of a recipe's TOML file says what network is trained, on what; its `options` are those of the training:
asr.train.hybrid.HybridOptions, or of asr.train.options. On GPUs a process for each is started, which is given the same
data and trains on its share of each batch (asr.nn.parallel); the first one leaves the model.
"""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import AsrError, ConfigError, ModelError
from ..features.pipeline import FeaturePipeline
from ..files.json_files import read_json
from ..lang.lexicon import Lexicon
from ..nn.networks import NetworkConfig, config_from_json
from ..nn.options import SpecAugmentOptions, TrainingOptions
from ..options import from_table
from ..train.data import Data
from ..train.hybrid import HybridOptions, train_hybrid
from ..train.options import CtcOptions, JointOptions, LfmmiTrainingOptions
from .progress import Progress
from .searches import GraphSearch
from .systems import Part, Trained, usable, with_copies

HYBRID, LFMMI, RNN_CTC, CNN_CTC, CTC_ATTENTION = (
    "dnn-hmm", "tdnn-lfmmi", "rnn-ctc", "cnn-lstm-ctc", "ctc-attention",
)  # fmt: skip
"""The names of the systems in results."""
CTC_SYSTEMS = (RNN_CTC, CNN_CTC, CTC_ATTENTION)
"""Those without HMMs."""

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class NetworkTable:
    """A network, and what it is trained on. Its subclasses have `options`, of the training.

    Attributes:
        network: see asr.nn.networks: "kind", and the settings of that kind.
        front_end: the network's own features, {kind = "mfcc", options = {...}, pitch = {...}}, less the speaker's mean;
            none: those of the stage below.
        norm_vars: they are divided by the speaker's standard deviation too.
        speeds: at which the recordings are trained on too, where there is a front end.
        search: how decoding is tuned.
    """

    network: dict = field(default_factory=lambda: {"kind": "dnn"})
    front_end: dict = field(default_factory=dict)
    norm_vars: bool = False
    speeds: tuple[float, ...] = (1.0,)
    search: GraphSearch = field(default_factory=GraphSearch)

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
class HybridTable(NetworkTable):
    """A network for the HMMs of the stage below."""

    options: HybridOptions = field(default_factory=HybridOptions)


@dataclass(frozen=True)
class LfmmiTable(NetworkTable):
    """A network with HMMs of its own."""

    options: LfmmiTrainingOptions = field(default_factory=LfmmiTrainingOptions)


@dataclass(frozen=True)
class CtcTable(NetworkTable):
    """A network without HMMs, on features of its own.

    Attributes:
        plain: what of the training is set otherwise without augmentation.
    """

    options: CtcOptions = field(default_factory=CtcOptions)
    plain: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._plain_training(TrainingOptions())
        if not self.front_end:
            raise ConfigError("a network trained with CTC needs a front_end: there is no model below it with features")

    def without_augmentation(self) -> "CtcTable":
        """The same, trained on recordings as they are: without masks and copies at other speeds, as `plain` says."""
        options = replace(self.options, training=self._plain_training(self.options.training))
        return replace(self, speeds=(1.0,), plain={}, options=options)

    def _plain_training(self, training: TrainingOptions) -> TrainingOptions:
        """The settings of training on recordings as they are.

        Raises:
            ConfigError: for a wrong one.
        """
        settings = from_table(TrainingOptions, self.plain, where="plain.")
        plain = {name: getattr(settings, name) for name in self.plain}
        return replace(training, **{"spec_augment": SpecAugmentOptions(), **plain})


@dataclass(frozen=True)
class JointTable:
    """An attention decoder above a network of CTC, which it begins as: on its features, and with its search.

    Attributes:
        start: the name of that system.
        plain: as of CtcTable.
    """

    start: str = CNN_CTC
    options: JointOptions = field(default_factory=JointOptions)
    plain: dict = field(default_factory=dict)

    def above(self, table: CtcTable) -> CtcTable:
        """What the network is trained with: the table that it begins as, with its own training."""
        return replace(table, options=self.options.ctc, plain=self.plain)


def present_gpus(gpus: str) -> str:
    """A recipe's --gpus, as it is, before anything is done with it.

    Raises:
        ConfigError: unless it is "all" or numbers of GPUs that are there.
        AsrError: without torch.
    """
    from ..extras import require_torch

    require_torch()
    import torch

    from ..nn.parallel import parse_gpus

    parse_gpus(gpus, torch.cuda.device_count())
    return gpus


def train_above(
    data: Data,
    part: Part,
    below: Trained,
    prefixes: tuple[str, ...] = ("",),
    *,
    table: HybridTable | LfmmiTable,
    pipeline: FeaturePipeline | None = None,
    aligned: Data | None = None,
    copies: Mapping[float, Data] | None = None,
    seed: int,
    checkpoints: Path,
    n_jobs: int = 1,
    gpus: str | None = None,
    progress: Report | None = None,
) -> Trained:
    """A step: a network above a stage of the ladder, trained on its alignments.

    Args:
        data: the network's features.
        pipeline: what is done to them, if they are not the stage's.
        aligned: the stage's, if these are others.
        copies: by speed, the network's features of the recordings at that speed.
    """
    ids = dict.fromkeys([*part.train, *part.apart])
    wanted = with_copies(data if aligned is None else aligned, list(ids), prefixes)
    how = {
        "held_out": [p + u for p in prefixes for u in part.apart if p + u in wanted.raw],
        "inputs": None if aligned is None else usable(data, list(wanted.raw)), "pipeline": pipeline, "seed": seed,
        "copies": {speed: usable(copied, part.train) for speed, copied in (copies or {}).items()},
    }  # fmt: skip
    train: Callable = train_hybrid
    networks = 1
    if isinstance(table, HybridTable):
        networks = table.options.n_networks * (table.options.realignments + 1)
    else:
        from ..train.lfmmi import train_lfmmi as train
    name_epochs(progress, table.options.training.max_epochs, networks)
    job = _Job(train, (wanted, below.rung, table.config, table.options), how, checkpoints, n_jobs)
    return job.trained(gpus, progress)


def train_without_hmms(
    data: Data,
    part: Part,
    below: Trained | None = None,
    prefixes: tuple[str, ...] = ("",),
    *,
    table: CtcTable,
    lexicon: Lexicon,
    pipeline: FeaturePipeline,
    joint: JointOptions | None = None,
    copies: Mapping[float, Data] | None = None,
    seed: int,
    checkpoints: Path,
    n_jobs: int = 1,
    gpus: str | None = None,
    progress: Report | None = None,
) -> Trained:
    """A step: a network trained with CTC, whose units are the lexicon's phones.

    Args:
        joint: it has an attention decoder too, and begins as the network below.
        copies: as of `train_above`.
    """
    apart = set(part.apart)
    train = [p + u for p in prefixes for u in part.train if u not in apart]
    wanted = usable(data, [*train, *part.apart])
    how: dict[str, Any] = {"held_out": list(part.apart), "pipeline": pipeline, "seed": seed}
    how["copies"] = {speed: usable(copied, train) for speed, copied in (copies or {}).items()}
    name_epochs(progress, table.options.training.max_epochs)
    if joint is None:
        from ..train.ctc import train_ctc

        job = _Job(train_ctc, (wanted, lexicon, table.config, table.options), how, checkpoints, n_jobs)
    else:
        from ..train.joint import train_joint

        assert below is not None  # the network that it begins as
        options, how["start"] = replace(joint, ctc=table.options), below.rung.model
        job = _Job(train_joint, (wanted, lexicon, table.config, options), how, checkpoints, n_jobs)
    return job.trained(gpus, progress)


def name_epochs(progress: Report | None, epochs: int, networks: int = 1) -> None:
    """Let a step's progress say which epoch, and of which network, is trained."""
    if not isinstance(progress, Progress):
        return

    def place(part: float) -> str:
        done = min(int(part * networks * epochs + 1e-9), networks * epochs - 1)
        network = f"network {done // epochs + 1} of {networks}, " if networks > 1 else ""
        return f"{network}epoch {done % epochs + 1} of {epochs}"

    progress.place = place


@dataclass(frozen=True)
class _Job:
    """A training function, called with `arguments` and `how`.

    Attributes:
        n_jobs: threads, of all processes.
    """

    train: Callable
    arguments: tuple
    how: dict[str, Any]
    checkpoints: Path
    n_jobs: int

    def trained(self, gpus: str | None, progress: Report | None) -> Trained:
        """What the function returns, here or by processes on GPUs."""
        from ..extras import require_torch

        require_torch()
        return self.run("cpu", 1, progress) if gpus is None else _on_gpus(gpus, self, progress)

    def run(self, device: str, n_processes: int, progress: Report | None) -> Trained:
        """What the function returns in this process."""
        import torch

        torch.set_num_threads(max(1, self.n_jobs // n_processes))
        made = self.train(*self.arguments, **self.how, folder=self.checkpoints, device=device, progress=progress)
        files = sorted(self.checkpoints.glob("*/curves.json"))
        curves = {file.parent.name: read_json(file, kind=list) for file in files}
        return Trained(getattr(made, "rung", made), curves, getattr(made, "decoder", None))


def _on_gpus(gpus: str, job: _Job, progress: Report | None) -> Trained:
    """The same by a process for each GPU. Raises ModelError where one failed."""
    import multiprocessing

    import torch

    from ..nn.parallel import parse_gpus

    n_there, context = torch.cuda.device_count(), multiprocessing.get_context("spawn")
    chosen, reached, reasons = parse_gpus(gpus, n_there), context.Array("q", 2), context.SimpleQueue()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = visible.split(",") if visible else list(map(str, range(n_there)))
    variables = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "WORLD_SIZE": str(len(chosen))}
    variables |= {"TORCHELASTIC_RUN_ID": "recipe", "CUDA_VISIBLE_DEVICES": ",".join(names[n] for n in chosen)}
    given = (variables, job, _log_place(), reached, reasons)
    ranks = [context.Process(target=_rank, args=(n, *given)) for n in range(len(chosen))]
    with _ended(ranks):
        for rank in ranks:
            rank.start()
        # One that fails must not leave the others waiting for it for ever.
        while any(rank.is_alive() for rank in ranks) and not any(rank.exitcode for rank in ranks):
            ranks[0].join(timeout=1.0)
            if progress is not None and reached[1]:
                progress(reached[0], reached[1])
        failed = next((rank.exitcode for rank in ranks if rank.exitcode), 0)
    if failed:
        # One that fails takes others with it: the first to say so knows why.
        why = reasons.get() if not reasons.empty() else f"exit status {failed}; see above"
        raise ModelError(f"--gpus {gpus}: a training process failed: {why}")
    return Trained.load(job.checkpoints / "made")


@contextlib.contextmanager
def _ended(processes: list) -> Iterator[None]:
    """Whatever happens, these processes end."""
    try:
        yield
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
                process.join()


def _rank(number: int, variables: dict[str, str], job: _Job, log: str | None, reached: Any, reasons: Any) -> None:
    """What each of the processes runs."""
    os.environ.update({**variables, "RANK": str(number), "LOCAL_RANK": str(number)})
    from ..nn.parallel import current_group, join_group, leave_group

    device, group = join_group(), current_group()
    _log_to(log, group.writes)

    def report(done: int, total: int) -> None:
        reached[:] = [done, total]

    try:
        made = job.run(device, group.size, report if group.writes else None)
        if group.writes:
            (job.checkpoints / "made").mkdir(exist_ok=True)
            made.save(job.checkpoints / "made")
    except Exception as error:
        reasons.put(str(error) if isinstance(error, AsrError) else f"{type(error).__name__}: {error}")
        if isinstance(error, AsrError):
            raise SystemExit(1) from None
        raise
    leave_group()


def _log_place() -> str | None:
    """The file that the run's log goes to."""
    handlers = logging.getLogger("asr").handlers
    return next((h.baseFilename for h in reversed(handlers) if isinstance(h, logging.FileHandler)), None)


def _log_to(path: str | None, writes: bool) -> None:
    """Details to the run's log and warnings to stderr, as the recipe has them; from one process only."""
    logger = logging.getLogger("asr")
    logger.setLevel(logging.INFO if writes else logging.CRITICAL)
    details = logging.NullHandler() if path is None else logging.FileHandler(path, encoding="utf-8")
    warnings = logging.StreamHandler()
    details.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    warnings.setLevel(logging.WARNING)
    for handler in (details, warnings):
        logger.addHandler(handler)
