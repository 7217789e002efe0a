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
from .const_fst import ARC, Graph, as_rows
from .pairs import Pairs

_FLUSH = -1  # label that stands for "no phone follows"


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
    from .pair_kernels import context_pairs

    base, ahead = n_phones + 1, (n_phones + 1) ** (width - 1 - central)
    n_symbols = max(int(graph.arcs["ilabel"].max(initial=0)) - n_phones, 0)
    flushing = _with_flushing(graph)
    pairs = Pairs(graph.start, "C o LG", budget or Budget())
    found = pairs.find_windows(context_pairs, *flushing, base, base ** (width - 1), ahead, n_symbols)
    used, number = np.unique(found, return_inverse=True)
    # From places in the order in which windows were found to labels that ascend as windows do; symbols come after.
    label = pairs.arcs["ilabel"]
    is_window = label > 0
    label[is_window] = number[label[is_window] - 1] + 1
    label[label < 0] = len(used) - label[label < 0]
    history, state = np.divmod(pairs.keys, graph.n_states + 1)
    final = np.where(history % ahead == 0, np.append(graph.states["final"], np.float32(0))[state], np.float32(np.inf))
    powers = base ** np.arange(width - 1, -1, -1, dtype=np.int64)
    windows = (used[:, None] // powers % base).astype(np.int32)
    return ContextGraph(pairs.graph(final), windows, n_symbols)


def _with_flushing(graph: Graph) -> tuple[np.ndarray, ...]:
    """The graph's arcs with one state more, where the last phones get their empty right context.

    Returns:
        int64 (n_states,): each state's first arc and number of arcs; and the arcs as numbers and as costs.
    """
    ends = np.flatnonzero(np.isfinite(graph.states["final"]))
    extra = np.zeros(len(ends) + 1, ARC)
    extra["ilabel"], extra["next"] = _FLUSH, graph.n_states
    extra["weight"][:-1] = graph.states["final"][ends]
    # Where the arcs of each state end, and at the end of all.
    after = np.append(graph.states["first"][ends] + graph.states["n_arcs"][ends], graph.n_arcs)
    arcs = np.insert(graph.arcs, after, extra)
    n_arcs = np.append(graph.states["n_arcs"] + np.isfinite(graph.states["final"]), 1).astype(np.int64)
    return np.cumsum(n_arcs) - n_arcs, n_arcs, *as_rows(arcs)
