"""OpenFst's binary VectorFst with Kaldi's lattice weights, to and from flat arrays.

A header, and for each state its final weight, how many arcs it has, and these: two labels, a weight, the next state. A
weight is the graph's cost and the acoustic one; that of a CompactLattice has the labels of an arc behind them, with
their number. Ref: Kaldi, src/fstext/lattice-weight.h; OpenFst, vector-fst.h.
"""

import struct
from typing import NamedTuple

import numpy as np

from ..errors import GraphError
from ..graph.const_fst import ranges
from .compact import CompactLattice, in_order
from .lattice import ARC as LABEL_ARC
from .lattice import Lattice
from .words import ARC

MAGIC = struct.pack("<i", 2125659606)

_VERSION = 2
_SYMBOLS_MAGIC, _HAS_SYMBOLS = 2125658996, (1, 2)  # flags: for input labels, for output labels
_EXPANDED_MUTABLE, _ACCEPTOR, _NO_ACCEPTOR = 0x3, 0x1_0000, 0x2_0000  # OpenFst computes what else it needs
# Names of arcs: the bytes of a number, and whether labels are in the weight. Kaldi's tools write the first two.
_KINDS = {
    "lattice4": (4, False),
    "compactlattice44": (4, True),
    "lattice8": (8, False),
    "compactlattice84": (8, True),
}


def read_fst(data: np.ndarray, at: int) -> tuple[Lattice, int]:
    """The lattice that begins at a byte, and the byte behind it.

    Args:
        data: uint8 (n_bytes,).

    Raises:
        GraphError: naming the byte; without the name of the file.
    """
    head = _Header.read(data, at)
    from .order_kernels import places_in_file

    none = np.zeros(0, np.int64)
    sizes = head.n_states, 2 * head.number_bytes, head.is_compact
    counted = np.zeros(2, np.int64)
    end = places_in_file(data, head.end, *sizes, none, none, np.zeros(0, np.int32), counted)
    if end < 0:
        what = "the file ends amid the lattice; is it cut short?" if end == -1 else "a size that cannot be"
        raise GraphError(f"byte {counted[1]}: {what}")
    finals_at, arcs_at = np.empty(head.n_states, np.int64), np.empty(counted[0], np.int64)
    source = np.empty(counted[0], np.int32)
    places_in_file(data, head.end, *sizes, finals_at, arcs_at, source, counted)
    numbers = np.frombuffer(data[head.end : end].tobytes(), "<i4")  # as the header may have any length
    fields = _Fields(numbers, (finals_at - head.end) // 4, (arcs_at - head.end) // 4, source, head)
    try:
        return fields.lattice(), int(end)
    except GraphError as error:
        raise GraphError(f"byte {at}: {error}") from None


class _Header(NamedTuple):
    """What stands before the states; `end` is the byte where they begin."""

    start: int
    n_states: int
    number_bytes: int
    is_compact: bool
    end: int

    @classmethod
    def read(cls, data: np.ndarray, at: int) -> "_Header":
        reader = _Reader(data, at)
        if reader.take(4) != MAGIC:
            raise GraphError(f"byte {at}: no lattice of OpenFst begins here")
        kind, arc = reader.text(), reader.text()
        if kind != "vector" or arc not in _KINDS:
            raise GraphError(
                f"byte {at}: an FST of type {kind!r:.40} with {arc!r:.40} arcs; a lattice is of type 'vector', and has "
                f"arcs {', '.join(_KINDS)}"
            )
        version, flags, _, start, n_states, _ = reader.numbers("<iiQqqq")
        if version != _VERSION:
            raise GraphError(f"byte {at}: version {version} of VectorFst; {_VERSION} is known")
        for flag in _HAS_SYMBOLS:
            if flags & flag:
                reader.skip_symbols()
        if not 0 <= n_states <= len(data):
            raise GraphError(f"byte {at}: a header that does not say how many states follow")
        if not 0 <= start < n_states:
            what = f"there is no state {start} to start in" if start >= 0 else "the lattice has no start, so no path"
            raise GraphError(f"byte {at}: {what}")
        number_bytes, is_compact = _KINDS[arc]
        return cls(start, n_states, number_bytes, is_compact, reader.at)


class _Reader:
    """Numbers and strings, one after the other."""

    def __init__(self, data: np.ndarray, at: int) -> None:
        self._data, self.at = data, at

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self._data):
            raise GraphError(f"byte {self.at}: the file ends amid the header, or it is damaged")
        self.at += size
        return self._data[self.at - size : self.at].tobytes()

    def numbers(self, form: str) -> tuple:
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def text(self) -> str:
        (size,) = self.numbers("<i")
        return self.take(size).decode("utf-8", "replace")

    def skip_symbols(self) -> None:
        (magic,) = self.numbers("<i")
        if magic != _SYMBOLS_MAGIC:
            raise GraphError(f"byte {self.at - 4}: a damaged symbol table")
        self.text()
        _, count = self.numbers("<qq")
        for _ in range(count):
            self.text()
            self.take(8)


class _Fields(NamedTuple):
    """The numbers of a lattice as the file has them, and where in them each state and each arc begins."""

    numbers: np.ndarray
    finals_at: np.ndarray
    arcs_at: np.ndarray
    source: np.ndarray
    head: _Header

    def lattice(self) -> Lattice:
        """What they say. Raises GraphError for what no lattice has."""
        arcs = np.zeros(len(self.source), ARC)
        weight_size = 2 * self.head.number_bytes // 4
        begin, after = self.arcs_at + 2 + weight_size, self.arcs_at + 2 + weight_size
        n_labels = n_last = None
        if self.head.is_compact:
            n_labels, n_last = self.numbers[begin], self.numbers[self.finals_at + weight_size]
            after = begin + 1 + n_labels
        ilabel, word, target = self.numbers[self.arcs_at], self.numbers[self.arcs_at + 1], self.numbers[after]
        arcs["source"], arcs["next"], arcs["word"] = self.source, target, word
        arcs["graph"], arcs["acoustic"] = self._weights(self.arcs_at + 2).T
        finals = self._weights(self.finals_at)
        check_parts(arcs, ilabel, finals)
        if n_labels is None or n_last is None:
            return of_labels(arcs, ilabel, finals, self.head.start)
        where = np.concatenate([begin + 1, self.finals_at + weight_size + 1])
        sizes = np.concatenate([n_labels, n_last]).astype(np.int64)
        labels = self.numbers[ranges(where, sizes)]
        return of_words(arcs, finals, labels, sizes, self.head.start)

    def _weights(self, at: np.ndarray) -> np.ndarray:
        """float64 (n, 2)."""
        n = 2 * self.head.number_bytes // 4
        kind = np.dtype(f"<f{self.head.number_bytes}")
        pairs = self.numbers[at[:, None] + np.arange(n)].reshape(-1).view(kind).reshape(-1, 2)
        with np.errstate(invalid="ignore"):  # what is no number is refused later
            return pairs.astype(np.float64)


def check_parts(arcs: np.ndarray, ilabel: np.ndarray, finals: np.ndarray) -> None:
    """Raise GraphError for arcs that lead nowhere, labels below 0, and costs that are no numbers."""
    n_states = len(finals)
    if len(bad := arcs["next"][(arcs["next"] < 0) | (arcs["next"] >= n_states)]):
        raise GraphError(f"an arc leads to state {bad[0]} of {n_states}")
    if (arcs["word"] < 0).any() or (ilabel < 0).any():
        raise GraphError("a label below 0")
    if not (np.isfinite(arcs["graph"]) & np.isfinite(arcs["acoustic"])).all():
        raise GraphError("an arc's cost is no finite number")
    if np.isnan(finals).any() or (finals == -np.inf).any():
        raise GraphError("the cost of an end is no number")


def of_labels(arcs: np.ndarray, ilabel: np.ndarray, finals: np.ndarray, start: int) -> Lattice:
    """A lattice of Kaldi's class Lattice, whose arcs have a label each.

    Args:
        arcs: ARC of asr.lattice.words.
        ilabel: int32 (n_arcs,).
        finals: float64 (n_states, 2).
    """
    made = np.empty(len(arcs), LABEL_ARC)
    for name in ("source", "next", "graph", "acoustic"):
        made[name] = arcs[name]
    made["ilabel"], made["olabel"] = ilabel, arcs["word"]
    # The end of a Lattice has no acoustic cost: an arc has it.
    ends = np.flatnonzero(np.isfinite(finals).all(axis=1) & (finals[:, 1] != 0))
    more = np.zeros(len(ends), LABEL_ARC)
    more["source"], more["next"] = ends, len(finals) + np.arange(len(ends))
    more["graph"], more["acoustic"] = finals[ends].T
    costs = np.concatenate([np.where(np.isfinite(finals[:, 1]), finals[:, 0], np.inf), np.zeros(len(ends))])
    costs[ends] = np.inf
    made = np.concatenate([made, more])
    if start:
        _exchange(made, costs, start)
    return in_order(made, costs)


def of_words(arcs: np.ndarray, finals: np.ndarray, labels: np.ndarray, sizes: np.ndarray, start: int) -> Lattice:
    """A lattice of Kaldi's class CompactLattice, expanded.

    Args:
        arcs: ARC of asr.lattice.words, ascending by source.
        labels: int32, of all arcs and then of all states' ends.
        sizes: int64 (n_arcs + n_states,): how many each has.
    """
    if (labels < 0).any():
        raise GraphError("a label below 0")
    if start:
        # The start becomes state 0, and state 0 the last one, so that ends keep the order of their labels.
        order = np.concatenate([[start], np.delete(np.arange(len(finals)), start)])
        number = np.argsort(order)
        begins = np.concatenate([[0], np.cumsum(sizes)])
        by_source = np.argsort(number[arcs["source"]], kind="stable")
        items = np.concatenate([by_source, len(arcs) + order])
        labels, sizes = labels[ranges(begins[:-1][items], sizes[items])], sizes[items]
        arcs, finals = arcs[by_source], finals[order]
        arcs["source"], arcs["next"] = number[arcs["source"]], number[arcs["next"]]
    return CompactLattice(arcs, finals, labels, np.concatenate([[0], np.cumsum(sizes)])).expanded()


def _exchange(arcs: np.ndarray, finals: np.ndarray, start: int) -> None:
    """The start and state 0 get each other's numbers."""
    for name in ("source", "next"):
        values = arcs[name].copy()
        arcs[name][values == start], arcs[name][values == 0] = 0, start
    finals[[0, start]] = finals[[start, 0]]


def fst_bytes(lattice: Lattice | CompactLattice) -> bytes:
    """The lattice as Kaldi's binary files have it, costs as float32: class Lattice or CompactLattice."""
    arcs, is_compact = lattice.arcs, isinstance(lattice, CompactLattice)
    n_states = len(lattice.finals)
    first = np.searchsorted(arcs["source"], np.arange(n_states + 1))
    if isinstance(lattice, CompactLattice):
        ilabel, olabel, finals = arcs["word"], arcs["word"], lattice.finals
        sizes, labels = np.diff(lattice.begins), lattice.labels
        n_labels, n_last = sizes[: len(arcs)], sizes[len(arcs) :]
    else:
        ilabel, olabel = arcs["ilabel"], arcs["olabel"]
        finals = np.stack([lattice.finals, np.where(np.isfinite(lattice.finals), 0.0, np.inf)], axis=1)
        n_labels, n_last = np.zeros(len(arcs), np.int64), np.zeros(n_states, np.int64)
    of_arc, of_state = 5 + n_labels + is_compact, 4 + n_last + is_compact
    before = np.concatenate([[0], np.cumsum(of_arc)])
    states_before = np.concatenate([[0], np.cumsum(of_state)])
    finals_at = states_before[:-1] + before[first[:-1]]
    arcs_at = before[:-1] + states_before[1:][arcs["source"]]
    numbers = np.zeros(int(before[-1] + states_before[-1]), "<i4")
    floats = numbers.view("<f4")
    floats[finals_at], floats[finals_at + 1] = finals.T
    numbers[finals_at + of_state - 2] = np.diff(first)  # of two halves the lower one
    numbers[arcs_at], numbers[arcs_at + 1] = ilabel, olabel
    floats[arcs_at + 2], floats[arcs_at + 3] = arcs["graph"], arcs["acoustic"]
    numbers[arcs_at + of_arc - 1] = arcs["next"]
    if is_compact:
        numbers[finals_at + 2], numbers[arcs_at + 4] = n_last, n_labels
        where, sizes = np.concatenate([arcs_at + 5, finals_at + 3]), np.concatenate([n_labels, n_last])
        numbers[ranges(where, sizes)] = labels
    return _header(n_states, len(arcs), is_compact) + numbers.tobytes()


def _header(n_states: int, n_arcs: int, is_compact: bool) -> bytes:
    names = "vector", "compactlattice44" if is_compact else "lattice4"
    texts = b"".join(struct.pack("<i", len(name)) + name.encode() for name in names)
    properties = _EXPANDED_MUTABLE | (_ACCEPTOR if is_compact else _NO_ACCEPTOR)
    return MAGIC + texts + struct.pack("<iiQqqq", _VERSION, 0, properties, 0, n_states, n_arcs)
