"""Training a network as a stage of a recipe: in this process, or on GPUs by one process for each.

Those on GPUs are started by torchrun. Each reads the same job from a file, prepares the same data, and trains on its
share of each batch (asr.nn.parallel); the first one saves the model, and tells this process how far it is.
"""

import contextlib
import hashlib
import importlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import AsrError, ConfigError, ModelError
from ..features.pipeline import FeaturePipeline
from ..files import write_text
from ..lang.lexicon import Lexicon
from ..model.model import load
from ..model.parts import load_arrays
from ..nn.networks import NetworkConfig
from ..options import from_table
from ..train.ladder import Rung
from .stages import hash_of
from .tasks import read_json, usable, write_json

if TYPE_CHECKING:
    from ..train.joint import JointRung

# Files of a job, beside the checkpoints of its networks.
_JOB, _PIPELINE, _PROGRESS, _FAILURE = "job.json", "pipeline.npz", "progress.txt", "failure-{}.txt"

Progress = Callable[[int, int], None]


class Plan(Protocol):
    """A table of a recipe's TOML file that says what network is trained, and how; a frozen dataclass."""

    @property
    def config(self) -> NetworkConfig:
        """The network's settings."""

    def train(self, data: Any, below: Any, **how: Any) -> "Rung | JointRung":
        """The model above a rung, or of a lexicon; arguments as of `asr.train.hybrid.train_hybrid` after `options`."""


@dataclass(frozen=True)
class NetworkJob:
    """What is trained, from what.

    data: a folder of `extract_features`. ids: utterances to train on. held_out: others, for early stopping.
    below: the folder of the rung of the ladder below, or the file of a lexicon. n_jobs: threads, of all processes.
    inputs, pipeline: a folder of features of another kind than the rung's, and what is done to them. copies: by speed,
    folders of such features of the recordings at that speed. start: the folder of a rung whose network it begins as.
    """

    data: Path
    ids: Sequence[str]
    held_out: Sequence[str]
    below: Path
    plan: Plan
    seed: int
    n_jobs: int
    inputs: Path | None = None
    pipeline: FeaturePipeline | None = None
    copies: Mapping[float, Path] = field(default_factory=dict)
    start: Path | None = None

    @property
    def key(self) -> str:
        """Hexadecimal digits that change with everything but the features' numbers."""
        steps = self.pipeline and self.pipeline.steps
        texts = hash_of(self.data / "utterances.tsv")
        told: list[Any] = [
            hash_of(self.below),
            texts,
            self.plan,
            *self.ids,
            *self.held_out,
            self.seed,
            self.n_jobs,
            steps,
        ]
        told += sorted(self.copies) + ([] if self.start is None else [hash_of(self.start)])
        return hashlib.sha256("\n".join(map(str, told)).encode()).hexdigest()[:16]

    def train(self, folder: Path, device: str, n_processes: int, progress: Progress | None) -> "Rung | JointRung":
        """The trained model. folder: for checkpoints; see `train_hybrid` for the rest."""
        import torch

        torch.set_num_threads(max(1, self.n_jobs // n_processes))
        wanted = [*self.ids, *self.held_out]
        below = Rung.load(self.below) if self.below.is_dir() else Lexicon.load(self.below)
        start = {} if self.start is None else {"start": load(self.start / "model")}
        return self.plan.train(
            usable(self.data, wanted), below, held_out=self.held_out, folder=folder,
            inputs=None if self.inputs is None else usable(self.inputs, wanted), pipeline=self.pipeline,
            copies={speed: usable(copies, self.ids) for speed, copies in self.copies.items()},
            seed=self.seed, device=device, progress=progress, **start,
        )  # fmt: skip

    def write(self, folder: Path) -> None:
        """Write it into a folder, for other processes.

        Raises ConfigError for a network of one's own that they could not import.
        """
        module = type(self.plan.config).__module__
        if module == "__main__":
            raise ConfigError(
                f"network kind {self.plan.config.kind!r} is registered in the script itself, where the processes on "
                "the GPUs cannot import it; move it to a module of its own beside the script"
            )
        kind, settings = type(self.plan), _given(asdict(self.plan))  # type: ignore[call-overload]
        told = {
            "data": str(self.data), "ids": list(self.ids), "held_out": list(self.held_out), "below": str(self.below),
            "plan": {"module": kind.__module__, "class": kind.__name__, "settings": settings, "network_from": module},
            "seed": self.seed, "n_jobs": self.n_jobs,
            "inputs": self.inputs and str(self.inputs), "pipeline": self.pipeline and self.pipeline.to_json(),
            "copies": [[speed, str(copies)] for speed, copies in self.copies.items()],
            "start": self.start and str(self.start),
        }  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        if self.pipeline is not None:
            arrays: dict[str, Any] = self.pipeline.arrays()
            np.savez(folder / _PIPELINE, **arrays)
        write_json(folder / _JOB, told)

    @classmethod
    def read(cls, folder: Path) -> "NetworkJob":
        """What `write` wrote."""
        told = read_json(folder / _JOB)
        plan, inputs, pipeline = told["plan"], told["inputs"], told["pipeline"]
        importlib.import_module(plan["network_from"])  # registers the network
        kind = getattr(importlib.import_module(plan["module"]), plan["class"])
        return cls(
            Path(told["data"]), told["ids"], told["held_out"], Path(told["below"]),
            from_table(kind, plan["settings"]), told["seed"], told["n_jobs"], inputs and Path(inputs),
            pipeline and FeaturePipeline.from_json(pipeline, load_arrays(folder / _PIPELINE)),
            {speed: Path(copies) for speed, copies in told["copies"]}, told["start"] and Path(told["start"]),
        )  # fmt: skip


def run_job(folder: Path, job: NetworkJob, gpus: str | None, progress: Progress) -> None:
    """Train a network as the stage that makes `folder`: model, alignments and curves.

    gpus: "all" or numbers such as 0,2; None for the CPU.
    What an interrupted training has reached is kept beside the stages, in OUT/.training, and gone on with, on GPUs too.
    """
    from ..extras import require_torch

    require_torch()
    with checkpoints(folder, job.key) as reached:
        if gpus is None:
            job.train(reached, "cpu", 1, progress).save(folder)
        else:
            _run_on_gpus(gpus, job, folder, reached, folder.parent.parent / "run.log", progress)


@contextlib.contextmanager
def checkpoints(folder: Path, key: str) -> Iterator[Path]:
    """A folder beside the stages, OUT/.training, where a training that is interrupted finds again what it has reached.

    folder: of the stage, where the networks' curves are when the training has ended; what it reached is then removed.
    key: tells trainings of that stage with other inputs apart.
    """
    reached = folder.parent.parent / ".training" / f"{folder.name}-{key}"
    yield reached
    for curves in sorted(reached.glob("*/curves.json")):
        shutil.copyfile(curves, folder / f"curves-{curves.parent.name}.json")
    shutil.rmtree(reached)


def _run_on_gpus(gpus: str, job: NetworkJob, folder: Path, reached: Path, log: Path, progress: Progress) -> None:
    """The same by other processes. Raises ModelError where one failed."""
    from ..nn.parallel import launch

    def watch() -> None:
        if told.exists():
            done, total = told.read_text(encoding="utf-8").split()
            progress(int(done), int(total))

    job.write(reached)
    told = reached / _PROGRESS
    for old in (told, *reached.glob(_FAILURE.format("*"))):
        old.unlink(missing_ok=True)
    status = launch(gpus, ["-m", __name__, str(reached), str(folder), str(log)], watch)
    watch()
    if status:
        # One that fails takes others with it: the first to say so knows why.
        failures = sorted(reached.glob(_FAILURE.format("*")), key=lambda path: path.stat().st_mtime_ns)
        why = failures[0].read_text(encoding="utf-8").strip() if failures else f"exit status {status}; see above"
        raise ModelError(f"--gpus {gpus}: a training process failed: {why}")


def main() -> None:
    """What each of the processes runs: python -m asr.recipe.network_job REACHED FOLDER LOG, under torchrun."""
    from ..nn.parallel import current_group, join_group, leave_group

    reached, folder, log = map(Path, sys.argv[1:])
    try:
        device = join_group()
        group = current_group()
        _log_to(log, group.writes)
        progress = _progress_to(reached / _PROGRESS) if group.writes else None
        made = NetworkJob.read(reached).train(reached, device, group.size, progress)
        if group.writes:
            made.save(folder)
    except Exception as error:
        known = isinstance(error, AsrError)
        why = str(error) if known else f"{type(error).__name__}: {error}"
        write_text(reached / _FAILURE.format(os.environ["RANK"]), why + "\n")
        if known:
            sys.exit(1)
        raise
    leave_group()


def _log_to(path: Path, writes: bool) -> None:
    """Details to the run's log and warnings to stderr, as the recipe has them; from one process only."""
    logger = logging.getLogger("asr")
    logger.setLevel(logging.INFO if writes else logging.CRITICAL)
    details, warnings = logging.FileHandler(path, encoding="utf-8"), logging.StreamHandler()
    details.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    warnings.setLevel(logging.WARNING)
    for handler in (details, warnings):
        logger.addHandler(handler)


def _progress_to(path: Path) -> Progress:
    """A function (done, total) that tells another process by a file, once a second."""
    last = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= 1.0:
            last = time.monotonic()
            write_text(path, f"{done} {total}\n")

    return tell


def _given(value: Any) -> Any:
    """The value without settings that are None, which TOML cannot hold: they are left out, as their default."""
    if isinstance(value, dict):
        return {name: _given(inner) for name, inner in value.items() if inner is not None}
    return value


if __name__ == "__main__":
    main()
