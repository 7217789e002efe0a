"""HCLG: the whole decoding graph, from transition ids to words."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GraphError
from .const_fst import Graph
from .context import ContextGraph, compose_context
from .epsilons import remove_epsilons_locally
from .grammar import checked_grammar
from .hmm_fst import add_self_loops, expand_hmms
from .lexicon_fst import lexicon_graph
from .openfst import determinize, from_pynini, load_pynini, minimize, to_pynini

if TYPE_CHECKING:
    import pynini

    from ..hmm.transitions import TransitionModel
    from ..hmm.tree import ContextDependency
    from ..lang.lexicon import Lexicon

_log = logging.getLogger(__name__)


def compile_hclg(
    lexicon: "Lexicon",
    grammar: "pynini.Fst",
    tree: "ContextDependency",
    transitions: "TransitionModel",
    *,
    transition_scale: float = 1.0,
    self_loop_scale: float = 0.1,
    memory: int | None = None,
) -> Graph:
    """The decoding graph: min(det(H ∘ C ∘ min(det(L ∘ G)))) with self-loops, from transition ids to word ids.

    lexicon: words and how they are said.
    grammar: an acceptor over `lexicon.words`, e.g. `word_loop(lexicon)`; #0 is the input label of back-off arcs.
    tree, transitions: of the acoustic model.
    transition_scale, self_loop_scale: weights of the HMMs' log probabilities, as Kaldi's mkgraph.sh has them.
    memory: bytes that a determinisation may use; None: see `openfst.determinize`.
    Sizes and seconds of each step are logged at level INFO.
    Raises GraphError if pynini is missing, the grammar is not over the lexicon's words, or memory does not suffice.
    """
    load_pynini()
    word_grammar = _step("G", lambda: checked_grammar(grammar, lexicon))
    words = _step("L", lambda: lexicon_graph(lexicon))
    spoken = _step("L o G", lambda: _compose(words, word_grammar))
    spoken = _step("det(LG)", lambda: determinize(spoken, memory=memory, what="L o G"))
    spoken = _step("min(LG)", lambda: minimize(spoken))
    context = _step("C o LG", lambda: _in_context(spoken, lexicon.n_phones, tree))
    hmms = _step("H o CLG", lambda: expand_hmms(context, tree, transitions, transition_scale=transition_scale))
    hmms = _step("det(HCLG)", lambda: determinize(hmms, memory=memory, what="H o C o L o G"))
    hmms = _step("rmsym(HCLG)", lambda: remove_epsilons_locally(without_symbols(hmms, transitions.n_transition_ids)))
    hmms = _step("min(HCLG)", lambda: minimize(hmms))
    return _step("HCLG", lambda: add_self_loops(hmms, transitions, self_loop_scale=self_loop_scale))


def _in_context(spoken: Graph, n_phones: int, tree: "ContextDependency") -> ContextGraph:
    return compose_context(spoken, n_phones, width=tree.context_width, central=tree.central_position)


def _step(name: str, build: Callable[[], Any]) -> Any:
    """The result of one step, its size and time logged."""
    started = time.perf_counter()
    result = build()
    graph = result.graph if isinstance(result, ContextGraph) else result
    seconds = time.perf_counter() - started
    _log.info("%s: %d states, %d arcs, %.2f s", name, graph.n_states, graph.n_arcs, seconds)
    return result


def _compose(words: Graph, grammar: Graph) -> Graph:
    pynini = load_pynini()
    composed = pynini.compose(to_pynini(words).arcsort("olabel"), to_pynini(grammar))
    if composed.num_states() == 0:
        raise GraphError("L o G is empty: the grammar accepts no sequence of the lexicon's words")
    return from_pynini(composed)


def without_symbols(graph: Graph, n_labels: int) -> Graph:
    """The graph with input labels above n_labels, the disambiguation symbols, turned into no label."""
    arcs = graph.arcs
    ilabel = np.where(arcs["ilabel"] > n_labels, 0, arcs["ilabel"])
    columns = (ilabel, arcs["olabel"], arcs["weight"], arcs["next"])
    return Graph.from_arrays(graph.start, graph.sources(), *columns, graph.states["final"])
