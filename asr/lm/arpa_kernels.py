"""The compiled steps of reading and writing ARPA files."""

import math

import numpy as np

from ..jit import kernel, subkernel
from .names import BYTES, TABLE, hash_of, mark_of, same_bytes, slot_of
from .trie_kernels import DOUBLES, INTS

_TENS = np.array([10.0**i for i in range(23)])  # those that are exact
_LEAST = 1e-300  # what is less is written as 0
_MOST_DIGITS = np.int64(10**17)
_AT_ONCE = 256  # words that are looked up together
_SEEN = 1 << 14  # short words that are remembered: most of any text, and they fit into a fast memory
_AS_ABOVE = -2  # stands for the id of the word above, until that is known
NEWLINE, BLANK, TAB, RETURN = 10, 32, 9, 13


@subkernel
def is_blank(byte):
    """Whether a byte separates fields, as bytes.split has it."""
    return byte <= BLANK and (byte == BLANK or TAB <= byte <= RETURN)


@subkernel
def number(text, first, end):
    """The number that some bytes are, exactly as float() has it; NaN where that is to be asked."""
    place, negative = first, text[first] == 45
    if negative or text[first] == 43:
        place += 1
    mantissa, scale, n_digits = np.int64(0), 0, 0
    while place < end and 48 <= text[place] <= 57:
        mantissa, n_digits, place = mantissa * 10 + np.int64(text[place] - 48), n_digits + 1, place + 1
        if mantissa > _MOST_DIGITS:
            return math.nan
    if place < end and text[place] == 46:
        place += 1
        while place < end and 48 <= text[place] <= 57:
            mantissa, n_digits, place = mantissa * 10 + np.int64(text[place] - 48), n_digits + 1, place + 1
            scale -= 1
            if mantissa > _MOST_DIGITS:
                return math.nan
    if n_digits == 0:
        return math.nan
    if place < end and (text[place] | 32) == 101:
        place += 1
        down = place < end and text[place] == 45
        if place < end and (text[place] == 45 or text[place] == 43):
            place += 1
        if place == end:
            return math.nan
        power = 0
        while place < end and 48 <= text[place] <= 57 and power < 1000:
            power, place = power * 10 + np.int64(text[place] - 48), place + 1
        scale += -power if down else power
    # A whole number below 2 ** 53 times or over an exact power of ten is rounded once.
    if place < end or mantissa >= np.int64(1) << 53 or not -22 <= scale <= 22:
        return math.nan
    value = mantissa / _TENS[-scale] if scale < 0 else mantissa * _TENS[scale]
    return -value if negative else value


@kernel(f"int64({BYTES}, int64, int64)")
def count_lines(text, first, end):
    """How many of the lines between two bytes hold more than blanks."""
    # Nearly all lines begin with what is none; these are counted many at once.
    count, n_others = np.int64(first < end and text[first] > BLANK), np.int64(first < end and text[first] <= BLANK)
    for place in range(first + 1, end):
        begins = text[place - 1] == NEWLINE
        count += np.int64(begins & (text[place] > BLANK))
        n_others += np.int64(begins & (text[place] <= BLANK) & (text[place] != NEWLINE))
    if n_others == 0:
        return count
    count, seen = 0, False
    for place in range(first, end):
        if text[place] == NEWLINE:
            count += seen
            seen = False
        elif not seen:
            seen = not is_blank(text[place])
    return count + seen


@subkernel
def _look_up(text, wanted, hashes, pool, starts, slots, ids, grams, done, row, recent):
    """Put the ids of the words that wait into the rows from one up to another; False where there is an unknown one.

    Many at once, so that the processor fetches them from memory side by side.
    """
    order = grams.shape[1]
    for i in range(len(wanted)):
        slot = slot_of(text, wanted[i, 1], wanted[i, 2], wanted[i, 3], hashes[i], pool, starts, slots)
        found = slots[slot, 1]
        if found < 0:
            return False
        grams[wanted[i, 0] // order, wanted[i, 0] % order] = ids[found]
        seen = np.int64(hashes[i] & np.uint64(_SEEN - 1))
        recent[seen, 0], recent[seen, 1] = wanted[i, 3], ids[found]
    for i in range(done, row):
        for k in range(order):
            if grams[i, k] == _AS_ABOVE:
                grams[i, k] = grams[i - 1, k]
    return True


@kernel(f"int64({BYTES}, int64, int64, {TABLE}, {INTS}, int32[:, ::1], float64[::1], float64[::1], int64[:, ::1])")
def parse_lines(text, first, end, pool, starts, slots, ids, grams, log_probs, back_offs, odd):
    """The n-grams of some lines.

    Args:
        text: the file.
        first: the byte where the lines begin.
        end: where they end.
        pool: the words as the file spells them, with starts and slots a `NameTable`.
        starts: see `pool`.
        slots: see `pool`.
        ids: of these words.
        grams: int32 (n, order): to be filled with word ids.
        log_probs: float64 (n,): to be filled.
        back_offs: float64 (n,): to be filled; 0 where there is none.
        odd: int64 (n, 2): to be filled with row and first byte of lines with numbers that float() is to be asked about.

    Returns:
        how many lines are odd, or -1 where one cannot be used.
    """
    order = grams.shape[1]
    row, n_odd, place = 0, 0, first
    begins, ends = np.zeros((2, order + 2), np.int64), np.zeros((2, order + 2), np.int64)  # of this line's fields
    now, before = 0, 1  # and of those of the line before
    wanted, n_wanted = np.empty((_AT_ONCE + order, 4), np.int64), 0  # place in grams, first byte, end, mark of words
    hashes = np.empty(_AT_ONCE + order, np.uint64)
    recent = np.zeros((_SEEN, 2), np.int64)  # mark and id of short words that came a moment ago
    done = 0  # rows whose words are looked up
    while place < end:
        line, n_fields = place, 0
        while True:
            while place < end and text[place] != NEWLINE and is_blank(text[place]):
                place += 1
            if place == end or text[place] == NEWLINE:
                break
            start = place
            while place < end and not is_blank(text[place]):
                place += 1
            if n_fields == order + 2:
                return -1
            begins[now, n_fields], ends[now, n_fields] = start, place
            n_fields += 1
        place += 1
        if n_fields == 0:
            continue
        if n_fields < order + 1:
            return -1
        for k in range(order):
            a, b, above = begins[now, k + 1], ends[now, k + 1], begins[before, k + 1]
            if row and ends[before, k + 1] - above == b - a and same_bytes(text, a, b, text, above):
                grams[row, k] = _AS_ABOVE
                continue
            mark = mark_of(text, a, b)
            hashed = hash_of(text, a, b, mark)
            seen = np.int64(hashed & np.uint64(_SEEN - 1))
            if b - a <= 7 and recent[seen, 0] == mark:
                grams[row, k] = recent[seen, 1]
            else:
                wanted[n_wanted, 0], wanted[n_wanted, 1], wanted[n_wanted, 2] = row * order + k, a, b
                wanted[n_wanted, 3], hashes[n_wanted] = mark, hashed
                n_wanted += 1
        log_probs[row] = number(text, begins[now, 0], ends[now, 0])
        has_weight = n_fields == order + 2
        back_offs[row] = number(text, begins[now, order + 1], ends[now, order + 1]) if has_weight else 0.0
        if math.isnan(log_probs[row]) or math.isnan(back_offs[row]):
            odd[n_odd, 0], odd[n_odd, 1] = row, line
            n_odd += 1
        now, before = before, now
        row += 1
        if n_wanted >= _AT_ONCE:
            if not _look_up(text, wanted[:n_wanted], hashes, pool, starts, slots, ids, grams, done, row, recent):
                return -1
            n_wanted, done = 0, row
    if not _look_up(text, wanted[:n_wanted], hashes, pool, starts, slots, ids, grams, done, row, recent):
        return -1
    return n_odd


@subkernel
def put_number(value, out, place):
    """Write a number with 7 digits, as format(value, ".7g") does. Returns where it ends."""
    if value < 0:
        out[place] = 45
        place += 1
        value = -value
    if not value < math.inf:
        for byte in (105, 110, 102):
            out[place] = byte
            place += 1
        return place
    if value < _LEAST:
        out[place] = 48
        return place + 1
    exponent = math.floor(math.log10(value))
    digits = _seven_digits(value, exponent)
    if digits < 1_000_000:
        exponent -= 1
        digits = _seven_digits(value, exponent)
    if digits >= 10_000_000:
        exponent += 1
        digits = _seven_digits(value, exponent)
    n_digits = 7
    while digits % 10 == 0:
        digits //= 10
        n_digits -= 1
    is_scientific = exponent < -4 or exponent >= 7
    point = 1 if is_scientific else exponent + 1  # digits before it
    if point <= 0:
        out[place], out[place + 1] = 48, 46
        place += 2
        for _ in range(-point):
            out[place] = 48
            place += 1
    length = max(n_digits, point)
    has_point = 0 < point < n_digits
    for i in range(length):  # from the last digit
        k = length - 1 - i
        digit = 0
        if k < n_digits:
            digit, digits = digits % 10, digits // 10
        out[place + k + (1 if has_point and k >= point else 0)] = 48 + digit
    if has_point:
        out[place + point] = 46
        place += 1
    place += length
    if is_scientific:
        out[place], out[place + 1] = 101, 45 if exponent < 0 else 43
        size = abs(exponent)
        place += 2
        if size >= 100:
            out[place] = 48 + size // 100
            place += 1
        out[place], out[place + 1] = 48 + size // 10 % 10, 48 + size % 10
        place += 2
    return place


@subkernel
def _seven_digits(value, exponent):
    """The first 7 digits of a number between 10 ** exponent and ten times that."""
    power = 6 - exponent
    if 0 <= power <= 22:
        scaled = value * _TENS[power]
    elif -22 <= power < 0:
        scaled = value / _TENS[-power]
    else:
        scaled = value * 10.0**power
    return int(np.rint(scaled))


@kernel(f"int64(int64, int64, int64, {INTS}, {INTS}, Array(int64, 1, 'C', readonly=True))")
def bytes_of_lines(first, stop, order, parent, word, starts):
    """How many bytes the lines of some nodes take at most."""
    total = 0
    for node in range(first, stop):
        above = node
        for _ in range(order):
            total += starts[word[above] + 1] - starts[word[above]]
            above = parent[above]
    return total + (stop - first) * (order + 36)


@kernel(
    f"int64(int64, int64, int64, {INTS}, {INTS}, {BYTES}, Array(int64, 1, 'C', readonly=True), {DOUBLES}, {DOUBLES}, "
    "Array(boolean, 1, 'C', readonly=True), uint8[::1])"
)
def put_lines(first, stop, order, parent, word, pool, starts, log_probs, back_offs, shown, out):
    """Write the lines of some nodes of one order.

    Args:
        first: the first node.
        stop: the first one that is none of them.
        order: of the n-grams.
        parent: of all nodes.
        word: of all nodes.
        pool: the words, one after the other.
        starts: where each begins, and the last one ends.
        log_probs: base 10, of nodes first ... stop - 1.
        back_offs: base 10, of the same.
        shown: whether a back-off weight is written, of the same.
        out: to be filled.

    Returns:
        the number of bytes.
    """
    place = 0
    words = np.empty(order, np.int64)
    for node in range(first, stop):
        above = node
        for k in range(order):
            words[order - 1 - k] = word[above]
            above = parent[above]
        place = put_number(log_probs[node - first], out, place)
        for k in range(order):
            out[place] = TAB if k == 0 else BLANK
            place += 1
            for i in range(starts[words[k]], starts[words[k] + 1]):
                out[place] = pool[i]
                place += 1
        if shown[node - first]:
            out[place] = TAB
            place = put_number(back_offs[node - first], out, place + 1)
        out[place] = NEWLINE
        place += 1
    return place
