"""The compiled steps of minimisation.

A partition of the numbers below n lies in `member` (the numbers, those of a class together), `place` (where each number
is in it), `class_of`, and for each class `begin` and `end` (its members) and `marked` (how many of them, at its front,
are marked). Marking costs a swap, splitting marked from unmarked members what the smaller half has.
"""

from ..jit import kernel, subkernel
from .determinise_kernels import INTS, mixed


@subkernel
def labelled(table, keys, counts, a, b, c):
    """The number of a triple: its own, or the next one where it is new."""
    mask = table.shape[0] - 1
    h = mixed(mixed(mixed(7, a), b), c)
    slot = h & mask
    while table[slot] != 0:
        x = table[slot]
        if keys[3 * x] == a and keys[3 * x + 1] == b and keys[3 * x + 2] == c:
            return x
        slot = (slot + 1) & mask
    x = counts[0]
    keys[3 * x], keys[3 * x + 1], keys[3 * x + 2] = a, b, c
    counts[0] = x + 1
    table[slot] = x
    return x


@kernel(f"void({INTS}, {INTS}, int32[::1], int32[::1], int32[::1], int32[::1], int32[::1], int64[::1])")
def label(states, arcs, table, keys, last, arc_label, state_label, counts):
    """Number the arcs by labels and cost, and the states by final cost.

    Arcs of one state with the same labels and cost get different numbers, so that each of them is a function of states.

    Args:
        table: zeros, a power of two above n_arcs + n_states.
        keys: (3 * (n_arcs + n_states + 1),) and
        last: (n_arcs + n_states + 1,) -1: room.
        arc_label: (n_arcs,) filled with numbers from 0.
        state_label: (n_states,) likewise.
        counts: (3,) filled with the number of arcs' labels, of states' labels, and of arcs that repeat a label.
    """
    counts[0] = 1
    counts[2] = 0
    for s in range(state_label.shape[0]):
        for k in range(states[5 * s + 1], states[5 * s + 1] + states[5 * s + 2]):
            x = labelled(table, keys, counts, arcs[4 * k], arcs[4 * k + 1], arcs[4 * k + 2])
            if last[x] == s:
                counts[2] += 1
                while last[x] == s:
                    x = labelled(table, keys, counts, -1, x, 0)
            last[x] = s
            arc_label[k] = x - 1
    n = counts[0]
    for s in range(state_label.shape[0]):
        state_label[s] = labelled(table, keys, counts, -2, states[5 * s], 0) - n
    counts[1] = counts[0] - n
    counts[0] = n - 1


@subkernel
def group(member, place, class_of, begin, end, marked, n_classes):
    """Set up a partition from the class of each number."""
    for c in range(n_classes):
        end[c] = 0
        marked[c] = 0
    for i in range(class_of.shape[0]):
        end[class_of[i]] += 1
    total = 0
    for c in range(n_classes):
        begin[c] = total
        total += end[c]
        end[c] = begin[c]
    for i in range(class_of.shape[0]):
        c = class_of[i]
        member[end[c]] = i
        place[i] = end[c]
        end[c] += 1


@subkernel
def mark(member, place, class_of, begin, marked, touched, n_touched, x):
    """Mark a number, once; returns how many classes have marked ones."""
    c = class_of[x]
    i, j = place[x], begin[c] + marked[c]
    y = member[j]
    member[i], member[j] = y, x
    place[y], place[x] = i, j
    if marked[c] == 0:
        touched[n_touched] = c
        n_touched += 1
    marked[c] += 1
    return n_touched


@subkernel
def split(member, class_of, begin, end, marked, touched, n_touched, n_classes):
    """Part marked from unmarked members; the fewer make a new class. Returns how many classes there are."""
    for t in range(n_touched):
        c = touched[t]
        middle = begin[c] + marked[c]
        marked[c] = 0
        if middle == end[c]:
            continue
        z = n_classes
        n_classes += 1
        if middle - begin[c] <= end[c] - middle:
            begin[z], end[z] = begin[c], middle
            begin[c] = middle
        else:
            begin[z], end[z] = middle, end[c]
            end[c] = middle
        marked[z] = 0
        for i in range(begin[z], end[z]):
            class_of[member[i]] = z
    return n_classes


@kernel(f"int64({INTS}, {INTS}, {', '.join(['int32[::1]'] * 17)}, int64, int64, int32[::1])")
def refine(
    states, arcs, source, into, into_first, s_member, s_place, s_class, s_begin, s_end, s_marked, s_touched,
    a_member, a_place, a_class, a_begin, a_end, a_marked, a_touched, n_states, n_arcs, chosen,
):  # fmt: skip
    """Part the states until the arcs of one class's states lead, label by label, to one class.

    Classes of arcs are those of a label into one class of states: what leaves by such a class parts what it leaves.

    Returns:
        the number of classes; `s_class` becomes the new number of each state, in order of their first ones, which are
        left in `chosen`.

    Args:
        source: (n_arcs,) room, as
        into: (n_arcs,) and
        into_first: (n_states + 1,) zeros.
        s_class: state labels, as a_class arc labels.
        n_states: classes of states so far, as
        n_arcs: of arcs.
        chosen: (n_states,) room.

    Ref: Valmari, Fast brief practical DFA minimization, 2012.
    """
    n = s_class.shape[0]
    for k in range(a_class.shape[0]):
        into_first[arcs[4 * k + 3]] += 1
    total = 0
    for s in range(n):
        total += into_first[s]
        into_first[s] = total
        for k in range(states[5 * s + 1], states[5 * s + 1] + states[5 * s + 2]):
            source[k] = s
    into_first[n] = total
    for k in range(a_class.shape[0]):
        d = arcs[4 * k + 3]
        into_first[d] -= 1
        into[into_first[d]] = k
    group(s_member, s_place, s_class, s_begin, s_end, s_marked, n_states)
    group(a_member, a_place, a_class, a_begin, a_end, a_marked, n_arcs)
    b, c = 1, 0
    while True:
        while b < n_states:
            n_touched = 0
            for i in range(s_begin[b], s_end[b]):
                d = s_member[i]
                for j in range(into_first[d], into_first[d + 1]):
                    n_touched = mark(a_member, a_place, a_class, a_begin, a_marked, a_touched, n_touched, into[j])
            n_arcs = split(a_member, a_class, a_begin, a_end, a_marked, a_touched, n_touched, n_arcs)
            b += 1
        if c == n_arcs:
            break
        n_touched = 0
        for i in range(a_begin[c], a_end[c]):
            n_touched = mark(s_member, s_place, s_class, s_begin, s_marked, s_touched, n_touched, source[a_member[i]])
        n_states = split(s_member, s_class, s_begin, s_end, s_marked, s_touched, n_touched, n_states)
        c += 1
    number = s_marked
    for c in range(n_states):
        number[c] = -1
    found = 0
    for s in range(n):
        if number[s_class[s]] < 0:
            number[s_class[s]] = found
            chosen[found] = s
            found += 1
        s_class[s] = number[s_class[s]]
    return n_states
