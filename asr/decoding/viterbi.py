"""The Viterbi beam decoder: the best path through a graph, frame by frame, for whole files and streams alike."""

import math
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..display.brief import brief_repr
from ..errors import GraphError
from ..graph.const_fst import Graph

_FIRST_ARENA = 1 << 20  # back-pointers kept before the first clean-up: 8 MiB


@dataclass(frozen=True)
class SearchOptions:
    """How wide to search, and how to weigh the two sources of evidence.

    The search is Kaldi's FasterDecoder: what is worse than the best token of a frame by more than the beam is dropped.
    """

    beam: float = 13.0  # nats; wider is slower and finds paths that start badly
    max_active: int = 7000  # tokens kept for the next frame; bounds the time of a frame
    min_active: int = 20  # tokens kept even outside the beam, so that a hard frame does not kill the search
    acoustic_scale: float = 0.1  # factor on the log-likelihoods: neighbouring frames are not independent
    insertion_penalty: float = 0.0  # nats, cost of every arc with an output label; more means fewer words
    beam_delta: float = 0.5  # nats added to the beam that follows from max_active or min_active (Kaldi's)

    def __post_init__(self) -> None:
        if not self.beam > 0:
            raise ValueError(f"beam={self.beam}; must be above 0")
        if not 0 <= self.min_active < self.max_active:
            raise ValueError(
                f"min_active={self.min_active}, max_active={self.max_active}; need 0 <= min_active < max_active"
            )
        if self.max_active < 2:
            raise ValueError(f"max_active={self.max_active}; need 2 or more")
        if not (self.acoustic_scale >= 0 and math.isfinite(self.acoustic_scale)):
            raise ValueError(f"acoustic_scale={self.acoustic_scale}; must be 0 or more, and finite")
        if not math.isfinite(self.insertion_penalty):
            raise ValueError(f"insertion_penalty={self.insertion_penalty}; must be finite")
        if not self.beam_delta >= 0:
            raise ValueError(f"beam_delta={self.beam_delta}; must be 0 or more")


class BestPath(NamedTuple):
    """The best path that a search found. Scores are natural logarithms, higher is better.

    Attributes:
        words: int32 (n_words,), the output labels on the path without epsilons.
        labels: int32 (n_frames,), the input label taken at every frame.
        score: graph_score + acoustic_score.
        graph_score: arcs, final weight and insertion penalties.
        acoustic_score: log-likelihoods of the labels, times the acoustic scale.
        reached_final: whether the path ends in a final state, whose weight is then part of the score.
    """

    words: np.ndarray
    labels: np.ndarray
    score: float
    graph_score: float
    acoustic_score: float
    reached_final: bool

    def __repr__(self) -> str:
        return brief_repr(self)


class Tokens(NamedTuple):
    """All tokens of a search, in slots: those of frame t from first[t] to first[t + 1].

    Attributes:
        flat: states, arcs, and arcs as float32 of the graph, as the kernels see them.
        arcs: ARC of `asr.graph.const_fst`, the same arcs.
        columns: int32, of the labels in `loglikes`.
        loglikes: float32 (n_frames, n_columns).
        cost: float64, of the best path to each token.
        state: int32, where in the graph.
        first: int64 (n_frames + 2,).
        finals: float64, what it costs to end in each of the last frame's tokens, inf where that is not possible.
        reached_final: whether these are costs of final states; if none was reached, ending is free everywhere.
    """

    flat: tuple[np.ndarray, np.ndarray, np.ndarray]
    arcs: np.ndarray
    columns: np.ndarray
    loglikes: np.ndarray
    cost: np.ndarray
    state: np.ndarray
    first: np.ndarray
    finals: np.ndarray
    reached_final: bool
    options: SearchOptions

    def __repr__(self) -> str:
        return brief_repr(self)


class BeamSearch(ABC):
    """What the searches through graphs of all kinds share: chunks of frames, the arena of back-pointers, the best path.

    Use `decode` for an utterance, or `start`, `advance` with any number of chunks, and `finish`: the result is the same
    to the last bit, however the frames were cut. Memory grows with the number of frames, by some ten bytes each.

    A kind of search says what its kernels are called with, and which tokens can end.

    Args:
        arcs: ARC (n_arcs,): those that back-pointers number, with labels > 0 where they emit.
        kernels: the module of its kernels.
        column_of_label: as of `ViterbiDecoder`, like `n_columns`.
        capacity: tokens for which there is room in a frame.
    """

    def __init__(
        self,
        arcs: np.ndarray,
        kernels: Any,
        column_of_label: np.ndarray,
        options: SearchOptions | None,
        n_columns: int | None,
        capacity: int,
    ):
        from . import kernels as shared

        self.options = options if options is not None else SearchOptions()
        self._k, self._kernels = shared, kernels
        self._columns = np.array(column_of_label, np.int32, ndmin=1)
        self.n_columns = int(self._columns.max(initial=-1)) + 1 if n_columns is None else n_columns
        self._settings, o = np.zeros(shared.N_SETTINGS), self.options
        self._settings[:6] = o.beam, o.max_active, o.min_active, o.beam_delta, o.acoustic_scale, o.insertion_penalty
        self._arcs, self._capacity = arcs, capacity
        self._arena = np.empty((2, 0), np.int32)
        self._frame_cost = np.empty(self.n_columns)
        self._bins = np.empty(shared.N_BINS, np.int64)
        self._registers = np.zeros(kernels.N_REGISTERS, np.int64)
        self._totals = np.zeros(2)
        self._n_frames_before = 0
        self._failure: str | None = "start() was not called"
        self._has_path = False
        self._kept = _nothing_kept()
        self._one_at_a_time = threading.Lock()

    def _grow(self, limit: int) -> None:
        """An arena for `limit` back-pointers and those of two frames more."""
        size = limit + 2 * self._capacity + 1
        if size >= 2**31:
            raise GraphError(
                f"the search needs {size} back-pointers, more than 2**31: use a smaller beam or max_active"
            )
        arena = np.empty((2, size), np.int32)
        used = min(self._arena.shape[1], self._base + self._n_tokens)
        arena[:, :used] = self._arena[:, :used]
        self._arena = arena
        if self._keeps:
            cost, state, first = self._kept
            self._kept = np.empty(size), np.empty(size, np.int32), first
            self._kept[0][:used], self._kept[1][:used] = cost[:used], state[:used]
        self._settings[self._k.ARENA_LIMIT] = limit

    _cost: np.ndarray

    @property
    def _keeps(self) -> bool:
        """Whether all tokens are kept, for a lattice: then none are thrown away, and there is room for more."""
        return len(self._kept[0]) > 0

    @property
    def _n_tokens(self) -> int:
        return int(self._registers[self._k.N_TOKENS])

    @property
    def _base(self) -> int:
        return int(self._registers[self._k.BASE])

    @property
    def _tokens(self) -> slice:
        here = int(self._registers[self._k.HERE])
        return slice(here, here + self._n_tokens)

    def start(self) -> None:
        """Forget everything and stand before the first frame of an utterance."""
        k = self._k
        self._totals[:] = 0.0
        self._n_frames_before = 0
        self._failure, self._has_path = None, True
        self._registers[: k.N_REGISTERS] = 0
        self._registers[[k.BASE, k.IS_OPEN]] = 1
        self._registers[k.N_TOKENS] = n = self._begin()
        self._arena[:, : n + 1] = [[0], [-1]]  # slot 0 ends every back-trace, the others are the first tokens'
        self._totals[0] = np.inf
        self.advance(np.empty((0, self.n_columns), np.float32))

    @property
    def n_frames(self) -> int:
        """The number of frames searched since `start`."""
        return self._n_frames_before + int(self._registers[self._k.FRAME])

    def advance(self, loglikes: np.ndarray) -> None:
        """Search on through a chunk of frames.

        Args:
            loglikes: float32 (n_frames, n_columns), natural logs, finite; any number of frames, also none.

        Raises:
            ValueError: for a matrix of another shape.
            GraphError: for a value that is not finite or if no path goes on; frames count from 0 at `start`. After a
                GraphError only `partial` and `start` are possible.
        """
        self._check_running()
        k, matrix = self._k, np.ascontiguousarray(loglikes, np.float32)
        if matrix.ndim != 2 or matrix.shape[1] != self.n_columns:
            raise ValueError(f"log-likelihoods have shape {matrix.shape}; expected (n_frames, {self.n_columns})")
        self._n_frames_before, self._registers[k.FRAME] = self.n_frames, 0
        while True:
            outcome = self._search(matrix)
            if outcome == k.DONE:
                return
            if outcome == k.ROOM:
                self._make_room()
                continue
            if outcome != k.FULL:
                self._fail(outcome)
            self._collect()

    @property
    @abstractmethod
    def _flat_graph(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the kernels search: flat views of states, arcs, and of the arcs as float32."""

    @abstractmethod
    def _begin(self) -> int:
        """Put the tokens before the first frame in their places; how many they are."""

    @abstractmethod
    def _search(self, matrix: np.ndarray) -> int:
        """Run the kernel; what it reports."""

    def _make_room(self) -> None:  # noqa: B027 - not every search can lack room
        """Make the arrays of tokens larger, where a kernel says that they are full.

        Of a static graph none says so: each state has a place of its own.
        """

    @abstractmethod
    def _behind(self) -> np.ndarray:
        """float64 (n_tokens,): the costs of the tokens' paths so far."""

    @abstractmethod
    def _final_costs(self) -> np.ndarray:
        """float64 (n_tokens,): what ending costs where the tokens are; inf where it is not possible."""

    @abstractmethod
    def _graph_score(self, token: int, score: float, final_cost: float, arcs: np.ndarray, n_words: int) -> float:
        """The part of the score of a token's path that is not acoustic."""

    def _collect(self) -> None:
        """Clean the arena up, and double it where more than half of it is still in use."""
        if self._keeps:
            self._grow(2 * int(self._settings[self._k.ARENA_LIMIT]))
            return
        k, used = self._k, self._base + self._n_tokens
        self._registers[k.BASE] = k.collect(self._base, self._n_tokens, *self._arena, np.zeros(used, np.int32))
        limit = int(self._settings[k.ARENA_LIMIT])
        if self._base + self._n_tokens > limit // 2:
            self._grow(2 * limit)

    def _fail(self, outcome: int) -> None:
        k, beam = self._k, self.options.beam
        self._has_path = outcome != k.NEGATIVE_CYCLE
        if outcome == k.NOT_FINITE:
            what = "a log-likelihood is NaN or infinite; look at the features and the acoustic model"
        elif outcome == k.NEGATIVE_CYCLE:
            what = (
                f"a cycle of epsilon arcs through state {self._registers[k.CULPRIT]} has a negative cost, so that no "
                "path is the best; mend the graph's weights, or the insertion penalty if that is negative"
            )
        else:
            what = f"no path goes on: the graph has dead ends, and none of the {self._n_tokens} paths within the beam "
            what += f"of {beam:g} has an arc to take; a wider beam may help"
        self._failure = f"frame {self.n_frames}: {what}"
        raise GraphError(self._failure)

    def _check_running(self) -> None:
        if self._failure is not None:
            raise GraphError(f"the search cannot go on: {self._failure}")

    def finish(self) -> BestPath:
        """The best path that ends in a final state; if none does, the best of all, with reached_final False.

        Raises:
            GraphError: if the search has failed, or was not started.
        """
        self._check_running()
        final = self._final_costs()
        total = self._behind() + final
        best = int(np.argmin(total))
        if not total[best] < np.inf:
            return self.partial()
        return self._path(best, float(final[best]), True)

    def partial(self) -> BestPath:
        """The best path so far, wherever it ends: final weights do not count and reached_final is False.

        After a failure it is the best path through the frames before; an empty path if there is none.
        """
        return self._path(int(self._registers[self._k.BEST]), 0.0, False)

    def decode(self, loglikes: np.ndarray) -> BestPath:
        """The best path of a whole utterance: start, advance and finish in one.

        Threads that share a decoder wait for each other here; those that stream need one each.
        """
        with self._one_at_a_time:
            self.start()
            self.advance(loglikes)
            return self.finish()

    def all_tokens(self, loglikes: np.ndarray) -> "Tokens":
        """The tokens of a whole utterance's search, of which `asr.lattice` makes a lattice.

        Raises:
            ValueError: as `advance` does.
            GraphError: as `advance` does.
        """
        matrix = np.ascontiguousarray(loglikes, np.float32)
        with self._one_at_a_time:
            size, limit = self._arena.shape[1], self._settings[self._k.ARENA_LIMIT]
            self._kept = np.empty(size), np.empty(size, np.int32), np.zeros(len(matrix) + 2, np.int64)
            try:
                self.start()
                self.advance(matrix)
                behind = self._behind()
                ends = behind + self._final_costs()
                if not (reached_final := bool(np.isfinite(ends).any())):
                    ends = behind
                finals = ends - self._cost[self._tokens]
                flat, kept = self._flat_graph, self._kept
                return Tokens(flat, self._arcs, self._columns, matrix, *kept, finals, reached_final, self.options)
            finally:
                self._kept = _nothing_kept()
                if self._arena.shape[1] > size:  # other searches clean up, and need no such room
                    self._arena, self._settings[self._k.ARENA_LIMIT] = np.empty((2, size), np.int32), limit
                    self._failure, self._has_path = "its tokens were given away; call start()", False

    def _path(self, token: int, final_cost: float, reached_final: bool) -> BestPath:
        if not self._has_path:
            return BestPath(np.empty(0, np.int32), np.empty(0, np.int32), 0.0, 0.0, 0.0, False)
        score = -(float(self._behind()[token]) + float(self._totals[1]) + final_cost)
        path = np.empty(self.n_frames + 64, np.int32)
        length = self._k.trace_back(self._base + token, *self._arena, path)
        if length > len(path):
            path = np.empty(length, np.int32)
            self._k.trace_back(self._base + token, *self._arena, path)
        arcs = self._arcs[path[:length][::-1]]
        words = arcs["olabel"][arcs["olabel"] != 0].astype(np.int32)
        labels = arcs["ilabel"][arcs["ilabel"] != 0].astype(np.int32)
        graph_score = self._graph_score(token, score, final_cost, arcs, len(words))
        return BestPath(words, labels, score, graph_score, score - graph_score, reached_final)


class ViterbiDecoder(BeamSearch):
    """A beam search over one static graph, for any number of utterances, one after the other.

    Args:
        graph: labels > 0 on its emitting arcs; anything with Graph's `start`, `states` and `arcs`. It is not copied.
        column_of_label: int32 (n_labels + 1,), the matrix column of each input label (entry 0 is not used); -1 where a
            label has none, which is an error if the graph uses it.
        n_columns: width of the matrices; None: the largest entry of the table, plus 1.

    Raises:
        GraphError: if graph and table do not fit.

    Same as Kaldi's FasterDecoder (decoder/faster-decoder.cc) in what it keeps and drops; costs are float64.

    Examples:
        >>> graph = Graph.from_arrays(0, [0, 1, 1], [1, 1, 2], [5, 0, 6], [0.0, 0.5, 0.5], [1, 1, 1], [np.inf, 0.0])
        >>> decoder = ViterbiDecoder(graph, np.array([-1, 0, 1]), SearchOptions(acoustic_scale=1.0))
        >>> path = decoder.decode(np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]], np.float32)))
        >>> path.words.tolist(), path.labels.tolist(), round(path.score, 4)
        ([5, 6], [1, 2, 1], -1.4339)
    """

    def __init__(
        self,
        graph: Graph,
        column_of_label: np.ndarray,
        options: SearchOptions | None = None,
        *,
        n_columns: int | None = None,
    ):
        from . import kernels

        n_states = len(graph.states)
        super().__init__(graph.arcs, kernels, column_of_label, options, n_columns, n_states)
        check_graph(graph, self._columns, self.n_columns)
        self.graph = graph
        states, arcs = flat_words(graph.states), flat_words(graph.arcs)
        self._graph_views = (states, arcs, arcs.view(np.float32))
        # Buffers for a token in every state: pages that are never touched take no memory.
        self._cost, self._state = np.empty(2 * n_states), np.empty(2 * n_states, np.int32)
        self._slot_of = np.zeros(n_states, np.int32)
        self._stack = (np.empty(n_states, np.int32), np.empty(n_states, np.int32))
        self._grow(_FIRST_ARENA)

    def __repr__(self) -> str:
        return f"<ViterbiDecoder: {repr(self.graph)[1:-1]}, {self.options}>"

    @property
    def _flat_graph(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._graph_views

    def _begin(self) -> int:
        self._slot_of.fill(0)
        self._slot_of[self.graph.start] = 1
        self._cost[0], self._state[0] = 0.0, self.graph.start
        return 1

    def _search(self, matrix: np.ndarray) -> int:
        return int(
            self._kernels.advance(
                *self._graph_views, self._columns, matrix, self._settings, self._cost, self._state, self._slot_of,
                *self._arena, self._registers, *self._stack, self._frame_cost, self._bins, self._totals, *self._kept,
            )
        )  # fmt: skip

    def _collect(self) -> None:
        super()._collect()
        if not self._keeps:
            self._slot_of.fill(0)

    def _behind(self) -> np.ndarray:
        return self._cost[self._tokens]

    def _final_costs(self) -> np.ndarray:
        return self.graph.states["final"][self._state[self._tokens]].astype(np.float64)

    def _graph_score(self, token: int, score: float, final_cost: float, arcs: np.ndarray, n_words: int) -> float:
        graph_score = -(float(arcs["weight"].sum(dtype=np.float64)) + final_cost)
        return graph_score - self.options.insertion_penalty * n_words


def _nothing_kept() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.empty(0), np.empty(0, np.int32), np.empty(0, np.int64)


def flat_words(records: np.ndarray) -> np.ndarray:
    """A structured array as one flat int32 array of its 4-byte words, without a copy where it is aligned."""
    words: np.ndarray = np.ascontiguousarray(records).view(np.int32)
    return np.asarray(words if words.flags.aligned else words.copy())


def check_graph(graph: Graph, columns: np.ndarray, n_columns: int) -> None:
    """Everything that could lead the kernels outside their arrays."""
    arcs, states = graph.arcs, graph.states
    if max(len(arcs), len(states)) >= 2**30:
        raise GraphError(f"the graph has {len(states)} states and {len(arcs)} arcs; the decoder can take 2**30 of each")
    if not 0 <= graph.start < len(states):
        raise GraphError(f"the graph has no start state (start {graph.start}, {len(states)} states)")
    if columns.ndim != 1:
        raise ValueError(f"column_of_label has shape {columns.shape}; expected one dimension")
    if len(columns) and columns.max() >= n_columns:
        raise ValueError(f"column_of_label names column {columns.max()}, but n_columns={n_columns}")
    if (states["n_input_epsilons"] > states["n_arcs"]).any() or (
        len(states) and int((states["first"].astype(np.int64) + states["n_arcs"]).max()) > len(arcs)
    ):
        raise GraphError("the graph is damaged: its states name arcs that it does not have")
    if not len(arcs):
        return
    _check_labels(arcs["ilabel"], columns)
    if not 0 <= arcs["next"].min() <= arcs["next"].max() < len(states):
        raise GraphError(f"the graph is damaged: an arc leads to a state beyond its {len(states)}")
    if np.count_nonzero(arcs["ilabel"] == 0) != states["n_input_epsilons"].sum(dtype=np.int64):
        raise GraphError("the graph is damaged: its states count another number of epsilon arcs than it has")
    if not (arcs["weight"].min() > -np.inf and states["final"].min() > -np.inf):
        raise GraphError("the graph has a weight that is NaN or minus infinity")


def _check_labels(ilabels: np.ndarray, columns: np.ndarray) -> None:
    """Raise GraphError unless every input label of the graph has a column."""
    low, high = int(ilabels.min()), int(ilabels.max())
    if low < 0 or high >= len(columns):
        wrong = low if low < 0 else high
        raise GraphError(f"the graph has input label {wrong}; column_of_label covers 1 to {len(columns) - 1}")
    used = np.zeros(len(columns), bool)
    used[ilabels] = True
    missing = np.flatnonzero(used[1:] & (columns[1:] < 0)) + 1
    if len(missing):
        raise GraphError(f"the graph uses input label {missing[0]}, for which column_of_label has no column")
