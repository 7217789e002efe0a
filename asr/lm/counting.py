"""How often each n-gram occurs in a text."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..display.brief import brief_repr
from ..errors import LanguageModelError
from .trie import Trie
from .vocabulary import START_ID, Sentence, Vocabulary, tokens_of


@dataclass(frozen=True, eq=False)
class Counts:
    """The n-grams of a text, from single words up to one order, with their numbers.

    Attributes:
        vocabulary: the words.
        trie: the n-grams; those at the start of a sentence begin with `<s>`, the last ones end in `</s>`.
        counts: int64 (n_nodes,): how often each occurs; for the empty n-gram, how many tokens there are but `<s>`.
    """

    vocabulary: Vocabulary
    trie: Trie
    counts: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def n_sentences(self) -> int:
        """How many sentences were counted."""
        return int(self.counts[1 + START_ID])


def count(sentences: Iterable[Sentence], order: int, *, vocabulary: Iterable[str] | None = None) -> Counts:
    """The n-grams of a text and their counts.

    Args:
        sentences: text with blanks between words, or sequences of words. An empty one counts as a sentence.
        order: the length of the longest n-grams, at least 1; 3 for trigrams. No sentence may have such long ones; then
            the counts end at the longest that there are.
        vocabulary: the words to tell apart, others count as `<unk>`; None: all words of the text.

    Raises:
        LanguageModelError: where there is no sentence, or one holds `<s>` or `</s>`.

    Examples:
        >>> counts = count(["a b", "a"], 2)
        >>> [counts.vocabulary.names[i] for i in counts.trie.word[counts.trie.nodes(2)]], counts.counts.tolist()
        (['a', '</s>', 'b', '</s>'], [5, 0, 2, 2, 2, 1, 2, 1, 1, 1])
    """
    if order < 1:
        raise LanguageModelError(f"order={order}; need 1 or more")
    tokens = tokens_of(sentences)
    if not tokens:
        raise LanguageModelError("no sentences to count: the text is empty")
    words = Vocabulary.of(set(tokens) if vocabulary is None else vocabulary)
    ids = words.encode_tokens(tokens)
    breaks = ids == START_ID
    node, trie = 1 + ids, Trie.unigrams(len(words))
    numbers = [np.array([len(ids) - breaks.sum()]), np.bincount(ids, minlength=len(words))]
    for _ in range(2, order + 1):
        before = np.concatenate(([-1], node[:-1]))
        valid = np.flatnonzero((before >= 0) & ~breaks)
        keys, places, number = np.unique(
            before[valid].astype(np.int64) * len(words) + ids[valid], return_inverse=True, return_counts=True
        )
        if not len(keys):
            break
        node = np.full(len(ids), -1)
        node[valid] = trie.n_nodes + places
        trie = trie.extended(keys // len(words), keys % len(words))
        numbers.append(number)
    return Counts(words, trie, np.concatenate(numbers).astype(np.int64))
