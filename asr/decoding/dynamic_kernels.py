"""The compiled steps of the search that composes HCL and G as it goes.

A token stands in a state of HCL and in a state of the language: a history of G and a node of the boosted phrases,
lm = node * n_histories + history. `cost` holds what is behind it and, as look-ahead, `ahead`: the negated log
probability that one of the words comes that may still come. It is taken off when the word comes out, or fewer may come.
HCL and G are flat views of their files' records as in `kernels`; a state of G has its back-off arc, if it has one,
before its words.

As in a static graph, backing off is a way of its own, taken between words: where fewer words may come than all, there
is a token for a history and for each that it backs off to, at its cost. A token ends where its history has no arc for
any of the words that may still come, and those of different histories meet in the one that they back off to. Where
back-off is exact, there is one token, which backs off itself when its history has no arc for any of the words.

The arrays come one by one, as those in tuples are counted at every use, which is slower than all else:
    states, arcs, weights: HCL; set_of: the set of words that each state reaches; splits: 1 for states where all words
        may come and from which arcs lead to where fewer may: there histories back off; labels: of the words
    first, bounds: where the intervals of each set begin, and their bounds
    g_states, g_finals (the same as float32), g_arcs, g_weights: G; of the state that all others back off to in the end
        root_costs and root_next by label (cost inf: none), and root_masses, the sum of the probabilities of all below
    p_nodes, p_arcs, p_bonus: the phrases, as `asr.graph.phrases` has them
    c_keys, c_costs: the look-aheads that are known, by hash: key, and history after backing off; what that costs, and
        the look-ahead. c_root: for each set the look-ahead after no history, NaN where it is not known yet
    cost, heard, aheads, state, lms: tokens of two frames, from `here` and from `there` on; heard: acoustic cost
    f_cost, f_ahead, f_lm: scratch, where one arc leads
"""

import math

import numpy as np

from ..graph.reach_kernels import FACTOR, INTS
from ..jit import kernel, subkernel
from .kernels import (
    ARENA_LIMIT,
    BASE,
    BEAM,
    BEAM_DELTA,
    BEST,
    CULPRIT,
    DEAD,
    DONE,
    FRAME,
    FULL,
    HERE,
    IS_OPEN,
    MATRIX,
    N_TOKENS,
    NEGATIVE_CYCLE,
    NOT_FINITE,
    PENALTY,
    ROOM,
    SCALE,
    TINY,
    acoustic_costs,
    cut_off,
)

FLOATS = "Array(float32, 1, 'C', readonly=True)"
GRAPH = f"{INTS}, {INTS}, {FLOATS}, {INTS}, int8[::1], {INTS}"
SETS = f"{INTS}, {INTS}"
GRAMMAR = f"{INTS}, {FLOATS}, {INTS}, {FLOATS}, {FLOATS}, {INTS}, float64[::1]"
PHRASES = f"{INTS}, {INTS}, {FLOATS}"
CACHE = "int64[::1], float64[::1], float64[::1]"
TOKENS = "float64[::1], float64[::1], float64[::1], int32[::1], int64[::1]"
FOUND = "float64[::1], float64[::1], int64[::1]"

# Positions in the search's registers, after those of `kernels`.
GENERATION, REHASH, ROOT, EXACT, LOOKS_AHEAD, ALL_WORDS, N_REGISTERS = 7, 8, 9, 10, 11, 12, 13
STARTS = 2  # what registers[REHASH] is before the first frame
MOST_WAYS = 64  # histories after one word; as many as an n-gram is long


@subkernel
def place(table, generation, key):
    """Where a key of this generation is in a hash table (keys; generation << 32 | number), or where it is to go."""
    mask = table.shape[0] // 2 - 1
    x = key * FACTOR
    p = (x ^ (x >> 32)) & mask
    while table[2 * p + 1] >> 32 == generation and table[2 * p] != key:
        p = (p + 1) & mask
    return p


@subkernel
def first_from(arcs, low, high, label):
    """The first of some arcs of G whose label is not below another."""
    while low < high:
        middle = (low + high) // 2
        if arcs[4 * middle] < label:
            low = middle + 1
        else:
            high = middle
    return low


@subkernel
def word_cost(g_states, g_arcs, g_weights, root_costs, root_next, h, label, root):
    """The cost of a word's own arc after a history, inf where it has none, and the history that the arc leads to."""
    if h == root:
        return np.float64(root_costs[label]), root_next[label]
    low, high = g_states[5 * h + 1] + g_states[5 * h + 3], g_states[5 * h + 1] + g_states[5 * h + 2]
    k = first_from(g_arcs, low, high, label)
    if k < high and g_arcs[4 * k] == label:
        return np.float64(g_weights[4 * k + 2]), g_arcs[4 * k + 3]
    return np.inf, np.int32(0)


@subkernel
def mass_of(first, bounds, g_states, g_finals, g_arcs, g_weights, root_masses, s, h, root, end_label):
    """The sum of the probabilities of a history's own words that are in set `s`, and of the end if it is there."""
    begin, end = first[s], first[s + 1]
    total = 0.0
    low, high = g_states[5 * h + 1] + g_states[5 * h + 3], g_states[5 * h + 1] + g_states[5 * h + 2]
    few = high - low < end - begin  # words of the history, fewer than intervals
    for j in range(begin, end):
        b, e = bounds[2 * j], bounds[2 * j + 1]
        if b <= end_label < e:
            total += math.exp(-g_finals[5 * h])
        if h == root:
            total += root_masses[e] - root_masses[b]
        elif not few:
            low = first_from(g_arcs, low, high, b)
            while low < high and g_arcs[4 * low] < e:
                total += math.exp(-g_weights[4 * low + 2])
                low += 1
    if few and h != root:
        for k in range(low, high):
            if holds(first, bounds, s, g_arcs[4 * k]):
                total += math.exp(-g_weights[4 * k + 2])
    return total


@subkernel
def holds(first, bounds, s, label):
    """Whether a label is in a set."""
    low, high = first[s], first[s + 1]
    while low < high:
        middle = (low + high) // 2
        if bounds[2 * middle + 1] <= label:
            low = middle + 1
        else:
            high = middle
    return low < first[s + 1] and bounds[2 * low] <= label


@subkernel
def boosted(p_nodes, p_arcs, p_bonus, node, label):
    """What a word gains after what was said of phrases so far, and the node that it leads to."""
    begun = np.float64(p_bonus[2 * node])
    while True:
        low, high = p_nodes[4 * node], p_nodes[4 * node] + p_nodes[4 * node + 1]
        while low < high:
            middle = (low + high) // 2
            if p_arcs[2 * middle] < label:
                low = middle + 1
            else:
                high = middle
        if low < p_nodes[4 * node] + p_nodes[4 * node + 1] and p_arcs[2 * low] == label:
            x = p_arcs[2 * low + 1]
            after = p_nodes[4 * x + 3]
            return p_bonus[2 * x + 1] + p_bonus[2 * after] - begun, after
        if node == 0:
            return -begun, np.int32(0)
        node = p_nodes[4 * node + 2]


@subkernel
def mass_gained(
    first, bounds, g_states, g_arcs, g_weights, root_costs, root_next, p_nodes, p_arcs, p_bonus, s, h, node, root,
):  # fmt: skip
    """What is added to the mass of a set by the gains of its words that go on with a phrase, or begin one."""
    total = 0.0
    while True:
        for k in range(p_nodes[4 * node], p_nodes[4 * node] + p_nodes[4 * node + 1]):
            if holds(first, bounds, s, p_arcs[2 * k]):
                own, _ = word_cost(g_states, g_arcs, g_weights, root_costs, root_next, h, p_arcs[2 * k], root)
                x = p_arcs[2 * k + 1]
                gain = np.float64(p_bonus[2 * x + 1]) + p_bonus[2 * p_nodes[4 * x + 3]]
                total += math.exp(gain - own) - math.exp(-own)
        if node == 0:
            return total
        node = p_nodes[4 * node + 2]


@subkernel
def look_ahead(
    first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus,
    c_keys, c_costs, c_root, registers, s, lm, end_label,
):  # fmt: skip
    """What is ahead where the words of a set may come after a history: the negated log of their probability.

    Returns:
        what the token pays for backing off, what is ahead, inf where nothing can come, and lm after backing off. Only
        where back-off is exact a token backs off here; the sum is then a little too large.
    """
    n_sets, n_histories = first.shape[0] - 1, g_states.shape[0] // 5
    root, exact, plain = registers[ROOT], registers[EXACT], p_nodes.shape[0] == 4
    if s == registers[ALL_WORDS] and exact != 0:
        return 0.0, 0.0, lm
    if lm == root and plain and c_root[s] == c_root[s]:
        return 0.0, c_root[s], lm
    key = lm * n_sets + s
    x = key * FACTOR
    p = (x ^ (x >> 32)) & (c_keys.shape[0] // 2 - 1)
    if c_keys[2 * p] == key:
        return c_costs[2 * p], c_costs[2 * p + 1], c_keys[2 * p + 1]
    node, h = lm // n_histories, np.int32(lm % n_histories)
    passed, total, settled, backing = 0.0, 0.0, np.int64(-1), 0.0
    while True:
        mass = mass_of(first, bounds, g_states, g_finals, g_arcs, g_weights, root_masses, s, h, root, end_label)
        if not plain and mass > 0.0:
            mass += mass_gained(
                first, bounds, g_states, g_arcs, g_weights, root_costs, root_next, p_nodes, p_arcs, p_bonus, s, h,
                np.int32(node), root,
            )  # fmt: skip
        is_last = exact == 0 or g_states[5 * h + 3] == 0
        # The first history with an arc for one of the words is where the token stands from now on.
        if settled < 0 and (mass > 0.0 or is_last):
            settled, backing = np.int64(h), passed
        total += mass * math.exp(-passed)
        if is_last:
            break
        back = g_states[5 * h + 1]
        passed += g_weights[4 * back + 2]
        h = g_arcs[4 * back + 3]
    ahead = np.inf
    if total > 0.0:
        # Nothing can follow where there is no mass: the token ends there, also where nothing is looked ahead.
        ahead = 0.0
        if registers[LOOKS_AHEAD] != 0 and s != registers[ALL_WORDS]:
            ahead = p_bonus[2 * node] - math.log(total) - backing
    after = node * n_histories + settled
    c_keys[2 * p], c_keys[2 * p + 1] = key, after
    c_costs[2 * p], c_costs[2 * p + 1] = backing, ahead
    if lm == root:
        c_root[s] = ahead
    return backing, ahead, after


@subkernel
def back_off(
    first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus,
    c_keys, c_costs, c_root, registers, f_cost, f_ahead, f_lm, cost, lm, s, splits, end_label,
):  # fmt: skip
    """Fill f_cost, f_ahead and f_lm for a history and all that it backs off to; how many.

    Args:
        cost: without look-ahead.
        s: the set of the state of HCL.
        splits: whether it is there that histories back off. Where all words may come this waits until fewer may.
    """
    n_histories, exact = g_states.shape[0] // 5, registers[EXACT]
    if s == registers[ALL_WORDS] and splits == 0:
        f_cost[0], f_ahead[0], f_lm[0] = cost, 0.0, lm
        return 1
    node, t = lm // n_histories, np.int32(lm % n_histories)
    n = 0
    while True:
        backing, ahead, after = look_ahead(
            first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes, p_arcs,
            p_bonus, c_keys, c_costs, c_root, registers, s, node * n_histories + t, end_label,
        )  # fmt: skip
        if ahead < np.inf:
            f_cost[n], f_ahead[n], f_lm[n] = cost + backing + ahead, ahead, after
            n += 1
        if exact != 0 or g_states[5 * t + 3] == 0 or n == MOST_WAYS:
            return n
        back = g_states[5 * t + 1]
        cost += g_weights[4 * back + 2]
        t = g_arcs[4 * back + 3]


@subkernel
def after_word(
    first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus,
    c_keys, c_costs, c_root, registers, f_cost, f_ahead, f_lm, cost, lm, label, s, splits, end_label,
):  # fmt: skip
    """Fill f_cost, f_ahead and f_lm with the histories after a word, of which the later ones back off; how many.

    Args:
        cost: of all before the word, look-ahead taken off.
        s: the set of the state of HCL.
    """
    n_histories, exact = g_states.shape[0] // 5, registers[EXACT]
    node, h = np.int32(lm // n_histories), np.int32(lm % n_histories)
    while True:
        own, t = word_cost(g_states, g_arcs, g_weights, root_costs, root_next, h, label, registers[ROOT])
        if own < np.inf:
            break
        # There is a token of the history that this one backs off to; where back-off is exact, this is the one.
        if exact == 0 or g_states[5 * h + 3] == 0:
            return 0
        back = g_states[5 * h + 1]
        cost += g_weights[4 * back + 2]
        h = g_arcs[4 * back + 3]
    gain, node = boosted(p_nodes, p_arcs, p_bonus, node, label)
    return back_off(
        first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes, p_arcs,
        p_bonus, c_keys, c_costs, c_root, registers, f_cost, f_ahead, f_lm, cost + own - gain, np.int64(node) *
        n_histories + t, s, splits, end_label,
    )  # fmt: skip


@subkernel
def ways(
    set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses,
    p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, registers, f_cost, f_ahead, f_lm, c, lm, ahead, origin, word, d,
):  # fmt: skip
    """Fill f_cost, f_ahead and f_lm with what each token has that an arc makes of one; how many there are.

    Args:
        c: the token's cost with the arc's.
        origin: the state that the arc leaves.
        word: on the arc, 0 for none.
        d: the state that it leads to.
    """
    if word != 0:
        return after_word(
            first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes, p_arcs,
            p_bonus, c_keys, c_costs, c_root, registers, f_cost, f_ahead, f_lm, c - ahead, lm, labels[word], set_of[d],
            splits[d], labels.shape[0],
        )  # fmt: skip
    if set_of[d] == set_of[origin]:
        if splits[d] != 0 and splits[origin] == 0:
            return back_off(
                first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes,
                p_arcs, p_bonus, c_keys, c_costs, c_root, registers, f_cost, f_ahead, f_lm, c - ahead, lm, set_of[d],
                splits[d], labels.shape[0],
            )  # fmt: skip
        f_cost[0], f_ahead[0], f_lm[0] = c, ahead, lm
        return 1
    backing, x, after = look_ahead(
        first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes, p_arcs,
        p_bonus, c_keys, c_costs, c_root, registers, set_of[d], lm, labels.shape[0],
    )  # fmt: skip
    if x == np.inf:
        return 0
    f_cost[0], f_ahead[0], f_lm[0] = c + backing + x - ahead, x, after
    return 1


@subkernel
def expand(
    states, arcs, weights, set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs,
    root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, frame_cost, columns, cost, heard, aheads,
    state, lms, table, previous, arc, registers, there, limit, beam, penalty, new_limit, f_cost, f_ahead, f_lm,
):  # fmt: skip
    """Move every token below `limit` over its emitting arcs; the number of new tokens, or -1 where there is no room.

    See `kernels.expand`; here too the best old token is looked at first.
    """
    n, base, here, best = registers[N_TOKENS], registers[BASE], registers[HERE], registers[BEST]
    registers[GENERATION] += 1
    generation = registers[GENERATION]
    capacity, n_states = cost.shape[0] // 2, np.int64(set_of.shape[0])
    origin = cost[here + best]
    goal = np.inf
    s = 5 * state[here + best]
    # Arcs without a word are looked at: what a word costs is not known yet.
    for k in range(states[s + 1] + states[s + 3], states[s + 1] + states[s + 2]):
        if arcs[4 * k + 1] == 0 and set_of[arcs[4 * k + 3]] == set_of[state[here + best]]:
            c = weights[4 * k + 2] + frame_cost[columns[arcs[4 * k]]]
            if c < goal:
                goal = c
    bound = goal + beam
    next_base = base + n
    m = 0
    for i in range(here, here + n):
        if cost[i] < limit:
            start_cost, lm, ahead = cost[i] - origin, lms[i], aheads[i]
            s = state[i]
            for k in range(states[5 * s + 1] + states[5 * s + 3], states[5 * s + 1] + states[5 * s + 2]):
                sound = frame_cost[columns[arcs[4 * k]]]
                word = arcs[4 * k + 1]
                c = start_cost + weights[4 * k + 2] + sound
                if word != 0:
                    c += penalty
                # Looking ahead better can only cost more.
                if c >= bound:
                    continue
                d = arcs[4 * k + 3]
                # Most arcs change nothing that the grammar knows of.
                if word == 0 and set_of[d] == set_of[s] and splits[d] <= splits[s]:
                    f_cost[0], f_ahead[0], f_lm[0] = c, ahead, lm
                    n_ways = 1
                else:
                    n_ways = ways(
                        set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs,
                        root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, registers, f_cost,
                        f_ahead, f_lm, c, lm, ahead, s, word, d,
                    )  # fmt: skip
                for w in range(n_ways):
                    c = f_cost[w]
                    if c >= bound:
                        continue
                    key = f_lm[w] * n_states + d
                    p = place(table, generation, key)
                    if table[2 * p + 1] >> 32 != generation:
                        if m == capacity:
                            return -1
                        j = m
                        m += 1
                        table[2 * p], table[2 * p + 1] = key, generation << 32 | j
                        state[there + j], lms[there + j] = d, f_lm[w]
                    else:
                        j = table[2 * p + 1] & 0xFFFFFFFF
                        if c >= cost[there + j]:
                            continue
                    cost[there + j], aheads[there + j] = c, f_ahead[w]
                    heard[there + j] = heard[i] + sound
                    previous[next_base + j], arc[next_base + j] = base + i - here, k
                    if c <= goal:
                        goal = c
                        bound = c + beam
                        registers[BEST] = j
    # The first estimate may have been too good, as it does not know what dies; the best token says where the beam ends.
    new_limit[0] = bound
    return m


@subkernel
def close(
    states, arcs, weights, set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs,
    root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, cost, heard, aheads, state, lms, table,
    previous, arc, registers, limit, penalty, stack, steps, f_cost, f_ahead, f_lm,
):  # fmt: skip
    """Follow the arcs without input label from all tokens up to `limit`; DONE, ROOM or NEGATIVE_CYCLE.

    See `kernels.close`. Where there is no room what was found stays, and it can begin again.
    """
    n, base, here, best = registers[N_TOKENS], registers[BASE], registers[HERE], registers[BEST]
    capacity, n_states, generation = cost.shape[0] // 2, np.int64(set_of.shape[0]), registers[GENERATION]
    top = 0
    for i in range(n):
        if states[5 * state[here + i] + 3] != 0 and cost[here + i] <= limit:
            stack[top] = i
            top += 1
            steps[i] = -1
        else:
            steps[i] = 0
    while top > 0:
        top -= 1
        i = stack[top]
        so_far = -1 - steps[i]
        steps[i] = so_far
        s = state[here + i]
        for k in range(states[5 * s + 1], states[5 * s + 1] + states[5 * s + 3]):
            word = arcs[4 * k + 1]
            c = cost[here + i] + weights[4 * k + 2]
            if word != 0:
                c += penalty
            if c > limit:
                continue
            d = arcs[4 * k + 3]
            n_ways = ways(
                set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next,
                root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, registers, f_cost, f_ahead, f_lm, c,
                lms[here + i], aheads[here + i], s, word, d,
            )  # fmt: skip
            for w in range(n_ways):
                c = f_cost[w]
                if c > limit:
                    continue
                key = f_lm[w] * n_states + d
                p = place(table, generation, key)
                if table[2 * p + 1] >> 32 != generation:
                    if n == capacity:
                        registers[N_TOKENS], registers[BEST] = n, best
                        return ROOM
                    j = n
                    n += 1
                    table[2 * p], table[2 * p + 1] = key, generation << 32 | j
                    state[here + j], lms[here + j] = d, f_lm[w]
                    steps[j] = 0
                else:
                    j = table[2 * p + 1] & 0xFFFFFFFF
                    if c >= cost[here + j] - TINY:
                        continue
                cost[here + j], aheads[here + j], heard[here + j] = c, f_ahead[w], heard[here + i]
                previous[base + j], arc[base + j] = base + i, k
                if c < cost[here + best]:
                    best = j
                if so_far > n:
                    registers[CULPRIT] = d
                    return NEGATIVE_CYCLE
                if steps[j] >= 0 and states[5 * d + 3] != 0:
                    stack[top] = j
                    top += 1
                steps[j] = -2 - so_far
    registers[N_TOKENS], registers[BEST] = n, best
    return DONE


@subkernel
def enter_all(state, lms, table, registers, n_states):
    """Enter the tokens of the frame in the hash table anew, after it was made larger."""
    registers[GENERATION] += 1
    here = registers[HERE]
    for i in range(registers[N_TOKENS]):
        key = lms[here + i] * n_states + state[here + i]
        p = place(table, registers[GENERATION], key)
        table[2 * p], table[2 * p + 1] = key, registers[GENERATION] << 32 | i


@kernel(
    f"int64({GRAPH}, {SETS}, {GRAMMAR}, {PHRASES}, {CACHE}, {INTS}, {MATRIX}, float64[::1], {TOKENS}, int64[::1],"
    f" int32[::1], int32[::1], int64[::1], int32[::1], int32[::1], float64[::1], int64[::1], float64[::1], {FOUND})",
    allocates=False,
)
def advance(
    states, arcs, weights, set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs,
    root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, columns, loglikes, settings, cost, heard,
    aheads, state, lms, table, previous, arc, registers, stack, steps, frame_cost, bins, totals, f_cost, f_ahead, f_lm,
):  # fmt: skip
    """Search on through the rows of `loglikes`, as `kernels.advance` does; ROOM where the arrays of tokens are full.

    The caller makes them larger, sets registers[REHASH] and calls again.
    """
    while True:
        if registers[IS_OPEN] != 0:
            if registers[REHASH] == STARTS:
                # Of two tokens in one place the costs are compared, so that both must have looked ahead alike.
                n, best = 0, 0
                for i in range(registers[N_TOKENS]):
                    backing, ahead, after = look_ahead(
                        first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses,
                        p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, registers, set_of[state[i]], lms[i],
                        labels.shape[0],
                    )  # fmt: skip
                    if ahead < np.inf:
                        cost[n], aheads[n], lms[n] = cost[i] + backing + ahead, ahead, after
                        heard[n], state[n] = heard[i], state[i]
                        if cost[n] < cost[best]:
                            best = n
                        n += 1
                if n > 0:
                    registers[N_TOKENS], registers[BEST] = n, best
            if registers[REHASH] != 0:
                enter_all(state, lms, table, registers, np.int64(set_of.shape[0]))
                registers[REHASH] = 0
            outcome = close(
                states, arcs, weights, set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights,
                root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, cost, heard,
                aheads, state, lms, table, previous, arc, registers, totals[0], settings[PENALTY], stack, steps, f_cost,
                f_ahead, f_lm,
            )  # fmt: skip
            if outcome != DONE:
                return outcome
            registers[IS_OPEN] = 0
        n, here = registers[N_TOKENS], registers[HERE]
        if registers[FRAME] == loglikes.shape[0]:
            return DONE
        if registers[BASE] + n > settings[ARENA_LIMIT]:
            return FULL
        if not acoustic_costs(loglikes, registers[FRAME], settings[SCALE], frame_cost):
            return NOT_FINITE
        best = registers[BEST]
        best_cost = cost[here + best]
        limit = cut_off(cost, here, n, best_cost, settings, bins)
        beam = settings[BEAM]
        if limit != best_cost + beam:
            beam = limit - best_cost + settings[BEAM_DELTA]
        there = cost.shape[0] // 2 - here
        m = expand(
            states, arcs, weights, set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights,
            root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, frame_cost, columns,
            cost, heard, aheads, state, lms, table, previous, arc, registers, there, limit, beam, settings[PENALTY],
            totals, f_cost, f_ahead, f_lm,
        )  # fmt: skip
        if m < 0:
            registers[BEST] = best
            return ROOM
        if m == 0:
            return DEAD
        totals[1] += best_cost
        registers[BASE] += n
        registers[N_TOKENS] = m
        registers[HERE] = there
        registers[IS_OPEN] = 1
        registers[FRAME] += 1
