"""Checks of files of arrays, fast enough to be made whenever one is opened."""

import numpy as np

from ..jit import kernel
from .trie_kernels import INTS

_PRIME, _SEED = np.uint64(0x9E3779B97F4A7C55), np.uint64(0x632BE59BD9B4E019)
_FLOATS = "Array(float32, 1, 'C', readonly=True)"


@kernel("uint64(Array(uint64, 1, 'C', readonly=True))")
def checksum(words):
    """A number that changes with each of the words and with their places; four chains, as one would wait for itself."""
    a = b = c = d = _SEED
    whole = len(words) // 4 * 4
    for i in range(0, whole, 4):
        a = (a ^ words[i]) * _PRIME
        b = (b ^ words[i + 1]) * _PRIME
        c = (c ^ words[i + 2]) * _PRIME
        d = (d ^ words[i + 3]) * _PRIME
    for i in range(whole, len(words)):
        a = (a ^ words[i]) * _PRIME
    result = (((a ^ np.uint64(len(words))) * _PRIME ^ b) * _PRIME ^ c) * _PRIME ^ d
    return result ^ (result >> np.uint64(29))


@kernel(f"int64(Array(int64, 1, 'C', readonly=True), {INTS}, {INTS}, {INTS}, {INTS}, {_FLOATS}, {_FLOATS})")
def fault_of(offsets, first_child, word, suffix, states, log_probs, back_offs):
    """The first node whose entries no model can have, or -1."""
    n_nodes, n_words = len(word), offsets[2] - 1
    if first_child[0] != 1 or first_child[n_nodes] != n_nodes:
        return 0
    for order in range(len(offsets) - 1):
        if first_child[offsets[order]] != offsets[order + 1]:
            return offsets[order]
    for node in range(n_nodes):
        first, end = first_child[node], first_child[node + 1]
        if (first <= node or end < first or end > n_nodes) and not (first == n_nodes and end == n_nodes):
            return node
        if suffix[node] < 0 or suffix[node] > max(node - 1, 0) or states[node] < 0 or states[node] > node:
            return node
        if not log_probs[node] <= 1e-3 or not back_offs[node] < np.inf:
            return node
        for below in range(first, end):
            if word[below] < 0 or word[below] >= n_words or (below > first and word[below] <= word[below - 1]):
                return below
        if node == 0 and end != 1 + n_words:
            return node
    return -1
