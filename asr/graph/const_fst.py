"""The graph file: OpenFst's ConstFst with standard arcs, as flat numpy arrays. Needs numpy alone.

A file is a header, an array of states and an array of arcs, so that a graph of any size is opened by mapping it into
memory, and processes share it. Costs are negated natural logarithms (tropical semiring).
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..display.brief import many
from ..errors import GraphError
from ..files import replacing

STATE = np.dtype(
    [("final", "<f4"), ("first", "<u4"), ("n_arcs", "<u4"), ("n_input_epsilons", "<u4"), ("n_output_epsilons", "<u4")]
)
ARC = np.dtype([("ilabel", "<i4"), ("olabel", "<i4"), ("weight", "<f4"), ("next", "<i4")])

_MAGIC, _SYMBOLS_MAGIC = 2125659606, 2125658996
_ALIGNED_VERSION, _VERSION = 1, 2
_HAS_ISYMBOLS, _HAS_OSYMBOLS, _IS_ALIGNED = 1, 2, 4
_ALIGNMENT = 16
_CHECKED_BYTES = 1 << 26  # larger graphs are trusted, so that they open without being read through

_SPARSE_LABELS = 1 << 20

# Bits of OpenFst's property word. What is not stated is unknown, and OpenFst computes it when it needs it.
_EXPANDED = 0x1
_ACCEPTOR, _I_DETERMINISTIC, _EPSILONS = 0x1_0000, 0x4_0000, 0x40_0000
_I_EPSILONS, _O_EPSILONS, _I_LABEL_SORTED, _WEIGHTED = 0x100_0000, 0x400_0000, 0x1000_0000, 0x1_0000_0000


@dataclass(frozen=True, eq=False)
class Graph:
    """A weighted transducer in OpenFst's ConstFst layout.

    Attributes:
        start: the start state; -1 for a graph without states.
        states: STATE (n_states,): final cost (inf: not final), first arc, number of arcs, of input and of output
            epsilons.
        arcs: ARC (n_arcs,): labels, cost, next state; a state's arcs are contiguous and ascend by input label.

    Examples:
        >>> graph = Graph.from_arrays(0, [0, 0], [2, 1], [0, 7], [0.5, 0.25], [1, 1], [np.inf, 0.0])
        >>> graph.arcs["ilabel"].tolist(), graph.n_states
        ([1, 2], 2)
    """

    start: int
    states: np.ndarray
    arcs: np.ndarray

    search: ClassVar[str] = "static"

    def __repr__(self) -> str:
        return f"<Graph: {many(self.n_states, 'state')}, {many(self.n_arcs, 'arc')}>"

    @property
    def n_states(self) -> int:
        """The number of states."""
        return len(self.states)

    @property
    def n_arcs(self) -> int:
        """The number of arcs."""
        return len(self.arcs)

    @property
    def n_bytes(self) -> int:
        """What states and arcs take."""
        return int(self.states.nbytes + self.arcs.nbytes)

    def word_ids(self) -> np.ndarray:
        """The output labels that it has, each once, ascending."""
        labels = np.unique(self.arcs["olabel"])
        return labels[labels != 0]

    def save(self, directory: Path) -> None:
        """Write it into a model's directory, as HCLG.fst."""
        self.write(directory / "HCLG.fst")

    def sources(self) -> np.ndarray:
        """int32 (n_arcs,): the state that each arc leaves."""
        return np.repeat(np.arange(self.n_states, dtype=np.int32), self.states["n_arcs"])

    @classmethod
    def from_arrays(cls, start, source, ilabel, olabel, weight, next_state, final) -> "Graph":
        """A graph from one array per field of its arcs, in any order.

        Arcs are sorted by source, then input label; ties keep their order.

        Args:
            source: integer (n_arcs,).
            ilabel: integer (n_arcs,).
            olabel: integer (n_arcs,).
            next_state: integer (n_arcs,).
            weight: costs (n_arcs,).
            final: float (n_states,): final costs, inf where a state is not final.

        Raises:
            GraphError: for a state that does not exist, a negative label or a cost that is NaN.
        """
        source, final = np.asarray(source).ravel(), np.asarray(final, np.float32)
        n_states = len(final)
        if len(source) and not 0 <= source.min() <= source.max() < n_states:
            raise GraphError(f"an arc leaves state {source.max()} or {source.min()}; the graph has {n_states} states")
        arcs = np.empty(len(source), ARC)
        for name, values in (("ilabel", ilabel), ("olabel", olabel), ("weight", weight), ("next", next_state)):
            arcs[name] = values
        return cls.from_rows(start, source.astype(np.int32), arcs, final)

    @classmethod
    def from_rows(cls, start: int, source: np.ndarray, arcs: np.ndarray, final: np.ndarray) -> "Graph":
        """A graph from its arcs, in any order; as `from_arrays`, without copies of what has the right type.

        Args:
            source: int32 (n_arcs,): states of the graph.
            arcs: ARC (n_arcs,).
            final: float32 (n_states,).
        """
        from .arc_kernels import count_arcs, in_order

        states = np.zeros(len(final), STATE)
        cls(int(start), states, arcs)._check_arcs("the arrays", final)
        labels = np.ascontiguousarray(arcs["ilabel"])
        if not in_order(source, labels):
            source, arcs = _ordered(source, labels, arcs, len(final))
        count_arcs(source, as_rows(arcs)[0], states.view(np.int32).reshape(-1, 5))
        states["final"] = final
        return cls(int(start), states, arcs)

    @classmethod
    def read(cls, path: str | os.PathLike, *, check: bool | None = None) -> "Graph":
        """The graph in an OpenFst ConstFst file, mapped into memory where its arrays are aligned and sorted.

        Files of other writers may be unaligned or unsorted; those are read into memory and sorted.

        Args:
            check: whether to look at every arc; None: for files below 64 MiB.

        Raises:
            GraphError: for a file that is truncated, of another kind, or inconsistent.
        """
        size = Path(path).stat().st_size
        if size == 0:
            raise GraphError(f"{path}: the file is empty; expected an OpenFst ConstFst")
        return cls._parse(np.memmap(path, np.uint8, "r"), str(path), size < _CHECKED_BYTES if check is None else check)

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str = "graph") -> "Graph":
        """The graph in the bytes of a ConstFst file; `where` names them in error messages."""
        return cls._parse(np.frombuffer(data, np.uint8), where, True)

    @classmethod
    def _parse(cls, data: np.ndarray, where: str, check: bool) -> "Graph":
        header = _Header.read(data, where)
        states = _array(data, header.position, STATE, header.n_states, header.aligned, where)
        position = header.position + header.n_states * STATE.itemsize
        position += -position % _ALIGNMENT if header.aligned else 0
        arcs = _array(data, position, ARC, header.n_arcs, header.aligned, where)
        graph = cls(header.start, states, arcs)
        graph._check_ends(where)
        if header.properties & _I_LABEL_SORTED == 0:
            graph._check_states(where)
            order = np.lexsort((arcs["ilabel"], graph.sources()))
            graph = cls(header.start, states, arcs[order])
        if check:
            graph.check(where)
        return graph

    def _check_ends(self, where: str) -> None:
        """What can be seen without going through the states."""
        if self.start != -1 and not 0 <= self.start < self.n_states:
            raise GraphError(f"{where}: the start state is {self.start}; the graph has {self.n_states} states")
        end = int(self.states["first"][-1]) + int(self.states["n_arcs"][-1]) if self.n_states else 0
        if end != self.n_arcs:
            raise GraphError(f"{where}: the states have {end} arcs; the graph has {self.n_arcs}")

    def _check_states(self, where: str) -> None:
        self._check_ends(where)
        after = np.cumsum(self.states["n_arcs"], dtype=np.int64)
        wrong = np.flatnonzero(after - self.states["n_arcs"] != self.states["first"])
        if len(wrong):
            s = wrong[0]
            raise GraphError(
                f"{where}: the arcs of state {s} start at {self.states['first'][s]}, not where those before it end"
            )

    def check(self, where: str = "graph") -> None:
        """Raise GraphError unless every state and arc is consistent; looks at each of them."""
        self._check_states(where)
        self._check_arcs(where, self.states["final"])
        arcs, states, source = self.arcs, self.states, self.sources()
        if ((source[1:] == source[:-1]) & (arcs["ilabel"][1:] < arcs["ilabel"][:-1])).any():
            raise GraphError(f"{where}: says that its arcs are sorted by input label, but they are not")
        for side, label in (("n_input_epsilons", "ilabel"), ("n_output_epsilons", "olabel")):
            counted = np.bincount(source[arcs[label] == 0], minlength=self.n_states)
            if (counted != states[side]).any():
                raise GraphError(
                    f"{where}: the number of epsilons of state {np.argmax(counted != states[side])} is wrong"
                )

    def _check_arcs(self, where: str, final: np.ndarray) -> None:
        """What can be wrong with arcs in any order."""
        if self.start != -1 and not 0 <= self.start < self.n_states:
            raise GraphError(f"{where}: the start state is {self.start}; the graph has {self.n_states} states")
        arcs = self.arcs
        outside = (arcs["next"] < 0) | (arcs["next"] >= self.n_states)
        if outside.any():
            i = int(np.argmax(outside))
            raise GraphError(f"{where}: arc {i} goes to state {arcs['next'][i]}; the graph has {self.n_states} states")
        negative = (arcs["ilabel"] < 0) | (arcs["olabel"] < 0)
        if negative.any():
            raise GraphError(f"{where}: arc {int(np.argmax(negative))} has a negative label")
        if np.isnan(arcs["weight"]).any() or np.isnan(final).any():
            raise GraphError(f"{where}: a cost is NaN")

    def to_bytes(self) -> bytes:
        """The bytes of an aligned ConstFst file."""
        return b"".join(bytes(part) for part in self._parts())

    def write(self, path: str | os.PathLike) -> None:
        """Write an aligned ConstFst file (version 1, 16-byte padding), whole or not at all."""
        with replacing(path) as temporary, temporary.open("wb") as stream:
            for part in self._parts():
                stream.write(part)

    def _parts(self) -> tuple[bytes, memoryview, bytes, memoryview]:
        header = _Header(self.start, self.n_states, self.n_arcs, self._properties(), True, 0).to_bytes()
        states, arcs = (np.ascontiguousarray(a).view(np.uint8).data for a in (self.states, self.arcs))
        return header, states, b"\0" * (-(len(header) + len(states)) % _ALIGNMENT), arcs

    def _properties(self) -> int:
        """OpenFst's property word: of each pair of opposite bits, the upper one says "no"."""
        arcs, states, source = self.arcs, self.states, self.sources()
        same = (source[1:] == source[:-1]) & (arcs["ilabel"][1:] == arcs["ilabel"][:-1])
        costs = [arcs["weight"], states["final"]]
        facts = {
            _ACCEPTOR: bool((arcs["ilabel"] == arcs["olabel"]).all()),
            _I_DETERMINISTIC: not same.any(),
            _EPSILONS: bool(((arcs["ilabel"] == 0) & (arcs["olabel"] == 0)).any()),
            _I_EPSILONS: bool(states["n_input_epsilons"].any()),
            _O_EPSILONS: bool(states["n_output_epsilons"].any()),
            _I_LABEL_SORTED: True,
            _WEIGHTED: any(bool(((c != 0) & (c != np.inf)).any()) for c in costs),
        }
        return _EXPANDED | sum(bit if fact else bit << 1 for bit, fact in facts.items())


@dataclass(frozen=True)
class _Header:
    """What stands before the states; `position` is where the states start."""

    start: int
    n_states: int
    n_arcs: int
    properties: int
    aligned: bool
    position: int

    @classmethod
    def read(cls, data: np.ndarray, where: str) -> "_Header":
        reader = _Reader(data, where)
        magic = reader.number("<i", "the magic number")
        if magic != _MAGIC:
            raise GraphError(f"{where}: not an OpenFst file (starts with {data[:4].tobytes()!r})")
        kind, arc = reader.text("the FST type"), reader.text("the arc type")
        if (kind, arc) != ("const", "standard"):
            raise GraphError(
                f"{where}: an OpenFst file of type {kind!r} with {arc!r} arcs; needed are type 'const' with 'standard' "
                "arcs (convert it: fstconvert --fst_type=const)"
            )
        version, flags = reader.number("<i", "the version"), reader.number("<i", "the flags")
        if version not in (_ALIGNED_VERSION, _VERSION):
            raise GraphError(f"{where}: ConstFst version {version}; 1 and 2 are known")
        properties = reader.number("<Q", "the properties")
        start, n_states, n_arcs = (reader.number("<q", "the sizes") for _ in range(3))
        if n_states < 0 or n_arcs < 0:
            raise GraphError(f"{where}: the header does not say how many states and arcs there are")
        for _ in range(bool(flags & _HAS_ISYMBOLS) + bool(flags & _HAS_OSYMBOLS)):
            reader.skip_symbols()
        aligned = version == _ALIGNED_VERSION or bool(flags & _IS_ALIGNED)
        position = reader.position + (-reader.position % _ALIGNMENT if aligned else 0)
        return cls(start, n_states, n_arcs, properties, aligned, position)

    def to_bytes(self) -> bytes:
        names = b"".join(struct.pack("<i", len(name)) + name for name in (b"const", b"standard"))
        flags = _IS_ALIGNED if self.aligned else 0
        version = _ALIGNED_VERSION if self.aligned else _VERSION
        numbers = (version, flags, self.properties, self.start, self.n_states, self.n_arcs)
        header = struct.pack("<i", _MAGIC) + names + struct.pack("<iiQqqq", *numbers)
        return header + b"\0" * (-len(header) % _ALIGNMENT if self.aligned else 0)


class _Reader:
    """Numbers and strings of an OpenFst header, one after the other."""

    def __init__(self, data: np.ndarray, where: str):
        self.data, self.where, self.position = data, where, 0

    def take(self, size: int, what: str) -> bytes:
        if size < 0 or self.position + size > len(self.data):
            raise GraphError(f"{self.where}: truncated: {what} is missing (the file has {len(self.data)} bytes)")
        self.position += size
        return self.data[self.position - size : self.position].tobytes()

    def number(self, kind: str, what: str) -> int:
        return struct.unpack(kind, self.take(struct.calcsize(kind), what))[0]

    def text(self, what: str) -> str:
        return self.take(self.number("<i", what), what).decode("utf-8", "replace")

    def skip_symbols(self) -> None:
        what = "a symbol table"
        if self.number("<i", what) != _SYMBOLS_MAGIC:
            raise GraphError(f"{self.where}: its symbol table is damaged")
        self.text(what)
        self.number("<q", what)
        for _ in range(self.number("<q", what)):
            self.text(what)
            self.number("<q", what)


def _array(data: np.ndarray, position: int, dtype: np.dtype, count: int, aligned: bool, where: str) -> np.ndarray:
    end = position + count * dtype.itemsize
    if end > len(data):
        raise GraphError(f"{where}: truncated: {len(data)} bytes; its states and arcs need {end} or more")
    array = np.asarray(data[position:end]).view(dtype)
    return array if aligned and array.flags.aligned else array.copy()


def as_rows(arcs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arcs as int32 and as float32 (n_arcs, 4), of the same memory: how compiled steps see them."""
    numbers = np.ascontiguousarray(arcs).view(np.int32).reshape(-1, 4)
    return numbers, numbers.view(np.float32)


def _ordered(source: np.ndarray, labels: np.ndarray, arcs: np.ndarray, n_states: int) -> tuple[np.ndarray, np.ndarray]:
    """The arcs in order of their source, then of their input label, and their sources; ties keep their order."""
    from .arc_kernels import in_that_order, order_by

    if labels.max(initial=0) > _SPARSE_LABELS + len(labels):  # counting them would take more memory than the graph
        labels = np.unique(labels, return_inverse=True)[1].astype(np.int32)
    order, turned = np.arange(len(source), dtype=np.int32), np.empty(len(source), np.int32)
    for keys, n_keys in ((labels, int(labels.max(initial=0)) + 1), (source, n_states)):
        order_by(keys, order, np.zeros(n_keys + 1, np.int64), turned)
        order, turned = turned, order
    result = np.empty(len(arcs), ARC)
    in_that_order(as_rows(arcs)[0], order, as_rows(result)[0])
    return source[order], result


def ranges(first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The numbers first[i], first[i] + 1, ..., count[i] of them, for one i after the other: arcs of some states.

    Examples:
        >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
        [5, 6, 0, 1, 2]
    """
    return np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
