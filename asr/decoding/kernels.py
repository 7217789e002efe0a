"""The compiled steps of the Viterbi beam search, one small kernel each.

A graph is seen as three flat views of its file's records: `states` (5 words a state: final, first arc, number of arcs,
of epsilon arcs, of arcs without output), `arcs` (4 words an arc: input label, output label, weight, next state) and
`weights`, the same bytes as `arcs` read as float32. The arcs of a state start with its epsilon arcs.

A token is one entry of `cost` and `state`; its back-pointer lies in the arena (`previous`, `arc`) at slot base + token
number, and `slot_of[state]` is the slot of the newest token in that state: it belongs to the frame in progress exactly
if it is not below the frame's base, so nothing has to be cleared between frames. Costs are negated log scores, float64,
counted from the best token of the frame before. Slot 0 is the end of every back-trace.
"""

import numpy as np

from ..jit import kernel

U4 = "Array(uint32, 1, 'C', readonly=True)"
F4 = "Array(float32, 1, 'C', readonly=True)"
I4 = "Array(int32, 1, 'C', readonly=True)"
GRAPH = f"{U4}, {U4}, {F4}"
TOKENS = "float64[::1], uint32[::1]"
ARENA = "int32[::1], int32[::1], int32[::1]"
STACK = "int32[::1], int32[::1], uint8[::1]"

# What `advance` reports.
DONE, FULL, NOT_FINITE, DEAD, NEGATIVE_CYCLE = 0, 1, 2, 3, 4
# Positions in the search's registers.
N_TOKENS, BASE, BEST, FRAME, SIDE, CULPRIT, N_REGISTERS = 0, 1, 2, 3, 4, 5, 6
# Positions in the settings; a gain below TINY in an epsilon cycle is rounding, not a better path.
BEAM, MAX_ACTIVE, MIN_ACTIVE, BEAM_DELTA, SCALE, PENALTY, ARENA_LIMIT, N_SETTINGS = 0, 1, 2, 3, 4, 5, 6, 7
TINY = 1e-9
N_BINS = 256


@kernel("boolean(Array(float32, 2, 'C', readonly=True), int64, float64, float64[::1])")
def acoustic_costs(loglikes, row, scale, cost):
    """Fill `cost` with -scale times one row of the matrix; False if a value in it is not finite."""
    total = 0.0
    for c in range(cost.shape[0]):
        x = -scale * loglikes[row, c]
        cost[c] = x
        total += x - x
    return total == 0.0


@kernel("float64(float64[::1], int64, int64, float64, float64, int64[::1])")
def nth_cost(cost, n, rank, low, high, bins):
    """A cost that more than `rank` of the n tokens do not exceed, hardly above the true order statistic.

    low, high: range in which it lies. Two passes of a histogram: the error is at most (high - low) / N_BINS**2.
    """
    below = 0
    for _ in range(2):
        bins[:] = 0
        factor = N_BINS / max(high - low, 1e-30)
        for i in range(n):
            x = (cost[i] - low) * factor
            if 0.0 <= x <= N_BINS:
                bins[min(int(x), N_BINS - 1)] += 1
        chosen = 0
        while chosen < N_BINS - 1 and below + bins[chosen] <= rank:
            below += bins[chosen]
            chosen += 1
        low, high = low + chosen / factor, low + (chosen + 1) / factor
    return high


@kernel("UniTuple(float64, 2)(float64[::1], int64, float64, float64[::1], int64[::1])")
def cut_off(cost, n, best, settings, bins):
    """(cost from which tokens are dropped, beam of the next frame): Kaldi's rules for max-active and min-active.

    Above max_active tokens within the beam the best max_active of them stay, below min_active the best min_active; in
    both cases the next frame's beam follows, plus beam_delta.
    """
    beam = settings[BEAM]
    limit = best + beam
    least, most = int(settings[MIN_ACTIVE]), int(settings[MAX_ACTIVE])
    if n <= least:
        return np.inf, np.inf
    if n > most:
        inside = 0
        for i in range(n):
            inside += cost[i] < limit
        if inside > most:
            limit = nth_cost(cost, n, most, best, limit, bins)
            return limit, limit - best + settings[BEAM_DELTA]
    inside, i, worst = 0, 0, best
    while i < n and inside <= least:
        inside += cost[i] <= limit
        worst = max(worst, cost[i])
        i += 1
    if inside <= least:
        limit = nth_cost(cost, n, least, best, worst, bins)
        return limit, limit - best + settings[BEAM_DELTA]
    return limit, beam


@kernel(
    f"Tuple((int64, int64, float64))({GRAPH}, {I4}, float64[::1], {TOKENS}, int64, int64, float64, float64, float64,"
    f" int64, {TOKENS}, {ARENA})"
)
def expand(
    states, arcs, weights, columns, frame_cost, cost, state, n, best, limit, beam, penalty,
    base, next_cost, next_state, slot_of, previous, arc,
):  # fmt: skip
    """Move every token below `limit` over its emitting arcs; (number of new tokens, best of them, their cut-off).

    The best token goes first, so that the cut-off of the new frame is nearly right from the start.
    """
    origin = cost[best]
    goal = np.inf
    s = 5 * np.int64(state[best])
    first = np.int64(states[s + 1])
    for k in range(first + np.int64(states[s + 3]), first + np.int64(states[s + 2])):
        c = weights[4 * k + 2] + frame_cost[columns[arcs[4 * k]]]
        if arcs[4 * k + 1] != 0:
            c += penalty
        goal = min(goal, c)
    next_limit = goal + beam
    next_base = base + n
    m = 0
    new_best = 0
    for i in range(n):
        if cost[i] < limit:
            start_cost = cost[i] - origin
            s = 5 * np.int64(state[i])
            first = np.int64(states[s + 1])
            for k in range(first + np.int64(states[s + 3]), first + np.int64(states[s + 2])):
                c = weights[4 * k + 2] + frame_cost[columns[arcs[4 * k]]]
                if arcs[4 * k + 1] != 0:
                    c += penalty
                c += start_cost
                if c < next_limit:
                    d = arcs[4 * k + 3]
                    j = slot_of[d] - next_base
                    if j < 0:
                        j = m
                        m += 1
                        slot_of[d] = next_base + j
                        next_state[j] = d
                    elif c >= next_cost[j]:
                        continue
                    next_cost[j] = c
                    previous[next_base + j] = base + i
                    arc[next_base + j] = k
                    if c <= goal:
                        goal = c
                        new_best = j
                        next_limit = c + beam
    return m, new_best, next_limit


@kernel(f"UniTuple(int64, 3)({GRAPH}, {TOKENS}, int64, int64, float64, float64, int64, {ARENA}, {STACK})")
def close(
    states, arcs, weights, cost, state, n, best, limit, penalty, base, slot_of, previous, arc, stack, steps, waiting
):  # fmt: skip
    """Follow the epsilon arcs from all tokens up to `limit`; (number of tokens, best, state of a negative cycle or -1).

    steps: the number of epsilon arcs behind a token. A path of more of them than there are tokens has been in one
    state twice and was better the second time: a cycle that gains at every turn.
    waiting: 1 while a token is on the stack.
    """
    top = 0
    for i in range(n):
        steps[i] = 0
        waiting[i] = 0
        if states[5 * np.int64(state[i]) + 3] != 0 and cost[i] <= limit:
            stack[top] = i
            top += 1
            waiting[i] = 1
    while top > 0:
        top -= 1
        i = stack[top]
        waiting[i] = 0
        s = 5 * np.int64(state[i])
        first = np.int64(states[s + 1])
        for k in range(first, first + np.int64(states[s + 3])):
            c = cost[i] + weights[4 * k + 2]
            if arcs[4 * k + 1] != 0:
                c += penalty
            if c <= limit:
                d = arcs[4 * k + 3]
                j = slot_of[d] - base
                if j < 0:
                    j = n
                    n += 1
                    slot_of[d] = base + j
                    state[j] = d
                    waiting[j] = 0
                elif c >= cost[j] - TINY:
                    continue
                cost[j] = c
                previous[base + j] = base + i
                arc[base + j] = k
                steps[j] = steps[i] + 1
                if steps[j] > n:
                    return n, best, np.int64(d)
                if c < cost[best]:
                    best = j
                if waiting[j] == 0 and states[5 * np.int64(d) + 3] != 0:
                    stack[top] = j
                    top += 1
                    waiting[j] = 1
    return n, best, -1


@kernel(
    f"int64({GRAPH}, {I4}, Array(float32, 2, 'C', readonly=True), int64, float64[::1], {TOKENS}, {TOKENS}, {ARENA},"
    f" {STACK}, float64[::1], int64[::1], int64[::1], float64[::1])"
)
def advance(
    states, arcs, weights, columns, loglikes, row, settings, cost_0, state_0, cost_1, state_1, slot_of, previous, arc,
    stack, steps, waiting, frame_cost, bins, registers, offset,
):  # fmt: skip
    """Search on through the rows of `loglikes` from `row`; DONE, or why it stopped before registers[FRAME].

    cost_0, state_0, cost_1, state_1: the tokens of even and odd sides; registers[SIDE] says where the newest are.
    offset: (1,) sum of what was taken off the costs, so that they stay small however long the audio is.
    """
    n, base, best = registers[N_TOKENS], registers[BASE], registers[BEST]
    side, outcome = registers[SIDE], DONE
    frame = registers[FRAME]
    for t in range(row, loglikes.shape[0]):
        if base + n > settings[ARENA_LIMIT]:
            outcome = FULL
            break
        if not acoustic_costs(loglikes, t, settings[SCALE], frame_cost):
            outcome = NOT_FINITE
            break
        if side == 0:
            cost, state, next_cost, next_state = cost_0, state_0, cost_1, state_1
        else:
            cost, state, next_cost, next_state = cost_1, state_1, cost_0, state_0
        limit, beam = cut_off(cost, n, cost[best], settings, bins)
        m, new_best, next_limit = expand(
            states, arcs, weights, columns, frame_cost, cost, state, n, best, limit, beam, settings[PENALTY],
            base, next_cost, next_state, slot_of, previous, arc,
        )  # fmt: skip
        if m == 0:
            outcome = DEAD
            break
        offset[0] += cost[best]
        base, side, frame = base + n, 1 - side, frame + 1
        n, best, culprit = close(
            states, arcs, weights, next_cost, next_state, m, new_best, next_limit, settings[PENALTY], base, slot_of,
            previous, arc, stack, steps, waiting,
        )  # fmt: skip
        if culprit >= 0:
            registers[CULPRIT] = culprit
            outcome = NEGATIVE_CYCLE
            break
    registers[N_TOKENS], registers[BASE], registers[BEST] = n, base, best
    registers[SIDE], registers[FRAME] = side, frame
    return outcome


@kernel("int64(int64, int64, int32[::1], int32[::1], int32[::1])")
def collect(base, n, previous, arc, new_slot):
    """Throw out of the arena what no living token's path goes through; the tokens' new base.

    new_slot: zeros (base + n,), scratch. The order of the slots, and so the tokens' numbering, stays.
    """
    for i in range(base, base + n):
        j = i
        while j > 0 and new_slot[j] == 0:
            new_slot[j] = 1
            j = np.int64(previous[j])
    kept = 1
    for j in range(1, base + n):
        if new_slot[j] != 0:
            new_slot[j] = kept
            previous[kept], arc[kept] = previous[j], arc[j]
            kept += 1
    for j in range(1, kept):
        previous[j] = new_slot[previous[j]]
    return kept - n


@kernel("int64(int64, int32[::1], int32[::1], int32[::1])")
def trace_back(slot, previous, arc, path):
    """The number of arcs on the path that ends in `slot`; they are written into `path`, last arc first, if it is long enough."""
    length = 0
    while previous[slot] > 0:
        if length < path.shape[0]:
            path[length] = arc[slot]
        length += 1
        slot = np.int64(previous[slot])
    return length
