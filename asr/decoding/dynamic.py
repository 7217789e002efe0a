"""The beam search that composes words and grammar as it goes."""

from typing import TYPE_CHECKING

import numpy as np

from ..errors import GraphError
from ..graph.dynamic import DynamicGraph
from .viterbi import BeamSearch, SearchOptions, check_graph, flat_words

if TYPE_CHECKING:
    from ..graph.const_fst import Graph

_FIRST_TOKENS = 1 << 15  # of a frame; arrays grow where a search has more
_FIRST_ARENA = 1 << 20
_CACHED = 1 << 20  # look-aheads: 32 bytes each


class DynamicDecoder(BeamSearch):
    """A beam search over words and a grammar that are composed while it goes on.

    It finds what a `ViterbiDecoder` finds in the static graph of both, where nothing is pruned; with a beam, paths are
    pruned with a view to the words that may still come from where they are.

    Args:
        graph: words and grammar.
        column_of_label: as of `ViterbiDecoder`, like `n_columns`.
        looks_ahead: whether costs of words count as soon as it is known which words may come, before they come out;
            without, the beam must be much wider.

    Raises:
        GraphError: if graph and table do not fit.

    Ref: Dolfing and Hetherington, Incremental language models for speech recognition using finite-state transducers,
    2001; Allauzen, Riley and Schalkwyk, A generalized composition algorithm for weighted finite-state transducers,
    2009.
    """

    def __init__(
        self,
        graph: DynamicGraph,
        column_of_label: np.ndarray,
        options: SearchOptions | None = None,
        *,
        n_columns: int | None = None,
        looks_ahead: bool = True,
    ):
        from . import dynamic_kernels

        words = graph.words.graph
        super().__init__(words.arcs, dynamic_kernels, column_of_label, options, n_columns, _FIRST_TOKENS)
        check_graph(words, self._columns, self.n_columns)
        self.graph = graph
        states, arcs = flat_words(words.states), flat_words(words.arcs)
        reach, labels = graph.words.reach, graph.words.labels
        all_words, splits = _where_histories_back_off(graph)
        self._words = (states, arcs, arcs.view(np.float32), reach.set_of_state, splits, labels)
        self._sets = (reach.first, reach.bounds)
        self._grammar, root = _grammar_views(graph, len(labels))
        self._phrases = graph.phrases
        self._cache = (np.full(2 * _CACHED, -1, np.int64), np.zeros(2 * _CACHED), np.full(reach.n_sets, np.nan))
        k = dynamic_kernels
        self._found = (np.zeros(k.MOST_WAYS), np.zeros(k.MOST_WAYS), np.zeros(k.MOST_WAYS, np.int64))
        self._registers[[k.ROOT, k.EXACT, k.LOOKS_AHEAD, k.ALL_WORDS]] = root, graph.exact, looks_ahead, all_words
        self._allocate()
        self._grow(_FIRST_ARENA)

    def __repr__(self) -> str:
        return f"<DynamicDecoder: {repr(self.graph)[1:-1]}, {self.options}>"

    def _allocate(self) -> None:
        """Room for the tokens of two frames, without any."""
        n = self._capacity
        self._token_arrays: tuple[np.ndarray, ...] = (
            np.empty(2 * n), np.empty(2 * n), np.empty(2 * n), np.empty(2 * n, np.int32), np.empty(2 * n, np.int64)
        )  # fmt: skip
        # At most half full: two numbers to an entry.
        self._table = np.zeros(2 << (2 * n - 1).bit_length(), np.int64)
        self._stack = (np.empty(n, np.int32), np.empty(n, np.int32))

    def _make_room(self) -> None:
        before, tokens = self._token_arrays, self._tokens
        self._capacity *= 2
        self._allocate()
        for old, new in zip(before, self._token_arrays, strict=True):
            new[: self._n_tokens] = old[tokens]
        k = self._kernels
        self._registers[[k.HERE, k.REHASH]] = 0, 1
        self._grow(int(self._settings[k.ARENA_LIMIT]))

    def _begin(self) -> int:
        cost, heard, ahead, state, lm = self._token_arrays
        self._registers[self._kernels.REHASH] = self._kernels.STARTS
        grammar, history, paid, n = self.graph.grammar, self.graph.grammar.start, 0.0, 0
        while True:
            cost[n], heard[n], ahead[n], state[n], lm[n] = paid, 0.0, 0.0, self.graph.words.graph.start, history
            n += 1
            if self.graph.exact or not grammar.states["n_input_epsilons"][history] or n == self._capacity:
                return n
            back = grammar.arcs[grammar.states["first"][history]]
            history, paid = int(back["next"]), paid + float(back["weight"])

    def _search(self, matrix: np.ndarray) -> int:
        return int(
            self._kernels.advance(
                *self._words, *self._sets, *self._grammar, *self._phrases, *self._cache, self._columns, matrix,
                self._settings, *self._token_arrays, self._table, *self._arena, self._registers, *self._stack,
                self._frame_cost, self._bins, self._totals, *self._found,
            )
        )  # fmt: skip

    def _behind(self) -> np.ndarray:
        return self._token_arrays[0][self._tokens] - self._token_arrays[2][self._tokens]

    def _final_costs(self) -> np.ndarray:
        state, lm = (self._token_arrays[i][self._tokens] for i in (3, 4))
        result = self.graph.words.graph.states["final"][state].astype(np.float64)
        ends = np.flatnonzero(np.isfinite(result))
        node, history = np.divmod(lm[ends], self.graph.grammar.n_states)
        # What was granted for phrases only begun is given back.
        result[ends] += end_costs(self.graph.grammar, history, exact=self.graph.exact) + self._phrases[2][2 * node]
        return result

    def _graph_score(self, token: int, score: float, final_cost: float, arcs: np.ndarray, n_words: int) -> float:
        return score + float(self._token_arrays[1][self._tokens][token])


def _where_histories_back_off(graph: DynamicGraph) -> tuple[int, np.ndarray]:
    """The set of all words and the end, -1 if there is none; and int8 (n_states,): whether it is a state's last one."""
    words, reach, n = graph.words.graph, graph.words.reach, len(graph.words.labels)
    alone = np.flatnonzero(np.diff(reach.first) == 1)
    pairs = reach.bounds.reshape(-1, 2)[reach.first[alone]]
    found = alone[(pairs[:, 0] == 1) & (pairs[:, 1] == n + 1)]
    if not len(found):
        return -1, np.zeros(words.n_states, np.int8)
    whole, source = reach.set_of_state == found[0], words.sources()
    leaves = np.zeros(words.n_states, bool)
    leaves[source[(words.arcs["olabel"] != 0) | ~whole[words.arcs["next"]]]] = True
    return int(found[0]), (whole & (leaves | np.isfinite(words.states["final"]))).astype(np.int8)


def end_costs(grammar: "Graph", histories: np.ndarray, *, exact: bool) -> np.ndarray:
    """float64: what the end of the sentence costs after some histories of a grammar."""
    states, arcs = grammar.states, grammar.arcs
    result, passed = states["final"][histories].astype(np.float64), np.zeros(len(histories))
    at = np.arange(len(histories))
    while True:
        at = at[states["n_input_epsilons"][histories[at]] > 0]
        if exact:
            at = at[~np.isfinite(result[at])]
        if not len(at):
            return result
        back = arcs[states["first"][histories[at]]]
        histories = histories.copy()
        histories[at] = back["next"]
        passed[at] += back["weight"]
        result[at] = np.minimum(result[at], passed[at] + states["final"][histories[at]])


def _grammar_views(graph: DynamicGraph, n_labels: int) -> tuple[tuple[np.ndarray, ...], int]:
    """What the kernels take of a grammar, and the state that stands for no history.

    That is the one with the most arcs among those that do not back off: its words are looked up by their labels.
    """
    grammar = graph.grammar
    if not 0 <= grammar.start < grammar.n_states:
        raise GraphError("grammar: it has no start state")
    states, arcs = flat_words(grammar.states), flat_words(grammar.arcs)
    last = grammar.states["n_input_epsilons"] == 0
    root = int(np.argmax(np.where(last, grammar.states["n_arcs"].astype(np.int64), -1)))
    first = int(grammar.states["first"][root])
    own = grammar.arcs[first : first + int(grammar.states["n_arcs"][root])]
    cost, following = np.full(n_labels + 1, np.inf, np.float32), np.zeros(n_labels + 1, np.int32)
    cost[own["ilabel"]], following[own["ilabel"]] = own["weight"], own["next"]
    added = np.array([label for label in graph.added if not np.isfinite(cost[label])], np.int64)
    cost[added], following[added] = np.max(own["weight"], initial=0.0, where=np.isfinite(own["weight"])), root
    masses = np.append(0.0, np.cumsum(np.exp(-cost.astype(np.float64))))
    return (states, states.view(np.float32), arcs, arcs.view(np.float32), cost, following, masses), root
