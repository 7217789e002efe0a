"""HCLG: the whole decoding graph, from transition ids to words."""

import functools
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .budget import Budget, Step
from .composition import compose
from .const_fst import Graph
from .context import ContextGraph, compose_context
from .determinise import determinise
from .epsilons import remove_epsilons_locally
from .grammar import checked_grammar
from .hmm_fst import add_self_loops, expand_hmms
from .lexicon_fst import lexicon_graph
from .minimise import minimise

if TYPE_CHECKING:
    import pynini

    from ..hmm.transitions import TransitionModel
    from ..hmm.tree import ContextDependency
    from ..lang.lexicon import Lexicon

_log = logging.getLogger(__name__)


def compile_hclg(
    lexicon: "Lexicon",
    grammar: "Graph | pynini.Fst",
    tree: "ContextDependency",
    transitions: "TransitionModel",
    *,
    transition_scale: float = 1.0,
    self_loop_scale: float = 0.1,
    max_states: int | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Graph:
    """The decoding graph: min(det(H ∘ C ∘ min(det(L ∘ G)))) with self-loops, from transition ids to word ids.

    Args:
        lexicon: words and their pronunciations.
        grammar: an acceptor over `lexicon.words`, e.g. `word_loop(lexicon)`, or one made with pynini; #0 is the input
            label of back-off arcs.
        tree: of the acoustic model.
        transitions: of the acoustic model.
        transition_scale: weights of the HMMs' log probabilities, as Kaldi's mkgraph.sh has them.
        self_loop_scale: see `transition_scale`.
        max_states: that the graph may have at any step; None: as many as fit into the memory that is free (see
            `Budget`).
        progress: called after each step with its size and seconds, which are also logged at level INFO.

    Raises:
        GraphError: if the grammar is not over the lexicon's words, or a step needs more states.
    """
    budget = Budget.of(max_states)

    def step(name: str, build: Callable[[], Any]) -> Any:
        return timed_step(name, build, budget, progress)

    # One name for what each step makes of the last one's: nothing is kept that is not needed any more.
    graph: Any = spoken_graph(lexicon, grammar, budget, step)
    graph = step("C o LG", lambda: _in_context(graph, lexicon.n_phones, tree, budget))
    expand = functools.partial(expand_hmms, transition_scale=transition_scale, budget=budget)
    graph = step("H o CLG", lambda: expand(graph, tree, transitions))
    graph = step("det(HCLG)", lambda: determinise(graph, budget=budget, what="HCLG", name_of=lexicon.words.name))
    graph = step("rmsym(HCLG)", lambda: remove_epsilons_locally(without_symbols(graph, transitions.n_transition_ids)))
    graph = step("min(HCLG)", lambda: minimise(graph))
    return step("HCLG", lambda: add_self_loops(graph, transitions, self_loop_scale=self_loop_scale))


def spoken_graph(
    lexicon: "Lexicon", grammar: "Graph | pynini.Fst", budget: Budget, step: Callable[[str, Callable[[], Any]], Any]
) -> Graph:
    """min(det(L ∘ G)), from phones to words.

    Args:
        step: as `timed_step`, with the budget.
    """
    word_grammar = step("G", lambda: checked_grammar(grammar, lexicon))
    words = step("L", lambda: lexicon_graph(lexicon))
    spoken = step("L o G", lambda: compose(words, word_grammar, budget=budget))
    spoken = step("det(LG)", lambda: determinise(spoken, budget=budget, what="LG", name_of=lexicon.words.name))
    return step("min(LG)", lambda: minimise(spoken))


def _in_context(spoken: Graph, n_phones: int, tree: "ContextDependency", budget: Budget) -> ContextGraph:
    return compose_context(spoken, n_phones, width=tree.context_width, central=tree.central_position, budget=budget)


def timed_step(name: str, build: Callable[[], Any], budget: Budget, progress: Callable[[Step], None] | None) -> Any:
    """The result of one step, its size and time logged."""
    started = time.perf_counter()
    result = build()
    graph = result.graph if isinstance(result, ContextGraph) else result
    step = Step(name, graph.n_states, graph.n_arcs, time.perf_counter() - started)
    _log.info("%s: %d states, %d arcs, %.2f s", *step)
    if progress is not None:
        progress(step)
    budget.check(name, graph.n_states, graph.n_arcs)
    return result


def without_symbols(graph: Graph, n_labels: int) -> Graph:
    """The graph with input labels above n_labels, the disambiguation symbols, turned into no label."""
    arcs = graph.arcs.copy()
    arcs["ilabel"][arcs["ilabel"] > n_labels] = 0
    return Graph.from_rows(graph.start, graph.sources(), arcs, graph.states["final"])
