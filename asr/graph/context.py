"""C: from phones to phones in context, expanded only for the contexts that a graph reaches.

A window is `context_width` phones, of which the one at `central_position` is meant; 0 stands where there is no phone.
Reading a phone completes the window of the phone `context_width - 1 - central_position` before it, so labels come that
much later than they are read, and the last ones when the graph ends.
"""

from dataclasses import dataclass

import numpy as np

from ..display.brief import brief_repr
from ..errors import GraphError
from .budget import Budget
from .const_fst import Graph, ranges

_FLUSH = -1  # label that stands for "no phone follows"
_NOTHING, _FIRST_SYMBOL = -1, -2  # codes: no label; #0, which #1, ... follow downwards


@dataclass(frozen=True, eq=False)
class ContextGraph:
    """C ∘ LG. Input label i in 1 ... n_windows is windows[i - 1]; n_windows + 1 + k is the disambiguation symbol #k.

    After the symbols comes one more, which stands where a phone is read before any window is complete: where a right
    context is seen, the order of a sentence's first phones and symbols would be lost without it, and with it the
    chance to determinise.

    Attributes:
        windows: int32 (n_windows, context_width): phone ids.
        n_symbols: disambiguation symbols, without the one more.
    """

    graph: Graph
    windows: np.ndarray
    n_symbols: int = 0

    def __repr__(self) -> str:
        return brief_repr(self)


def compose_context(
    graph: Graph, n_phones: int, *, width: int, central: int, budget: Budget | None = None
) -> ContextGraph:
    """A graph over phones as a graph over phones in context.

    Args:
        graph: input labels are phones, 1 ... n_phones, and disambiguation symbols above them, which pass through.
        width: windows of `width` phones around the one at index `central`.
        central: windows of `width` phones around the one at index `central`.
        budget: of the result; None: what memory allows.

    Raises:
        GraphError: if such windows are too many to be counted in 64 bits, or the result is beyond the budget.

    Same as Kaldi's fstcomposecontext; the last symbol is its #-1.
    """
    if not 0 <= central < width:
        raise GraphError(f"central position {central} is outside a window of {width} phones")
    if (n_phones + 1) ** width * (graph.n_states + 1) >= 2**62:
        raise GraphError(f"windows of {width} out of {n_phones} phones are too many; use a smaller context width")
    n_symbols = max(int(graph.arcs["ilabel"].max(initial=0)) - n_phones, 0)
    start, source, code, olabel, weight, target, final = _expand(
        graph, n_phones + 1, width, central, n_symbols, budget or Budget()
    )
    is_window = code >= 0
    used, label = np.unique(code[is_window], return_inverse=True)
    ilabel = np.where(code == _NOTHING, 0, len(used) + 1 + _FIRST_SYMBOL - code)
    ilabel[is_window] = label + 1
    powers = (n_phones + 1) ** np.arange(width - 1, -1, -1, dtype=np.int64)
    windows = (used[:, None] // powers % (n_phones + 1)).astype(np.int32)
    return ContextGraph(Graph.from_arrays(start, source, ilabel, olabel, weight, target, final), windows, n_symbols)


def _expand(graph: Graph, base: int, width: int, central: int, n_symbols: int, budget: Budget) -> tuple:
    """Start, arcs and final costs of C ∘ LG; instead of input labels, codes: windows as numbers in the given base.

    A state is a pair of what was read last (a number of width - 1 digits) and a state of the graph. Pairs are found in
    breadth-first order, all arcs of one distance from the start at once.
    """
    n_histories, ahead = base ** (width - 1), base ** (width - 1 - central)
    first, n_arcs, label, olabel, weight, target = _with_flushing(graph)
    n_states = len(first)
    known = frontier = np.array([graph.start], np.int64)
    arcs: list[tuple[np.ndarray, ...]] = []
    n_found = 0
    while len(frontier):
        history, state = np.divmod(frontier, n_states)
        count = n_arcs[state]
        n_found += int(count.sum())
        budget.check("C o LG", len(known), n_found)
        arc = ranges(first[state], count)
        origin, history = np.repeat(frontier, count), np.repeat(history, count)
        # Flushing is over when no phone waits for its right context.
        go = (label[arc] != _FLUSH) | (history % ahead != 0)
        arc, origin, history = arc[go], origin[go], history[go]
        # Flushing reads an empty phone; disambiguation symbols change no history and pass as they are.
        symbol = np.where(label[arc] == _FLUSH, 0, label[arc])
        moves = ((symbol > 0) & (symbol < base)) | (label[arc] == _FLUSH)
        window = history * base + symbol
        # A phone that is read before there is one at the central position writes the one symbol more.
        code = np.where(moves, _FIRST_SYMBOL - n_symbols, _NOTHING)
        code[symbol >= base] = _FIRST_SYMBOL - (symbol[symbol >= base] - base)
        # There is a phone at the central position: it has got its right context now, and is written.
        complete = moves & (window // ahead % base != 0)
        code[complete] = window[complete]
        reached = np.where(moves, window % n_histories, history) * n_states + target[arc]
        arcs.append((origin, code, olabel[arc], weight[arc], reached))
        frontier = np.setdiff1d(reached, known)
        known = np.insert(known, np.searchsorted(known, frontier), frontier)
    source, code, out, cost, reached = (np.concatenate(column) for column in zip(*arcs, strict=True))
    history, state = np.divmod(known, n_states)
    final = np.where(history % ahead == 0, np.append(graph.states["final"], np.float32(0))[state], np.inf)
    start = int(np.searchsorted(known, graph.start))
    return start, np.searchsorted(known, source), code, out, cost, np.searchsorted(known, reached), final


def _with_flushing(graph: Graph) -> tuple[np.ndarray, ...]:
    """The graph's arcs with one state more, where the last phones get their empty right context.

    Returns:
        for each state its first arc and number of arcs, and for each arc label, output label, cost and next state.
    """
    ends = np.flatnonzero(np.isfinite(graph.states["final"]))
    extra = graph.n_states
    source = np.concatenate([graph.sources(), ends, [extra]]).astype(np.int64)
    order = np.argsort(source, kind="stable")
    n_arcs = np.bincount(source, minlength=extra + 1)
    label = np.concatenate([graph.arcs["ilabel"], np.full(len(ends) + 1, _FLUSH)])[order].astype(np.int64)
    olabel = np.concatenate([graph.arcs["olabel"], np.zeros(len(ends) + 1, np.int32)])[order]
    weight = np.concatenate([graph.arcs["weight"], graph.states["final"][ends], [np.float32(0)]])[order]
    target = np.concatenate([graph.arcs["next"], np.full(len(ends) + 1, extra)])[order].astype(np.int64)
    return np.cumsum(n_arcs) - n_arcs, n_arcs, label, olabel, weight, target
