"""What processes have to share, and workers that end before their work does.

psutil knows the machine, on every system; what a container or a job may use of it is read from the control groups of
Linux.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import AsrError

if TYPE_CHECKING:
    import joblib

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
"""The environment of processes that share the cores, each with one thread for its matrix products."""

_THREADS = Path("/proc/self/task")  # of Linux
_OWN_GROUPS, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_FILES = {  # of version 2, and of 1: limit, use, and what of it is files that are dropped when memory is needed
    "": (("memory.max", ""), ("memory.current", ""), ("memory.stat", "inactive_file")),
    "memory": (("memory.limit_in_bytes", ""), ("memory.usage_in_bytes", ""), ("memory.stat", "total_inactive_file")),
}


def n_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_one_thread(*, within: float = 0.0) -> bool:
    """Whether it is known that this process has a single thread, so that a fork of it is whole.

    Those of OpenBLAS count, which begin when NumPy is imported, unless OPENBLAS_NUM_THREADS is 1 by then.

    Args:
        within: s to wait for threads that are just ending.
    """
    if not _THREADS.is_dir():
        return False
    until = time.monotonic() + within
    while sum(1 for _ in _THREADS.iterdir()) > 1:
        if time.monotonic() >= until:
            return False
        time.sleep(0.005)
    return True


def free_memory() -> int:
    """Bytes of memory that are free on this machine, or in the container or job that this process runs in."""
    import psutil

    free = int(psutil.virtual_memory().available)
    return max(0, min([free, *(limit - used for limit, used in _limits())]))


def total_memory() -> int:
    """Bytes of memory of this machine, or of the container or job that this process runs in."""
    import psutil

    return min([int(psutil.virtual_memory().total), *(limit for limit, _ in _limits())])


def _limits() -> Iterator[tuple[int, int]]:
    """(bytes that may be used, bytes that are) of each control group with a limit that this process belongs to."""
    try:
        lines = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, kind, path = line.split(":", 2)
        if kind not in _FILES:
            continue
        root = _GROUPS / kind
        own = root / path.lstrip("/")  # in a container often not there, and the root is its own group
        for group in [own, *own.parents][: len(own.parents) - len(root.parents) + 1]:
            limit, used, files = (_number(group / file, name) for file, name in _FILES[kind])
            if limit is not None:
                yield limit, max(0, (used or 0) - (files or 0))


def _number(file: Path, name: str) -> int | None:
    """The number behind a name, or alone in the file; None where there is none, as in "max", which is no limit."""
    try:
        lines = [line.split() for line in file.read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    found = [words[-1] for words in lines if words and words[:-1] == ([name] if name else [])]
    return int(found[0]) if found and found[0].isdigit() else None


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Matrix products by one thread: parallel work goes by processes, and sums are taken in one order everywhere.

    Of the libraries that are loaded by now, for all threads of this process.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def worker_pool(n_jobs: int, *, return_as: str = "list") -> "joblib.Parallel":
    """n_jobs processes, -1 for one on each core, that use one BLAS thread each.

    Args:
        return_as: "list", or "generator" to get results in order while others are made.
    """
    import joblib

    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        return joblib.Parallel(n_jobs=n_jobs, return_as=return_as, max_nbytes="1M", pre_dispatch="2*n_jobs")


@contextlib.contextmanager
def explained_workers(n_jobs: int) -> Iterator[None]:
    """Work by joblib's processes; where the system ends one of them, or memory runs out, AsrError says so.

    Args:
        n_jobs: how many there are, -1 for one on each core; for the message.
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool  # of which TerminatedWorkerError is a kind

    several = "one on each core" if n_jobs < 0 else str(n_jobs)
    advice = f"there were {several}: give fewer (--jobs 1, or n_jobs=1), or close other programs"
    try:
        yield
    except BrokenProcessPool:
        raise AsrError(f"a worker process was ended by the system, most likely as memory ran out; {advice}") from None
    except MemoryError:
        raise AsrError(f"not enough memory for the worker processes; {advice}") from None
