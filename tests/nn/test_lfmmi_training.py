"""Sequence training from alignments to recognised phones, on features made by an HMM of ours."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from asr.errors import CorpusError, ModelError
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.gmm.model import DiagGmms
from asr.hmm.topology import Topology, left_to_right
from asr.hmm.transitions import TransitionModel
from asr.hmm.tree import MonophoneTree
from asr.hmm.tree_building import TreeOptions
from asr.lang.lexicon import Lexicon
from asr.model import Model
from asr.model.graphs import with_graph
from asr.model.units import HmmUnits
from asr.nn.lfmmi import SupervisionOptions, lfmmi_setup, without_second_outputs
from asr.nn.networks import TdnnConfig, build
from asr.nn.options import TrainingOptions
from asr.train.data import Data
from asr.train.decoding import decode_all
from asr.train.stage import TrainedStage

PHONES, DIM, N_TRAIN, N_ALL = "abcde", 5, 150, 170
OPTIONS = SupervisionOptions(tree=TreeOptions(max_leaves=40, min_gain=20.0), lm_extra_states=10)
CONFIG = TdnnConfig(width=32, offsets=((-1, 0, 1), (-1, 0, 1), (-3, 0, 3)), dropout=0.0)


@pytest.fixture(scope="module")
def planted():
    """Utterances of five phones and the stage that aligned most; a phone's frames depend on the phone before it too."""
    rng = np.random.default_rng(0)
    lexicon = Lexicon([(p, (p,)) for p in PHONES], silence_prob=0.0)
    n_phones = lexicon.n_phones
    topology = Topology(dict.fromkeys(range(1, n_phones + 1), left_to_right(1)))
    tree = MonophoneTree.from_topology(topology)
    transitions = TransitionModel.from_tree(topology, tree)
    means, shifts = 2.0 * rng.standard_normal((n_phones + 1, DIM)), rng.standard_normal((n_phones + 1, DIM))
    alignments, features, phones = {}, {}, {}
    for number in range(N_ALL):
        spoken = rng.integers(2, n_phones + 1, rng.integers(3, 9))
        spoken = spoken[np.append(True, np.diff(spoken) != 0)]
        ids, frames = [], []
        for before, phone in zip([0, *spoken[:-1].tolist()], spoken.tolist(), strict=True):
            row = transitions.transition_state(int(phone), 0, *[tree.pdf((int(phone),), 0)] * 2)
            loop = int(transitions.self_loop_of_state[row])
            forward = 2 * int(transitions.first_id[row]) + 1 - loop
            length = int(rng.integers(3, 9))
            ids += [forward] + [loop] * (length - 1)
            frames.append(means[phone] + 0.5 * shifts[before] + rng.standard_normal((length, DIM)))
        name = f"u{number:03d}"
        alignments[name], phones[name] = np.array(ids, np.int32), spoken.tolist()
        features[name] = np.concatenate(frames).astype(np.float32)
    texts = {u: " ".join(lexicon.phones.name(p) for p in spoken) for u, spoken in phones.items()}
    data = Data(FeatureTable.from_dict(features), dict.fromkeys(features, "s"), texts)
    pipeline = FeaturePipeline(0, ({"kind": "given", "dim": DIM},))
    gmms = DiagGmms(np.ones(n_phones), means[1:], np.full((n_phones, DIM), 1.25), np.arange(n_phones + 1))
    model = Model(pipeline, lexicon, HmmUnits(transitions, tree), gmms, graph=None)
    known = {u: alignments[u] for u in list(features)[:N_TRAIN]}
    return SimpleNamespace(stage=TrainedStage(model, known, {}, []), data=data, phones=phones, lexicon=lexicon)


def test_supervision_is_of_the_chain_tree(planted):
    made = lfmmi_setup(planted.stage, planted.data.raw, planted.lexicon, OPTIONS)
    tree = made.tree
    assert (tree.context_width, tree.central_position) == (2, 1)
    assert 12 < tree.n_pdfs <= 40
    assert made.denominator.n_pdfs == tree.n_pdfs
    assert len(made.numerators) == N_TRAIN and not made.failures
    for name, numerator in made.numerators.items():
        assert numerator.n_frames == -(-len(planted.data.raw[name]) // 3)
        # From the second phone on the phone before is known, whatever the denominator's histories are.
        phones = planted.phones[name]
        if len(phones) > 1:
            assert numerator.alignment[-1] in [tree.pdf(phones[-2:], 0), tree.pdf(phones[-2:], 1)]


def test_monophones_and_what_cannot_be_used(planted):
    options = SupervisionOptions(context_width=1, lm_order=3)
    found = lfmmi_setup(planted.stage, planted.data.raw, planted.lexicon, options)
    assert found.tree.n_pdfs == 2 * planted.lexicon.n_phones
    with pytest.raises(ModelError, match="context_width=3"):
        SupervisionOptions(context_width=3)
    with pytest.raises(ModelError, match=f"none of {N_TRAIN} alignments"):
        lfmmi_setup(planted.stage, {}, planted.lexicon)


def test_the_second_outputs_are_dropped():
    import torch

    config = replace(CONFIG, subsampling=3, zero_output=False)
    network = build(config, DIM, 14).eval()
    smaller = without_second_outputs(network, config, 7)
    x, lengths = torch.randn(2, 20, DIM), torch.tensor([20, 13])
    torch.testing.assert_close(smaller(x, lengths), network(x, lengths)[..., :7])
    assert smaller.n_outputs == 7 and without_second_outputs(smaller, config, 7) is smaller
    with pytest.raises(ModelError, match="14 outputs; need 5, once or twice"):
        without_second_outputs(network, config, 5)


def test_a_small_network_learns_the_phones(planted, tmp_path):
    from asr.train.lfmmi import LfmmiTrainingOptions, train_lfmmi

    held_out = list(planted.data.raw)[N_TRAIN:]
    training = TrainingOptions(learning_rate=0.01, max_epochs=8, batch_frames=400)
    options = LfmmiTrainingOptions(OPTIONS, training=training)
    made = train_lfmmi(planted.data, planted.stage, CONFIG, options, held_out=held_out, folder=tmp_path)
    assert not made.failures
    assert {u: len(ids) for u, ids in made.alignments.items()} == {
        u: -(-len(planted.data.raw[u]) // 3) for u in planted.data.raw
    }
    for name in list(planted.data.raw)[:N_TRAIN]:
        assert [s.phone for s in made.transitions.phone_segments(made.alignments[name])] == planted.phones[name]
    test = planted.data.select(held_out)
    model = with_graph(made.model)
    assert model.subsampling == 3 and model.decoding.acoustic_scale == 1.0
    score = decode_all(model, test).score(test.references)
    assert score.errors < 0.2 * score.total, f"{score.errors} of {score.total}"
    with pytest.raises(CorpusError, match="held out"):
        train_lfmmi(planted.data, planted.stage, CONFIG, options, held_out=[], folder=tmp_path / "none")
