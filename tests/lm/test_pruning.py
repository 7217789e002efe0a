"""Pruning by relative entropy, against sums over the whole vocabulary."""

import math

import numpy as np
import pytest

from asr.errors import LanguageModelError
from asr.lm import SMOOTHINGS, prune, train


@pytest.fixture(scope="module")
def model(slow):
    return train(slow.random_text(np.random.default_rng(2), 80, n_words=6), 3, smoothing="witten-bell")


def divergence(slow, model, gram):
    """The relative entropy between the model and the one without an n-gram, summed over the words after its history."""
    table = slow.table_of(model)
    *history, word = gram
    history = tuple(history)
    names = [name for name in model.vocabulary.names if name != "<s>"]
    before = {w: math.exp(slow.back_off_log_prob(table, history, w)) for w in names}
    lower = {w: math.exp(slow.back_off_log_prob(table, history[1:], w)) for w in names}
    stay = {w for w in names if (*history, w) in table and w != word}
    left = 1 - sum(before[w] for w in stay)
    scale = left / (1 - sum(lower[w] for w in stay))
    after = {w: before[w] if w in stay else scale * lower[w] for w in names}
    log_history = 0.0
    for i, name in enumerate(history):
        log_history += slow.back_off_log_prob(table, history[:i], name) if name != "<s>" else 0.0
    return math.exp(log_history) * sum(before[w] * math.log(before[w] / after[w]) for w in names)


@pytest.mark.parametrize("threshold", [3e-4, 1e-3, 1e-2])
def test_ngrams_go_if_they_change_the_distribution_little(slow, model, threshold):
    grams = [gram for gram in slow.table_of(model) if len(gram) > 1]
    change = {gram: math.expm1(divergence(slow, model, gram)) for gram in grams}
    stay = {gram for gram in grams if len(gram) == 3 and change[gram] >= threshold}
    needed = {gram[:2] for gram in stay}
    stay |= {gram for gram in grams if len(gram) == 2 and (change[gram] >= threshold or gram in needed)}
    pruned = slow.table_of(prune(model, threshold))
    assert {gram for gram in pruned if len(gram) > 1} == stay and len(stay) < len(grams)
    assert all(pruned[gram][0] == slow.table_of(model)[gram][0] for gram in stay)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("threshold", [0.0, 1e-4, 1e-2, 10.0])
def test_a_pruned_model_sums_to_one_after_every_history(slow, smoothing, threshold):
    model = train(slow.random_text(np.random.default_rng(8), 60), 4, smoothing=smoothing)
    pruned = prune(model, threshold)
    sums = slow.sums_over_vocabulary(pruned)
    assert list(sums.values()) == pytest.approx([1.0] * len(sums), abs=1e-9)
    assert sum(pruned.n_ngrams) <= sum(model.n_ngrams)


def test_a_high_threshold_leaves_single_words(model):
    assert prune(model, 10.0).n_ngrams == model.n_ngrams[:1]


def test_perplexity_of_the_models_own_text_rises_with_the_threshold(model, slow):
    text = slow.random_text(np.random.default_rng(2), 80, n_words=6)
    found = [prune(model, t).perplexity(text).total() for t in (0.0, 1e-4, 1e-3, 1e-2, 10.0)]
    assert found == sorted(found) and found[0] == pytest.approx(model.perplexity(text).total(), rel=1e-6)


def test_a_negative_threshold_is_refused(model):
    for threshold in (-1e-9, math.nan):
        with pytest.raises(LanguageModelError, match="need 0 or more"):
            prune(model, threshold)
