"""Compiled steps over a graph's arcs: in order of two keys, and which states a path reaches.

Arcs are seen as int32 (n_arcs, 4): input label, output label, cost (as bits), next state.
"""

import numpy as np

from ..jit import kernel

ARCS = "Array(int32, 2, 'C', readonly=True)"
COSTS = "Array(float32, 2, 'C', readonly=True)"  # the same memory as costs, which are in column 2
INTS = "Array(int32, 1, 'C', readonly=True)"


@kernel(f"boolean({INTS}, {INTS})")
def in_order(source, ilabel):
    """Whether arcs ascend by source, and those of a source by input label."""
    for a in range(1, len(source)):
        if source[a] < source[a - 1] or (source[a] == source[a - 1] and ilabel[a] < ilabel[a - 1]):
            return False
    return True


@kernel(f"void({INTS}, {INTS}, int64[::1], int32[::1])")
def order_by(keys, before, n_below, after):
    """A stable counting sort: the numbers in `before` in ascending order of their keys.

    Args:
        keys: by number.
        n_below: zeros, one for each value of a key and one more; becomes how many keys are below each value and above
            those that it was filled with.
        after: becomes `before` in the new order.
    """
    for i in range(len(before)):
        n_below[keys[before[i]] + 1] += 1
    for k in range(1, len(n_below)):
        n_below[k] += n_below[k - 1]
    for i in range(len(before)):
        number = before[i]
        after[n_below[keys[number]]] = number
        n_below[keys[number]] += 1


@kernel(f"void({ARCS}, {INTS}, int32[:, ::1])")
def in_that_order(arcs, order, result):
    """Copy arcs in an order."""
    for i in range(len(order)):
        for k in range(4):
            result[i, k] = arcs[order[i], k]


@kernel(f"void({INTS}, {ARCS}, int32[:, ::1])")
def count_arcs(source, arcs, states):
    """Fill the records of states, but for their final costs.

    Args:
        source: by arc, ascending.
        states: (n_states, 5) of zeros: final cost, first arc, number of arcs, of input and of output epsilons.
    """
    for a in range(len(arcs)):
        state = source[a]
        states[state, 2] += 1
        states[state, 3] += arcs[a, 0] == 0
        states[state, 4] += arcs[a, 1] == 0
    n = 0
    for state in range(len(states)):
        states[state, 1] = n
        n += states[state, 2]


@kernel(f"void({INTS}, {INTS}, {ARCS}, boolean[::1], int32[::1], int64)")
def reach(first, n_arcs, arcs, reached, stack, top):
    """Mark the states that some states lead to.

    Args:
        first: by state.
        n_arcs: by state.
        reached: where the states on the stack are marked already.
        stack: (n_states,) the states to go on from, `top` of them.
    """
    while top > 0:
        top -= 1
        state = stack[top]
        for a in range(first[state], first[state] + n_arcs[state]):
            target = arcs[a, 3]
            if not reached[target]:
                reached[target] = True
                stack[top] = target
                top += 1


@kernel(f"void({INTS}, {INTS}, {ARCS}, int32[::1], int32[::1], boolean[::1], int32[::1], int64)")
def reach_backwards(first, n_arcs, arcs, head, tail, reached, stack, top):
    """Mark the states that lead to some states.

    Args:
        first: by state.
        n_arcs: by state.
        head: (n_states,) of -1; becomes the first number of a list of the arcs into each state.
        tail: (n_arcs,) becomes the next arc of the same list.
        reached: as of `reach`, like `stack` and `top`.
    """
    for a in range(len(arcs)):
        tail[a] = head[arcs[a, 3]]
        head[arcs[a, 3]] = a
    source = np.empty(len(arcs), np.int32)
    for state in range(len(first)):
        for a in range(first[state], first[state] + n_arcs[state]):
            source[a] = state
    while top > 0:
        top -= 1
        a = head[stack[top]]
        while a >= 0:
            if not reached[source[a]]:
                reached[source[a]] = True
                stack[top] = source[a]
                top += 1
            a = tail[a]
