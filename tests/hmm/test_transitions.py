import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ModelError
from asr.hmm.topology import HmmState, Topology, ergodic, left_to_right
from asr.hmm.transitions import PhoneSegment, TransitionModel
from asr.hmm.tree import MonophoneTree, tree_from_json


def test_transition_ids_are_numbered_as_kaldi_numbers_them(small, kaldi):
    model = small.untrained
    np.testing.assert_array_equal(model.tuples, kaldi["tuples"])
    np.testing.assert_array_equal(model.pdf_of_id[1:], kaldi["pdf_of_id"])
    np.testing.assert_array_equal(model.phone_of_id[1:], kaldi["phone_of_id"])
    np.testing.assert_array_equal(model.is_self_loop[1:], kaldi["is_self_loop"])
    np.testing.assert_array_equal(model.is_final[1:], kaldi["is_final"])
    np.testing.assert_allclose(model.log_probs[1:], kaldi["initial_log_probs"], atol=1e-6)


def test_update_equals_kaldi(small, kaldi):
    assert (np.abs(kaldi["updated_log_probs"] - kaldi["initial_log_probs"]) > 0.1).sum() > 20  # it does something
    np.testing.assert_allclose(small.transitions.log_probs[1:], kaldi["updated_log_probs"], atol=1e-5)
    np.testing.assert_allclose(
        small.transitions.non_self_loop_log_probs(), kaldi["non_self_loop_log_probs"], rtol=1e-5, atol=1e-5
    )


@given(st.lists(st.integers(0, 1000), min_size=48, max_size=48))
def test_updated_probabilities_sum_to_one_but_for_the_floor(small, counts):
    counts = np.array([0, *counts], float)
    model = small.untrained.updated(counts, floor=0.01, min_count=5)
    probabilities = np.exp(model.log_probs[1:])
    starts, n_ways = model.first_id[:-1] - 1, np.diff(model.first_id)
    sums = np.add.reduceat(probabilities, starts)
    assert (probabilities >= 0.01 - 1e-9).all()
    assert (sums > 1 - 1e-9).all() and (sums < 1 + 0.01 * n_ways).all()
    seldom = np.add.reduceat(counts[1:], starts) < 5
    same = model.log_probs == small.untrained.log_probs
    assert same[1:][seldom[model.state_of_id[1:]]].all()
    often = np.add.reduceat(counts[1:], starts) >= 200  # plain relative frequencies where the floor does not matter
    for state in np.flatnonzero(often):
        ids = np.arange(model.first_id[state], model.first_id[state + 1])
        share = counts[ids] / counts[ids].sum()
        if (share > 0.01).all():
            np.testing.assert_allclose(np.exp(model.log_probs[ids]), share, rtol=1e-9)


def test_scaled_log_probs_by_hand():
    topology = Topology({1: left_to_right(1)})
    model = TransitionModel.from_tree(topology, MonophoneTree.from_topology(topology))
    # One state: stays with 0.75, leaves with 0.25; once it does not stay there is one way to go.
    np.testing.assert_allclose(model.scaled_log_probs(self_loop_scale=0.1), [0, 0.1 * np.log(0.75), 0.1 * np.log(0.25)])
    np.testing.assert_allclose(model.scaled_log_probs(self_loop_scale=1.0)[1:], model.log_probs[1:])


def test_phone_segments_equal_where_kaldis_h_transducer_puts_out_phones(small, kaldi):
    compared = 0
    for case in range(int(kaldi["n_cases"])):
        alignment = kaldi[f"{case}.alignment"]
        if len(alignment) == 0:
            continue
        segments = small.transitions.phone_segments(alignment)
        assert [(s.start, s.phone) for s in segments] == [tuple(x) for x in kaldi[f"{case}.phone_starts"].tolist()]
        assert [s.end for s in segments] == [*[s.start for s in segments[1:]], len(alignment)]
        compared += len(segments)
    assert compared > 50


def test_phone_segments_of_an_alignment_cut_short(small, kaldi):
    alignment = kaldi["3.alignment"]
    whole = small.transitions.phone_segments(alignment)
    for n_frames in range(len(alignment)):
        expected = [PhoneSegment(p, s, min(e, n_frames)) for p, s, e in whole if s < n_frames]
        assert small.transitions.phone_segments(alignment[:n_frames]) == expected


def test_two_equal_phones_in_a_row_are_two_segments():
    topology = Topology({1: left_to_right(1)})
    model = TransitionModel.from_tree(topology, MonophoneTree.from_topology(topology))
    stay, leave = 1, 2
    assert model.phone_segments([leave, stay, stay, leave, leave, stay]) == [(1, 0, 3), (1, 3, 4), (1, 4, 6)]


@given(
    st.dictionaries(st.integers(1, 30), st.sampled_from([left_to_right(1), left_to_right(3), ergodic(5)]), min_size=1)
)
def test_json_round_trips(states):
    topology = Topology(states)
    assert Topology.from_json(json.loads(json.dumps(topology.to_json()))) == topology
    tree = MonophoneTree.from_topology(topology)
    assert tree_from_json(json.loads(json.dumps(tree.to_json()))) == tree
    assert sorted(tree.pdf((p,), c) for p in states for c in range(topology.n_pdf_classes(p))) == list(
        range(tree.n_pdfs)
    )


@given(st.lists(st.sampled_from([left_to_right(1), left_to_right(3)]), min_size=1, max_size=6), st.data())
def test_phones_that_share_pdfs_round_trip_and_use_every_pdf(hmms, data):
    sizes = [data.draw(st.integers(1, 4)) for _ in hmms]
    phones = data.draw(st.permutations(range(1, sum(sizes) + 1)))
    bounds = np.cumsum([0, *sizes])
    sets = [phones[a:b] for a, b in pairwise(bounds)]
    topology = Topology({p: hmm for hmm, members in zip(hmms, sets, strict=True) for p in members})
    tree = MonophoneTree.from_topology(topology, sets)
    assert tree_from_json(json.loads(json.dumps(tree.to_json()))) == tree
    expected = 0
    for hmm, members in zip(hmms, sets, strict=True):
        for state in range(len(hmm)):
            assert {tree.pdf((p,), state) for p in members} == {expected}
            expected += 1
    assert tree.n_pdfs == expected == TransitionModel.from_tree(topology, tree).n_pdfs


def test_sets_that_cannot_share_pdfs_are_refused():
    topology = Topology({1: ergodic(5), 2: left_to_right(3), 3: left_to_right(3)})
    for sets in ([[1], [2]], [[1], [2, 3], [3]], [[1], [2, 3, 4]]):
        with pytest.raises(ModelError, match="do not have each phone of the topology once"):
            MonophoneTree.from_topology(topology, sets)
    for sets in ([[1, 2], [3]], [[1], [], [2, 3]]):
        with pytest.raises(ModelError, match="cannot share pdfs: need one or more, with equal HMMs"):
            MonophoneTree.from_topology(topology, sets)


def test_messages():
    with pytest.raises(ModelError, match="state 0's transitions sum to"):
        Topology({1: (HmmState(0, ((0, 0.25), (1, 0.25)), 0),)})
    with pytest.raises(ModelError, match="goes to a state that does not exist"):
        Topology({1: (HmmState(0, ((0, 0.5), (2, 0.5)), 0),)})
    topology = Topology({1: left_to_right(3)})
    tree = MonophoneTree.from_topology(topology)
    with pytest.raises(ModelError, match="phone id 7 has no HMM topology"):
        topology.states(7)
    with pytest.raises(ModelError, match="phone id 7 is not in the tree"):
        tree.pdf((7,), 0)
    with pytest.raises(ModelError, match="3 pdf classes; asked for class 3"):
        tree.pdf((1,), 3)
    with pytest.raises(ModelError, match="'phonetic' is not known"):
        tree_from_json({"kind": "phonetic"})
    model = TransitionModel.from_tree(topology, tree)
    with pytest.raises(ModelError, match=r"\(1, 0, 0, 2\)"):
        model.transition_state(1, 0, 0, 2)
    with pytest.raises(ModelError, match="6 transition ids; 4 probabilities"):
        TransitionModel(topology, model.tuples, np.zeros(5))
