"""The compiled steps of local epsilon removal.

Arcs are flat (4 words each: input label, output label, cost, next state); `costs` are the same bytes as float32. Those
of a state are a linked list, as arcs move from state to state.
"""

import math

from ..jit import kernel, subkernel
from .arc_kernels import INTS

_MOST_STEPS = 64  # of one arc at a time; a cycle of epsilons would have no end


@kernel(f"void({INTS}, int32[::1], int64, int32[::1], int32[::1], int32[::1], int32[::1])", allocates=False)
def link(states, arcs, start, source, following, head, n_in):
    """Set up the lists.

    Args:
        states: 5 words each.
        source: by arc, filled with the state that it leaves.
        following: by arc, filled with the next one of the same state, or -1.
        head: by state, filled with its first arc, or -1.
        n_in: by state, zeros; becomes the number of arcs that enter it, and one more for the start.
    """
    n_in[start] = 1
    for s in range(head.shape[0]):
        head[s] = -1
        for k in range(states[5 * s + 1] + states[5 * s + 2] - 1, states[5 * s + 1] - 1, -1):
            source[k] = s
            following[k] = head[s]
            head[s] = k
            n_in[arcs[4 * k + 3]] += 1


@subkernel
def may_join(arcs, k, f):
    """Whether two arcs have at most one input and one output label."""
    return (arcs[4 * k] == 0 or arcs[4 * f] == 0) and (arcs[4 * k + 1] == 0 or arcs[4 * f + 1] == 0)


@kernel(
    "int64(int32[::1], float32[::1], float32[::1], int32[::1], int32[::1], int32[::1], int32[::1])", allocates=False
)
def shorten(arcs, costs, final, source, following, head, n_in):
    """One pass over all arcs, each joined with what follows where that makes the graph smaller.

    Returns:
        how many arcs were joined.

    Args:
        final: costs by state.
        source: by arc; becomes -1 where it is gone, like the states that none enters.
    """
    n_joined = 0
    for s in range(head.shape[0]):
        previous, k = -1, head[s]
        while k >= 0:
            # The only way on from a state is taken at once.
            for _ in range(_MOST_STEPS):
                d = arcs[4 * k + 3]
                f = head[d]
                if d == s or f < 0 or following[f] >= 0 or final[d] < math.inf:
                    break
                e = arcs[4 * f + 3]
                if e == d or not may_join(arcs, k, f):
                    break
                arcs[4 * k] += arcs[4 * f]
                arcs[4 * k + 1] += arcs[4 * f + 1]
                costs[4 * k + 2] += costs[4 * f + 2]
                arcs[4 * k + 3] = e
                n_in[d] -= 1
                if n_in[d] == 0:
                    source[f] = -1
                    head[d] = -1
                else:
                    n_in[e] += 1
                n_joined += 1
            # An only way in without input label is put in front of all ways on.
            d = arcs[4 * k + 3]
            joins = arcs[4 * k] == 0 and d != s and n_in[d] == 1 and final[d] == math.inf
            if joins and arcs[4 * k + 1] != 0:
                f = head[d]
                while f >= 0:
                    joins = joins and arcs[4 * f + 1] == 0
                    f = following[f]
            if not joins:
                previous = k
                k = following[k]
                continue
            first, last, f = following[k], -1, head[d]
            if f >= 0:
                first = f
            while f >= 0:
                arcs[4 * f + 1] += arcs[4 * k + 1]
                costs[4 * f + 2] += costs[4 * k + 2]
                source[f] = s
                last = f
                f = following[f]
            if last >= 0:
                following[last] = following[k]
            if previous < 0:
                head[s] = first
            else:
                following[previous] = first
            source[k], head[d], n_in[d] = -1, -1, 0
            n_joined += 1
            k = first
    return n_joined
