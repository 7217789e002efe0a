"""Decoding graphs of models."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import GraphError
from ..lang.lexicon import Lexicon
from .model import Model, load

if TYPE_CHECKING:
    import pynini

    from ..graph.budget import Step
    from ..graph.const_fst import Graph

logger = logging.getLogger(__name__)


def with_graph(
    model: Model,
    grammar: "Graph | pynini.Fst | None" = None,
    *,
    fallback: str | None = None,
    max_states: int | None = None,
    told: "Callable[[Step], None] | None" = None,
) -> Model:
    """The model with its decoding graph.

    Args:
        grammar: an acceptor over the lexicon's word ids, see `compile_hclg`; a loop over all words if not given. Where the model joins
            parts of words, a word that is begun must be finished.
        fallback: a saved model whose graph is used where pynini is missing. It must have the same words, phones and
            transition ids; its graph costs are then those of its own transition probabilities.
        max_states: of the compilation, see `compile_hclg`.
        told: of the compilation, see `compile_hclg`.

    Raises:
        GraphError: where there is neither pynini nor a fitting fallback, or the graph has too many states.
    """
    from ..graph.grammar import finished_words, word_loop

    if fallback is not None and not has_pynini():
        return replace(model, graph=_borrowed_graph(model, fallback))
    if grammar is None:
        grammar = word_loop(model.lexicon)
    if model.joiner:
        grammar = finished_words(grammar, model.lexicon, model.joiner)
    lexicon = model.units.of_graph(model.lexicon)
    graph = model.units.compile_graph(lexicon, grammar, max_states=max_states, told=told)
    return replace(model, lexicon=lexicon, graph=graph)


def has_pynini() -> bool:
    """Whether new decoding graphs can be built here."""
    try:
        import pynini  # noqa: F401
    except ImportError:
        return False
    return True


def require_pynini(whose: str) -> None:
    """Raise GraphError where no decoding graph can be built; for the start of what needs one.

    Args:
        whose: work's name.
    """
    if not has_pynini():
        raise GraphError(
            f"{whose} builds decoding graphs with pynini, which is not installed (pip install pynini; it has wheels "
            "for Linux x86-64 alone); run it on a machine that has it"
        )


def _borrowed_graph(model: Model, fallback: str) -> "Graph | None":
    other = load(fallback)
    same = (
        other.graph is not None
        and _in_graph(other.lexicon) == _in_graph(model.lexicon)
        and model.units.same_labels(other.units)
    )
    if not same:
        raise GraphError(
            f"pynini is not installed and the graph of model {fallback!r} has other words, phones, pauses or HMMs; "
            "build the graph where pynini is (Linux on x86-64) and copy HCLG.fst"
        )
    logger.warning("pynini is not installed: using the graph of model %r", fallback)
    return other.graph


def _in_graph(lexicon: Lexicon) -> tuple:
    """All of a lexicon that a graph depends on."""
    return lexicon.entries, lexicon.silence_phone, lexicon.silence_prob, lexicon.position_dependent
