"""Text as people write it, made into spoken words: case, punctuation, numbers, brackets, invisible signs.

One pass, a line at a time, with memory that does not grow with the text: `Normalizer` keeps what it makes of frequent
tokens, and counts what it changed, so that a person can be told. `normalized` is the same for one line.
"""

import re
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..display.brief import many
from ..errors import ConfigError
from ..extras import install
from . import edges
from .edges import scripts_of
from .foreign_numbers import DOTTED_ORDINALS, KNOWN, base, german_ordinals, joined
from .languages import check_language
from .numbers import plain_english, signs_of, speller_of

_MOST_TOKENS = 1 << 18  # that are remembered; texts have few frequent ones
_MOST_SPELLINGS = 1 << 20  # different words of which both spellings by case are looked for
_EXAMPLES = 3  # of each kind of change
_DOTLESS = ("tr", "az")  # languages in which I is the capital of ı, and İ that of i
_JOINERS = "\u200c\u200d"  # they shape letters of Persian and Indic scripts, and nothing in Latin ones
_ELIDED = frozenset({"tis", "twas", "twere", "em", "til", "till", "cause", "bout", "cos", "cuz", "neath", "gainst"})
_OPEN = frozenset("[<{(*!+")
_MARK = "\ue000"  # stands for a mark that stays; as no sign is seen, none is left of those that a text has
_MAYBE_ORDINAL = re.compile(r"[(\"'\u201e\u201c\u00bb\u00ab]*(\d{1,3}\.)")


@dataclass(frozen=True)
class Rules:
    """What is done with a text.

    Attributes:
        language: `en`, `tr`, ...: how numbers are read, and what the capital of i is; "": not known.
        case: "lower" writes small letters, "upper" capitals, "keep" leaves them.
        punctuation: "strip" or "keep" signs at the edges of words, and `[noise]`, `<unk>`, `(laughs)`.
        brackets: see `punctuation`.
        numbers: "words" writes them out where there is a rule for the language, "keep" leaves them.
        letters: signs that are letters here, such as `'` or `:` in some orthographies, and stay at the edges of words.

    Raises:
        ConfigError: for another value.
    """

    language: str = ""
    case: Literal["lower", "upper", "keep"] = "lower"
    punctuation: Literal["strip", "keep"] = "strip"
    brackets: Literal["strip", "keep"] = "strip"
    numbers: Literal["words", "keep"] = "words"
    letters: str = ""

    def __post_init__(self) -> None:
        for name, allowed in (("case", ("lower", "upper", "keep")), ("punctuation", ("strip", "keep")),
                              ("brackets", ("strip", "keep")), ("numbers", ("words", "keep"))):  # fmt: skip
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name}={getattr(self, name)!r}; need {' or '.join(allowed)}")
        check_language(self.language)


_SIGNS = (  # kind of change, what is counted, what is said of it
    ("wide", "line", "with full-width letters or ligatures, now plain ones (NFKC)"),
    ("invisible", "invisible sign", "left out"),
    ("breaks", "line", "with invisible breaks between words, now blanks"),
    ("apostrophes", "line", "with curly apostrophes, now '"),
    ("hyphens", "line", "with hyphens of other kinds, now -"),
    ("stretched", "line", "with stretched letters, now plain ones"),
    ("accents", "line", "with punctuation on letters, left out"),
    ("composed", "line", "with accents apart from their letters, now in one piece (NFC)"),
)


class _Made(NamedTuple):
    """What became of a token: words, kinds of changes, and whether an apostrophe at an edge may be a quote."""

    words: tuple[str, ...]
    kinds: tuple[str, ...]
    opens: bool = False
    closes: bool = False


class Normalizer:
    """Makes lines of text into words, and counts what it does.

    Args:
        rules: what is done.
        known: the spelling of a word in a lexicon, or None where the lexicon does not have it; what it has stays as the
            lexicon spells it, punctuation, case and brackets included.

    Attributes:
        counts: how many words (lines, for "composed") each kind of change touched.
        examples: a few of each.

    Examples:
        >>> normalizer = Normalizer(Rules("en"))
        >>> normalizer("“Don’t wait,” said Ann - it's 25 [noise] O'Clock!")
        "don't wait said ann it's twenty five o'clock"
    """

    def __init__(self, rules: Rules | None = None, known: Callable[[str], str | None] | None = None) -> None:
        self.rules, self._known = rules or Rules(), known
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.n_lines = self.n_words = 0
        self.scripts: Counter[str] = Counter()
        self.spellings = 0  # words that come in two spellings, which differ by case
        self._speller = speller_of(self.rules.language) if self.rules.numbers == "words" else None
        self._has_dots = self._speller is not None and base(self.rules.language) in DOTTED_ORDINALS
        self._signs = signs_of(self.rules.language) if self.rules.numbers == "words" else {}
        self._variants = edges.variants(self.rules.letters, with_accents=self.rules.punctuation == "strip")
        self._plain = str.maketrans({a: b for signs in self._variants.values() for a, b in signs.items()})
        self._made: dict[str, _Made] = {}
        self._kinds: Counter[tuple[str, ...]] = Counter()
        self._scripts_of: dict[str, str] = {}
        self._spelled: dict[str, str] = {}
        self._times: Counter[str] = Counter()  # of tokens, as they are written
        self._marks: deque[str] = deque()  # of a line, where they stay

    def __call__(self, line: str) -> str:
        """The words of a line, with single blanks between them."""
        self.n_lines += 1
        if not line.isascii():
            line = self._composed(line)
        if "`" in line or "\u00b4" in line:
            line = self._with_apostrophes(line)
        self._marks.clear()
        if "strip" in (self.rules.brackets, self.rules.punctuation) and not _OPEN.isdisjoint(line):
            line = edges.BRACKETS.sub(self._bracket, line)
        if self._speller is not None and any(map(str.isdigit, line)):
            line = self._with_plain_numbers(line)
        made = []
        tokens = line.split()
        if len(self._times) < _MOST_TOKENS:
            self._times.update(tokens)
        for i, token in enumerate(tokens):
            if self._has_dots and token[-1] == "." and _MAYBE_ORDINAL.fullmatch(token) and edges.goes_on(tokens, i):
                each = self._maybe_ordinal(token)
            elif token == _MARK:
                each = _Made((self._marks.popleft(),), ())
            else:
                each = self._made.get(token) or self._remembered(token)
            if each.kinds:
                self._kinds[each.kinds] += 1
            made.append(each)
        if "'" in line:
            made = list(_without_quotes(made))
        words = [word for each in made for word in each.words]
        self.n_words += len(words)
        return " ".join(words)

    def _with_plain_numbers(self, line: str) -> str:
        """The line with numbers that are more than a token made one, or words."""
        language = base(self.rules.language)
        line = joined(line, language, lambda number: self._count("joined", number))
        if language == "en":
            return plain_english(line)
        if language == "de" and self.rules.punctuation == "strip":
            return german_ordinals(line, lambda number: self._count("numbers", number))
        return line

    def _maybe_ordinal(self, token: str) -> _Made:
        """A number with a dot amid a line, which may be an ordinal, and nothing tells its ending: it stays."""
        self._note("ordinals", token)
        return _Made((_MAYBE_ORDINAL.sub(r"\1", token),), ("ordinals",))

    def _composed(self, line: str) -> str:
        """The line in composed form (NFC), without signs that are not seen, with plain apostrophes."""
        if not unicodedata.is_normalized("NFC", line):
            line = unicodedata.normalize("NFC", line)
            self._count("composed", line[:20])
        if wide := edges.WIDE.search(line):
            self._count("wide", wide[0])
            line = edges.WIDE.sub(lambda m: unicodedata.normalize("NFKC", m[0]), line)
        if "\u200b" in line and edges.BREAK.search(line):
            line = edges.BREAK.sub(" ", line)
            self._count("breaks", "U+200B")
        if not line.isprintable():
            line = "".join(map(self._visible, line))
        if "\u200c" in line or "\u200d" in line:
            line = re.sub(rf"(?<![^\W\d_a-zA-Z])[{_JOINERS}]|[{_JOINERS}](?![^\W\d_a-zA-Z])", "", line)
        plain = line.translate(self._plain)
        if plain != line:
            for kind, signs in self._variants.items():
                if sign := next(filter(signs.__contains__, line), None):
                    self._count(kind, sign)
        return plain

    def _with_apostrophes(self, line: str) -> str:
        """The line with ' for accents between letters."""
        found = edges.ACUTE.search(line)
        if found is None or found[0] in self.rules.letters:
            return line
        self._count("apostrophes", found[0])
        return edges.ACUTE.sub(lambda m: m[0] if m[0] in self.rules.letters else "'", line)

    def _visible(self, sign: str) -> str:
        kind = unicodedata.category(sign)
        if kind[0] != "C" or sign in _JOINERS:
            return sign
        if sign.isspace():
            return " "
        self._count("invisible", f"U+{ord(sign):04X}")
        return " " if kind == "Cc" else ""

    def _bracket(self, match: re.Match[str]) -> str:
        """What stands for brackets: nothing, but for what a lexicon has, and for words that are said in them."""
        whole = match[0]
        if self._known is not None and self._known(whole) is not None:
            return f" {self._known(whole)} "
        inner = match[1] if match[1] is not None else match[2]
        if inner is not None and not (inner.split() and edges.EVENTS.issuperset(inner.lower().split())):
            return f" {inner} " if self.rules.brackets == "strip" else whole
        if self.rules.brackets == "keep":
            self._marks.append(whole)
            return f" {_MARK} "
        self._count("brackets", whole)
        return " "

    def _remembered(self, token: str) -> _Made:
        """What becomes of a token that is not remembered, and is now."""
        if len(self._made) >= _MOST_TOKENS:
            self._made.clear()
        made = self._made[token] = self._token(token)
        for kind in made.kinds:
            self._note(kind, token)
        return made

    def _token(self, token: str) -> _Made:
        """What becomes of a token, whatever stands around it."""
        if self._known is not None and (spelling := self._known(token)) is not None:
            return _Made((spelling,), ("case",) if spelling != token else ())
        if self.rules.case != "upper" and token.isascii() and token.isalpha() and token.islower():  # most words
            self._compare(token, token)
            return _Made((token,), ())
        if self.rules.punctuation == "keep":
            return self._cased([token], [], False, False)
        if edges.EAST_ASIAN.search(token):
            parts = [self._token(part) for part in edges.EAST_ASIAN.split(token) if part]
            found = dict.fromkeys(["punctuation", *(kind for part in parts for kind in part.kinds)])
            return _Made(tuple(word for part in parts for word in part.words), tuple(found))
        if address := edges.ADDRESS.fullmatch(edges.stripped(token, inside=False).strip("'")):
            return self._cased([address[0]], ["addresses"], False, False)
        kinds: list[str] = []
        body = self._number(token, kinds)
        if body is not None:
            stripped = body.split()
        elif "digits" in kinds:
            stripped = [edges.with_its_signs(token, self.rules.letters)]
        else:
            stripped = [edges.stripped(piece, self.rules.letters) for piece in edges.pieces(token)]
        words = [read for piece in stripped for word in piece.split() if (read := self._word(word))]
        has_quotes = bool(words) and "'" not in self.rules.letters
        opens, closes = has_quotes and words[0][0] == "'", has_quotes and words[-1][-1] == "'"
        if body is None and "".join(words) != token:
            kinds.append("punctuation")
        return self._cased(words, kinds, opens, closes)

    def _number(self, token: str, kinds: list[str]) -> str | None:
        """A token with digits in words, None where it has none, or no rule fits."""
        if not any(unicodedata.category(sign) in ("Nd", "No") for sign in token):
            return None
        words = self._speller(edges.with_its_signs(token)) if self._speller is not None else None
        kinds.append("numbers" if words is not None else "digits")
        return words

    def _word(self, word: str) -> str:
        """A word; what is read for a sign by itself, nothing where it is not known how."""
        if word.isalpha() or any(unicodedata.category(c)[0] in "LNM" for c in word):
            return word
        if word in self._signs:
            return self._signs[word]
        return word if word.strip("'") and not set(word).isdisjoint(self.rules.letters) else ""

    def _cased(self, words: list[str], kinds: list[str], opens: bool, closes: bool) -> _Made:
        """The words in the case that the rules or a lexicon want."""
        made = []
        for word in words:
            small = lower(word, self.rules.language)
            self._compare(word, small)
            spelling = self._known(word) if self._known is not None else None
            new = spelling if spelling is not None else self._in_case(word, small)
            if new != word and "case" not in kinds:
                kinds.append("case")
            made.append(new)
        if len({script for word in made for script in scripts_of(word)}) > 1:
            kinds.append("mixed")
        return _Made(tuple(made), tuple(kinds), opens, closes)

    def _in_case(self, word: str, small: str) -> str:
        if self.rules.case == "upper":
            return upper(word, self.rules.language)
        return small if self.rules.case == "lower" else word

    def _compare(self, word: str, small: str) -> None:
        """Remember how a word is spelled; its second spelling is counted."""
        before = self._spelled.get(small)
        if before is None:
            if len(self._spelled) < _MOST_SPELLINGS:
                self._spelled[small] = word
            for script in scripts_of(word):
                self.scripts[script] += 1
        elif before not in (word, ""):
            self.spellings += 1
            self._note("spellings", small)
            self._spelled[small] = ""

    def _count(self, kind: str, example: str) -> None:
        self.counts[kind] += 1
        self._note(kind, example)

    def _note(self, kind: str, example: str) -> None:
        noted = self.examples.setdefault(kind, [])
        if len(noted) < _EXAMPLES and example not in noted:
            noted.append(example)

    def total(self) -> Counter[str]:
        """How many words each kind of change touched."""
        total = Counter(self.counts)
        for kinds, count in self._kinds.items():
            for kind in kinds:
                total[kind] += count
        return total

    def report(self) -> list[str]:
        """What was found and done, a line each, nothing of what did not come."""
        total, rules = self.total(), self.rules
        lines = [f"{many(self.n_lines, 'line')}, {many(self.n_words, 'word')}"]
        if self.spellings:
            lines.append(f"{many(self.spellings, 'word')} in several spellings by case: {self._all_spellings()}")
        done = {
            "case": "of other case now",
            "punctuation": "without their punctuation",
            "numbers": "with digits written out",
            "brackets": "in brackets, or other marks, left out",
            "addresses": "left whole, as e-mail and web addresses are",
        }
        for kind, what in done.items():
            if total[kind]:
                lines.append(f"{many(total[kind], 'word')} {what}{self._shown(kind)}")
        if total["digits"]:
            why = "" if rules.numbers == "keep" else f" ({self._no_rule()})"
            lines.append(f"{many(total['digits'], 'word')} with digits not written out{why}{self._shown('digits')}")
        if total["ordinals"]:
            lines.append(
                f"{many(total['ordinals'], 'number')} with a dot not written out, which may be ordinals (their endings "
                f"are not known; write them out by hand){self._shown('ordinals')}"
            )
        if total["joined"]:
            lines.append(f"{many(total['joined'], 'number')} with blanks in it, taken for one{self._shown('joined')}")
        for kind, one, what in _SIGNS:
            if total[kind]:
                lines.append(f"{many(total[kind], one)} {what}{self._shown(kind) if kind != 'composed' else ''}")
        if len(self.scripts) > 1:
            listed = ", ".join(
                f"{name} ({many(count, 'different word')})" for name, count in self.scripts.most_common(6)
            )
            lines.append(f"several scripts: {listed}")
        if total["mixed"]:
            lines.append(f"{many(total['mixed'], 'word')} with letters of two scripts{self._shown('mixed')}")
        return lines

    def _all_spellings(self) -> str:
        """A few words of several spellings, each with all of these, the most frequent first."""
        found: dict[str, Counter[str]] = {small: Counter() for small in self.examples["spellings"]}
        for token, count in self._times.items():
            word = edges.stripped(token)
            if (times := found.get(lower(word, self.rules.language))) is not None:
                times[word] += count
        return ", ".join("/".join(word for word, _ in times.most_common()) for times in found.values())

    def _no_rule(self) -> str:
        """Why words with digits are left."""
        if self._speller is not None:
            return "no numbers that are read in one way"
        if not self.rules.language:
            return "the language is not known: --language en writes them out"
        if base(self.rules.language) not in KNOWN:
            return f"no rule for {self.rules.language!r}, and num2words knows none; write them out by hand"
        return f"num2words has rules for {self.rules.language!r}: {install('text')}"

    def _shown(self, kind: str) -> str:
        found = self.examples.get(kind)
        return f": {', '.join(found)}" if found else ""


def normalized(line: str, rules: Rules | None = None) -> str:
    """The words of one line of text, see `Normalizer`.

    Examples:
        >>> normalized("Çà, là-bas: «L’été»!")
        "çà là-bas l'été"
    """
    return Normalizer(rules)(line)


def lower(word: str, language: str = "") -> str:
    """A word in small letters, by the rules of its language and script.

    Examples:
        >>> lower("IŞIK", "tr"), lower("ΟΔΟΣ"), lower("İ")
        ('ışık', 'οδος', 'i')
    """
    if word.isascii() and language not in _DOTLESS:
        return word.lower()
    if language.partition("-")[0].lower() in _DOTLESS:
        word = word.replace("I", "ı").replace("İ", "i")
    return unicodedata.normalize("NFC", word.lower().replace("i\u0307", "i"))


def upper(word: str, language: str = "") -> str:
    """A word in capitals, by the rules of its language."""
    return (word.replace("i", "İ") if language.partition("-")[0].lower() in _DOTLESS else word).upper()


def _without_quotes(made: Iterable[_Made]) -> Iterator[_Made]:
    """The words of a line without apostrophes that are quotes: one opens a word, and one closes that or a later one."""
    line = list(made)
    opened = None
    for i, each in enumerate(line):
        if each.opens and len(each.words) == 1:
            word = each.words[0]
            if each.closes and len(word) > 2:  # 'quoted', whatever came before
                line[i] = each._replace(words=(word[1:-1],))
                continue
            if word[1:].lower() in _ELIDED:
                continue
        if each.opens:
            opened = i if opened is None else opened
        if each.closes and opened is not None:
            first = line[opened]
            line[opened] = first._replace(words=(first.words[0][1:], *first.words[1:]))
            last = line[i]
            line[i] = last._replace(words=(*last.words[:-1], last.words[-1][:-1]))
            opened = None
    yield from line
