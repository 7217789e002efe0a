import numpy as np
import pytest

from asr.errors import ModelError
from asr.hmm.convert import convert_alignments
from asr.hmm.decision_tree import LEAF, PDF_CLASS, DecisionTree, TreeRoot
from asr.hmm.topology import Topology
from asr.hmm.transitions import TransitionModel


@pytest.fixture(scope="module")
def other(small):
    """A triphone tree: silence's classes have a pdf each; speech phones share a root, split by class and neighbour."""
    nodes = [[LEAF, c, 0, 0] for c in range(5)]
    nodes += [[PDF_CLASS, 0, 6, 7], [LEAF, 5, 0, 0], [0, 1, 8, 9], [LEAF, 6, 0, 0], [2, 2, 10, 11]]
    nodes += [[LEAF, 7, 0, 0], [LEAF, 8, 0, 0]]
    roots = [TreeRoot((1,), (c,), c) for c in range(5)] + [TreeRoot((2, 3, 4, 5, 6), (0, 1, 2), 5)]
    tree = DecisionTree(3, 1, ((0,), (1, 2), (3, 5)), np.array(nodes), tuple(roots))
    return tree, TransitionModel.from_tree(small.topology, tree)


def test_every_frame_keeps_its_phone_state_and_transition(small, kaldi, other, assert_valid):
    tree, new = other
    old = small.transitions
    alignments = {str(i): kaldi[f"{i}.alignment"] for i in range(int(kaldi["n_cases"])) if len(kaldi[f"{i}.alignment"])}
    converted = convert_alignments(alignments, old, new, tree)
    assert list(converted) == list(alignments)
    used = set()
    for u, ids in converted.items():
        assert ids.dtype == np.int32
        assert_valid(new, ids)
        for name in ("phone_of_id", "hmm_state_of_id", "destination_of_id", "is_self_loop"):
            np.testing.assert_array_equal(getattr(new, name)[ids], getattr(old, name)[alignments[u]])
        segments = old.phone_segments(alignments[u])
        phones = [0, *(s.phone for s in segments), 0]
        for i, s in enumerate(segments):
            for t in range(s.start, s.end):
                pdf_class = int(old.hmm_state_of_id[alignments[u][t]])
                assert new.pdf_of_id[ids[t]] == tree.pdf(phones[i : i + 3], pdf_class)
                used.add(int(new.pdf_of_id[ids[t]]))
    assert used == set(range(9))


def test_there_and_back(small, kaldi, other):
    tree, new = other
    alignments = {"3": kaldi["3.alignment"]}
    back = convert_alignments(
        convert_alignments(alignments, small.transitions, new, tree), new, small.transitions, small.tree
    )
    np.testing.assert_array_equal(back["3"], alignments["3"])


def test_other_hmms_are_refused(small, kaldi, other):
    tree, _ = other
    topology = Topology.kaldi(range(2, 7), [1], n_silence_states=3)
    with pytest.raises(ModelError, match="same HMM topology"):
        convert_alignments(
            {"3": kaldi["3.alignment"]}, small.transitions, TransitionModel.from_tree(topology, tree), tree
        )
