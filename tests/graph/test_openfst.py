"""Graphs on the way to pynini and back, and life without it."""

import sys

import numpy as np
import pytest

from asr.ctc.tokens import CtcTokens
from asr.errors import GraphError
from asr.graph.arpa import arpa_grammar
from asr.graph.budget import Budget
from asr.graph.const_fst import Graph
from asr.graph.grammar import checked_grammar, sequence, word_loop
from asr.graph.hclg import compile_hclg, spoken_graph
from asr.graph.lexicon_fst import lexicon_graph
from asr.graph.openfst import from_pynini, load_pynini, to_pynini
from asr.graph.tlg import compile_tlg
from asr.lm import train

pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")


def test_graphs_survive_the_way_to_pynini_and_back():
    graph = Graph.from_arrays(1, [0, 1], [3, 0], [0, 2], [0.5, 0.25], [1, 0], [1.0, np.inf])
    back = from_pynini(to_pynini(graph))
    assert back.start == 1 and (back.arcs == graph.arcs).all() and (back.states == graph.states).all()


def test_without_pynini_graphs_are_the_same(toys, monkeypatch):
    """Loops, sentences, n-grams and TLG; and what is no grammar is said."""
    lexicon = toys.random_lexicon(np.random.default_rng(0))
    tree, transitions = toys.acoustic_units(lexicon, 3, 1)
    words = [entry.word for entry in lexicon.entries]
    model = train([words, words[::-1], words[:2]], 3)

    def built():
        grammars = [word_loop(lexicon), sequence(lexicon, words), arpa_grammar(model, lexicon)]
        tokens = CtcTokens(lexicon.n_phones)
        made = [compile_hclg(lexicon, grammar, tree, transitions) for grammar in grammars]
        return [graph.to_bytes() for graph in (*made, *(compile_tlg(lexicon, g, tokens) for g in grammars))]

    with_it = built()
    for name in ("pynini", "pywrapfst", "_pynini", "_pywrapfst"):
        monkeypatch.setitem(sys.modules, name, None)
    assert built() == with_it
    with pytest.raises(GraphError, match=r"a grammar of pynini's needs pynini.*.pynini\]"):
        load_pynini()
    with pytest.raises(GraphError, match="NoneType is none; need a Graph"):
        compile_hclg(lexicon, None, tree, transitions)


@pytest.mark.parametrize("kind", ["loop", "n-gram"])
@pytest.mark.parametrize("seed", range(6))
def test_a_graph_of_our_steps_is_that_of_openfsts(toys, seed, kind):
    """min(det(L o G)) by compose, determinize and minimize of pynini: the same words for the same phones and costs."""
    rng = np.random.default_rng(seed)
    lexicon = toys.random_lexicon(rng, n_entries=7, probabilities=True)
    words = [entry.word for entry in lexicon.entries]
    model = train([rng.choice(words, rng.integers(1, 6)).tolist() for _ in range(20)], 3)
    grammar = word_loop(lexicon) if kind == "loop" else arpa_grammar(model, lexicon)
    ours = spoken_graph(lexicon, grammar, Budget(100_000), lambda name, build: build())
    theirs = pynini.compose(
        to_pynini(lexicon_graph(lexicon)).arcsort("olabel"), to_pynini(checked_grammar(grammar, lexicon))
    )
    # The log semiring, as in our determinisation: the costs of an unambiguous graph are those of its paths.
    theirs = pynini.arcmap(theirs.rmepsilon(), map_type="to_log")
    theirs = pynini.arcmap(pynini.determinize(theirs, delta=2.0**-16), map_type="to_std")
    assert pynini.randequivalent(to_pynini(ours), theirs, npath=300, delta=1e-3, seed=seed + 1, max_length=60)
