"""The compiled search for the states that matter."""

import math

from ..jit import kernel
from .determinise_kernels import FLOATS, INTS


@kernel(f"void({INTS}, {INTS}, {FLOATS}, {FLOATS}, int64, uint8[::1], int32[::1], int32[::1])")
def mark_useful(states, arcs, finals, costs, start, useful, first, source):
    """Set `useful` to 1 for the states on a path from the start to a final state.

    Args:
        states: with arcs, finals and costs, the graph as flat views, as in determinise_kernels.
        useful: (n_states,) zeros.
        first: (n_states + 1,) zeros.
        source: (n_arcs + n_states,) room: the arcs' sources by target, then the states that wait.
    """
    n, n_arcs = states.shape[0] // 5, arcs.shape[0] // 4
    for k in range(n_arcs):
        first[arcs[4 * k + 3]] += 1
    total = 0
    for s in range(n):
        total += first[s]
        first[s] = total
    first[n] = total
    top = n_arcs
    for s in range(n):
        for k in range(states[5 * s + 1], states[5 * s + 1] + states[5 * s + 2]):
            d = arcs[4 * k + 3]
            first[d] -= 1
            source[first[d]] = s if costs[4 * k + 2] < math.inf else -1
        if finals[5 * s] < math.inf:
            useful[s] = 1
            source[top] = s
            top += 1
    while top > n_arcs:
        top -= 1
        d = source[top]
        for i in range(first[d], first[d + 1]):
            s = source[i]
            if s >= 0 and useful[s] == 0:
                useful[s] = 1
                source[top] = s
                top += 1
    if useful[start] == 1:
        useful[start] = 2
        source[top] = start
        top += 1
    while top > n_arcs:
        top -= 1
        s = source[top]
        for k in range(states[5 * s + 1], states[5 * s + 1] + states[5 * s + 2]):
            d = arcs[4 * k + 3]
            if useful[d] == 1 and costs[4 * k + 2] < math.inf:
                useful[d] = 2
                source[top] = d
                top += 1
    for s in range(n):
        useful[s] = useful[s] // 2
