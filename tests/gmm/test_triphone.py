"""Triphone training: phones that change with their neighbours are modelled better; promises of train_mono hold."""

import numpy as np
import pytest

from asr.errors import ModelError
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.gmm import triphone as triphone_module
from asr.gmm.mono import MonoOptions, train_mono
from asr.gmm.triphone import TriphoneOptions, gmms_of_leaves, silence_boosts, train_deltas
from asr.hmm.align import AlignOptions, align
from asr.hmm.training_graph import training_graphs
from asr.hmm.tree_building import TreeOptions
from asr.lang.lexicon import Lexicon
from asr.model import Model, load
from asr.model.units import HmmUnits

LEXICON = Lexicon((("ab", ("A", "B")), ("bca", ("B", "C", "A")), ("cab", ("C", "A", "B")), ("acb", ("A", "C", "B"))))
MEANS = {"SIL": (0.0, 0.0), "A": (8.0, 0.0), "B": (0.0, 8.0), "C": (-8.0, -8.0)}
SHIFT = {
    None: (0.0, 0.0),
    "SIL": (0.0, 0.0),
    "A": (2.5, 2.5),
    "B": (-2.5, 2.5),
    "C": (2.5, -2.5),
}  # by the phone before
OPTIONS = TriphoneOptions(
    num_iters=12,
    realign_iters=(4, 8),
    total_gaussians=60,
    max_iter_inc=8,
    tree=TreeOptions(max_leaves=40, min_gain=50.0),
)


def planted(n_utterances, seed):
    """Features and transcripts: one to three words between silences; a phone sounds as the phone before it tells."""
    rng = np.random.default_rng(seed)
    words = [e.word for e in LEXICON.entries]
    phones_of = {e.word: e.phones for e in LEXICON.entries}
    features, transcripts = {}, {}
    for i in range(n_utterances):
        said = [words[k] for k in rng.integers(0, len(words), rng.integers(1, 4))]
        phones = ["SIL", *(p for word in said for p in phones_of[word]), "SIL"]
        frames, before = [], None
        for phone in phones:
            centre = np.add(MEANS[phone], SHIFT[before] if phone != "SIL" else (0, 0))
            frames.append(centre + 0.6 * rng.standard_normal((int(rng.integers(5, 9)), 2)))
            before = phone
        features[f"u{i:03}"] = np.concatenate(frames).astype(np.float32)
        transcripts[f"u{i:03}"] = LEXICON.encode(" ".join(said))
    return FeatureTable.from_dict(features), transcripts


@pytest.fixture(scope="module")
def data():
    return planted(80, 0)


@pytest.fixture(scope="module")
def mono(data):
    return train_mono(*data, LEXICON, MonoOptions(num_iters=12, total_gaussians=25, max_iter_inc=8))


@pytest.fixture(scope="module")
def triphone(data, mono):
    return train_deltas(*data, LEXICON, mono, OPTIONS)


def held_out(result):
    """Nats a frame of unseen utterances, aligned with their transcripts."""
    table, transcripts = planted(20, 1)
    graphs = training_graphs(transcripts, LEXICON, result.tree, result.transitions)
    found = align(graphs, table, result.transitions, result.gmms.log_likelihoods)
    assert not found.failures
    return found.acoustic / found.n_frames


def test_triphones_fit_unseen_speech_better(mono, triphone):
    assert triphone.gmms.n_pdfs == triphone.tree.n_pdfs == triphone.transitions.n_pdfs > mono.gmms.n_pdfs + 5
    assert held_out(triphone) > held_out(mono) + 0.3
    assert triphone.log[-1].log_likelihood > triphone.log[0].log_likelihood
    assert not any(record.fell for record in triphone.log) and not triphone.failures
    assert [r.iteration for r in triphone.log] == list(range(1, 12))
    assert [r.iteration for r in triphone.log if r.realigned] == [4, 8]


def test_the_tree_asks_for_the_phone_before(triphone):
    position = triphone.tree.nodes[:, 0]
    assert (position == 0).sum() > 3 * (position == 2).sum()
    assert len(triphone.tree.pdfs_of_state(LEXICON.silence_id, 2)) == 1


def test_seed_and_processes(data, mono, triphone):
    again = train_deltas(*data, LEXICON, mono, OPTIONS)
    np.testing.assert_array_equal(again.gmms.means, triphone.gmms.means)
    assert again.tree.to_json() == triphone.tree.to_json()


def test_questions_of_ones_own_are_asked(data, mono, monkeypatch):
    monkeypatch.setattr(triphone_module, "clustered_questions", lambda *_: [])
    options = TriphoneOptions(num_iters=2, total_gaussians=40, tree=OPTIONS.tree)
    own = tuple(sorted(LEXICON.phones[p] for p in ("B", "C")))
    for questions, positions in ([], {-2, -1}), ([own], {-2, -1, 0}):
        tree = train_deltas(*data, LEXICON, mono, options, questions=questions).tree
        assert (set(tree.nodes[:, 0]) & {-2, -1, 0} == positions) and (own in tree.questions) == bool(questions)


def test_wider_and_narrower_contexts(data, mono):
    wide = TriphoneOptions(num_iters=3, total_gaussians=40, context_width=5, central_position=2, tree=OPTIONS.tree)
    assert train_deltas(*data, LEXICON, mono, wide).tree.context_width == 5
    narrow = TriphoneOptions(
        num_iters=3, total_gaussians=40, context_width=1, central_position=0,
        tree=TreeOptions(max_leaves=40, min_gain=0.0, cluster_gain=0.0),
    )  # fmt: skip
    alone = train_deltas(*data, LEXICON, mono, narrow)
    assert alone.tree.n_pdfs == mono.tree.n_pdfs


def test_positions_of_a_phone_share_their_roots(data):
    lexicon = Lexicon(LEXICON.entries, position_dependent=True)
    table, _ = data
    transcripts = {u: lexicon.encode(" ".join(LEXICON.words.name(i) for i in ids)) for u, ids in data[1].items()}
    mono = train_mono(table, transcripts, lexicon, MonoOptions(num_iters=8, total_gaussians=25, max_iter_inc=5))
    tree = train_deltas(table, transcripts, lexicon, mono, OPTIONS).tree
    assert sorted(len(root.phones) for root in tree.roots) == [1] * 5 + [4] * 3
    beginning, ending = lexicon.phones["A_B"], lexicon.phones["A_E"]
    b, c = lexicon.phones["B_I"], lexicon.phones["C_I"]
    assert all(tree.pdf((before, p, c), 0) < tree.n_pdfs for before in (0, b, c) for p in (beginning, ending))


def test_utterances_without_alignment_join_at_the_first_realignment(data, mono):
    table, transcripts = data

    class Partial:
        transitions = mono.transitions
        alignments = {u: ids for u, ids in mono.alignments.items() if u not in ("u003", "u004")}  # noqa: RUF012

    options = TriphoneOptions(num_iters=6, realign_iters=(4,), total_gaussians=40, tree=OPTIONS.tree)
    result = train_deltas(table, transcripts, LEXICON, Partial, options)
    assert [r.n_failed for r in result.log] == [2, 2, 2, 0, 0]
    assert set(result.alignments) == set(transcripts) and not result.failures


def test_leaves_without_frames_get_the_average():
    x = np.array([[1.0, 2.0], [3.0, 2.0]])
    rows = [np.concatenate([[2], x.sum(axis=0), (x * x).sum(axis=0)]), np.zeros(5)]
    gmms = gmms_of_leaves(np.array(rows))
    np.testing.assert_allclose(gmms.means, [[2, 2], [2, 2]])
    np.testing.assert_allclose(gmms.variances, [[1, 0.01], [1, 0.01]])


def test_only_silence_is_boosted(triphone):
    assert silence_boosts(triphone.tree, triphone.transitions, LEXICON, 1.0) is None
    boosts = silence_boosts(triphone.tree, triphone.transitions, LEXICON, 2.0)
    silence = {pdf for c in range(5) for pdf in triphone.tree.pdfs_of_state(LEXICON.silence_id, c)}
    np.testing.assert_allclose(boosts, [np.log(2.0) * (p in silence) for p in range(len(boosts))], rtol=1e-6)


def test_impossible_options_are_refused(data, mono):
    with pytest.raises(ModelError, match="central_position=3"):
        TriphoneOptions(central_position=3)
    with pytest.raises(ModelError, match="num_iters=0"):
        TriphoneOptions(num_iters=0)
    with pytest.raises(ModelError, match="no utterance has both"):
        train_deltas(data[0], {"x": [1]}, LEXICON, mono, OPTIONS)


def test_a_model_directory_keeps_the_tree(triphone, tmp_path):
    pipeline = FeaturePipeline(0, ({"kind": "given", "dim": 2, "frame_shift": 10.0},))
    saved = Model(pipeline, LEXICON, HmmUnits(triphone.transitions, triphone.tree), triphone.gmms, graph=None)
    loaded = load(saved.save(tmp_path / "model"))
    assert loaded.hmms.tree.to_json() == triphone.tree.to_json()
    np.testing.assert_array_equal(loaded.hmms.transitions.tuples, triphone.transitions.tuples)
    np.testing.assert_array_equal(loaded.acoustic.means, triphone.gmms.means)


def test_decoding_a_sentences_graph_is_aligning_it(triphone):
    """HCLG with true cross-word context and the training graph hold the same paths at the same cost."""
    from asr.decoding.viterbi import SearchOptions, ViterbiDecoder
    from asr.graph.grammar import sequence
    from asr.graph.hclg import compile_hclg

    table, transcripts = planted(8, 2)
    graphs = training_graphs(transcripts, LEXICON, triphone.tree, triphone.transitions)
    options = AlignOptions(beam=1000.0, retry_beam=0.0)
    for u in table:
        found = align(graphs, table, triphone.transitions, triphone.gmms.log_likelihoods, options, ids=[u])
        graph = compile_hclg(LEXICON, sequence(LEXICON, transcripts[u]), triphone.tree, triphone.transitions)
        decoder = ViterbiDecoder(graph, triphone.transitions.pdf_of_id, SearchOptions(beam=1000.0))
        path = decoder.decode(triphone.gmms.log_likelihoods(table[u]))
        # Determinisation rounds costs to 1e-3. Paths of equal score differ where a phone's states share a pdf, as here.
        assert path.score == pytest.approx(options.acoustic_scale * found.acoustic + found.graph, abs=2e-3)
        phones = [s.phone for s in triphone.transitions.phone_segments(path.labels)]
        assert phones == [s.phone for s in triphone.transitions.phone_segments(found.transition_ids[u])]
