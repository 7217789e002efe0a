"""Compiled steps that put the states of a lattice in order, and find them in a file."""

import numpy as np

from ..jit import kernel, subkernel
from .kernels import INTS

LONGS = "Array(int64, 1, 'C', readonly=True)"


@kernel(f"UniTuple(int64, 2)({LONGS}, {INTS}, int32[::1])")
def topological_order(first, target, place):
    """Number the states that state 0 leads to, each after all that lead to it.   Ref: Kahn, 1962.

    Args:
        first: (n_states + 1,): of each state's arcs.
        target: (n_arcs,), ascending by source.
        place: (n_states,) of -1: the new number of each state; -1 for one that is not reached.

    Returns:
        how many have a number, and how many are reached; fewer have one where there is a cycle.
    """
    n = len(place)
    degree, seen, waiting = np.zeros(n, np.int64), np.zeros(n, np.bool_), np.empty(n, np.int32)
    if n == 0:
        return 0, 0
    n_reached, size = 1, 1
    seen[0], waiting[0] = True, 0
    while size > 0:
        size -= 1
        state = waiting[size]
        for i in range(first[state], first[state + 1]):
            degree[target[i]] += 1
            if not seen[target[i]]:
                seen[target[i]] = True
                waiting[size] = target[i]
                size += 1
                n_reached += 1
    n_ordered = 0
    if degree[0] == 0:
        waiting[0], size = 0, 1
    at = 0
    while at < size:
        state = waiting[at]
        at += 1
        place[state] = n_ordered
        n_ordered += 1
        for i in range(first[state], first[state + 1]):
            degree[target[i]] -= 1
            if degree[target[i]] == 0:
                waiting[size] = target[i]
                size += 1
    return n_ordered, n_reached


@kernel(f"int32[::1]({INTS}, {INTS}, {INTS}, int64)")
def longest_paths(source, target, length, n_states):
    """The length of the longest path from state 0 to each; arcs ascend by source, and lead to higher states alone."""
    result = np.zeros(n_states, np.int32)
    for i in range(len(source)):
        result[target[i]] = max(result[target[i]], result[source[i]] + length[i])
    return result


@subkernel
def number_at(data, at):
    """The int32 at a byte."""
    value = np.int64(data[at]) | np.int64(data[at + 1]) << 8 | np.int64(data[at + 2]) << 16
    return (value | np.int64(data[at + 3]) << 24 ^ 0x80000000) - 0x80000000


@kernel(
    "int64(Array(uint8, 1, 'C', readonly=True), int64, int64, int64, boolean, int64[::1], int64[::1], int32[::1],"
    " int64[::1])"
)
def places_in_file(data, at, n_states, weight_bytes, compact, finals_at, arcs_at, source, counted):
    """Where in OpenFst's VectorFst with lattice weights the states and arcs begin.

    Args:
        at: the byte where the states begin.
        weight_bytes: of the two numbers of a weight.
        compact: whether weights hold labels too.
        finals_at, arcs_at, source: (n_states,), (n_arcs,), (n_arcs,); filled, unless they are empty, as the first time.
        counted: (2,): filled with the number of arcs, and with the byte where what does not fit begins.

    Returns:
        the byte behind the last arc; -1 where the file ends before, -2 for a number that cannot be.
    """
    n_arcs, end = 0, len(data)
    for state in range(n_states):
        counted[1] = at
        if len(finals_at) > 0:
            finals_at[state] = at
        at += weight_bytes
        if compact:
            if at + 4 > end:
                return -1
            n_labels = number_at(data, at)
            if n_labels < 0:
                return -2
            at += 4 + 4 * n_labels
        if at + 8 > end:
            return -1
        n_own = number_at(data, at)
        if n_own < 0 or number_at(data, at + 4) != 0:
            return -2
        at += 8
        for _ in range(n_own):
            counted[1] = at
            if len(arcs_at) > 0:
                arcs_at[n_arcs], source[n_arcs] = at, state
            n_arcs += 1
            at += 8 + weight_bytes
            if compact:
                if at + 4 > end:
                    return -1
                n_labels = number_at(data, at)
                if n_labels < 0:
                    return -2
                at += 4 + 4 * n_labels
            at += 4
            if at > end:
                return -1
    counted[0], counted[1] = n_arcs, at
    return at


@kernel(
    f"void({LONGS}, {INTS}, {INTS}, Array(float64, 1, 'A', readonly=True), {LONGS}, int32[:, ::1], float64[:, ::1],"
    " int32[:, ::1])"
)
def fewest_errors(first, target, word, cost_of, reference, errors, cost, taken):
    """The fewest errors on the way to each state when so many words of a reference were said, and the least cost.

    Args:
        first: (n_states + 1,): of each state's arcs, which lead to higher states.
        word: (n_arcs,): 0 for none.
        errors, cost: (n_states, n_words + 1): known of state 0 and no word; filled.
        taken: (n_states, n_words + 1): filled with twice the last arc, or the number of arcs for a word that is
            missing, and 1 more where a word of the reference is used up.
    """
    n = len(reference)
    for state in range(len(errors)):
        for j in range(n + 1):
            e, c = errors[state, j], cost[state, j]
            if c == np.inf:
                continue
            if j < n and (e + 1 < errors[state, j + 1] or (e + 1 == errors[state, j + 1] and c < cost[state, j + 1])):
                errors[state, j + 1], cost[state, j + 1] = e + 1, c
                taken[state, j + 1] = 2 * len(target) + 1
            for i in range(first[state], first[state + 1]):
                t, after = target[i], c + cost_of[i]
                more = e + (word[i] != 0)
                if more < errors[t, j] or (more == errors[t, j] and after < cost[t, j]):
                    errors[t, j], cost[t, j], taken[t, j] = more, after, 2 * i
                if j < n and word[i] != 0:
                    more = e + (word[i] != reference[j])
                    if more < errors[t, j + 1] or (more == errors[t, j + 1] and after < cost[t, j + 1]):
                        errors[t, j + 1], cost[t, j + 1], taken[t, j + 1] = more, after, 2 * i + 1
