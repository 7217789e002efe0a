"""Words that no transcript has: parts of words, which a language model knows, put together again after recognition.

Frequent words stay whole; others are written in their syllables, with a `+` where a part goes on: `abé+ +ndi`. What is
recognised joins at these signs, so that any word made of known syllables can come out.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable

from ..lang.entries import nfc
from ..lm.units import letters

JOIN = "+"


def syllables(word: str, vowels: str) -> list[str]:
    """The word's letters up to each vowel; consonants after the last vowel are a part of their own.

    vowels: letters without accents; accents on them do not matter.

    >>> syllables("ngándáál", "a")
    ['ngá', 'ndá', 'á', 'l']
    """
    found, begun = [], ""
    for letter in letters(word, boundary=None):
        begun += letter
        if unicodedata.normalize("NFD", letter)[0] in vowels:
            found.append(begun)
            begun = ""
    return [*found, begun] if begun else found


def in_parts(word: str, vowels: str) -> list[str]:
    """The word's syllables with the signs where they join.

    >>> in_parts("ndáá", "a"), in_parts("á", "a")
    (['ndá+', '+á'], ['+á'])
    """
    parts = syllables(word, vowels)
    return [*(part + JOIN for part in parts[:-1]), JOIN + parts[-1]]


def with_parts(text: str, whole: Collection[str], vowels: str) -> str:
    """The text with the words that are not among the whole ones in parts."""
    return " ".join(p for word in nfc(text).split() for p in ([word] if word in whole else in_parts(word, vowels)))


def joined(text: str) -> str:
    """The text with its parts put together. A word that is not finished ends where a whole one begins.

    >>> joined("wa abé+ +ndi +á kú+ wa")
    'wa abéndi á kú wa'
    """
    words, begun = [], ""
    for token in text.split():
        if token.endswith(JOIN):
            begun += token[: -len(JOIN)]
        elif token.startswith(JOIN):
            words.append(begun + token[len(JOIN) :])
            begun = ""
        else:
            words += [begun, token] if begun else [token]
            begun = ""
    return " ".join([*words, begun] if begun else words)


def frequent_words(texts: Iterable[str], fewest: int) -> frozenset[str]:
    """The words that come so often at least."""
    counts = Counter(word for text in texts for word in nfc(text).split())
    return frozenset(word for word, count in counts.items() if count >= fewest)
