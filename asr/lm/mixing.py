"""Two models in one: linear interpolation, with the weight that suits a text best."""

import logging
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from ..errors import LanguageModelError
from .model import NgramModel, with_back_offs
from .trie import Trie
from .vocabulary import START_ID, Sentence, Vocabulary

_log = logging.getLogger(__name__)


def interpolate(first: NgramModel, second: NgramModel, weight: float) -> NgramModel:
    """The mixture of two models, as one back-off model.

    It has the n-grams of both, each with the probability weight * P1 + (1 - weight) * P2, and back-off weights computed
    anew: the mixture itself where either has an n-gram, close to it elsewhere. A word that only one model knows has
    probability 0 in the other.

    Args:
        weight: 0 < weight < 1, that of the first; `tuned_weight` finds it.

    Raises:
        LanguageModelError: for another weight.

    Same as SRILM's ngram -mix-lm.
    """
    if not 0.0 < weight < 1.0:
        raise LanguageModelError(f"weight={weight}; need 0 < weight < 1, the part of the first model")
    words = Vocabulary.of([*first.vocabulary.names, *second.vocabulary.names])
    order = max(first.order, second.order)
    grams = [
        np.concatenate([_grams(model, words, k) for model in (first, second) if k <= model.order])
        for k in range(2, order + 1)
    ]
    trie, _ = Trie.build(len(words), grams)
    with np.errstate(divide="ignore"):
        log_probs = np.logaddexp(
            np.log(weight) + _log_probs_of(first, words, trie), np.log1p(-weight) + _log_probs_of(second, words, trie)
        )
    return with_back_offs(NgramModel(words, trie, log_probs, np.zeros(trie.n_nodes)))


def _grams(model: NgramModel, words: Vocabulary, order: int) -> np.ndarray:
    """The n-grams of one order of a model, in the ids of another vocabulary."""
    translation = np.array([words.id(name) for name in model.vocabulary.names])
    return translation[model.trie.words_of(order)]


def _log_probs_of(model: NgramModel, words: Vocabulary, trie: Trie) -> np.ndarray:
    """What a model says of each n-gram of a trie over other words. Returns float64 (n_nodes,)."""
    known = np.array([name in model.vocabulary for name in words.names])
    translation = np.array([model.vocabulary.id(name) for name in words.names])
    log_probs, states = np.full(trie.n_nodes, -np.inf), np.zeros(trie.n_nodes, np.int64)
    for order in range(1, trie.order + 1):
        here = trie.nodes(order)
        word = trie.word[here]
        log_prob, states[here] = model.step(states[trie.parent[here]], translation[word])
        log_probs[here] = np.where(known[word], log_prob, -np.inf)
    return log_probs


class PredictsTokens(Protocol):
    """A language model of any kind: n-grams, or a network."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its words."""

    def token_log_probs(self, ids: np.ndarray) -> np.ndarray:
        """As of `NgramModel`."""


def tuned_weight(first: PredictsTokens, second: PredictsTokens, sentences: Iterable[Sentence]) -> float:
    """The weight of the first model with which a mixture of the two predicts some sentences best.

    Found by expectation maximisation from 0.5, to within 1e-5; tokens unknown to both models do not count.

    Raises:
        LanguageModelError: where no token is left.

    Same as SRILM's compute-best-mix.
    """
    sentences = list(sentences)
    probs = np.exp([_text_log_probs(model, sentences) for model in (first, second)])
    probs = probs[:, (probs > 0.0).any(axis=0)]
    if not probs.shape[1]:
        raise LanguageModelError("no word of the held-out text is known to either model; take other sentences")
    weight = 0.5
    for _ in range(1000):
        mixed = weight * probs[0]
        before, weight = weight, float(np.mean(mixed / (mixed + (1.0 - weight) * probs[1])))
        if abs(weight - before) < 1e-6:
            break
    _log.info("weight of the first model: %.4f", weight)
    return min(max(weight, 1e-5), 1.0 - 1e-5)


def mixed_perplexity(
    first: PredictsTokens, second: PredictsTokens, sentences: Iterable[Sentence]
) -> tuple[float, float]:
    """The perplexity of some sentences by the mixture of two models that suits them best, and the first one's weight.

    Words unknown to both do not count.

    Raises:
        LanguageModelError: see `tuned_weight`.
    """
    sentences = list(sentences)
    weight = tuned_weight(first, second, sentences)
    with np.errstate(divide="ignore"):
        mixed = np.logaddexp(
            np.log(weight) + _text_log_probs(first, sentences), np.log1p(-weight) + _text_log_probs(second, sentences)
        )
    return float(np.exp(-mixed[np.isfinite(mixed)].mean())), weight


def _text_log_probs(model: PredictsTokens, sentences: list[Sentence]) -> np.ndarray:
    """Log probability of each word and end; -inf for unknown words."""
    ids = model.vocabulary.encode(sentences)
    log_probs = np.where(ids == 0, -np.inf, model.token_log_probs(ids))
    return log_probs[ids != START_ID]
