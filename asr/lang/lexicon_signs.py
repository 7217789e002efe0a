"""Signs of another syntax in a lexicon's lines, which would be taken for words and phones: each is refused by name."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..errors import LexiconError
from .entries import is_decimal, shortened

_BETWEEN = ";|,=:/"  # what stands between word and phones in other layouts
_LEADS = frozenset(("|", "=", ":", ":=", "::", "->", "=>", "-->", ",", ";", "/", "→"))
_COMMENTS = frozenset(("//", "--", "%%", "/*", "*/", "<!--", "-->", ";", ";;", "==", "**"))  # rules and comments
_SUSPECT = frozenset("@" + "".join(sign[0] for sign in _COMMENTS))
_TAG_ENDS = frozenset("}0123456789")
_JOINED = re.compile(r"\w+([.=|/+-])\w+(?:\1\w+)*")
_LETTERS = 3.0  # in each of a lexicon's phones, from where a phone may be a whole word that is spelled out
_FEW = 3  # lines
_MANY = 20  # pronunciations, of which some share a phone


class Said(NamedTuple):
    """A line of a lexicon: where it stands, its word, and the fields after it."""

    place: str
    word: str
    fields: Sequence[str]


def refuse_other_syntax(lines: Sequence[Said], *, has_comments: bool) -> None:
    """Raise LexiconError, with the line, where cells, comments, tags or numbers would be taken for words and phones.

    Args:
        has_comments: whether the file has comments of the kind that are read, so that nothing else is one.
    """
    whole: list[tuple[Callable[[Said], bool], str]] = [
        (_is_quoted, "phones in quotes; take the quotes off"),
        (lambda line: line.fields[:1] != [] and line.fields[0] in _LEADS, "a sign between the word and its phones"),
        (_is_numbered, "a number after the word, which is no probability; take it out"),
        (lambda line: bool(re.fullmatch(r".+_\d+", line.word)), "a numbered word; write it without its number"),
        (_is_joined, "phones without blanks between them"),
        *((_cut_by(sign), f"{sign!r} between the word and its phones, or in every word") for sign in _BETWEEN),
    ]
    # 1 in each line is a probability, as Kaldi writes it; and a few words may all begin with vowels named 2 and 9.
    if len(lines) < _FEW or all(line.fields[:1] == ["1"] for line in lines):
        whole = [rule for rule in whole if rule[0] is not _is_numbered]
    for is_so, what in whole:
        if lines and all(map(is_so, lines)):
            first = lines[0]
            said = " ".join((first.word, *first.fields))
            raise LexiconError(f"{first.place}: {said!r}: {what}; need a word and its phones, separated by blanks")
    problems = [f"{line.place}: {wrong}" for line in lines if (wrong := _foreign(line, has_comments=has_comments))]
    if problems:
        raise LexiconError(shortened(problems, len(problems)))


def _is_quoted(line: Said) -> bool:
    # X-SAMPA has " before a stressed syllable, and _" after a vowel.
    return (
        bool(line.fields)
        and len(" ".join(line.fields)) > 1
        and line.fields[0][0] == '"'
        and (line.fields[-1][-1] == '"' and not line.fields[-1].endswith('_"'))
    )


def _is_numbered(line: Said) -> bool:
    return len(line.fields) > 1 and line.fields[0].isdecimal() and not any(map(is_decimal, line.fields))


def _is_joined(line: Said) -> bool:
    return len(line.fields) == 1 and _JOINED.fullmatch(line.fields[0]) is not None and not is_decimal(line.fields[0])


def _cut_by(sign: str) -> Callable[[Said], bool]:
    """Whether a word has a sign behind its first letter."""
    return lambda line: sign in line.word[1:]


def _foreign(line: Said, *, has_comments: bool) -> str | None:
    """What is wrong with a line, or None."""
    if line.word in _COMMENTS and not has_comments:
        return f"a line that begins with {line.word}: a comment? Begin comments with ;;;"
    if line.word[-1] in _TAG_ENDS and re.fullmatch(r".+\{[^{}]*\}|.*[^\W\d_]:\d+", line.word):
        return f"word {line.word!r} with a tag; write the word alone, a line for each of its pronunciations"
    if len(line.fields) > 1 and re.fullmatch(r"\(\d+\)", line.fields[0]):
        return (
            f"word {line.word!r}: {line.fields[0]} before the phones; write {line.word}(2) for a second pronunciation"
        )
    for phone in line.fields if len(line.fields) > 1 else ():
        if phone[0] not in _SUSPECT:  # most; so much for the time that it takes
            continue
        if phone in _COMMENTS or phone.startswith("//"):
            return f"word {line.word!r}: {phone} amid the phones: a comment? Put # before it, or take it out"
        if re.match(r"@[a-z]{2}", phone):
            return f"word {line.word!r}: {phone} amid the phones: a tag? Take it out"
    return None


def doubt(lines: Sequence[Said]) -> str | None:
    """A note where the phones look like whole words: no phone, or hardly one, is in two pronunciations."""
    counts = Counter(phone for line in lines for phone in line.fields)
    n_once = sum(n == 1 for n in counts.values())
    alone = all(len(line.fields) == 1 and line.fields[0].casefold() != line.word.casefold() for line in lines)
    is_spelled = alone and n_once == len(counts) and sum(map(len, counts)) >= _LETTERS * len(counts)
    if len(lines) > 1 and (is_spelled or (len(lines) >= _MANY and n_once > 0.9 * len(counts))):
        return f"{n_once} of {len(counts)} phones are in one pronunciation alone; are blanks missing between phones?"
    return None
