"""Estimation against the formulas, KenLM and nltk."""

import logging
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import LanguageModelError
from asr.lm import SMOOTHINGS, count, estimate, read_arpa, train
from asr.lm.smoothing import FALLBACK_DISCOUNTS, discounts


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_are_those_of_the_formulas(slow, smoothing, order):
    rng = np.random.default_rng(order)
    sentences = slow.random_text(rng, 60)
    model = train(sentences, order, smoothing=smoothing)
    possible = [name for name in model.vocabulary.names if name != "<s>"]
    textbook = slow.textbook(sentences, order, smoothing, possible)
    for length in range(order):
        for _ in range(12):
            history = tuple(rng.choice([*"abcde"], length).tolist())
            if length and rng.random() < 0.4:
                history = ("<s>", *history[1:])
            for word in possible:
                expected = textbook.prob(history, word)
                assert math.exp(model.log_prob(history, word)) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=15),
    st.integers(1, 4),
    st.sampled_from(SMOOTHINGS),
    st.booleans(),
)
def test_probabilities_sum_to_one_after_every_history(slow, sentences, order, smoothing, closed):
    model = estimate(count(sentences, order, vocabulary="abcde"), smoothing, closed=closed)
    assert model.is_closed == closed
    for history, total in slow.sums_over_vocabulary(model).items():
        assert total == pytest.approx(1.0, abs=1e-9), history


@pytest.mark.parametrize("order", [2, 3, 4])
def test_modified_kneser_ney_equals_kenlm(commands, held_out, references, order):
    found = train(commands, order).perplexity(held_out)
    expected = references["kenlm"][str(order)]
    assert found.total() == pytest.approx(expected["excluding_oov"], rel=1e-6)
    assert found.total(unknown=True) == pytest.approx(expected["including_oov"], rel=1e-6)
    assert found.known + found.unknown + found.ends == pytest.approx(expected["scores"], rel=1e-5)


def test_each_ngram_is_kenlms(commands, kenlm_arpa):
    ours, kenlms = train(commands, 4), read_arpa(kenlm_arpa)
    assert ours.vocabulary == kenlms.vocabulary
    assert (ours.trie.keys == kenlms.trie.keys).all()
    known = np.isfinite(kenlms.log_probs)
    assert ours.log_probs[known] == pytest.approx(kenlms.log_probs[known], abs=2e-6)
    assert ours.back_offs == pytest.approx(kenlms.back_offs, abs=2e-6)
    assert np.isneginf(ours.log_probs[~known]).all() and known.sum() == ours.trie.n_nodes - 2


@pytest.mark.parametrize("order", [2, 3, 4])
def test_witten_bell_equals_nltk(commands, held_out, references, order):
    found = train(commands, order, smoothing="witten-bell").perplexity(held_out)
    assert found.total() == pytest.approx(references["witten_bell"][str(order)], rel=1e-9)


def test_discounts_of_a_worked_example(caplog):
    # 8 n-grams once, 4 twice, 2 three times, 1 four times: Y = 8 / 16.
    numbers = np.array([1] * 8 + [2] * 4 + [3] * 2 + [4, 9])
    assert discounts(numbers) == pytest.approx((0.5, 2 - 3 * 0.5 * 2 / 4, 3 - 4 * 0.5 * 1 / 2))
    with caplog.at_level(logging.INFO):
        for numbers in ([1, 1, 2], [2, 3, 4], [1] + [2] + [3] * 9):
            assert discounts(np.array(numbers), 7) == FALLBACK_DISCOUNTS
    assert "order 7: numbers of n-grams with counts 1 to 4 are 0, 1, 1, 1" in caplog.text


def test_a_closed_vocabulary_refuses_words_outside_it():
    with pytest.raises(LanguageModelError, match="vocabulary of 1 words: 2 words of the text are not in it"):
        train(["a b", "c"], 2, words=["a"])
    assert not train(["a b"], 2).is_closed
    with_unknown = train(["a b", "c"], 1, words=["a", "<unk>"], smoothing="witten-bell")
    # 5 tokens of 3 kinds: a, <unk> twice, </s> twice; all 3 are possible.
    assert math.exp(with_unknown.log_prob([], "q")) == pytest.approx((2 + 3 / 3) / 8)


def test_an_unknown_smoothing_is_refused_with_the_nearest_name():
    with pytest.raises(LanguageModelError, match="did you mean 'witten-bell'"):
        train(["a"], 1, smoothing="wittenbell")


def test_one_empty_sentence_is_enough():
    for smoothing in SMOOTHINGS:
        model = train([""], 3, smoothing=smoothing)
        assert math.exp(model.score("")) > 0.5 and math.isfinite(model.score("what ever"))


def cut_prob(book, raw, limits, history, word):
    """P(word | history) by the formulas, where the mass of n-grams that come too seldom goes to backing off."""
    n = len(history) + 1
    if n == 1:
        lower = 1 / len(book.possible) if word in book.possible else 0.0
    else:
        lower = cut_prob(book, raw, limits, history[1:], word)
    followers = {g: c for g, c in book.tables[n].items() if g[:-1] == history}
    kept = {g[-1]: c for g, c in followers.items() if n == 1 or raw[g] > limits[n]}
    if not kept:
        return lower
    taken, total = (0.0, *book.discounts[n]), sum(followers.values())
    left = sum(c - taken[min(c, 3)] for c in kept.values())
    count = kept.get(word, 0)
    return (count - taken[min(count, 3)] + (total - left) * lower) / total


@pytest.mark.parametrize("cutoffs", [(0, 0, 1), (0, 1), (0, 0, 0, 2), (0, 0, 9)])
def test_probabilities_with_cutoffs_are_those_of_the_formulas(slow, cutoffs):
    rng = np.random.default_rng(len(cutoffs))
    sentences, order = slow.random_text(rng, 150), 4
    model = estimate(count(sentences, order, cutoffs=cutoffs))
    possible = [name for name in model.vocabulary.names if name != "<s>"]
    book, raw = slow.textbook(sentences, order, "modified-kneser-ney", possible), slow.grams_of(sentences, order)
    limits = [0, *cutoffs, *[cutoffs[-1]] * order]
    assert sum(model.n_ngrams) < sum(estimate(count(sentences, order)).n_ngrams)
    for length in range(order):
        for _ in range(12):
            history = tuple(rng.choice([*"abcde"], length).tolist())
            history = ("<s>", *history[1:]) if length and rng.random() < 0.4 else history
            for word in possible:
                expected = cut_prob(book, raw, limits, history, word)
                assert math.exp(model.log_prob(history, word)) == pytest.approx(expected, rel=1e-9)
    sums = slow.sums_over_vocabulary(model)
    assert list(sums.values()) == pytest.approx([1.0] * len(sums), abs=1e-9)
