"""Sorting of many keys with what belongs to them."""

import numpy as np

from ..jit import kernel

_BITS = 11  # of a pass: as many buckets as a processor keeps in its fast memory


def stable_order(keys: np.ndarray) -> np.ndarray:
    """The places of the keys in ascending order, equal ones as they come: int32 (n,), as numpy.argsort, but faster.

    Args:
        keys: int64 or uint64 (n,), none negative, fewer than 2 ** 31.
    """
    keys = np.ascontiguousarray(keys).view(np.uint64)
    order = np.arange(len(keys), dtype=np.int32)
    n_bits = int(keys.max()).bit_length() if len(keys) else 0
    if n_bits:
        keys, spare = keys.copy(), np.empty_like(keys)
        other, counts = np.empty_like(order), np.empty(1 << _BITS, np.int64)
        for shift in range(0, n_bits, _BITS):
            one_pass(keys, order, np.uint64(shift), counts, spare, other)
            keys, spare, order, other = spare, keys, other, order
    return order


@kernel("void(uint64[::1], int32[::1], uint64, int64[::1], uint64[::1], int32[::1])")
def one_pass(keys, order, shift, counts, sorted_keys, sorted_order):
    """Sort by some of the bits of the keys; equal ones stay as they were."""
    mask = np.uint64(len(counts) - 1)
    counts[:] = 0
    for i in range(len(keys)):
        counts[(keys[i] >> shift) & mask] += 1
    total = 0
    for i in range(len(counts)):
        total, counts[i] = total + counts[i], total
    for i in range(len(keys)):
        bucket = (keys[i] >> shift) & mask
        place = counts[bucket]
        counts[bucket] = place + 1
        sorted_keys[place] = keys[i]
        sorted_order[place] = order[i]
