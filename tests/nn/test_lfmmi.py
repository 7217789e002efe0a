"""Graphs, recursions and loss of sequence training, against the sum over all paths written down one by one."""

import itertools

import numpy as np
import pytest
import torch

from asr.errors import LanguageModelError, ModelError
from asr.hmm.transitions import PhoneSegment, TransitionModel
from asr.hmm.tree import MonophoneTree
from asr.nn.lfmmi.denominator import Denominator, denominator_graph
from asr.nn.lfmmi.device import denominator_on_device
from asr.nn.lfmmi.forward_backward import denominator_recursions, numerator_recursions
from asr.nn.lfmmi.loss import LfmmiLoss, LfmmiOptions
from asr.nn.lfmmi.numerator import numerator_graph
from asr.nn.lfmmi.phone_lm import estimate_phone_lm
from asr.nn.lfmmi.topology import chain_alignments, chain_topology, thinned_segments

UTTERANCES = [[1, 2, 3, 1], [1, 3, 2, 1], [1, 2, 2, 1], [1, 3, 1]]
OPTIONS = LfmmiOptions(l2_regularize=0.0, xent_regularize=0.0)


def small(leaky=0.0, order=3, n_extra_states=2):
    """A denominator of three phones, six pdfs and six states."""
    topology = chain_topology([1, 2, 3])
    tree = MonophoneTree.from_topology(topology)
    phone_lm = estimate_phone_lm(UTTERANCES, order=order, n_extra_states=n_extra_states)
    return denominator_graph(phone_lm, tree, TransitionModel.from_tree(topology, tree), leaky=leaky)


def moves(graph: Denominator):
    """Each way through one frame: (source, target, pdf, probability), staying among them."""
    found = [(s, s, int(graph.loop_pdf[s]), float(graph.stay[s])) for s in range(graph.n_states) if graph.stay[s]]
    for phone, step in graph.steps_of_phone.items():
        assert (graph.last_phone[step.target] == phone).all()
        found += [(int(s), int(t), int(graph.entry_pdf[t]), float(p)) for s, t, p in zip(*step, strict=True)]
    return found


def paths(graph: Denominator, n_frames: int):
    """Every sequence of moves, with the probability of its beginning; leaks are moves without a frame."""
    starts = [(s, float(p)) for s, p in enumerate(graph.initial) if p > 0]
    out_of = {s: [m for m in moves(graph) if m[0] == s] for s in range(graph.n_states)}
    leaks = [(s, graph.leaky * p) for s, p in starts] if graph.leaky else []

    def leaked(state, prob):
        return [(state, prob)] + [(s, prob * p) for s, p in leaks]

    def go_on(state, prob, done):
        for here, now in leaked(state, prob):
            if len(done) == n_frames:
                yield now, done
            else:
                for move in out_of[here]:
                    yield from go_on(move[1], now * move[3], [*done, move])

    for state, prob in starts:
        yield from go_on(state, prob, [])


def summed(found, scores):
    """log sum of the paths' probabilities times exp(scores), and each pdf's share of it in each frame."""
    total, shares = 0.0, np.zeros(scores.shape)
    for prob, path in found:
        weight = prob * np.exp(sum(scores[t, move[2]] for t, move in enumerate(path)))
        total += weight
        for t, move in enumerate(path):
            shares[t, move[2]] += weight
    return np.log(total), shares / total


@pytest.mark.parametrize("leaky", [0.0, 0.3])
def test_the_denominator_is_the_sum_over_all_paths(leaky):
    graph, rng = small(leaky), np.random.default_rng(0)
    scores = [3 * rng.standard_normal((n, graph.n_pdfs)) for n in (1, 3, 2)]
    found = denominator_recursions(graph, scores, precision="float64")
    for x, log_prob, posteriors in zip(scores, *found, strict=True):
        expected, shares = summed(paths(graph, len(x)), x)
        assert log_prob == pytest.approx(expected, abs=1e-10)
        np.testing.assert_allclose(posteriors, shares, atol=1e-10)


def test_single_precision_and_threads_give_the_same_in_any_company():
    graph, rng = small(0.1), np.random.default_rng(1)
    scores = [5 * rng.standard_normal((n, graph.n_pdfs)) for n in rng.integers(1, 90, 21)]
    exact = denominator_recursions(graph, scores, precision="float64")
    rough = denominator_recursions(graph, scores, n_threads=2)
    np.testing.assert_allclose(rough.log_probs, exact.log_probs, rtol=1e-5, atol=1e-4)
    for a, b in zip(exact.posteriors, rough.posteriors, strict=True):
        np.testing.assert_allclose(a.sum(axis=1), 1.0, atol=1e-12)
        np.testing.assert_allclose(b, a, atol=1e-5)
    alone = denominator_recursions(graph, scores[7:8], precision="float64")
    assert alone.log_probs[0] == pytest.approx(exact.log_probs[7], abs=1e-10)


def test_scores_of_any_size_do_not_overflow():
    graph = small(0.1)
    scores = np.zeros((40, graph.n_pdfs))
    scores[:, 2] = -3e4
    plain = denominator_recursions(graph, [scores])
    high = denominator_recursions(graph, [scores + 1e5])
    assert np.isfinite(plain.log_probs).all()
    assert high.log_probs[0] == pytest.approx(plain.log_probs[0] + 40 * 1e5, rel=1e-7)
    assert plain.posteriors[0][:, 2].max() < 1e-6


SEGMENTS = [PhoneSegment(1, 0, 3), PhoneSegment(2, 3, 9), PhoneSegment(3, 9, 12), PhoneSegment(1, 12, 13)]


@pytest.mark.parametrize("tolerance", [0, 2, 3, 50])
def test_the_numerator_is_the_sum_over_the_paths_of_its_phones_in_their_windows(tolerance):
    graph = small()
    scores = 3 * np.random.default_rng(2).standard_normal((5, graph.n_pdfs))
    numerator = numerator_graph(SEGMENTS, 13, graph, subsampling=3, tolerance=tolerance)
    assert numerator.n_frames == 5
    found = numerator_recursions([numerator], [scores])

    def fits(path):
        phone = [int(graph.last_phone[move[1]]) for move in path]
        begins = [move[0] != move[1] or move[2] == graph.entry_pdf[move[1]] for move in path]
        if not begins[0] or [p for p, b in zip(phone, begins, strict=True) if b] != [s.phone for s in SEGMENTS]:
            return False
        position = np.cumsum(begins) - 1
        return all(SEGMENTS[i].start - tolerance <= 3 * t < SEGMENTS[i].end + tolerance for t, i in enumerate(position))

    expected, shares = summed([(p, path) for p, path in paths(graph, 5) if fits(path)], scores)
    assert found.log_probs[0] == pytest.approx(expected, abs=1e-10)
    np.testing.assert_allclose(found.posteriors[0], shares, atol=1e-10)
    whole = denominator_recursions(graph, [scores], precision="float64")
    assert found.log_probs[0] < whole.log_probs[0]


def test_without_tolerance_the_only_path_is_the_alignment():
    graph = small()
    scores = np.random.default_rng(3).standard_normal((5, graph.n_pdfs))
    numerator = numerator_graph(SEGMENTS, 13, graph, tolerance=0)
    posteriors = numerator_recursions([numerator], [scores]).posteriors[0]
    np.testing.assert_allclose(posteriors, np.eye(graph.n_pdfs)[numerator.alignment], atol=1e-12)
    assert numerator.alignment.tolist() == [0, 2, 3, 4, 0]


def test_unseen_phones_go_through_a_leak_and_stay_below_the_denominator():
    unseen = [PhoneSegment(1, 0, 3), PhoneSegment(3, 3, 6), PhoneSegment(3, 6, 9), PhoneSegment(2, 9, 15)]
    graph = small(0.1)
    scores = np.random.default_rng(4).standard_normal((5, graph.n_pdfs))
    found = numerator_recursions([numerator_graph(unseen, 15, graph)], [scores])
    whole = denominator_recursions(graph, [scores], precision="float64")
    assert np.isfinite(found.log_probs[0]) and found.log_probs[0] < whole.log_probs[0]
    np.testing.assert_allclose(found.posteriors[0].sum(axis=1), 1.0, atol=1e-12)
    with pytest.raises(ModelError, match="raise leaky"):
        numerator_graph(unseen, 15, small(0.0))
    with pytest.raises(ModelError, match="phone id 9"):
        numerator_graph([PhoneSegment(9, 0, 15)], 15, graph)
    with pytest.raises(ModelError, match="4 phones do not fit into 9 frames"):
        numerator_graph(unseen, 9, graph)


def test_derivatives_of_the_loss():
    graph, rng = small(0.1), np.random.default_rng(5)
    targets = [numerator_graph(SEGMENTS, 13, graph), numerator_graph(SEGMENTS[:2], 9, graph)]
    scores = torch.from_numpy(rng.standard_normal((2, 5, 2 * graph.n_pdfs))).requires_grad_()
    lengths = torch.tensor([5, 3])
    main = LfmmiLoss(graph, LfmmiOptions(l2_regularize=0.2, xent_regularize=0.0))
    assert torch.autograd.gradcheck(
        lambda x: main(x, lengths, targets).total, scores[..., :6].detach().requires_grad_()
    )
    # The second set's targets are the numerator's posteriors, which count as given: only its own outputs are checked.
    both = LfmmiLoss(graph, LfmmiOptions(xent_regularize=0.3))
    first = scores[..., :6].detach()
    second = scores[..., 6:].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: both(torch.cat([first, x], dim=2), lengths, targets).total, second)
    both(scores, lengths, targets).total.backward()
    assert scores.grad[1, 3:].abs().max() == 0, "padding has no say"
    assert scores.grad[1, :3].abs().min() > 0


def test_the_loss_of_a_batch_is_the_sum_of_its_parts():
    graph, rng = small(0.1), np.random.default_rng(6)
    loss = LfmmiLoss(graph)
    targets = [numerator_graph(SEGMENTS, 13, graph), numerator_graph(SEGMENTS[:2], 9, graph)]
    scores = torch.from_numpy(rng.standard_normal((2, 5, loss.n_outputs))).float()
    together = loss(scores, torch.tensor([5, 3]), targets)
    parts = [loss(scores[i : i + 1, :n], torch.tensor([n]), targets[i : i + 1]) for i, n in enumerate((5, 3))]
    assert float(together.total) == pytest.approx(sum(float(p.total) for p in parts), rel=1e-5)
    assert together.n_frames == 8 and together.errors == sum(p.errors for p in parts)
    with pytest.raises(ModelError, match=r"7 outputs; this loss needs 12 \(6 pdfs, twice\)"):
        loss(torch.zeros(2, 5, 7), torch.tensor([5, 3]), targets)
    with pytest.raises(ModelError, match="5 frames cannot score 4"):
        loss(scores, torch.tensor([4, 3]), targets)


def test_perfect_scores_bring_numerator_and_denominator_together():
    graph = small(1e-5)
    numerator = numerator_graph(SEGMENTS, 13, graph)
    sharp = torch.from_numpy(30.0 * np.eye(graph.n_pdfs)[numerator.alignment][None])
    lengths = torch.tensor([5])
    flat = float(LfmmiLoss(graph, OPTIONS)(torch.zeros(1, 5, 6), lengths, [numerator]).total)
    best = LfmmiLoss(graph, OPTIONS)(sharp, lengths, [numerator])
    assert 0 <= float(best.total) < 0.9 * flat
    assert best.errors == 0
    # What is left is the probability of saying the same pdfs from other histories: here that of the beginning.
    assert float(best.total) < 1.5


@pytest.mark.parametrize("n_extra_states", [0, 1, 100])
def test_phone_lm(n_extra_states):
    lm = estimate_phone_lm(UTTERANCES, order=3, n_extra_states=n_extra_states)
    assert lm.histories[:4] == [(), (1,), (2,), (3,)]
    assert len(lm.histories) == 4 + min(n_extra_states, 7)
    assert all(lm.histories[a.target][-1] == phone for arcs in lm.arcs for phone, a in arcs.items())
    assert np.isfinite([lm.log_prob(u) for u in UTTERANCES]).all()
    assert lm.log_prob([2]) == -np.inf
    if n_extra_states == 0:
        # After 1: the end 4 times, 2 twice, 3 twice.
        assert lm.arcs[1] == {2: (2, pytest.approx(np.log(2 / 8))), 3: (3, pytest.approx(np.log(2 / 8)))}


def test_more_histories_fit_better():
    rng = np.random.default_rng(7)
    table = rng.dirichlet(np.full(5, 0.3), (6, 6))
    utterances = []
    for _ in range(200):
        phones = [0, 0]
        for _ in range(rng.integers(3, 12)):
            phones.append(1 + int(rng.choice(5, p=table[phones[-2], phones[-1]])))
        utterances.append(phones[2:])
    likelihoods = [
        sum(estimate_phone_lm(utterances, order=4, n_extra_states=n).log_prob(u) for u in utterances)
        for n in (0, 9, 99)
    ]
    assert likelihoods[0] < likelihoods[1] < likelihoods[2]


def test_initial_probabilities_are_those_of_many_walks():
    graph, rng = small(), np.random.default_rng(8)
    out_of = {s: [m for m in moves(graph) if m[0] == s] for s in range(graph.n_states)}
    # Walks that end are left out of later frames, as a share of what is left is taken.
    visits, walkers = np.zeros(graph.n_states), [0] * 4000
    for _ in range(100):
        visits += np.bincount(walkers, minlength=graph.n_states) / len(walkers) / 100
        survivors = []
        for state in walkers:
            draw = rng.random()
            for _, target, _, prob in out_of[state]:
                if draw < prob:
                    survivors.append(target)
                    break
                draw -= prob
        walkers = [survivors[i] for i in rng.integers(0, len(survivors), 4000)]
    np.testing.assert_allclose(graph.initial, visits, atol=0.015)
    assert graph.initial.sum() == pytest.approx(1.0)


def test_wrong_graphs_are_refused():
    with pytest.raises(LanguageModelError, match="no phones"):
        estimate_phone_lm([[]])
    with pytest.raises(LanguageModelError, match="order=2"):
        estimate_phone_lm(UTTERANCES, order=2)
    with pytest.raises(ModelError, match="leaky=2"):
        small(leaky=2)
    topology = chain_topology([1, 2, 3])
    tree = MonophoneTree.from_topology(topology)
    transitions = TransitionModel.from_tree(topology, tree)
    phone_lm = estimate_phone_lm(UTTERANCES, order=3)
    wide = MonophoneTree(tree.first_pdf, tree.n_classes, context_width=2, central_position=1)
    with pytest.raises(ModelError, match="raise the order to 4"):
        denominator_graph(phone_lm, wide, transitions)
    right = MonophoneTree(tree.first_pdf, tree.n_classes, context_width=2, central_position=0)
    with pytest.raises(ModelError, match="1 phones to the right"):
        denominator_graph(phone_lm, right, transitions)


def test_thinned_phones_have_a_frame_each():
    rng = np.random.default_rng(9)
    for _ in range(300):
        lengths = rng.integers(1, 9, rng.integers(1, 9))
        ends = np.cumsum(lengths).tolist()
        segments = [PhoneSegment(p, a, b) for p, (a, b) in enumerate(itertools.pairwise([0, *ends]), 1)]
        n_out = -(-ends[-1] // 3)
        thinned = thinned_segments(segments, ends[-1], 3)
        if thinned is None:
            assert len(segments) > n_out
            continue
        assert [s.phone for s in thinned] == [s.phone for s in segments]
        assert [s.start for s in thinned] == [0, *(s.end for s in thinned[:-1])] and thinned[-1].end == n_out
        assert all(s.end > s.start for s in thinned)
        if lengths.min() >= 3:
            assert all(g.start <= 3 * s.start < g.end for g, s in zip(segments, thinned, strict=True))


def test_chain_alignments_enter_each_phone_once():
    topology = chain_topology([1, 2])
    tree = MonophoneTree.from_topology(topology)
    transitions = TransitionModel.from_tree(topology, tree)
    segments = [PhoneSegment(1, 0, 3), PhoneSegment(1, 3, 4), PhoneSegment(2, 4, 6)]
    ids = chain_alignments({"u": segments}, tree, transitions)["u"]
    assert transitions.pdf_of_id[ids].tolist() == [0, 1, 1, 0, 2, 3]
    assert transitions.phone_segments(ids) == segments


@pytest.mark.parametrize("leaky", [0.0, 0.1])
def test_the_recursions_for_gpus_give_the_same(leaky):
    """They run on any device, so on a CPU they have to give what the kernels give."""
    graph, rng = small(leaky), np.random.default_rng(5)
    lengths = rng.integers(1, 40, 11)
    scores = torch.from_numpy(4 * rng.standard_normal((11, 40, graph.n_pdfs)))
    exact = denominator_recursions(graph, [x[:n].numpy() for x, n in zip(scores, lengths, strict=True)])
    for precision, atol in ((torch.float64, 1e-5), (torch.float32, 1e-4)):
        log_probs, posteriors = denominator_on_device(graph, scores.to(precision), torch.from_numpy(lengths))
        np.testing.assert_allclose(log_probs, exact.log_probs, rtol=1e-5, atol=1e-4)
        for mine, wanted, n in zip(posteriors, exact.posteriors, lengths, strict=True):
            np.testing.assert_allclose(mine[:n], wanted, atol=atol)
            assert not mine[n:].any()
