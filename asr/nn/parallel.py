"""Data-parallel training: several processes share each batch, started by `train_on` or by torchrun.

Every process reads its rows of the batch; sums, counts and gradients are added over all of them, so the result is that
of one process with the whole batch, up to rounding.
"""

import logging
import os
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from logging.handlers import QueueHandler, QueueListener
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, multiprocessing, nn

from ..errors import ConfigError, ModelError

_logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
Train = Callable[[str, Progress | None], object]


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


def train_on(gpus: str, train: Train, progress: Progress | None = None) -> None:
    """Run a training as a process for each GPU, which share its batches.

    Args:
        gpus: "all" or numbers, see `parse_gpus`.
        train: called in each with its device, and with a function that reports (done, total) in the first one, else
            None; what the first one logs, this process does. It must be one that a new process can import.
        progress: called with these reports.

    Raises:
        ConfigError: where a GPU is missing.
        ModelError: where a process failed; the others are ended.
    """
    chosen, context = parse_gpus(gpus, torch.cuda.device_count()), multiprocessing.get_context("spawn")
    reached, records = context.Array("q", 2), context.Queue()
    logs = QueueListener(records, *logging.getLogger("asr").handlers, respect_handler_level=True)
    logs.start()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    ranks = multiprocessing.spawn(_rank, (chosen, port, train, reached, records), len(chosen), join=False)
    try:
        while not ranks.join(timeout=1.0):
            if progress is not None and reached[1]:
                progress(reached[0], reached[1])
    except (multiprocessing.ProcessRaisedException, multiprocessing.ProcessExitedException) as error:
        _logger.info("%s", error)
        why = re.sub(r"^asr\.errors\.\w+: ", "", str(error).strip().splitlines()[-1])
        raise ModelError(f"--gpus {gpus}: a training process failed: {why}") from None
    finally:
        for process in ranks.processes:
            process.terminate()  # none goes on alone after an interruption
        logs.stop()


def _rank(number: int, gpus: list[int], port: int, train: Train, reached: Any, records: Any) -> None:
    """What each of the processes runs."""
    variables = {"RANK": number, "LOCAL_RANK": gpus[number], "WORLD_SIZE": len(gpus), "MASTER_PORT": port}
    os.environ.update({name: str(n) for name, n in variables.items()}, MASTER_ADDR="localhost", TORCHELASTIC_RUN_ID="1")
    log = logging.getLogger("asr")
    log.setLevel(logging.CRITICAL if number else logging.INFO)
    log.addHandler(QueueHandler(records))

    def report(done: int, total: int) -> None:
        reached[:] = [done, total]

    train(join_group(), None if number else report)
    leave_group()
