"""The way to OpenFst (pynini) and back: whole graphs as bytes, no Python per arc.

pynini is imported inside these functions, so that graphs can be read and decoded where it does not exist.
"""

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GraphError
from .budget import REMEDY, Budget
from .const_fst import Graph

if TYPE_CHECKING:
    import pynini

# Rounding errors keep equal states apart unless nearly equal costs count as equal. Determinisation carries its
# differences round every cycle, so it must be the finer one; what it leaves apart, minimisation puts together.
_DELTA = 2.0**-16  # costs closer than this are equal in determinisation
_GRAIN = 2.0**-14  # costs are rounded to multiples of this in minimisation

_BASE_BYTES, _BYTES_PER_ARC = 1 << 29, 4096  # memory limit of determinisation; measured: 400 bytes an arc

# Determinisation runs in a process of its own: one that does not end, because the grammar says the same sentence in
# ever different ways, would fill the memory, and OpenFst has no limit to set for transducers.
_DETERMINIZE = """
import contextlib, resource, sys
with contextlib.suppress(ValueError, OSError):  # where a system has no such limit
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
import pynini, pywrapfst
fst = pynini.Fst.read_from_string(sys.stdin.buffer.read())
fst = pynini.arcmap(fst.rmepsilon(), map_type="to_log")
fst = pynini.arcmap(pynini.determinize(fst, delta=float(sys.argv[2])), map_type="to_std")
sys.stdout.buffer.write(pywrapfst.convert(fst, "const").write_to_string())
"""


def load_pynini() -> Any:
    """The pynini module.

    Raises:
        GraphError: where it is not installed.
    """
    try:
        import pynini
    except ImportError as error:
        raise GraphError(
            f"building a graph needs pynini ({error}). It has wheels for Linux x86-64 only: build the graph there and "
            "copy its file; decoding needs no pynini"
        ) from None
    return pynini


def to_pynini(graph: Graph) -> "pynini.Fst":
    """The same graph as a pynini.Fst."""
    return load_pynini().Fst.read_from_string(graph.to_bytes())


def from_pynini(fst: "pynini.Fst", *, where: str = "graph") -> Graph:
    """A pynini.Fst with standard arcs as a Graph; arcs are sorted by input label."""
    load_pynini()
    import pywrapfst

    if fst.arc_type() != "standard":
        raise GraphError(f"{where}: arcs of type {fst.arc_type()!r}; needed are 'standard' arcs (tropical semiring)")
    return Graph.from_bytes(pywrapfst.convert(fst, "const").write_to_string(), where=where)


def determinize(graph: Graph, *, budget: Budget | None = None, what: str = "graph") -> Graph:
    """An equivalent graph in which no state has two arcs with the same input label.

    Arcs without any label are removed first; those with an output label alone count as labelled. Output labels move
    along the paths, and a string of them becomes a chain of arcs without input label. Where several arcs become one,
    its cost is that of the sum of their probabilities (the log semiring), which prunes better on the way than the best
    one's; the cost of every path of an unambiguous graph stays.

    Args:
        budget: of the result; None: what memory allows. Its states cannot be counted while they are made, so the budget
            becomes one of memory: ten times what such graphs usually take, at most what the budget needs, and 3/4 of
            what is free.
        what: names the graph in the error message.

    Raises:
        GraphError: if that is not enough, which is how a graph that cannot be determinised shows itself, too.

    Same as Kaldi's fstdeterminizestar --use-log=true, but for arcs with an output label alone.
    """
    load_pynini()
    budget = budget or Budget()
    limit = min(budget.memory(), _BASE_BYTES + _BYTES_PER_ARC * graph.n_arcs)
    command = [sys.executable, "-c", _DETERMINIZE, str(limit), str(_DELTA)]
    done = subprocess.run(command, input=graph.to_bytes(), capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout:
        detail = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GraphError(
            f"det({what}): {graph.n_states:,} states, {graph.n_arcs:,} arcs could not be determinised within "
            f"{limit / 2**30:.1f} GiB ({detail[-1] if detail else f'exit status {done.returncode}'}); the budget is "
            f"{budget.max_states:,} states. Either the grammar accepts a sentence in several ways with different "
            f"costs, or it is too large for this machine. {REMEDY}"
        )
    return Graph.from_bytes(done.stdout, where=what)


def minimize(graph: Graph) -> Graph:
    """The smallest equivalent graph that keeps labels and costs together on their arcs; nothing is pushed.

    Costs are rounded to multiples of 2^-14 first, so that rounding errors do not keep equal states apart.

    Same as Kaldi's fstminimizeencoded, which rounds to multiples of 2^-10.
    """
    pynini = load_pynini()
    states, arcs = graph.states.copy(), graph.arcs.copy()
    for costs in (states["final"], arcs["weight"]):
        costs[:] = np.round(costs / _GRAIN) * _GRAIN
    fst = to_pynini(Graph(graph.start, states, arcs))
    mapper = pynini.EncodeMapper("standard", encode_labels=True, encode_weights=True)
    fst.encode(mapper)
    fst.minimize(allow_nondet=True)
    fst.decode(mapper)
    fst.connect()
    return from_pynini(fst)
