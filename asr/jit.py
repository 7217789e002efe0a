"""How numba is used everywhere: one explicit signature a kernel, compiled when called, cached on disk if possible."""

import contextlib
import functools
import hashlib
import io
import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

log = logging.getLogger(__name__)

_CHECKSUM_BYTES = hashlib.sha256().digest_size
_LONGEST_WAIT = 300  # seconds, for another process that compiles


def kernel(signature: str, *, allocates: bool = True) -> Callable[[Callable], Callable]:
    """Compile a function to machine code for one signature, when it is first called.

    Args:
        signature: numba's notation, e.g. "void(float32[:, ::1], int32[::1])"; an array that may be read-only, such as a
            mapped file, is written "Array(float32, 1, 'C', readonly=True)" and takes writable ones too.
        allocates: whether it may make arrays itself. What does not is compiled without counting references, which
            numba does at every call of a subkernel, for every array: a third of the time of a search that makes many.

    The code is cached where NUMBA_CACHE_DIR says, beside the source or in the user's cache folder, so that only the
    first run of a new installation compiles, and only what it calls. Of several processes that call a kernel then, one
    compiles it and the others wait. Without any writable place (read-only installation, no home folder), on a full disk
    or with a damaged cache it is compiled anew; results are the same.
    """
    import numba

    njit: Any = numba.njit  # whose annotations lack an option
    # What C could call is not wanted.
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": allocates}

    def to_compile(function: Callable) -> Callable:
        try:
            compiled: Any = njit(cache=True, **options)(function)
            compiled._cache._cache_file.__class__ = _checked_cache_file()
        except Exception as error:  # no place for it, for one of many reasons
            compiled = njit(**options)(function)
            log.info("%s: compiled without a cache: %s", function.__name__, error)
        as_called_by_kernels = compiled.get_call_template

        def compile_now(*_: Any, **__: Any) -> Any:
            _compile(compiled, signature)
            return compiled  # which numba calls again, with the same arguments

        def get_call_template(*args: Any) -> Any:
            _compile(compiled, signature)
            return as_called_by_kernels(*args)

        # What numba does where no code is there yet: for Python, and for kernels that call this one.
        compiled._compile_for_args = compile_now
        compiled.get_call_template = get_call_template
        return compiled

    return to_compile


def _compile(compiled: Any, signature: str) -> None:
    """Make the code of a kernel or take it from the cache, if that was not done yet."""
    from numba.core.caching import NullCache
    from numba.core.compiler_lock import global_compiler_lock

    with global_compiler_lock:
        if not compiled._can_compile:
            return
        try:
            with _alone(compiled._cache), _signals_later():
                compiled.compile(signature)
        except Exception as error:
            # A cache can be full or damaged in many ways; what is wrong with the function itself, and not with its
            # cache, is raised again without one.
            had, compiled._cache = compiled._cache, NullCache()
            compiled.compile(signature)
            if had.cache_path:
                log.info("%s: compiled without a cache: %s", compiled.__name__, error)
        compiled.disable_compile()


@contextlib.contextmanager
def _alone(cache: Any) -> Iterator[None]:
    """Let no other process compile a kernel at the same time, where it is not in the cache yet; tell that it begins."""
    if cache.cache_path is None or cache._cache_file.is_filled():
        yield
        return
    from filelock import FileLock

    _tell(cache.cache_path)
    with contextlib.ExitStack() as held:
        # Where files can't be locked, or what was waited for is not made after minutes, the work is done twice.
        with contextlib.suppress(OSError, NotImplementedError):
            cache._impl.locator.ensure_cache_path()
            held.enter_context(FileLock(cache._cache_file.lock_path(), timeout=_LONGEST_WAIT))
        yield


@contextlib.contextmanager
def _signals_later() -> Iterator[None]:
    """Let Ctrl-C and what ends a process wait until a kernel is there: at once from the cache, else in seconds.

    LLVM calls Python meanwhile, where what a signal's handler raises is lost, and the process would go on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    came: list[int] = []
    for number, handler in before.items():
        if callable(handler):  # not those that are ignored, or end the process at once
            signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def _tell(folder: str) -> None:
    """Tell that compiling begins; of workers, whose logs nobody sees, the first one of each room does, on stderr."""
    if multiprocessing.current_process().name == "MainProcess":
        _tell_once(logging.INFO)
    elif not any(Path(folder).glob("*.nbi")):
        _tell_once(logging.WARNING)


@functools.cache
def _tell_once(level: int) -> None:
    log.log(level, "machine code is compiled in the first run, half a minute in all; it is kept for the next ones")


@functools.cache
def _checked_cache_file() -> type:
    """numba's files of compiled code, each with a checksum at its end.

    numba runs whatever the files hold: a flipped bit would be another program. A file whose checksum is wrong counts as
    none, and is written anew.
    """
    from numba.core.caching import IndexDataCacheFile

    class CheckedCacheFile(IndexDataCacheFile):
        def is_filled(self) -> bool:
            """Whether there is code of this source."""
            return bool(self._load_index())

        def lock_path(self) -> str:
            return str(Path(self._index_path).with_suffix(".lock"))

        def _load_index(self) -> Any:
            return super()._load_index() if self._is_whole(self._index_path) else {}

        def _load_data(self, name: str) -> Any:
            if not self._is_whole(self._data_path(name)):
                raise OSError  # numba takes it for a file that is not there any more
            return super()._load_data(name)  # pickle stops before the checksum

        @contextlib.contextmanager
        def _open_for_write(self, path: str) -> Iterator[BinaryIO]:
            with super()._open_for_write(path) as file:
                yield (content := io.BytesIO())
                file.write(content.getvalue() + self._checksum(content.getvalue()))

        def _is_whole(self, path: str) -> bool:
            try:
                raw = Path(path).read_bytes()
            except FileNotFoundError:
                return False
            return raw[-_CHECKSUM_BYTES:] == self._checksum(raw[:-_CHECKSUM_BYTES])

        def _checksum(self, content: bytes) -> bytes:
            # With the source's stamp, as a process that is killed may leave a new index with code of older sources.
            return hashlib.sha256(repr(self._source_stamp).encode() + content).digest()

    return CheckedCacheFile


def subkernel(function: Callable) -> Callable:
    """A step of kernels: compiled into each kernel that calls it, for the types it is called with.

    Called from Python it is the plain Python function, slow but the same: handy in tests. Without an entry of its own
    it compiles in half the time of a kernel.
    """
    from numba.extending import register_jitable

    return register_jitable(error_model="numpy", no_cfunc_wrapper=True)(function)


def prepare(*modules: ModuleType) -> None:
    """Compile all kernels of some modules now, or take them from the cache: where the first call must not wait.

    Examples:
        >>> from asr.gmm import kernels
        >>> prepare(kernels)
    """
    for module in modules:
        for value in vars(module).values():
            if hasattr(value, "_compile_for_args"):
                value._compile_for_args()


def inlined(function: Callable) -> Callable:
    """A subkernel whose code is put into its callers: for steps that are called often, with many arrays.

    Handing over an array takes seven words, and numba's subkernels are not inlined where they are long.
    """
    from numba.extending import register_jitable

    return register_jitable(error_model="numpy", no_cfunc_wrapper=True, forceinline=True)(function)


def fetch(array: Any, place: Any) -> None:
    """In kernels: ask for the cache line of a flat array's element, without waiting until it comes. Else nothing.

    A search goes to places in the graph that no processor foresees; asked for a few tokens ahead, they come in time.
    """


@functools.cache
def teach_fetch() -> None:
    """Let numba compile `fetch` to the instruction that it stands for."""
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba.core import cgutils, types
    from numba.extending import intrinsic, overload

    @intrinsic
    def prefetch(context: Any, array: Any, place: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            view = context.make_array(signature.args[0])(context, builder, arguments[0])
            byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
            instruction = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            address = builder.bitcast(builder.gep(view.data, [arguments[1]]), byte)
            builder.call(instruction, [address, *(ir.Constant(number, n) for n in (0, 3, 1))])  # read, keep, data
            return context.get_dummy_value()

        return types.void(array, types.intp), generate

    call: Any = prefetch

    def implementation(array, place):  # without annotations: numba compares it with what it returns
        return lambda array, place: call(array, place)

    overload(fetch)(implementation)
