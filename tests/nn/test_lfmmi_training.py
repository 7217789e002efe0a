"""Sequence training from alignment to recognised phones, on features made by an HMM of ours."""

from types import SimpleNamespace

import numpy as np
import pytest

from asr.errors import ModelError
from asr.features.table import FeatureTable
from asr.hmm.topology import Topology, left_to_right
from asr.hmm.transitions import TransitionModel
from asr.hmm.tree import MonophoneTree
from asr.lang.lexicon import Lexicon
from asr.nn.batches import Examples
from asr.nn.lfmmi import LfmmiLoss, LfmmiOptions, SupervisionOptions, lfmmi_setup, numerators_of, without_second_outputs
from asr.nn.networks import TdnnConfig, build
from asr.nn.options import TrainingOptions
from asr.nn.training import train_network

PHONES = "abcde"
DIM = 5


@pytest.fixture(scope="module")
def corpus():
    """Utterances of five phones and silence, aligned; a phone's frames depend on the phone before it too."""
    rng = np.random.default_rng(0)
    lexicon = Lexicon([(p, (p,)) for p in PHONES], silence_prob=0.0)
    n_phones = lexicon.n_phones
    topology = Topology(dict.fromkeys(range(1, n_phones + 1), left_to_right(1)))
    tree = MonophoneTree.from_topology(topology)
    transitions = TransitionModel.from_tree(topology, tree)
    means, shifts = 1.5 * rng.standard_normal((n_phones + 1, DIM)), rng.standard_normal((n_phones + 1, DIM))
    alignments, features, phones = {}, {}, {}
    for number in range(150):
        spoken = rng.integers(2, n_phones + 1, rng.integers(3, 9))
        ids, frames = [], []
        for before, phone in zip([0, *spoken[:-1]], spoken, strict=True):
            row = transitions.transition_state(int(phone), 0, *[tree.pdf((int(phone),), 0)] * 2)
            loop = int(transitions.self_loop_of_state[row])
            forward = 2 * int(transitions.first_id[row]) + 1 - loop
            length = int(rng.integers(3, 9))
            ids += [forward] + [loop] * (length - 1)
            frames.append(means[phone] + 0.5 * shifts[before] + rng.standard_normal((length, DIM)))
        name = f"u{number:03d}"
        alignments[name], phones[name] = np.array(ids, np.int32), spoken
        features[name] = np.concatenate(frames).astype(np.float32)
    rung = SimpleNamespace(transitions=transitions, alignments=alignments)
    return SimpleNamespace(rung=rung, lexicon=lexicon, table=FeatureTable.from_dict(features), phones=phones)


OPTIONS = SupervisionOptions(leaves=40, lm_extra_states=10)


@pytest.fixture(scope="module")
def supervision(corpus):
    known = list(corpus.table)[:120]
    rung = SimpleNamespace(
        transitions=corpus.rung.transitions, alignments={u: corpus.rung.alignments[u] for u in known}
    )
    return lfmmi_setup(rung, corpus.table, corpus.lexicon, OPTIONS)


def test_supervision_is_of_the_chain_tree(corpus, supervision):
    tree = supervision.tree
    assert (tree.context_width, tree.central_position) == (2, 1)
    assert 12 < tree.n_pdfs <= 40
    assert supervision.denominator.n_pdfs == tree.n_pdfs
    assert len(supervision.numerators) == 120 and not supervision.failures
    for name, numerator in supervision.numerators.items():
        assert numerator.n_frames == -(-len(corpus.table[name]) // 3)
        # Every frame of the alignment itself has the pdf of a phone after the phone before.
        phones = corpus.phones[name].tolist()
        allowed = {tree.pdf(w, c) for w in zip([0, *phones], phones, strict=False) for c in (0, 1)}
        assert set(numerator.alignment[4:].tolist()) <= allowed


def test_monophones_and_what_cannot_be_used(corpus):
    found = lfmmi_setup(corpus.rung, corpus.table, corpus.lexicon, SupervisionOptions(context_width=1, lm_order=3))
    assert found.tree.n_pdfs == 2 * corpus.lexicon.n_phones
    with pytest.raises(ModelError, match="context_width=3"):
        SupervisionOptions(context_width=3)
    with pytest.raises(ModelError, match="none of 150 alignments"):
        lfmmi_setup(corpus.rung, {}, corpus.lexicon)


def test_a_small_network_learns_the_phones(corpus, supervision, tmp_path):
    pytest.importorskip("pynini")
    from asr.decoding import SearchOptions, ViterbiDecoder
    from asr.graph.grammar import word_loop
    from asr.graph.hclg import compile_hclg

    names = list(corpus.table)
    held = {u: corpus.rung.transitions.phone_segments(corpus.rung.alignments[u]) for u in names[120:]}
    numerators, failures = numerators_of(held, supervision.denominator, OPTIONS)
    assert not failures
    loss = LfmmiLoss(supervision.denominator, LfmmiOptions(xent_regularize=0.1))
    config = TdnnConfig(width=32, offsets=((-1, 0, 1), (-1, 0, 1), (-3, 0, 3)), subsampling=3, dropout=0.0)
    network = build(config, DIM, loss.n_outputs)
    train = Examples(corpus.table.select(names[:120]), supervision.numerators)
    held_out = Examples(corpus.table.select(names[120:]), numerators)
    options = TrainingOptions(learning_rate=0.01, max_epochs=6, batch_frames=400)
    result = train_network(network, loss, train, held_out, options, folder=tmp_path)
    assert result.curves[-1].train_loss < 0.5 * result.curves[0].train_loss

    network = without_second_outputs(network, config, loss.denominator.n_pdfs)
    graph = compile_hclg(
        corpus.lexicon, word_loop(corpus.lexicon), supervision.tree, supervision.transitions, self_loop_scale=1.0
    )
    decoder = ViterbiDecoder(graph, supervision.transitions.pdf_of_id, SearchOptions(acoustic_scale=1.0))
    wrong = total = 0
    for name in names[120:]:
        path = decoder.decode(scores_of(network, corpus.table[name]))
        hypothesis = [corpus.lexicon.phones.id(corpus.lexicon.words.name(int(w))) for w in path.words]
        wrong += distance(hypothesis, corpus.phones[name].tolist())
        total += len(corpus.phones[name])
    assert wrong < 0.12 * total, f"{wrong} of {total}"


def scores_of(network, features):
    import torch

    with torch.inference_mode():
        return network(torch.from_numpy(features.copy())[None], torch.tensor([len(features)]))[0].numpy()


def distance(a, b):
    """Edit distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(before + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]
