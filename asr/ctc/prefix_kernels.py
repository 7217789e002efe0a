"""The compiled steps of the CTC prefix beam search.

A hypothesis is a column of two arrays: its scores (rows BOTH to LM) and its links (rows NODE to STATE). `active_*` hold
those of the frame before, of which only BOTH to PRIOR and NODE count; `pool_*` collect those of the frame in progress,
twice as many, and are cut to the beam whenever they are full. In the pool, TOKEN is 0 and NODE the prefix' own node
where the tree has that; otherwise NODE is the parent's, and TOKEN, STATE and LM say what the new node will hold.

`tree` has a column for each prefix met in this utterance, node 0 for the empty one: its parent, its last token, its
language model state, and where it is among the active ones, if it is one: `active_links[NODE, tree[SLOT, n]] == n`
tells, so that nothing has to be cleared. `tree_lm` is the language model's log probability of the prefix. `table` finds
a child by parent and token: nodes in open addressing, 0 for none.

All scores are natural logs, float64.
"""

import numpy as np

from ..jit import kernel, subkernel
from ..lm.kernels import follow

# Rows of a hypothesis' scores: of all its paths, of those that end in a blank, of those that end in its last token;
# what model and bonus add to BOTH; the sum of these two; the model's log probability without its weight.
BOTH, BLANK, LAST, PRIOR, TOTAL, LM, N_SCORES = 0, 1, 2, 3, 4, 5, 6
NODE, TOKEN, STATE, N_LINKS = 0, 1, 2, 3
PARENT, LABEL, LM_STATE, SLOT, N_TREE = 0, 1, 2, 3, 4
# Positions in the registers and in the settings.
N_ACTIVE, N_NODES, FRAME, N_REGISTERS = 0, 1, 2, 3
BEAM, WEIGHT, BONUS, N_SETTINGS = 0, 1, 2, 3
DONE, FULL = 0, 1  # what `advance` reports

MATRIX = "Array(float32, 2, 'C', readonly=True)"
MODEL = "int32[::1], int32[::1], int32[::1], int32[::1], float64[::1], float64[::1]"
HYPOTHESES = "float64[:, ::1], int32[:, ::1]"
TREE = "int32[:, ::1], float64[::1], int32[::1]"


@subkernel
def log_add(x, y):
    """log(exp(x) + exp(y)); where one of them is below the other's last digit, the other."""
    high = max(x, y)
    difference = min(x, y) - high
    # exp(-37) is below half the last digit of 1 in float64: the sum would be `high`.
    if difference > -37.0:  # False for NaN, too: both are -inf
        return high + np.log1p(np.exp(difference))
    return high


@subkernel
def nth_largest(values, n, rank):
    """The value that exactly `rank` of the first n would precede if sorted downwards; they change places. (Hoare.)"""
    low = 0
    high = n - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i = low
        j = high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                swapped = values[i]
                values[i] = values[j]
                values[j] = swapped
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return values[rank]


@subkernel
def place_of(parent, token, tree, table):
    """Where the table has the child of a prefix by a token, or where it would have it."""
    mask = table.shape[0] - 1
    # Two odd multipliers spread neighbouring prefixes and tokens over the table; collisions go to the next place.
    place = parent * 0x9E3779B1 + token * 0x85EBCA77
    place = (place ^ (place >> 15)) & mask
    while True:
        node = table[place]
        if node == 0 or (tree[PARENT, node] == parent and tree[LABEL, node] == token):
            return place
        place = (place + 1) & mask


@subkernel
def choose_tokens(line, bound, most, chosen, values, scratch):
    """The tokens of a frame above a bound, at most the `most` likeliest, likeliest first; returns their number."""
    n = 0
    for c in range(1, line.shape[0]):
        if line[c] > bound:
            chosen[n] = c
            values[n] = line[c]
            n += 1
    if n > most:
        for k in range(n):
            scratch[k] = values[k]
        # Only as many as are kept get sorted; of tokens exactly as likely as the last one the first come in.
        least = nth_largest(scratch, n, most - 1)
        equals = most  # how many tokens exactly as likely as the last one there is room for
        for k in range(n):
            if values[k] > least:
                equals -= 1
        m = 0
        for k in range(n):
            if values[k] > least or (values[k] == least and equals > 0):
                if values[k] == least:
                    equals -= 1
                chosen[m] = chosen[k]
                values[m] = values[k]
                m += 1
        n = m
    gap = 1
    while gap < n // 3:
        gap = 3 * gap + 1
    while gap > 0:  # Shell's sort: nearly always there are few
        for k in range(gap, n):
            value = values[k]
            token = chosen[k]
            j = k
            while j >= gap and values[j - gap] < value:
                values[j] = values[j - gap]
                chosen[j] = chosen[j - gap]
                j -= gap
            values[j] = value
            chosen[j] = token
        gap //= 3
    return n


@subkernel
def stay(line, n, active_scores, active_links, tree, pool_scores, pool_links):
    """Put the active prefixes into the pool with the paths that add no token, and those from active parents that do."""
    m = 0
    for i in range(n):
        node = active_links[NODE, i]
        token = tree[LABEL, node]
        # Without a new token: a blank after anything, or the last token once more after itself.
        blank = active_scores[BOTH, i] + line[0]
        last = active_scores[LAST, i] + line[token]
        if node != 0:
            parent = tree[PARENT, node]
            # The parent and this token make this prefix as well. Added here, as both are known here; `advance` leaves
            # it out then.
            s = tree[SLOT, parent]
            if s < n and active_links[NODE, s] == parent:
                # Between two of the same token there is a blank.
                before = active_scores[BLANK if tree[LABEL, parent] == token else BOTH, s]
                last = log_add(last, before + line[token])
        both = log_add(blank, last)
        # What has become impossible would stay so for ever.
        total = both + active_scores[PRIOR, i]
        if total > -np.inf:
            pool_scores[BOTH, m] = both
            pool_scores[BLANK, m] = blank
            pool_scores[LAST, m] = last
            pool_scores[PRIOR, m] = active_scores[PRIOR, i]
            pool_scores[TOTAL, m] = total
            pool_links[NODE, m] = node
            pool_links[TOKEN, m] = 0
            m += 1
    return m


@subkernel
def shrink(m, kept, pool_scores, pool_links, scratch):
    """Keep the best of the m hypotheses in the pool, in their order; returns the lowest score among them."""
    for j in range(m):
        scratch[j] = pool_scores[TOTAL, j]
    # A threshold instead of a sort; among equals at the threshold the earliest stay, so that results repeat.
    cut = nth_largest(scratch, m, kept - 1)
    equals = kept
    for j in range(m):
        if pool_scores[TOTAL, j] > cut:
            equals -= 1
    k = 0
    for j in range(m):
        total = pool_scores[TOTAL, j]
        if total > cut or (total == cut and equals > 0):
            if total == cut:
                equals -= 1
            if k != j:
                for row in range(N_SCORES):
                    pool_scores[row, k] = pool_scores[row, j]
                for row in range(N_LINKS):
                    pool_links[row, k] = pool_links[row, j]
            k += 1
    return cut


@subkernel
def install(m, limit, active_scores, active_links, tree, tree_lm, table, pool_scores, pool_links, registers):
    """Make the m hypotheses of the pool the active ones, without those below the limit; new prefixes get nodes."""
    n = 0
    for j in range(m):
        if pool_scores[TOTAL, j] >= limit:
            node = pool_links[NODE, j]
            token = pool_links[TOKEN, j]
            # Only prefixes that stayed in the beam get a node: the pool is far larger.
            if token != 0:
                parent = node
                node = registers[N_NODES]
                registers[N_NODES] = node + 1
                table[place_of(parent, token, tree, table)] = node
                tree[PARENT, node] = parent
                tree[LABEL, node] = token
                tree[LM_STATE, node] = pool_links[STATE, j]
                tree_lm[node] = pool_scores[LM, j]
            tree[SLOT, node] = n
            active_links[NODE, n] = node
            active_scores[BOTH, n] = pool_scores[BOTH, j]
            active_scores[BLANK, n] = pool_scores[BLANK, j]
            active_scores[LAST, n] = pool_scores[LAST, j]
            active_scores[PRIOR, n] = pool_scores[PRIOR, j]
            n += 1
    registers[N_ACTIVE] = n


@kernel(
    f"int64({MATRIX}, int64, int64, float64[::1], int64[::1], {HYPOTHESES}, {HYPOTHESES}, {TREE}, int32[::1],"
    f" float64[:, ::1], int32[::1], {MODEL})"
)
def advance(
    log_probs, beam_size, most_tokens, settings, registers, active_scores, active_links, pool_scores, pool_links,
    tree, tree_lm, table, chosen, values, words, first_child, last_word, suffix, state_of, lm_log_probs, back_offs,
):  # fmt: skip
    """Search on from frame registers[FRAME]; FULL where the tree has no room for another frame's prefixes.

    `cut`: what a new prefix has to be above: the least of the beam where the pool has a whole beam of better ones, and
    what lies within the beam of the best. As language models only take away, most pairs of prefix and token fail
    before the model is asked, in most frames all.

    Args:
        values: scratch, (2, the larger of tokens and pool).
    """
    beam, weight, bonus = settings[BEAM], settings[WEIGHT], settings[BONUS]
    room = pool_scores.shape[1]
    for t in range(registers[FRAME], log_probs.shape[0]):
        registers[FRAME] = t
        if registers[N_NODES] + beam_size > tree.shape[1]:
            return FULL
        line = log_probs[t]
        n = registers[N_ACTIVE]
        m = stay(line, n, active_scores, active_links, tree, pool_scores, pool_links)
        # best: of the pool, which the beam hangs on. highest: of the frame before, which bounds all extensions.
        best = highest = -np.inf
        cut = np.inf
        for j in range(m):
            best = max(best, pool_scores[TOTAL, j])
            cut = min(cut, pool_scores[TOTAL, j])
        for i in range(n):
            highest = max(highest, active_scores[BOTH, i] + active_scores[PRIOR, i])
        cut = max(cut if m == beam_size else -np.inf, best - beam)
        # A token with which not even the best prefix passes the cut passes it with none.
        n_chosen = choose_tokens(line, cut - highest - bonus, most_tokens, chosen, values[0], values[1])
        for i in range(n if n_chosen > 0 else 0):
            node = active_links[NODE, i]
            prior = active_scores[PRIOR, i] + bonus
            before = active_scores[BOTH, i] + prior
            label = tree[LABEL, node]
            for k in range(n_chosen):
                # Tokens are sorted: the less likely ones fail as well.
                if before + values[0, k] <= cut:
                    break
                token = chosen[k]
                # Paths that end in the same token would go on with it: only those with a blank behind it begin it anew.
                both = active_scores[BLANK if token == label else BOTH, i] + values[0, k]
                if both + prior <= cut:
                    continue
                child = table[place_of(node, token, tree, table)]
                state = 0
                lm = 0.0
                if child != 0:
                    s = tree[SLOT, child]
                    if s < n and active_links[NODE, s] == child:
                        continue  # it is in the pool, this path included: see `stay`
                    lm = tree_lm[child]
                elif weight > 0.0:
                    lm, state = follow(
                        tree[LM_STATE, node], words[token], first_child, last_word, suffix, lm_log_probs, back_offs
                    )
                    state = state_of[state]
                    lm += tree_lm[node]
                added = prior
                if weight > 0.0:
                    added += weight * (lm - tree_lm[node])
                total = both + added
                if total <= cut:
                    continue
                # The pool is cut only when it is full, twice the beam: each cut then serves many extensions.
                if m == room:
                    cut = max(cut, shrink(m, beam_size, pool_scores, pool_links, values[1]))
                    m = beam_size
                    if total <= cut:
                        continue
                # All paths of a new prefix end in its token; none in a blank yet.
                pool_scores[BOTH, m] = pool_scores[LAST, m] = both
                pool_scores[BLANK, m] = -np.inf
                pool_scores[PRIOR, m] = added
                pool_scores[TOTAL, m] = total
                pool_scores[LM, m] = lm
                pool_links[NODE, m] = node if child == 0 else child
                pool_links[TOKEN, m] = token if child == 0 else 0
                pool_links[STATE, m] = state
                m += 1
                if total > best:
                    best = total
                    cut = max(cut, best - beam)
        if m > beam_size:
            shrink(m, beam_size, pool_scores, pool_links, values[1])
            m = beam_size
        # While the pool filled, `best` rose: what now lies outside the beam goes.
        install(m, best - beam, active_scores, active_links, tree, tree_lm, table, pool_scores, pool_links, registers)
    registers[FRAME] = log_probs.shape[0]
    return DONE


@kernel("void(int64, int32[:, ::1], int32[::1])")
def fill_table(n_nodes, tree, table):
    """Put the nodes of a tree into an empty table."""
    for node in range(1, n_nodes):
        table[place_of(tree[PARENT, node], tree[LABEL, node], tree, table)] = node


@kernel(f"void(int64, int64, float64, float64[:, ::1], int32[:, ::1], int32[:, ::1], float64[::1], {MODEL})")
def end_sentences(
    n, end_word, weight, active_scores, active_links, tree, tree_lm, first_child, last_word, suffix, state_of,
    log_probs, back_offs,
):  # fmt: skip
    """Make the TOTAL and the LM of the active prefixes those of whole sentences."""
    for i in range(n):
        node = active_links[NODE, i]
        # The end of the sentence is a word of the language model, without a token of its own.
        gain = 0.0
        if weight > 0.0:
            gain, _ = follow(tree[LM_STATE, node], end_word, first_child, last_word, suffix, log_probs, back_offs)
        active_scores[LM, i] = tree_lm[node] + gain
        active_scores[TOTAL, i] = active_scores[BOTH, i] + active_scores[PRIOR, i]
        if weight > 0.0:
            active_scores[TOTAL, i] += weight * gain


@kernel(f"void({MATRIX}, int32[::1], int8[:, ::1], float64[::1], int32[::1])")
def first_frames(log_probs, tokens, steps, scores, frames):
    """The frame in which each token begins on the likeliest path that writes these tokens (Viterbi).

    The places of a path are: blank, first token, blank, second token ... blank.

    Args:
        steps: scratch (n_frames, n_places), how many places a path came from.
        scores: scratch (n_places,).
    """
    n_places = 2 * tokens.shape[0] + 1
    n_frames = log_probs.shape[0]
    scores[:] = -np.inf
    scores[0] = 0.0
    for t in range(n_frames):
        # From places further back the end is out of reach.
        for s in range(min(n_places - 1, 2 * t + 1), max(-1, n_places - 3 - 2 * (n_frames - 1 - t)), -1):
            best = scores[s]
            step = 0
            if s > 0 and scores[s - 1] > best:
                best = scores[s - 1]
                step = 1
            if s > 1 and s % 2 == 1 and scores[s - 2] > best and tokens[s // 2] != tokens[s // 2 - 1]:
                best = scores[s - 2]
                step = 2
            scores[s] = best + log_probs[t, tokens[s // 2] if s % 2 == 1 else 0]
            steps[t, s] = step
    s = n_places - 1
    if s > 0 and scores[s - 1] > scores[s]:
        s -= 1
    for t in range(n_frames - 1, -1, -1):
        if s % 2 == 1 and steps[t, s] > 0:
            frames[s // 2] = t
        s -= steps[t, s]
