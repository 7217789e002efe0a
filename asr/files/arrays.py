"""Files of numpy arrays, .npy and .npz: what a header promises is believed only where the bytes are there."""

import math
import os
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import AsrError


def read_npy(path: str | os.PathLike) -> np.ndarray:
    """The array of a .npy file, in memory.

    Raises:
        ValueError: for another file, objects (they would run code), and sizes that are not in the file.
        OSError: where it cannot be read.
    """
    with Path(path).open("rb") as stream:
        _check(stream, os.fstat(stream.fileno()).st_size)
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)


def read_npz(path: str | os.PathLike, *, error: type[AsrError]) -> dict[str, np.ndarray]:
    """The arrays of an .npz file that numpy.savez wrote, by name.

    Raises:
        AsrError: of class `error`, naming the file, for another file, compressed arrays (a megabyte can hold a
            gigabyte), arrays of objects (they would run code), and sizes that are not in the file.
    """
    where = Path(path)
    try:
        with zipfile.ZipFile(where) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > where.stat().st_size:
                raise error(f"{where}: is compressed; write it with numpy.savez")
            return {member.filename.removesuffix(".npy"): _member(archive, member) for member in members}
    except AsrError:
        raise
    except OSError as problem:
        raise error(f"{where}: cannot be read: {problem.strerror or problem}") from None
    except Exception as problem:  # zipfile and numpy fail in many ways, from a wrong checksum to the parser's depth
        reason = " ".join(f"{problem}".split()) or type(problem).__name__
        raise error(f"{where}: no npz file of numpy.savez, or damaged ({reason}); copy or make it again") from problem


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array of an .npz file. Raises ValueError for what is none."""
    try:
        with archive.open(member) as stream:
            _check(stream, member.file_size)
        with archive.open(member) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{member.filename.removesuffix('.npy')!r}: {error}") from None


def _check(stream: IO[bytes], n_bytes: int) -> None:
    """Raise ValueError unless an array begins here that takes no more than so many bytes, header and all."""
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version[0]}.{version[1]} of numpy's format; need 1.0 or 2.0")
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("Object arrays are not read; need numbers or texts")
    if dtype.itemsize == 0:  # any number of them fits into any file
        raise ValueError(f"holds values of no bytes ({dtype.str}); need numbers or texts")
    needed, left = math.prod(shape) * dtype.itemsize, n_bytes - stream.tell()
    if needed > left:
        raise ValueError(f"cut short: an array of shape {shape} needs {needed} bytes, {left} are left")
