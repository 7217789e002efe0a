"""The way to OpenFst (pynini) and back, for grammars that are made with it: whole graphs as bytes, no Python per arc.

pynini is imported inside these functions; nothing else in the toolkit needs it.
"""

from typing import TYPE_CHECKING, Any

from ..errors import GraphError
from ..extras import install
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
            f"a grammar of pynini's needs pynini ({error}); install it with: {install('pynini')} (it has wheels for "
            "Linux x86-64 alone; word_loop, sequence, arpa_grammar and Graph.from_arrays make grammars without it)"
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
