"""Language models as ARPA files, plain or compressed with gzip: what SRILM, KenLM, IRSTLM and Kaldi read and write."""

import gzip
import itertools
import logging
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from ..errors import LanguageModelError
from ..files import replacing
from .model import NgramModel, lower_log_probs
from .text import unpacked
from .trie import Trie
from .vocabulary import END, START_ID, UNKNOWN, UNKNOWN_ID, Vocabulary

_log = logging.getLogger(__name__)

_LN10 = math.log(10.0)
_ZERO = -99.0  # what ARPA files write for the logarithm of 0
_MOST_ORDER = 32  # of n-grams that are read; a section of order 10^7 alone would take all time and memory
_SECTION = re.compile(rb"\\(\d+)-grams:")
_SIZE = re.compile(rb"ngram\s+(\d{1,9})\s*=\s*(\d{1,18})")


def write_arpa(model: NgramModel, path: str | os.PathLike) -> None:
    """Write a model as an ARPA file, whole or not at all; compressed if the name ends in .gz.

    Base-10 logarithms with 7 digits. `<s>` has the probability -99 that nothing uses; an `<unk>` that is impossible is
    left out, and so is a back-off weight of 1 where no longer n-gram follows.
    """
    with replacing(path) as temporary:
        if Path(path).suffix == ".gz":
            # Without the time of writing in it, the same model makes the same file.
            with temporary.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream:
                stream.writelines(part.encode() for part in _parts(model))
        else:
            with temporary.open("wb") as stream:
                stream.writelines(part.encode() for part in _parts(model))


def _parts(model: NgramModel) -> Iterator[str]:
    """The text of an ARPA file, in a few large pieces."""
    trie, names = model.trie, model.vocabulary.names
    skipped = int(model.is_closed and not trie.has_children[1 + UNKNOWN_ID])
    sizes = [n - skipped * (order == 1) for order, n in enumerate(model.n_ngrams, 1)]
    yield "\\data\\\n" + "".join(f"ngram {order}={n}\n" for order, n in enumerate(sizes, 1))
    for order in range(1, trie.order + 1):
        here = trie.nodes(order)
        log_probs = np.maximum(model.log_probs[here] / _LN10, _ZERO) + 0.0
        back_offs = model.back_offs[here] / _LN10 + 0.0
        shown = (trie.has_children[here] | (back_offs != 0)).tolist()
        columns = [[names[i] for i in column] for column in trie.words_of(order).T.tolist()]
        lines = [
            f"{p:.7g}\t{' '.join(words)}\t{b:.7g}\n" if has_weight else f"{p:.7g}\t{' '.join(words)}\n"
            for p, b, has_weight, *words in zip(log_probs.tolist(), back_offs.tolist(), shown, *columns, strict=True)
        ]
        yield f"\n\\{order}-grams:\n" + "".join(lines[skipped if order == 1 else 0 :])
    yield "\n\\end\\\n"


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
    sections, sizes = _sections(path, unpacked(path).split(b"\n"))
    if 1 not in sections:
        raise LanguageModelError(f"{path}: no section \\1-grams:, so no words; is it an ARPA file?")
    _check_sizes(path, sections, sizes)
    if not any(END.encode() in line.split()[1:2] for line in sections[1][0]):
        at = f"{path}:{sections[1][1][0] + 1}" if sections[1][0] else path
        raise LanguageModelError(f"{at}: the 1-grams lack {END}, so no sentence ends; add it with its probability")
    order = max(o for o, found in sections.items() if found[0] or o == 1)
    names, ids = _words(path, *sections[1])
    tables = [_table(path, k, *sections.get(k, ([], [])), ids) for k in range(1, order + 1)]
    trie, nodes = Trie.build(len(names), [grams for grams, _, _ in tables[1:]])
    log_probs, back_offs = np.full(trie.n_nodes, np.nan), np.zeros(trie.n_nodes)
    log_probs[trie.nodes(1)] = -np.inf  # of <unk>, <s> and </s>, where the file does not name them
    for k, (places, (grams, found_probs, found_weights)) in enumerate(
        zip([1 + tables[0][0][:, 0], *nodes], tables, strict=True), 1
    ):
        _check_once(path, places, grams, names, sections[k][1] if k in sections else [])
        log_probs[places], back_offs[places] = found_probs, found_weights
    log_probs[[0, 1 + START_ID]] = -np.inf
    back_offs[trie.nodes(order)] = 0.0
    return _with_beginnings(NgramModel(names, trie, log_probs, back_offs), path)


def _check_sizes(path, sections: dict[int, tuple[list[bytes], list[int]]], sizes: dict[int, tuple[int, int]]) -> None:
    """Raise LanguageModelError where a section has more or fewer lines than the header says."""
    for order in sorted({*sections, *sizes}):
        n_found = len(sections.get(order, ([], []))[0])
        size, index = sizes.get(order, (0, None))
        if size != n_found:
            at = path if index is None else f"{path}:{index + 1}"
            raise LanguageModelError(
                f"{at}: the header says {size} {order}-grams; there are {n_found}: is the file cut short, or was it "
                "changed by hand? Make it again, or correct the number"
            )


def _sections(path, lines: list[bytes]) -> tuple[dict[int, tuple[list[bytes], list[int]]], dict[int, tuple[int, int]]]:
    """The lines of each section with their numbers, and of each order the size that the header gives, and where."""
    marks = [i for i, line in enumerate(lines) if line.startswith(b"\\")]
    heads = [(i, lines[i].strip()) for i in marks]
    start = next((i for i, head in heads if head == b"\\data\\"), None)
    if start is None:
        raise LanguageModelError(f"{path}: no line \\data\\; an ARPA file has one")
    sections: dict[int, tuple[list[bytes], list[int]]] = {}
    sizes: dict[int, tuple[int, int]] = {}
    heads = [(i, head) for i, head in heads if i > start]
    ends = [i for i, head in heads if head == b"\\end\\"]
    if not ends:
        raise LanguageModelError(f"{path}:{len(lines)}: the file ends without \\end\\; is it cut short?")
    heads = [(i, head) for i, head in heads if i <= ends[0]]
    for i in range(start + 1, heads[0][0]):
        if lines[i].strip():
            found = _SIZE.fullmatch(lines[i].strip())
            if not found:
                _refuse(path, i, lines[i], "expected 'ngram ORDER=NUMBER'")
            sizes[int(found[1])] = int(found[2]), i
    for (i, head), (following, _) in itertools.pairwise(heads):
        found = _SECTION.fullmatch(head)
        if not found or found[1].strip(b"0") == b"":
            _refuse(path, i, lines[i], "expected a section such as \\2-grams:, or \\end\\")
        if len(found[1]) > 9 or int(found[1]) > _MOST_ORDER:
            _refuse(path, i, lines[i], f"n-grams of up to {_MOST_ORDER} words are read, not longer ones")
        if int(found[1]) in sections:
            _refuse(path, i, lines[i], "this section is in the file twice")
        numbers = [k for k in range(i + 1, following) if lines[k].strip()]
        sections[int(found[1])] = ([lines[k] for k in numbers], numbers)
    return sections, sizes


def _refuse(path, index: int, line: bytes, message: str) -> NoReturn:
    """Raise the error for a line; index counts from 0."""
    shown = line.decode("utf-8", "backslashreplace").strip()
    raise LanguageModelError(f"{path}:{index + 1}: {message}; found {shown[:100]!r}") from None


def _words(path, lines: list[bytes], numbers: list[int]) -> tuple[Vocabulary, dict[bytes, int]]:
    """The vocabulary, and the ids of the names as the file spells them."""
    spelled: dict[bytes, str] = {}
    for line, number in zip(lines, numbers, strict=True):
        fields = line.split()
        if len(fields) not in (2, 3):
            _refuse(path, number, line, "expected a logarithm, 1 word and perhaps a back-off weight")
        try:
            name = fields[1].decode("utf-8")
        except UnicodeDecodeError:
            _refuse(path, number, line, "not UTF-8 text")
        if fields[1] in spelled:
            _refuse(path, number, line, "this word is in the file twice")
        spelled[fields[1]] = UNKNOWN if name == "<UNK>" else name
    try:
        vocabulary = Vocabulary.of(spelled.values())
    except LanguageModelError as error:
        raise LanguageModelError(f"{path}: {error}") from None
    return vocabulary, {raw: vocabulary.id(name) for raw, name in spelled.items()}


def _table(path, order: int, lines: list[bytes], numbers: list[int], ids: dict[bytes, int]):
    """A section as int64 (n, order) word ids and two float64 (n,) arrays, natural log of probability and weight."""
    grams = np.empty((len(lines), order), np.int64)
    values = np.zeros((2, len(lines)))
    fields = [line.split() for line in lines]
    lengths = np.fromiter(map(len, fields), np.int64, len(fields))
    for width in (order + 1, order + 2):  # without and with a back-off weight
        chosen = np.flatnonzero(lengths == width)
        columns = list(zip(*(fields[i] for i in chosen.tolist()), strict=True)) or [()] * width
        try:
            for column, words in enumerate(columns[1 : order + 1]):
                grams[chosen, column] = [ids[word] for word in words]
            for row, texts in enumerate([columns[0], *columns[order + 1 :]]):
                values[row, chosen] = [float(text) for text in texts]
        except (KeyError, ValueError):
            _find_fault(path, order, lines, numbers, ids)
    if ((lengths != order + 1) & (lengths != order + 2)).any():
        _find_fault(path, order, lines, numbers, ids)
    # What is a little above 0 is rounding.
    bad = (values[0] > 1e-3) | np.isnan(values).any(axis=0) | np.isposinf(values[1])
    if bad.any():
        i = int(np.argmax(bad))
        _refuse(path, numbers[i], lines[i], "the logarithm of a probability is 0 or less, and NaN is no number")
    log_probs = np.where(values[0] <= _ZERO, -np.inf, np.minimum(values[0], 0.0) * _LN10)
    return grams, log_probs, values[1] * _LN10


def _find_fault(path, order: int, lines: list[bytes], numbers: list[int], ids: dict[bytes, int]) -> NoReturn:
    """Raise the error for the first line of a section that is not as it should be."""
    what = f"a logarithm, {order} word{'s' * (order > 1)} and perhaps a back-off weight"
    for line, number in zip(lines, numbers, strict=True):
        fields = line.split()
        if len(fields) not in (order + 1, order + 2):
            _refuse(path, number, line, f"expected {what}, {order + 1} or {order + 2} fields, not {len(fields)}")
        for text in (fields[0], *fields[order + 1 :]):
            try:
                float(text)
            except ValueError:
                _refuse(path, number, line, f"expected {what}; {text.decode('utf-8', 'replace')!r} is no number")
        for word in fields[1 : order + 1]:
            if word not in ids:
                name = word.decode("utf-8", "backslashreplace")
                _refuse(path, number, line, f"word {name!r} is not among the 1-grams")
    raise AssertionError("a section without fault was refused")


def _check_once(path, places: np.ndarray, grams: np.ndarray, names: Vocabulary, numbers: list[int]) -> None:
    """Raise LanguageModelError if an n-gram is there twice."""
    order = np.argsort(places, kind="stable")
    same = np.flatnonzero(np.diff(places[order]) == 0)
    if len(same):
        again = int(order[same + 1].min())
        text = " ".join(names.names[i] for i in grams[again])
        raise LanguageModelError(f"{path}:{numbers[again] + 1}: n-gram {text!r} is in the file twice")


def _with_beginnings(model: NgramModel, path) -> NgramModel:
    """The model with probabilities for the n-grams that others begin with but the file lacks."""
    missing = np.flatnonzero(np.isnan(model.log_probs))
    if len(missing):
        _log.warning("%s: %d beginnings of n-grams are missing and were added", path, len(missing))
    for order in range(2, model.order + 1):
        here = model.trie.nodes(order)
        nodes = missing[(missing >= here.start) & (missing < here.stop)]
        below = lower_log_probs(model, nodes)
        model.log_probs[nodes] = model.back_offs[model.trie.parent[nodes]] + below
    if np.isneginf(model.log_probs[1 + model.vocabulary.id(END)]):
        _log.warning("%s: %s has no probability, so no sentence ever ends", path, END)
    return model
