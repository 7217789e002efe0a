"""The compiled steps of minimisation.

A graph is seen as flat views of its records: `states` (5 words a state) and `arcs` (4 words an arc: input label, output
label, cost as bits, next state).

A partition of the numbers below n lies in `member` (the numbers, those of a class together), `place` (where each number
is in it), `class_of`, and for each class `begin` and `end` (its members) and `marked` (how many of them, at its front,
are marked). Marking costs a swap, splitting marked from unmarked members what the smaller half has.
"""

from ..jit import kernel, subkernel
from .determinise_kernels import INTS, mixed

LONGS = "Array(int64, 1, 'C', readonly=True)"


@kernel(f"void({INTS}, {INTS}, {LONGS}, int64[::1])", allocates=False)
def look_ahead(states, arcs, before, after):
    """From hashes of what states can do in n steps those of what they can do in n + 1."""
    for s in range(after.shape[0]):
        h = mixed(11, states[5 * s])
        for k in range(states[5 * s + 1], states[5 * s + 1] + states[5 * s + 2]):
            # A sum, as arcs of equal input labels are in no certain order.
            h += mixed(mixed(mixed(before[arcs[4 * k + 3]], arcs[4 * k]), arcs[4 * k + 1]), arcs[4 * k + 2])
        after[s] = h


@kernel(f"int64({LONGS}, int32[::1], int32[::1], int32[::1])", allocates=False)
def group_equal(hashes, table, class_of, size):
    """Number states by hash, in order of the first of each; returns how many numbers there are.

    Args:
        table: zeros, a power of two above the number of states.
        size: (n_states,) zeros; becomes how many states each number has, of which the first is kept in `table`.
    """
    mask, n_classes = table.shape[0] - 1, 0
    for s in range(hashes.shape[0]):
        slot = (hashes[s] >> 7) & mask
        while table[slot] != 0 and hashes[table[slot] - 1] != hashes[s]:
            slot = (slot + 1) & mask
        if table[slot] == 0:
            table[slot] = s + 1
            class_of[s] = n_classes
            n_classes += 1
        else:
            class_of[s] = class_of[table[slot] - 1]
        size[class_of[s]] += 1
    return n_classes


@subkernel
def numbered(table, keys, n_keys, a, b, c):
    """The number of a triple, which is n_keys where it is new."""
    mask = table.shape[0] - 1
    slot = mixed(mixed(mixed(7, a), b), c) & mask
    while table[slot] != 0:
        x = table[slot] - 1
        if keys[3 * x] == a and keys[3 * x + 1] == b and keys[3 * x + 2] == c:
            return x
        slot = (slot + 1) & mask
    keys[3 * n_keys], keys[3 * n_keys + 1], keys[3 * n_keys + 2] = a, b, c
    table[slot] = n_keys + 1
    return n_keys


@kernel(f"int64({INTS}, {INTS}, {INTS}, {INTS}, {INTS}, {', '.join(['int32[::1]'] * 6)})", allocates=False)
def label_arcs(states, arcs, class_of, open_states, local, table, keys, last, source, target, label):
    """Number the arcs out of open states by labels, cost, and the class of the state that they lead to.

    Arcs of one state with the same labels and cost get different numbers, so that each of them is a function of states.

    Returns:
        how many numbers there are.

    Args:
        class_of: by state.
        open_states: those that share a class with others.
        local: of each state its number among them, or -1.
        table: zeros, a power of two above three times the number of their arcs.
        keys: (9 * the number of their arcs,) and
        last: (3 * the number of their arcs,) of -1: room.
        source: filled with the local number of the state that each arc leaves, and
        target: enters, and
        label: its number.
    """
    n_keys = m = 0
    for i in range(open_states.shape[0]):
        s = open_states[i]
        for k in range(states[5 * s + 1], states[5 * s + 1] + states[5 * s + 2]):
            x = numbered(table, keys, n_keys, arcs[4 * k], arcs[4 * k + 1], arcs[4 * k + 2])
            n_keys = max(n_keys, x + 1)
            while last[x] == i:
                x = numbered(table, keys, n_keys, -1, x, 0)
                n_keys = max(n_keys, x + 1)
            last[x] = i
            d = arcs[4 * k + 3]
            x = numbered(table, keys, n_keys, -2, x, class_of[d])
            n_keys = max(n_keys, x + 1)
            source[m], target[m], label[m] = i, local[d], x
            m += 1
    # Only the last of each arc's numbers counts.
    for x in range(n_keys):
        last[x] = -1
    n_labels = 0
    for k in range(m):
        x = label[k]
        if last[x] < 0:
            last[x] = n_labels
            n_labels += 1
        label[k] = last[x]
    return n_labels


@subkernel
def arrange(member, place, class_of, begin, end, marked, n_classes):
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


@kernel(f"int64({INTS}, {INTS}, {', '.join(['int32[::1]'] * 16)}, int64, int64)", allocates=False)
def refine(
    source, target, into, into_first, s_member, s_place, s_class, s_begin, s_end, s_marked, s_touched,
    a_member, a_place, a_class, a_begin, a_end, a_marked, a_touched, n_states, n_arcs,
):  # fmt: skip
    """Part the states until the arcs of one class's states lead, label by label, to one class.

    Classes of arcs are those of a label into one class of states: what leaves by such a class parts what it leaves.

    Returns:
        the number of classes, which `s_class` becomes.

    Args:
        source: by arc, the state that it leaves.
        target: by arc, the state that it enters; -1: one that is in a class of its own.
        into: (n_arcs,) room, and
        into_first: (number of states + 1,) zeros.
        s_class: classes of states, such that arcs of a class lead to states of a class.
        a_class: classes of arcs.
        n_states: classes of states so far, as
        n_arcs: of arcs.

    Ref: Valmari, Fast brief practical DFA minimization, 2012.
    """
    for k in range(target.shape[0]):
        if target[k] >= 0:
            into_first[target[k]] += 1
    total = 0
    for s in range(into_first.shape[0]):
        total += into_first[s]
        into_first[s] = total
    for k in range(target.shape[0]):
        if target[k] >= 0:
            into_first[target[k]] -= 1
            into[into_first[target[k]]] = k
    arrange(s_member, s_place, s_class, s_begin, s_end, s_marked, n_states)
    arrange(a_member, a_place, a_class, a_begin, a_end, a_marked, n_arcs)
    b, c = n_states, 0
    while c < n_arcs:
        n_touched = 0
        for i in range(a_begin[c], a_end[c]):
            n_touched = mark(s_member, s_place, s_class, s_begin, s_marked, s_touched, n_touched, source[a_member[i]])
        n_states = split(s_member, s_class, s_begin, s_end, s_marked, s_touched, n_touched, n_states)
        c += 1
        while b < n_states:
            n_touched = 0
            for i in range(s_begin[b], s_end[b]):
                d = s_member[i]
                for j in range(into_first[d], into_first[d + 1]):
                    n_touched = mark(a_member, a_place, a_class, a_begin, a_marked, a_touched, n_touched, into[j])
            n_arcs = split(a_member, a_class, a_begin, a_end, a_marked, a_touched, n_touched, n_arcs)
            b += 1
    return n_states
