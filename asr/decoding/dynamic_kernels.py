"""The compiled steps that compose HCL and G where a search gets to.

A composed state is a state of HCL and one of the language: a history of G and a node of the boosted phrases,
lm = node * n_histories + history; key = lm * n_states + state of HCL. It gets a number when it is met first, and its
arcs are made when the search first leaves it: it is unfolded. They are then in flat arrays as those of a static graph,
so that the kernels of static graphs search them; what was met before costs no more than there.

Weights of composed arcs have the change of look-ahead in them, the negated log probability that one of the words comes
that may still come: it is paid when fewer may come, and taken off when the word comes out. `aheads` is what the paths
to a state have paid for what is not said yet.

As in a static graph, backing off is a way of its own, taken between words: where fewer words may come than all, there
is a state for a history and for each that it backs off to, at its cost. Nothing leads to states where the history has
no arc for any of the words that may still come, and paths of different histories meet in the one that they back off to.
Where back-off is exact, there is one state, which backs off itself when its history has no arc for any of the words.

The arrays come one by one, as those in tuples are counted at every use, which is slower than all else:
    h_states, h_arcs, h_weights: HCL, flat views of its file's records as in `kernels`; set_of: the set of words that
        each state reaches; splits: 1 for states where all words may come and from which arcs lead to where fewer may:
        there histories back off; labels: of the words
    first, bounds: where the intervals of each set begin, and their bounds
    g_states, g_finals (the same as float32), g_arcs, g_weights: G, of which a state has its back-off arc, if any, before
        its words; of the state that all others back off to in the end root_costs and root_next by label (cost inf:
        none), and root_masses, the sum of the probabilities of all below
    p_nodes, p_arcs, p_bonus: the phrases, as `asr.graph.phrases` has them
    c_keys, c_costs: the look-aheads that are known, by hash: key, and history after backing off; what that costs, and
        the look-ahead. c_root: for each set the look-ahead after no history, NaN where it is not known yet
    states, arcs, weights: the composed graph so far; state 0 stands before all, with an arc to each state that a path
        can begin in. The first arc of a state that is not unfolded is FOLDED
    keys, aheads: of the composed states
    table: from keys to states, by hash
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
    SEARCH,
    acoustic_costs,
    close,
    cut_off,
    expand,
)

FLOATS = "Array(float32, 1, 'C', readonly=True)"
GRAPH = f"{INTS}, {INTS}, {FLOATS}, {INTS}, int8[::1], {INTS}"
SETS = f"{INTS}, {INTS}"
GRAMMAR = f"{INTS}, {FLOATS}, {INTS}, {FLOATS}, {FLOATS}, {INTS}, float64[::1]"
PHRASES = f"{INTS}, {INTS}, {FLOATS}"
CACHE = "int64[::1], float64[::1], float64[::1]"
COMPOSED = "int32[::1], int32[::1], float32[::1], int64[::1], float64[::1], int64[::1]"
FOUND = "float64[::1], float64[::1], int64[::1]"

# Positions in the search's registers, after those of `kernels`.
N_STATES, N_ARCS, REHASH, ROOT, EXACT, LOOKS_AHEAD, ALL_WORDS, START, START_LM, N_REGISTERS = (
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
)
FOLDED, WAITS = -1, -2
MOST_WAYS = 64  # histories after one word; as many as an n-gram is long


@subkernel
def place(table, key):
    """Where a key is in a hash table (keys, numbers; 0: free), or where it is to go."""
    mask = table.shape[0] // 2 - 1
    x = key * FACTOR
    p = (x ^ (x >> 32)) & mask
    while table[2 * p + 1] != 0 and table[2 * p] != key:
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
def words_of(g_states, h):
    """Where the arcs with words of a history begin and end."""
    return g_states[5 * h + 1] + g_states[5 * h + 3], g_states[5 * h + 1] + g_states[5 * h + 2]


@subkernel
def word_cost(g_arcs, g_weights, root_costs, root_next, h, label, root, low, high):
    """The cost of a word's own arc after a history, inf where it has none, and the history that the arc leads to.

    Args:
        low: where the arc would be, see `words_of`.
        high: see `low`.
    """
    if h == root:
        return np.float64(root_costs[label]), root_next[label]
    k = first_from(g_arcs, low, high, label)
    if k < high and g_arcs[4 * k] == label:
        return np.float64(g_weights[4 * k + 2]), g_arcs[4 * k + 3]
    return np.inf, np.int32(0)


@subkernel
def mass_of(first, bounds, g_finals, g_arcs, g_weights, root_masses, s, h, root, end_label, low, high):
    """The sum of the probabilities of a history's own words that are in set `s`, and of the end if it is there.

    Args:
        low: where the arcs begin that can be in the set.
        high: where they end.
    """
    begin, end = first[s], first[s + 1]
    total = 0.0
    if bounds[2 * end - 1] > end_label:
        total = math.exp(-g_finals[5 * h])
    if h == root:
        for j in range(begin, end):
            total += root_masses[bounds[2 * j + 1]] - root_masses[bounds[2 * j]]
    elif high - low < end - begin:
        for k in range(low, high):
            if holds(first, bounds, s, g_arcs[4 * k]):
                total += math.exp(-g_weights[4 * k + 2])
    else:
        for j in range(begin, end):
            low = first_from(g_arcs, low, high, bounds[2 * j])
            while low < high and g_arcs[4 * low] < bounds[2 * j + 1]:
                total += math.exp(-g_weights[4 * low + 2])
                low += 1
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
                low, high = words_of(g_states, h)
                own, _ = word_cost(g_arcs, g_weights, root_costs, root_next, h, p_arcs[2 * k], root, low, high)
                x = p_arcs[2 * k + 1]
                gain = np.float64(p_bonus[2 * x + 1]) + p_bonus[2 * p_nodes[4 * x + 3]]
                total += math.exp(gain - own) - math.exp(-own)
        if node == 0:
            return total
        node = p_nodes[4 * node + 2]


@subkernel
def look_ahead(
    first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus,
    c_keys, c_costs, c_root, registers, s, lm, end_label, low, high,
):  # fmt: skip
    """What is ahead where the words of a set may come after a history: the negated log of their probability.

    Args:
        low: where the history's own arcs can be that are in the set, see `words_of`.
        high: see `low`.

    Returns:
        what a path pays for backing off, what is ahead, inf where nothing can come, and lm after backing off. Only
        where back-off is exact it backs off here; the sum is then a little too large.
    """
    n_sets, n_histories = first.shape[0] - 1, g_states.shape[0] // 5
    root, exact, plain = registers[ROOT], registers[EXACT], p_nodes.shape[0] == 4
    node, h = lm // n_histories, np.int32(lm % n_histories)
    begin, end = first[s], first[s + 1]
    if begin == end:
        return 0.0, np.inf, lm
    if s == registers[ALL_WORDS] and (exact != 0 or low < high or h == root or g_finals[5 * h] < np.inf):
        return 0.0, 0.0, lm
    if lm == root and plain and c_root[s] == c_root[s]:
        return 0.0, c_root[s], lm
    if h != root:
        low = first_from(g_arcs, low, high, bounds[2 * begin])
        high = first_from(g_arcs, low, high, bounds[2 * end - 1])
        # Most histories have no arc for any word of most sets.
        if low == high and exact == 0 and bounds[2 * end - 1] <= end_label:
            return 0.0, np.inf, lm
    key = lm * n_sets + s
    x = key * FACTOR
    p = (x ^ (x >> 32)) & (c_keys.shape[0] // 2 - 1)
    if c_keys[2 * p] == key:
        return c_costs[2 * p], c_costs[2 * p + 1], c_keys[2 * p + 1]
    passed, total, settled, backing = 0.0, 0.0, np.int64(-1), 0.0
    while True:
        mass = mass_of(first, bounds, g_finals, g_arcs, g_weights, root_masses, s, h, root, end_label, low, high)
        if not plain and mass > 0.0:
            mass += mass_gained(
                first, bounds, g_states, g_arcs, g_weights, root_costs, root_next, p_nodes, p_arcs, p_bonus, s, h,
                np.int32(node), root,
            )  # fmt: skip
        is_last = exact == 0 or g_states[5 * h + 3] == 0
        # The first history with an arc for one of the words is where the path goes on from.
        if settled < 0 and (mass > 0.0 or is_last):
            settled, backing = np.int64(h), passed
        total += mass * math.exp(-passed)
        if is_last:
            break
        back = g_states[5 * h + 1]
        passed += g_weights[4 * back + 2]
        h = g_arcs[4 * back + 3]
        low, high = words_of(g_states, h)
    ahead = np.inf
    if total > 0.0:
        # Nothing can follow where there is no mass: the path ends there, also where nothing is looked ahead.
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
        low, high = words_of(g_states, t)
        backing, ahead, after = look_ahead(
            first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes, p_arcs,
            p_bonus, c_keys, c_costs, c_root, registers, s, node * n_histories + t, end_label, low, high,
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
    c_keys, c_costs, c_root, registers, f_cost, f_ahead, f_lm, cost, lm, label, s, splits, end_label, low,
    high,
):  # fmt: skip
    """Fill f_cost, f_ahead and f_lm with the histories after a word, of which the later ones back off; how many.

    Args:
        cost: of all before the word, look-ahead taken off.
        s: the set of the state of HCL.
    """
    n_histories, exact = g_states.shape[0] // 5, registers[EXACT]
    node, h = np.int32(lm // n_histories), np.int32(lm % n_histories)
    while True:
        own, t = word_cost(g_arcs, g_weights, root_costs, root_next, h, label, registers[ROOT], low, high)
        if own < np.inf:
            break
        # There is a token of the history that this one backs off to; where back-off is exact, this is the one.
        if exact == 0 or g_states[5 * h + 3] == 0:
            return 0
        back = g_states[5 * h + 1]
        cost += g_weights[4 * back + 2]
        h = g_arcs[4 * back + 3]
        low, high = words_of(g_states, h)
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
    low, high,
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
            splits[d], labels.shape[0], low, high,
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
        p_bonus, c_keys, c_costs, c_root, registers, set_of[d], lm, labels.shape[0], low, high,
    )  # fmt: skip
    if x == np.inf:
        return 0
    f_cost[0], f_ahead[0], f_lm[0] = c + backing + x - ahead, x, after
    return 1


@subkernel
def unfold(
    h_states, h_arcs, h_weights, set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights,
    root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, states, arcs, weights, keys,
    aheads, table, registers, f_cost, f_ahead, f_lm, number,
):  # fmt: skip
    """Make the arcs of a composed state; False where there is no room, and it stays as it is."""
    n_hcl = np.int64(set_of.shape[0])
    lm, s = keys[number] // n_hcl, keys[number] % n_hcl
    ahead, n_arcs, n_states, begin, n_epsilons = aheads[number], registers[N_ARCS], registers[N_STATES], 0, 0
    end = 1
    if number != 0:
        begin, end = h_states[5 * s + 1], h_states[5 * s + 1] + h_states[5 * s + 2]
    made = n_arcs
    h = np.int32(lm % (g_states.shape[0] // 5))
    low = high = np.int32(0)
    is_narrow = h == registers[ROOT]
    for k in range(begin, end):
        sound, word, d = 0, 0, registers[START]
        if number == 0:
            n_ways = back_off(
                first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next, root_masses, p_nodes,
                p_arcs, p_bonus, c_keys, c_costs, c_root, registers, f_cost, f_ahead, f_lm, 0.0, registers[START_LM],
                set_of[d], splits[d], labels.shape[0],
            )  # fmt: skip
        else:
            sound, word, d = h_arcs[4 * k], h_arcs[4 * k + 1], np.int64(h_arcs[4 * k + 3])
            if not is_narrow and (word != 0 or set_of[d] != set_of[s]):
                # All words that come from here are in the state's set, which bounds where the history has them.
                is_narrow = True
                low, high = words_of(g_states, h)
                if first[set_of[s]] < first[set_of[s] + 1]:
                    low = first_from(g_arcs, low, high, bounds[2 * first[set_of[s]]])
                    high = first_from(g_arcs, low, high, bounds[2 * first[set_of[s] + 1] - 1])
            n_ways = ways(
                set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights, root_costs, root_next,
                root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, registers, f_cost, f_ahead, f_lm,
                np.float64(h_weights[4 * k + 2]), lm, ahead, s, word, d, low, high,
            )  # fmt: skip
        for w in range(n_ways):
            key = f_lm[w] * n_hcl + d
            x = number
            if key != keys[number]:
                p = place(table, key)
                x = table[2 * p + 1]
                if x == 0:
                    if n_states == keys.shape[0]:
                        return False
                    x = n_states
                    n_states += 1
                    registers[N_STATES] = n_states
                    table[2 * p], table[2 * p + 1] = key, x
                    keys[x], aheads[x] = key, f_ahead[w]
                    # Until it is unfolded it has no arcs, but tells whether it will have any without input label.
                    states[5 * x + 1], states[5 * x + 2], states[5 * x + 3] = FOLDED, 0, h_states[5 * d + 3]
            if 4 * made == arcs.shape[0]:
                return False
            arcs[4 * made], arcs[4 * made + 1], arcs[4 * made + 3] = sound, word, x
            weights[4 * made + 2] = f_cost[w]
            made += 1
            if sound == 0:
                n_epsilons += 1
    states[5 * number + 1], states[5 * number + 2], states[5 * number + 3] = n_arcs, made - n_arcs, n_epsilons
    registers[N_ARCS] = made
    return True


@subkernel
def unfold_tokens(
    h_states, h_arcs, h_weights, set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights,
    root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, states, arcs, weights, keys,
    aheads, table, registers, f_cost, f_ahead, f_lm, cost, state, limit, stack,
):  # fmt: skip
    """Unfold the states that the next step of the search leaves; False where there is no room.

    Before arcs without input label are followed those are states up to `limit` that have some, later all up to `limit`.
    What such arcs lead to is unfolded with their origin where it has some too, as `close` does not stop there.
    """
    is_open, here = registers[IS_OPEN] != 0, registers[HERE]
    for i in range(here, here + registers[N_TOKENS]):
        number = state[i]
        if states[5 * number + 1] >= 0 or cost[i] > limit or (is_open and states[5 * number + 3] == 0):
            continue
        stack[0] = number
        top = 1
        while top > 0:
            top -= 1
            number = stack[top]
            if not unfold(
                h_states, h_arcs, h_weights, set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs,
                g_weights, root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, states,
                arcs, weights, keys, aheads, table, registers, f_cost, f_ahead, f_lm, number,
            ):  # fmt: skip
                return False
            for k in range(states[5 * number + 1], states[5 * number + 1] + states[5 * number + 3]):
                x = arcs[4 * k + 3]
                if states[5 * x + 1] == FOLDED and states[5 * x + 3] != 0:
                    states[5 * x + 1] = WAITS
                    stack[top] = x
                    top += 1
    return True


@kernel(
    f"int64({GRAPH}, {SETS}, {GRAMMAR}, {PHRASES}, {CACHE}, {COMPOSED}, {INTS}, {MATRIX}, float64[::1], {SEARCH},"
    f" int64[::1], int32[::1], int32[::1], float64[::1], int64[::1], float64[::1], {FOUND})",
    allocates=False,
)
def advance(
    h_states, h_arcs, h_weights, set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights,
    root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, states, arcs, weights, keys,
    aheads, table, columns, loglikes, settings, cost, state, slot_of, previous, arc, registers, stack, steps, frame_cost,
    bins, totals, f_cost, f_ahead, f_lm,
):  # fmt: skip
    """Search on through the rows of `loglikes`, as `kernels.advance` does; ROOM where the composed graph is full.

    The caller makes room, sets registers[REHASH] and calls again.
    """
    if registers[REHASH] != 0:
        for x in range(1, registers[N_STATES]):
            p = place(table, keys[x])
            table[2 * p], table[2 * p + 1] = keys[x], x
        registers[REHASH] = 0
    limit = totals[0]
    while True:
        n, here = registers[N_TOKENS], registers[HERE]
        best = cost[here + registers[BEST]]
        if registers[IS_OPEN] != 0:
            limit = totals[0]
        else:
            if registers[FRAME] == loglikes.shape[0]:
                return DONE
            if registers[BASE] + n > settings[ARENA_LIMIT]:
                return FULL
            limit = cut_off(cost, here, n, best, settings, bins)
        if not unfold_tokens(
            h_states, h_arcs, h_weights, set_of, splits, labels, first, bounds, g_states, g_finals, g_arcs, g_weights,
            root_costs, root_next, root_masses, p_nodes, p_arcs, p_bonus, c_keys, c_costs, c_root, states, arcs, weights,
            keys, aheads, table, registers, f_cost, f_ahead, f_lm, cost, state, limit, stack,
        ):  # fmt: skip
            return ROOM
        if registers[IS_OPEN] != 0:
            registers[IS_OPEN] = 0
            if not close(
                states, arcs, weights, cost, state, slot_of, previous, arc, registers, limit, settings[PENALTY], stack,
                steps,
            ):  # fmt: skip
                return NEGATIVE_CYCLE
            continue
        if not acoustic_costs(loglikes, registers[FRAME], settings[SCALE], frame_cost):
            return NOT_FINITE
        beam = settings[BEAM]
        if limit != best + beam:
            beam = limit - best + settings[BEAM_DELTA]
        there = slot_of.shape[0] - here
        m = expand(
            states, arcs, weights, columns, frame_cost, cost, state, slot_of, previous, arc, registers, there, limit,
            beam, settings[PENALTY], totals,
        )  # fmt: skip
        if m == 0:
            return DEAD
        totals[1] += best
        registers[BASE] += n
        registers[N_TOKENS] = m
        registers[HERE] = there
        registers[IS_OPEN] = 1
        registers[FRAME] += 1
