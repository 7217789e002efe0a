"""Two models in one, and the weight that suits a text."""

import math

import numpy as np
import pytest

from asr.errors import LanguageModelError
from asr.lm import interpolate, train, tuned_weight


@pytest.fixture(scope="module")
def models(slow):
    rng = np.random.default_rng(3)
    first = train(slow.random_text(rng, 50, n_words=4), 3)
    second = train([[w.replace("a", "z") for w in s] for s in slow.random_text(rng, 60)], 2, smoothing="witten-bell")
    return first, second


def prob(model, history, word):
    """The probability of a word; 0 for one that the model does not know."""
    return math.exp(model.log_prob(history, word)) if word in model.vocabulary else 0.0


def test_each_ngram_of_either_has_the_mixed_probability(slow, models):
    first, second = models
    mixed = interpolate(first, second, 0.3)
    assert mixed.vocabulary.names[3:] == ("a", "b", "c", "d", "e", "z") and mixed.order == 3
    table = slow.table_of(mixed)
    grams = [slow.table_of(model).keys() for model in models]
    assert table.keys() == grams[0] | grams[1]
    for *history, word in table:
        if word != "<s>":
            expected = 0.3 * prob(first, history, word) + 0.7 * prob(second, history, word)
            assert math.exp(mixed.log_prob(history, word)) == pytest.approx(expected, rel=1e-9), (history, word)


def test_a_mixture_sums_to_one_after_every_history(slow, models):
    for mixed in (interpolate(*models, 0.3), interpolate(*reversed(models), 0.9)):
        sums = slow.sums_over_vocabulary(mixed)
        assert len(sums) > 40 and list(sums.values()) == pytest.approx([1.0] * len(sums), abs=1e-9)


def test_a_mixture_of_a_model_with_itself_is_the_model(slow):
    model = train(slow.random_text(np.random.default_rng(5), 50), 3)
    mixed = interpolate(model, model, 0.4)
    assert (mixed.trie.keys == model.trie.keys).all()
    finite = np.isfinite(model.log_probs)
    assert mixed.log_probs[finite] == pytest.approx(model.log_probs[finite], abs=1e-9)
    assert mixed.back_offs == pytest.approx(model.back_offs, abs=1e-8)


def test_the_tuned_weight_is_where_the_text_is_likeliest(slow, models):
    first, second = models
    rng = np.random.default_rng(9)
    text = slow.random_text(rng, 20, n_words=4) + [["z", "b"], ["z", "q", "z"]] * 4

    tokens = [(["<s>", *s][: i + 1], word) for s in text for i, word in enumerate([*s, "</s>"])]
    p, q = np.array([[prob(model, *token) for token in tokens] for model in models])

    def log_likelihood(weight):
        mixed = weight * p + (1 - weight) * q
        return np.log(mixed[mixed > 0]).sum()

    found = tuned_weight(first, second, text)
    grid = np.linspace(0.001, 0.999, 999)
    best = grid[int(np.argmax([log_likelihood(w) for w in grid]))]
    assert found == pytest.approx(best, abs=2e-3) and 0.05 < found < 0.95
    assert tuned_weight(second, first, text) == pytest.approx(1 - found, abs=1e-3)


def test_the_weight_recovers_a_planted_mixture():
    rng = np.random.default_rng(1)
    first, second = train(["a a a", "a b"], 1), train(["b b b", "b a"], 1)
    mixed = interpolate(first, second, 0.7)
    p = [math.exp(mixed.log_prob([], w)) for w in ("a", "b")]
    text = [rng.choice(["a", "b"], 10, p=np.array(p) / sum(p)).tolist() for _ in range(3000)]
    assert tuned_weight(first, second, text) == pytest.approx(0.7, abs=0.08)


def test_impossible_weights_and_texts_are_refused(models):
    for weight in (0.0, 1.0, -0.2, math.nan):
        with pytest.raises(LanguageModelError, match=r"need 0 < weight < 1"):
            interpolate(*models, weight)
    with pytest.raises(LanguageModelError, match="no word of the held-out text"):
        tuned_weight(*models, [])
