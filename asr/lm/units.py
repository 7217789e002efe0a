"""The units of a language model other than words: letters and phones."""

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..options import known_names

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon

BOUNDARY = "|"


def letters(text: str, *, boundary: str | None = BOUNDARY) -> list[str]:
    """The letters of a text, each with its accents, in composed form (NFC).

    boundary: what stands for the blanks between words; None: nothing does.

    >>> letters("ça  va")
    ['ç', 'a', '|', 'v', 'a']
    """
    found: list[str] = []
    for word in unicodedata.normalize("NFC", text).split():
        if found and boundary is not None:
            found.append(boundary)
        first = len(found)
        for character in word:
            if unicodedata.combining(character) and len(found) > first:
                found[-1] += character
            else:
                found.append(character)
    return found


def phones(text: str, lexicon: "Lexicon") -> list[str]:
    """The phones of a text: the first pronunciation of each word, without silence between words.

    Raises LexiconError for a word without pronunciation.

    >>> from asr.lang.lexicon import Lexicon
    >>> phones("to two", Lexicon([("to", ("T", "AH")), ("to", ("T", "UW")), ("two", ("T", "UW"))]))
    ['T', 'AH', 'T', 'UW']
    """
    return [lexicon.phones.name(phone) for word in text.split() for phone in lexicon.pronunciations(word)[0]]


@known_names
def unit_lexicon(
    units: Iterable[str],
    *,
    silence_phone: str = "SIL",
    silence_prob: float = 0.5,
    oov: str = "error",
    unk: str = "<unk>",
    position_dependent: bool = False,
) -> "Lexicon":
    """The lexicon in which each unit is a word said as itself: with a language model over units, a phone loop.

    units: names of phones; the silence phone among them is left out, as pauses are the lexicon's matter.
    silence_phone and what follows: settings of the lexicon.
    """
    from ..lang.lexicon import Entry, Lexicon

    return Lexicon(
        tuple(Entry(unit, (unit,)) for unit in sorted(set(units) - {silence_phone})),
        silence_phone=silence_phone,
        silence_prob=silence_prob,
        oov=oov,
        unk=unk,
        position_dependent=position_dependent,
    )
