"""The units of a language model other than words: letters and phones."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

BOUNDARY = "|"


class Pronounces(Protocol):
    """What phones as units take of a lexicon (asr.lang.lexicon.Lexicon)."""

    @property
    def phones(self) -> Any: ...

    def pronunciations(self, word: str) -> Sequence[Sequence[int]]: ...

    def oov_words(self, texts: Iterable[str]) -> Mapping[str, int]: ...


def letters(text: str, *, boundary: str | None = BOUNDARY) -> list[str]:
    """The letters of a text, each with its accents, in composed form (NFC).

    Args:
        boundary: what stands for the blanks between words; None: nothing does.

    Examples:
        >>> letters("ça  va")
        ['ç', 'a', '|', 'v', 'a']
    """
    characters: list[str] = []
    for word in unicodedata.normalize("NFC", text).split():
        if characters and boundary is not None:
            characters.append(boundary)
        first = len(characters)
        for character in word:
            if unicodedata.combining(character) and len(characters) > first:
                characters[-1] += character
            else:
                characters.append(character)
    return characters


def phones(text: str, lexicon: Pronounces) -> list[str]:
    """The phones of a text: the first pronunciation of each word, without silence between words.

    Raises:
        LexiconError: for a word without pronunciation.

    Examples:
        >>> from asr.lang.lexicon import Lexicon
        >>> phones("to two", Lexicon([("to", ("T", "AH")), ("to", ("T", "UW")), ("two", ("T", "UW"))]))
        ['T', 'AH', 'T', 'UW']
    """
    return [lexicon.phones.name(phone) for word in text.split() for phone in lexicon.pronunciations(word)[0]]
