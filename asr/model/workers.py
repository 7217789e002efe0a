"""Decoding on every core: processes that hold a model each, and share its graph, which is mapped from a file.

Who asks for something gets it in the order of asking, whoever does it, and the results do not depend on that.
"""

import contextlib
import gc
import io
import logging
import math
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import ModelError
from ..processes import ONE_THREAD, has_one_thread, n_cores

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .model import Model

K = TypeVar("K")
Task = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a module, which takes a model first, and what else it takes. It and the result are sent to others."""

_PATIENCE = 0.3  # s of work, before processes are started, which takes those that cannot be forked a second
_QUEUE = 3  # tasks for each of them; what is asked for beyond that is done here
_AHEAD = 8  # tasks for each, before the first one's result must be there
_TRIES = 2  # of a task by itself, after a process ended that was doing it with others
_ENDING = 0.1  # s, for the threads of a pool that was stopped
_OFTEN = 1.0  # s between two looks of a process whether the one that started it still lives

logger = logging.getLogger(__name__)


class Workers:
    """Does tasks with a model: here, and after a moment of work in other processes, too.

    A process that the system ends, most likely as memory ran out, costs nothing but time, unless one task alone ends
    others, too. Use it in a `with` statement, which ends the processes.

    Args:
        n_jobs: processes with this one, -1 for one on each core; 1: all is done here.

    Raises:
        ValueError: for another number.
    """

    def __init__(self, model: "Model", n_jobs: int = 1) -> None:
        if n_jobs != -1 and n_jobs < 1:
            raise ValueError(f"n_jobs={n_jobs}; need 1 or more, or -1 for one on each core")
        self.model, self.n_jobs = model, n_cores() if n_jobs == -1 else n_jobs
        self._begun: float | None = None  # when the first task was given
        self._patience = _PATIENCE
        self._pool: Any = None
        self._first: Future | None = None  # what tells that the processes are there
        self._running: set[Future] = set()
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Workers":
        if self.n_jobs > 1:
            from threadpoolctl import threadpool_limits

            self._open.enter_context(threadpool_limits(1))  # the other cores have work of their own
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()
        self._open.close()

    @property
    def are_there(self) -> bool:
        """Whether tasks are done by other processes by now."""
        if self._first is None or not self._first.done():
            return False
        if problem := self._first.exception():
            logger.warning("no processes could be started (%s); one core does all", problem)
            self._stop()
            self.n_jobs = 1
        return self.n_jobs > 1

    def come(self) -> bool:
        """The same, where there is more to do: they are started if that took a moment so far."""
        is_due = self._begun is not None and time.monotonic() - self._begun > self._patience
        if is_due and self.n_jobs > 1 and self._pool is None:
            self._start()
        return self.are_there

    def expect_much(self) -> None:
        """Start the processes soon: what comes takes longer than a moment."""
        self._patience = 0.0
        if self.n_jobs > 1 and self._pool is None and not has_one_thread():
            self._start()

    def each(self, tasks: Iterable[tuple[K, Task | None]]) -> Iterator[tuple[K, "Pending | None"]]:
        """What was given with each task, and its result, in order; some that follow are worked on meanwhile.

        Args:
            tasks: None for what needs no work.
        """
        waiting = deque[tuple[K, Pending | None]]()
        for key, task in tasks:
            waiting.append((key, None if task is None else self._asked(task)))
            most = _AHEAD * self.n_jobs if self.are_there else 0
            while waiting and (len(waiting) > most or waiting[0][1] is None or waiting[0][1].is_done):
                yield waiting.popleft()
        yield from waiting

    def _asked(self, task: Task) -> "Pending":
        found = Pending(self, task)
        if self._begun is None:
            self._begun = time.monotonic()
            found.do()  # what is loaded for it, a forked process has, too
        elif self.come():
            if len(self._running) < _QUEUE * (self.n_jobs - 1):
                return Pending(self, task, self._sent(task))
            found.do()  # now, while the others have enough to do
        return found

    def _sent(self, task: Task) -> "Future":
        from joblib.externals.loky.process_executor import BrokenProcessPool

        try:
            future = self._pool.submit(_do, *task)
        except BrokenProcessPool:
            self._start()
            future = self._pool.submit(_do, *task)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def _again(self, task: Task) -> Any:
        """The result of a task that was being done, or was next, when a process ended.

        Raises:
            ModelError: where the task ends processes when it is alone, too.
        """
        from concurrent.futures import wait

        from joblib.externals.loky.process_executor import BrokenProcessPool

        for _ in range(_TRIES):
            wait(list(self._running))  # that it is alone
            with contextlib.suppress(BrokenProcessPool):
                return self._sent(task).result()
        raise ModelError(
            "each process that decoded it was ended by the system, most likely as memory ran out; close other "
            "programs, or take fewer processes (--jobs), or a narrower beam"
        )

    def _start(self) -> None:
        from joblib.externals.loky import ProcessPoolExecutor

        is_again = self._pool is not None
        self._stop()
        asker, how = os.getpid(), dict[str, Any]()
        if has_one_thread(within=_ENDING if is_again else 0.0):
            # No other thread holds a lock, which nobody would release in a fork. A fork has all that this process has:
            # modules, kernels, the model.
            how = {"context": multiprocessing.get_context("fork"), "initargs": (self.model, asker)}
        else:
            how = {"env": ONE_THREAD, "initargs": (_packed(self.model), asker)}
        with _no_interrupts():
            self._pool = ProcessPoolExecutor(self.n_jobs - 1, initializer=_begin, **how)
            self._first = self._pool.submit(_nothing)

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(kill_workers=True)
            self._pool = self._first = None


class Pending:
    """The result of a task, when it is there."""

    def __init__(self, workers: Workers, task: Task, future: "Future | None" = None) -> None:
        self._workers, self._task, self._future = workers, task, future
        self._found: Any = None
        self._is_found = False

    @property
    def is_done(self) -> bool:
        """Whether it is there already."""
        return self._is_found or (self._future is not None and self._future.done())

    def do(self) -> None:
        """Do the task here."""
        function, arguments = self._task
        try:
            self._found = function(self._workers.model, *arguments)
        except Exception as error:
            self._found = _Raised(error)
        self._is_found = True

    def get(self) -> Any:
        """The result; what the task raises is raised."""
        if self._future is None and not self._is_found:
            function, arguments = self._task
            return function(self._workers.model, *arguments)
        if self._future is not None:
            self._found = self._received()
        if isinstance(self._found, _Raised):
            raise self._found.error
        return self._found

    def _received(self) -> Any:
        """What another process found; its warnings are given here."""
        from joblib.externals.loky.process_executor import BrokenProcessPool

        assert self._future is not None
        try:
            result, warnings = self._future.result()
        except BrokenProcessPool:
            result, warnings = self._workers._again(self._task)
        for name, level, message, details in warnings:
            logging.getLogger(name).log(level, message, *details)
        return result


class _Raised:
    """What a task raised, as its result, so that what it warned of is not lost."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Warnings(logging.Handler):
    """What is warned of in a process, for the one that asked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.all: list[tuple[str, int, str, tuple]] = []

    def emit(self, record: logging.LogRecord) -> None:
        details = tuple(d if isinstance(d, (int, float, str)) else str(d) for d in record.args or ())
        self.all.append((record.name, record.levelno, str(record.msg), details))


_model: "Model"  # of this process, if it is one of several
_warnings = _Warnings()


def _begin(model: "Model | bytes", asker: int) -> None:
    """In a new process: the model, warnings into a list; Ctrl-C is for the process that asks, which ends this one.

    Args:
        model: packed, where the process is no fork.
        asker: that process; if it is killed, this one ends by itself.
    """
    global _model
    from joblib.externals.loky import process_executor

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP"):  # a fork would do about them what the asker does, but not what it ignores
        if hasattr(signal, name) and callable(signal.getsignal(getattr(signal, name))):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    if hasattr(os, "getppid"):
        threading.Thread(target=_end_with, args=(asker,), daemon=True).start()
    process_executor._MEMORY_LEAK_CHECK_DELAY = math.inf  # it takes pages of a mapped graph for a leak, and begins anew
    gc.freeze()  # what is there stays: looking for garbage in it would take time, and copy a fork's pages
    room = logging.getLogger("asr")
    room.handlers, room.propagate = [_warnings], False
    _model = _unpacked(model) if isinstance(model, bytes) else model


def _end_with(asker: int) -> None:
    while os.getppid() == asker:
        time.sleep(_OFTEN)
    os._exit(1)


def _nothing() -> None:
    """The first task, which is done when the model is there."""


def _do(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, list]:
    """A task's result and warnings."""
    _warnings.all = []
    try:
        return function(_model, *arguments), _warnings.all
    except Exception as error:
        return _Raised(error), _warnings.all


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Processes that are started in here never get a Ctrl-C, also before they can say so; this one gets it later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Packing(pickle.Pickler):
    """Arrays that are mapped from files are not copied, but mapped by the receiver, too."""

    def persistent_id(self, value: Any) -> tuple | None:
        """Where an array lies in a file."""
        if not isinstance(value, np.ndarray) or not value.flags.c_contiguous or not value.nbytes:
            return None
        base = value
        while isinstance(base.base, np.ndarray):
            base = base.base
        if not isinstance(base, np.memmap) or base.mode != "r" or base.filename is None:
            return None
        offset = base.offset + value.ctypes.data - base.ctypes.data
        status = Path(base.filename).stat()
        return str(base.filename), (status.st_size, status.st_mtime_ns), offset, value.dtype, value.shape


class _Unpacking(pickle.Unpickler):
    """The other way. What is read was written by `_Packing` in the process that started this one."""

    def persistent_load(self, place: Any) -> np.ndarray:
        """An array of a file."""
        name, seen, offset, dtype, shape = place
        status = Path(name).stat()
        if (status.st_size, status.st_mtime_ns) != seen:
            raise ModelError(f"{name}: was changed while it was used; start again")
        return np.asarray(np.memmap(name, dtype, "r", offset, shape))


def _packed(model: "Model") -> bytes:
    stream = io.BytesIO()
    _Packing(stream, pickle.HIGHEST_PROTOCOL).dump(model)
    return stream.getvalue()


def _unpacked(data: bytes) -> "Model":
    model: Model = _Unpacking(io.BytesIO(data)).load()
    return model
