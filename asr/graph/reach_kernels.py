"""Which words may come next: the compiled walk over a graph that finds it for all states at once."""

import numpy as np

from ..jit import kernel, subkernel

INTS = "Array(int32, 1, 'C', readonly=True)"
FACTOR = -7046029254386353131  # odd, its bits without order: products of it scatter over all 64 bits
# What `reach` reports in place of a number of sets.
MORE_ROOM = -1


@subkernel
def scattered(key):
    """An integer of 64 bits whose bits all depend on all of the key's."""
    x = key * FACTOR
    x ^= x >> 29
    x *= FACTOR
    return x ^ (x >> 32)


@subkernel
def sort(values, n, buffer):
    """Sort the first n values, by merging runs of growing length."""
    width = 1
    while width < n:
        low = 0
        while low < n:
            middle, high = min(low + width, n), min(low + 2 * width, n)
            i, j = low, middle
            for k in range(low, high):
                if i < middle and (j >= high or values[i] <= values[j]):
                    buffer[k] = values[i]
                    i += 1
                else:
                    buffer[k] = values[j]
                    j += 1
            low = high
        for k in range(n):
            values[k] = buffer[k]
        width *= 2


@subkernel
def unite(values, n):
    """Join sorted intervals, low << 32 | high, that overlap or touch; how many are left."""
    kept = 0
    for k in range(n):
        low, high = values[k] >> 32, values[k] & 0xFFFFFFFF
        if kept > 0 and low <= (values[kept - 1] & 0xFFFFFFFF):
            before = values[kept - 1]
            values[kept - 1] = (before >> 32) << 32 | max(before & 0xFFFFFFFF, high)
        else:
            values[kept] = values[k]
            kept += 1
    return kept


@subkernel
def number_of(values, n, first, bounds, n_sets, table):
    """The number of a set of intervals, a new one for a new set; MORE_ROOM where the arrays are full.

    Args:
        table: (2 * size,), of open addressing: hash and number + 1 (0: free); size is a power of two.
    """
    code = np.int64(n)
    for k in range(n):
        code = scattered(code ^ values[k])
    mask = table.shape[0] // 2 - 1
    p = code & mask
    while table[2 * p + 1] != 0:
        s = table[2 * p + 1] - 1
        if table[2 * p] == code and first[s + 1] - first[s] == n:
            same = True
            for k in range(n):
                at = 2 * (first[s] + k)
                if (np.int64(bounds[at]) << 32 | np.int64(bounds[at + 1])) != values[k]:
                    same = False
                    break
            if same:
                return s
        p = (p + 1) & mask
    start = np.int64(first[n_sets])
    if 2 * (start + n) > bounds.shape[0] or n_sets + 2 > first.shape[0] or 2 * n_sets > mask:
        return MORE_ROOM
    for k in range(n):
        bounds[2 * (start + k)] = values[k] >> 32
        bounds[2 * (start + k) + 1] = values[k] & 0xFFFFFFFF
    first[n_sets + 1] = start + n
    table[2 * p], table[2 * p + 1] = code, n_sets + 1
    return n_sets


@subkernel
def set_of_component(
    stack, begin, end, states, arcs, is_final, label_of, last_label, set_of, first, bounds, n_sets, table, memo, seen,
    mark, values, buffer,
):  # fmt: skip
    """The number of the set of words that the states stack[begin:end], a cycle or a single one, reach.

    Args:
        seen: for each set the component that has it already among its parts.
        mark: of this component.
        memo: like `number_of`'s table, from the sum of the hashes of what makes up a set to the set, so that the same
            parts are united once.
    """
    n, only, code = 0, -1, np.int64(0)
    for i in range(begin, end):
        s = stack[i]
        if is_final[s]:
            values[n] = np.int64(last_label) << 32 | np.int64(last_label + 1)
            code += scattered(values[n])
            n += 1
        for k in range(states[5 * s + 1], states[5 * s + 1] + states[5 * s + 2]):
            if n + 1 >= values.shape[0]:
                return MORE_ROOM
            label = label_of[arcs[4 * k + 1]]
            if arcs[4 * k + 1] != 0:
                values[n] = np.int64(label) << 32 | np.int64(label + 1)
                code += scattered(values[n])
                n += 1
                continue
            t = set_of[arcs[4 * k + 3]]  # -1: of this component
            if t < 0 or seen[t] == mark:
                continue
            seen[t] = mark
            only = t if only < 0 else only
            code += scattered(~np.int64(t))
            if n + first[t + 1] - first[t] >= values.shape[0]:
                return MORE_ROOM
            for j in range(first[t], first[t + 1]):
                values[n] = np.int64(bounds[2 * j]) << 32 | np.int64(bounds[2 * j + 1])
                n += 1
    if only >= 0 and n == first[only + 1] - first[only]:
        return only
    mask = memo.shape[0] // 2 - 1
    p = code & mask
    while memo[2 * p + 1] != 0:
        if memo[2 * p] == code:
            return memo[2 * p + 1] - 1
        p = (p + 1) & mask
    sort(values, n, buffer)
    found = number_of(values, unite(values, n), first, bounds, n_sets, table)
    if found >= 0:
        memo[2 * p], memo[2 * p + 1] = code, found + 1
    return found


@kernel(
    f"int64({INTS}, {INTS}, boolean[::1], {INTS}, int32, int32[::1], int32[::1], int32[::1], int64[::1], int64[::1],"
    " int32[::1], int64[::1], int64[::1], int32[:, ::1])"
)
def reach(states, arcs, is_final, label_of, last_label, set_of, first, bounds, table, memo, seen, values, buffer, work):
    """Fill `set_of` with the number of each state's set; how many sets there are, or MORE_ROOM.

    A state's set has the words on the arcs that can be taken next, after any number of arcs without words. Components
    of states that reach each other by arcs without words are found by Tarjan's algorithm, each after all that it leads
    to, so that a set is made once from those of its arcs.

    Args:
        states: as of the decoder's kernels.
        arcs: see `states`.
        label_of: the label of each word, from 1 on.
        last_label: that of the sentence's end, which final states reach.
        set_of: (n_states,), -1.
        first: (most sets + 1,), where each set's intervals begin; first[0] is 0.
        bounds: (2 * most intervals,): lowest label, and the label after the highest.
        seen: (most sets,), -1.
        values: scratch.
        buffer: scratch, of the same length.
        work: (5, n_states), of which the first row is -1: order of discovery, lowest order that is reached, the states
            that are not yet in a component, those on the way, and the next arc of each of these.
    """
    order, low, stack, path, at = work[0], work[1], work[2], work[3], work[4]
    n_sets = n_found = n_waiting = mark = 0
    for root in range(set_of.shape[0]):
        if order[root] >= 0:
            continue
        depth = 0
        path[0] = root
        at[0] = -1
        while depth >= 0:
            s = path[depth]
            begin, end = states[5 * s + 1], states[5 * s + 1] + states[5 * s + 2]
            if at[depth] < 0:
                order[s] = low[s] = n_found
                n_found += 1
                stack[n_waiting] = s
                n_waiting += 1
                at[depth] = begin
            went_down = False
            while at[depth] < end:
                k = at[depth]
                at[depth] += 1
                if arcs[4 * k + 1] != 0:
                    continue
                d = arcs[4 * k + 3]
                if order[d] < 0:
                    depth += 1
                    path[depth] = d
                    at[depth] = -1
                    went_down = True
                    break
                if set_of[d] < 0 and order[d] < low[s]:
                    low[s] = order[d]
            if went_down:
                continue
            if low[s] == order[s]:
                top = n_waiting
                while stack[n_waiting - 1] != s:
                    n_waiting -= 1
                n_waiting -= 1
                found = set_of_component(
                    stack, n_waiting, top, states, arcs, is_final, label_of, last_label, set_of, first, bounds, n_sets,
                    table, memo, seen, mark, values, buffer,
                )  # fmt: skip
                if found < 0:
                    return MORE_ROOM
                mark += 1
                n_sets = max(n_sets, found + 1)
                for i in range(n_waiting, top):
                    set_of[stack[i]] = found
            depth -= 1
            if depth >= 0 and low[s] < low[path[depth]]:
                low[path[depth]] = low[s]
    return n_sets
