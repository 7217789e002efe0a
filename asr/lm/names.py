"""Words as bytes, one after the other, and a table that finds the id of one: what compiled readers and writers use."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr
from ..jit import kernel, subkernel

BYTES = "Array(uint8, 1, 'C', readonly=True)"
TABLE = f"{BYTES}, Array(int64, 1, 'C', readonly=True), Array(int64, 2, 'C', readonly=True)"
_PRIME = np.uint64(0x9E3779B97F4A7C15)


class NameTable(NamedTuple):
    """Words that can be found by their bytes.

    Attributes:
        pool: uint8 (n_bytes,): the words, one after the other.
        starts: int64 (n_words + 1,): where each begins, and where the last one ends.
        slots: int64 (2 ** k, 2), at least twice as many as words: what tells a word from most others (its first 7
            bytes and how many there are, see `mark_of`), and its number, -1 where there is none.
    """

    pool: np.ndarray
    starts: np.ndarray
    slots: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    @classmethod
    def of(cls, words: Sequence[bytes]) -> "NameTable":
        """The table of some words, no two of them the same, numbered as they come."""
        pool = np.frombuffer(b"".join(words), np.uint8)
        starts = np.zeros(len(words) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, words), np.int64, len(words)), out=starts[1:])
        slots = np.full((1 << max(2 * len(words), 4).bit_length(), 2), -1, np.int64)
        fill_slots(pool, starts, slots)
        return cls(pool, starts, slots)


@subkernel
def same_bytes(text, first, end, other, start):
    """Whether some bytes are those of another place."""
    for i in range(end - first):  # noqa: SIM110 - compiled, all() is slower
        if text[first + i] != other[start + i]:
            return False
    return True


@subkernel
def mark_of(text, first, end):
    """The first 7 bytes of a word and its length, up to 127: all that there is of a short one."""
    result = np.int64(min(end - first, 127)) << 56
    for i in range(min(end - first, 7)):
        result |= np.int64(text[first + i]) << (8 * i)
    return result


@subkernel
def hash_of(text, first, end, mark):
    """A number of a word's bytes, of which the first are in its mark."""
    result = np.uint64(mark) * _PRIME
    for i in range(first + 7, end):
        result = ((result ^ (result >> np.uint64(32))) ^ np.uint64(text[i])) * _PRIME
    return result ^ (result >> np.uint64(32))


@subkernel
def slot_of(text, first, end, mark, hashed, pool, starts, slots):
    """The slot of a word, given its mark and hash; or that where it would be."""
    mask = np.int64(len(slots) - 1)
    slot, length = np.int64(hashed & np.uint64(mask)), end - first
    while slots[slot, 1] >= 0:
        if slots[slot, 0] == mark:
            if length <= 7:
                break
            start = starts[slots[slot, 1]]
            if starts[slots[slot, 1] + 1] - start == length and same_bytes(text, first, end, pool, start):
                break
        slot = (slot + 1) & mask
    return slot


@kernel(f"void({BYTES}, Array(int64, 1, 'C', readonly=True), int64[:, ::1])")
def fill_slots(pool, starts, slots):
    """Fill the slots of a table."""
    for i in range(len(starts) - 1):
        first, end = starts[i], starts[i + 1]
        mark = mark_of(pool, first, end)
        slot = slot_of(pool, first, end, mark, hash_of(pool, first, end, mark), pool, starts, slots)
        slots[slot, 0], slots[slot, 1] = mark, i
