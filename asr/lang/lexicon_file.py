"""Lexicon files: `word phones` or `word probability phones` lines, with settings in a comment."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..display.brief import brief_repr
from ..errors import LexiconError, did_you_mean
from ..files import numbered_lines
from .entries import (
    OWN,
    PLAIN,
    WITH_PROBABILITIES,
    WITH_SILENCE,
    Entry,
    Line,
    Understood,
    is_decimal,
    nfc,
    shortened,
)

_SETTINGS = re.compile(r";;((\s+\w+=\S+)+)\s*")
_OWN_LAYOUT = re.compile(r"\S+\t\S+ [^\t]*")  # `word<TAB>phone phone`: what `lexicon_text` writes without probabilities
_BOOLS = {"true": True, "false": False}


class LexiconFile(NamedTuple):
    """What a file holds: entries, where each stands (file:line), and the settings of its comments.

    Attributes:
        format: as which tool's file it was understood.
        notes: what was left out or changed for that, a line each.
    """

    entries: list[Entry]
    places: list[str]
    settings: dict[str, Any]
    format: str = OWN
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief_repr(self)


def lexicon_text(entries: Iterable[Entry], settings: Mapping[str, Any]) -> str:
    """The text of a lexicon file, `word<TAB>phones`, or `word<TAB>probability<TAB>phones` if one is not 1.

    Args:
        settings: written into the first line.
    """
    entries = list(entries)
    pairs = (f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in settings.items())
    lines = [f";; {' '.join(pairs)}"]
    if all(entry.probability == 1.0 for entry in entries):
        lines += [f"{word}\t{' '.join(phones)}" for word, phones, _ in entries]
    else:
        lines += [f"{word}\t{float(probability)!r}\t{' '.join(phones)}" for word, phones, probability in entries]
    return "\n".join(lines) + "\n"


def parse_lexicon(path: Path, known: Mapping[str, Any]) -> LexiconFile:
    """Read a lexicon file, ours or another tool's (see asr.lang.foreign_lexicon).

    Args:
        known: the settings that it may have, with their defaults, whose types their values take. A file with settings
            is ours: nothing in it is taken for another tool's syntax.

    Raises:
        LexiconError: with file:line for every line that cannot be read.
    """
    problems: list[str] = []
    settings: dict[str, Any] = {}
    found: list[Line] = []
    has_comments = False
    try:
        lines = list(numbered_lines(path))
    except OSError as error:
        raise LexiconError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in lines:
        place = f"{path}:{number}"
        if line is None:
            problems.append(f"{place}: not valid UTF-8; save the file as UTF-8")
        elif match := _SETTINGS.fullmatch(line):
            problems += [f"{place}: {message}" for message in _read_settings(match[1].split(), settings, known)]
        elif line.strip() and not line.startswith(";;"):
            word, *fields = line.split()
            found.append(Line(place, line, nfc(word), fields))
        has_comments |= line is not None and line.startswith(";;;")
    if problems:
        raise LexiconError(shortened(problems, len(problems)))
    what = Understood(found, {}, OWN, []) if settings else _understood(found, has_comments=has_comments)
    entries, form = _entries(what)
    return LexiconFile(
        entries, [line.place for line in what.lines], {**what.settings, **settings}, form, (*what.notes,)
    )


def _understood(lines: Sequence[Line], *, has_comments: bool) -> Understood:
    """Lines that may be another tool's."""
    from .foreign_lexicon import understood

    return understood(lines, has_comments=has_comments)


def _entries(what: Understood) -> tuple[list[Entry], str]:
    """The entries, and the format now that the numbers after the words are read."""
    lines, form = what.lines, what.format
    if _has_probabilities(lines):
        from .foreign_lexicon import silence_numbers

        n_numbers = 4 if silence_numbers(lines) else 1
        form = {PLAIN: WITH_SILENCE if n_numbers == 4 else WITH_PROBABILITIES}.get(form, form)
        if n_numbers == 4:
            what.notes.append("the three numbers that tell of silence around words are not used")
        lines = [line._replace(probability=float(line.fields[0]), fields=line.fields[n_numbers:]) for line in lines]
    problems = [
        f"{line.place}: word {line.word!r}: probability {line.probability:g}; need one above 0, at most 1"
        for line in lines
        if not 0.0 < line.probability <= 1.0
    ]
    if form != OWN:
        problems += [
            f"{line.place}: word {line.word!r}: the number {phone} amid its phones; the columns before them are one "
            "probability, or four numbers as MFA and Kaldi's lexiconp_silprob.txt have them"
            for line in lines
            for phone in line.fields
            if phone[0].isdigit() and is_decimal(phone)
        ]
    if problems:
        raise LexiconError(shortened(problems, len(problems)))
    return [Entry(line.word, tuple(line.fields), line.probability) for line in lines], form


def _has_probabilities(lines: Sequence[Line]) -> bool:
    """Whether the second fields are probabilities: all are numbers, and phones follow them.

    Numbers with a decimal point or exponent are no phones. A file that has 1 in each line has probabilities too
    (Kaldi's scripts write 1 for the likeliest pronunciation), but not if it is one that `lexicon_text` wrote.

    Raises:
        LexiconError: listing lines without number, or those with one, where only a part of them has decimals.
    """
    firsts = [line.fields[0] if line.fields else "" for line in lines]
    decimals = [is_decimal(first) for first in firsts]
    if not any(decimals):  # an empty file is refused later, with or without
        ones = all(line.fields[:1] == ["1"] and len(line.fields) > 1 for line in lines)
        return ones and not any(_OWN_LAYOUT.fullmatch(line.text) for line in lines)
    numbers = [decimal or first.isdecimal() for decimal, first in zip(decimals, firsts, strict=True)]
    if not all(numbers):
        few = 2 * sum(numbers) < len(lines)
        what = f"has a number, {sum(numbers)} of {len(lines)} lines have" if few else "has no probability, others have"
        wrong = [line for line, number in zip(lines, numbers, strict=True) if number == few]
        listed = [f"{line.place}: word {line.word!r} {what}; give one to every line, or to none" for line in wrong]
        raise LexiconError(shortened(listed, len(listed)))
    return True


def _read_settings(pairs: list[str], settings: dict[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    """Put `key=value` pairs into `settings`; yields what is wrong with them."""
    for pair in pairs:
        key, value = pair.split("=", 1)
        if key not in known:
            yield f"unknown setting {key!r}{did_you_mean(key, known)}; known: {', '.join(known)}"
        elif key in settings:
            yield f"setting {key!r} is given twice"
        elif isinstance(known[key], bool):
            if value.lower() not in _BOOLS:
                yield f"{key}={value!r}; need true or false"
            settings[key] = _BOOLS.get(value.lower())
        elif isinstance(known[key], float):
            try:
                settings[key] = float(value)
            except ValueError:
                yield f"{key}={value!r} is not a number"
        else:
            settings[key] = value
