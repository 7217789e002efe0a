"""Text of any size as word ids, read block by block and kept in a spool."""

import codecs
import itertools
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from ..errors import LanguageModelError
from ..files.texts import text_blocks
from . import counting_kernels as kernels
from .counting import Counts, Means, check_order, count_ids
from .names import NameTable, fill_slots
from .spool import Spool
from .vocabulary import END, START, UNKNOWN, Vocabulary

_BLOCK = 4 << 20  # bytes of text that are made ids at once
_LONGEST = 64 << 20  # bytes of a line
# What str.split takes for blanks beside ASCII's, which the kernel knows.
_BLANKS = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


def count_text(
    paths: Sequence[str | os.PathLike],
    order: int,
    *,
    vocabulary: Iterable[str] | None = None,
    cutoffs: Sequence[int] = (),
    has_ids: bool = False,
    means: Means | None = None,
) -> Counts:
    """The n-grams of texts of any size, and their counts.

    Args:
        paths: files, a sentence a line, UTF-8, plain or packed with gzip, xz or bzip2; empty lines are passed over, and
            a line may be enclosed in `<s>` and `</s>`.
        order: the length of the longest n-grams.
        vocabulary: the words to tell apart, others count as `<unk>`; None: all words of the text.
        cutoffs: see `count_ids`.
        has_ids: whether the first word of each line is an utterance id, and left out.
        means: memory, threads, a place for temporary files.

    Raises:
        LanguageModelError: with file:line for a line that is not UTF-8 or holds `<s>` or `</s>` inside; for texts
            without sentences.
        OSError: where temporary files cannot be written.
    """
    check_order(order, cutoffs)
    means = means or Means()
    known = None if vocabulary is None else Vocabulary.of(vocabulary)
    reader = _Reader((UNKNOWN, START, END) if known is None else known.names, grows=known is None, has_ids=has_ids)
    sizes = [os.stat(path).st_size if os.path.exists(path) else 0 for path in paths]  # noqa: PTH110, PTH116
    spool, progress = means.spool(0.25), means.within(0.0, 0.4)
    try:
        for i, path in enumerate(paths):
            before = spool.n_bytes

            def read(done: int, i: int = i) -> None:
                progress(min((sum(sizes[:i]) + done) / max(sum(sizes), 1), 1.0))

            for ids in reader.ids_of(path, read):
                spool.add(ids)
            if spool.n_bytes == before:
                raise LanguageModelError(f"{path}: holds no text")
        words, renumbered = (known, None) if known is not None else reader.vocabulary()
        later = Means(means.memory, means.folder, means.n_threads, means.within(0.4, 1.0))
        return count_ids(_Renumbered(spool, renumbered), words, order, cutoffs=cutoffs, means=later)
    finally:
        spool.close()


class _Renumbered:
    """The ids of a spool as a vocabulary has them."""

    def __init__(self, spool: Spool, renumbered: np.ndarray | None) -> None:
        self._spool, self._renumbered = spool, renumbered

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._spool:
            yield block if self._renumbered is None else self._renumbered[block]


class _Reader:
    """Makes lines of text ids; words that are not known yet become known, where `grows`."""

    def __init__(self, names: Sequence[str], *, grows: bool, has_ids: bool) -> None:
        table = NameTable.of([name.encode() for name in names])
        self._grows, self._has_ids = grows, has_ids
        self._pool, self._starts, self._slots = table.pool.copy(), table.starts, table.slots
        self._registers = np.array([0, 0, len(names), len(table.pool)], np.int64)

    def vocabulary(self) -> tuple[Vocabulary, np.ndarray]:
        """The words by now, and of each id that of the vocabulary."""
        words = Vocabulary.of(names := [name.decode() for name in self._names()])
        return words, np.fromiter(map(words.id, names), np.int32, len(names))

    def _names(self) -> list[bytes]:
        n, pool = int(self._registers[kernels.N_NAMES]), self._pool.tobytes()
        starts = self._starts[: n + 1].tolist()
        return [pool[a:b] for a, b in itertools.pairwise(starts)]

    def ids_of(self, path: str | os.PathLike, progress: Callable[[int], None]) -> Iterator[np.ndarray]:
        """The ids of a file's sentences, block by block."""
        n_lines = 0
        blocks = text_blocks(path, most=1 << 62, error=LanguageModelError, progress=progress)
        for lines in whole_lines(path, blocks):
            yield self._ids(path, _cleaned(path, lines, n_lines), n_lines)
            n_lines += lines.count(b"\n")

    def _ids(self, path, lines: bytes, n_before: int) -> np.ndarray:
        text, ids = np.frombuffer(lines, np.uint8), np.empty(2 * len(lines) + 4, np.int32)
        registers = self._registers
        registers[[kernels.PLACE, kernels.N_IDS]] = 0
        while True:
            arrays = (self._pool, self._starts, self._slots)
            status = kernels.tokenise(text, *arrays, self._grows, self._has_ids, registers, ids)
            if status == kernels.DONE:
                return ids[: registers[kernels.N_IDS]].copy()
            if status == kernels.MARKS:
                number = n_before + lines.count(b"\n", 0, int(registers[kernels.PLACE])) + 1
                raise LanguageModelError(f"{path}:{number}: holds {START} or {END} inside; give one sentence a line")
            self._make_room(len(lines))

    def _make_room(self, n_bytes: int) -> None:
        """Let the table hold twice as many words, and a block's bytes more."""
        table = NameTable.of(self._names())
        n = int(self._registers[kernels.N_NAMES])
        self._starts = np.concatenate((table.starts, np.zeros(max(n, 1 << 12), np.int64)))
        self._pool = np.concatenate((table.pool, np.zeros(len(table.pool) + n_bytes, np.uint8)))
        size = 1 << (4 * max(n, 1 << 12)).bit_length()
        self._slots = np.full((size, 2), -1, np.int64)
        fill_slots(table.pool, table.starts, self._slots)


def whole_lines(path, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a text in pieces of whole lines, as UTF-8, without byte-order mark; UTF-16 is known by its own."""
    decoder, pieces, size, is_first = None, [], 0, True
    for block in blocks:
        if is_first and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            decoder = codecs.getincrementaldecoder("utf-16")("replace")
        if decoder is not None:
            block = decoder.decode(block).encode("utf-8", "surrogatepass")
        if is_first:
            block, is_first = block.removeprefix(codecs.BOM_UTF8), False
        pieces.append(block)
        size += len(block)
        if size >= _BLOCK:
            whole, newline, begun = b"".join(pieces).rpartition(b"\n")
            pieces, size = [begun], len(begun)
            if newline:
                yield whole + newline
            if size > _LONGEST:
                raise LanguageModelError(f"{path}: a line of more than {_LONGEST >> 20} MiB; break it into sentences")
    if rest := b"".join(pieces):
        yield rest


def _cleaned(path, lines: bytes, n_before: int) -> bytes:
    """Lines in composed form (NFC), with plain blanks alone. Raises LanguageModelError for what is not UTF-8."""
    if lines.isascii():
        return lines
    try:
        text = lines.decode("utf-8")
    except UnicodeDecodeError as error:
        number = n_before + lines.count(b"\n", 0, error.start) + 1
        raise LanguageModelError(f"{path}:{number}: not UTF-8 text") from None
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    return _BLANKS.sub(" ", text).encode()
