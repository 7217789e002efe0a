"""The compiled steps of drawing sentences from a model."""

import math

import numpy as np

from ..jit import kernel, subkernel
from .kernels import child
from .names import BYTES
from .trie_kernels import DOUBLES, INTS
from .vocabulary import END_ID, START_ID

_MOST_TRIES = 10_000


@subkernel
def uniform(random):
    """The next number of a sequence (splitmix64), 0 or more and below 1; `random` holds where the sequence is."""
    random[0] += np.uint64(0x9E3779B97F4A7C15)
    x = random[0]
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return float((x ^ (x >> np.uint64(31))) >> np.uint64(11)) / 9007199254740992.0


@kernel(f"void({INTS}, {DOUBLES}, float64[::1])")
def add_up(first_child, log_probs, sums):
    """For each n-gram the probabilities of the words up to its last one, after the others: those that the trie has."""
    sums[0] = 0.0
    for node in range(len(sums)):
        total = 0.0
        for below in range(first_child[node], first_child[node + 1]):
            total += math.exp(log_probs[below])
            sums[below] = total


@subkernel
def pick(first, end, sums, wanted):
    """The first node whose sum is above a number."""
    low, high = first, end - 1
    while low < high:
        middle = (low + high) // 2
        if sums[middle] > wanted:
            high = middle
        else:
            low = middle + 1
    return low


@subkernel
def draw(state, first_child, word, suffix, sums, random, path):
    """The n-gram that a word drawn after a history makes.

    With the probability of all words that follow it in the trie, one of these; else one drawn after the shorter
    history, again and again until it is none of these: that is what backing off means.
    """
    depth, tries = 0, 0
    path[0] = state
    while path[depth]:
        depth += 1
        path[depth] = suffix[path[depth - 1]]
    deepest, depth = depth, 0
    while True:
        first, end = first_child[path[depth]], first_child[path[depth] + 1]
        chosen = uniform(random)
        if depth < deepest and (first == end or chosen >= sums[end - 1]):
            depth += 1
            continue
        node = pick(first, end, sums, chosen if depth < deepest else chosen * sums[end - 1])
        while depth and (tries > _MOST_TRIES or child(first_child, word, path[depth - 1], word[node]) < 0):
            depth -= 1
        tries += 1
        if depth == 0:
            return node


@kernel(f"int64({INTS}, {INTS}, {INTS}, {INTS}, {DOUBLES}, int64, int64, uint64[::1], int32[::1])")
def draw_sentences(first_child, word, suffix, states, sums, n_sentences, longest, random, ids):
    """Fill sentences of word ids, between those of `<s>` and `</s>`, and return how many ids there are.

    Args:
        first_child: of the trie.
        word: of the trie.
        suffix: of the trie.
        states: of the model.
        sums: see `add_up`.
        n_sentences: how many; fewer where the room ends.
        longest: words of a sentence; longer ones end there.
        random: uint64 (1,): where the sequence of random numbers is.
        ids: to be filled.
    """
    n, path = 0, np.zeros(64, np.int64)
    for _ in range(n_sentences):
        if n + longest + 2 > len(ids):
            break
        ids[n] = START_ID
        n += 1
        state, length = states[1 + START_ID], 0
        while length < longest:
            node = draw(state, first_child, word, suffix, sums, random, path)
            if word[node] == END_ID:
                break
            ids[n] = word[node]
            n, length, state = n + 1, length + 1, states[node]
        ids[n] = END_ID
        n += 1
    return n


@kernel(f"int64({INTS}, {BYTES}, Array(int64, 1, 'C', readonly=True), uint8[::1])")
def put_sentences(ids, pool, starts, out):
    """Write sentences, a line each; returns the number of bytes."""
    place, is_first = 0, True
    for i in range(len(ids)):
        if ids[i] == START_ID:
            is_first = True
            continue
        if ids[i] == END_ID:
            out[place] = 10
            place += 1
            continue
        if not is_first:
            out[place] = 32
            place += 1
        is_first = False
        for k in range(starts[ids[i]], starts[ids[i] + 1]):
            out[place] = pool[k]
            place += 1
    return place
