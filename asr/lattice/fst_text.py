"""A lattice as lines: OpenFst's text form with Kaldi's weights, see asr.lattice.kaldi."""

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..errors import GraphError, LexiconError
from ..lang.symbols import SymbolTable
from .compact import CompactLattice
from .lattice import Lattice
from .vector_fst import check_parts, of_labels, of_words
from .words import ARC

_COMPACT = re.compile(r"([^,_\s]+),([^,_\s]+),((?:\d+(?:_\d+)*)?)")
_PAIR = re.compile(r"([^,_\s]+),([^,_\s]+)")
_MOST = (1 << 31) - 1
_Weight = tuple[float, float, list[int]]


def fst_text(lattice: Lattice | CompactLattice, words: SymbolTable | None) -> str:
    """The lines of a lattice. Costs are float32 in as many digits as tell them from all others.

    Args:
        words: their names; None: numbers.
    """
    is_compact = isinstance(lattice, CompactLattice)
    arcs, finals = lattice.arcs, np.asarray(lattice.finals)
    first = np.searchsorted(arcs["source"], np.arange(len(finals) + 1)).tolist()
    name = str if words is None else words.name
    if isinstance(lattice, CompactLattice):
        begins, heard = lattice.begins.tolist(), [str(label) for label in lattice.labels.tolist()]
        strings = ["," + "_".join(heard[a:b]) for a, b in pairwise(begins)]
        labels = [name(word) for word in arcs["word"].tolist()]
        pairs = _costs(finals)
    else:
        strings = [""] * (len(arcs) + len(finals))
        numbers = zip(arcs["ilabel"].tolist(), arcs["olabel"].tolist(), strict=True)
        labels = [f"{ilabel}\t{name(olabel)}" for ilabel, olabel in numbers]
        pairs = _costs(np.stack([finals, np.where(np.isfinite(finals), 0.0, np.inf)], axis=1))
    costs = _costs(np.stack([arcs["graph"], arcs["acoustic"]], axis=1))
    nothing = "0,0," if is_compact else "0,0"  # a weight that is left out
    lines = []
    for state in range(len(finals)):
        for i in range(first[state], first[state + 1]):
            weight = (costs[i] or "") + strings[i]
            lines.append(f"{state}\t{arcs['next'][i]}\t{labels[i]}" + (f"\t{weight}\n" if weight != nothing else "\n"))
        if pairs[state] is not None:
            weight = (pairs[state] or "") + strings[len(arcs) + state]
            lines.append(f"{state}\t{weight}\n" if weight != nothing else f"{state}\n")
    return "".join(lines)


def _costs(pairs: np.ndarray) -> list[str | None]:
    """`graph,acoustic` of each; None where it is infinite."""
    texts = [[str(value).removesuffix(".0") for value in column] for column in pairs.T.astype(np.float32)]
    known = np.isfinite(pairs).all(axis=1).tolist()
    zero = {"-0": "0"}
    return [
        f"{zero.get(g, g)},{zero.get(a, a)}" if is_known else None for g, a, is_known in zip(*texts, known, strict=True)
    ]


def read_text(lines: Sequence[str], number: int, where: str, words: SymbolTable | None) -> Lattice:
    """The lattice of some lines.

    Args:
        number: of the first line.
        where: what an error begins with, `{}` for the number of the line.

    Raises:
        GraphError: naming the line.
    """
    rows = [(number + i, line.split()) for i, line in enumerate(lines) if line.strip()]
    if not rows:
        raise GraphError(where.format(number) + "no line; a lattice has one at least")
    is_compact = _is_compact([row for _, row in rows])
    parse, table = _Parse(is_compact, words), _Table()
    for at, row in rows:
        try:
            parse.row(row, table)
        except (GraphError, LexiconError) as error:
            raise GraphError(where.format(at) + str(error)) from None
    try:
        return table.lattice(is_compact)
    except GraphError as error:
        raise GraphError(where.format(number) + str(error)) from None


def _is_compact(rows: Sequence[Sequence[str]]) -> bool:
    """Whether lines are of class CompactLattice: an arc has a word, not a label and a word."""
    if any(len(row) == 5 for row in rows):
        return False
    if any(len(row) == 3 or (len(row) == 4 and _COMPACT.fullmatch(row[3])) for row in rows):
        return True
    return not any(len(row) == 4 for row in rows) and any(len(row) == 2 and row[1].count(",") == 2 for row in rows)


class _Table:
    """Arcs and ends, as lines say them. States have any numbers; the first line begins with the start."""

    def __init__(self) -> None:
        self.arcs: list[tuple[int, int, int, float, float]] = []
        self.ilabels: list[int] = []
        self.labels: list[list[int]] = []
        self.ends: dict[int, _Weight] = {}
        self.start: int | None = None

    def lattice(self, is_compact: bool) -> Lattice:
        """What the lines say."""
        given = np.array(self.arcs, [(n, np.int64 if n in ("source", "next") else ARC[n]) for n in ARC.names or ()])
        states = np.unique(np.array([self.start, *given["source"], *given["next"], *self.ends], np.int64))
        finals = np.full((len(states), 2), np.inf)
        last: list[list[int]] = [[] for _ in states]
        for state, (graph, acoustic, labels) in self.ends.items():
            number = int(np.searchsorted(states, state))
            finals[number], last[number] = (graph, acoustic), labels
        for name in ("source", "next"):
            given[name] = np.searchsorted(states, given[name])
        order = np.argsort(given["source"], kind="stable")
        arcs, ilabel = given[order].astype(ARC), np.array(self.ilabels, np.int32)[order]
        start = int(np.flatnonzero(states == self.start)[0])
        check_parts(arcs, ilabel, finals)
        if not is_compact:
            return of_labels(arcs, ilabel, finals, start)
        strings = [self.labels[i] for i in order] + last
        flat = np.array([label for string in strings for label in string], np.int32)
        return of_words(arcs, finals, flat, np.array([len(string) for string in strings], np.int64), start)


class _Parse:
    """What a line says."""

    def __init__(self, is_compact: bool, words: SymbolTable | None) -> None:
        self._is_compact, self._words = is_compact, words
        self._n_labels = 1 if is_compact else 2

    def row(self, row: Sequence[str], table: _Table) -> None:
        """Put a line into the table. Raises GraphError, LexiconError."""
        source = _number(row[0], "a state")
        table.start = source if table.start is None else table.start
        if len(row) <= 2:
            graph, acoustic, labels = self._weight(row[1]) if len(row) == 2 else (0.0, 0.0, [])
            table.ends[source] = graph, acoustic, labels
            return
        if not 0 <= len(row) - 2 - self._n_labels <= 1:
            form = "`from to word weight`" if self._is_compact else "`from to label word weight`"
            raise GraphError(f"{len(row)} columns; need {form}, or `state weight` where paths end")
        target, word = _number(row[1], "a state"), self._word(row[1 + self._n_labels])
        graph, acoustic, labels = self._weight(row[-1]) if len(row) == 3 + self._n_labels else (0.0, 0.0, [])
        table.arcs.append((source, target, word, graph, acoustic))
        table.ilabels.append(word if self._is_compact else _number(row[2], "a label"))
        table.labels.append(labels)

    def _word(self, text: str) -> int:
        if self._words is not None:
            return self._words[text]
        if not text.isdecimal():
            raise GraphError(f"{text!r:.40} where the number of a word is due; for names give the table of words")
        return _number(text, "a word")

    def _weight(self, text: str) -> _Weight:
        match = (_COMPACT if self._is_compact else _PAIR).fullmatch(text)
        if match is None:
            form = "graph,acoustic,labels" if self._is_compact else "graph,acoustic"
            raise GraphError(f"{text!r:.40} where a weight is due: {form}")
        labels = [_number(label, "a label") for label in match[3].split("_")] if self._is_compact and match[3] else []
        return _cost(match[1]), _cost(match[2]), labels


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _MOST):
        raise GraphError(f"{text!r:.40} where the number of {what} is due")
    return int(text)


def _cost(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise GraphError(f"{text!r:.40} where a cost is due") from None
