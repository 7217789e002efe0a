"""Determinisation: one way through the graph for each sequence of input labels, epsilons removed on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GraphError
from .budget import REMEDY, Budget
from .const_fst import ARC, STATE, Graph
from .trimming import leading_on

if TYPE_CHECKING:
    from types import ModuleType

# Rounding errors keep equal states apart unless nearly equal costs count as equal. Determinisation carries its
# differences round every cycle, so it must be finer than minimisation, which puts together what is left apart.
DELTA = 2.0**-16

_GROWTH = 1.5
_MOST_SHOWN = 8  # labels of each kind in a message
_MOST_STEPS = 300  # arcs that are gone back to name the words before a state
_NEWEST = 1000  # states that are looked at to find the reason of a result that grows without end


def determinise(
    graph: Graph,
    *,
    budget: Budget | None = None,
    what: str = "graph",
    delta: float = DELTA,
    in_log: bool = True,
    name_of: Callable[[int], str] | None = None,
) -> Graph:
    """An equivalent graph in which no state has two arcs with the same input label.

    The graph must be functional: what it reads says what it writes. Arcs without input label are removed on the way.
    Output labels move along the paths, to where it is certain that they are written; a string of them becomes a chain
    of arcs without input label. Memory and time are in proportion to the result.

    Args:
        budget: of the result; None: what memory allows.
        what: names the graph in error messages.
        delta: costs closer than this are equal.
        in_log: where several arcs become one, its cost is that of the sum of their probabilities (the log semiring),
            which prunes better on the way than the best one's; the cost of every path of an unambiguous graph stays.
            Of two paths of the same labels, too, the sum is kept instead of the best.
        name_of: the name of an output label, for error messages; None: its number.

    Raises:
        GraphError: if the result is larger than the budget, which is how a graph that cannot be determinised shows
            itself, too; if the same input is written in two ways; if costs fall without end. It says for which words.

    Same as Kaldi's fstdeterminizestar --use-log=true; of several epsilon paths of the same output, the best counts.

    Ref: Mohri, Finite-state transducers in language and speech processing, 1997.

    Examples:
        >>> arcs = [(0, 1, 7, 0.0, 1), (0, 1, 8, 1.0, 2), (1, 2, 0, 0.5, 3), (2, 3, 0, 0.0, 3)]
        >>> graph = Graph.from_arrays(0, *zip(*arcs), [np.inf, np.inf, np.inf, 0.0])
        >>> result = determinise(graph, in_log=False)
        >>> [tuple(arc[:2]) for arc in result.arcs.tolist()]
        [(1, 0), (2, 7), (3, 8)]
    """
    from . import determinise_kernels as kernels

    useful = leading_on(graph)
    if graph.start < 0 or not useful[graph.start]:
        return Graph(-1, np.empty(0, STATE), np.empty(0, ARC))
    budget = budget or Budget()
    room, limit = _Room.of(graph, kernels, budget), f"the budget of {budget.max_states:,} states"
    views = _flat_views(graph)
    while True:
        status = kernels.determinise(*views, useful.view(np.uint8), *room.arguments(), delta, in_log)
        if status == kernels.DONE:
            return room.result()
        if status == kernels.PAUSED:
            continue
        if status < kernels.DONE:
            try:
                room.grow(status)
                continue
            except MemoryError:
                status, limit = kernels.OVER, "the memory of this machine"
        raise GraphError(_complaint(room, status, graph, limit, what, name_of or str))


def _flat_views(graph: Graph) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """States (5 words each) and arcs (4 words each) as int32, then the same bytes as float32."""
    states, arcs = np.ascontiguousarray(graph.states), np.ascontiguousarray(graph.arcs)
    return states.view(np.int32), arcs.view(np.int32), states.view(np.float32), arcs.view(np.float32)


@dataclass(eq=False)
class _Room:
    """The growing arrays of a determinisation; see `determinise_kernels.determinise` for what is in them."""

    kernels: "ModuleType"
    registers: np.ndarray
    alone: np.ndarray
    place: np.ndarray
    out_states: np.ndarray
    out_arcs: np.ndarray
    begin: np.ndarray
    hashes: np.ndarray
    element: np.ndarray
    residual: np.ndarray
    table: np.ndarray
    trie: np.ndarray
    string_table: np.ndarray
    closed: tuple[np.ndarray, ...]
    moves: tuple[np.ndarray, ...]
    labels: np.ndarray

    @classmethod
    def of(cls, graph: Graph, kernels: "ModuleType", budget: Budget) -> "_Room":
        """Room to begin with, and the state of the result that is the start state alone."""
        n, strings = 1024, 4 * kernels.LONGEST
        registers = np.zeros(kernels.N_REGISTERS, np.int64)
        registers[[kernels.N_STATES, kernels.N_STRINGS, kernels.REHASH]] = 1, 1, kernels.DONE
        registers[[kernels.MAX_STATES, kernels.MAX_ARCS]] = budget.max_states, budget.max_arcs
        room = cls(
            kernels,
            registers,
            np.full(graph.n_states, -1, np.int32),
            np.full(graph.n_states, -1, np.int32),
            np.zeros(5 * n, np.int32),
            np.zeros(4 * n, np.int32),
            np.zeros(n + 1, np.int64),
            np.zeros(n, np.int32),
            np.zeros(2 * n, np.int32),
            np.zeros(n),
            np.zeros(_table_size(n), np.int32),
            np.zeros(3 * strings, np.int32),
            np.zeros(_table_size(strings), np.int32),
            cls._closed(n),
            cls._moves(n),
            np.zeros(kernels.LONGEST + 2, np.int32),
        )
        room.alone[graph.start] = 0
        room.element[0], room.begin[1], room.hashes[0] = graph.start, 1, -1
        return room

    @staticmethod
    def _closed(n: int) -> tuple[np.ndarray, ...]:
        return np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n), np.empty(n, np.int32)

    @staticmethod
    def _moves(n: int) -> tuple[np.ndarray, ...]:
        return np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n), np.empty(n, np.int32), np.empty(n, np.int32)

    def arguments(self) -> tuple[np.ndarray, ...]:
        """The kernel's arguments, from `alone` to `registers`."""
        outputs = (a.view(kind) for a in (self.out_states, self.out_arcs) for kind in (np.int32, np.float32))
        subsets = (self.begin, self.hashes, self.element, self.residual, self.table, self.trie, self.string_table)
        return (self.alone, self.place, *outputs, *subsets, *self.closed, *self.moves, self.labels, self.registers)

    def grow(self, kind: int) -> None:
        """Make room for what the kernel says that it needs, and half as much again."""
        k, n = self.kernels, int(_GROWTH * self.registers[kind])
        # resize() moves large arrays without a copy.
        if kind == k.STATES:
            self.out_states.resize(5 * n, refcheck=False)
            self.begin.resize(n + 1, refcheck=False)
            self.hashes.resize(n, refcheck=False)
            if _table_size(n) > len(self.table):
                self.table = np.zeros(_table_size(n), np.int32)
                self.registers[k.REHASH] = kind
        elif kind == k.ARCS:
            self.out_arcs.resize(4 * n, refcheck=False)
        elif kind == k.ELEMENTS:
            self.element.resize(2 * n, refcheck=False)
            self.residual.resize(n, refcheck=False)
        elif kind == k.STRINGS:
            self.trie.resize(3 * n, refcheck=False)
            if _table_size(n) > len(self.string_table):
                self.string_table = np.zeros(_table_size(n), np.int32)
                self.registers[k.REHASH] = kind
        elif kind == k.CLOSED:
            self.closed = self._closed(n)
        else:
            self.moves = self._moves(n)

    def result(self) -> Graph:
        """The graph that was made."""
        k = self.kernels
        self.out_states.resize(5 * int(self.registers[k.N_STATES]), refcheck=False)
        self.out_arcs.resize(4 * int(self.registers[k.N_ARCS]), refcheck=False)
        return Graph(0, self.out_states.view(STATE), self.out_arcs.view(ARC))

    def string(self, node: int) -> list[int]:
        """The labels of a string."""
        found: list[int] = []
        while node > 0:
            found.append(int(self.trie[3 * node + 1]))
            node = int(self.trie[3 * node])
        return found[::-1]

    def delayed(self, q: int) -> list[list[int]]:
        """The different strings that a state of the result has still to write."""
        elements = self.element.reshape(-1, 2)[self.begin[q] : self.begin[q + 1]]
        return [self.string(int(node)) for node in np.unique(elements[elements[:, 0] >= 0, 1])]

    def written(self, q: int) -> list[int]:
        """The output labels on the way on which a state of the result was found first."""
        n_arcs = int(self.registers[self.kernels.N_ARCS])
        arcs = self.out_arcs[: 4 * n_arcs].view(ARC)
        first = self.out_states.reshape(-1, 5)[: int(self.registers[self.kernels.NEXT]), 1].copy()
        labels: list[int] = []
        # The first arc to a state is the one that it was found by, and leaves a state of a lower number.
        for _ in range(_MOST_STEPS):
            into = np.flatnonzero(arcs["next"] == q)
            if q == 0 or not len(into) or len(labels) == _MOST_SHOWN:
                break
            if arcs["olabel"][into[0]] != 0:
                labels.append(int(arcs["olabel"][into[0]]))
            q = int(np.searchsorted(first, into[0], side="right")) - 1
        return labels[::-1]


def _table_size(n: int) -> int:
    """A power of two, so that a table of n is at most 3/4 full."""
    return 1 << (4 * n // 3).bit_length()


def _complaint(room: _Room, status: int, graph: Graph, limit: str, what: str, name_of: Callable[[int], str]) -> str:
    """Why there is no result, and which words are to blame."""
    k, registers = room.kernels, room.registers

    def named(labels: list[int]) -> str:
        shown = " ".join(repr(name_of(label)) for label in labels[:_MOST_SHOWN])
        return (shown + (" ..." if len(labels) > _MOST_SHOWN else "")) if labels else "nothing"

    def before(q: int) -> str:
        labels = room.written(q)
        return f" after {named(labels)}" if labels else ""

    after = before(int(registers[k.NEXT]))
    first, second = (room.string(int(registers[i])) for i in (k.FIRST, k.SECOND))
    if status == k.AMBIGUOUS:
        return (
            f"det({what}): the same input{after} is written in two ways: {named(first)} and {named(second)}. A graph "
            "can be determinised only if its input says what it writes: words that sound the same need "
            "disambiguation symbols"
        )
    if status == k.NEGATIVE_CYCLE:
        return f"det({what}): a cycle of arcs without input label{after} has a negative cost: there is no best path"
    if status == k.TOO_LONG:
        return (
            f"det({what}): more than {k.LONGEST} output labels{after} would have to wait for the input that tells "
            f"which are right: {named(first)}. The graph accepts one input in several ways without end"
        )
    return _too_large(room, limit, what, graph, named, before)


def _too_large(
    room: _Room,
    limit: str,
    what: str,
    graph: Graph,
    named: Callable[[list[int]], str],
    before: Callable[[int], str],
) -> str:
    """The message of a result that is larger than the budget. Where most is still open is the likely reason."""
    n_states, n_arcs = (int(room.registers[i]) for i in (room.kernels.N_STATES, room.kernels.N_ARCS))
    newest = range(max(0, n_states - _NEWEST), n_states)
    q = max(newest, key=lambda q: (sum(map(len, room.delayed(q))), room.begin[q + 1] - room.begin[q]))
    n_ways, waiting = int(room.begin[q + 1] - room.begin[q]), room.delayed(q)
    last = ""
    if any(waiting):
        alternatives = ", or ".join(named(labels) for labels in waiting[:_MOST_SHOWN])
        last = f" The last{before(q)}: it is still open whether what was read is {alternatives}."
    elif n_ways > 1:
        last = f" The last{before(q)}: {n_ways} ways to go on are open, at different costs."
    return (
        f"det({what}): {graph.n_states:,} states, {graph.n_arcs:,} arcs could not be determinised within {limit}: "
        f"there are {n_states:,} with {n_arcs:,} arcs, and more to come.{last} Either "
        f"the grammar accepts a sentence in several ways with different costs, or it is too large for this machine. "
        f"{REMEDY}"
    )
