"""H: from phones in context to transition ids, and the self-loops that are added last."""

from typing import NamedTuple

import numpy as np

from ..errors import GraphError
from ..hmm.transitions import TransitionModel
from ..hmm.tree import ContextDependency
from .budget import Budget
from .const_fst import ARC, Graph, as_rows
from .context import ContextGraph
from .pairs import Pairs


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
    from .pair_kernels import hmm_pairs

    templates, of_window = _templates(context.windows, tree, transitions)
    entries, rows, first = _lists(templates)
    between, graph = int(entries[0]) - 1 if len(entries) else 0, context.graph
    arcs = np.zeros(len(rows), ARC)
    arcs["ilabel"], arcs["next"] = rows[:, 0], np.where(rows[:, 1] < 0, between, rows[:, 1])
    arcs["weight"] = -transition_scale * transitions.forward_log_probs()[rows[:, 0]]
    shift = transitions.n_transition_ids - len(context.windows)  # symbols come after transition ids, not windows
    pairs = Pairs(graph.start * (between + 1) + between, "H o CLG", budget or Budget())
    into = (graph.states[name].astype(np.int64) for name in ("first", "n_arcs"))
    pairs.find(hmm_pairs, *into, *as_rows(graph.arcs), entries[of_window], between, shift, first, *as_rows(arcs))
    state, within = np.divmod(pairs.keys, between + 1)
    return pairs.graph(np.where(within == between, graph.states["final"][state], np.float32(np.inf)))


def _lists(templates: list[list[_Arc]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What may come in HMMs: the transitions out of their states, then those into them.

    States from which the same transitions follow, to the end of the HMM, have one list, of whatever HMMs they are: so
    what is before one state of a graph is there once. That is where HMMs lead forward; what can be come back to is an
    HMM's own.

    Returns:
        by template the list of transitions into it; of all lists the rows (transition id, list that follows, or -1 for
        the end), and where each begins, and the last ends. One without rows stands between the two kinds.
    """
    known: dict[tuple, int] = {}
    lists: list[tuple[tuple[int, int], ...]] = []
    entries = []
    for template in templates:
        forward = all(arc.target < 0 or arc.target > arc.source for arc in template)
        own: dict[int, int] = {-1: -1}
        if not forward:
            own |= {state: len(lists) + k for k, state in enumerate(sorted({a.source for a in template} - {-1}))}
            lists += [()] * (len(own) - 1)
        for state in sorted({arc.source for arc in template} - {-1}, reverse=True):
            onward = tuple((arc.transition_id, own[arc.target]) for arc in template if arc.source == state)
            if forward:
                own[state] = known.setdefault(onward, len(lists))
                lists += [onward] * (own[state] == len(lists))
            else:
                lists[own[state]] = onward
        entries.append(tuple((arc.transition_id, own[arc.target]) for arc in template if arc.source < 0))
    every = [*lists, (), *entries]
    rows = np.array([row for onward in every for row in onward], np.int64).reshape(-1, 2)
    return len(lists) + 1 + np.arange(len(entries)), rows, np.cumsum([0, *map(len, every)])


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
    from .hmm_kernels import with_loops

    class_of_label = np.append(0, transitions.state_of_id[1:] + 1).astype(np.int32)  # 0: no input label
    graph = _split_by_entry(graph, class_of_label, len(transitions.tuples) + 1)
    entry, _ = _entries(graph, class_of_label)
    leaving = np.append(0.0, -self_loop_scale * transitions.non_self_loop_log_probs())
    loop = np.append(0, transitions.self_loop_of_state).astype(np.int32)
    staying = np.append(0.0, -self_loop_scale * transitions.log_probs[loop[1:]])
    n_arcs = graph.states["n_arcs"] + (loop[entry] > 0)
    arcs = np.empty(int(n_arcs.sum()), ARC)
    count = graph.states["n_arcs"].astype(np.int64)
    with_loops(count, *as_rows(graph.arcs), entry, leaving, loop, staying, *as_rows(arcs))
    source = np.repeat(np.arange(graph.n_states, dtype=np.int32), n_arcs)
    return Graph.from_rows(graph.start, source, arcs, (graph.states["final"] + leaving[entry]).astype(np.float32))


def _entries(graph: Graph, class_of_label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int32 (n_states,): the class of labels by which each state is entered, the highest; and bool: if by several."""
    from .hmm_kernels import entered_by

    entry, mixed = np.full(graph.n_states, -1, np.int32), np.zeros(graph.n_states, bool)
    if graph.n_states:
        entry[graph.start] = 0
    entered_by(as_rows(graph.arcs)[0], class_of_label, entry, mixed)
    return np.maximum(entry, 0), mixed


def _split_by_entry(graph: Graph, class_of_label: np.ndarray, n_classes: int) -> Graph:
    """A graph in which the labels of all arcs into a state are of one class.

    Args:
        class_of_label: class by input label; class 0 (no label) is also what the start state counts as entered with.
    """
    _, mixed = _entries(graph, class_of_label)
    entered = class_of_label[graph.arcs["ilabel"]]
    moved = np.flatnonzero(mixed[graph.arcs["next"]] & (entered > 0))
    new, place = np.unique(graph.arcs["next"][moved].astype(np.int64) * n_classes + entered[moved], return_inverse=True)
    arcs = np.append(graph.arcs, np.zeros(len(new), ARC))
    arcs["next"][moved] = graph.n_states + place
    arcs["next"][graph.n_arcs :] = new // n_classes
    source = np.append(graph.sources(), graph.n_states + np.arange(len(new), dtype=np.int32))
    final = np.append(graph.states["final"], np.full(len(new), np.inf, np.float32))
    return Graph.from_rows(graph.start, source, arcs, final)
