"""H and the self-loops against Kaldi's own code (recorded by tests/references/record_graph.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from asr.errors import GraphError
from asr.graph.const_fst import Graph
from asr.graph.context import ContextGraph
from asr.graph.hclg import without_symbols
from asr.graph.hmm_fst import add_self_loops, expand_hmms
from asr.graph.openfst import to_pynini
from asr.hmm.topology import HmmState, Topology
from asr.hmm.transitions import TransitionModel
from asr.hmm.tree import MonophoneTree

pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")

REFERENCE = Path(__file__).parents[1] / "references" / "graph.json"


@pytest.fixture(scope="module")
def kaldi():
    return json.loads(REFERENCE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def units(kaldi):
    n_phones = max(w[0] for w in kaldi["windows"] if w)
    topology = Topology.kaldi(range(2, n_phones + 1), [1])
    tree = MonophoneTree.from_topology(topology)
    return tree, TransitionModel.from_tree(topology, tree).updated(np.array(kaldi["counts"]))


def graph_of(record, relabel=None):
    """A recorded FST as a Graph; `relabel` maps its input labels."""
    source, ilabel, olabel, weight, target = (np.array(c) for c in zip(*record["arcs"], strict=True))
    final = [np.inf if f is None else f for f in record["final"]]
    ilabel = ilabel if relabel is None else np.array([relabel[i] for i in ilabel.tolist()])
    return Graph.from_arrays(record["start"], source, ilabel, olabel, weight, target, final)


def isomorphic(a, b):
    first, second = (to_pynini(g).connect().arcsort("ilabel") for g in (a, b))
    return first.num_states() == second.num_states() and pynini.isomorphic(first, second, delta=1e-3)


def test_the_transition_model_is_kaldis(kaldi, units):
    assert np.allclose(units[1].log_probs[1:], kaldi["log_probs"][1:], atol=1e-5)
    assert units[1].pdf_of_id[1:].tolist() == kaldi["pdfs"][1:]


def kaldi_context(kaldi):
    """Kaldi's C o LG in our numbering: windows first, then the symbols in order."""
    windows = [tuple(w) for w in kaldi["windows"] if w and w[0] > 0]
    n_symbols = len(kaldi["h_symbols"])
    lowest = min(-w[0] for w in kaldi["windows"] if w and w[0] < 0)
    relabel = {0: 0}
    for i, window in enumerate(kaldi["windows"]):
        if window:
            relabel[i] = windows.index(tuple(window)) + 1 if window[0] > 0 else len(windows) + 1 - window[0] - lowest
    assert sorted(relabel.values())[-n_symbols:] == [len(windows) + 1 + k for k in range(n_symbols)]
    return ContextGraph(graph_of(kaldi["context"], relabel), np.array(windows, np.int32))


def test_h_composed_is_kaldis(kaldi, units):
    tree, transitions = units
    ours = expand_hmms(kaldi_context(kaldi), tree, transitions)
    # Kaldi numbers its symbols after the transition ids in the order in which it met them.
    met = [-w[0] for w in kaldi["windows"] if w and w[0] < 0]
    relabel = {i: i for i in range(transitions.n_transition_ids + 1)}
    relabel |= {
        label: transitions.n_transition_ids + 1 + m - min(met) for label, m in zip(kaldi["h_symbols"], met, strict=True)
    }
    theirs = graph_of(kaldi["hmms"], relabel)  # has arcs without labels out of each HMM; ours has none
    assert ours.n_states <= theirs.n_states and ours.n_arcs <= theirs.n_arcs
    first, second = normal_forms(ours, theirs)
    assert first.num_states() == second.num_states() > 60
    assert pynini.isomorphic(first, second, delta=1e-3)


def normal_forms(*graphs):
    """Minimal deterministic acceptors of (input, output) pairs, the same for equivalent graphs."""
    mapper = pynini.EncodeMapper("standard", encode_labels=True)
    for graph in graphs:
        fst = to_pynini(graph).rmepsilon().encode(mapper)
        yield pynini.determinize(fst).minimize().rmepsilon().arcsort("ilabel")  # pushing may leave a first arc


def test_self_loops_are_kaldis(kaldi, units):
    ours = add_self_loops(graph_of(kaldi["without_loops"]), units[1], self_loop_scale=0.1)
    theirs = graph_of(kaldi["hclg"])
    assert ours.n_states == theirs.n_states and ours.n_arcs == theirs.n_arcs
    assert isomorphic(ours, theirs)


def test_transition_scale_zero_leaves_no_hmm_costs(kaldi, units):
    context = kaldi_context(kaldi)
    graph = expand_hmms(context, *units, transition_scale=0.0)
    assert set(graph.arcs["weight"].tolist()) == {0.0, *context.graph.arcs["weight"].tolist()}


def test_an_hmm_that_returns_to_its_first_state_is_entered_once(toys):
    """State 0 can be come back to; that must not lead back before the phone, nor repeat the word."""
    states = (
        HmmState(0, ((0, 0.5), (1, 0.5)), 0),
        HmmState(1, ((0, 0.25), (1, 0.25), (2, 0.5)), 1),
    )
    topology = Topology({1: states})
    tree = MonophoneTree.from_topology(topology)
    transitions = TransitionModel.from_tree(topology, tree)
    one_phone = ContextGraph(
        Graph.from_arrays(0, [0, 0], [1, 2], [7, 8], [0.5, 0], [1, 1], [np.inf, 0]), np.array([[1]], np.int32)
    )
    graph = expand_hmms(one_phone, tree, transitions)
    loop0, forward, back, loop1, leave = 1, 2, 3, 4, 5
    assert transitions.is_self_loop.tolist() == [False, True, False, False, True, False]
    # Given that a state is left, 0 goes to 1 for certain; 1 goes back with 1/3 and leaves with 2/3.
    once = toys.costs_of_outputs(graph, [forward, leave])
    twice = toys.costs_of_outputs(graph, [forward, back, forward, leave])
    assert once == {(7,): pytest.approx(0.5 - np.log(2 / 3), abs=1e-5)}
    assert twice == {(7,): pytest.approx(0.5 - np.log(2 / 3) - np.log(1 / 3), abs=1e-5)}
    symbol = transitions.n_transition_ids + 1
    assert toys.costs_of_outputs(graph, [symbol]) == {(8,): 0.0}
    assert toys.costs_of_outputs(graph, [forward, back, symbol]) == {}
    looped = add_self_loops(without_symbols(graph, transitions.n_transition_ids), transitions, self_loop_scale=0.0)
    assert toys.costs_of_outputs(looped, [forward, loop0, loop0, back, loop1, forward, leave, loop1]) == twice


def test_a_tree_of_another_training_is_refused(units):
    context = ContextGraph(Graph.from_arrays(0, [0], [1], [1], [0], [0], [0]), np.array([[2]], np.int32))
    other = MonophoneTree({2: 90}, {2: 3})
    with pytest.raises(GraphError, match=r"no state .*\(2, 0, 90, 90\).*not of one training"):
        expand_hmms(context, other, units[1])
