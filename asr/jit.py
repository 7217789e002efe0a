"""How numba is used everywhere: one explicit signature a kernel, compiled code cached on disk where possible."""

from collections.abc import Callable


def kernel(signature: str) -> Callable[[Callable], Callable]:
    """Compile a function to machine code for one signature, when its module is imported.

    signature: numba's notation, e.g. "void(float32[:, ::1], int32[::1])".

    The code is cached beside the source or in the user's cache folder, so that only the first run of a new
    installation compiles. Without any writable place (read-only installation, no home folder) it is compiled anew.
    """
    import numba

    def compile_kernel(function: Callable) -> Callable:
        try:
            return numba.njit(signature, cache=True, nogil=True, error_model="numpy")(function)
        except RuntimeError as error:
            if "cache" not in str(error):
                raise
            return numba.njit(signature, nogil=True, error_model="numpy")(function)

    return compile_kernel
