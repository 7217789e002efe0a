from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import ModelError
from asr.hmm.align import ALIGNED, NO_PATH, RETRIED, TOO_SHORT, AlignOptions, align, align_batch, equal_alignment
from asr.hmm.topology import Topology
from asr.hmm.training_graph import training_graphs
from asr.hmm.transitions import TransitionModel
from asr.hmm.tree import MonophoneTree
from asr.lang.lexicon import Lexicon

WIDE = AlignOptions(beam=1e6)


def align_one(graphs, graph, transitions, likes, options):
    """One utterance whose log-likelihoods have a column for every pdf."""
    found = align_batch(
        graphs, graphs.scores(transitions), [graph], likes, [0, len(likes)], np.arange(likes.shape[1]), options
    )
    return SimpleNamespace(
        ids=found.transition_ids, status=found.status[0], acoustic=found.acoustic[0], graph=found.graph[0],
        score=options.acoustic_scale * found.acoustic[0] + found.graph[0],
    )  # fmt: skip


def test_alignments_and_scores_equal_kaldis(small, kaldi, assert_valid):
    aligned = 0
    for case in range(int(kaldi["n_cases"])):
        graphs = training_graphs({"u": kaldi[f"{case}.words"]}, small.lexicon, small.tree, small.transitions)
        beam, retry_beam = kaldi[f"{case}.beams"]
        options = AlignOptions(beam=beam, retry_beam=retry_beam)
        found = align_one(graphs, 0, small.transitions, kaldi[f"{case}.likes"], options)
        expected = kaldi[f"{case}.alignment"]
        if len(expected) == 0:
            assert found.status == TOO_SHORT, "Kaldi aligned all the others"
            continue
        np.testing.assert_array_equal(found.ids, expected)
        assert found.score == pytest.approx(float(kaldi[f"{case}.score"]), rel=1e-5)
        assert_valid(small.transitions, found.ids)
        aligned += 1
    assert aligned == 10


def all_alignments(phones, transitions, tree, n_frames):
    """Every (transition ids, graph score) of a phone sequence over n_frames frames, from the definition of an HMM."""
    weight = transitions.scaled_log_probs()
    found = []

    def enter(position, hmm_state, ids, score):
        if position == len(phones):
            if len(ids) == n_frames:
                found.append((ids, score))
            return
        states = transitions.topology.states(phones[position])
        pdf = tree.pdf((phones[position],), hmm_state)
        first = int(transitions.first_id[transitions.transition_state(phones[position], hmm_state, pdf, pdf)])
        targets = [target for target, _ in states[hmm_state].transitions]
        loop = first + targets.index(hmm_state)
        for i, target in enumerate(targets, first):
            if target == hmm_state:
                continue
            for stays in range(n_frames - len(ids)):
                following = (position + 1, 0) if target == len(states) else (position, target)
                enter(*following, [*ids, i, *[loop] * stays], score + weight[i] + stays * weight[loop])

    enter(0, 0, [], 0.0)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_the_best_of_all_alignments_of_a_tiny_model(seed):
    rng = np.random.default_rng(seed)
    lexicon = Lexicon([("x", ("a",)), ("x", ("b", "a")), ("y", ("b",))], silence_prob=0.3)
    topology = Topology.kaldi([2, 3], [1], n_states=1, n_silence_states=4)
    tree = MonophoneTree.from_topology(topology)
    transitions = TransitionModel.from_tree(topology, tree)
    transitions = transitions.updated(rng.integers(0, 50, transitions.n_transition_ids + 1))
    likes = (30 * rng.standard_normal((7, tree.n_pdfs))).astype(np.float32)
    if seed == 0:
        likes[:] = 0
    graphs = training_graphs({"u": [1, 2]}, lexicon, tree, transitions)
    no, yes = np.log(0.7), np.log(0.3)
    best, number = (-np.inf, None), 0
    for word in ((2,), (3, 2)):
        for a in (0, 1):
            for b in (0, 1):
                for c in (0, 1):
                    phones = (1,) * a + word + (1,) * b + (3,) + (1,) * c
                    choice = (yes if a else no) + (yes if b else no) + (yes if c else no)
                    for ids, score in all_alignments(phones, transitions, tree, 7):
                        acoustic = likes[np.arange(7), transitions.pdf_of_id[ids]].sum(dtype=float)
                        best = max(best, (0.1 * acoustic + score + choice, ids))
                        number += 1
    assert number > 100
    found = align_one(graphs, 0, transitions, likes, WIDE)
    assert found.score == pytest.approx(best[0], abs=1e-5)
    if seed:
        np.testing.assert_array_equal(found.ids, best[1])


def viterbi(graphs, graph, transitions, likes, acoustic_scale):
    """The best score over a packed graph: a dictionary of nodes, frame by frame, without pruning."""
    first, last = graphs.node_offsets[graph : graph + 2]
    weight = transitions.scaled_log_probs()
    score = {0: 0.0}
    for frame in likes.astype(float) * acoustic_scale:
        new = {}
        for node in range(1, last - first):
            ways = [
                score[graphs.arc_source[arc]] + graphs.arc_log_prob[arc] + weight[graphs.arc_id[arc]]
                for arc in range(graphs.arc_offsets[first + node], graphs.arc_offsets[first + node + 1])
                if graphs.arc_source[arc] in score
            ]
            if node in score and graphs.loop_id[first + node]:
                ways.append(score[node] + weight[graphs.loop_id[first + node]])
            if ways:
                new[node] = max(ways) + frame[graphs.entry_pdf[first + node]]
        score = new
    ends = [s + graphs.final_log_prob[first + n] + weight[graphs.final_id[first + n]] for n, s in score.items()]
    return max(ends, default=-np.inf)


transcripts = st.lists(st.integers(1, 4), min_size=0, max_size=6)


@settings(max_examples=60, deadline=None)
@given(transcripts, st.integers(0, 60), st.sampled_from([0.0, 1.0, 10.0, 50.0]), st.integers(0, 99))
def test_search_equals_plain_viterbi_and_a_beam_never_beats_it(small, assert_valid, words, extra, spread, seed):
    model = small.transitions
    graphs = training_graphs({"other": [3], "u": words}, small.lexicon, small.tree, model)
    graph = graphs.graph_of["u"]
    n_frames = int(graphs.min_frames[graph]) + extra
    likes = (np.random.default_rng(seed).standard_normal((n_frames, small.tree.n_pdfs)) * spread).astype(np.float32)
    best = viterbi(graphs, graph, model, likes, 0.1)
    wide = align_one(graphs, graph, model, likes, WIDE)
    assert wide.status == ALIGNED
    assert wide.score == pytest.approx(best, abs=1e-6)
    narrow = align_one(graphs, graph, model, likes, AlignOptions(beam=4.0, retry_beam=12.0))
    for found in [wide] if narrow.status == NO_PATH else [wide, narrow]:
        assert_valid(model, found.ids)
        assert found.acoustic == pytest.approx(likes[np.arange(n_frames), model.pdf_of_id[found.ids]].sum(dtype=float))
        assert found.score <= best + 1e-6
        # The graph score is the path's transitions and, besides, only choices of silence and word variants.
        choices = found.graph - model.scaled_log_probs()[found.ids].sum()
        n_silences = sum(s.phone == 1 for s in model.phone_segments(found.ids))
        assert choices == pytest.approx(n_silences * np.log(0.3) + (len(words) + 1 - n_silences) * np.log(0.7))


@settings(max_examples=40, deadline=None)
@given(transcripts, st.integers(0, 100), st.integers(0, 99))
def test_a_planted_alignment_is_found(small, words, extra, seed):
    rng = np.random.default_rng(seed)
    graphs = training_graphs({"u": words}, small.lexicon, small.tree, small.transitions)
    n_frames = int(graphs.min_frames[0]) + extra
    planted = small.transitions.pdf_of_id[equal_alignment(graphs, 0, n_frames, rng)]
    likes = rng.uniform(-2000, -1000, (n_frames, small.tree.n_pdfs)).astype(np.float32)
    likes[np.arange(n_frames), planted] = 0
    found = align_one(graphs, 0, small.transitions, likes, AlignOptions())
    np.testing.assert_array_equal(small.transitions.pdf_of_id[found.ids], planted)


@settings(max_examples=100, deadline=None)
@given(transcripts, st.integers(-3, 200), st.integers(0, 99))
def test_flat_start_is_a_path_with_frames_spread_evenly(small, assert_valid, words, extra, seed):
    model = small.untrained
    graphs = training_graphs({"u": words}, small.lexicon, small.tree, model)
    n_frames = int(graphs.min_frames[0]) + extra
    ids = equal_alignment(graphs, 0, n_frames, np.random.default_rng(seed))
    if extra < 0:
        assert ids is None
        return
    assert ids.dtype == np.int32 and len(ids) == n_frames
    assert_valid(model, ids)
    spoken = [s.phone for s in model.phone_segments(ids) if s.phone != 1]
    variants = {1: [[2, 3], [2, 4]], 2: [[5]], 3: [[3, 6, 3]], 4: [[4, 5, 6, 2]]}
    sequences = [[]]
    for word in words:
        sequences = [s + v for s in sequences for v in variants[word]]
    assert spoken in sequences
    times = np.diff([*np.flatnonzero(~model.is_self_loop[ids]), n_frames])
    assert times.max() - times.min() <= 1


def test_flat_start_draws_every_choice(small):
    graphs = training_graphs({"u": [1]}, small.lexicon, small.tree, small.untrained)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        ids = equal_alignment(graphs, 0, 60, rng)
        seen.add(tuple(s.phone for s in small.untrained.phone_segments(ids)))
    sil = [(), (1,)]
    assert seen == {(*a, 2, x, *b) for a in sil for b in sil for x in (3, 4)}


def test_corpus_in_one_call_equals_utterance_by_utterance(small):
    rng = np.random.default_rng(5)
    words = {f"u{i}": [1 + i % 4, 2] for i in range(20)}
    graphs = training_graphs(words, small.lexicon, small.tree, small.transitions)
    table = {u: rng.standard_normal((int(rng.integers(25, 60)), 3)).astype(np.float32) for u in words}
    weights = (20 * rng.standard_normal((3, small.tree.n_pdfs))).astype(np.float32)
    asked = []

    def log_likelihoods(features, pdfs):
        asked.append((len(features), tuple(pdfs)))
        return features @ weights[:, pdfs]

    found = align(graphs, table, small.transitions, log_likelihoods, WIDE, max_frames=150)
    assert set(found.transition_ids) == set(words) and not found.failures and not found.retried
    assert {p for _, p in asked} == {tuple(graphs.pdfs(g).tolist()) for g in range(4)}
    assert max(n for n, _ in asked) <= 150 and sum(n for n, _ in asked) == sum(map(len, table.values()))
    assert found.n_frames == sum(map(len, table.values()))
    acoustic = graph = 0.0
    for utterance, features in table.items():
        one = align_one(graphs, graphs.graph_of[utterance], small.transitions, features @ weights, WIDE)
        np.testing.assert_array_equal(found.transition_ids[utterance], one.ids)
        acoustic, graph = acoustic + one.acoustic, graph + one.graph
    assert (found.acoustic, found.graph) == pytest.approx((acoustic, graph), rel=1e-5)
    parts = [align(graphs, table, small.transitions, log_likelihoods, WIDE, ids=ids) for ids in (["u3"], ["u8", "u1"])]
    assert [set(part.transition_ids) for part in parts] == [{"u3"}, {"u8", "u1"}]
    assert parts[1].n_frames == len(table["u8"]) + len(table["u1"])


def test_retry_beam_finds_what_the_beam_lost_and_failures_say_why(small, caplog):
    # Frames that all look like the first word's first state: the end is far below the best path.
    graphs = training_graphs({"u": [2], "short": [3]}, small.lexicon, small.tree, small.transitions)
    likes = np.full((40, small.tree.n_pdfs), -300, np.float32)
    likes[:, small.tree.pdf((5,), 0)] = 0
    table = {"u": likes, "short": likes[:8]}

    def run(beam, retry_beam):
        options = AlignOptions(beam=beam, retry_beam=retry_beam)
        return align(graphs, table, small.transitions, lambda f, pdfs: f[:, pdfs], options)

    found = run(10.0, 100.0)
    assert found.retried == ["u"] and len(found.transition_ids["u"]) == 40
    np.testing.assert_array_equal(found.transition_ids["u"], run(1000.0, 0.0).transition_ids["u"])
    assert "8 frames" in found.failures["short"] and "9 or more" in found.failures["short"]
    assert align_one(graphs, 0, small.transitions, likes, AlignOptions(retry_beam=100.0)).status == RETRIED
    found = run(10.0, 40.0)
    assert not found.transition_ids and "beam of 40" in found.failures["u"]
    table["u"] = np.where(np.arange(40)[:, None] == 7, np.float32(np.nan), likes)
    assert "not finite" in run(10.0, 100.0).failures["u"]


def test_a_batch_that_would_read_outside_its_arrays_is_refused(small):
    graphs = training_graphs({"u": [2]}, small.lexicon, small.tree, small.transitions)
    scores = graphs.scores(small.transitions)
    likes, columns = np.zeros((20, small.tree.n_pdfs), np.float32), np.arange(small.tree.n_pdfs)
    assert align_batch(graphs, scores, [0], likes, [0, 20], columns).status[0] == ALIGNED
    with pytest.raises(ModelError, match="frame offsets"):
        align_batch(graphs, scores, [0], likes, [0, 21], columns)
    with pytest.raises(ModelError, match="graph 1 is not among the 1"):
        align_batch(graphs, scores, [1], likes, [0, 20], columns)
    for bad in (columns[:3], columns + 10, np.where(columns == 2, -1, columns)):
        with pytest.raises(ModelError, match="graph 0 uses the pdfs"):
            align_batch(graphs, scores, [0], likes, [0, 20], bad)
    with pytest.raises(ModelError, match="'x' has no training graph"):
        align(graphs, {}, small.transitions, lambda f, p: f, ids=["x"])
    with pytest.raises(ModelError, match="beam=0"):
        AlignOptions(beam=0)
