"""Pronunciations from the spelling: digraphs, tone and accent marks by a small table, or simply letter by letter.

A table is a text file with tabs, such as

    ;; a comment
    ng<TAB>ng          two letters that are one unit; the longest spelling that fits is taken, from the left
    a<TAB>a
    x<TAB>k s          one letter that is two units
    -<TAB>             left out
    ◌́<TAB>◌́            a mark, written on a dotted circle: what it adds to the unit before it, here itself

Words are compared in small letters and without regard to how accents are composed. A letter with an accent may have a
line of its own (`é<TAB>e`); otherwise the accent needs a line as a mark. A mark between the letters of a digraph
separates them. Punctuation that has no line is left out; the apostrophes ’ ‘ ʼ ` ´ are read as ' where they have none.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ..display.brief import many
from ..errors import LexiconError
from ..files import numbered_lines, write_text
from ..options import known_names
from .entries import Entry, is_reserved, nfc, shortened
from .lexicon import Lexicon

Marks = Literal["keep", "strip"]

_CIRCLE = "\u25cc"
_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u02bc`\u00b4\u2032\uff07"), "'")


def folded(word: str) -> str:
    """A word in small letters and decomposed form (NFD), in which spellings are compared.

    Examples:
        >>> folded("ÉTÉ") == "e\\u0301te\\u0301"
        True
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFC", word).casefold())


@dataclass(frozen=True)
class LetterTable:
    """Pronunciations of spellings, see the module.

    Attributes:
        spellings: spelling -> units, none for what is left out.
        marks: combining mark (one character) -> what it adds to the name of the unit before it.

    Raises:
        LexiconError: for an empty spelling, a unit that is reserved or has blanks, and a mark that is none.
    """

    spellings: Mapping[str, tuple[str, ...]]
    marks: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<LetterTable: {many(len(self.spellings), 'spelling')}, {many(len(self.marks), 'mark')}>"

    def __post_init__(self) -> None:
        object.__setattr__(self, "spellings", {folded(s): tuple(map(nfc, u)) for s, u in self.spellings.items()})
        for spelling, units in self.spellings.items():
            if message := _row_problem(spelling, units):
                raise LexiconError(message)
        for mark, added in self.marks.items():
            if len(mark) != 1 or not unicodedata.combining(mark) or added.split() not in ([], [added]):
                raise LexiconError(f"mark {mark!r} that adds {added!r}; need one combining character, and no blanks")

    @classmethod
    def load(cls, path: str | os.PathLike) -> "LetterTable":
        """Read a table.

        Raises:
            LexiconError: with file:line for every line that cannot be used.
        """
        try:
            lines = list(numbered_lines(path))
        except OSError as error:
            raise LexiconError(f"{path}: cannot be read: {error.strerror}") from None
        spellings: dict[str, tuple[str, ...]] = {}
        marks: dict[str, str] = {}
        problems = []
        for number, line in lines:
            if line is None:
                problems.append(f"{path}:{number}: not valid UTF-8; save the file as UTF-8")
            elif line.strip() and not line.startswith(";;") and (message := _read_row(line, spellings, marks)):
                problems.append(f"{path}:{number}: {message}")
        if not problems and not spellings:
            problems = [f"{path}: holds no spellings; give lines of a spelling, a tab and its units"]
        if problems:
            raise LexiconError(shortened(problems, len(problems)))
        return cls(spellings, marks)

    def save(self, path: str | os.PathLike) -> None:
        """Write the table, for `load`. Spellings that a line cannot begin with, such as `;;`, are left out."""
        rows = [
            f"{nfc(spelling)}\t{' '.join(units)}\n"
            for spelling, units in sorted(self.spellings.items())
            if not spelling.startswith((";;", _CIRCLE))
        ]
        rows += [f"{_CIRCLE}{mark}\t{_CIRCLE * bool(added)}{added}\n" for mark, added in sorted(self.marks.items())]
        write_text(path, "".join(rows))

    @classmethod
    def of(cls, words: Iterable[str]) -> "LetterTable":
        """The table in which each letter of some words, with its accents, is a unit of its own.

        Examples:
            >>> LetterTable.of(["Çà", "là-bas"]).units
            ('a', 'b', 'l', 's', 'à', 'ç')
        """
        letters = {letter for word in words for letter in _letters(folded(word))}
        return cls({letter: (nfc(letter),) for letter in letters if not _is_dropped(letter)}, {})

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The units that lines of the table have, sorted; marks may add to them."""
        return tuple(sorted({unit for units in self.spellings.values() for unit in units}))

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.spellings), default=1)

    def spell(self, word: str, *, marks: Marks = "keep") -> tuple[tuple[str, ...], str]:
        """The units of a word, and the characters that the table does not have.

        Args:
            marks: "keep": marks add what the table says, so that `á` is another unit than `a`; "strip": they add
                nothing.

        Examples:
            >>> table = LetterTable({"ng": ("ng",), "a": ("a",), "n": ("n",)}, {"\\u0301": "\\u0301"})
            >>> table.spell("nángá"), table.spell("Ánga", marks="strip"), table.spell("nab")
            ((('n', 'á', 'ng', 'á'), ''), (('a', 'ng', 'a'), ''), (('n', 'a'), 'b'))
        """
        text, unknown = self._readable(word), ""
        units: list[str] = []
        place, is_said = 0, False  # is_said: a mark that follows belongs to the last unit
        while place < len(text):
            length = next((n for n in range(self._longest, 0, -1) if self._is_at(text, place, n)), 0)
            character = text[place]
            if length:
                units += self.spellings[text[place : place + length]]
                is_said = bool(self.spellings[text[place : place + length]])
            elif character in self.marks and place:
                if is_said and marks == "keep":
                    units[-1] = nfc(units[-1] + self.marks[character])
            else:
                unknown += "" if _is_dropped(character) else character
                is_said = False
            place += max(length, 1)
        return tuple(units), nfc(unknown)

    def without_marks(self, units: Iterable[str]) -> list[str]:
        """The units without what marks added: for a score that is blind to tones, for instance.

        Examples:
            >>> table = LetterTable({"a": ("a",), "é": ("é",)}, {"\\u0301": "\\u0301"})
            >>> table.without_marks(["á", "a", "é", "SIL"])
            ['a', 'a', 'é', 'SIL']
        """
        return [self._bare(unit) for unit in units]

    def _bare(self, unit: str) -> str:
        """A unit without what marks added; as it is if the table has no such unit."""
        name, added = unicodedata.normalize("NFD", unit), [unicodedata.normalize("NFD", a) for a in self.marks.values()]
        while nfc(name) not in self.units:
            last = max((a for a in added if a), key=name.rfind, default="")
            if not last or last not in name:
                return unit
            before, _, after = name.rpartition(last)
            name = before + after
        return nfc(name)

    def _is_at(self, text: str, place: int, length: int) -> bool:
        """Whether a spelling of the table stands there; an accent after it that is no mark belongs to the letter."""
        end = place + length
        if text[place:end] not in self.spellings or end > len(text):
            return False
        return end == len(text) or not unicodedata.combining(text[end]) or text[end] in self.marks

    def _readable(self, word: str) -> str:
        """The word as it is looked up: apostrophes that the table does not have become plain ones."""
        known = {ord(c) for spelling in self.spellings for c in spelling}
        return folded(word).translate({c: plain for c, plain in _APOSTROPHES.items() if c not in known})


@known_names
def letter_lexicon(
    words: Iterable[str] | Mapping[str, int],
    table: LetterTable | str | os.PathLike | None = None,
    *,
    marks: Marks = "keep",
    silence_phone: str = "SIL",
    silence_prob: float = 0.5,
    oov: str = "error",
    unk: str = "<unk>",
    position_dependent: bool = False,
) -> Lexicon:
    """The lexicon of words pronounced as they are spelled.

    silence_phone and what follows: settings of the `Lexicon`.

    Args:
        words: may come more than once, or with their counts; each has one entry.
        table: pronunciations of spellings, or their file; None: each letter with its accents is a unit.
        marks: "keep" or "strip", whether tones and accents that the table has as marks make units of their own.

    Raises:
        LexiconError: listing all words with characters that the table does not have, and those without any letter.

    Examples:
        >>> letter_lexicon(["Oui", "oui", "çà"]).entries[-1]
        Entry(word='çà', phones=('ç', 'à'), probability=1.0)
    """
    counts = word_counts(words)
    entries, unsaid = spelled(counts, table, marks=marks)
    if unsaid:
        raise LexiconError(f"{many(len(unsaid), 'word')} cannot be spelled:\n{_listed(unsaid, counts)}\n{_ADVICE}")
    return Lexicon(
        tuple(entries),
        silence_phone=silence_phone,
        silence_prob=silence_prob,
        oov=oov,
        unk=unk,
        position_dependent=position_dependent,
    )


_ADVICE = "Add the characters to the table, or correct the text."


def spelled(
    words: Iterable[str], table: LetterTable | str | os.PathLike | None = None, *, marks: Marks = "keep"
) -> tuple[list[Entry], dict[str, str]]:
    """The entries of words as they are spelled, and the words that cannot be, each with the reason.

    See `letter_lexicon`.
    """
    if marks not in ("keep", "strip"):
        raise LexiconError(f"marks={marks!r}; need 'keep' or 'strip'")
    words = list(words)
    if table is None:
        table = LetterTable.of(words)
    elif not isinstance(table, LetterTable):
        table = LetterTable.load(table)
    entries, unsaid = [], {}
    for word in dict.fromkeys(map(nfc, words)):
        units, unknown = table.spell(word, marks=marks)
        if unknown:
            unsaid[word] = "the table has no " + ", ".join(map(_named, dict.fromkeys(unknown)))
        elif not units:
            unsaid[word] = "none of its letters has a pronunciation"
        else:
            entries.append(Entry(word, units))
    return entries, unsaid


def word_counts(words: Iterable[str] | Mapping[str, int]) -> dict[str, int]:
    """Words in composed form with how often each comes, the most frequent first."""
    counts: Counter[str] = Counter()
    for word, count in words.items() if isinstance(words, Mapping) else ((word, 1) for word in words):
        counts[nfc(word)] += count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _letters(text: str) -> list[str]:
    """The characters of a decomposed text, each with the combining marks after it."""
    letters: list[str] = []
    for character in text:
        if unicodedata.combining(character) and letters:
            letters[-1] += character
        else:
            letters.append(character)
    return letters


def _is_dropped(letter: str) -> bool:
    """Whether it is punctuation, or a control or format character, which are left out unless the table has them."""
    return unicodedata.category(letter[0])[0] in "PC" or letter in "`´"


def _read_row(line: str, spellings: dict[str, tuple[str, ...]], marks: dict[str, str]) -> str | None:
    """Add a line of a table; returns what is wrong with it, or None."""
    spelling, tab, rest = line.partition("\t")
    spelling, units = folded(spelling.strip()), tuple(map(nfc, rest.split()))
    if not tab:
        return f"{line.strip()!r} has no tab; write the spelling, a tab and its units"
    if spelling.startswith(_CIRCLE):
        mark, added = spelling[1:], nfc("".join(units)).replace(_CIRCLE, "")
        if len(mark) != 1 or not unicodedata.combining(mark) or len(units) > 1:
            return f"{line.strip()!r}: a dotted circle needs one combining mark, and adds one thing or nothing"
        if mark in marks:
            return f"mark {spelling!r} was given before"
        marks[mark] = added
        return None
    if spelling in spellings:
        return f"spelling {nfc(spelling)!r} was given before"
    spellings[spelling] = units
    return _row_problem(spelling, units)


def _row_problem(spelling: str, units: Sequence[str]) -> str | None:
    """What is wrong with a spelling and its units, or None."""
    if spelling.split() != [spelling]:
        return f"spelling {nfc(spelling)!r}: need characters without blanks"
    wrong = next((unit for unit in units if unit.split() != [unit] or is_reserved(unit)), None)
    return None if wrong is None else f"spelling {nfc(spelling)!r}: unit {wrong!r} is reserved or has blanks"


def _named(character: str) -> str:
    """A character with its name in Unicode, as some cannot be seen."""
    return f"{character!r} ({unicodedata.name(character, f'U+{ord(character):04X}')})"


def _listed(unsaid: Mapping[str, str], counts: Mapping[str, int]) -> str:
    """Words with counts and reasons, the most frequent first."""
    lines = [f"  {word!r}, {count} times: {unsaid[word]}" for word, count in counts.items() if word in unsaid]
    return shortened(lines, len(lines))
