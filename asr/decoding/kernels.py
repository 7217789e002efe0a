"""The compiled steps of the Viterbi beam search, one small kernel each.

A graph is seen as flat views of its file's records: `states` (5 words per state: final, first arc, number of arcs, of
epsilon arcs, of arcs without output), `arcs` (4 words per arc: input label, output label, weight, next state) and
`weights`, the same bytes as `arcs` read as float32. The arcs of a state start with its epsilon arcs.

A token is an entry of `cost` and `state`; these arrays hold two frames' tokens, from `here` and from `there` on. Its
back-pointer lies in the arena (`previous`, `arc`) at slot base + token number. `slot_of[state]` is the slot of the
newest token in that state: it belongs to the frame in progress exactly if it is not below the frame's base, so nothing
has to be cleared between frames. Slot 0 ends every back-trace. Costs are negated log scores, float64, counted from the
best token of the frame before.

The kernels are written so that numba compiles them quickly: few array arguments, no slices, no calls for what an `if`
does. That is the first start of a new user, so measure it when changing them.

Two things made the search 1.5 times as fast: the states and arcs of tokens that come next are fetched while others are
looked at, as which they are no processor foresees; and indices are made unsigned, as `a[u(i)]`, since numba looks
whether one with a sign is negative. Collecting a frame's candidates first, to have fewer branches, made it slower.
"""

import numpy as np

from ..jit import fetch, kernel, subkernel, teach_fetch

INTS = "Array(int32, 1, 'C', readonly=True)"
GRAPH = f"{INTS}, {INTS}, Array(float32, 1, 'C', readonly=True)"
MATRIX = "Array(float32, 2, 'C', readonly=True)"
SEARCH = "float64[::1], int32[::1], int32[::1], int32[::1], int32[::1]"
KEPT = "float64[::1], int32[::1], int64[::1]"

# What `advance` reports.
DONE, FULL, NOT_FINITE, DEAD, NEGATIVE_CYCLE = 0, 1, 2, 3, 4
ROOM = 5  # searches whose arrays of tokens can be too small alone
# Positions in the search's registers.
N_TOKENS, BASE, BEST, FRAME, HERE, IS_OPEN, CULPRIT, N_REGISTERS = 0, 1, 2, 3, 4, 5, 6, 7
# Positions in the settings.
BEAM, MAX_ACTIVE, MIN_ACTIVE, BEAM_DELTA, SCALE, PENALTY, ARENA_LIMIT, N_SETTINGS = 0, 1, 2, 3, 4, 5, 6, 7
TINY = 1e-9  # a smaller gain on epsilon arcs is rounding in a cycle of cost zero, not a better path
N_BINS = 256

AHEAD = 6  # tokens: for so many the arcs are fetched before they are looked at, and for twice as many the states
u = np.uint64
teach_fetch()


@subkernel
def acoustic_costs(loglikes, row, scale, frame_cost):
    """Fill `frame_cost` with -scale times one row of the matrix; False if a value in it is not finite."""
    line = loglikes[row]
    wrong = 0
    for c in range(frame_cost.shape[0]):
        x = -scale * line[c]
        frame_cost[c] = x
        # Infinity less itself is NaN, and NaN differs from everything: one test for both, without a branch.
        wrong |= x - x != 0.0
    return wrong == 0


@subkernel
def nth_cost(cost, here, n, rank, low, high, bins):
    """A cost that more than `rank` of the n tokens do not exceed, hardly above the true order statistic.

    Args:
        low: range in which it lies. Two passes of a histogram: the error is at most (high - low) / N_BINS**2.
        high: see `low`.
    """
    below = 0
    for _ in range(2):
        for b in range(N_BINS):
            bins[b] = 0
        # The second pass divides the bin in which the first one found the rank.
        factor = N_BINS / (high - low)
        for i in range(here, here + n):
            x = (cost[i] - low) * factor
            if 0.0 <= x < N_BINS:
                bins[int(x)] += 1
        chosen = 0
        while chosen < N_BINS - 1 and below + bins[chosen] <= rank:
            below += bins[chosen]
            chosen += 1
        high = low + (chosen + 1) / factor
        low = low + chosen / factor
    return high


@subkernel
def cut_off(cost, here, n, best, settings, bins):
    """The cost from which tokens are dropped, by Kaldi's rules for max-active and min-active.

    It is best + beam, unless more than max_active tokens are below that (then the best max_active of them stay) or
    not more than min_active (then the best min_active stay).
    """
    least, most = settings[MIN_ACTIVE], settings[MAX_ACTIVE]
    limit = best + settings[BEAM]
    # Kaldi too keeps every token where there are so few, however bad.
    if n <= least:
        return np.inf
    inside, worst = 0, best
    for i in range(here, here + n):
        if cost[u(i)] <= limit:
            inside += 1
            # Neither limit can matter any more: the other tokens need not be looked at.
            if inside > least and n <= most:
                return limit
        elif cost[u(i)] > worst:
            worst = cost[u(i)]
    if inside > most:
        return nth_cost(cost, here, n, int(most), best, limit, bins)
    if inside <= least:
        # Outside the beam the range reaches to the worst token.
        return nth_cost(cost, here, n, int(least), best, worst + 1.0, bins)
    return limit


@subkernel
def expand(
    states, arcs, weights, columns, frame_cost, cost, state, slot_of, previous, arc, registers, there, limit, beam,
    penalty, new_limit,
):  # fmt: skip
    """Move every token below `limit` over its emitting arcs and return the number of new tokens, numbered from `there`.

    The best old token is looked at first, so that the cut-off is nearly right from the start.

    Args:
        new_limit: (1,) becomes the new frame's cut-off, `beam` above the best new token, whose number goes to
            registers.
    """
    n, base, here, best = registers[N_TOKENS], registers[BASE], registers[HERE], registers[BEST]
    origin = cost[u(here + best)]
    # The best token's arcs give a first estimate of the new frame's best cost: most of the other tokens' arcs
    # are then dropped at once, instead of making tokens that the next frame prunes.
    goal = np.inf
    s = 5 * state[u(here + best)]
    # Emitting arcs come behind the epsilon arcs of a state.
    for k in range(states[u(s + 1)] + states[u(s + 3)], states[u(s + 1)] + states[u(s + 2)]):
        c = weights[u(4 * k + 2)] + frame_cost[u(columns[u(arcs[u(4 * k)])])]
        if arcs[u(4 * k + 1)] != 0:
            c += penalty
        if c < goal:
            goal = c
    bound = goal + beam
    next_base = base + n
    m = 0
    for i in range(n):
        if i + 2 * AHEAD < n:
            fetch(states, 5 * state[u(here + i + 2 * AHEAD)])
            fetch(arcs, 4 * states[u(5 * state[u(here + i + AHEAD)] + 1)])
        if cost[u(here + i)] < limit:
            # Costs count from the best old token, so that they stay small; `totals` keeps what was taken off.
            start_cost = cost[u(here + i)] - origin
            s = 5 * state[u(here + i)]
            for k in range(states[u(s + 1)] + states[u(s + 3)], states[u(s + 1)] + states[u(s + 2)]):
                c = weights[u(4 * k + 2)] + frame_cost[u(columns[u(arcs[u(4 * k)])])]
                if arcs[u(4 * k + 1)] != 0:
                    c += penalty
                c += start_cost
                if c < bound:
                    d = arcs[u(4 * k + 3)]
                    slot = slot_of[u(d)]
                    # The state's newest token is of an older frame: it gets one in the new frame.
                    if slot < next_base:
                        slot = next_base + m
                        slot_of[u(d)] = slot
                        state[u(there + m)] = d
                        m += 1
                    # Viterbi: of two paths into a state only the better one can be a part of the best.
                    elif c >= cost[u(there + slot - next_base)]:
                        continue
                    cost[u(there + slot - next_base)] = c
                    previous[u(slot)] = base + i
                    arc[u(slot)] = k
                    if c <= goal:
                        goal = c
                        bound = c + beam
                        registers[BEST] = slot - next_base
    new_limit[0] = bound
    return m


@subkernel
def close(states, arcs, weights, cost, state, slot_of, previous, arc, registers, limit, penalty, stack, steps):
    """Follow the epsilon arcs from all tokens up to `limit`; False if they have a cycle that gains at every turn.

    Args:
        steps: the number of epsilon arcs behind each token, negative (less one) while the token is on the stack. A path
            of more of them than there are tokens has been in one state twice and was better the second time.
    """
    n, base, here, best = registers[N_TOKENS], registers[BASE], registers[HERE], registers[BEST]
    top = 0
    for i in range(n):
        # Only states with epsilon arcs wait on the stack; as in Kaldi, not those of tokens beyond the cut-off.
        if states[u(5 * state[u(here + i)] + 3)] != 0 and cost[u(here + i)] <= limit:
            stack[u(top)] = i
            top += 1
            steps[u(i)] = -1
        else:
            steps[u(i)] = 0
    while top > 0:
        top -= 1
        i = stack[u(top)]
        so_far = -1 - steps[u(i)]
        steps[u(i)] = so_far
        s = 5 * state[u(here + i)]
        for k in range(states[u(s + 1)], states[u(s + 1)] + states[u(s + 3)]):
            c = cost[u(here + i)] + weights[u(4 * k + 2)]
            if arcs[u(4 * k + 1)] != 0:
                c += penalty
            if c <= limit:
                d = arcs[u(4 * k + 3)]
                j = slot_of[u(d)] - base
                if j < 0:
                    j = n
                    n += 1
                    slot_of[u(d)] = base + j
                    state[u(here + j)] = d
                    steps[u(j)] = 0
                elif c >= cost[u(here + j)] - TINY:
                    continue
                cost[u(here + j)] = c
                previous[u(base + j)] = base + i
                arc[u(base + j)] = k
                if c < cost[u(here + best)]:
                    best = j
                # More arcs than there are tokens: some state came twice, at less cost each time.
                if so_far > n:
                    registers[CULPRIT] = d
                    return False
                # A token that is on the stack is looked at later, with its new cost; one whose arcs were followed
                # already follows them anew.
                if steps[u(j)] >= 0 and states[u(5 * d + 3)] != 0:
                    stack[u(top)] = j
                    top += 1
                steps[u(j)] = -2 - so_far
    registers[N_TOKENS] = n
    registers[BEST] = best
    return True


@subkernel
def keep(cost, state, registers, totals, kept_cost, kept_state, first):
    """Keep the tokens of a frame for a lattice, with absolute costs, where there are arrays for them."""
    if kept_cost.shape[0] > 0:
        n, base, here = registers[N_TOKENS], registers[BASE], registers[HERE]
        for i in range(n):
            kept_cost[u(base + i)] = cost[u(here + i)] + totals[1]
            kept_state[u(base + i)] = state[u(here + i)]
        first[registers[FRAME]], first[registers[FRAME] + 1] = base, base + n


@kernel(
    f"int64({GRAPH}, {INTS}, {MATRIX}, float64[::1], {SEARCH}, int64[::1], int32[::1], int32[::1], float64[::1],"
    f" int64[::1], float64[::1], {KEPT})"
)
def advance(
    states, arcs, weights, columns, loglikes, settings, cost, state, slot_of, previous, arc, registers, stack, steps,
    frame_cost, bins, totals, kept_cost, kept_state, first,
):  # fmt: skip
    """Search on through the rows of `loglikes`; DONE, or why it stopped before the row registers[FRAME].

    registers[IS_OPEN]: whether the epsilon arcs of the newest tokens are still to be followed, up to totals[0].
    totals[1]: the sum of what was taken off the costs, so that they stay small however long the audio is.
    `kept_cost`, `kept_state`, `first` take all tokens, see `Tokens` in `viterbi`; they are empty where none are kept.
    """
    while True:
        if registers[IS_OPEN] != 0:
            registers[IS_OPEN] = 0
            if not close(
                states, arcs, weights, cost, state, slot_of, previous, arc, registers, totals[0], settings[PENALTY],
                stack, steps,
            ):  # fmt: skip
                return NEGATIVE_CYCLE
            keep(cost, state, registers, totals, kept_cost, kept_state, first)
        n, here = registers[N_TOKENS], registers[HERE]
        if registers[FRAME] == loglikes.shape[0]:
            return DONE
        # The caller makes room and calls again; frame and tokens stand as they are.
        if registers[BASE] + n > settings[ARENA_LIMIT]:
            return FULL
        if not acoustic_costs(loglikes, registers[FRAME], settings[SCALE], frame_cost):
            return NOT_FINITE
        best = cost[here + registers[BEST]]
        limit = cut_off(cost, here, n, best, settings, bins)
        beam = settings[BEAM]
        # Where max_active or min_active moved the limit, Kaldi's beam for the new tokens moves along, a little wider.
        if limit != best + beam:
            beam = limit - best + settings[BEAM_DELTA]
        there = slot_of.shape[0] - here
        m = expand(
            states, arcs, weights, columns, frame_cost, cost, state, slot_of, previous, arc, registers, there, limit,
            beam, settings[PENALTY], totals,
        )  # fmt: skip
        if m == 0:
            return DEAD
        # Old tokens become the arena's past; the two halves of `cost` and `state` change places.
        totals[1] += best
        registers[BASE] += n
        registers[N_TOKENS] = m
        registers[HERE] = there
        registers[IS_OPEN] = 1
        registers[FRAME] += 1


@kernel("int64(int64, int64, int32[::1], int32[::1], int32[::1])")
def collect(base, n, previous, arc, new_slot):
    """Throw out of the arena what no living token's path goes through; the tokens' new base.

    Args:
        new_slot: zeros (base + n,), scratch. The order of the slots, and so the tokens' numbering, stays.
    """
    # Mark what living tokens' paths go through. A marked slot's past is marked already, so each is met once.
    for i in range(base, base + n):
        j = i
        while j > 0 and new_slot[j] == 0:
            new_slot[j] = 1
            j = previous[j]
    kept = 1
    # Move the marked slots down; `new_slot` now says where each went.
    for j in range(1, base + n):
        if new_slot[j] != 0:
            new_slot[j] = kept
            previous[kept] = previous[j]
            arc[kept] = arc[j]
            kept += 1
    for j in range(1, kept):
        previous[j] = new_slot[previous[j]]
    return kept - n


@kernel("int64(int64, int32[::1], int32[::1], int32[::1])")
def trace_back(slot, previous, arc, path):
    """The number of arcs on the path that ends in `slot`; as many as fit are written into `path`, last arc first."""
    length = 0
    while previous[slot] > 0:
        if length < path.shape[0]:
            path[length] = arc[slot]
        length += 1
        slot = previous[slot]
    return length
