"""The compiled steps of the search that composes HCL and G as it goes.

A token stands in a state of HCL and in a state of the language: a history of G and a node of the boosted phrases,
lm = node * n_histories + history. `cost` holds what is behind it and, as look-ahead, what its next word costs at least:
`ahead`, which is taken off when that word comes out, or when it is known better. HCL and G are flat views of their
files' records as in `kernels`; a state of G has its back-off arc, if it has one, before its words.

A history that has no arc for any of the words that may still come must back off for all of them. It does so at once,
so that tokens of different histories meet in one, as in a static graph.

What belongs together comes as one tuple:
    graph: states, arcs, weights; the set of words that each state reaches; the label of each word
    sets: where the intervals of each set begin; their bounds
    grammar: states, the same as float32, arcs, weights; of the state that all others back off to in the end (`root`),
        by label: cost (inf: none) and next state; and the least cost in each block of BLOCK labels
    phrases: of each node its first arc, number of arcs, failure node, and the node where one stands after it;
        arcs as label and node; of each node what is granted for a phrase only begun, and for those that end in it
    cache: keys, and for each the history after backing off, and what that costs and the look-ahead
    tokens: of two frames, from `here` and from `there` on: cost, acoustic cost, look-ahead, state, lm
    found: scratch, where one arc leads
"""

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
GRAPH = f"Tuple(({INTS}, {INTS}, {FLOATS}, {INTS}, {INTS}))"
SETS = f"UniTuple({INTS}, 2)"
GRAMMAR = f"Tuple(({INTS}, {FLOATS}, {INTS}, {FLOATS}, {FLOATS}, {INTS}, {FLOATS}))"
PHRASES = f"Tuple(({INTS}, {INTS}, {FLOATS}))"
CACHE = "Tuple((int64[::1], int64[::1], float64[::1]))"
TOKENS = "Tuple((float64[::1], float64[::1], float64[::1], int32[::1], int64[::1]))"
FOUND = "Tuple((float64[::1], float64[::1], int64[::1]))"

# Positions in the search's registers, after those of `kernels`.
GENERATION, REHASH, ROOT, EXACT, LOOKS_AHEAD, N_REGISTERS = 7, 8, 9, 10, 11, 12
BLOCK = 64
MOST_WAYS = 64  # ways to back off that are looked at for one word; as many as an n-gram is long


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
def word_cost(grammar, h, label, root):
    """The cost of a word's own arc after a history, inf where it has none, and the history that the arc leads to."""
    states, _, arcs, weights, root_cost, root_next, _ = grammar
    if h == root:
        return np.float64(root_cost[label]), root_next[label]
    low, high = states[5 * h + 1] + states[5 * h + 3], states[5 * h + 1] + states[5 * h + 2]
    k = first_from(arcs, low, high, label)
    if k < high and arcs[4 * k] == label:
        return np.float64(weights[4 * k + 2]), arcs[4 * k + 3]
    return np.inf, np.int32(0)


@subkernel
def least_of_root(grammar, low, high):
    """The least cost of the labels low ... high - 1 after no history."""
    root_cost, least = grammar[4], grammar[6]
    best = np.inf
    while low < high:
        if low % BLOCK == 0 and low + BLOCK <= high:
            best = min(best, least[low // BLOCK])
            low += BLOCK
        else:
            best = min(best, root_cost[low])
            low += 1
    return best


@subkernel
def least_cost(sets, grammar, s, h, root, end_label):
    """The least cost of all arcs of a history whose words are in set `s`, and of the end if it is there."""
    first, bounds = sets
    states, finals, arcs, weights = grammar[0], grammar[1], grammar[2], grammar[3]
    begin, end = first[s], first[s + 1]
    best = np.inf
    low, high = states[5 * h + 1] + states[5 * h + 3], states[5 * h + 1] + states[5 * h + 2]
    few = high - low < end - begin  # words of the history, fewer than intervals
    for j in range(begin, end):
        b, e = bounds[2 * j], bounds[2 * j + 1]
        if b <= end_label < e:
            best = min(best, np.float64(finals[5 * h]))
        if h == root:
            best = min(best, np.float64(least_of_root(grammar, b, e)))
        elif not few:
            low = first_from(arcs, low, high, b)
            while low < high and arcs[4 * low] < e:
                best = min(best, np.float64(weights[4 * low + 2]))
                low += 1
    if few and h != root:
        for k in range(low, high):
            if holds(sets, s, arcs[4 * k]):
                best = min(best, np.float64(weights[4 * k + 2]))
    return best


@subkernel
def holds(sets, s, label):
    """Whether a label is in a set."""
    first, bounds = sets
    low, high = first[s], first[s + 1]
    while low < high:
        middle = (low + high) // 2
        if bounds[2 * middle + 1] <= label:
            low = middle + 1
        else:
            high = middle
    return low < first[s + 1] and bounds[2 * low] <= label


@subkernel
def boosted(phrases, node, label):
    """What a word gains after what was said of phrases so far, and the node that it leads to."""
    nodes, arcs, bonus = phrases
    begun = np.float64(bonus[2 * node])
    while True:
        low, high = nodes[4 * node], nodes[4 * node] + nodes[4 * node + 1]
        while low < high:
            middle = (low + high) // 2
            if arcs[2 * middle] < label:
                low = middle + 1
            else:
                high = middle
        if low < nodes[4 * node] + nodes[4 * node + 1] and arcs[2 * low] == label:
            x = arcs[2 * low + 1]
            after = nodes[4 * x + 3]
            return bonus[2 * x + 1] + bonus[2 * after] - begun, after
        if node == 0:
            return -begun, np.int32(0)
        node = nodes[4 * node + 2]


@subkernel
def least_boosted(sets, grammar, phrases, s, h, node, root):
    """The least cost, less what is gained, of the words in a set that go on with a phrase, or begin one."""
    nodes, arcs, bonus = phrases
    best = np.inf
    while True:
        for k in range(nodes[4 * node], nodes[4 * node] + nodes[4 * node + 1]):
            if holds(sets, s, arcs[2 * k]):
                cost, t = 0.0, h
                while True:
                    found, _ = word_cost(grammar, t, arcs[2 * k], root)
                    x = arcs[2 * k + 1]
                    best = min(best, cost + found - bonus[2 * x + 1] - bonus[2 * nodes[4 * x + 3]])
                    if grammar[0][5 * t + 3] == 0:
                        break
                    back = grammar[0][5 * t + 1]
                    cost += grammar[3][4 * back + 2]
                    t = grammar[2][4 * back + 3]
        if node == 0:
            return best
        node = nodes[4 * node + 2]


@subkernel
def look_ahead(sets, grammar, phrases, cache, registers, s, lm, end_label):
    """The place in the cache that says what is ahead of a set of words after a history, which may be new there."""
    keys, after, costs = cache
    n_sets = sets[0].shape[0] - 1
    key = lm * n_sets + s
    x = key * FACTOR
    p = (x ^ (x >> 32)) & (keys.shape[0] - 1)
    if keys[p] == key:
        return p
    n_histories = grammar[0].shape[0] // 5
    node, h = lm // n_histories, np.int32(lm % n_histories)
    root = registers[ROOT]
    passed, best, settled, backing = 0.0, np.inf, np.int64(-1), 0.0
    while True:
        least = least_cost(sets, grammar, s, h, root, end_label)
        is_last = grammar[0][5 * h + 3] == 0
        # The first history with an arc for one of the words is where the token stands from now on.
        if settled < 0 and (least < np.inf or is_last):
            settled, backing = np.int64(h), passed
        best = min(best, passed + least)
        if is_last:
            break
        back = grammar[0][5 * h + 1]
        passed += grammar[3][4 * back + 2]
        h = grammar[2][4 * back + 3]
    best -= backing
    if phrases[0].shape[0] > 4:
        more = least_boosted(sets, grammar, phrases, s, np.int32(settled), np.int32(node), root)
        best = min(best, more) + phrases[2][2 * node]
    keys[p], after[p] = key, node * n_histories + settled
    costs[2 * p] = backing
    # Nothing can follow: the token ends here, also where nothing is looked ahead.
    costs[2 * p + 1] = best if registers[LOOKS_AHEAD] != 0 or best == np.inf else 0.0
    return p


@subkernel
def after_word(graph, sets, grammar, phrases, cache, registers, found, cost, lm, label, d):
    """Fill `found` with the histories after a word, one for each way of backing off that may be the best; how many.

    Args:
        cost: of all before the word, look-ahead taken off.
        d: the state of HCL.
    """
    n_histories = grammar[0].shape[0] // 5
    node, h = np.int32(lm // n_histories), np.int32(lm % n_histories)
    gain, node = boosted(phrases, node, label)
    cost -= gain
    end_label = graph[4].shape[0]
    n, last_cost, last = 0, np.inf, np.int32(-1)
    for _ in range(MOST_WAYS):
        own, t = word_cost(grammar, h, label, registers[ROOT])
        if own < np.inf:
            x = cost + own
            # The history found before may back off to this one later: is it then as cheap?
            y, u = last_cost, last
            while u >= 0 and u != t:
                if grammar[0][5 * u + 3] == 0:
                    u = np.int32(-1)
                else:
                    back = grammar[0][5 * u + 1]
                    y += grammar[3][4 * back + 2]
                    u = grammar[2][4 * back + 3]
            if u < 0 or y > x:
                last_cost, last = x, t
                p = look_ahead(
                    sets, grammar, phrases, cache, registers, graph[3][d], np.int64(node) * n_histories + t, end_label
                )
                ahead = cache[2][2 * p + 1]
                if ahead < np.inf:
                    found[0][n], found[1][n], found[2][n] = x + cache[2][2 * p] + ahead, ahead, cache[1][p]
                    n += 1
            if registers[EXACT] != 0:
                break
        if grammar[0][5 * h + 3] == 0:
            break
        back = grammar[0][5 * h + 1]
        cost += grammar[3][4 * back + 2]
        h = grammar[2][4 * back + 3]
    return n


@subkernel
def ways(graph, sets, grammar, phrases, cache, registers, found, c, lm, ahead, s, word, d):
    """Fill `found` with cost, look-ahead and lm of each token that an arc makes of one; how many there are.

    Args:
        c: the token's cost with the arc's.
        s: the set of the state that the arc leaves.
        word: on the arc, 0 for none.
        d: the state that it leads to.
    """
    if word != 0:
        label = graph[4][word]
        return after_word(graph, sets, grammar, phrases, cache, registers, found, c - ahead, lm, label, d)
    if graph[3][d] == s:
        found[0][0], found[1][0], found[2][0] = c, ahead, lm
        return 1
    p = look_ahead(sets, grammar, phrases, cache, registers, graph[3][d], lm, graph[4].shape[0])
    x = cache[2][2 * p + 1]
    if x == np.inf:
        return 0
    found[0][0], found[1][0], found[2][0] = c + cache[2][2 * p] + x - ahead, x, cache[1][p]
    return 1


@subkernel
def expand(
    graph, sets, grammar, phrases, cache, frame_cost, columns, tokens, table, previous, arc, registers, there, limit,
    beam, penalty, new_limit, found,
):  # fmt: skip
    """Move every token below `limit` over its emitting arcs; the number of new tokens, or -1 where there is no room.

    See `kernels.expand`; here too the best old token is looked at first.
    """
    states, arcs, weights, set_of = graph[0], graph[1], graph[2], graph[3]
    cost, heard, aheads, state, lms = tokens
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
                n_ways = ways(
                    graph, sets, grammar, phrases, cache, registers, found, c, lm, ahead, set_of[s], word, d
                )
                for w in range(n_ways):
                    c = found[0][w]
                    if c >= bound:
                        continue
                    key = found[2][w] * n_states + d
                    p = place(table, generation, key)
                    if table[2 * p + 1] >> 32 != generation:
                        if m == capacity:
                            return -1
                        j = m
                        m += 1
                        table[2 * p], table[2 * p + 1] = key, generation << 32 | j
                        state[there + j], lms[there + j] = d, found[2][w]
                    else:
                        j = table[2 * p + 1] & 0xFFFFFFFF
                        if c >= cost[there + j]:
                            continue
                    cost[there + j], aheads[there + j] = c, found[1][w]
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
    graph, sets, grammar, phrases, cache, tokens, table, previous, arc, registers, limit, penalty, stack, steps, found
):
    """Follow the arcs without input label from all tokens up to `limit`; DONE, ROOM or NEGATIVE_CYCLE.

    See `kernels.close`. Where there is no room what was found stays, and it can begin again.
    """
    states, arcs, weights, set_of = graph[0], graph[1], graph[2], graph[3]
    cost, heard, aheads, state, lms = tokens
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
                graph, sets, grammar, phrases, cache, registers, found, c, lms[here + i], aheads[here + i], set_of[s],
                word, d,
            )  # fmt: skip
            for w in range(n_ways):
                c = found[0][w]
                if c > limit:
                    continue
                key = found[2][w] * n_states + d
                p = place(table, generation, key)
                if table[2 * p + 1] >> 32 != generation:
                    if n == capacity:
                        registers[N_TOKENS], registers[BEST] = n, best
                        return ROOM
                    j = n
                    n += 1
                    table[2 * p], table[2 * p + 1] = key, generation << 32 | j
                    state[here + j], lms[here + j] = d, found[2][w]
                    steps[j] = 0
                else:
                    j = table[2 * p + 1] & 0xFFFFFFFF
                    if c >= cost[here + j] - TINY:
                        continue
                cost[here + j], aheads[here + j], heard[here + j] = c, found[1][w], heard[here + i]
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
def enter_all(tokens, table, registers, n_states):
    """Enter the tokens of the frame in the hash table anew, after it was made larger."""
    registers[GENERATION] += 1
    here = registers[HERE]
    for i in range(registers[N_TOKENS]):
        key = tokens[4][here + i] * n_states + tokens[3][here + i]
        p = place(table, registers[GENERATION], key)
        table[2 * p], table[2 * p + 1] = key, registers[GENERATION] << 32 | i


@kernel(
    f"int64({GRAPH}, {SETS}, {GRAMMAR}, {PHRASES}, {CACHE}, {INTS}, {MATRIX}, float64[::1], {TOKENS}, int64[::1],"
    f" int32[::1], int32[::1], int64[::1], int32[::1], int32[::1], float64[::1], int64[::1], float64[::1], {FOUND})"
)
def advance(
    graph, sets, grammar, phrases, cache, columns, loglikes, settings, tokens, table, previous, arc, registers, stack,
    steps, frame_cost, bins, totals, found,
):  # fmt: skip
    """Search on through the rows of `loglikes`, as `kernels.advance` does; ROOM where the arrays of tokens are full.

    The caller makes them larger, sets registers[REHASH] and calls again.
    """
    cost = tokens[0]
    while True:
        if registers[IS_OPEN] != 0:
            if registers[REHASH] != 0:
                enter_all(tokens, table, registers, np.int64(graph[3].shape[0]))
                registers[REHASH] = 0
            outcome = close(
                graph, sets, grammar, phrases, cache, tokens, table, previous, arc, registers, totals[0],
                settings[PENALTY], stack, steps, found,
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
            graph, sets, grammar, phrases, cache, frame_cost, columns, tokens, table, previous, arc, registers, there,
            limit, beam, settings[PENALTY], totals, found,
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
