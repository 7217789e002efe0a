"""The beam search that composes words and grammar as it goes."""

from typing import TYPE_CHECKING

import numpy as np

from ..errors import GraphError
from ..graph.const_fst import ARC
from ..graph.dynamic import DynamicGraph
from .viterbi import BeamSearch, SearchOptions, check_graph, flat_words

if TYPE_CHECKING:
    from ..graph.const_fst import Graph

_STATES = 1 << 21  # composed states that are kept, about 100 bytes each with their arcs; more where a search needs them
_ARCS_PER_STATE = 3
_FIRST_ARENA = 1 << 20
_CACHED = 1 << 14  # look-aheads, 32 bytes each: few, so that they stay near the processor


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

        words, k = graph.words.graph, dynamic_kernels
        super().__init__(np.empty(0, ARC), k, column_of_label, options, n_columns, _STATES)
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
        self._found = (np.zeros(k.MOST_WAYS), np.zeros(k.MOST_WAYS), np.zeros(k.MOST_WAYS, np.int64))
        self._registers[[k.ROOT, k.EXACT, k.LOOKS_AHEAD, k.ALL_WORDS]] = root, graph.exact, looks_ahead, all_words
        self._registers[[k.START, k.START_LM]] = words.start, graph.grammar.start
        self._last_room: tuple[int, int] | None = None  # the frame in which room was made
        self._allocate()
        self._remember(np.empty(0, np.int64), np.empty(0))
        self._grow(_FIRST_ARENA)

    def __repr__(self) -> str:
        return f"<DynamicDecoder: {repr(self.graph)[1:-1]}, {self.options}>"

    @property
    def n_states(self) -> int:
        """How many states of the composed graph are known."""
        return int(self._registers[self._kernels.N_STATES])

    @property
    def n_arcs(self) -> int:
        """How many arcs of the composed graph are known."""
        return int(self._registers[self._kernels.N_ARCS])

    def _allocate(self) -> None:
        """Room for composed states and their arcs, and for a token in each; pages never touched take no memory."""
        n = self._capacity
        states, self._arcs = np.empty(5 * n, np.int32), np.empty(_ARCS_PER_STATE * n, ARC)
        arcs = flat_words(self._arcs)
        # Two numbers to an entry of the table, which is at most half full.
        self._composed = (
            states, arcs, arcs.view(np.float32), np.empty(n, np.int64), np.empty(n),
            np.zeros(4 << (n - 1).bit_length(), np.int64),
        )  # fmt: skip
        self._cost, self._state = np.empty(2 * n), np.empty(2 * n, np.int32)
        self._slot_of = np.zeros(n, np.int32)
        self._stack = (np.empty(n, np.int32), np.empty(n, np.int32))

    def _remember(self, keys: np.ndarray, aheads: np.ndarray) -> None:
        """Let the composed states be these, from number 1 on, none of them unfolded."""
        k, n = self._kernels, len(keys) + 1
        states, _, _, all_keys, all_aheads, table = self._composed
        all_keys[0], all_keys[1:n] = -1, keys
        all_aheads[0], all_aheads[1:n] = 0.0, aheads
        rows = states[: 5 * n].reshape(n, 5)
        rows[:, 1:3] = k.FOLDED, 0
        rows[0, 3], rows[1:, 3] = 1, self.graph.words.graph.states["n_input_epsilons"][self._split(keys)[1]]
        table.fill(0)
        self._registers[[k.N_STATES, k.REHASH]] = n, 1

    def _split(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The states of the language and of HCL that composed states have."""
        lms, states = np.divmod(keys, self.graph.words.graph.n_states)
        return lms, states

    def _make_room(self) -> None:
        """Forget all composed arcs but those that are still named, and all states but the tokens'.

        The room is doubled where what is left takes more than half of it, or it did not do for a single step.
        """
        if self._keeps:
            self._enlarge()
            return
        moment = self.n_frames, int(self._registers[self._k.IS_OPEN])
        n_before, n = self.n_states, self._n_tokens
        self._collect()
        numbers, cost = self._state[self._tokens].copy(), self._cost[self._tokens].copy()
        keys, aheads = (of_state[numbers] for of_state in self._composed[3:5])
        arcs = self._named_arcs()
        if moment == self._last_room or max(_ARCS_PER_STATE * n, len(arcs)) > len(self._arcs) // 2:
            self._capacity *= 2
            self._allocate()
            self._registers[self._k.HERE] = 0
            self._grow(int(self._settings[self._k.ARENA_LIMIT]))
        else:
            self._slot_of[:n_before] = 0
        self._last_room = moment
        self._arcs[: len(arcs)] = arcs
        self._registers[self._kernels.N_ARCS] = len(arcs)
        is_composed = numbers != 0  # the first state of all is always there
        self._remember(keys[is_composed], aheads[is_composed])
        numbers = np.where(is_composed, np.cumsum(is_composed), 0)
        self._state[self._tokens], self._cost[self._tokens] = numbers, cost
        self._slot_of[numbers] = self._base + np.arange(n)

    def _enlarge(self) -> None:
        """Twice as much room, without forgetting anything: kept tokens name states and arcs."""
        k, n, m, tokens = self._kernels, self.n_states, self.n_arcs, self._tokens
        states, _, _, keys, aheads, _ = self._composed
        before = self._arcs, self._slot_of, self._cost[tokens], self._state[tokens]
        self._capacity *= 2
        self._allocate()
        self._composed[0][: 5 * n], self._arcs[:m] = states[: 5 * n], before[0][:m]
        self._composed[3][:n], self._composed[4][:n] = keys[:n], aheads[:n]
        self._fold_unfinished(self._composed[0][: 5 * n].reshape(n, 5))
        self._slot_of[:n] = before[1][:n]
        self._registers[[self._k.HERE, k.REHASH]] = 0, 1
        self._cost[: self._n_tokens], self._state[: self._n_tokens] = before[2:]
        self._grow(int(self._settings[self._k.ARENA_LIMIT]))

    def _fold_unfinished(self, rows: np.ndarray) -> None:
        """Fold the states again that were unfolded without all that their epsilon arcs lead to: there the room ended.

        Args:
            rows: int32 (n_states, 5), the records of the composed states.
        """
        k = self._kernels
        rows[rows[:, 1] < 0, 1:3] = k.FOLDED, 0
        while True:
            some = np.flatnonzero((rows[:, 1] >= 0) & (rows[:, 3] > 0))
            counts = rows[some, 3]
            arcs = np.repeat(rows[some, 1] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
            ends = self._arcs["next"][arcs]
            waits = (rows[ends, 1] < 0) & (rows[ends, 3] > 0)
            unfinished = np.unique(np.repeat(some, counts)[waits])
            if not len(unfinished):
                return
            rows[unfinished, 1:3] = k.FOLDED, 0

    @property
    def _flat_graph(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._composed[:3]

    def _named_arcs(self) -> np.ndarray:
        """Those of the composed arcs whose numbers are still needed, which become the numbers of these."""
        n_arcs = self.n_arcs
        is_named = np.zeros(n_arcs + 1, bool)  # the last for -1, no arc
        for numbers in self._arc_numbers():
            is_named[numbers] = True
        is_named[-1] = False
        after = np.cumsum(is_named) - 1
        after[-1] = -1
        for numbers in self._arc_numbers():
            numbers[:] = after[numbers]
        arcs: np.ndarray = self._arcs[:n_arcs][is_named[:-1]]
        arcs["next"] = -1  # a state that is forgotten
        return arcs

    def _arc_numbers(self) -> list[np.ndarray]:
        """All arrays that hold numbers of composed arcs, -1 for none: when arcs are forgotten, the others' change here.

        A search that remembers arcs elsewhere than in back-pointers adds its own.
        """
        return [self._arena[1, 1 : self._base + self._n_tokens]]

    def _collect(self) -> None:
        super()._collect()
        if not self._keeps:
            self._slot_of[: self.n_states] = 0

    def _begin(self) -> int:
        self._slot_of[: self.n_states] = 0
        self._slot_of[0], self._cost[0], self._state[0] = 1, 0.0, 0
        self._last_room = None
        return 1

    def _search(self, matrix: np.ndarray) -> int:
        k = self._kernels
        outcome = int(
            k.advance(
                *self._words, *self._sets, *self._grammar, *self._phrases, *self._cache, *self._composed, self._columns,
                matrix, self._settings, self._cost, self._state, self._slot_of, *self._arena, self._registers,
                *self._stack, self._frame_cost, self._bins, self._totals, *self._kept, *self._found,
            )
        )  # fmt: skip
        if outcome == self._k.NEGATIVE_CYCLE:
            culprit = self._composed[3][self._registers[self._k.CULPRIT]]
            self._registers[self._k.CULPRIT] = self._split(culprit)[1]
        return outcome

    def _behind(self) -> np.ndarray:
        return self._cost[self._tokens] - self._composed[4][self._state[self._tokens]]

    def _final_costs(self) -> np.ndarray:
        lm, state = self._split(self._composed[3][self._state[self._tokens]])
        result = self.graph.words.graph.states["final"][state].astype(np.float64)
        result[lm < 0] = np.inf  # before all words and states
        ends = np.flatnonzero(np.isfinite(result))
        node, history = np.divmod(lm[ends], self.graph.grammar.n_states)
        # What was granted for phrases only begun is given back.
        result[ends] += end_costs(self.graph.grammar, history, exact=self.graph.exact) + self._phrases[2][2 * node]
        return result

    def _graph_score(self, token: int, score: float, final_cost: float, arcs: np.ndarray, n_words: int) -> float:
        ahead = float(self._composed[4][self._state[self._tokens][token]])
        graph_score = ahead - float(arcs["weight"].sum(dtype=np.float64)) - final_cost
        return graph_score - self.options.insertion_penalty * n_words


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
