"""Phones that share pdfs, and weighted pronunciations, against Kaldi's code (references/record_positions.py)."""

from pathlib import Path

import numpy as np
import pytest

from asr.hmm.align import AlignOptions, align
from asr.hmm.topology import Topology
from asr.hmm.training_graph import training_graphs
from asr.hmm.transitions import TransitionModel
from asr.hmm.tree import MonophoneTree
from asr.lang.lexicon import Lexicon

# Base phones: the positions come from the lexicon, as from Kaldi's prepare_lang.sh.
ENTRIES = [("u", "A", 1.0), ("u", "AB", 0.2), ("v", "BAA", 0.6), ("v", "B", 0.4), ("w", "BBA", 1.0)]


@pytest.fixture(scope="module")
def recorded():
    with np.load(Path(__file__).parents[1] / "references" / "positions.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def lexicon(recorded):
    entries = [(word, tuple(phones), p) for word, phones, p in ENTRIES]
    return Lexicon(entries, silence_prob=float(recorded["silence_prob"]), position_dependent=True)


@pytest.fixture(scope="module")
def tree(lexicon):
    return MonophoneTree.from_topology(Topology.kaldi(range(2, lexicon.n_phones + 1), [1]), lexicon.phone_sets)


@pytest.fixture(scope="module")
def untrained(lexicon, tree):
    return TransitionModel.from_tree(Topology.kaldi(range(2, lexicon.n_phones + 1), [1]), tree)


def test_positions_share_pdfs_and_have_transitions_of_their_own(recorded, tree, untrained):
    assert tree.n_pdfs == untrained.n_pdfs == recorded["n_pdfs"] == 5 + 2 * 3
    np.testing.assert_array_equal(untrained.tuples, recorded["tuples"])
    np.testing.assert_array_equal(untrained.pdf_of_id[1:], recorded["pdf_of_id"])
    trained = untrained.updated(recorded["counts"])
    np.testing.assert_allclose(trained.log_probs[1:], recorded["updated_log_probs"], atol=1e-5)
    of_position = [trained.log_probs[trained.phone_of_id == phone] for phone in (2, 3, 4, 5)]
    assert not any(np.array_equal(of_position[0], other) for other in of_position[1:])


def test_alignments_and_scores_equal_kaldis(recorded, lexicon, tree, untrained):
    transitions = untrained.updated(recorded["counts"])
    n_words = 0
    for case in range(int(recorded["n_cases"])):
        words, likes = recorded[f"{case}.words"], recorded[f"{case}.likes"]
        graphs = training_graphs({"u": words}, lexicon, tree, transitions)
        options = AlignOptions(beam=1e4)
        found = align(graphs, {"u": likes}, transitions, lambda frames, pdfs: frames[:, pdfs], options)
        np.testing.assert_array_equal(found.transition_ids["u"], recorded[f"{case}.alignment"])
        score = options.acoustic_scale * found.acoustic + found.graph
        assert score == pytest.approx(float(recorded[f"{case}.score"]), rel=1e-5)
        n_words += len(words)
    assert n_words == 13
