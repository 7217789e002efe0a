"""G: which word sequences may be said, and at what cost."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GraphError
from .const_fst import ARC, Graph
from .openfst import from_pynini, to_pynini

if TYPE_CHECKING:
    import pynini

    from ..lang.lexicon import Lexicon

_MOST_GROWTH = 4  # epsilon removal may make a grammar this many times larger


def word_loop(lexicon: "Lexicon", words: Iterable[str] | None = None) -> "pynini.Fst":
    """Any sequence of some words, all equally probable.

    words: names; None: all words of the lexicon. The end of the sentence counts as one more word, so that with n words
    each costs log(n + 1), and so does the end.
    Raises LexiconError for an unknown word and GraphError where there is none.
    """
    names = lexicon.words if words is None else words
    ids = sorted({_word_id(lexicon, name) for name in names if words is not None or _is_word(lexicon, name)})
    if not ids:
        raise GraphError("a word loop needs one word or more")
    zeros, cost = np.zeros(len(ids), np.int64), math.log(len(ids) + 1)
    return to_pynini(Graph.from_arrays(0, zeros, ids, ids, np.full(len(ids), cost), zeros, [cost]))


def sequence(lexicon: "Lexicon", words: Sequence[str] | Sequence[int]) -> "pynini.Fst":
    """One sentence, at no cost: names or ids of its words; an empty one accepts silence alone.

    Raises LexiconError for an unknown word.
    """
    ids = [_word_id(lexicon, word) if isinstance(word, str) else word for word in words]
    states = np.arange(len(ids) + 1)
    final = np.where(states == len(ids), 0.0, np.inf)
    return to_pynini(Graph.from_arrays(0, states[:-1], ids, ids, np.zeros(len(ids)), states[1:], final))


def _is_word(lexicon: "Lexicon", name: str) -> bool:
    return 0 < lexicon.words[name] < lexicon.words["#0"]


def _word_id(lexicon: "Lexicon", name: str) -> int:
    lexicon.pronunciations(name)  # complains about a word that has none
    return lexicon.words[name]


def checked_grammar(grammar: "pynini.Fst", lexicon: "Lexicon") -> Graph:
    """A user's grammar as a Graph that can be composed with the lexicon.

    grammar: an acceptor over `lexicon.words`; back-off arcs carry #0 as input, and #0 or nothing as output. Other arcs
    without label are removed.
    Raises GraphError for an empty grammar, a label that is no word, or one with different words on its two sides.
    """
    graph = from_pynini(grammar, where="grammar")
    back_off, n_words = lexicon.words["#0"], lexicon.words["#0"] - 1
    arcs = graph.arcs.copy()
    arcs["olabel"][(arcs["ilabel"] == back_off) & (arcs["olabel"] == back_off)] = 0
    for side in ("ilabel", "olabel"):
        wrong = (arcs[side] > n_words) & ~((arcs[side] == back_off) & (side == "ilabel"))
        if wrong.any():
            label = int(arcs[side][np.argmax(wrong)])
            name = lexicon.words.name(label) if label < len(lexicon.words) else f"id {label}"
            raise GraphError(
                f"grammar: {name!r} is not a word of the lexicon ({n_words} words); labels are the ids of "
                "lexicon.words, and sentence boundaries are the start and final states, not symbols"
            )
    differs = (arcs["ilabel"] != arcs["olabel"]) & (arcs["ilabel"] != back_off)
    if differs.any() or ((arcs["ilabel"] == back_off) & (arcs["olabel"] != 0)).any():
        raise GraphError("grammar: an arc has different words as input and output; a grammar is an acceptor of words")
    return _without_epsilons(Graph(graph.start, *_recounted(graph, arcs)))


def _recounted(graph: Graph, arcs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    states = graph.states.copy()
    states["n_output_epsilons"] = np.bincount(graph.sources()[arcs["olabel"] == 0], minlength=graph.n_states)
    return states, arcs.astype(ARC)


def _without_epsilons(graph: Graph) -> Graph:
    """The grammar without arcs that carry no word, trimmed. Raises GraphError if it accepts nothing."""
    fst = to_pynini(graph)
    if graph.states["n_input_epsilons"].any():
        fst.rmepsilon()
    fst.connect()
    found = from_pynini(fst)
    if found.n_states == 0:
        raise GraphError("grammar: accepts no sentence (no path leads from its start to a final state)")
    if found.n_arcs > _MOST_GROWTH * graph.n_arcs + 10_000:
        raise GraphError(
            f"grammar: without its unlabelled arcs it grows from {graph.n_arcs} to {found.n_arcs} arcs; label back-off "
            "arcs with #0 (lexicon.words['#0'])"
        )
    return found
