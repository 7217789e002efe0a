"""Data-parallel training: several processes share each batch, started by torchrun.

Every process reads its rows of the batch; sums, counts and gradients are added over all of them, so the result is that
of one process with the whole batch, up to rounding.
"""

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed, nn

from ..errors import ConfigError, ModelError

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Group:
    """The processes that train together, seen by one of them.

    Attributes:
        rank: number of this one, from 0; the one that writes files is 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes the files and the log."""
        return self.rank == 0

    def share(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """This process' rows of a batch, and the weight of what they give in the sum over the processes.

        Where there are fewer rows than processes, all take all of them and weigh less: every process has to take part
        in the sums over all, which may be inside the network.
        """
        return (rows, 1.0 / self.size) if len(rows) < self.size else (rows[self.rank :: self.size], 1.0)

    def sum(self, values: Tensor) -> Tensor:
        """The values added over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add the gradients of all processes; one that is missing somewhere counts as zero there."""
        if self.size == 1:
            return
        parameters = list(parameters)
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        together = self.sum(torch.cat([p.grad.flatten() for p in parameters]))  # type: ignore[union-attr]
        for p, part in zip(parameters, together.split([p.numel() for p in parameters]), strict=True):
            p.grad.copy_(part.view_as(p))  # type: ignore[union-attr]

    def same_start(self, network: nn.Module) -> None:
        """Give every process the weights and buffers of process 0."""
        if self.size > 1:
            for values in network.state_dict().values():
                distributed.broadcast(values, src=0)


def current_group() -> Group:
    """The processes of this training: those that torch.distributed knows of, or this one alone."""
    if distributed.is_available() and distributed.is_initialized():
        return Group(distributed.get_rank(), distributed.get_world_size())
    return Group()


def is_worker() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "RANK" in os.environ


def join_group() -> str:
    """Join the processes that torchrun started, and return this one's device, "cuda:0" or "cpu".

    Without torchrun nothing is joined. Call `leave_group` at the end.
    """
    has_gpu = torch.cuda.is_available()
    number = int(os.environ.get("LOCAL_RANK", "0"))
    device = f"cuda:{number}" if has_gpu else "cpu"
    if is_worker() and not distributed.is_initialized():
        if has_gpu:
            torch.cuda.set_device(number)
        # Its functions take the group of now as a default value. Imported later, as torch's optimisers do, they would
        # keep the group and its threads alive after leave_group, and such a thread can abort the process at its end.
        import_module("torch.distributed.nn")
        distributed.init_process_group("nccl" if has_gpu else "gloo")
    return device


def leave_group() -> None:
    """Leave the processes that `join_group` joined."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def parse_gpus(gpus: str, n_present: int) -> list[int]:
    """The numbers of the GPUs to use: "all", or numbers with commas between.

    Raises:
        ConfigError: for anything else, and for numbers that are not there.

    Examples:
        >>> parse_gpus("all", 2), parse_gpus("0,2", 4)
        ([0, 1], [0, 2])
    """
    if not n_present:
        raise ConfigError(
            f"--gpus {gpus}: torch finds no GPU on this machine; leave --gpus out to train on the CPU, or install the "
            "driver and a torch with CUDA"
        )
    if gpus.strip() == "all":
        return list(range(n_present))
    try:
        chosen = [int(number) for number in gpus.split(",")]
    except ValueError:
        raise ConfigError(f"--gpus {gpus!r}: need 'all', or numbers with commas between, such as 0,2") from None
    wrong = [number for number in chosen if not 0 <= number < n_present]
    if wrong or len(set(chosen)) != len(chosen):
        what = f"there is no GPU {wrong[0]}" if wrong else "a GPU is named twice"
        raise ConfigError(f"--gpus {gpus}: {what}; this machine has {', '.join(map(str, range(n_present)))}")
    return chosen


def launch(gpus: str, argv: Sequence[str], watch: Callable[[], None] | None = None) -> int:
    """Run a training under torchrun, one process for each GPU; returns its exit status.

    Args:
        gpus: "all" or numbers, see `parse_gpus`.
        argv: as of `run_workers`.
        watch: as of `run_workers`.

    Raises:
        ConfigError: where a GPU is missing.
    """
    chosen = parse_gpus(gpus, torch.cuda.device_count())
    # Numbers count among the GPUs that this process may see.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
    return run_workers(len(chosen), argv, {"CUDA_VISIBLE_DEVICES": ",".join(names[i] for i in chosen)}, watch)


def run_workers(
    n_workers: int,
    argv: Sequence[str],
    variables: Mapping[str, str] | None = None,
    watch: Callable[[], None] | None = None,
) -> int:
    """Run a script as several processes of this machine by torchrun; returns the exit status.

    Args:
        argv: what torchrun runs: a script and its arguments, or "-m", a module and its arguments. A script that starts
            itself so tells by `is_worker` that it has been. Modules are found where this process finds them.
        variables: of the environment, besides those of this process.
        watch: called every second until they end.

    Raises:
        ModelError: where this torch was built without torch.distributed. An interruption ends the processes first.
    """
    if not distributed.is_available():
        raise ModelError("this torch was built without torch.distributed; install another, or train in one process")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_workers}", *argv]
    places = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
    _logger.info("starting %d processes: %s", n_workers, " ".join(command))
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": places, **(variables or {})})
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(timeout=1.0)
            if watch is not None:
                watch()
    finally:
        process.terminate()  # torchrun ends the others before itself; nothing where it has ended
        process.wait()
