"""Text drawn from a model."""

import math
from collections import Counter

import numpy as np
import pytest

from asr.errors import LanguageModelError
from asr.lm import NgramModel, prune, sample, train


@pytest.fixture(scope="module")
def model(slow):
    return prune(train(slow.random_text(np.random.default_rng(4), 60, n_words=4), 3), 1e-3)


def drawn(model, n, seed=0, **options):
    """Sentences as lists of words."""
    raw = b"".join(sample(model, n, np.random.default_rng(seed), **options))
    return [line.split() for line in raw.decode().split("\n")[:-1]]


def test_words_come_as_often_as_the_model_says(model):
    found = drawn(model, 40_000)
    assert len(found) == 40_000
    after = {}
    for words in found:
        for i, word in enumerate([*words, "</s>"]):
            after.setdefault(("<s>", *words[:i])[-2:], Counter())[word] += 1
    names = [name for name in model.vocabulary.names if name != "<s>"]
    frequent = {history: counts for history, counts in after.items() if counts.total() > 2000}
    assert len(frequent) > 10
    for history, counts in frequent.items():
        n = counts.total()
        for name in names:
            p = math.exp(model.log_prob(history, name))
            assert abs(counts[name] - n * p) < 5 * math.sqrt(n * p * (1 - p)) + 1, (history, name)


def test_the_seed_alone_decides(model):
    assert drawn(model, 9000, n_threads=1) == drawn(model, 9000, n_threads=3) != drawn(model, 9000, seed=1)


def test_the_perplexity_of_drawn_text_is_the_models_own(slow):
    model = train(slow.random_text(np.random.default_rng(4), 200, n_words=4), 2)
    again = train([" ".join(words) for words in drawn(model, 60_000)], 2)
    text = drawn(model, 2000, seed=5)
    assert again.perplexity(text).total(unknown=True) == pytest.approx(
        model.perplexity(text).total(unknown=True), rel=0.01
    )


def test_sentences_end_where_they_must(model):
    assert max(map(len, drawn(model, 500, longest=3))) == 3
    endless = NgramModel(model.vocabulary, model.trie, model.log_probs.copy(), model.back_offs)
    endless.log_probs[3] = -math.inf
    with pytest.raises(LanguageModelError, match="no sentence that is drawn would end"):
        drawn(endless, 1)
