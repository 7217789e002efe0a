"""The compiled steps of counting: text to ids, windows of words as numbers to be sorted, and counts of all orders."""

import numpy as np

from ..jit import kernel
from .names import BYTES, hash_of, mark_of, slot_of
from .trie_kernels import INTS
from .vocabulary import END_ID, START_ID

_NEWLINE = 10
PLACE, N_IDS, N_NAMES, N_BYTES = range(4)  # registers of `tokenise`
DONE, FULL, MARKS = range(3)  # how it ends
NOTHING = -1  # stands for the words before the beginning of a sentence


@kernel(f"int64({BYTES}, uint8[::1], int64[::1], int64[:, ::1], boolean, boolean, int64[::1], int32[::1])")
def tokenise(text, pool, starts, slots, grows, has_ids, registers, ids):
    """Put the ids of the words of some lines one after the other, each sentence between those of `<s>` and `</s>`.

    Args:
        text: whole lines.
        pool: the words known by now, with starts and slots a `NameTable` with room for more.
        starts: see `pool`.
        slots: see `pool`.
        grows: whether other words become known; if not, their id is 0.
        has_ids: whether the first word of each line is left out.
        registers: int64 (4,): the byte to begin with, and how many ids, words and bytes of words there are by now.
        ids: to be filled.

    Returns:
        DONE; FULL where the table needs more room, before a line; MARKS where a line holds `<s>` or `</s>` inside.
    """
    place, n_names, n_bytes = registers[PLACE], registers[N_NAMES], registers[N_BYTES]
    while place < len(text):
        line, first = place, registers[N_IDS]
        ids[first] = START_ID
        n, n_seen = first + 1, 0
        while place < len(text) and text[place] != _NEWLINE:
            byte = text[place]
            if byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31:  # what str.split takes for blanks
                place += 1
                continue
            start = place
            while place < len(text) and not (text[place] == 32 or 9 <= text[place] <= 13 or 28 <= text[place] <= 31):
                place += 1
            n_seen += 1
            if has_ids and n_seen == 1:
                continue
            mark = mark_of(text, start, place)
            hashed = hash_of(text, start, place, mark)
            slot = slot_of(text, start, place, mark, hashed, pool, starts, slots)
            found = slots[slot, 1]
            if found < 0 and grows:
                length = place - start
                if 2 * (n_names + 1) > len(slots) or n_names + 2 > len(starts) or n_bytes + length > len(pool):
                    registers[PLACE], registers[N_NAMES], registers[N_BYTES] = line, n_names, n_bytes
                    return FULL
                for i in range(length):
                    pool[n_bytes + i] = text[start + i]
                found = n_names
                n_bytes, n_names = n_bytes + length, n_names + 1
                starts[n_names] = n_bytes
                slots[slot, 0], slots[slot, 1] = mark, found
            ids[n] = max(found, 0)
            n += 1
        place += 1
        if n_seen == 0:
            continue
        if n > first + 1 and ids[first + 1] == START_ID:  # the marks of a sentence may be there
            for i in range(first + 1, n - 1):
                ids[i] = ids[i + 1]
            n -= 1
        if n > first + 1 and ids[n - 1] == END_ID:
            n -= 1
        for i in range(first + 1, n):
            if ids[i] == START_ID or ids[i] == END_ID:
                registers[PLACE] = line
                return MARKS
        ids[n] = END_ID
        registers[N_IDS] = n + 1
    registers[PLACE], registers[N_NAMES], registers[N_BYTES] = place, n_names, n_bytes
    return DONE


@kernel(f"int64({INTS}, int64, int64[::1])")
def count_words(ids, so_far, counts):
    """Add the numbers of the words; returns the longest sentence, its marks included, or `so_far` if that is longer.

    Blocks of ids end with a sentence.
    """
    length = 0
    for i in range(len(ids)):
        counts[ids[i]] += 1
        length = 1 if ids[i] == START_ID else length + 1
        so_far = max(so_far, length)
    return so_far


@kernel(f"void({INTS}, {INTS}, int64, {INTS}, int64, int64, int64[::1], uint64[::1])")
def pack_windows(ids, bucket_of, first_bucket, lowest, order, n_bits, cursors, keys):
    """Put the window of words that ends at each word, as one number, into the bucket of the word.

    Args:
        ids: of whole sentences.
        bucket_of: of each word.
        first_bucket: of those that are filled; there are as many as `cursors`.
        lowest: the smallest word of each of these buckets.
        order: words of a window: the last one, less its bucket's smallest, in the highest bits, and those before it,
            each plus 1, down to the lowest; 0 stands for those before the sentence.
        n_bits: for a word.
        cursors: where each bucket is to be filled; moved on.
        keys: to be filled.
    """
    for i in range(len(ids)):
        bucket = bucket_of[ids[i]] - first_bucket
        if ids[i] == START_ID or bucket < 0 or bucket >= len(cursors):
            continue
        key, begun = np.uint64(ids[i] - lowest[bucket]), False
        for back in range(1, order):
            before = np.uint64(0) if begun else np.uint64(ids[i - back] + 1)
            begun = begun or ids[i - back] == START_ID
            key = (key << np.uint64(n_bits)) | before
        keys[cursors[bucket]] = key
        cursors[bucket] += 1


@kernel(f"void({INTS}, {INTS}, int64, int64[::1], int32[:, ::1])")
def copy_windows(ids, bucket_of, first_bucket, cursors, windows):
    """The same with windows too long for one number: rows of words, the last one first, and NOTHING."""
    for i in range(len(ids)):
        bucket = bucket_of[ids[i]] - first_bucket
        if ids[i] == START_ID or bucket < 0 or bucket >= len(cursors):
            continue
        row, begun = cursors[bucket], False
        for back in range(windows.shape[1]):
            windows[row, back] = NOTHING if begun else ids[i - back]
            begun = begun or ids[i - back] == START_ID
        cursors[bucket] += 1


@kernel("int64(uint64[::1], int64[::1])")
def count_equal(keys, counts):
    """Keep one of equal neighbours, at the beginning of `keys`, and fill how many there were; returns their number."""
    n = 0
    for i in range(len(keys)):
        if n and keys[n - 1] == keys[i]:
            counts[n - 1] += 1
        else:
            keys[n], counts[n] = keys[i], 1
            n += 1
    return n


@kernel("void(uint64[::1], int64, int64, int32[:, ::1])")
def unpack_windows(keys, lowest, n_bits, rows):
    """The rows of words, the last one first, of what `pack_windows` packed."""
    order = rows.shape[1]
    mask = (np.uint64(1) << np.uint64(n_bits)) - np.uint64(1)
    for i in range(len(keys)):
        key = keys[i]
        for back in range(order - 1, 0, -1):
            rows[i, back] = np.int32(np.int64(key & mask) - 1)
            key >>= np.uint64(n_bits)
        rows[i, 0] = np.int32(np.int64(key) + lowest)


@kernel(
    "void(int32[:, ::1], int64[::1], int64[::1], boolean, int64[:, ::1], int64[:, ::1], int64[:, ::1], int32[::1],"
    " int32[::1], int32[::1], int32[::1], int32[::1])"
)
def count_endings(
    rows, counts, cutoffs, fills, single, classes, cursors, kept, raw, adjusted, cut, cut_adjusted
):  # fmt: skip
    """The counts of all endings of some windows: n-grams of each order.

    Args:
        rows: int32 (n, order): windows, no two the same, sorted; the last word first, NOTHING before a sentence.
        counts: how often each comes.
        cutoffs: by order, from 0: n-grams that come so often or less are cut.
        fills: whether the arrays below are filled; if not, `cursors` count their sizes, and `classes` are counted.
        single: int64 (n_words, 2): to be filled with count and adjusted count of single words.
        classes: int64 (order + 1, 5): how many n-grams of each order have an adjusted count of 1, 2, 3 and 4.
        cursors: int64 (order + 1, 2): of each order from 2, where the next one is put that is kept, or cut.
        kept: rows whose first words are n-grams that are kept.
        raw: their counts.
        adjusted: their adjusted counts.
        cut: rows whose first words are n-grams that are cut, below the highest order.
        cut_adjusted: their adjusted counts.

    The adjusted count is that of different words before an n-gram; of one that begins with `<s>`, and of the highest
    order, the count itself.
    """
    n, order = rows.shape
    first, total = np.zeros(order + 1, np.int64), np.zeros(order + 1, np.int64)
    before = np.zeros(order + 2, np.int64)  # different words before the open n-gram of each order
    depth = 0  # the order of the longest open n-gram
    for i in range(n + 1):
        common, length = 0, 0
        if i < n:
            while i and common < depth and rows[i, common] == rows[i - 1, common]:
                common += 1
            length = common
            while length < order and rows[i, length] != NOTHING:
                length += 1
        for k in range(depth, common, -1):  # these end here
            row, count = first[k], total[k]
            number = count if k == order or rows[row, k - 1] == START_ID else before[k]
            if k == 1:
                single[rows[row, 0], 0], single[rows[row, 0], 1] = count, number
            if not fills and number < 5:
                classes[k, number] += 1
            if k == 1:
                continue
            if count > cutoffs[k]:
                if fills:
                    place = cursors[k, 0]
                    kept[place], raw[place], adjusted[place] = row, count, number
                cursors[k, 0] += 1
            elif k < order:
                if fills:
                    cut[cursors[k, 1]], cut_adjusted[cursors[k, 1]] = row, number
                cursors[k, 1] += 1
        for k in range(common + 1, length + 1):  # and these begin
            first[k], total[k], before[k] = i, 0, 0
            before[k - 1] += 1
        depth = length
        for k in range(1, depth + 1):
            total[k] += counts[i]


@kernel(f"void({INTS}, Array(int32, 1, 'A', readonly=True), int64[::1])")
def add_at(nodes, numbers, sums):
    """Add numbers to the sums of nodes; those of node -1 are left out."""
    for i in range(len(nodes)):
        if nodes[i] >= 0:
            sums[nodes[i]] += numbers[i]
