"""The compiled steps of grapheme-to-phoneme conversion: cutting a lexicon, and searching a word's pronunciations.

An entry of n letters and m phones has (n + 1) (m + 1) cells, each with one slot for every size of chunk: the graphone
that ends there, after so many letters and phones, or -1. Entries lie one after the other.
"""

import numpy as np

from ...jit import kernel, subkernel
from ...lm.kernels import follow

IDS, SIZES = "int32[::1]", "int32[:, ::1]"
NONE, FULL = -1, -2  # what `search` reports instead of a token: no pronunciation, and too little room
# Positions in a search's columns of integers, by token, and by arc.
STATE, NEXT, BEST_ARC, FIRST_ARC = 0, 1, 2, 3
FROM, WORD, NEXT_ARC = 0, 1, 2


@kernel(f"void({IDS}, {IDS}, {IDS}, {IDS}, {SIZES}, int64[::1], int64[::1])")
def graphone_keys(letters, phones, n_letters, n_phones, sizes, n_names, keys):
    """Fill the slots of entries with keys of graphones: digits of the letters, 0 for none, then of the phones."""
    most_letters = most_phones = 0
    for c in range(sizes.shape[0]):
        most_letters = max(most_letters, sizes[c, 0])
        most_phones = max(most_phones, sizes[c, 1])
    letter = phone = slot = 0
    for word in range(n_letters.shape[0]):
        for i in range(n_letters[word] + 1):
            for j in range(n_phones[word] + 1):
                for c in range(sizes.shape[0]):
                    a = sizes[c, 0]
                    b = sizes[c, 1]
                    key = np.int64(-1)
                    if a <= i and b <= j:
                        key = np.int64(0)
                        for k in range(most_letters):
                            key = key * (n_names[0] + 1) + (letters[letter + i - a + k] + 1 if k < a else 0)
                        for k in range(most_phones):
                            key = key * (n_names[1] + 1) + (phones[phone + j - b + k] + 1 if k < b else 0)
                    keys[slot] = key
                    slot += 1
        letter += n_letters[word]
        phone += n_phones[word]


@subkernel
def log_add(x, y):
    """log(exp(x) + exp(y))."""
    high = max(x, y)
    if high == -np.inf:
        return high
    return high + np.log1p(np.exp(min(x, y) - high))


@kernel(f"void({IDS}, {IDS}, {IDS}, {SIZES}, float64[::1], float64[::1], float64[::1])")
def expected_counts(ids, n_letters, n_phones, sizes, log_probs, counts, totals):
    """Add to `counts` how often each graphone is expected in all entries; `totals` becomes their log probabilities."""
    most = 1
    for word in range(n_letters.shape[0]):
        most = max(most, (n_letters[word] + 1) * (n_phones[word] + 1))
    before = np.empty(most)
    after = np.empty(most)
    first = np.int64(0)
    n_sizes = sizes.shape[0]
    for word in range(n_letters.shape[0]):
        width = n_phones[word] + 1
        n_cells = (n_letters[word] + 1) * width
        for cell in range(n_cells):
            before[cell] = -np.inf if cell else 0.0
            after[cell] = -np.inf
            for c in range(n_sizes):
                g = ids[first + cell * n_sizes + c]
                if g >= 0:
                    before[cell] = log_add(
                        before[cell], before[cell - sizes[c, 0] * width - sizes[c, 1]] + log_probs[g]
                    )
        total = before[n_cells - 1]
        totals[word] = total
        if total > -np.inf:
            after[n_cells - 1] = 0.0
            for cell in range(n_cells - 1, -1, -1):
                if after[cell] > -np.inf and before[cell] > -np.inf:
                    for c in range(n_sizes):
                        g = ids[first + cell * n_sizes + c]
                        if g >= 0:
                            source = cell - sizes[c, 0] * width - sizes[c, 1]
                            score = log_probs[g] + after[cell]
                            after[source] = log_add(after[source], score)
                            counts[g] += np.exp(before[source] + score - total)
        first += n_cells * n_sizes


@kernel(f"void({IDS}, {IDS}, {IDS}, {SIZES}, float64[::1], {IDS}, {IDS})")
def best_cuts(ids, n_letters, n_phones, sizes, log_probs, cuts, lengths):
    """Write the graphones of each entry's likeliest cut one after the other, and their number, -1 for none."""
    most = 1
    for word in range(n_letters.shape[0]):
        most = max(most, (n_letters[word] + 1) * (n_phones[word] + 1))
    best = np.empty(most)
    choice = np.empty(most, np.int32)
    first = np.int64(0)
    end = 0
    n_sizes = sizes.shape[0]
    for word in range(n_letters.shape[0]):
        width = n_phones[word] + 1
        n_cells = (n_letters[word] + 1) * width
        for cell in range(n_cells):
            best[cell] = -np.inf if cell else 0.0
            choice[cell] = -1
            for c in range(n_sizes):
                g = ids[first + cell * n_sizes + c]
                if g >= 0:
                    score = best[cell - sizes[c, 0] * width - sizes[c, 1]] + log_probs[g]
                    if score > best[cell]:
                        best[cell] = score
                        choice[cell] = c
        cell = n_cells - 1
        if choice[cell] < 0:
            lengths[word] = -1
        else:
            n = 0
            while cell > 0:
                c = choice[cell]
                cuts[end + n] = ids[first + cell * n_sizes + c]
                cell -= sizes[c, 0] * width + sizes[c, 1]
                n += 1
            for k in range(n // 2):
                swapped = cuts[end + k]
                cuts[end + k] = cuts[end + n - 1 - k]
                cuts[end + n - 1 - k] = swapped
            lengths[word] = n
            end += n
        first += n_cells * n_sizes


@kernel(
    "int64(int32[:, :, ::1], int32[::1], int32[::1], int32[::1], int32[::1], int32[::1], float64[::1], float64[::1],"
    " int64, int64, float64, int32[:, ::1], float64[::1], int32[:, ::1], float64[::1], int32[::1], int32[:, ::1])"
)
def search(
    ranges,
    candidates,
    first_child,
    last_word,
    suffix,
    state_of,
    log_probs,
    back_offs,
    start,
    end_word,
    beam,
    tokens,
    scores,
    arcs,
    arc_scores,
    slots,
    slot_of,
):
    """Find the graphone sequences of a word: a lattice of tokens, one for each place in the word and history.

    Args:
        ranges: for each letter and each number of letters from it on, where its graphones lie in `candidates`.
        slots: the first token of each place.
        slot_of: the token of each history at the places in progress. Entries that earlier words have left are told by
            their tokens, which have other places.

    Returns:
        the token of the word's end, whose arcs come from tokens after the last letter; NONE, or FULL.
    """
    n = ranges.shape[0]
    most = ranges.shape[1]
    best_at = np.full(n + 1, -np.inf)
    place_of = np.empty(tokens.shape[0], np.int32)
    for i in range(n + 1):
        slots[i] = -1
    n_tokens = 1
    n_arcs = 0
    tokens[0, STATE] = start
    tokens[0, NEXT] = tokens[0, BEST_ARC] = tokens[0, FIRST_ARC] = -1
    place_of[0] = 0
    scores[0] = best_at[0] = 0.0
    slots[0] = 0
    for i in range(n):
        token = slots[i]
        while token >= 0:
            if scores[token] >= best_at[i] - beam:
                for k in range(min(most, n - i)):
                    j = i + k + 1
                    for c in range(ranges[i, k, 0], ranges[i, k, 1]):
                        gain, node = follow(
                            tokens[token, STATE], candidates[c], first_child, last_word, suffix, log_probs, back_offs
                        )
                        score = scores[token] + gain
                        if score == -np.inf or score < best_at[j] - beam:
                            continue
                        best_at[j] = max(best_at[j], score)
                        state = state_of[node]
                        target = slot_of[j % (most + 1), state]
                        if target >= n_tokens or place_of[target] != j or tokens[target, STATE] != state:
                            if n_tokens == tokens.shape[0]:
                                return FULL
                            target = n_tokens
                            n_tokens += 1
                            slot_of[j % (most + 1), state] = target
                            tokens[target, STATE] = state
                            tokens[target, NEXT] = slots[j]
                            tokens[target, FIRST_ARC] = -1
                            place_of[target] = j
                            scores[target] = -np.inf
                            slots[j] = target
                        if n_arcs == arcs.shape[0]:
                            return FULL
                        arcs[n_arcs, FROM] = token
                        arcs[n_arcs, WORD] = candidates[c]
                        arcs[n_arcs, NEXT_ARC] = tokens[target, FIRST_ARC]
                        arc_scores[n_arcs] = gain
                        tokens[target, FIRST_ARC] = n_arcs
                        if score > scores[target]:
                            scores[target] = score
                            tokens[target, BEST_ARC] = n_arcs
                        n_arcs += 1
            token = tokens[token, NEXT]
    if n_tokens == tokens.shape[0]:
        return FULL
    last = n_tokens
    tokens[last, STATE] = tokens[last, NEXT] = tokens[last, BEST_ARC] = tokens[last, FIRST_ARC] = -1
    scores[last] = -np.inf
    token = slots[n]
    while token >= 0:
        gain, _ = follow(tokens[token, STATE], end_word, first_child, last_word, suffix, log_probs, back_offs)
        if scores[token] + gain > -np.inf:
            if n_arcs == arcs.shape[0]:
                return FULL
            arcs[n_arcs, FROM] = token
            arcs[n_arcs, WORD] = end_word
            arcs[n_arcs, NEXT_ARC] = tokens[last, FIRST_ARC]
            arc_scores[n_arcs] = gain
            tokens[last, FIRST_ARC] = n_arcs
            if scores[token] + gain > scores[last]:
                scores[last] = scores[token] + gain
                tokens[last, BEST_ARC] = n_arcs
            n_arcs += 1
        token = tokens[token, NEXT]
    return last if tokens[last, FIRST_ARC] >= 0 else NONE
