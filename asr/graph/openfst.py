"""The way to OpenFst (pynini) and back: whole graphs as bytes, no Python per arc.

pynini is imported inside these functions, so that graphs can be read and decoded where it does not exist.
"""

from typing import TYPE_CHECKING, Any

from ..errors import GraphError
from .const_fst import Graph

if TYPE_CHECKING:
    import pynini


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
