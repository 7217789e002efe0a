"""The compiled steps of lattices."""

import math

import numpy as np

from ..jit import kernel, subkernel
from ..lm.kernels import follow

INTS = "Array(int32, 1, 'A', readonly=True)"
FLOATS = "Array(float64, 1, 'A', readonly=True)"


@kernel(f"float64[::1]({INTS}, {INTS}, {FLOATS}, {FLOATS}, boolean)")
def best_costs(source, target, cost, at, forward):
    """The best cost to each state from `at` states whose cost is known there, along the arcs or against them."""
    result = at.copy()
    if forward:
        for i in range(len(source)):
            result[target[i]] = min(result[target[i]], result[source[i]] + cost[i])
    else:
        for i in range(len(source) - 1, -1, -1):
            result[source[i]] = min(result[source[i]], result[target[i]] + cost[i])
    return result


@subkernel
def log_add(a, b):
    """-log(exp(-a) + exp(-b)) of two costs, either of which may be inf."""
    if b < a:
        a, b = b, a
    return a if b == np.inf else a - math.log1p(math.exp(a - b))


@kernel(f"float64[::1]({INTS}, {INTS}, {FLOATS}, {FLOATS}, boolean)")
def summed_costs(source, target, cost, at, forward):
    """The same, of all paths together: negated logarithms of summed probabilities."""
    result = at.copy()
    if forward:
        for i in range(len(source)):
            result[target[i]] = log_add(result[target[i]], result[source[i]] + cost[i])
    else:
        for i in range(len(source) - 1, -1, -1):
            result[source[i]] = log_add(result[source[i]], result[target[i]] + cost[i])
    return result


@kernel(
    f"int64({INTS}, {INTS}, {INTS}, {INTS}, {FLOATS}, {FLOATS}, {FLOATS}, {FLOATS}, {FLOATS}, {INTS}, float64,"
    " float64[::1], float64[::1], int32[::1], int32[::1], int32[::1], int32[::1], float64[::1], float64[::1],"
    " int64[::1], int32[::1])"
)
def word_arcs(
    source, target, ilabel, olabel, graph, acoustic, forward, backward, finals, first, limit, so_graph, so_acoustic,
    stamp, by_arc, found_from, found_arc, found_graph, found_acoustic, found_labels, labels,
):  # fmt: skip
    """The best way from each place where a word begins to each where the next one does, or to an end.

    A place is the start, or a state that an arc with a word leads to; a way is arcs without words and one with, the
    last. Ways that no path within the limit takes are left out. See `words.word_graph`.

    Args:
        first: (n_states + 1,), of each state's arcs.
        limit: cost of whole paths that are looked at.
        so_graph, so_acoustic, stamp, by_arc: (n_states,) scratch; stamp holds -1.
        found_labels: where the labels of each way begin in `labels`; one entry more than there are ways.

    Returns:
        how many ways there are; -1 where there is no room for them, -2 for their labels.
    """
    n_states, n, m = len(finals), 0, 0
    is_place = np.zeros(n_states, np.bool_)
    is_place[0] = True
    for i in range(len(source)):
        if olabel[i] != 0:
            is_place[target[i]] = True
    found_labels[0] = 0
    for begin in range(n_states):
        if not is_place[begin] or forward[begin] + backward[begin] > limit:
            continue
        stamp[begin], so_graph[begin], so_acoustic[begin], by_arc[begin] = begin, 0.0, 0.0, -1
        last = begin
        x = begin
        while x <= last:
            if stamp[x] == begin:
                # One arc more than there are: the end.
                for i in range(first[x], first[x + 1] + 1):
                    is_end = i == first[x + 1]
                    if is_end:
                        g, a, rest = so_graph[x] + finals[x], so_acoustic[x], 0.0
                    else:
                        g, a, rest = so_graph[x] + graph[i], so_acoustic[x] + acoustic[i], backward[target[i]]
                    if forward[begin] + (g + a) + rest > limit:
                        continue
                    if is_end or olabel[i] != 0:
                        length = 0
                        back = x
                        while by_arc[back] >= 0:
                            length += ilabel[by_arc[back]] != 0
                            back = source[by_arc[back]]
                        own = not is_end and ilabel[i] != 0
                        if n == len(found_arc):
                            return -1
                        if m + length + own > len(labels):
                            return -2
                        found_from[n], found_arc[n], found_graph[n], found_acoustic[n] = begin, -1 - x, g, a
                        if not is_end:
                            found_arc[n] = i
                        at = m + length
                        if own:
                            labels[at] = ilabel[i]
                        back = x
                        while by_arc[back] >= 0:
                            if ilabel[by_arc[back]] != 0:
                                at -= 1
                                labels[at] = ilabel[by_arc[back]]
                            back = source[by_arc[back]]
                        m += length + own
                        n += 1
                        found_labels[n] = m
                    else:
                        d = target[i]
                        if stamp[d] != begin or g + a < so_graph[d] + so_acoustic[d]:
                            stamp[d], so_graph[d], so_acoustic[d], by_arc[d] = begin, g, a, i
                            last = max(last, d)
            x += 1
    return n


@subkernel
def difference(first, second):
    """Of two words at one place, 0 for none: whether they differ. A word beside none costs a little more."""
    if first == second:
        return 0.0
    return 1.0


@kernel(
    f"void({INTS}, {INTS}, {INTS}, float64[::1], int64, int32[::1], float64[:, ::1], float64[:, ::1],"
    " float64[:, ::1], float64[:, ::1])"
)
def place_words(source, target, word, share, n_states, reference, distance, by_arc, weight, found):
    """How probable it is that each arc's word stands at each place of a reference, on average over all paths.

    Paths are aligned to the reference with the fewest differences, on average over what leads to each state.

    Args:
        share: (n_arcs,): the part of what leads to an arc's target that comes over it; ascending by source, and the
            last state is the only end.
        reference: (n_places,): words, 0 for places where none stands.
        distance: (n_states, n_places + 1) zeros: expected differences.
        by_arc: (n_arcs, n_places + 1) scratch.
        weight: (n_states, n_places + 1) zeros.
        found: (n_arcs + 1, n_places) zeros: filled; the last row is of no word.

    Ref: Xu, Povey, Mangu and Zhu, Minimum Bayes risk decoding and system combination based on a recursion for edit
    distance, 2011, figures 4 and 5; Kaldi's sausages.
    """
    n_arcs, n = len(source), len(reference)
    for q in range(1, n + 1):
        distance[0, q] = distance[0, q - 1] + difference(0, reference[q - 1])
    for i in range(n_arcs):
        s, t, w = source[i], target[i], word[i]
        for q in range(n + 1):
            d = distance[s, q] + difference(w, 0) + (1e-5 if w != 0 else 0.0)
            if q > 0:
                d = min(d, distance[s, q - 1] + difference(w, reference[q - 1]))
                d = min(d, by_arc[i, q - 1] + difference(0, reference[q - 1]))
            by_arc[i, q] = d
            distance[t, q] += share[i] * d
    weight[n_states - 1, n] = 1.0
    for i in range(n_arcs - 1, -1, -1):
        s, t, w = source[i], target[i], word[i]
        carried = 0.0
        for q in range(n, -1, -1):
            carried += share[i] * weight[t, q]
            if carried == 0.0:
                continue
            alone = distance[s, q] + difference(w, 0) + (1e-5 if w != 0 else 0.0)
            both = distance[s, q - 1] + difference(w, reference[q - 1]) if q > 0 else np.inf
            skipped = by_arc[i, q - 1] + difference(0, reference[q - 1]) if q > 0 else np.inf
            if both <= alone and both <= skipped:
                found[i, q - 1] += carried
                weight[s, q - 1] += carried
                carried = 0.0
            elif alone <= skipped:
                weight[s, q] += carried
                carried = 0.0
            else:
                found[n_arcs, q - 1] += carried
    carried = 0.0
    for q in range(n, 0, -1):
        carried += weight[0, q]
        found[n_arcs, q - 1] += carried


@kernel("int64(Array(int32, 1, 'A', readonly=True), Array(int32, 1, 'A', readonly=True), int64[::1])")
def edit_distance(first, second, row):
    """Levenshtein's distance of two sequences.

    Args:
        row: scratch, len(second) + 1.
    """
    for j in range(len(second) + 1):
        row[j] = j
    for i in range(len(first)):
        diagonal = row[0]
        row[0] = i + 1
        for j in range(len(second)):
            best = min(diagonal + (first[i] != second[j]), row[j] + 1, row[j + 1] + 1)
            diagonal = row[j + 1]
            row[j + 1] = best
    return row[len(second)]


@subkernel
def next_history(history, word, ids, floor, first_child, last_word, suffix, log_probs, back_offs, states):
    """What a lattice's word costs after a history of a model, and the history that follows; a history below 0 stays."""
    if history < 0:
        return 0.0, history
    score, node = follow(history, ids[word], first_child, last_word, suffix, log_probs, back_offs)
    return max(score, floor), states[node]


@subkernel
def hashed(a, b, c):
    """A number that three numbers seldom share with others."""
    mixed = (a * 0x9E3779B1) ^ (b * 0x85EBCA77) ^ (c * 0x27D4EB2F)
    return mixed ^ (mixed >> 15)


NODES = "Array(int32, 1, 'C', readonly=True)"
DOUBLES = "Array(float64, 1, 'C', readonly=True)"
MODEL = f"Tuple(({NODES}, float64, {NODES}, {NODES}, {NODES}, {DOUBLES}, {DOUBLES}, {NODES}))"


@kernel(
    f"int64({INTS}, {INTS}, {INTS}, {FLOATS}, {MODEL}, {MODEL}, int64, int64, int32[::1], int32[::1], int32[::1],"
    " int32[::1], int32[::1], int32[::1], int32[::1], int32[::1], int32[::1], float64[::1], int64[::1])"
)
def rescore(
    target, olabel, first, graph, new, old, new_start, old_start, table, latest, earlier, state, new_history,
    old_history, arc, arc_source, arc_target, arc_graph, counts,
):  # fmt: skip
    """Compose a lattice with the histories of one n-gram model, and of another whose costs are taken out.

    Args:
        first: (n_states + 1,), of each state's arcs.
        new, old: ids of the lattice's words, least log probability, the arrays of a model, and `NgramModel.states`.
        new_start, old_start: histories; -1 for no model.
        table: of -1, a power of 2, more than there is room for pairs: where the pairs are.
        latest: (n_states,) of -1: the latest pair of a state and histories; `earlier` has the one before it.
        state, new_history, old_history: of each pair.
        arc, arc_source, arc_target, arc_graph: of each arc of the result: the lattice's arc, two pairs, graph cost.
        counts: filled: pairs, arcs.

    Returns:
        0; -1 where there is no room for pairs, -2 for arcs.
    """
    n_pairs, n = 1, 0
    state[0], new_history[0], old_history[0], earlier[0], latest[0] = 0, new_start, old_start, -1, 0
    for s in range(len(first) - 1):
        pair = latest[s]
        while pair >= 0:
            for i in range(first[s], first[s + 1]):
                after, behind, cost = new_history[pair], old_history[pair], graph[i]
                if olabel[i] != 0:
                    gained, after = next_history(after, olabel[i], *new)
                    lost, behind = next_history(behind, olabel[i], *old)
                    cost += lost - gained
                t = target[i]
                place = hashed(t, after, behind) & (len(table) - 1)
                found = table[place]
                while found >= 0 and (state[found] != t or new_history[found] != after or old_history[found] != behind):
                    place = (place + 1) & (len(table) - 1)
                    found = table[place]
                if found < 0:
                    if n_pairs == len(state):
                        return -1
                    found = table[place] = n_pairs
                    state[found], new_history[found], old_history[found] = t, after, behind
                    earlier[found], latest[t] = latest[t], found
                    n_pairs += 1
                if n == len(arc):
                    return -2
                arc[n], arc_source[n], arc_target[n], arc_graph[n] = i, pair, found, cost
                n += 1
            pair = earlier[pair]
    counts[0], counts[1] = n_pairs, n
    return 0
