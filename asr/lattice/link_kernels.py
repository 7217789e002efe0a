"""The compiled step from the tokens of a search to the arcs of a lattice.

The search is the one for the best path, which keeps the state and the cost of all tokens of all frames. Going back from
the last frame, each arc of the graph between two tokens is looked at again: how much worse is the best whole path over
it than the best of all? What is within the lattice beam is a link. So no search is slower for lattices, and nothing has
to be pruned on the way.

`kept_cost` and `kept_state` are tokens in slots, those of frame t from first[t] to first[t + 1]; costs are absolute.
`extra` of a token: how much worse the best whole path through it is than the best of all; inf where it is beyond the
beam. Links are rows of `ends` (token from, token to), `taken` (arc of the graph) and `acoustic` (acoustic cost).
"""

import numpy as np

from ..decoding.kernels import AHEAD, GRAPH, INTS, MATRIX, acoustic_costs
from ..jit import fetch, kernel, subkernel, teach_fetch

DONE, FULL, CYCLE = 0, 1, 2
FRAME, N_LINKS, N_REGISTERS = 0, 1, 2  # registers: the frame whose tokens come next
TINY = 1e-7  # rounding of costs

u = np.uint64
teach_fetch()

LINKS = "int32[:, ::1], int32[::1], float32[::1]"


@subkernel
def epsilons_of(states, s):
    """How many epsilon arcs a state has; none where a graph that is composed while it is searched knows no arcs yet."""
    return states[u(s + 3)] if states[u(s + 1)] >= 0 else 0


@subkernel
def epsilon_links(
    states, arcs, weights, kept_cost, kept_state, slot_of, extra, begin, end, penalty, beam, registers, ends, taken,
    acoustic,
):  # fmt: skip
    """The links over epsilon arcs within a frame, and what they say of its tokens; False for a cycle in the beam."""
    changed, rounds = True, 0
    while changed:
        changed = False
        rounds += 1
        for i in range(begin, end):
            s = 5 * kept_state[u(i)]
            for k in range(states[u(s + 1)], states[u(s + 1)] + epsilons_of(states, s)):
                j = slot_of[u(arcs[u(4 * k + 3)])]
                if begin <= j < end and extra[u(j)] < np.inf:
                    c = kept_cost[u(i)] + weights[u(4 * k + 2)]
                    if arcs[u(4 * k + 1)] != 0:
                        c += penalty
                    worse = extra[u(j)] + (c - kept_cost[u(j)])
                    if worse <= beam and worse < extra[u(i)] - TINY:
                        extra[u(i)] = worse
                        changed = True
        if rounds > end - begin + 1:
            return False
    m = registers[N_LINKS]
    for i in range(begin, end):
        if extra[u(i)] < np.inf:
            s = 5 * kept_state[u(i)]
            for k in range(states[u(s + 1)], states[u(s + 1)] + epsilons_of(states, s)):
                j = slot_of[u(arcs[u(4 * k + 3)])]
                if begin <= j < end and extra[u(j)] < np.inf:
                    c = kept_cost[u(i)] + weights[u(4 * k + 2)]
                    if arcs[u(4 * k + 1)] != 0:
                        c += penalty
                    if extra[u(j)] + (c - kept_cost[u(j)]) <= beam and m < taken.shape[0]:
                        ends[m, 0], ends[m, 1], taken[m], acoustic[m] = i, j, k, 0.0
                        m += 1
    registers[N_LINKS] = m
    return True


@subkernel
def emitting_links(
    states, arcs, weights, columns, frame_cost, kept_cost, kept_state, slot_of, extra, before, begin, end, penalty,
    beam, registers, ends, taken, acoustic,
):  # fmt: skip
    """The links from the tokens of a frame, from slot `before` on, to those of the next, from `begin` to `end`."""
    # No arc that costs more leads to a token that is within the beam: most are passed over without looking where.
    bound = -np.inf
    for j in range(begin, end):
        if extra[u(j)] < np.inf:
            bound = max(bound, kept_cost[u(j)] - extra[u(j)])
    bound += beam
    m = registers[N_LINKS]
    for i in range(before, begin):
        if i + 2 * AHEAD < begin:
            fetch(states, 5 * kept_state[u(i + 2 * AHEAD)])
            fetch(arcs, 4 * states[u(5 * kept_state[u(i + AHEAD)] + 1)])
        s = 5 * kept_state[u(i)]
        if states[u(s + 2)] == 0:  # also where a graph that is composed while it is searched knows no arcs yet
            continue
        for k in range(states[u(s + 1)] + states[u(s + 3)], states[u(s + 1)] + states[u(s + 2)]):
            sound = frame_cost[u(columns[u(arcs[u(4 * k)])])]
            c = kept_cost[u(i)] + (weights[u(4 * k + 2)] + sound)
            if arcs[u(4 * k + 1)] != 0:
                c += penalty
            if c <= bound:
                j = slot_of[u(arcs[u(4 * k + 3)])]
                if begin <= j < end:
                    worse = extra[u(j)] + (c - kept_cost[u(j)])
                    if worse <= beam and m < taken.shape[0]:
                        ends[m, 0], ends[m, 1], taken[m], acoustic[m] = i, j, k, sound
                        m += 1
                        if worse < extra[u(i)]:
                            extra[u(i)] = worse
    registers[N_LINKS] = m


@kernel(
    f"int64({GRAPH}, {INTS}, {MATRIX}, float64, float64, float64, float64[::1], int32[::1], int64[::1], int32[::1],"
    f" float64[::1], float64[::1], int64[::1], {LINKS})"
)
def link(
    states, arcs, weights, columns, loglikes, scale, penalty, beam, kept_cost, kept_state, first, slot_of, extra,
    frame_cost, registers, ends, taken, acoustic,
):  # fmt: skip
    """Go back from frame registers[FRAME] to the first one; FULL where the links of a frame have no room.

    The caller makes room and calls again: what was found of that frame is thrown away.

    Args:
        extra: of the last frame's tokens it is known, elsewhere inf.
        slot_of: (n_states,), whatever stands there.
    """
    while True:
        frame, before = registers[FRAME], registers[N_LINKS]
        begin, end = first[frame], first[frame + 1]
        for i in range(begin, end):
            slot_of[u(kept_state[u(i)])] = i
        if not epsilon_links(
            states, arcs, weights, kept_cost, kept_state, slot_of, extra, begin, end, penalty, beam, registers, ends,
            taken, acoustic,
        ):  # fmt: skip
            return CYCLE
        if frame > 0:
            acoustic_costs(loglikes, frame - 1, scale, frame_cost)
            emitting_links(
                states, arcs, weights, columns, frame_cost, kept_cost, kept_state, slot_of, extra, first[frame - 1],
                begin, end, penalty, beam, registers, ends, taken, acoustic,
            )  # fmt: skip
        if registers[N_LINKS] == taken.shape[0]:
            registers[N_LINKS] = before
            return FULL
        if frame == 0:
            return DONE
        registers[FRAME] = frame - 1
