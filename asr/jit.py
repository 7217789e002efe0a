"""How numba is used everywhere: one explicit signature a kernel, compiled code cached on disk where possible."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


def kernel(signature: str) -> Callable[[Callable], Callable]:
    """Compile a function to machine code for one signature, when its module is imported.

    signature: numba's notation, e.g. "void(float32[:, ::1], int32[::1])"; an array that may be read-only, such as a
        mapped file, is written "Array(float32, 1, 'C', readonly=True)" and takes writable ones too.

    The code is cached where NUMBA_CACHE_DIR says, beside the source or in the user's cache folder, so that only the
    first run of a new installation compiles. Without any writable place (read-only installation, no home folder), on a
    full disk or with a damaged cache it is compiled anew in each process; results are the same.
    """
    import numba

    def compile_kernel(function: Callable) -> Callable:
        try:
            return numba.njit(signature, cache=True, nogil=True, error_model="numpy")(function)
        except Exception as error:
            # A cache can be missing, full or damaged in many ways; what is wrong with the function itself, and not with
            # its cache, is raised again by the next line.
            compiled = numba.njit(signature, nogil=True, error_model="numpy")(function)
            log.info("%s: compiled without a cache: %s", function.__name__, error)
            return compiled

    return compile_kernel


def subkernel(function: Callable) -> Callable:
    """A step of kernels: compiled into each kernel that calls it, for the types it is called with.

    Called from Python it is the plain Python function, slow but the same: handy in tests. Without an entry of its own
    it compiles in half the time of a kernel.
    """
    from numba.extending import register_jitable

    return register_jitable(error_model="numpy")(function)
