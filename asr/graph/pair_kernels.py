"""Compiled steps of compositions: graphs whose states are pairs, found in breadth-first order.

A pair is one number. The states found so far are `pairs`, in the order of their numbers; `slots` is a hash table of a
power of two entries, each 1 + the number of a state, or 0. Arcs are written in the order of the states that they leave,
as int32 (n, 4): input label, output label, cost (as bits), next state; `costs` is the same memory as float32.

A kernel goes on until no state waits, or an array is full (N_STATES or N_ARCS have come to its length): its caller
makes that one longer and calls again. What was written of the state in progress is then written anew.
"""

import numpy as np

from ..jit import inlined, kernel, subkernel

# Positions in the registers: states found, states whose arcs are written, arcs, and windows of phones.
N_STATES, N_DONE, N_ARCS, N_WINDOWS, N_REGISTERS = 0, 1, 2, 3, 4
DONE, FULL_STATES, FULL_ARCS, FULL_WINDOWS = 0, 1, 2, 3

_ARCS = "Array(int32, 2, 'C', readonly=True)"
_COSTS = "Array(float32, 2, 'C', readonly=True)"
_INTS = "Array(int32, 1, 'C', readonly=True)"
_LONGS = "Array(int64, 1, 'C', readonly=True)"
_FOUND = "int64[::1], int64[::1], int32[::1], int32[::1], int32[:, ::1], float32[:, ::1]"
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbours land far from each other


@subkernel
def place_of(key, keys, slots):
    """The slot of a key, or the free one where it belongs."""
    mask = np.uint64(len(slots) - 1)
    place = (np.uint64(key) * _SPREAD >> np.uint64(20)) & mask
    while slots[place] != 0 and keys[slots[place] - 1] != key:
        place = (place + np.uint64(1)) & mask
    return place


@subkernel
def numbered(key, keys, n_keys, slots):
    """The number of a key; n_keys for one that is new, which is then written, or -1 where there is no room for it."""
    place = place_of(key, keys, slots)
    if slots[place] != 0:
        return np.int64(slots[place] - 1)
    if n_keys == len(keys):
        return np.int64(-1)
    keys[n_keys] = key
    slots[place] = n_keys + 1
    return np.int64(n_keys)


@inlined
def put_arc(registers, pairs, slots, arcs, costs, n, ilabel, olabel, cost, pair):
    """Write arc n, to the state of a pair, which is made where there is none. Returns DONE, or which array is full."""
    target = numbered(pair, pairs, registers[N_STATES], slots)
    if target < 0:
        return FULL_STATES
    registers[N_STATES] = max(registers[N_STATES], target + 1)
    if n == len(arcs):
        return FULL_ARCS
    arcs[n, 0], arcs[n, 1], arcs[n, 3] = ilabel, olabel, target
    costs[n, 2] = cost
    return DONE


@inlined
def end_state(registers, n_out, n):
    """Note that all arcs of the first state without arcs are written, up to arc n - 1."""
    here = registers[N_DONE]
    n_out[here] = n - registers[N_ARCS]
    registers[N_ARCS] = n
    registers[N_DONE] = here + 1


@kernel(f"void({_LONGS}, int64, int32[::1])")
def fill_slots(keys, n_keys, slots):
    """Enter keys into an empty table that is larger than them."""
    for i in range(n_keys):
        slots[place_of(keys[i], keys, slots)] = i + 1


@subkernel
def first_not_below(arcs, column, begin, end, label):
    """The first arc of begin ... end - 1, which ascend by a column, whose label there is not below one."""
    while begin < end:
        middle = (begin + end) >> 1
        if arcs[middle, column] < label:
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel(
    f"int64({_LONGS}, {_LONGS}, {_LONGS}, {_ARCS}, {_COSTS}, {_LONGS}, {_LONGS}, {_LONGS}, {_ARCS}, {_COSTS}, {_FOUND})"
)
def compose_pairs(
    l_first, l_silent, l_count, l_arcs, l_costs, r_first, r_silent, r_count, r_arcs, r_costs,
    registers, pairs, slots, n_out, arcs, costs,
):  # fmt: skip
    """Two transducers composed; a pair is 2 * (left state * (right states) + right state) + whether the left one waits.

    Arcs that have no label between the two are taken by one side alone. In whatever order, they make the same path, so
    one is enough: the right one's come first, and the left one's after them. Having taken one, the left side waits for
    a label, that is if the right state has such arcs at all.

    Args:
        l_first: of each state of the left one, its first arc.
        l_silent: how many arcs have no output label; they come first.
        l_count: how many arcs there are.
        l_arcs: a state's ascend by output label.
        r_first: of the right one, likewise; what is said of output labels holds of its input labels.
        n_out: by state, how many arcs were written.
    """
    n_right = len(r_first)
    while registers[N_DONE] < registers[N_STATES]:
        here = registers[N_DONE]
        left, right, waits = pairs[here] // 2 // n_right, pairs[here] // 2 % n_right, pairs[here] % 2
        n = registers[N_ARCS]
        onward = 1 if r_silent[right] > 0 else 0
        for i in range(l_silent[left] + (0 if waits else r_silent[right])):
            a, b = l_first[left] + i, r_first[right] + i - l_silent[left]
            ilabel, olabel = np.int32(0), np.int32(0)
            if i < l_silent[left]:
                ilabel, cost, pair = l_arcs[a, 0], l_costs[a, 2], 2 * (l_arcs[a, 3] * n_right + right) + onward
            else:
                olabel, cost, pair = r_arcs[b, 1], r_costs[b, 2], 2 * (left * n_right + r_arcs[b, 3])
            full = put_arc(registers, pairs, slots, arcs, costs, n, ilabel, olabel, cost, pair)
            if full != DONE:
                return full
            n += 1
        # The side with fewer arcs is gone through, the other one searched.
        l_begin, l_end = l_first[left] + l_silent[left], l_first[left] + l_count[left]
        r_begin, r_end = r_first[right] + r_silent[right], r_first[right] + r_count[right]
        by_left = l_end - l_begin < r_end - r_begin
        for i in range(min(l_end - l_begin, r_end - r_begin)):
            if by_left:
                label = l_arcs[l_begin + i, 1]
                a, b = l_begin + i, first_not_below(r_arcs, 0, r_begin, r_end, label)
            else:
                label = r_arcs[r_begin + i, 0]
                a, b = first_not_below(l_arcs, 1, l_begin, l_end, label), r_begin + i
            while a < l_end and b < r_end and l_arcs[a, 1] == label and r_arcs[b, 0] == label:
                pair, cost = 2 * (l_arcs[a, 3] * n_right + r_arcs[b, 3]), l_costs[a, 2] + r_costs[b, 2]
                full = put_arc(registers, pairs, slots, arcs, costs, n, l_arcs[a, 0], r_arcs[b, 1], cost, pair)
                if full != DONE:
                    return full
                n += 1
                if by_left:
                    b += 1
                else:
                    a += 1
        end_state(registers, n_out, n)
    return DONE


@kernel(f"int64({_LONGS}, {_LONGS}, {_ARCS}, {_COSTS}, int64, int64, int64, int64, {_FOUND}, int64[::1], int32[::1])")
def context_pairs(
    first, count, in_arcs, in_costs, base, n_histories, ahead, symbols,
    registers, pairs, slots, n_out, arcs, costs, windows, window_slots,
):  # fmt: skip
    """Phones in context; a pair is history * (states) + state. See `asr.graph.context`.

    Args:
        first: of each state, its first arc.
        count: of each state, its number of arcs.
        in_arcs: input labels are phones below `base`, symbols from it on, 0 for none and -1 for no phone that follows.
        base: how many phones there are, with that of no phone.
        n_histories: base ** (width - 1).
        ahead: base ** (width - 1 - central).
        symbols: how many symbols there are. On what is written a symbol is -1 less its number, and the one more, where
            a phone completes no window, is -1 - symbols.
        windows: the windows so far, as numbers in the base; on arcs stands 1 + their place here.
        window_slots: their hash table.
    """
    n_states = len(first)
    while registers[N_DONE] < registers[N_STATES]:
        here = registers[N_DONE]
        history, state = pairs[here] // n_states, pairs[here] % n_states
        n = registers[N_ARCS]
        for a in range(first[state], first[state] + count[state]):
            symbol = np.int64(in_arcs[a, 0])
            label, onward = np.int64(0), history
            if symbol < 0 and history % ahead == 0:
                continue  # flushing is over: no phone waits for its right context
            if symbol >= base:  # passes as it is
                label = base - symbol - 1
            elif symbol != 0:
                window = history * base + max(symbol, 0)
                onward = window % n_histories
                label = -1 - symbols
                # There is a phone at the central position: it has got its right context now, and is written.
                if window // ahead % base != 0:
                    place = numbered(window, windows, registers[N_WINDOWS], window_slots)
                    if place < 0:
                        return FULL_WINDOWS
                    registers[N_WINDOWS] = max(registers[N_WINDOWS], place + 1)
                    label = place + 1
            pair = onward * n_states + in_arcs[a, 3]
            full = put_arc(registers, pairs, slots, arcs, costs, n, label, in_arcs[a, 1], in_costs[a, 2], pair)
            if full != DONE:
                return full
            n += 1
        end_state(registers, n_out, n)
    return DONE


@kernel(f"int64({_LONGS}, {_LONGS}, {_ARCS}, {_COSTS}, {_LONGS}, int64, int64, {_LONGS}, {_ARCS}, {_COSTS}, {_FOUND})")
def hmm_pairs(
    first, count, in_arcs, in_costs, hmm_of_window, between, shift, row_first, rows, row_costs,
    registers, pairs, slots, n_out, arcs, costs,
):  # fmt: skip
    """Windows as HMMs; a pair is state * (between + 1) + what of an HMM is to come before it, or `between` for nothing.

    Args:
        first: of each state, its first arc.
        count: of each state, its number of arcs.
        in_arcs: input labels are 1 + a window, and above the windows symbols, which pass with `shift` added.
        hmm_of_window: the list of transitions into a window's HMM.
        row_first: of each list of transitions its first row, and where the last ends. The lists below `between` are the
            states of HMMs.
        rows: (n, 4): transition id, 0, nothing, and the list that follows, or `between`.
        row_costs: the same as costs.
    """
    while registers[N_DONE] < registers[N_STATES]:
        here = registers[N_DONE]
        state, within = pairs[here] // (between + 1), pairs[here] % (between + 1)
        n = registers[N_ARCS]
        begin, end = first[state], first[state] + count[state]
        if within < between:
            begin, end = 0, 1
        for a in range(begin, end):
            label, out, cost, onward, rest = np.int64(0), np.int32(0), np.float32(0.0), state, within
            if within == between:
                label, out, cost = np.int64(in_arcs[a, 0]), in_arcs[a, 1], in_costs[a, 2]
                onward = np.int64(in_arcs[a, 3])
                rest = hmm_of_window[label - 1] if 0 < label <= len(hmm_of_window) else between
            passes = rest == between  # no HMM: one arc, instead of a row for each transition
            for r in range(0 if passes else row_first[rest], 1 if passes else row_first[rest + 1]):
                if not passes:
                    ilabel, within_next, more = np.int64(rows[r, 0]), np.int64(rows[r, 3]), row_costs[r, 2]
                else:
                    ilabel, within_next, more = label + shift if label > 0 else 0, between, np.float32(0.0)
                pair = onward * (between + 1) + within_next
                full = put_arc(registers, pairs, slots, arcs, costs, n, ilabel, out, cost + more, pair)
                if full != DONE:
                    return full
                n += 1
        end_state(registers, n_out, n)
    return DONE
