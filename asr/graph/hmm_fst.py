"""H: from phones in context to transition ids, and the self-loops that are added last."""

from typing import NamedTuple

import numpy as np

from ..errors import GraphError
from ..hmm.transitions import TransitionModel
from ..hmm.tree import ContextDependency
from .budget import Budget
from .const_fst import Graph, ranges
from .context import ContextGraph


class _Arc(NamedTuple):
    """A transition between HMM states; the source -1 is where the phone is entered, the target -1 where it is left."""

    source: int
    target: int
    transition_id: int


def expand_hmms(
    context: ContextGraph,
    tree: ContextDependency,
    transitions: TransitionModel,
    *,
    transition_scale: float = 1.0,
    budget: Budget | None = None,
) -> Graph:
    """H ∘ C ∘ L ∘ G without self-loops: each arc with a window becomes that window's HMM.

    Args:
        budget: of the result; None: what memory allows.

    Returns:
        a graph whose input labels are transition ids, and n_transition_ids + 1 + k for the symbol #k. A transition
        costs transition_scale times its negated log probability given that the state is left; a word is on the first of
        the arcs that its own became.

    Raises:
        GraphError: for a window whose states the transition model does not know, or a result beyond the budget.

    Same as composition with Kaldi's H transducer.
    """
    templates, of_window = _templates(context.windows, tree, transitions)
    entry_rows, n_entry = _flat([[arc for arc in t if arc.source < 0] for t in templates])
    inner_rows, n_inner = _flat([[arc for arc in t if arc.source >= 0] for t in templates])
    size = np.array([1 + max((max(arc.source, arc.target) for arc in t), default=-1) for t in templates], np.int64)
    cost = -transition_scale * transitions.forward_log_probs()

    graph, n_windows = context.graph, len(context.windows)
    is_window = (graph.arcs["ilabel"] > 0) & (graph.arcs["ilabel"] <= n_windows)
    kept, kept_source = graph.arcs[~is_window], graph.sources()[~is_window]
    symbol = kept["ilabel"] + np.where(kept["ilabel"] > 0, transitions.n_transition_ids - n_windows, 0)

    arcs, source = graph.arcs[is_window], graph.sources()[is_window]
    template = of_window[arcs["ilabel"] - 1]
    # Arcs with the same HMM and the same end share the HMM's states: only the way in is their own.
    key, copy = np.unique(arcs["next"].astype(np.int64) * len(templates) + template, return_inverse=True)
    end, kind = np.divmod(key, len(templates))
    n_arcs = len(kept) + int(n_entry[template].sum() + n_inner[kind].sum())
    (budget or Budget()).check("H o CLG", graph.n_states + int(size[kind].sum()), n_arcs)
    base = graph.n_states + np.cumsum(size[kind]) - size[kind]
    e_arc, e_row = _repeated(entry_rows, n_entry, template)
    i_copy, i_row = _repeated(inner_rows, n_inner, kind)
    e_copy = copy[e_arc]
    return Graph.from_arrays(
        graph.start,
        np.concatenate([kept_source, source[e_arc], base[i_copy] + i_row[:, 0]]),
        np.concatenate([symbol, e_row[:, 2], i_row[:, 2]]),
        np.concatenate([kept["olabel"], arcs["olabel"][e_arc], np.zeros(len(i_row), np.int32)]),
        np.concatenate([kept["weight"], arcs["weight"][e_arc] + cost[e_row[:, 2]], cost[i_row[:, 2]]]),
        np.concatenate(
            [
                kept["next"],
                np.where(e_row[:, 1] < 0, end[e_copy], base[e_copy] + e_row[:, 1]),
                np.where(i_row[:, 1] < 0, end[i_copy], base[i_copy] + i_row[:, 1]),
            ]
        ),
        np.concatenate([graph.states["final"], np.full(int(size[kind].sum()), np.inf)]),
    )


def _flat(lists: list[list[_Arc]]) -> tuple[np.ndarray, np.ndarray]:
    """All lists one after the other as int64 (n, 3), and the length of each."""
    rows = np.array([arc for arcs in lists for arc in arcs], np.int64).reshape(-1, 3)
    return rows, np.array([len(arcs) for arcs in lists], np.int64)


def _repeated(rows: np.ndarray, lengths: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lists with the numbers `wanted`, one after the other: for each row the index into `wanted`, and the row."""
    first, count = np.cumsum(lengths) - lengths, lengths[wanted]
    return np.repeat(np.arange(len(wanted)), count), rows[ranges(first[wanted], count)]


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

    Args:
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
