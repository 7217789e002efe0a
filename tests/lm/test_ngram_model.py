"""Scores and perplexities of sentences."""

import math

import numpy as np
import pytest

from asr.lm import train


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_scores_of_sentences_are_sums_of_log_probs_by_definition(slow, order):
    rng = np.random.default_rng(order)
    model = train(slow.random_text(rng, 40), order)
    table = slow.table_of(model)
    for sentence in slow.random_text(rng, 40, n_words=6):  # one word is unknown
        names = [*(w if w in model.vocabulary else "<unk>" for w in sentence), "</s>"]
        histories = [("<s>", *names[:i])[-(order - 1) :] if order > 1 else () for i in range(len(names))]
        expected = sum(slow.back_off_log_prob(table, h, w) for h, w in zip(histories, names, strict=True))
        assert model.score(sentence) == pytest.approx(expected, rel=1e-12)
        assert model.score(" ".join(sentence)) == model.score(sentence)
        by_word = sum(model.log_prob(h, w) for h, w in zip(histories, names, strict=True))
        assert by_word == pytest.approx(expected, rel=1e-12)


def test_only_the_last_words_of_a_history_matter():
    model = train(["a b c d", "b c a"], 3)
    assert model.log_prob(["x", "a", "b", "c"], "d") == model.log_prob(["b", "c"], "d")


def test_perplexity_by_hand():
    # Unigrams with Witten-Bell: tokens a a b </s> </s>, 3 different ones, 4 possible with <unk>.
    model = train(["a a b", ""], 1, smoothing="witten-bell")
    p = {"a": (2 + 0.75) / 8, "b": (1 + 0.75) / 8, "</s>": (2 + 0.75) / 8, "<unk>": 0.75 / 8}
    found = model.perplexity(["a b x", "", "x"])
    assert found.n_words.tolist() == [3, 0, 1] and found.n_unknown.tolist() == [1, 0, 1]
    assert found.oov_rate == 0.5 and found.n_sentences == 3
    words, ends, unknown = math.log(p["a"] * p["b"]), math.log(p["</s>"]), math.log(p["<unk>"])
    assert found.total() == pytest.approx(math.exp(-(words + 3 * ends) / 5))
    assert found.total(end=False) == pytest.approx(math.exp(-words / 2))
    assert found.total(unknown=True) == pytest.approx(math.exp(-(words + 3 * ends + 2 * unknown) / 7))
    assert found.total(end=False, unknown=True) == pytest.approx(math.exp(-(words + 2 * unknown) / 4))
    assert found.per_sentence() == pytest.approx([math.exp(-(words + ends) / 3), 1 / p["</s>"], 1 / p["</s>"]])
    assert np.isnan(found.per_sentence(end=False)).tolist() == [False, True, True]


def test_perplexity_of_nothing_is_not_a_number():
    model = train(["a"], 2)
    assert math.isnan(model.perplexity([]).total()) and math.isnan(model.perplexity([""]).oov_rate)
    assert math.isnan(model.perplexity([""]).total(end=False)) and model.perplexity([""]).total() > 1


def test_words_outside_a_closed_vocabulary_are_counted_and_left_out():
    model = train(["a b", "b"], 2, words=["a", "b"])
    found = model.perplexity(["a x b", "a b"])
    assert found.oov_rate == 0.2 and math.isinf(found.total(unknown=True)) and math.isfinite(found.total())
    assert model.score("a x") == -math.inf


def test_the_word_after_an_unknown_one_has_no_history(slow):
    model = train(["a b", "b a", "a b"], 3)
    found = model.perplexity([["a", "x", "b"]])
    table = slow.table_of(model)
    expected = table["<s>", "a"][0] + table["b",][0]
    assert found.known[0] == pytest.approx(expected)
