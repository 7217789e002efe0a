"""How well a language model predicts a text: perplexity."""

import math
from dataclasses import dataclass

import numpy as np

from ..display.brief import brief_repr
from .vocabulary import END_ID, START_ID, UNKNOWN_ID


@dataclass(frozen=True, eq=False)
class Perplexity:
    """The log probabilities of a text, sentence by sentence; natural logarithms.

    Unknown words are those outside the vocabulary. They are counted, and left out of figures unless asked for; what
    follows one is scored without it, as the model has no n-gram with it.

    Attributes:
        n_words: int (n_sentences,): words of each sentence, unknown ones included, its end not.
        n_unknown: int (n_sentences,): those that are unknown.
        known: float64 (n_sentences,): log probability of the known words.
        unknown: float64 (n_sentences,): that of the unknown ones as `<unk>`; -inf in a closed vocabulary.
        ends: float64 (n_sentences,): that of the sentence's end.
    """

    n_words: np.ndarray
    n_unknown: np.ndarray
    known: np.ndarray
    unknown: np.ndarray
    ends: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def n_sentences(self) -> int:
        """How many sentences there are."""
        return len(self.n_words)

    @property
    def oov_rate(self) -> float:
        """The part of the words that are unknown; NaN for a text without words."""
        n_words = int(self.n_words.sum())
        return int(self.n_unknown.sum()) / n_words if n_words else math.nan

    def total(self, *, end: bool = True, unknown: bool = False) -> float:
        """The perplexity of the text: exp of the mean negative log probability of its tokens.

        Args:
            end: whether the ends of sentences are tokens, too.
            unknown: whether unknown words are, as `<unk>`.

        Returns:
            NaN where there is no token.

        With end=True as KenLM's "perplexity excluding OOVs" (or "including", for unknown=True) and SRILM's ppl.
        SRILM's ppl1 is another thing: there the ends' probabilities count, but not their number.
        """
        log_probs, n_tokens = self._tokens(end, unknown)
        n = int(n_tokens.sum())
        return _perplexity(float(log_probs.sum()), n) if n else math.nan

    def per_sentence(self, *, end: bool = True, unknown: bool = False) -> np.ndarray:
        """The perplexity of each sentence, as `total`. Returns float64 (n_sentences,), NaN without tokens."""
        pairs = zip(*(column.tolist() for column in self._tokens(end, unknown)), strict=True)
        return np.array([_perplexity(log_prob, n) if n else math.nan for log_prob, n in pairs])

    def _tokens(self, end: bool, unknown: bool) -> tuple[np.ndarray, np.ndarray]:
        """Log probability and number of the tokens of each sentence."""
        log_probs, n_tokens = self.known, self.n_words - self.n_unknown
        if unknown:
            log_probs, n_tokens = log_probs + self.unknown, self.n_words
        return (log_probs + self.ends, n_tokens + 1) if end else (log_probs, n_tokens)


def _perplexity(log_prob: float, n_tokens: int) -> float:
    """exp(-log_prob / n_tokens), infinite where that is too large."""
    mean = -log_prob / n_tokens
    return math.exp(mean) if mean < 700.0 else math.inf


def perplexity_of(ids: np.ndarray, log_probs: np.ndarray) -> Perplexity:
    """How well the tokens of a text were foretold.

    Args:
        ids: int64 (n_tokens,), as `Vocabulary.encode` returns them.
        log_probs: float64 (n_tokens,), natural logarithms; what stands at `<s>` does not count.
    """
    sentence = np.cumsum(ids == START_ID) - 1
    n_sentences = int(sentence[-1]) + 1 if len(ids) else 0
    is_end = ids == END_ID
    # A word of the vocabulary that the model holds impossible is as unknown as one outside.
    unknown = (ids == UNKNOWN_ID) | (np.isneginf(log_probs) & ~is_end)
    is_known = ~unknown & ~is_end & (ids != START_ID)

    def summed(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(sentence[chosen], log_probs[chosen], n_sentences)

    n_unknown = np.bincount(sentence[unknown], minlength=n_sentences)
    n_words = n_unknown + np.bincount(sentence[is_known], minlength=n_sentences)
    return Perplexity(n_words, n_unknown, summed(is_known), summed(unknown), summed(is_end))
