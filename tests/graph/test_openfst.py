"""Graphs on the way to pynini and back, and life without it."""

import sys

import numpy as np
import pytest

from asr.errors import GraphError
from asr.graph.const_fst import Graph
from asr.graph.grammar import word_loop
from asr.graph.hclg import compile_hclg
from asr.graph.openfst import from_pynini, load_pynini, to_pynini

pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")


def test_graphs_survive_the_way_to_pynini_and_back():
    graph = Graph.from_arrays(1, [0, 1], [3, 0], [0, 2], [0.5, 0.25], [1, 0], [1.0, np.inf])
    back = from_pynini(to_pynini(graph))
    assert back.start == 1 and (back.arcs == graph.arcs).all() and (back.states == graph.states).all()


def test_without_pynini_building_says_where_to_build(toys, monkeypatch):
    lexicon = toys.random_lexicon(np.random.default_rng(0))
    tree, transitions = toys.acoustic_units(lexicon, 1, 0)
    monkeypatch.setitem(sys.modules, "pynini", None)
    with pytest.raises(GraphError, match=r"Linux x86-64 only.*decoding needs no pynini"):
        load_pynini()
    with pytest.raises(GraphError, match="pynini"):
        word_loop(lexicon)
    with pytest.raises(GraphError, match="pynini"):
        compile_hclg(lexicon, None, tree, transitions)
