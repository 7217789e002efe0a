"""A small HMM set: silence (phone 1) and five speech phones (2-6); four words, one of them with two pronunciations."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asr.hmm.topology import Topology
from asr.hmm.transitions import TransitionModel
from asr.hmm.tree import MonophoneTree
from asr.lang.lexicon import Lexicon


@pytest.fixture(scope="session")
def kaldi():
    """What Kaldi's code says of the same HMM set; made by references/record_hmm.py."""
    with np.load(Path(__file__).parents[1] / "references" / "hmm.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def small(kaldi):
    """Lexicon, topology, tree and transition model, with the probabilities that Kaldi estimated from the counts."""
    words = [("w1", "ab"), ("w1", "ac"), ("w2", "d"), ("w3", "beb"), ("w4", "cdea")]
    lexicon = Lexicon([(w, tuple(phones)) for w, phones in words], silence_prob=float(kaldi["silence_prob"]))
    topology = Topology.kaldi(range(2, 7), [1])
    tree = MonophoneTree.from_topology(topology)
    untrained = TransitionModel.from_tree(topology, tree)
    return SimpleNamespace(
        lexicon=lexicon,
        topology=topology,
        tree=tree,
        untrained=untrained,
        transitions=untrained.updated(kaldi["counts"]),
    )


def _assert_valid(transitions, ids):
    """Each transition id may follow the one before it, the first begins a phone, the last one's phone is left."""
    at_start, state = True, None
    phone = destination = None
    for i in np.asarray(ids).tolist():
        assert 1 <= i <= transitions.n_transition_ids
        row = transitions.state_of_id[i]
        if transitions.is_self_loop[i]:
            assert row == state, "a self-loop follows a transition of its own state"
            continue
        if at_start:
            assert transitions.hmm_state_of_id[i] == 0
        else:
            assert transitions.hmm_state_of_id[i] == destination
            assert transitions.phone_of_id[i] == phone
        state, phone, destination = row, transitions.phone_of_id[i], transitions.destination_of_id[i]
        at_start = bool(transitions.is_final[i])
    assert at_start, "the last phone is finished"


@pytest.fixture(scope="session")
def assert_valid():
    return _assert_valid
