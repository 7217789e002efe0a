"""Pronunciation probabilities and position-dependent phones: decoding is aligning, and scores are sums of parts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding import SearchOptions, ViterbiDecoder
from asr.graph import compile_hclg, sequence
from asr.hmm.align import AlignOptions, align
from asr.hmm.topology import Topology
from asr.hmm.training_graph import training_graphs
from asr.hmm.transitions import TransitionModel
from asr.hmm.tree import MonophoneTree
from asr.lang.lexicon import Lexicon
from asr.model.word_times import count_pronunciations, word_segments


def units(lexicon, seed):
    """A monophone tree whose positions share pdfs, and a transition model with random probabilities."""
    topology = Topology.kaldi(range(2, lexicon.n_phones + 1), [1], n_states=2, n_silence_states=3)
    tree = MonophoneTree.from_topology(topology, lexicon.phone_sets)
    transitions = TransitionModel.from_tree(topology, tree)
    counts = np.random.default_rng(seed).uniform(10, 100, transitions.n_transition_ids + 1)
    return tree, transitions.updated(counts)


def aligned(lexicon, tree, transitions, words, loglikes):
    """Forced alignment without pruning: transition ids, and the scores of acoustics and graph."""
    graphs = training_graphs({"u": words}, lexicon, tree, transitions)
    options = AlignOptions(beam=1e4, acoustic_scale=1.0)
    found = align(graphs, {"u": loglikes}, transitions, lambda frames, pdfs: frames[:, pdfs], options)
    return found.transition_ids["u"], found.acoustic, found.graph


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.2, 0.6]), st.booleans(), st.integers(1, 4))
def test_the_graph_of_one_sentence_aligns_it(toys, seed, silence_prob, positions, n_words):
    """Transition ids, score, and words with times and pronunciations; the graph score is the sum of its parts."""
    pytest.importorskip("pynini", reason="pynini has no wheel here")
    rng = np.random.default_rng(seed)
    kinds = {"probabilities": True, "positions": positions}
    lexicon = toys.random_lexicon(rng, n_phones=3, n_entries=6, longest=3, silence_prob=silence_prob, **kinds)
    tree, transitions = units(lexicon, seed)
    words = rng.integers(1, lexicon.n_words + 1, n_words).tolist()
    graph = compile_hclg(lexicon, sequence(lexicon, words), tree, transitions)
    wide = SearchOptions(beam=1e4, max_active=10**5, acoustic_scale=1.0, insertion_penalty=0.0)
    decoder = ViterbiDecoder(graph, transitions.pdf_of_id, wide, n_columns=tree.n_pdfs)
    loglikes = rng.normal(0, 2, (int(rng.integers(40, 60)), tree.n_pdfs)).astype(np.float32)
    best = decoder.decode(loglikes)
    assert best.reached_final and best.words.tolist() == words
    ids, acoustic, graph_score = aligned(lexicon, tree, transitions, words, loglikes)
    np.testing.assert_array_equal(best.labels, ids)
    assert best.score == pytest.approx(acoustic + graph_score, abs=5e-3)

    segments = transitions.phone_segments(ids)
    phones = [segment.phone for segment in segments]
    spoken = toys.spoken_costs(lexicon, phones, lambda read: 0.0 if read == tuple(words) else math.inf)
    hmms = toys.hmm_cost(transitions, tree, phones, ids)
    assert -graph_score == pytest.approx(spoken[tuple(words)] + hmms, abs=1e-6)

    found = word_segments(segments, words, lexicon, unfinished=False)
    variants = sum(lexicon.log_probs(s.word_id)[s.pronunciation] for s in found)
    pauses = len(phones) - sum(len(lexicon.pronunciations(s.word_id)[s.pronunciation]) for s in found)
    silences = pauses * math.log(silence_prob or 1) + (n_words + 1 - pauses) * math.log(1 - silence_prob)
    assert spoken[tuple(words)] == pytest.approx(-variants - silences)


@pytest.mark.parametrize("positions", [False, True])
def test_where_the_acoustics_tie_the_likelier_pronunciation_is_aligned_and_counted(positions):
    entries = [("the", ("DH", "AH"), 0.3), ("the", ("DH", "IY"), 0.7), ("a", ("AH",)), ("a", ("EY",), 0.9)]
    for likelier in (0, 1):
        probabilities = [0.3, 0.7] if likelier else [0.7, 0.3]
        lexicon = Lexicon(
            [(*e[:2], p) for e, p in zip(entries, [*probabilities, 1.0, 0.9], strict=True)],
            position_dependent=positions,
        )
        topology = Topology.kaldi(range(2, lexicon.n_phones + 1), [1])
        tree = MonophoneTree.from_topology(topology, lexicon.phone_sets)
        assert tree.n_pdfs == 5 + 3 * 4
        transitions = TransitionModel.from_tree(topology, tree)
        loglikes = np.zeros((40, tree.n_pdfs), np.float32)
        loglikes[:, :5] = -5.0  # no silence
        words = lexicon.encode("the a")
        ids, _, _ = aligned(lexicon, tree, transitions, words, loglikes)
        counts = count_pronunciations({"u": ids}, {"u": words}, lexicon, transitions)
        assert counts == {("the", entries[likelier][1]): 1, ("a", ("AH",)): 1}


@pytest.mark.parametrize("positions", [False, True])
def test_the_acoustics_outweigh_probabilities(positions):
    lexicon = Lexicon([("a", ("AH",)), ("a", ("EY",), 0.01)], position_dependent=positions)
    tree, transitions = units(lexicon, 0)
    loglikes = np.zeros((20, tree.n_pdfs), np.float32)
    loglikes[:, 5:] = 3.0  # EY
    ids, _, _ = aligned(lexicon, tree, transitions, [1], loglikes)
    assert count_pronunciations({"u": ids}, {"u": [1]}, lexicon, transitions) == {("a", ("EY",)): 1}
