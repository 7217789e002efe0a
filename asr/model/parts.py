"""How parts of a model directory are read and written: arrays, and errors that name the file."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ..errors import AsrError, ModelError
from ..files.arrays import read_npz

COPY_AGAIN = "copy the whole model directory again"


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file that numpy.savez wrote. Objects are refused, and sizes that the file cannot hold."""
    arrays = read_npz(path, error=ModelError)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiU":
            raise ModelError(f"{path}: {name!r} is no array of numbers; {COPY_AGAIN}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(f"{path}: {name!r} has values that are not finite; {COPY_AGAIN}")
    return arrays


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of numbers, by name."""
    np.savez(path, **dict(arrays))  # type: ignore[arg-type]


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file's content becomes a ModelError that names the file."""
    try:
        yield
    except Exception as error:  # a damaged file can make anything fail, from a missing key to memory
        if isinstance(error, AsrError) and str(path.parent) in str(error):
            raise
        if isinstance(error, PermissionError):
            raise ModelError(f"{path}: may not be read; give yourself the permission") from None
        what = str(error) if isinstance(error, AsrError) else f"{type(error).__name__}: {error}"
        raise ModelError(f"{path}: cannot be used ({what}); {COPY_AGAIN}") from error
