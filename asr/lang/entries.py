"""Entries of a lexicon, one pronunciation of one word each: what is wrong with them, and phones named by position."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from numbers import Real
from typing import Any, NamedTuple

from ..errors import LexiconError

POSITIONS = ("B", "E", "I", "S")
"""Where in its word a phone is: begin, end, inside, or alone (Kaldi's letters, in alphabetical order)."""

OWN, PLAIN = "ours", "words and phones (as Kaldi's lexicon.txt)"
WITH_PROBABILITIES = "words, probabilities and phones (as Kaldi's lexiconp.txt, MFA)"
WITH_SILENCE = "words, four numbers and phones (as MFA, Kaldi's lexiconp_silprob.txt)"
"""Whose a lexicon file is, by its layout; other tools' are told apart in asr.lang.foreign_lexicon."""

SHOWN = 20  # problems or words listed in one message
_DECIMAL = re.compile(r"(\d+\.\d*|\.\d+)([eE][+-]?\d+)?|\d+[eE][+-]?\d+")
_RESERVED = re.compile(r"<eps>|#\d+|<s>|</s>")


class Entry(NamedTuple):
    """One pronunciation of a word.

    Attributes:
        probability: 0 < p <= 1, of this pronunciation where the word is said; its negated logarithm is a cost in
            graphs.
    """

    word: str
    phones: tuple[str, ...]
    probability: float = 1.0


class Line(NamedTuple):
    """A pronunciation as it stands in the file: the fields after the word may begin with numbers."""

    place: str
    text: str
    word: str
    fields: list[str]
    probability: float = 1.0


class Understood(NamedTuple):
    """The lines with nothing but words, phones, and numbers that are not yet read; settings that the format implies;
    the format's name; what was left out or changed, a line each."""

    lines: list[Line]
    settings: dict[str, Any]
    format: str
    notes: list[str]


def nfc(text: str) -> str:
    """The text in Unicode's composed form."""
    return unicodedata.normalize("NFC", text)


def in_position(phones: Sequence[str]) -> tuple[str, ...]:
    """The phones of a whole word, named by their positions: `AA_B`, `AA_I`, `AA_E`, or `AA_S` for a single one.

    Examples:
        >>> in_position(("K", "AE", "T")), in_position(("AH",))
        (('K_B', 'AE_I', 'T_E'), ('AH_S',))
    """
    if len(phones) == 1:
        return (f"{phones[0]}_S",)
    return (f"{phones[0]}_B", *(f"{phone}_I" for phone in phones[1:-1]), f"{phones[-1]}_E")


def is_reserved(name: str) -> bool:
    """Whether a word or phone would be taken for one of the symbols that the toolkit adds itself."""
    return _RESERVED.fullmatch(name) is not None


@lru_cache(maxsize=1024)
def is_decimal(text: str) -> bool:
    """Whether a text is a number with a decimal point or an exponent, which no phone is. Remembered, see below."""
    return _DECIMAL.fullmatch(text) is not None


def shortened(lines: Sequence[str], count: int) -> str:
    """The first lines of a list of problems, and how many more there are."""
    more = [f"  ... and {count - SHOWN} more"] if count > SHOWN else []
    return "\n".join([*lines[:SHOWN], *more])


def check_entries(entries: Sequence[Entry], places: Iterable[str], silence: str) -> None:
    """Raise LexiconError listing each unusable entry with its place."""
    problems = []
    first: dict[tuple[str, tuple[str, ...]], str] = {}
    for entry, place in zip(entries, places, strict=True):
        message, key = _entry_problem(entry, silence), (entry.word, entry.phones)
        if message is None and key in first:
            message = f"word {entry.word!r} with phones '{' '.join(entry.phones)}' was given before, {first[key]}"
        if message is not None:
            problems.append(f"{place}: {message}")
        first.setdefault(key, place)
    if problems:
        raise LexiconError(shortened(problems, len(problems)))


def check_positions(entries: Sequence[Entry], silence: str) -> None:
    """Raise LexiconError where phones cannot be named by their positions."""
    speech = [entry.phones for entry in entries if entry.phones != (silence,)]
    if speech and all(phones == in_position([phone[:-2] for phone in phones]) for phones in speech):
        raise LexiconError(
            f"position_dependent=true, but the phones have their positions in their names already, such as "
            f"{speech[0][0]!r}; leave the setting out, or take off _B, _I, _E and _S"
        )
    base, mark, position = silence.rpartition("_")
    if mark and position in POSITIONS and any(base in phones for phones in speech):
        raise LexiconError(f"silence_phone={silence!r} is also the phone {base!r} in one of its positions; rename it")


@lru_cache(maxsize=1024)
def _phone_problem(phone: str) -> str | None:
    """What is wrong with a phone's name, or None. Remembered, as a large lexicon asks for few phones 10^6 times."""
    if is_reserved(phone):
        return f"phone {phone!r} is reserved; rename it"
    if phone.split() != [phone]:
        return f"phone {phone!r}: a phone is not empty and has no white space"
    return None


def _entry_problem(entry: Entry, silence: str) -> str | None:
    """What is wrong with one entry, or None."""
    word, phones, probability = entry
    if word.split() != [word] or word.startswith(";;"):
        return f"word {word!r}: a word is not empty, has no white space and does not begin with ;; (a comment)"
    if word.startswith("\ufeff"):
        return f"word {word!r} begins with a byte-order mark; remove it"
    if not phones:
        return f"word {word!r} has no phones; write them after it, or remove the line"
    if is_reserved(word):
        return f"word {word!r} is reserved; rename it"
    if message := next(filter(None, map(_phone_problem, phones)), None):
        return f"word {word!r}: {message}"
    if is_decimal(phones[0]):
        return (
            f"word {word!r}: {phones[0]!r} looks like a number, not a phone; a lexicon has one probability after each"
            " word, or four numbers (MFA, lexiconp_silprob.txt), or none"
        )
    if silence in phones and len(phones) > 1:
        return f"word {word!r}: silence phone {silence!r} may only be a whole pronunciation; remove it"
    if not (isinstance(probability, (float, Real)) and 0.0 < probability <= 1.0):
        return f"word {word!r}: pronunciation probability {probability!r}; need a number above 0, at most 1"
    return None
