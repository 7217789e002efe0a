"""Many numbers in the order they come, in memory or, where there are too many, in a file without a name."""

import os
import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np

_AT_ONCE = 1 << 22  # numbers that are read at once, about


class Spool:
    """Arrays of int32, one after the other, each ending where what belongs together ends.

    Args:
        most: bytes that are kept in memory.
        folder: where the file lies, which no listing shows, and which is gone with the process; None: the system's
            folder for such files.

    Raises:
        OSError: where the file cannot be written, as on a full disk.
    """

    def __init__(self, most: int, folder: str | os.PathLike[str] | None = None) -> None:
        self._most, self._folder = most, folder
        self._arrays: list[np.ndarray] = []
        self._lengths: list[int] = []
        self._file: IO[bytes] | None = None
        self.n_bytes = 0

    def add(self, array: np.ndarray) -> None:
        """Keep a copy of some more numbers."""
        array = np.array(array, np.int32).reshape(-1)
        self.n_bytes += array.nbytes
        self._lengths.append(len(array))
        if self._file is None:
            self._arrays.append(array)
            if self.n_bytes <= self._most:
                return
            folder = None if self._folder is None else os.fspath(self._folder)
            self._file = tempfile.TemporaryFile(dir=folder, prefix="asr-")  # noqa: SIM115 - closed with the spool
            arrays, self._arrays = self._arrays, []
        else:
            arrays = [array]
        for each in arrays:
            self._file.write(each.data)

    def __iter__(self) -> Iterator[np.ndarray]:
        """The arrays again, several joined to one where they are short."""
        if self._file is None:
            yield from self._arrays
            return
        self._file.seek(0)
        length = 0
        for i, more in enumerate(self._lengths):
            length += more
            if length >= _AT_ONCE or i + 1 == len(self._lengths):
                array = np.empty(length, np.int32)
                if self._file.readinto(array.view(np.uint8)) < array.nbytes:  # type: ignore[attr-defined]
                    raise OSError("a temporary file is shorter than what was written")
                yield array
                length = 0

    def close(self) -> None:
        """Give up the numbers, and the file."""
        self._arrays = []
        if self._file is not None:
            self._file.close()
