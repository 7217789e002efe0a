"""The compiled steps of tries and models. The arrays are those of `trie.Trie`; they may be read-only, as of a file."""

from ..jit import kernel
from .kernels import child, follow

INTS = "Array(int32, 1, 'C', readonly=True)"
DOUBLES = "Array(float64, 1, 'C', readonly=True)"


@kernel(f"void({INTS}, {INTS}, {INTS}, {INTS}, int32[::1])")
def find_all(first_child, word, parents, words, nodes):
    """Fill `nodes` with what `child` finds of each pair."""
    for i in range(len(parents)):
        nodes[i] = child(first_child, word, parents[i], words[i])


@kernel(f"void({INTS}, {INTS}, Array(int32, 2, 'A', readonly=True), int32[::1])")
def find_grams(first_child, word, grams, nodes):
    """Fill `nodes` with those of n-grams of one order, or -1. Neighbours that begin alike are quick."""
    n, order = grams.shape
    before = 0  # of the words but the last of the n-gram before this one
    for i in range(n):
        same = i > 0
        for k in range(order - 1):
            same = same and grams[i, k] == grams[i - 1, k]
        if not same:
            before = 0
            for k in range(order - 1):
                before = child(first_child, word, before, grams[i, k])
        nodes[i] = child(first_child, word, before, grams[i, order - 1])


@kernel(f"void({INTS}, int32[::1])")
def fill_parents(first_child, parents):
    """Fill the parent of each node; that of node 0 is 0."""
    parents[0] = 0
    for node in range(len(parents)):
        for below in range(first_child[node], first_child[node + 1]):
            parents[below] = node


@kernel(f"void({INTS}, {INTS}, int32[::1])")
def fill_suffixes(first_child, word, suffix):
    """Fill the longest n-gram that each one ends in, other than itself."""
    suffix[0] = 0
    for below in range(first_child[0], first_child[1]):
        suffix[below] = 0
    for node in range(1, len(suffix)):
        for below in range(first_child[node], first_child[node + 1]):
            state = suffix[node]
            found = child(first_child, word, state, word[below])
            while found < 0:
                state = suffix[state]
                found = child(first_child, word, state, word[below])
            suffix[below] = found


@kernel(f"void({INTS}, {INTS}, {DOUBLES}, int32[::1])")
def fill_states(first_child, suffix, back_offs, states):
    """Fill the longest n-gram that each one ends in, itself included, and that matters for what comes next."""
    for node in range(len(states)):
        matters = node == 0 or first_child[node] < first_child[node + 1] or back_offs[node] != 0.0
        # A suffix has a lower number, so it is there already.
        states[node] = node if matters else states[suffix[node]]


@kernel(f"void({INTS}, {INTS}, {INTS}, {INTS}, {INTS}, {DOUBLES}, {DOUBLES}, float64[::1], int32[::1])")
def step_all(states, words, first_child, word, suffix, log_probs, back_offs, scores, nodes):
    """Fill the log probability of each word after each history, and the n-grams that they lead to."""
    for i in range(len(states)):
        scores[i], nodes[i] = follow(states[i], words[i], first_child, word, suffix, log_probs, back_offs)
