"""Sentences out of running text: books, articles, pages.

Text comes a line at a time and memory does not grow with it: lines are put together to paragraphs, headings and marks
that nobody says are left out, and paragraphs are cut where a sentence ends. What follows decides as much as the sign:
`"Why?" asked Ann.` is one sentence, and so is `He met Mr. J. Smith at 3.30 p.m.`.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from .foreign_numbers import DOTTED_ORDINALS, base
from .languages import check_language

LINES = ("auto", "wrapped", "paragraphs")
"""How lines make paragraphs: told by the text itself; up to the next empty line; each line is one."""

_LOOKED_AT = 2000  # lines from which it is told whether lines are wrapped
_MOST_PARAGRAPH = 1 << 20  # characters; a text without empty lines is cut there
_MOST_WORDS_OF_HEADING = 20

_CLOSING = "\"'\u2019\u201d\u00bb\u203a)]}*_"
_OPENING = "\"'\u2018\u201c\u201e\u201a\u00ab\u2039([{\u00bf\u00a1*_\u2013\u2014- "
_EAST_ASIAN = "\u3002\uff01\uff1f"  # they need no blank
# A sentence may end: sign, quotes or brackets that close, and a blank.
_END = re.compile(
    rf"[.!?\u2026\u203d\u061f\u06d4\u0964]+[{re.escape(_CLOSING)}]*(?= )|[{_EAST_ASIAN}]+[\u300d\u300f\u201d]*"
)
_NEXT = re.compile(rf"[{re.escape(_OPENING)}]*(\w+)?")
_BRACKETS = re.compile(
    r"\[(?:\d+|[a-z]|\*|(?:illustration|footnote|sidenote|note|picture|image|transcriber)\b[^\[\]]*)\]", re.IGNORECASE
)
_RULE = re.compile(r"[\W_]*")
_CHAPTER = re.compile(
    r"(?:chapter|book|part|volume|vol\.|canto|act|scene|section|appendix|kapitel|chapitre|cap[i\u00ed]tulo|capitolo)"
    r"\s+(?:the )?(?:[ivxlcdm]+|\d+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|"
    r"first|second|third|last)\b[.:\u2014-]*[^.!?]{0,80}[.]?",
    re.IGNORECASE,
)
_ROMAN = re.compile(r"[ivxlcdm]+\.?|\d+\.?", re.IGNORECASE)

# Before names and numbers, never at the end of a sentence.
_TITLES = {
    "": "st mt ft vs cf fig figs no nos nr vol vols ch chap pp p ed eds sc viz al",
    "en": "mr mrs ms messrs mme mlle dr prof rev revd hon capt col gen lt lieut sgt serg maj cmdr adm gov sen rep pres "
    "sir mt bro fr sr jr esq supt insp",
    "de": "hr fr dr prof str bzw vgl evtl ggf s z.b d.h u.a geb",
    "fr": "m mm mme mlle mgr dr pr me mtre",
    "es": "sr sra srta dr dra d d\u00f1a prof ud uds",
    "it": "sig sigg dott dr prof on avv ing",
    "pt": "sr sra dr dra prof exmo",
    "nl": "dhr mevr mw dr prof ir drs",
}
_MONTHS = "jan feb mar apr jun jul aug sept sep oct nov dec"
# Verbs of who said the words before, of which "Why?" is no sentence by itself.
_TAGS = (
    "said says asked cried replied answered exclaimed shouted whispered murmured muttered added returned continued "
    "inquired enquired demanded began repeated observed remarked called thought laughed sighed groaned screamed gasped "
    "retorted interrupted roared put went broke"
)
# These may be words, too: only before a number they are what they stand for.
_OF_NUMBERS = "no al sc p fig s on me"
# With these a sentence begins, and no name goes on.
_STARTERS = "a an and but he her his i if in it its my no on our she so that the their then there they this we you"


class Sentences:
    """Cuts running text into sentences, and counts what it leaves out.

    Args:
        language: `en`, `de` ...: whose abbreviations are known, and whether a number with a dot may be an ordinal.
        lines: one of LINES.
        headings: whether headings are kept, as sentences of their own.

    Attributes:
        counts: how many paragraphs, sentences, headings and marks such as `[Illustration]` there were.

    Raises:
        ConfigError: for what is no code of a language.

    Examples:
        >>> text = ["CHAPTER I.", "", "Mr. J. Smith came", "at 3.30 p.m. It rained. [12]", "", '"Why?" Ann asked.']
        >>> list(Sentences("en")(text))
        ['Mr. J. Smith came at 3.30 p.m.', 'It rained.', '"Why?" Ann asked.']
    """

    def __init__(self, language: str = "", *, lines: str = "auto", headings: bool = False) -> None:
        check_language(language)
        if lines not in LINES:
            raise ValueError(f"lines={lines!r}; need one of {', '.join(LINES)}")
        self._lines, self._headings = lines, headings
        code = base(language) if language else ""
        self._titles = frozenset(f"{_TITLES['']} {_TITLES.get(code, '')}".split())
        self._has_ordinals = code in DOTTED_ORDINALS
        self._tags = frozenset(_TAGS.split()) if code in ("", "en") else frozenset()
        self._has_spaced_quotes, self._starters = code == "fr", frozenset(_STARTERS.split())
        self._months, self._of_numbers = frozenset(_MONTHS.split()), frozenset(_OF_NUMBERS.split())
        self.counts: Counter[str] = Counter()

    def __call__(self, lines: Iterable[str]) -> Iterator[str]:
        """The sentences of some lines of text, with single blanks between words."""
        for paragraph in self._paragraphs(lines):
            self.counts["paragraphs"] += 1
            paragraph, n_marks = _BRACKETS.subn(" ", paragraph)
            self.counts["marks"] += n_marks
            if _RULE.fullmatch(paragraph):
                continue
            if is_heading(paragraph):
                self.counts["headings"] += 1
                if self._headings:
                    yield " ".join(paragraph.split())
                continue
            for sentence in self.cut(paragraph):
                # In plays the name of who speaks stands before the words, in capitals.
                is_said = self._headings or not is_heading(sentence)
                self.counts["sentences" if is_said else "headings"] += 1
                if is_said:
                    yield sentence

    def _paragraphs(self, lines: Iterable[str]) -> Iterator[str]:
        """Lines put together to paragraphs."""
        lines = iter(lines)
        looked_at = list(itertools.islice(lines, _LOOKED_AT)) if self._lines == "auto" else []
        lines = itertools.chain(looked_at, lines)
        if self._lines == "paragraphs" or (self._lines == "auto" and not are_wrapped(looked_at)):
            yield from (line for line in lines if line.strip())
            return
        parts: list[str] = []
        size = 0
        for line in lines:
            stripped = line.strip()
            if parts and (not stripped or size > _MOST_PARAGRAPH):
                yield _joined(parts)
                parts, size = [], 0
            if stripped:
                parts.append(stripped)
                size += len(stripped)
        if parts:
            yield _joined(parts)

    def cut(self, paragraph: str) -> Iterator[str]:
        """The sentences of a paragraph."""
        paragraph = " ".join(paragraph.split())
        if self._has_spaced_quotes:
            paragraph = paragraph.replace("\u00ab ", "\u00ab").replace(" \u00bb", "\u00bb")
        begun = 0
        for sign in _END.finditer(paragraph):
            if self._ends(paragraph, begun, sign):
                yield paragraph[begun : sign.end()].strip()
                begun = sign.end()
        if rest := paragraph[begun:].strip():
            yield rest

    def _ends(self, paragraph: str, begun: int, sign: re.Match[str]) -> bool:
        """Whether a sentence ends with a sign."""
        if sign[0][0] in _EAST_ASIAN:
            return True
        following = _NEXT.match(paragraph, sign.end())
        word = following[1] if following else None
        if word is None or word[0].islower():  # scripts without case have no small letters
            return False
        closes = sign[0][-1] in _CLOSING
        if "." not in sign[0] or "!" in sign[0] or "?" in sign[0]:
            return not (closes and self._is_tagged(paragraph[sign.end() : sign.end() + 60]))
        if closes or sign[0].startswith(".."):
            return True
        first = paragraph.rfind(" ", begun, sign.start()) + 1 or begun
        token = paragraph[first : sign.start()].lstrip(_OPENING)
        return not self._goes_on(token, word, is_first=not paragraph[begun:first].strip())

    def _goes_on(self, token: str, following: str, *, is_first: bool) -> bool:
        """Whether a sentence goes on after a token with a dot and before a word with a capital, or a number."""
        small = token.lower().strip("'\u2019-")
        if small.rpartition("-")[2] in self._titles:
            return following[0].isdigit() or small not in self._of_numbers
        if len(small) == 1 and token.isupper() and (token != "I" or is_first):
            return True  # an initial
        if is_first and _ROMAN.fullmatch(token):
            return True  # the number of a paragraph
        if token.isdigit():
            return self._has_ordinals and len(token) <= 2
        if "." in token and len(small.replace(".", "")) == small.count(".") + 1:  # a.m, e.g, U.S
            is_name = token.isupper() and following.lower() not in self._starters  # U.S. Army
            return following[0].isdigit() or is_name or small in ("e.g", "i.e", "z.b", "d.h", "u.a")
        return small in self._months and following[0].isdigit()

    def _is_tagged(self, following: str) -> bool:
        """Whether it is told next who said the words before: `Ann asked`, `Mr. Smith had cried`."""
        words = re.findall(r"[\w']+", following)[:4]
        return any(word in self._tags for word in words[1:])


def _joined(parts: list[str]) -> str:
    """Lines as one; a word that was cut at a hyphen is put together, with it: it may be its own."""
    text = parts[0]
    pieces = [text]
    for part in parts[1:]:
        last = pieces[-1]
        glued = len(last) > 1 and last[-1] == "-" and last[-2].isalpha() and part[0].isalpha()
        pieces.append(part if glued else f" {part}")
    return "".join(pieces)


def are_wrapped(lines: Iterable[str]) -> bool:
    """Whether lines are parts of paragraphs: many begin in the middle of a sentence, with a small letter.

    Examples:
        >>> are_wrapped(["It was a dark and", "stormy night."]), are_wrapped(["It was dark.", "A stormy night."])
        (True, False)
    """
    stripped = [line.strip() for line in lines]
    pairs = [(a, b) for a, b in itertools.pairwise(stripped) if a and b]
    return sum(b[0].islower() for _, b in pairs) > 0.2 * len(pairs) if pairs else "" in stripped


def is_heading(paragraph: str) -> bool:
    """Whether a paragraph is the heading of a chapter, or a line of a title page: all in capitals, or numbered.

    Examples:
        >>> [is_heading(text) for text in ("CHAPTER I. THE STORM", "Chapter 12", "IV.", '"FIRE!"', "I saw it.")]
        [True, True, True, False, False]
    """
    text = paragraph.strip().strip("_*= ")
    words = text.split()
    if len(words) > _MOST_WORDS_OF_HEADING:
        return False
    if _CHAPTER.fullmatch(text) or _ROMAN.fullmatch(text):
        return True
    letters = [sign for sign in text if sign.isalpha()]
    n_small = sum(map(str.islower, letters))
    if not letters or text[0] in "\"'\u201c\u2018" or text[-1] in '!?"\u201d':
        return False
    return n_small < 0.3 * len(letters) and sum(map(str.isupper, letters)) > 3
