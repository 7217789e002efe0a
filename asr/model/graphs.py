"""Decoding graphs of models."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .model import Model

if TYPE_CHECKING:
    import pynini

    from ..graph.budget import Step
    from ..graph.const_fst import Graph


def with_graph(
    model: Model,
    grammar: "Graph | pynini.Fst | None" = None,
    *,
    max_states: int | None = None,
    progress: "Callable[[Step], None] | None" = None,
) -> Model:
    """The model with its decoding graph.

    Args:
        grammar: an acceptor over the lexicon's word ids, see `compile_hclg`; a loop over all words if not given. Where
            the model joins parts of words, a word that is begun must be finished.
        max_states: of the compilation, see `compile_hclg`.
        progress: of the compilation, see `compile_hclg`.

    Raises:
        GraphError: for a grammar that cannot be used, and a graph with too many states.
    """
    from ..graph.grammar import finished_words, word_loop

    if grammar is None:
        grammar = word_loop(model.lexicon)
    if model.joiner:
        grammar = finished_words(grammar, model.lexicon, model.joiner)
    lexicon = model.units.of_graph(model.lexicon)
    graph = model.units.compile_graph(lexicon, grammar, max_states=max_states, progress=progress)
    return replace(model, lexicon=lexicon, graph=graph)
