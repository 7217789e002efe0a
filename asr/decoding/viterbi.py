"""The Viterbi beam decoder: the best path through a graph, frame by frame, for whole files and streams alike."""

import math
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import numpy as np

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


class ViterbiDecoder:
    """A beam search over one graph, for any number of utterances, one after the other.

    Use `decode` for an utterance, or `start`, `advance` with any number of chunks, and `finish`: the result is the same
    to the last bit, however the frames were cut. Memory grows with the number of frames, by some ten bytes each.

    graph: labels > 0 on its emitting arcs; anything with Graph's `start`, `states` and `arcs`. It is not copied.
    column_of_label: int32 (n_labels + 1,), the matrix column of each input label (entry 0 is not used); -1 where a
        label has none, which is an error if the graph uses it.
    n_columns: width of the matrices; None: the largest entry of the table, plus 1.
    Raises GraphError if graph and table do not fit.

    >>> graph = Graph.from_arrays(0, [0, 1, 1], [1, 1, 2], [5, 0, 6], [0.0, 0.5, 0.5], [1, 1, 1], [np.inf, 0.0])
    >>> decoder = ViterbiDecoder(graph, np.array([-1, 0, 1]), SearchOptions(acoustic_scale=1.0))
    >>> path = decoder.decode(np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]], np.float32)))
    >>> path.words.tolist(), path.labels.tolist(), round(path.score, 4)
    ([5, 6], [1, 2, 1], -1.4339)

    Same as Kaldi's FasterDecoder (decoder/faster-decoder.cc) in what it keeps and drops; costs are float64.
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

        self.graph, self.options = graph, options if options is not None else SearchOptions()
        self._kernels: ModuleType = kernels
        self._columns = np.array(column_of_label, np.int32, ndmin=1)
        self.n_columns = int(self._columns.max(initial=-1)) + 1 if n_columns is None else n_columns
        _check(graph, self._columns, self.n_columns)
        self._states = _words(graph.states, np.uint32)
        arcs = _words(graph.arcs, np.uint32)
        self._graph_views = (self._states, arcs, arcs.view(np.float32))
        self._arcs, self._final = arcs, self._states.view(np.float32)[::5]
        self._settings = np.zeros(kernels.N_SETTINGS)
        o = self.options
        self._settings[:6] = o.beam, o.max_active, o.min_active, o.beam_delta, o.acoustic_scale, o.insertion_penalty
        self._allocate(len(graph.states))
        self._started = False

    def _allocate(self, n_states: int) -> None:
        """Buffers for a token in every state: pages that are never touched take no memory."""
        self._costs = [np.empty(n_states), np.empty(n_states)]
        self._token_states = [np.empty(n_states, np.uint32), np.empty(n_states, np.uint32)]
        self._slot_of = np.zeros(n_states, np.int32)
        self._stack = (np.empty(n_states, np.int32), np.empty(n_states, np.int32), np.empty(n_states, np.uint8))
        self._frame_cost = np.empty(self.n_columns)
        self._bins = np.empty(self._kernels.N_BINS, np.int64)
        self._registers = np.zeros(self._kernels.N_REGISTERS, np.int64)
        self._offset = np.zeros(1)
        self._grow(_FIRST_ARENA)

    def _grow(self, limit: int) -> None:
        """An arena for `limit` back-pointers and those of two frames more."""
        size = limit + 2 * len(self._slot_of) + 1
        if size >= 2**31:
            raise GraphError(
                f"the search needs {size} back-pointers, more than 2**31: use a smaller beam or max_active"
            )
        arena = np.empty((2, size), np.int32)
        if hasattr(self, "_arena"):
            used = self._registers[self._kernels.BASE] + self._registers[self._kernels.N_TOKENS]
            arena[:, :used] = self._arena[:, :used]
        self._arena = arena
        self._settings[self._kernels.ARENA_LIMIT] = limit

    def start(self) -> None:
        """Forget everything and stand before the first frame of an utterance."""
        k = self._kernels
        self._slot_of.fill(0)
        self._offset[0] = 0.0
        self._failure: str | None = None
        self._arena[:, :2] = [[0], [-1]]  # slot 0 ends every back-trace, slot 1 is the start state's token
        self._costs[0][0], self._token_states[0][0] = 0.0, self.graph.start
        self._slot_of[self.graph.start] = 1
        n, best, culprit = k.close(
            *self._graph_views, self._costs[0], self._token_states[0], 1, 0, np.inf, self.options.insertion_penalty, 1,
            self._slot_of, self._arena[0], self._arena[1], *self._stack,
        )  # fmt: skip
        self._registers[:] = n, 1, best, 0, 0, culprit
        self._started = True
        if culprit >= 0:
            self._fail(k.NEGATIVE_CYCLE)

    @property
    def n_frames(self) -> int:
        """The number of frames searched since `start`."""
        return int(self._registers[self._kernels.FRAME])

    def advance(self, loglikes: np.ndarray) -> None:
        """Search on through a chunk of frames.

        loglikes: float32 (n_frames, n_columns), natural logs, finite; any number of frames, also none.
        Raises ValueError for a matrix of another shape or a value that is not finite, GraphError if no path goes on;
        frame numbers in messages count from 0 at `start`. Nothing but `partial` and `start` is possible after that.
        """
        self._check_running()
        k, matrix = self._kernels, np.ascontiguousarray(loglikes, np.float32)
        if matrix.ndim != 2 or matrix.shape[1] != self.n_columns:
            raise ValueError(f"log-likelihoods have shape {matrix.shape}; expected (n_frames, {self.n_columns})")
        first = self.n_frames
        while True:
            outcome = k.advance(
                *self._graph_views, self._columns, matrix, self.n_frames - first, self._settings, self._costs[0],
                self._token_states[0], self._costs[1], self._token_states[1], self._slot_of, self._arena[0],
                self._arena[1], *self._stack, self._frame_cost, self._bins, self._registers, self._offset,
            )  # fmt: skip
            if outcome == k.DONE:
                return
            if outcome != k.FULL:
                self._fail(outcome)
            self._collect()

    def _collect(self) -> None:
        """Clean the arena up, and double it where more than half of it is still in use."""
        k, n, base = self._kernels, int(self._registers[0]), int(self._registers[1])
        base = k.collect(base, n, self._arena[0], self._arena[1], np.zeros(base + n, np.int32))
        self._registers[k.BASE] = base
        self._slot_of.fill(0)
        limit = int(self._settings[k.ARENA_LIMIT])
        if base + n > limit // 2:
            self._grow(2 * limit)

    def _fail(self, outcome: int) -> None:
        k, frame = self._kernels, self.n_frames
        if outcome == k.NOT_FINITE:
            self._failure = f"frame {frame}: a log-likelihood is not finite (NaN or infinite)"
            raise ValueError(self._failure)
        if outcome == k.NEGATIVE_CYCLE:
            self._failure = (
                f"frame {frame}: a cycle of epsilon arcs through state {self._registers[k.CULPRIT]} has a negative cost, so that "
                "no path is the best; mend the graph's weights (or the insertion penalty, if that is negative)"
            )
        else:
            self._failure = (
                f"frame {frame}: no path through the graph goes on; the graph has dead ends, or the beam of "
                f"{self.options.beam:g} is too narrow for it"
            )
        raise GraphError(self._failure)

    def _check_running(self) -> None:
        if not self._started:
            raise RuntimeError("the decoder was not started: call start() before advance() and finish()")
        if self._failure is not None:
            raise GraphError(f"the search has stopped: {self._failure}")

    def finish(self) -> BestPath:
        """The best path that ends in a final state; if no token is in one, the best path of all."""
        self._check_running()
        n, side = int(self._registers[self._kernels.N_TOKENS]), self._registers[self._kernels.SIDE]
        final = self._final[self._token_states[side][:n]].astype(np.float64)
        total = self._costs[side][:n] + final
        best = int(np.argmin(total))
        if not total[best] < np.inf:
            return self.partial()
        return self._path(best, float(final[best]), True)

    def partial(self) -> BestPath:
        """The best path so far, wherever it ends: final weights do not count and reached_final is False."""
        if not self._started:
            raise RuntimeError("the decoder was not started: call start() before partial()")
        return self._path(int(self._registers[self._kernels.BEST]), 0.0, False)

    def decode(self, loglikes: np.ndarray) -> BestPath:
        """The best path of a whole utterance: start, advance and finish in one."""
        self.start()
        self.advance(loglikes)
        return self.finish()

    def _path(self, token: int, final_cost: float, reached_final: bool) -> BestPath:
        k, slot = self._kernels, int(self._registers[self._kernels.BASE]) + token
        cost = float(self._costs[self._registers[k.SIDE]][token]) + float(self._offset[0]) + final_cost
        path = np.empty(self.n_frames + 64, np.int32)
        length = k.trace_back(slot, *self._arena, path)
        if length > len(path):
            path = np.empty(length, np.int32)
            k.trace_back(slot, *self._arena, path)
        arcs = self.graph.arcs[path[:length][::-1]]
        words = arcs["olabel"][arcs["olabel"] != 0].astype(np.int32)
        labels = arcs["ilabel"][arcs["ilabel"] != 0].astype(np.int32)
        graph_score = -float(arcs["weight"].sum(dtype=np.float64)) - final_cost
        graph_score -= self.options.insertion_penalty * len(words)
        return BestPath(words, labels, -cost, graph_score, -cost - graph_score, reached_final)


def _words(records: np.ndarray, dtype: type) -> np.ndarray:
    """A structured array as one flat array of 4-byte words, without a copy where it is aligned."""
    flat = np.ascontiguousarray(records).view(dtype)
    return np.asarray(flat if flat.flags.aligned else flat.copy())


def _check(graph: Graph, columns: np.ndarray, n_columns: int) -> None:
    """Everything that could lead the kernels outside their arrays."""
    arcs, states = graph.arcs, graph.states
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
    low, high = int(arcs["ilabel"].min()), int(arcs["ilabel"].max())
    if low < 0 or high >= len(columns):
        wrong = low if low < 0 else high
        raise GraphError(f"the graph has input label {wrong}; column_of_label covers 1 to {len(columns) - 1}")
    used = np.zeros(len(columns), bool)
    used[arcs["ilabel"]] = True
    missing = np.flatnonzero(used[1:] & (columns[1:] < 0)) + 1
    if len(missing):
        raise GraphError(f"the graph uses input label {missing[0]}, for which column_of_label has no column")
    if not 0 <= arcs["next"].min() <= arcs["next"].max() < len(states):
        raise GraphError(f"the graph is damaged: an arc leads to a state beyond its {len(states)}")
    if np.count_nonzero(arcs["ilabel"] == 0) != states["n_input_epsilons"].sum(dtype=np.int64):
        raise GraphError("the graph is damaged: its states count another number of epsilon arcs than it has")
    if not (arcs["weight"].min() > -np.inf and states["final"].min() > -np.inf):
        raise GraphError("the graph has a weight that is NaN or minus infinity")
