"""Rescored lattices against the list of their word sequences, scored one by one."""

import numpy as np
import pytest

from asr.errors import GraphError
from asr.lattice import Mixed, Ngrams, WordLattice, rescored, rescored_paths
from asr.lm import train

NAMES = ["", "a", "b", "c", "d", "e"]
TEXT = ["a b c d e", "b c", "a a c e", "d e a b", "e d c b a", "c c c", "a b d"]


def models():
    return Ngrams(train(TEXT, 2), NAMES), Ngrams(train(TEXT[::-1] + ["a b c e d"] * 3, 4), NAMES)


def log_prob(model, words):
    state, total = model.start(), 0.0
    for word in words:
        gained, state = model.step(state, word)
        total += gained
    return total + model.end(state)


def test_scores_of_sentences_are_the_models_own():
    for model in models():
        for words in ([1, 2, 3], [], [5, 5, 1, 4]):
            text = " ".join(NAMES[w] for w in words)
            assert log_prob(model, words) == pytest.approx(model.model.score(text), abs=1e-9)
    unknown = Ngrams(train(TEXT, 2), [*NAMES, "zebra"], floor=-30.0)
    assert np.isfinite(log_prob(unknown, [6, 1]))


def test_each_sequence_has_the_new_models_cost(lattices):
    small, large = models()
    for old in (None, small):
        for _, _, lattice, _ in lattices[:80]:
            words = WordLattice.of(lattice)
            expected = {
                tuple(w): cost - log_prob(large, w) + (log_prob(small, w) if old else 0.0)
                for w, cost in words.sequences()
            }
            after = rescored(words, large, old)
            found = list(after.sequences())
            assert len(found) == len(expected) and [c for _, c in found] == sorted(c for _, c in found)
            for sequence, cost in found:
                assert cost == pytest.approx(expected[tuple(sequence)], abs=1e-5)
            best = after.nbest(1)[0]
            assert best.words.tolist() == found[0][0] and -best.score == pytest.approx(found[0][1])
            assert best.score == pytest.approx(best.graph_score + best.acoustic_score)
            assert (after.arcs["source"] < after.arcs["next"]).all()


def test_all_paths_have_the_new_models_cost(lattices):
    """The same without telling word sequences apart first; each path keeps its labels and its acoustic cost."""
    small, large = models()
    n_more = 0
    for old in (None, small):
        for _, _, lattice, _ in lattices[:80]:
            after = rescored_paths(lattice, large, old)
            n_more += after.n_arcs > lattice.n_arcs
            assert (after.arcs["source"] < after.arcs["next"]).all() and (np.diff(after.arcs["source"]) >= 0).all()
            expected = list(rescored(WordLattice.of(lattice), large, old).sequences())
            words = WordLattice.of(after)
            found = list(words.sequences())
            costs = {tuple(w): cost for w, cost in expected}
            assert len(found) == len(costs)
            assert all(cost == pytest.approx(costs[tuple(w)], abs=1e-5) for w, cost in found)
            before, best = WordLattice.of(lattice), words.nbest(1)[0]
            old_costs = {tuple(w): cost for w, cost in before.sequences()}
            changed = log_prob(large, best.words) - (log_prob(small, best.words) if old else 0.0)
            assert -best.score == pytest.approx(old_costs[tuple(best.words)] - changed, abs=1e-5)
    assert n_more > 40


def test_there_is_room_for_all_of_a_large_result(lattices):
    """A result with many more states and arcs than the lattice; or an error, where they are too many."""
    large = models()[1]
    lattice = max((case[2] for case in lattices), key=lambda x: x.n_arcs)
    after = rescored_paths(lattice, large)
    with pytest.raises(GraphError, match=r"more than 8 states or arcs"):
        rescored_paths(lattice, large, max_size=8)
    assert after.n_arcs >= lattice.n_arcs


def test_a_mixture_is_that_of_probabilities(lattices):
    small, large = models()
    mixed = Mixed(small, large, 0.3)
    state, words = mixed.start(), [1, 2, 5]
    for i, word in enumerate(words):
        gained, state = mixed.step(state, word)
        parts = [np.exp(log_prob_of(m, words[:i], word)) for m in (small, large)]
        assert np.exp(gained) == pytest.approx(0.3 * parts[0] + 0.7 * parts[1])
    with pytest.raises(ValueError, match="weight"):
        Mixed(small, large, 1.0)
    words = WordLattice.of(lattices[0][2])
    assert len(list(rescored(words, mixed).sequences())) == len(list(words.sequences()))


def log_prob_of(model, before, word):
    state = model.start()
    for w in before:
        _, state = model.step(state, w)
    return model.step(state, word)[0]


def test_too_many_states_are_an_error(lattices):
    lattice = max((case[2] for case in lattices), key=lambda x: x.n_arcs)
    with pytest.raises(GraphError, match="more than 2 states"):
        rescored(WordLattice.of(lattice), models()[1], max_states=2)


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_a_network_rescores_as_it_scores_sentences(lattices, kind):
    pytest.importorskip("torch")
    from asr.lm import Vocabulary
    from asr.nn.lm import NeuralModel, NeuralScorer, WordNetworkConfig
    from asr.nn.lm.networks import build_words

    vocabulary = Vocabulary.of(NAMES[1:])
    config = WordNetworkConfig(kind, 16, 1, heads=2)
    model = NeuralModel(vocabulary, build_words(config, len(vocabulary), seed=1), config)
    scorer = NeuralScorer(model, NAMES, order=20)
    for _, _, lattice, _ in lattices[:20]:
        scorer.forget()
        words = WordLattice.of(lattice)
        expected = {tuple(w): cost - model.score([NAMES[x] for x in w]) for w, cost in words.sequences()}
        found = {tuple(w): cost for w, cost in rescored(words, scorer).sequences()}
        assert found == pytest.approx(expected, abs=1e-3)
