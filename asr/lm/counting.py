"""How often each n-gram occurs in a text of any size.

A text is a row of word ids, each sentence between `<s>` and `</s>`. From the windows of `order` words that end at each
word, sorted from their last word back, all counts follow in one pass: equal windows, and equal endings of them, are
neighbours, and so are the different words before an n-gram, which Kneser-Ney smoothing counts. Windows are sorted in
buckets of last words, as many at once as memory allows; so the result is the same however much that is.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr
from ..errors import LanguageModelError
from ..processes import free_memory, n_cores
from . import counting_kernels as kernels
from .sorting import stable_order
from .spool import Spool
from .threads import in_order
from .trie import Trie
from .vocabulary import END_ID, START_ID, Sentence, Vocabulary, tokens_of

_KEY_BITS = 64
_BYTES_A_WINDOW = 40  # of a bucket that is counted, about; the keys of those that wait take 8 each


@dataclass(frozen=True, eq=False)
class Counts:
    """The n-grams of a text, from single words up to one order, with their numbers.

    Attributes:
        vocabulary: the words.
        trie: the n-grams; those at the start of a sentence begin with `<s>`, the last ones end in `</s>`.
        counts: int64 (n_nodes,): how often each occurs; for the empty n-gram, how many tokens there are but `<s>`.
        adjusted: int64 (n_nodes,): what Kneser-Ney smoothing counts: different words, `<s>` included, before each
            n-gram; for the highest order and at the start of a sentence occurrences.
        left_out: int64 (n_nodes,): the sum of the adjusted counts of those n-grams, one word longer, that begin with
            this one and were cut.
        classes: int64 (order + 1, 5): how many n-grams of each order have an adjusted count of 1, 2, 3 and 4, those
            that were cut included.
        cutoffs: by order, from 0.
    """

    vocabulary: Vocabulary
    trie: Trie
    counts: np.ndarray
    adjusted: np.ndarray
    left_out: np.ndarray
    classes: np.ndarray
    cutoffs: tuple[int, ...]

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def n_sentences(self) -> int:
        """How many sentences were counted."""
        return int(self.counts[1 + START_ID])


@dataclass(frozen=True)
class Means:
    """What counting may use; the counts do not depend on it.

    Attributes:
        memory: bytes, about, for what is sorted and for the text; None: half of what is free.
        folder: where temporary files lie, as large as the text; None: the system's folder for such files.
        n_threads: None: one on each core.
        progress: called with the part that is done, 0 to 1, now and then.
    """

    memory: int | None = None
    folder: str | os.PathLike[str] | None = None
    n_threads: int | None = None
    progress: Callable[[float], None] = field(default=lambda part: None)

    @property
    def bytes(self) -> int:
        """How much memory that is."""
        return self.memory if self.memory is not None else free_memory() // 2

    def spool(self, part: float) -> Spool:
        """A store for numbers, of which a part of the memory is kept there."""
        return Spool(int(self.bytes * part), self.folder)

    def within(self, first: float, end: float) -> Callable[[float], None]:
        """`progress` for a step that takes a part of the whole."""
        return lambda part: self.progress(first + (end - first) * part)


def count(
    sentences: Iterable[Sentence],
    order: int,
    *,
    vocabulary: Iterable[str] | None = None,
    cutoffs: Sequence[int] = (),
) -> Counts:
    """The n-grams of a text and their counts.

    Args:
        sentences: text with blanks between words, or sequences of words. An empty one counts as a sentence.
        order: the length of the longest n-grams, at least 1; 3 for trigrams. No sentence may have such long ones; then
            the counts end at the longest that there are.
        vocabulary: the words to tell apart, others count as `<unk>`; None: all words of the text.
        cutoffs: see `count_ids`.

    Raises:
        LanguageModelError: where there is no sentence, or one holds `<s>` or `</s>`.

    Examples:
        >>> counts = count(["a b", "a"], 2)
        >>> [counts.vocabulary.names[i] for i in counts.trie.word[counts.trie.nodes(2)]], counts.counts.tolist()
        (['a', '</s>', 'b', '</s>'], [5, 0, 2, 2, 2, 1, 2, 1, 1, 1])
    """
    check_order(order, cutoffs)
    tokens = tokens_of(sentences)
    if not tokens:
        raise LanguageModelError("no sentences to count: the text is empty")
    words = Vocabulary.of(set(tokens) if vocabulary is None else vocabulary)
    ids = words.encode_tokens(tokens)
    return count_ids([ids.astype(np.int32)], words, order, cutoffs=cutoffs, means=Means(memory=1 << 30, n_threads=1))


def check_order(order: int, cutoffs: Sequence[int]) -> None:
    """Raise LanguageModelError for what is no order, or no cutoffs."""
    if order < 1:
        raise LanguageModelError(f"order={order}; need 1 or more")
    if list(cutoffs) != sorted(cutoffs) or any(cutoff < 0 for cutoff in cutoffs) or (cutoffs and cutoffs[0]):
        given = ",".join(map(str, cutoffs))
        raise LanguageModelError(
            f"cutoffs={given}; need 0 for single words, and for longer n-grams the same or more each: 0,0,1"
        )


def count_ids(
    ids: Iterable[np.ndarray],
    vocabulary: Vocabulary,
    order: int,
    *,
    cutoffs: Sequence[int] = (),
    means: Means | None = None,
) -> Counts:
    """The n-grams of a text of word ids, and their counts.

    Args:
        ids: int32 arrays of whole sentences, between `<s>` and `</s>`; gone through several times.
        vocabulary: of these ids.
        order: the length of the longest n-grams.
        cutoffs: for 1, 2, 3 ... words, the last one for all longer: n-grams that occur so often or less are left out.
            (0, 0, 1) leaves out trigrams and longer ones that come once.
        means: memory, threads, a place for temporary files.
    """
    means = means or Means()
    numbers, longest = np.zeros(len(vocabulary), np.int64), 0
    for block in ids:
        longest = kernels.count_words(block, longest, numbers)
    order = min(order, longest)
    last = cutoffs[-1] if cutoffs else 0
    limits = np.array([0, *cutoffs, *[last] * order][: order + 1])
    single, classes = np.zeros((len(vocabulary), 2), np.int64), np.zeros((order + 1, 5), np.int64)
    kept: list[list[_Grams]] = [[] for _ in range(order + 1)]
    cut = [means.spool(0.25 / order) for _ in range(order + 1)]
    progress, n_done = means.within(0.0, 0.8), 0
    for found in _endings(ids, numbers, limits, single, means):
        n_done += found.n_windows
        classes += found.classes
        for k in range(2, order + 1):
            kept[k].append(found.kept[k])
            if k < order:
                cut[k].add(found.cut[k])
        progress(n_done / int(numbers.sum() - numbers[START_ID]))
    single[START_ID] = numbers[START_ID], 0
    trie, raw, adjusted = _assembled(single, kept, means.within(0.8, 0.95))
    left_out = _left_out(trie, raw, cut, limits)
    return Counts(vocabulary, trie, raw, adjusted, left_out, classes, tuple(limits.tolist()))


class _Grams(NamedTuple):
    """N-grams of one order: int32 (n, order), int32 (n,) counts and adjusted counts, of two words or more."""

    words: np.ndarray
    raw: np.ndarray
    adjusted: np.ndarray


class _Found(NamedTuple):
    """What a bucket holds: by order the n-grams that are kept, and (n, order) of those cut: all words but the last, and
    the adjusted count."""

    n_windows: int
    classes: np.ndarray
    kept: list[_Grams]
    cut: list[np.ndarray]


class _Bucket(NamedTuple):
    """The words from one on up to another, and where the windows that end with them lie among those of a group."""

    lowest: int
    stop: int
    first: int
    end: int


def _endings(
    ids: Iterable[np.ndarray], numbers: np.ndarray, limits: np.ndarray, single: np.ndarray, means: Means
) -> Iterator[_Found]:
    """What the buckets hold, in the order of words."""
    order, n_bits = len(limits) - 1, len(numbers).bit_length()
    is_packed = (order - 1) * n_bits < _KEY_BITS - 3
    most_words = 1 << (_KEY_BITS - (order - 1) * n_bits) if is_packed else len(numbers)
    n_threads = means.n_threads or n_cores()
    most = max(means.bytes // 4 // (n_threads * _BYTES_A_WINDOW), 1)
    for group in _groups(numbers, most_words, most, max(means.bytes // 4 // (8 if is_packed else 4 * order), 1)):
        bucket_of = np.full(len(numbers), -1, np.int32)
        for number, bucket in enumerate(group):
            bucket_of[bucket.lowest : bucket.stop] = number
        cursors = np.array([bucket.first for bucket in group])
        lowest = np.array([bucket.lowest for bucket in group], np.int32)
        keys = np.empty(group[-1].end, np.uint64) if is_packed else np.empty((group[-1].end, order), np.int32)
        for block in ids:
            if is_packed:
                kernels.pack_windows(block, bucket_of, 0, lowest, order, n_bits, cursors, keys)
            else:
                kernels.copy_windows(block, bucket_of, 0, cursors, keys)

        def counted(bucket: _Bucket, keys: np.ndarray = keys) -> _Found:
            windows = keys[bucket.first : bucket.end]
            distinct = _unpacked(windows, bucket.lowest, order, n_bits) if is_packed else _sorted(windows, n_bits)
            return _count_bucket(*distinct, limits, single, len(windows))

        yield from in_order(counted, group, means.n_threads)


def _groups(numbers: np.ndarray, most_words: int, most: int, most_in_group: int) -> Iterator[list[_Bucket]]:
    """Buckets of neighbouring words, in groups that are filled from one reading of the text.

    Args:
        numbers: of windows that end with each word.
        most_words: of a bucket.
        most: windows of a bucket, unless one word has more.
        most_in_group: windows of a group, unless one bucket has more.
    """
    ends = np.cumsum(np.where(np.arange(len(numbers)) == START_ID, 0, numbers))
    group: list[_Bucket] = []
    lowest, done, begun = 0, 0, 0  # windows before this bucket, and before this group
    while lowest < len(numbers):
        stop = int(np.searchsorted(ends, done + most, "right"))
        stop = min(max(stop, lowest + 1), lowest + most_words, len(numbers))
        if group and ends[stop - 1] - begun > most_in_group:
            yield group
            group, begun = [], done
        group.append(_Bucket(lowest, stop, done - begun, int(ends[stop - 1]) - begun))
        lowest, done = stop, int(ends[stop - 1])
    yield group


def _unpacked(keys: np.ndarray, lowest: int, order: int, n_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The different windows, sorted, as rows of words, the last one first; and how often each comes."""
    keys.sort()
    counts = np.empty(len(keys), np.int64)
    n = kernels.count_equal(keys, counts)
    rows = np.empty((n, order), np.int32)
    kernels.unpack_windows(keys[:n], lowest, n_bits, rows)
    return rows, counts[:n].copy()


def _sorted(windows: np.ndarray, n_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for windows that take more than one number: sorted by as many columns as fit, from the last one on.

    Later columns are sorted together with the rank by those before.
    """
    column, rank, rank_bits = windows.shape[1], np.zeros(len(windows), np.int64), 0
    while True:
        n_columns = min((_KEY_BITS - 1 - rank_bits) // n_bits, column)
        keys = np.zeros(len(windows), np.int64)
        for words in windows[:, column - n_columns : column].T:
            keys = (keys << n_bits) | (words.astype(np.int64) + 1)
        keys = (keys << rank_bits) | rank
        order, column = stable_order(keys), column - n_columns
        is_new = np.concatenate(([True], np.diff(keys[order]) != 0))[: len(keys)]
        if column == 0:
            firsts = np.flatnonzero(is_new)
            return windows[order[firsts]], np.diff(firsts, append=len(windows))
        rank[order] = np.cumsum(is_new) - 1
        rank_bits = int(rank.max(initial=0)).bit_length()


def _count_bucket(
    rows: np.ndarray, counts: np.ndarray, limits: np.ndarray, single: np.ndarray, n_windows: int
) -> _Found:
    """The n-grams of all orders that end some windows."""
    order, classes = rows.shape[1], np.zeros((rows.shape[1] + 1, 5), np.int64)
    sizes = np.zeros((order + 1, 2), np.int64)
    kernels.count_endings(rows, counts, limits, False, single, classes, sizes, *[np.zeros(0, np.int32)] * 5)
    ends = np.cumsum(sizes, axis=0)
    n_kept, n_cut = ends[-1].tolist()
    kept, raw, adjusted = np.empty(n_kept, np.int32), np.empty(n_kept, np.int32), np.empty(n_kept, np.int32)
    cut, cut_adjusted = np.empty(n_cut, np.int32), np.empty(n_cut, np.int32)
    arrays = (kept, raw, adjusted, cut, cut_adjusted)
    kernels.count_endings(rows, counts, limits, True, single, classes, ends - sizes, *arrays)
    found = _Found(n_windows, classes, [], [])
    for k in range(order + 1):
        here, there = (slice(ends[k, i] - sizes[k, i], ends[k, i]) for i in (0, 1))
        found.kept.append(_Grams(rows[kept[here], :k][:, ::-1].copy(), raw[here].copy(), adjusted[here].copy()))
        context = rows[cut[there], 1:k][:, ::-1]
        found.cut.append(np.column_stack((context, cut_adjusted[there])).astype(np.int32, copy=False))
    return found


def _assembled(
    single: np.ndarray, kept: list[list[_Grams]], progress: Callable[[float], None]
) -> tuple[Trie, np.ndarray, np.ndarray]:
    """The trie of the n-grams that are kept, their counts and adjusted counts. Empties `kept` on the way."""
    trie = Trie.unigrams(len(single))
    sizes = [0, 0, *(sum(len(part.words) for part in parts) for parts in kept[2:])]
    raw, adjusted = np.zeros((2, trie.n_nodes + sum(sizes)), np.int64)
    raw[0] = single[:, 0].sum() - single[START_ID, 0]
    raw[1 : trie.n_nodes], adjusted[1 : trie.n_nodes] = single.T
    for k in range(2, len(kept)):
        if not sizes[k]:  # so there are no longer ones
            break
        keys, numbers, n = np.empty(sizes[k], np.int64), np.empty((2, sizes[k]), np.int32), 0
        kept[k].reverse()
        while kept[k]:
            part = kept[k].pop()
            here = slice(n, n + len(part.words))
            keys[here] = trie.at(part.words[:, :-1]).astype(np.int64) * trie.n_words + part.words[:, -1]
            numbers[:, here], n = (part.raw, part.adjusted), here.stop
        order = stable_order(keys)
        keys, there = keys[order], slice(trie.n_nodes, trie.n_nodes + n)
        trie = trie.extended(keys // trie.n_words, keys % trie.n_words)
        raw[there], adjusted[there] = numbers[0][order], numbers[1][order]
        progress((k - 1) / (len(kept) - 2))
    return trie, raw, adjusted


def _left_out(trie: Trie, raw: np.ndarray, cut: list[Spool], limits: np.ndarray) -> np.ndarray:
    """The sums of the adjusted counts of what was cut, by what they begin with."""
    result, order = np.zeros(trie.n_nodes, np.int64), len(limits) - 1
    for k in range(2, order):
        for block in cut[k]:
            table = block.reshape(-1, k)
            kernels.add_at(trie.at(table[:, :-1]), table[:, -1], result)
        cut[k].close()
    if order > 1 and limits[order] > 0 and trie.order >= order - 1:
        # Something follows each word but the end: what is missing was cut.
        here = trie.nodes(order - 1)
        result[here] = np.where(trie.word[here] == END_ID, 0, raw[here])
        if trie.order == order:
            longest = trie.nodes(order)
            kernels.add_at(trie.parent[longest], (-raw[longest]).astype(np.int32), result)
    return result
