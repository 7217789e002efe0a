"""Training graphs: every transition-id sequence that a transcript allows, in flat arrays, without OpenFst.

A node is one HMM state of one phone of the transcript; a path stays in it for one frame or more and leaves it by an
arc. The transition id of the first of these frames is the forward transition that the node is left by, that of the
others is the state's self-loop: Kaldi's reorder=true. Scores are natural logarithms, higher is better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..display.brief import brief_repr, many
from ..errors import GraphError, LexiconError, ModelError
from .transitions import TransitionModel
from .tree import ContextDependency

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon

START = -1  # the vertex before a phone graph's first phones; the one after the last phones is len(phones)


class PhoneGraph(NamedTuple):
    """The phone sequences of a transcript, without cycles and without epsilons.

    Attributes:
        phones: the phone id of each vertex; a vertex comes after all its predecessors.
        successors: vertex (START too) -> (next vertex, log probability) pairs; the vertex len(phones) is the end.
    """

    phones: list[int]
    successors: dict[int, list[tuple[int, float]]]

    def __repr__(self) -> str:
        return brief_repr(self)

    def phone(self, vertex: int) -> int:
        """The phone id at a vertex; 0 before the first and after the last."""
        return self.phones[vertex] if 0 <= vertex < len(self.phones) else 0


def phone_graph(
    words: Sequence[Sequence[tuple[Sequence[int], float]]], *, silence_phone: int, silence_prob: float
) -> PhoneGraph:
    """The phone graph of a word sequence: any pronunciation of each word, optional silence around every word.

    Args:
        words: for each word its pronunciations, each one or more phone ids and the natural-log probability.
        silence_prob: in [0, 1); the probability of silence at the start, between words and at the end.

    Raises:
        GraphError: for an empty transcript where there is no silence to stand for it.

    Same costs as Kaldi's make_lexicon_fst.py.
    """
    phones: list[int] = []
    successors: dict[int, list[tuple[int, float]]] = {START: []}

    def add_vertex(phone: int) -> int:
        successors[len(phones)] = []
        phones.append(phone)
        return len(phones) - 1

    ways = _after_optional_silence([START], add_vertex, successors, silence_phone, silence_prob)
    for variants in words:
        exits = []
        for pronunciation, log_prob_of_variant in variants:
            chain = [add_vertex(phone) for phone in pronunciation]
            for here, following in pairwise(chain):
                successors[here].append((following, 0.0))
            for vertex, log_prob in ways:
                successors[vertex].append((chain[0], log_prob + log_prob_of_variant))
            exits.append(chain[-1])
        ways = _after_optional_silence(exits, add_vertex, successors, silence_phone, silence_prob)
    for vertex, log_prob in ways:
        if vertex != START:
            successors[vertex].append((len(phones), log_prob))
    if not phones:
        raise GraphError("an empty transcript needs a silence probability above 0; it is 0 in this lexicon")
    return PhoneGraph(phones, successors)


def _after_optional_silence(exits, add_vertex, successors, silence_phone, silence_prob) -> list[tuple[int, float]]:
    """The vertices from which the next word may begin, with the log probability of going on from there."""
    ways = [(vertex, float(np.log1p(-silence_prob))) for vertex in exits]
    if silence_prob > 0:
        silence = add_vertex(silence_phone)
        for vertex in exits:
            successors[vertex].append((silence, float(np.log(silence_prob))))
        ways.append((silence, 0.0))
    return ways


class _Hmm(NamedTuple):
    """A phone's HMM in one context, ready to be copied into a graph. States count from 0; state 0 is the entry."""

    states: list[int]  # rows of TransitionModel.tuples
    arcs: list[tuple[int, int, int]]  # from state, to state, transition id
    exits: list[tuple[int, int]]  # from state, transition id
    min_frames: int


class _Hmms:
    """The HMMs of phones in context, each worked out once."""

    def __init__(self, tree: ContextDependency, transitions: TransitionModel):
        self.tree, self.transitions = tree, transitions
        self._found: dict[tuple[int, ...], _Hmm] = {}

    def __getitem__(self, window: tuple[int, ...]) -> _Hmm:
        if window not in self._found:
            self._found[window] = self._build(window)
        return self._found[window]

    def _build(self, window: tuple[int, ...]) -> _Hmm:
        phone = window[self.tree.central_position]
        topology = self.transitions.topology.states(phone)
        states, arcs, exits = [], [], []
        for index, state in enumerate(topology):
            forward, loop = (self.tree.pdf(window, c) for c in (state.pdf_class, state.self_loop_pdf_class))
            row = self.transitions.transition_state(phone, index, forward, loop)
            states.append(row)
            first = int(self.transitions.first_id[row])
            for transition_id, (target, _) in enumerate(state.transitions, first):
                if target == len(topology):
                    exits.append((index, transition_id))
                elif target != index:
                    arcs.append((index, target, transition_id))
        return _Hmm(states, arcs, exits, self._shortest(arcs, exits, phone))

    @staticmethod
    def _shortest(arcs: list[tuple[int, int, int]], exits: list[tuple[int, int]], phone: int) -> int:
        reached, n_frames = {0}, 1
        while not reached & {state for state, _ in exits}:
            further = reached | {target for source, target, _ in arcs if source in reached}
            if further == reached:
                raise ModelError(f"the topology of phone id {phone} has no way from its first state to its end")
            reached, n_frames = further, n_frames + 1
        return n_frames


class GraphScores(NamedTuple):
    """The scores of packed graphs under one transition model: float64, by arc, node (loop) and node (final)."""

    arc: np.ndarray
    loop: np.ndarray
    final: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


@dataclass(frozen=True, eq=False)
class TrainingGraphs:
    """Many training graphs, packed. Node 0 of each graph is its start: it emits nothing.

    Nodes, by position in the pack: entry_pdf, loop_pdf: int32, -1 at starts.
    Arcs: arc_source: int32, node within the graph.

    Attributes:
        node_offsets: int64 (n_graphs + 1,): the nodes of each graph.
        loop_id: int32, the self-loop's transition id, 0 where a node cannot stay.
        final_id: int32, the transition id that leaves the graph, 0 where none does.
        final_log_prob: float64, -inf where none does.
        lowest_target: int32, the range of a node and the nodes that its arcs lead to, within the graph.
        highest_target: see `lowest_target`.
        arc_offsets: int64 (n_nodes + 1,): the arcs that come into each node, together.
        arc_id: int32, the transition id of the source's first frame, 0 from the start.
        arc_log_prob: float64, of silence or its absence and of pronunciations, without the transition model's.
        min_frames: int32 (n_graphs,): the length of the shortest alignment.
        graph_of: utterance id -> graph; utterances with the same transcript share one.
    """

    node_offsets: np.ndarray
    entry_pdf: np.ndarray
    loop_pdf: np.ndarray
    loop_id: np.ndarray
    final_id: np.ndarray
    final_log_prob: np.ndarray
    lowest_target: np.ndarray
    highest_target: np.ndarray
    arc_offsets: np.ndarray
    arc_source: np.ndarray
    arc_id: np.ndarray
    arc_log_prob: np.ndarray
    min_frames: np.ndarray
    graph_of: dict[str, int] = field(repr=False)

    def __repr__(self) -> str:
        n_graphs, n_nodes = len(self.node_offsets) - 1, int(self.node_offsets[-1])
        return f"<TrainingGraphs: {many(n_graphs, 'graph')}, {many(n_nodes, 'node')}>"

    @property
    def n_graphs(self) -> int:
        return len(self.min_frames)

    def pdfs(self, graph: int) -> np.ndarray:
        """int32, ascending: the pdfs that a graph's alignments may use."""
        nodes = slice(self.node_offsets[graph] + 1, self.node_offsets[graph + 1])
        stays = self.loop_id[nodes] > 0
        return np.unique(np.concatenate([self.entry_pdf[nodes], self.loop_pdf[nodes][stays]]))

    def scores(
        self, transitions: TransitionModel, *, transition_scale: float = 1.0, self_loop_scale: float = 0.1
    ) -> GraphScores:
        """The graphs' scores with a transition model's probabilities. Cheap: once per training pass.

        Same as Kaldi's AddTransitionProbs.
        """
        by_id = transitions.scaled_log_probs(transition_scale=transition_scale, self_loop_scale=self_loop_scale)
        loop = np.where(self.loop_id > 0, by_id[self.loop_id], -np.inf)
        return GraphScores(self.arc_log_prob + by_id[self.arc_id], loop, self.final_log_prob + by_id[self.final_id])


def training_graphs(
    transcripts: Mapping[str, Sequence[int]], lexicon: "Lexicon", tree: ContextDependency, transitions: TransitionModel
) -> TrainingGraphs:
    """The training graphs of transcripts, one for each different word sequence.

    Args:
        transcripts: utterance id -> word ids.

    Raises:
        GraphError: with the utterance's id for a word without pronunciation, or an empty transcript without silence.
    """
    hmms, graph_of = _Hmms(tree, transitions), {}
    parts: list[_Part] = []
    known: dict[tuple[int, ...], int] = {}
    for utterance, word_ids in transcripts.items():
        key = tuple(int(w) for w in word_ids)
        if key not in known:
            try:
                words = [_pronunciations(lexicon, word) for word in key]
                graph = phone_graph(words, silence_phone=lexicon.silence_id, silence_prob=lexicon.silence_prob)
            except (GraphError, LexiconError) as error:
                raise GraphError(f"utterance {utterance!r}: {error}") from None
            known[key] = len(parts)
            parts.append(_expand(graph, hmms))
        graph_of[utterance] = known[key]
    if not parts:
        raise GraphError("no transcripts: there is nothing to make training graphs of")
    return _pack(parts, graph_of, transitions)


def _pronunciations(lexicon: "Lexicon", word_id: int) -> list[tuple[tuple[int, ...], float]]:
    return list(zip(lexicon.pronunciations(word_id), lexicon.log_probs(word_id), strict=True))


class _Part(NamedTuple):
    """One graph before packing: nodes (rows of TransitionModel.tuples), arcs (source, target, id, log prob), finals."""

    states: list[int]
    arcs: list[tuple[int, int, int, float]]
    finals: list[tuple[int, int, float]]
    min_frames: int


# A phone in context: the phones to the left, then the vertex itself and the vertices to the right.
_Window = tuple[tuple[int, ...], tuple[int, ...]]


def _windows(graph: PhoneGraph, left: int, right: int) -> dict[_Window, list[tuple[_Window, float]]]:
    """Each window that the graph can pass through -> the windows that may follow; in topological order."""
    end = len(graph.phones)
    ahead: list[tuple[int, ...]] = [(START,)]
    for _ in range(right):
        ahead = [(*path, v) for path in ahead for v, _ in graph.successors.get(path[-1], [(end, 0.0)])]
    moves: dict[_Window, list[tuple[_Window, float]]] = {}
    waiting: list[_Window] = [((0,) * left, path) for path in ahead]
    while waiting:
        window = waiting.pop()
        if window in moves:
            continue
        phones, path = window
        log_prob_of = dict(graph.successors[path[0]])
        phones = (*phones, graph.phone(path[0]))[1:] if left else ()
        moves[window] = []
        for vertex, _ in graph.successors.get(path[-1], [(end, 0.0)]):
            longer = (*path, vertex)
            following = (phones, longer[1:])
            moves[window].append((following, log_prob_of[longer[1]]))
            if longer[1] != end:
                waiting.append(following)
    return dict(sorted(moves.items(), key=lambda item: item[0][1][0]))


def _expand(graph: PhoneGraph, hmms: _Hmms) -> _Part:
    """Put the HMM of each phone in context in its place."""
    tree, end = hmms.tree, len(graph.phones)
    moves = _windows(graph, tree.central_position, tree.context_width - 1 - tree.central_position)
    states, first_node, hmm_of = [START], {}, {}
    for window in moves:
        if window[1][0] == START:
            continue
        hmm_of[window] = hmms[window[0] + tuple(graph.phone(v) for v in window[1])]
        first_node[window] = len(states)
        states.extend(hmm_of[window].states)
    arcs: list[tuple[int, int, int, float]] = []
    finals: list[tuple[int, int, float]] = []
    length: dict[_Window, int] = {}  # frames on the shortest way to a window's first frame
    shortest = None
    for window, following in moves.items():
        if window[1][0] == START:
            exits, done = [(0, 0)], 0
        else:
            hmm, base = hmm_of[window], first_node[window]
            arcs.extend((base + s, base + d, i, 0.0) for s, d, i in hmm.arcs)
            exits, done = [(base + s, i) for s, i in hmm.exits], length[window] + hmm.min_frames
        for target, log_prob in following:
            if target[1][0] == end:
                finals.extend((node, i, log_prob) for node, i in exits)
                shortest = done if shortest is None else min(shortest, done)
            else:
                arcs.extend((node, first_node[target], i, log_prob) for node, i in exits)
                length[target] = min(length.get(target, done), done)
    assert shortest is not None  # phone_graph gives every vertex a way to the end
    return _Part(states, arcs, finals, shortest)


def _pack(parts: list[_Part], graph_of: dict[str, int], transitions: TransitionModel) -> TrainingGraphs:
    """The parts one after another, each node's incoming arcs together."""
    node_offsets = np.concatenate([[0], np.cumsum([len(p.states) for p in parts])])
    n_nodes = int(node_offsets[-1])
    arcs = np.array([arc for p in parts for arc in p.arcs])
    base = np.repeat(node_offsets[:-1], [len(p.arcs) for p in parts])
    source, target = arcs[:, 0].astype(np.int64), arcs[:, 1].astype(np.int64)
    lowest = np.arange(n_nodes) - np.repeat(node_offsets[:-1], np.diff(node_offsets))
    highest = lowest.copy()
    np.minimum.at(lowest, base + source, target)
    np.maximum.at(highest, base + source, target)
    order = np.argsort(base + target, kind="stable")
    final_id, final_log_prob = np.zeros(n_nodes, np.int32), np.full(n_nodes, -np.inf)
    for part, first in zip(parts, node_offsets[:-1], strict=True):
        for node, transition_id, log_prob in part.finals:
            final_id[first + node], final_log_prob[first + node] = transition_id, log_prob
    row = np.array([row for p in parts for row in p.states])
    emits = row >= 0
    return TrainingGraphs(
        node_offsets=node_offsets.astype(np.int64),
        entry_pdf=np.where(emits, transitions.tuples[row, 2], -1).astype(np.int32),
        loop_pdf=np.where(emits, transitions.tuples[row, 3], -1).astype(np.int32),
        loop_id=np.where(emits, transitions.self_loop_of_state[row], 0).astype(np.int32),
        final_id=final_id,
        final_log_prob=final_log_prob,
        lowest_target=lowest.astype(np.int32),
        highest_target=highest.astype(np.int32),
        arc_offsets=np.concatenate([[0], np.cumsum(np.bincount(base + target, minlength=n_nodes))]).astype(np.int64),
        arc_source=source[order].astype(np.int32),
        arc_id=arcs[order, 2].astype(np.int32),
        arc_log_prob=arcs[order, 3].copy(),
        min_frames=np.array([p.min_frames for p in parts], np.int32),
        graph_of=graph_of,
    )
