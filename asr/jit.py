"""How numba is used everywhere: one explicit signature a kernel, compiled code cached on disk where possible."""

import contextlib
import functools
import hashlib
import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

log = logging.getLogger(__name__)

_CHECKSUM_BYTES = hashlib.sha256().digest_size


def kernel(signature: str, *, allocates: bool = True) -> Callable[[Callable], Callable]:
    """Compile a function to machine code for one signature, when its module is imported.

    Args:
        signature: numba's notation, e.g. "void(float32[:, ::1], int32[::1])"; an array that may be read-only, such as a
            mapped file, is written "Array(float32, 1, 'C', readonly=True)" and takes writable ones too.
        allocates: whether it may make arrays itself. What does not is compiled without counting references, which
            numba does at every call of a subkernel, for every array: a third of the time of a search that makes many.

    The code is cached where NUMBA_CACHE_DIR says, beside the source or in the user's cache folder, so that only the
    first run of a new installation compiles. Without any writable place (read-only installation, no home folder), on a
    full disk or with a damaged cache it is compiled anew; results are the same.
    """
    import numba

    njit: Any = numba.njit  # whose annotations lack an option
    options = {"nogil": True, "error_model": "numpy", "_nrt": allocates}

    def compile_kernel(function: Callable) -> Callable:
        try:
            compiled: Any = njit(cache=True, **options)(function)
            compiled._cache._cache_file.__class__ = _checked_cache_file()
            if not Path(compiled._cache._cache_file._index_path).is_file():
                _tell_once()
            compiled.compile(signature)
            compiled.disable_compile()
            return compiled
        except Exception as error:
            # A cache can be missing or full in many ways; what is wrong with the function itself, and not with its
            # cache, is raised again by the next line.
            compiled = njit(signature, **options)(function)
            log.info("%s: compiled without a cache: %s", function.__name__, error)
            return compiled

    return compile_kernel


@functools.cache
def _tell_once() -> None:
    log.info("compiling machine code, which the first run does: half a minute or more; it is kept for the next ones")


@functools.cache
def _checked_cache_file() -> type:
    """numba's files of compiled code, each with a checksum at its end.

    numba runs whatever the files hold: a flipped bit would be another program. A file whose checksum is wrong counts as
    none, and is written anew.
    """
    from numba.core.caching import IndexDataCacheFile

    class CheckedCacheFile(IndexDataCacheFile):
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

    return register_jitable(error_model="numpy")(function)


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
