"""Language models as files that open at once: the arrays of a model, laid out to be mapped into memory.

A file holds, one after the other, all numbers little-endian:

    magic       8 bytes, b"ASRNGRAM"
    version     uint32, 1
    length      uint32: bytes of the header
    crc         uint32: zlib.crc32 of the header
    (padding)   uint32, 0
    header      JSON: "offsets" (of the trie), and for each array "name": [type, length, first byte, checksum]
    arrays      each from a multiple of 64 bytes on, zeros between them

The arrays are those of `trie.Trie` and `model.NgramModel`: int32 first_child, word, suffix and states, float32
log_probs and back_offs (natural logarithms), and uint8 names: the words, UTF-8, with newlines between them.
"""

import json
import mmap
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr
from ..errors import LanguageModelError
from ..files import replacing
from ..files.json_files import parse_json, taking_apart
from .binary_kernels import checksum, fault_of

MAGIC = b"ASRNGRAM"
_VERSION, _ALIGN = 1, 64
_START = struct.Struct("<8s4I")
_TYPES = {
    "names": "<u1",
    "first_child": "<i4",
    "word": "<i4",
    "suffix": "<i4",
    "states": "<i4",
    "log_probs": "<f4",
    "back_offs": "<f4",
}
_AGAIN = "copy it again, or make it again with asr lm"


class Mapped(NamedTuple):
    """What a file holds: `names`, `offsets`, and the arrays of `_TYPES`, read-only."""

    names: list[str]
    offsets: np.ndarray
    arrays: dict[str, np.ndarray]

    def __repr__(self) -> str:
        return brief_repr(self)


def is_binary(path: str | os.PathLike) -> bool:
    """Whether a file begins like those of this module; False where it cannot be read, or is a pipe."""
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def write_arrays(
    path: str | os.PathLike, names: tuple[str, ...], offsets: np.ndarray, arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a file, whole or not at all.

    Args:
        names: the words.
        offsets: of the trie.
        arrays: the others of `_TYPES`.
    """
    arrays = {"names": np.frombuffer("\n".join(names).encode(), np.uint8), **arrays}
    header: dict = {"offsets": offsets.tolist()}
    place = 0  # counted from where the arrays begin, as the header's own length depends on the numbers in it
    for name, kind in _TYPES.items():
        header[name] = [kind, len(arrays[name]), place, f"{0:016x}"]
        n_bytes = len(arrays[name]) * np.dtype(kind).itemsize
        place += n_bytes + -n_bytes % _ALIGN
    with replacing(path) as temporary, temporary.open("wb") as stream:
        length = len(json.dumps(header))
        stream.write(bytes(_START.size + length + -(_START.size + length) % _ALIGN))
        for name, kind in _TYPES.items():  # one at a time, as each is copied
            content = _padded(np.asarray(arrays[name], kind))
            header[name][3] = f"{checksum(content.view(np.uint64)):016x}"
            stream.write(content.data)
        raw = json.dumps(header).encode()
        stream.seek(0)
        stream.write(_START.pack(MAGIC, _VERSION, len(raw), zlib.crc32(raw), 0) + raw)


def _padded(array: np.ndarray) -> np.ndarray:
    """The bytes of an array, and zeros up to a multiple of _ALIGN."""
    result = np.zeros(array.nbytes + -array.nbytes % _ALIGN, np.uint8)
    result[: array.nbytes] = np.ascontiguousarray(array).view(np.uint8)
    return result


def map_arrays(path: str | os.PathLike) -> Mapped:
    """What a file holds, mapped: memory is taken where the arrays are looked at, and shared between processes.

    Raises:
        LanguageModelError: for another file, one of a newer version, and one that is cut short or damaged in any byte.
    """
    try:
        with Path(path).open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < _START.size:
                raise LanguageModelError(f"{path}: cut short: {size} bytes, and the start alone has {_START.size}")
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise LanguageModelError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    header, first = _header(path, mapped)
    with taking_apart(path, what="a language model", error=LanguageModelError):
        arrays = {name: _array(path, mapped, name, first, *header[name]) for name in _TYPES}
        offsets = np.array(header["offsets"], np.int64)
        _check(path, offsets, arrays)
        names = bytes(arrays.pop("names")).decode("utf-8").split("\n")
        if len(offsets) < 3 or len(names) != offsets[2] - 1:
            raise LanguageModelError(f"{len(names)} words, and 1-grams of another number")
    if hasattr(mapped, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)  # checking has looked at all; let memory hold what is used
    return Mapped(names, offsets, arrays)


def _header(path, mapped: mmap.mmap) -> tuple[dict, int]:
    """The header, and where the first array begins."""
    magic, version, length, crc, _ = _START.unpack_from(mapped)
    if magic != MAGIC:
        raise LanguageModelError(f"{path}: not a language model of this toolkit (asr lm ... --out X.ngram)")
    if version != _VERSION:
        raise LanguageModelError(f"{path}: version {version} of the format, and this program reads {_VERSION}")
    raw = mapped[_START.size : _START.size + length]
    if len(raw) < length or zlib.crc32(raw) != crc:
        raise LanguageModelError(f"{path}: damaged or cut short in its header; {_AGAIN}")
    end = _START.size + length
    return parse_json(raw, str(path), error=LanguageModelError), end + -end % _ALIGN


def _array(
    path, mapped: mmap.mmap, name: str, first: int, kind: str, length: int, place: int, digest: str
) -> np.ndarray:
    """One array, its checksum compared."""
    dtype = np.dtype(_TYPES[name])
    n_bytes, start = length * dtype.itemsize, first + place
    end = start + n_bytes + -n_bytes % _ALIGN
    if kind != _TYPES[name] or length < 0 or place < 0 or place % _ALIGN:
        raise LanguageModelError(f"{name}: {kind}, {length} values at {place}")
    if end > len(mapped):
        raise LanguageModelError(f"{path}: cut short: {name} ends at byte {end}, the file at {len(mapped)}; {_AGAIN}")
    whole = np.frombuffer(mapped, np.uint64, (end - start) // 8, start)
    if f"{checksum(whole):016x}" != digest:
        raise LanguageModelError(f"{path}: damaged: the checksum of {name} is another; {_AGAIN}")
    return np.frombuffer(mapped, dtype, length, start)


def _check(path, offsets: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
    """Raise LanguageModelError where arrays do not fit together: compiled code goes wherever their numbers point."""
    n = len(arrays["word"])
    lengths = {name: len(array) - (name == "first_child") for name, array in arrays.items() if name != "names"}
    if set(lengths.values()) != {n}:
        raise LanguageModelError(f"arrays of different lengths, {lengths}")
    fits = len(offsets) >= 3 and (offsets[:2] == (0, 1)).all() and offsets[-1] == n and (np.diff(offsets) >= 0).all()
    if not fits or fault_of(offsets, *(arrays[name] for name in lengths)) >= 0:
        raise LanguageModelError(f"{path}: its arrays do not fit together; {_AGAIN}")
