"""Language models as ARPA files, plain or compressed with gzip: what SRILM, KenLM, IRSTLM and Kaldi read and write."""

import logging
import math
import os
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from ..errors import LanguageModelError
from ..files import replacing
from . import arpa_kernels as kernels
from .arpa_faults import complain, line_number, place_of, refuse
from .binary import MAGIC
from .model import NgramModel, lower_log_probs
from .names import NameTable
from .text import unpacked
from .threads import in_order
from .trie import Trie
from .vocabulary import END, START_ID, UNKNOWN, UNKNOWN_ID, Vocabulary

_log = logging.getLogger(__name__)

_LN10 = math.log(10.0)
_ZERO = -99.0  # what ARPA files write for the logarithm of 0
_MOST_ORDER = 32  # of n-grams that are read; a section of order 10^7 alone would take all time and memory
_SECTION = re.compile(rb"\\(\d+)-grams:")
_SIZE = re.compile(rb"ngram\s+(\d{1,9})\s*=\s*(\d{1,18})")
_BLOCK = 4 << 20  # bytes that a thread reads at once
_LINES = 1 << 16  # that one writes


def write_arpa(model: NgramModel, path: str | os.PathLike) -> None:
    """Write a model as an ARPA file, whole or not at all; compressed if the name ends in .gz.

    Base-10 logarithms with 7 digits. `<s>` has the probability -99 that nothing uses; an `<unk>` that is impossible is
    left out, and so is a back-off weight of 1 where no longer n-gram follows.
    """
    if not len(model.log_probs) == len(model.back_offs) == model.trie.n_nodes:
        raise ValueError(f"{len(model.log_probs)}, {len(model.back_offs)} logarithms of {model.trie.n_nodes} n-grams")
    with replacing(path) as temporary, temporary.open("wb") as stream:
        parts = _parts(model)
        stream.writelines(_packed(parts) if Path(path).suffix == ".gz" else parts)


def _parts(model: NgramModel) -> Iterator[bytes]:
    """The text of an ARPA file, in pieces."""
    trie = model.trie
    skipped = int(model.is_closed and not trie.has_children[1 + UNKNOWN_ID])
    sizes = [n - skipped * (order == 1) for order, n in enumerate(model.n_ngrams, 1)]
    yield ("\\data\\\n" + "".join(f"ngram {order}={n}\n" for order, n in enumerate(sizes, 1))).encode()
    names = NameTable.of([name.encode() for name in model.vocabulary.names])
    for order in range(1, trie.order + 1):
        yield f"\n\\{order}-grams:\n".encode()
        here = trie.nodes(order)
        first = here.start + (skipped if order == 1 else 0)
        blocks = ((a, min(a + _LINES, here.stop)) for a in range(first, here.stop, _LINES))

        def lines(block: tuple[int, int], order: int = order) -> bytes:
            return _lines(model, names, order, *block)

        yield from in_order(lines, blocks)
    yield b"\n\\end\\\n"


def _lines(model: NgramModel, names: NameTable, order: int, first: int, stop: int) -> bytes:
    """The lines of some nodes of an order."""
    trie = model.trie
    log_probs = np.maximum(model.log_probs[first:stop].astype(np.float64) / _LN10, _ZERO) + 0.0
    back_offs = model.back_offs[first:stop].astype(np.float64) / _LN10 + 0.0
    shown = (trie.first_child[first + 1 : stop + 1] > trie.first_child[first:stop]) | (back_offs != 0)
    size = kernels.bytes_of_lines(first, stop, order, trie.parent, trie.word, names.starts)
    out = np.empty(size, np.uint8)
    places = (first, stop, order, trie.parent, trie.word, names.pool, names.starts)
    return out[: kernels.put_lines(*places, log_probs, back_offs, shown, out)].tobytes()


def _packed(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a gzip file. Without the time of writing in it, the same model makes the same file."""
    yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    crc = size = 0

    def pieces() -> Iterator[bytes]:
        nonlocal crc, size
        for part in parts:
            crc, size = zlib.crc32(part, crc), size + len(part)
            yield part

    def packed(part: bytes) -> bytes:
        packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        return packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)  # whole bytes, so that pieces can be joined

    yield from in_order(packed, pieces())
    yield zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS).flush() + struct.pack("<2I", crc, size % (1 << 32))


class _Block(NamedTuple):
    """Some lines of a section: the first byte, where they end, and how many are no blanks."""

    first: int
    end: int
    n_lines: int


class _Table(NamedTuple):
    """A section: int32 (n, order) word ids, and float64 (n,) natural logarithms of probabilities and weights."""

    grams: np.ndarray
    log_probs: np.ndarray
    back_offs: np.ndarray


def read_arpa(path: str | os.PathLike) -> NgramModel:
    """Read an ARPA file of any order up to 32, plain or gzip-compressed.

    Text before `\\data\\` and empty lines are passed over; n-grams, and sections, may come in any order; tabs or blanks
    separate fields; a missing back-off weight is 0, and those of the highest order have no meaning; a logarithm of -99
    or below is a probability of 0. Without `<unk>` the vocabulary is closed; `<UNK>` means the same. An n-gram whose
    beginning is missing is kept, and the beginning added with the probability that it has by backing off.

    Raises:
        LanguageModelError: with file:line for a line that cannot be used, for sizes that differ from those of the
            header, for a file that is cut short, and for one in which no sentence ends.
    """
    text = unpacked(path)
    sections, sizes = _sections(path, text)
    if 1 not in sections:
        raise LanguageModelError(f"{path}: no section \\1-grams:, so no words; is it an ARPA file?")
    blocks = {k: _blocks(text, *section) for k, section in sections.items()}
    counts = {k: sum(block.n_lines for block in of_section) for k, of_section in blocks.items()}
    _check_sizes(path, text, counts, sizes)
    vocabulary, known = _words(path, text, *sections[1])
    order = max(k for k, count in counts.items() if count or k == 1)
    names, ids = NameTable.of(list(known)), np.fromiter(known.values(), np.int32, len(known))

    def table(k: int) -> _Table:
        found = _parsed(text, k, blocks.get(k, []), names, ids)
        if isinstance(found, _Block):
            complain(path, text, found.first, found.end, k, known)
        if (row := _impossible(found)) is not None:
            what = "the logarithm of a probability is 0 or less, and NaN is no number"
            refuse(path, text, _place(text, blocks[k], row), what)
        found.log_probs[:] = np.where(found.log_probs <= _ZERO, -np.inf, np.minimum(found.log_probs, 0.0) * _LN10)
        found.back_offs[:] *= _LN10
        return found

    tables = [table(k) for k in range(1, order + 1)]
    trie, nodes = Trie.build(len(vocabulary), [found.grams for found in tables[1:]])
    log_probs, back_offs = np.full(trie.n_nodes, np.nan), np.zeros(trie.n_nodes)
    log_probs[trie.nodes(1)] = -np.inf  # of <unk>, <s> and </s>, where the file does not name them
    for k, (places, found) in enumerate(zip([1 + tables[0].grams[:, 0], *nodes], tables, strict=True), 1):
        if (row := _repeated(places, trie.nodes(k))) is not None:
            gram = " ".join(vocabulary.names[i] for i in found.grams[row])
            at = line_number(text, _place(text, blocks[k], row))
            raise LanguageModelError(f"{path}:{at}: n-gram {gram!r} is in the file twice")
        log_probs[places], back_offs[places] = found.log_probs, found.back_offs
    log_probs[[0, 1 + START_ID]] = -np.inf
    back_offs[trie.nodes(order)] = 0.0
    return _with_beginnings(NgramModel(vocabulary, trie, log_probs, back_offs), path)


def _sections(path, text: bytes) -> tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]]:
    """Where each section's lines begin and end, and of each order the size that the header gives, and at which byte."""
    heads = _heads(text)
    first = next((place for place, head in heads if head == b"\\data\\"), None)
    if text.startswith(MAGIC):
        what = "an .ngram file that is packed or comes through a pipe; it opens at once where it lies plain in a file"
        raise LanguageModelError(f"{path}: {what}: unpack or save it first")
    if first is None:
        raise LanguageModelError(f"{path}: no line \\data\\; an ARPA file has one")
    sections: dict[int, tuple[int, int]] = {}
    sizes: dict[int, tuple[int, int]] = {}
    order = 0
    for place, head in heads:
        if order:
            sections[order] = first, place
        else:
            sizes = _sizes(path, text, first, place)
        if head == b"\\end\\":
            return sections, sizes
        found = _SECTION.fullmatch(head)
        if not found or found[1].strip(b"0") == b"":
            refuse(path, text, place, "expected a section such as \\2-grams:, or \\end\\")
        if len(found[1]) > 9 or int(found[1]) > _MOST_ORDER:
            refuse(path, text, place, f"n-grams of up to {_MOST_ORDER} words are read, not longer ones")
        if int(found[1]) in sections:
            refuse(path, text, place, "this section is in the file twice")
        order, first = int(found[1]), min(_line_end(text, place) + 1, len(text))
    raise LanguageModelError(f"{path}:{line_number(text, len(text))}: the file ends without \\end\\; is it cut short?")


def _heads(text: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that begin with a backslash, as (first byte, line without blanks at its end)."""
    place = text.find(b"\\")
    while place >= 0:
        if place == 0 or text[place - 1] == kernels.NEWLINE:
            yield place, text[place : _line_end(text, place)].strip()
        place = text.find(b"\\", place + 1)


def _line_end(text: bytes, place: int) -> int:
    """Where the line ends that holds a byte."""
    end = text.find(b"\n", place)
    return len(text) if end < 0 else end


def _sizes(path, text: bytes, first: int, end: int) -> dict[int, tuple[int, int]]:
    """What the header says: of each order the size, and at which byte."""
    sizes: dict[int, tuple[int, int]] = {}
    first = _line_end(text, first) + 1
    while first < end:
        line = text[first : _line_end(text, first)].strip()
        if line:
            found = _SIZE.fullmatch(line)
            if not found:
                refuse(path, text, first, "expected 'ngram ORDER=NUMBER'")
            sizes[int(found[1])] = int(found[2]), first
        first = _line_end(text, first) + 1
    return sizes


def _blocks(text: bytes, first: int, end: int) -> list[_Block]:
    """A section in pieces of whole lines."""
    cuts, place = [first], first
    while (place := _line_end(text, min(place + _BLOCK, end)) + 1) < end:
        cuts.append(place)
    pairs = list(zip(cuts, [*cuts[1:], end], strict=True))
    content = np.frombuffer(text, np.uint8)
    counts = in_order(lambda pair: kernels.count_lines(content, *pair), pairs)
    return [_Block(*pair, n) for pair, n in zip(pairs, counts, strict=True)]


def _check_sizes(path, text: bytes, counts: dict[int, int], sizes: dict[int, tuple[int, int]]) -> None:
    """Raise LanguageModelError where a section has more or fewer lines than the header says."""
    for order in sorted({*counts, *sizes}):
        n_found = counts.get(order, 0)
        size, place = sizes.get(order, (0, None))
        if size != n_found:
            at = path if place is None else f"{path}:{line_number(text, place)}"
            raise LanguageModelError(
                f"{at}: the header says {size} {order}-grams; there are {n_found}: is the file cut short, or was it "
                "changed by hand? Make it again, or correct the number"
            )


def _words(path, text: bytes, first: int, end: int) -> tuple[Vocabulary, dict[bytes, int]]:
    """The vocabulary, and the ids of the names as the file spells them."""
    spelled: dict[bytes, str] = {}

    def wrong(message: str) -> NoReturn:
        refuse(path, text, place_of(text, first, end, len(spelled)), message)

    for fields in filter(None, map(bytes.split, text[first:end].split(b"\n"))):
        if len(fields) not in (2, 3):
            wrong("expected a logarithm, 1 word and perhaps a back-off weight")
        try:
            name = fields[1].decode("utf-8")
        except UnicodeDecodeError:
            wrong("not UTF-8 text")
        if fields[1] in spelled:
            wrong("this word is in the file twice")
        spelled[fields[1]] = UNKNOWN if name == "<UNK>" else name
    if END.encode() not in spelled:
        at = f"{path}:{line_number(text, place_of(text, first, end, 0))}" if spelled else path
        raise LanguageModelError(f"{at}: the 1-grams lack {END}, so no sentence ends; add it with its probability")
    try:
        vocabulary = Vocabulary.of(spelled.values())
    except LanguageModelError as error:
        raise LanguageModelError(f"{path}: {error}") from None
    return vocabulary, dict(zip(spelled, map(vocabulary.id, spelled.values()), strict=True))


def _parsed(text: bytes, order: int, blocks: list[_Block], names: NameTable, ids: np.ndarray) -> _Table | _Block:
    """A section with logarithms as they are in the file, or the first block in which a line cannot be used."""
    n_rows = sum(block.n_lines for block in blocks)
    found = _Table(np.empty((n_rows, order), np.int32), np.empty(n_rows), np.empty(n_rows))
    content, starts = np.frombuffer(text, np.uint8), np.cumsum([0, *(block.n_lines for block in blocks)]).tolist()

    def parse(i: int) -> bool:
        block, rows = blocks[i], slice(starts[i], starts[i + 1])
        columns, odd = [column[rows] for column in found], np.empty((block.n_lines, 2), np.int64)
        n_odd = kernels.parse_lines(content, block.first, block.end, *names, ids, *columns, odd)
        try:
            for row, place in odd[: max(n_odd, 0)].tolist():
                fields = text[place : _line_end(text, place)].split()
                columns[1][row], columns[2][row] = float(fields[0]), float((*fields[order + 1 :], b"0")[0])
        except ValueError:
            return False
        return n_odd >= 0

    for i, is_fine in enumerate(in_order(parse, range(len(blocks)))):
        if not is_fine:
            return blocks[i]
    return found


def _impossible(table: _Table) -> int | None:
    """The first row whose numbers no model has, before they are made natural logarithms."""
    # What is a little above 0 is rounding.
    bad = ~(table.log_probs <= 1e-3) | ~(table.back_offs < np.inf)
    return int(np.argmax(bad)) if bad.any() else None


def _place(text: bytes, blocks: list[_Block], row: int) -> int:
    """The first byte of a row's line."""
    for block in blocks:
        if row < block.n_lines:
            return place_of(text, block.first, block.end, row)
        row -= block.n_lines
    raise IndexError(row)


def _repeated(places: np.ndarray, here: slice) -> int | None:
    """The first row whose n-gram came before."""
    seen = np.zeros(here.stop - here.start, bool)
    seen[places - here.start] = True
    if np.count_nonzero(seen) == len(places):
        return None
    order = np.argsort(places, kind="stable")
    return int(order[1:][np.diff(places[order]) == 0].min())


def _with_beginnings(model: NgramModel, path) -> NgramModel:
    """The model with probabilities for the n-grams that others begin with but the file lacks."""
    missing = np.flatnonzero(np.isnan(model.log_probs))
    if len(missing):
        _log.warning("%s: %d beginnings of n-grams are missing and were added", path, len(missing))
    for order in range(2, model.order + 1) if len(missing) else ():
        here = model.trie.nodes(order)
        nodes = missing[(missing >= here.start) & (missing < here.stop)]
        below = lower_log_probs(model, nodes)
        model.log_probs[nodes] = model.back_offs[model.trie.parent[nodes]] + below
    if np.isneginf(model.log_probs[1 + model.vocabulary.id(END)]):
        _log.warning("%s: %s has no probability, so no sentence ever ends", path, END)
    return model
