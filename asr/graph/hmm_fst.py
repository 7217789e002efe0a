"""H: from phones in context to transition ids, and the self-loops that are added last."""

from typing import NamedTuple

import numpy as np

from ..errors import GraphError
from ..hmm.transitions import TransitionModel
from ..hmm.tree import ContextDependency
from .const_fst import Graph
from .context import ContextGraph


class _Arc(NamedTuple):
    """A transition between HMM states; the source -1 is where the phone is entered, the target -1 where it is left."""

    source: int
    target: int
    transition_id: int


def expand_hmms(
    context: ContextGraph, tree: ContextDependency, transitions: TransitionModel, *, transition_scale: float = 1.0
) -> Graph:
    """H ∘ C ∘ L ∘ G without self-loops: each arc with a window becomes that window's HMM.

    Returns a graph whose input labels are transition ids, and n_transition_ids + 1 + k for the symbol #k. A
    transition costs transition_scale times its negated log probability given that the state is left; a word is on the
    first of the arcs that its own became.
    Raises GraphError for a window whose states the transition model does not know.

    Same as composition with Kaldi's H transducer.
    """
    templates, of_window = _templates(context.windows, tree, transitions)
    length = np.array([len(t) for t in templates], np.int64)
    first = np.cumsum(length) - length
    rows = np.array([arc for t in templates for arc in t], np.int64).reshape(-1, 3)
    n_inner = np.array([1 + max((max(a.source, a.target) for a in t), default=-1) for t in templates], np.int64)
    cost = -transition_scale * transitions.forward_log_probs()

    arcs, source = context.graph.arcs, context.graph.sources().astype(np.int64)
    n_windows, n_states = len(context.windows), context.graph.n_states
    is_window = (arcs["ilabel"] > 0) & (arcs["ilabel"] <= n_windows)
    kept, source_kept = arcs[~is_window], source[~is_window]
    symbol = kept["ilabel"] + np.where(kept["ilabel"] > 0, transitions.n_transition_ids - n_windows, 0)

    arcs, source = arcs[is_window], source[is_window]
    template = of_window[arcs["ilabel"] - 1]
    count = length[template]
    base = n_states + np.cumsum(n_inner[template]) - n_inner[template]
    parent = np.repeat(np.arange(len(arcs)), count)
    row = rows[np.repeat(first[template] - np.cumsum(count) + count, count) + np.arange(count.sum())]
    enters = row[:, 0] < 0
    return Graph.from_arrays(
        context.graph.start,
        np.concatenate([source_kept, np.where(enters, source[parent], base[parent] + row[:, 0])]),
        np.concatenate([symbol, row[:, 2]]),
        np.concatenate([kept["olabel"], np.where(enters, arcs["olabel"][parent], 0)]),
        np.concatenate([kept["weight"], cost[row[:, 2]] + np.where(enters, arcs["weight"][parent], 0.0)]),
        np.concatenate([kept["next"], np.where(row[:, 1] < 0, arcs["next"][parent], base[parent] + row[:, 1])]),
        np.concatenate([context.graph.states["final"], np.full(int(n_inner[template].sum()), np.inf)]),
    )


def _templates(
    windows: np.ndarray, tree: ContextDependency, transitions: TransitionModel
) -> tuple[list[list[_Arc]], np.ndarray]:
    """The different HMMs of the windows, and for each window the index of its own."""
    row_of = {tuple(row): index for index, row in enumerate(transitions.tuples.tolist())}
    known: dict[tuple[int, ...], int] = {}
    templates: list[list[_Arc]] = []
    of_window = np.empty(len(windows), np.int64)
    for i, window in enumerate(windows.tolist()):
        phone = window[tree.central_position]
        states = transitions.topology.states(phone)
        wanted = [
            (phone, index, tree.pdf(window, s.pdf_class), tree.pdf(window, s.self_loop_pdf_class))
            for index, s in enumerate(states)
        ]
        missing = next((t for t in wanted if t not in row_of), None)
        if missing is not None:
            raise GraphError(
                f"the transition model has no state (phone, HMM state, pdf, self-loop pdf) = {missing}, which the tree "
                f"asks for in phone context {tuple(window)}; tree and transition model are not of one training"
            )
        rows = tuple(row_of[t] for t in wanted)
        if rows not in known:
            known[rows] = len(templates)
            templates.append(_hmm_arcs(rows, transitions))
        of_window[i] = known[rows]
    return templates, of_window


def _hmm_arcs(rows: tuple[int, ...], transitions: TransitionModel) -> list[_Arc]:
    """The HMM of some transition states, in order of their HMM states, without self-loops."""
    inner = []
    for index, row in enumerate(rows):
        for tid in range(int(transitions.first_id[row]), int(transitions.first_id[row + 1])):
            destination = int(transitions.destination_of_id[tid])
            if destination != index:
                inner.append(_Arc(index, -1 if destination == len(rows) else destination, tid))
    entry = [arc._replace(source=-1) for arc in inner if arc.source == 0]
    returns = any(arc.target == 0 for arc in inner)
    return entry + [arc for arc in inner if arc.source != 0 or returns]


def add_self_loops(graph: Graph, transitions: TransitionModel, *, self_loop_scale: float = 0.1) -> Graph:
    """The graph with each HMM state's self-loop, taken after the transition out of that state (reorder=true).

    The input labels of all arcs into a state with a self-loop must be of one HMM state: a state that is entered
    otherwise is split, with arcs without labels back to it. Leaving such a state costs self_loop_scale times the
    negated log probability of not staying, staying likewise.

    Same as Kaldi's add-self-loops --reorder=true.
    """
    n_classes = len(transitions.tuples) + 1
    graph = _split_by_entry(graph, np.append(0, transitions.state_of_id[1:] + 1), n_classes)
    entry = np.zeros(graph.n_states, np.int64)  # 1 + row of transitions.tuples; 0: entered without input label
    np.maximum.at(entry, graph.arcs["next"], np.append(0, transitions.state_of_id[1:] + 1)[graph.arcs["ilabel"]])
    leaving = np.append(0.0, -self_loop_scale * transitions.non_self_loop_log_probs())[entry]
    loop = np.append(0, transitions.self_loop_of_state)[entry]
    loops = np.flatnonzero(loop > 0)
    source = graph.sources()
    return Graph.from_arrays(
        graph.start,
        np.concatenate([source, loops]),
        np.concatenate([graph.arcs["ilabel"], loop[loops]]),
        np.concatenate([graph.arcs["olabel"], np.zeros(len(loops), np.int32)]),
        np.concatenate([graph.arcs["weight"] + leaving[source], -self_loop_scale * transitions.log_probs[loop[loops]]]),
        np.concatenate([graph.arcs["next"], loops]),
        graph.states["final"] + leaving,
    )


def _split_by_entry(graph: Graph, class_of_label: np.ndarray, n_classes: int) -> Graph:
    """A graph in which the labels of all arcs into a state are of one class.

    class_of_label: class by input label; class 0 (no label) is also what the start state counts as entered with.
    """
    arcs = graph.arcs.copy()
    key = arcs["next"].astype(np.int64) * n_classes + class_of_label[arcs["ilabel"]]
    pairs = np.unique(np.append(key, graph.start * n_classes))
    mixed = np.bincount(pairs // n_classes, minlength=graph.n_states) > 1
    new = pairs[mixed[pairs // n_classes] & (pairs % n_classes > 0)]
    moved = np.searchsorted(new, key)
    hit = moved < len(new)
    hit[hit] = new[moved[hit]] == key[hit]
    arcs["next"][hit] = graph.n_states + moved[hit]
    zeros = np.zeros(len(new), np.int64)
    return Graph.from_arrays(
        graph.start,
        np.concatenate([graph.sources(), graph.n_states + np.arange(len(new))]),
        np.concatenate([arcs["ilabel"], zeros]),
        np.concatenate([arcs["olabel"], zeros]),
        np.concatenate([arcs["weight"], zeros]),
        np.concatenate([arcs["next"], new // n_classes]),
        np.concatenate([graph.states["final"], np.full(len(new), np.inf)]),
    )
