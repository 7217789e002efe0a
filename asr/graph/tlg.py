"""TLG: the decoding graph of a CTC model, from frames' labels to words."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .budget import Budget, Step
from .composition import compose
from .const_fst import Graph
from .epsilons import remove_epsilons_locally
from .hclg import spoken_graph, timed_step
from .minimise import minimise

if TYPE_CHECKING:
    import pynini

    from ..ctc.tokens import CtcTokens
    from ..lang.lexicon import Lexicon

_BLANK = 1


def compile_tlg(
    lexicon: "Lexicon",
    grammar: "Graph | pynini.Fst",
    tokens: "CtcTokens",
    *,
    max_states: int | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Graph:
    """The decoding graph min(T ∘ min(det(L ∘ G))), from CTC labels to word ids.

    T writes each unit once for one output frame or more, then blanks if any; two equal units need a blank between them.
    It has no weights and knows at each frame which label came last, so that T ∘ LG needs no determinisation.

    Args:
        lexicon: words and their pronunciations. Its pauses are not used: what is between words is blanks.
        grammar: as of `compile_hclg`, like `max_states` and `progress`.
        tokens: the labels of the network.

    Raises:
        GraphError: as of `compile_hclg`.

    T is k2's ctc_topo; in Eesen's the same unit may follow itself without a blank, and counts twice.

    Ref: Miao, Gowayyed and Metze, EESEN: end-to-end speech recognition using deep RNN models and WFST-based decoding,
    2015.
    """
    budget = Budget.of(max_states)
    lexicon = replace(lexicon, silence_prob=0.0)

    def step(name: str, build: Callable[[], Any]) -> Any:
        return timed_step(name, build, budget, progress)

    spoken = spoken_graph(lexicon, grammar, budget, step)
    topology = step("T", functools.partial(token_graph, tokens, lexicon.disambiguation_ids))
    graph = step("T o LG", lambda: compose(topology, spoken, budget=budget, what="T o LG"))
    graph = step("rmeps(TLG)", lambda: remove_epsilons_locally(graph))
    return step("TLG", lambda: minimise(graph))


def token_graph(tokens: "CtcTokens", symbols: tuple[int, ...] = ()) -> Graph:
    """T: from one label per output frame to units.

    State 0: the last label was a blank, or there was none; state p: the unit p.

    Args:
        symbols: disambiguation symbols, which pass without a frame.
    """
    n = tokens.n_phones
    state, unit = (axis.ravel() for axis in np.meshgrid(np.arange(n + 1), np.arange(1, n + 1), indexing="ij"))
    olabel_of = np.where(state == unit, 0, unit)  # a repeated label writes no unit
    blanks, zeros = np.arange(n + 1), np.zeros(n + 1, np.int64)
    marked, mark = (axis.ravel() for axis in np.meshgrid(np.arange(n + 1), np.array(symbols, np.int64), indexing="ij"))
    source = np.concatenate([state, blanks, marked])
    ilabel = np.concatenate([unit + 1, zeros + _BLANK, np.zeros(len(mark), np.int64)])
    olabel = np.concatenate([olabel_of, zeros, mark])
    target = np.concatenate([unit, zeros, marked])
    return Graph.from_arrays(0, source, ilabel, olabel, np.zeros(len(source)), target, np.zeros(n + 1))
