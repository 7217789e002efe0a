"""The compiled steps of determinisation.

A graph is seen as flat views of its records: `states` (5 words a state: final cost, first arc, number of arcs, of input
and of output epsilons) and `arcs` (4 words an arc: input label, output label, cost, next state); `finals` and `costs`
are the same bytes read as float32.

A state of the result is a subset of the graph's states: those that its input leads to, each with what is still to be
written (a string of output labels) and to be paid (a cost). Elements of subset q are begin[q] ... begin[q + 1] - 1 of
`element` (2 words: state, string) and `residual`; they ascend by state. Epsilons are followed when a subset's arcs are
made, so that only what a label leads to is kept. An element with a negative state is no subset but a link of a chain
that writes the labels of its string one after the other: state -2 - t leads to state t of the result, -1 to the end.

A string is a node of a trie (3 words: the string without its last label, that label, its length); 0 is the empty one.
Equal strings are the same node, and the longest common beginning of two is their nearest common ancestor.
"""

import math

import numpy as np

from ..jit import inlined, kernel

INTS = "Array(int32, 1, 'C', readonly=True)"
FLOATS = "Array(float32, 1, 'C', readonly=True)"

# What `determinise` reports: what must grow (the position of its need in the registers), or why it ended.
STATES, ARCS, ELEMENTS, STRINGS, CLOSED, MOVES = 0, 1, 2, 3, 4, 5
DONE, OVER, AMBIGUOUS, TOO_LONG, NEGATIVE_CYCLE, PAUSED = 6, 7, 8, 9, 10, 11
# Positions in the registers. The first six: how much of each kind of room is needed.
N_STATES, N_ARCS, N_STRINGS, NEXT, MAX_STATES, MAX_ARCS, FIRST, SECOND, REHASH, N_REGISTERS = (
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
)

LONGEST = 250  # labels that may be held back; a graph that needs more needs ever more
TINY = 1e-9  # a smaller gain round a cycle of epsilons is rounding
PAUSE = 1 << 18  # states, a part of a second, after which Python may heed Ctrl-C
BINS = 64.0  # subsets are looked for among those whose largest cost is in the same bin, of so many deltas
_FACTOR = -7046029254386353131  # 2^64 divided by the golden ratio: multiplication by it mixes bits


@inlined
def mixed(h, x):
    """A hash of a hash and a number."""
    h = (h ^ x) * _FACTOR
    return h ^ (h >> 29)


@inlined
def extended(trie, table, registers, string, label):
    """The string with one more label; -STRINGS if there is no room for a new one, -TOO_LONG if it is too long."""
    mask = table.shape[0] - 1
    slot = mixed(mixed(7, string), label) & mask
    while table[slot] != 0:
        node = np.int64(table[slot])
        if trie[3 * node] == string and trie[3 * node + 1] == label:
            return node
        slot = (slot + 1) & mask
    node = registers[N_STRINGS]
    if 3 * node + 3 > trie.shape[0]:
        registers[STRINGS] = node + 1
        return -STRINGS
    if trie[3 * string + 2] == LONGEST:
        registers[FIRST] = string
        return -TOO_LONG
    trie[3 * node] = string
    trie[3 * node + 1] = label
    trie[3 * node + 2] = trie[3 * string + 2] + 1
    table[slot] = node
    registers[N_STRINGS] = node + 1
    return node


@inlined
def common_beginning(trie, a, b):
    """The longest string that both begin with."""
    while a != b:
        if trie[3 * a + 2] >= trie[3 * b + 2]:
            a = np.int64(trie[3 * a])
        else:
            b = np.int64(trie[3 * b])
    return a


@inlined
def without_beginning(trie, table, registers, string, length, labels):
    """The string without its first `length` labels. These are left in `labels` but for all before the last of them."""
    if length == 0:
        return string
    depth, node = np.int64(trie[3 * string + 2]), string
    for i in range(depth - 1, length - 2, -1):
        labels[i] = trie[3 * node + 1]
        node = np.int64(trie[3 * node])
    rest = 0
    for i in range(length, depth):
        rest = extended(trie, table, registers, rest, np.int64(labels[i]))
    return rest


@inlined
def sort_by_key(key, order, spare, n):
    """Fill `order` with the numbers below n so that keys ascend; ties keep their order."""
    is_sorted = True
    for i in range(n):
        order[i] = i
        if i > 0 and key[i] < key[i - 1]:
            is_sorted = False
    block = n if is_sorted else 1
    while block < n:
        for low in range(0, n, 2 * block):
            middle, high = min(low + block, n), min(low + 2 * block, n)
            i, j = low, middle
            for k in range(low, high):
                if j >= high or (i < middle and key[order[i]] <= key[order[j]]):
                    spare[k] = order[i]
                    i += 1
                else:
                    spare[k] = order[j]
                    j += 1
        for k in range(n):
            order[k] = spare[k]
        block *= 2


@inlined
def found(element, residual, begin, hashes, table, h, c_state, c_string, c_cost, m, delta):
    """The subset with these elements, costs closer than delta; -1 if there is none with this hash."""
    mask = table.shape[0] - 1
    slot = h & mask
    while table[slot] != 0:
        q = table[slot]
        slot = (slot + 1) & mask
        b = begin[q]
        if hashes[q] != h or begin[q + 1] - b != m:
            continue
        same = True
        for i in range(m):
            if (
                element[2 * (b + i)] != c_state[i]
                or element[2 * (b + i) + 1] != c_string[i]
                or abs(residual[b + i] - c_cost[i]) > delta
            ):
                same = False
                break
        if same:
            return q
    return -1


@inlined
def sum_of_costs(a, b, in_log):
    """The cost of either: that of the better one, or of the sum of both probabilities."""
    if b < a:
        a, b = b, a
    if in_log and b < math.inf:
        return a - math.log1p(math.exp(a - b))
    return a


@inlined
def new_state(element, residual, begin, hashes, registers, state, string, cost):
    """A state of the result with one element, which is in no table."""
    q = registers[N_STATES]
    e = begin[q]
    element[2 * e] = state
    element[2 * e + 1] = string
    residual[e] = cost
    begin[q + 1] = e + 1
    hashes[q] = -1
    registers[N_STATES] = q + 1
    return q


@inlined
def writing_arc(
    out_arcs, out_costs, element, residual, begin, hashes, trie, string_table, labels, registers, ilabel, string,
    cost, target, final,
):  # fmt: skip
    """One more arc that writes a string: its first label on the arc itself, others on a chain behind it.

    Returns:
        1 if the arc has no output label, else 0.

    Args:
        target: -1: the chain's end, which is final at the cost `final`.
    """
    olabel = 0
    if string != 0:
        rest = without_beginning(trie, string_table, registers, string, 1, labels)
        olabel = labels[0]
        if rest != 0 or target < 0:
            target = new_state(element, residual, begin, hashes, registers, -2 - target, rest, final)
    k = registers[N_ARCS]
    registers[N_ARCS] = k + 1
    out_arcs[4 * k] = ilabel
    out_arcs[4 * k + 1] = olabel
    out_costs[4 * k + 2] = cost
    out_arcs[4 * k + 3] = target
    return 1 if olabel == 0 else 0


@inlined
def insert(table, slot, number):
    """Put a number into the first free place of a table, from a slot on."""
    mask = table.shape[0] - 1
    slot &= mask
    while table[slot] != 0:
        slot = (slot + 1) & mask
    table[slot] = number


@inlined
def fill_tables(hashes, table, trie, string_table, registers):
    """Put all subsets or strings into their table, if it was replaced by a larger one."""
    if registers[REHASH] == STATES:
        for q in range(registers[N_STATES]):
            if hashes[q] >= 0:
                insert(table, np.int64(hashes[q]), q)
    elif registers[REHASH] == STRINGS:
        for node in range(1, registers[N_STRINGS]):
            insert(string_table, mixed(mixed(7, np.int64(trie[3 * node])), np.int64(trie[3 * node + 1])), node)
    registers[REHASH] = DONE


@inlined
def written(arcs, trie, string_table, registers, string, k):
    """The string after arc k; below 0 if there is no room, or it is too long."""
    if arcs[4 * k + 1] == 0:
        return string
    return extended(trie, string_table, registers, string, np.int64(arcs[4 * k + 1]))


@inlined
def follow(
    states, arcs, costs, useful, place, trie, string_table, c_state, c_string, c_cost, waits, registers, i, n
):  # fmt: skip
    """Follow the epsilons of one element of a subset that is being closed.

    Returns:
        How many elements there are now, or a problem, below 0.
    """
    first = states[5 * c_state[i] + 1]
    n_silent, waits[i] = waits[i], 0
    for k in range(first, first + n_silent):
        d = arcs[4 * k + 3]
        if useful[d] == 0 or costs[4 * k + 2] == math.inf:
            continue
        string = written(arcs, trie, string_table, registers, np.int64(c_string[i]), k)
        if string < 0:
            return string
        cost = c_cost[i] + costs[4 * k + 2]
        j = place[d]
        if j < 0:
            if n == c_state.shape[0]:
                registers[CLOSED] = n + 1
                return -CLOSED
            j = n
            n += 1
            c_state[j], c_string[j], place[d] = d, string, j
        elif c_string[j] != string:
            registers[FIRST] = c_string[j]
            registers[SECOND] = string
            return -AMBIGUOUS
        elif cost >= c_cost[j] - TINY:
            continue
        c_cost[j] = cost
        waits[j] = states[5 * d + 3]
    return n


@inlined
def close(
    states, arcs, costs, useful, place, element, residual, begin, trie, string_table, c_state, c_string, c_cost, waits,
    registers, q,
):  # fmt: skip
    """Fill c_state, c_string and c_cost with the closed subset q: what epsilons lead to, at the best cost.

    Returns:
        How many elements it has, or a problem, below 0.
    """
    b, n = begin[q], np.int64(begin[q + 1] - begin[q])
    if n > c_state.shape[0]:
        registers[CLOSED] = n
        return -CLOSED
    has_silent = False
    for i in range(n):
        s = element[2 * (b + i)]
        c_state[i], c_string[i], c_cost[i] = s, element[2 * (b + i) + 1], residual[b + i]
        place[s] = i
        waits[i] = states[5 * s + 3]
        has_silent = has_silent or waits[i] != 0
    # Again and again over all that is waiting, as of two paths to a state the better one counts.
    n_rounds, found_so_far = 0, n
    while has_silent:
        n_rounds += 1
        i = 0
        while i < n and found_so_far >= 0:
            if waits[i] != 0:
                found_so_far = follow(
                    states, arcs, costs, useful, place, trie, string_table, c_state, c_string, c_cost, waits,
                    registers, i, n,
                )  # fmt: skip
                n = max(n, found_so_far)
            i += 1
        # A path without a cycle has fewer arcs than there are states.
        if n_rounds > n and found_so_far >= 0:
            found_so_far = -NEGATIVE_CYCLE
        has_silent = False
        for i in range(n if found_so_far >= 0 else 0):
            has_silent = has_silent or waits[i] != 0
    for i in range(n):
        place[c_state[i]] = -1
    return found_so_far


@inlined
def list_moves(
    states, arcs, finals, costs, useful, trie, string_table, c_state, c_string, c_cost, key, m_string, m_cost,
    registers, n, in_log,
):  # fmt: skip
    """Fill key, m_string and m_cost with all arcs out of a closed subset that have a label.

    Returns:
        How many there are, or a problem, below 0; how many labels their strings have in all, and the final one; the
        final cost, and the string that is written at the end, -1 if none of the subset is final.
    """
    final, final_string, n_moves, n_labels = math.inf, -1, 0, 0
    for i in range(n):
        n_moves += states[5 * c_state[i] + 2] - states[5 * c_state[i] + 3]
    if n_moves > key.shape[0]:
        registers[MOVES] = n_moves
        return -MOVES, 0, final, final_string
    if n_moves > c_state.shape[0]:
        registers[CLOSED] = n_moves
        return -CLOSED, 0, final, final_string
    n_moves = 0
    for i in range(n):
        s, before = c_state[i], np.int64(c_string[i])
        if finals[5 * s] < math.inf:
            if final_string >= 0 and final_string != before:
                registers[FIRST] = final_string
                registers[SECOND] = before
                return -AMBIGUOUS, 0, final, final_string
            final_string = before
            n_labels += trie[3 * before + 2]
            final = sum_of_costs(final, c_cost[i] + finals[5 * s], in_log)
        for k in range(states[5 * s + 1] + states[5 * s + 3], states[5 * s + 1] + states[5 * s + 2]):
            d = arcs[4 * k + 3]
            if useful[d] == 0 or costs[4 * k + 2] == math.inf:
                continue
            string = written(arcs, trie, string_table, registers, before, k)
            if string < 0:
                return string, 0, final, final_string
            key[n_moves] = (np.int64(arcs[4 * k]) << 32) | d
            m_string[n_moves] = string
            m_cost[n_moves] = c_cost[i] + costs[4 * k + 2]
            n_labels += trie[3 * string + 2]
            n_moves += 1
    return n_moves, n_labels, final, final_string


@inlined
def lacking_room(hashes, residual, begin, out_arcs, trie, registers, n_moves, n_labels):
    """What must grow before a state's arcs are made, whatever becomes of them: nothing is undone later; else DONE."""
    n_states, n_strings = registers[N_STATES], registers[N_STRINGS] + 2 * n_labels
    registers[STATES] = n_states + 2 * n_moves + 2
    registers[ELEMENTS] = begin[n_states] + 2 * n_moves + 2
    registers[ARCS] = registers[N_ARCS] + n_moves + 1
    registers[STRINGS] = n_strings
    if registers[STATES] > hashes.shape[0]:
        return STATES
    if registers[ELEMENTS] > residual.shape[0]:
        return ELEMENTS
    if 4 * registers[ARCS] > out_arcs.shape[0]:
        return ARCS
    if 3 * n_strings > trie.shape[0]:
        return STRINGS
    return DONE


@inlined
def elements_of_label(
    key, m_string, m_cost, order, trie, c_state, c_string, c_cost, registers, i, n_moves, in_log
):  # fmt: skip
    """Fill c_state, c_string and c_cost with what the label of a move leads to, moves i and later in their order.

    Returns:
        How many elements there are, or a problem, below 0; the next label's first move; what their strings begin with,
        and the best cost.
    """
    ilabel, m, best = key[order[i]] >> 32, 0, math.inf
    prefix = np.int64(m_string[order[i]])
    while i < n_moves and key[order[i]] >> 32 == ilabel:
        x = order[i]
        d, string = key[x] & 0x7FFFFFFF, np.int64(m_string[x])
        # One element a state: of what leads there only the cost may differ.
        if m > 0 and c_state[m - 1] == d:
            if c_string[m - 1] != string:
                registers[FIRST] = c_string[m - 1]
                registers[SECOND] = string
                return -AMBIGUOUS, i, prefix, best
            c_cost[m - 1] = sum_of_costs(c_cost[m - 1], m_cost[x], in_log)
        else:
            c_state[m], c_string[m], c_cost[m] = d, string, m_cost[x]
            prefix = common_beginning(trie, prefix, string)
            m += 1
        best = min(best, c_cost[m - 1])
        i += 1
    return m, i, prefix, best


@inlined
def state_of(
    alone, element, residual, begin, hashes, table, trie, string_table, c_state, c_string, c_cost, labels, registers, m,
    prefix, common, delta,
):  # fmt: skip
    """The state of the result for some elements, without the string and the cost that all have in common."""
    if m == 1:
        d = np.int64(c_state[0])
        if alone[d] < 0:
            alone[d] = new_state(element, residual, begin, hashes, registers, d, 0, 0.0)
        return np.int64(alone[d])
    length, largest, h, width = np.int64(trie[3 * prefix + 2]), 0.0, 0, BINS * delta
    for j in range(m):
        c_cost[j] -= common
        c_string[j] = without_beginning(trie, string_table, registers, np.int64(c_string[j]), length, labels)
        largest = max(largest, c_cost[j])
        h = mixed(mixed(h, np.int64(c_state[j])), np.int64(c_string[j]))
    # Costs that differ by less than delta may be on the two sides of a border between bins.
    near = np.int64(math.floor(largest / width))
    own = (mixed(h, near) >> 24) & 0x7FFFFFFF
    target = -1
    for side in (0, -1, 1):
        if target < 0 and (side == 0 or math.floor((largest + side * delta) / width) != near):
            other = (mixed(h, near + side) >> 24) & 0x7FFFFFFF
            target = found(element, residual, begin, hashes, table, other, c_state, c_string, c_cost, m, delta)
    if target < 0:
        target = new_state(
            element, residual, begin, hashes, registers, np.int64(c_state[0]), np.int64(c_string[0]), c_cost[0]
        )
        at = begin[target]
        for j in range(1, m):
            element[2 * (at + j)] = c_state[j]
            element[2 * (at + j) + 1] = c_string[j]
            residual[at + j] = c_cost[j]
        begin[target + 1] = at + m
        hashes[target] = own
        insert(table, own, target)
    return target


@inlined
def sum_of_all(c_cost, m, best):
    """The cost of any of m elements, of which the best one is known."""
    total = 0.0
    for j in range(m):
        total += math.exp(best - c_cost[j])
    return best - math.log(total)


@kernel(
    f"int64({INTS}, {INTS}, {FLOATS}, {FLOATS}, uint8[::1], int32[::1], int32[::1], int32[::1], float32[::1],"
    "int32[::1], float32[::1], int64[::1], int32[::1], int32[::1], float64[::1], int32[::1], int32[::1], int32[::1],"
    "int32[::1], int32[::1], float64[::1], int32[::1], int64[::1], int32[::1], float64[::1], int32[::1], int32[::1],"
    "int32[::1], int64[::1], float64, boolean)",
    allocates=False,
)
def determinise(
    states, arcs, finals, costs, useful, alone, place, out_states, out_finals, out_arcs, out_costs, begin, hashes,
    element, residual, table, trie, string_table, c_state, c_string, c_cost, waits, key, m_string, m_cost, order, spare,
    labels, registers, delta, in_log,
):  # fmt: skip
    """Make states of the result, from registers[NEXT] on, until all are made or there is no room; then call it again.

    Also after every PAUSE of them.

    Args:
        useful: (n_states,) whether a final state is reached from there.
        alone: (n_states,) the state of the result that is this state alone, with nothing left to write or pay; -1.
        place: (n_states,) -1, and left so: where a state is in the closed subset.
        hashes: (room for states,) of subsets in the table; -1: not there.
        table: subsets by hash; 0: free. Of a power of two, more than there is room for states.
        string_table: strings likewise.
        c_state: with c_string, c_cost and waits (how many epsilons have to be followed from there): room for a closed
            subset, and then for the elements that one label leads to.
        key: with m_string, m_cost, order and spare: room for all arcs out of a closed subset.
        labels: (LONGEST + 2,) room.
    """
    fill_tables(hashes, table, trie, string_table, registers)
    while registers[NEXT] < registers[N_STATES]:
        q = registers[NEXT]
        target, n_moves = -1, 0
        if element[2 * begin[q]] < 0:
            target = -2 - np.int64(element[2 * begin[q]])
            final_string, final = np.int64(element[2 * begin[q] + 1]), residual[begin[q]]
            n_labels = np.int64(trie[3 * final_string + 2])
        else:
            n = close(
                states, arcs, costs, useful, place, element, residual, begin, trie, string_table, c_state, c_string,
                c_cost, waits, registers, q,
            )  # fmt: skip
            if n < 0:
                return -n
            n_moves, n_labels, final, final_string = list_moves(
                states, arcs, finals, costs, useful, trie, string_table, c_state, c_string, c_cost, key, m_string,
                m_cost, registers, n, in_log,
            )  # fmt: skip
            if n_moves < 0:
                return -n_moves
        lacks = lacking_room(hashes, residual, begin, out_arcs, trie, registers, n_moves, n_labels)
        if lacks != DONE:
            return lacks

        first_arc, n_silent, i = registers[N_ARCS], 0, 0
        if final_string > 0:
            writing_arc(
                out_arcs, out_costs, element, residual, begin, hashes, trie, string_table, labels, registers, 0,
                final_string, 0.0, target, final,
            )  # fmt: skip
            final = math.inf
        sort_by_key(key, order, spare, n_moves)
        while i < n_moves:
            ilabel = key[order[i]] >> 32
            m, i, prefix, common = elements_of_label(
                key, m_string, m_cost, order, trie, c_state, c_string, c_cost, registers, i, n_moves, in_log
            )
            if m < 0:
                return -m
            # What all have in common is written and paid on the arc.
            common = sum_of_all(c_cost, m, common) if in_log and m > 1 else common
            target = state_of(
                alone, element, residual, begin, hashes, table, trie, string_table, c_state, c_string, c_cost, labels,
                registers, m, prefix, common, delta,
            )  # fmt: skip
            n_silent += writing_arc(
                out_arcs, out_costs, element, residual, begin, hashes, trie, string_table, labels, registers, ilabel,
                prefix, common, target, math.inf,
            )  # fmt: skip

        n_arcs = registers[N_ARCS] - first_arc
        out_finals[5 * q] = final
        out_states[5 * q + 1] = first_arc
        out_states[5 * q + 2] = n_arcs
        out_states[5 * q + 3] = 1 if n_arcs > 0 and out_arcs[4 * first_arc] == 0 else 0
        out_states[5 * q + 4] = n_silent
        registers[NEXT] = q + 1
        if registers[N_STATES] > registers[MAX_STATES] or registers[N_ARCS] > registers[MAX_ARCS]:
            return OVER
        if registers[NEXT] % PAUSE == 0 and registers[NEXT] < registers[N_STATES]:
            return PAUSED
    return DONE
