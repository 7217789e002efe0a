"""Compiled steps of adding self-loops. Arcs are int32 (n_arcs, 4), see `asr.graph.arc_kernels`."""

from ..jit import kernel
from .arc_kernels import ARCS, COSTS, INTS

_LONGS, _DOUBLES = (f"Array({kind}, 1, 'C', readonly=True)" for kind in ("int64", "float64"))


@kernel(f"void({ARCS}, {INTS}, int32[::1], boolean[::1])")
def entered_by(arcs, class_of_label, entry, mixed):
    """By which class of labels states are entered: the highest one; and whether by several.

    Args:
        entry: by state, -1 or the class of what enters it besides.
        mixed: by state, False.
    """
    for a in range(len(arcs)):
        target, entered = arcs[a, 3], class_of_label[arcs[a, 0]]
        if entry[target] >= 0 and entry[target] != entered:
            mixed[target] = True
        if entry[target] < entered:
            entry[target] = entered


@kernel(f"void({_LONGS}, {ARCS}, {COSTS}, {INTS}, {_DOUBLES}, {INTS}, {_DOUBLES}, int32[:, ::1], float32[:, ::1])")
def with_loops(n_arcs, arcs, costs, entry, leaving, loop, staying, new_arcs, new_costs):
    """Write the arcs of a graph with a self-loop at each state that has one, in order of its label.

    Args:
        n_arcs: by state.
        entry: by state, the class of labels by which it is entered.
        leaving: by class, what each arc out of such a state costs more.
        loop: by class, the self-loop's label, or 0 for none.
        staying: by class, the self-loop's cost.
    """
    a = n = 0
    for state in range(len(n_arcs)):
        here = entry[state]
        waits = loop[here] > 0
        for k in range(n_arcs[state] + 1):
            last = k == n_arcs[state]
            if waits and (last or arcs[a, 0] > loop[here]):
                new_arcs[n, 0], new_arcs[n, 1], new_arcs[n, 3] = loop[here], 0, state
                new_costs[n, 2] = staying[here]
                waits = False
                n += 1
            if not last:
                new_arcs[n, 0], new_arcs[n, 1], new_arcs[n, 3] = arcs[a, 0], arcs[a, 1], arcs[a, 3]
                new_costs[n, 2] = costs[a, 2] + leaving[here]
                a += 1
                n += 1
