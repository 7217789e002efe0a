"""Words that no transcript has: parts of words, which a language model knows, put together again after recognition.

Frequent words stay whole; others are written in their syllables, with a `+` where a part goes on: `abé+ +ndi`. What is
recognised joins at these signs, so that any word made of known syllables can come out.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..display.brief import brief_repr
from ..lm.mixing import interpolate
from ..lm.model import NgramModel
from ..lm.smoothing import train
from ..lm.units import letters
from ..lm.vocabulary import Sentence
from .entries import Entry, nfc
from .letters import LetterTable, spelled
from .lexicon import Lexicon

JOIN = "+"
_CLEARLY = 0.25  # of a letter's neighbours, how many more must be consonants than vowels


class Parts(NamedTuple):
    """Words taken apart.

    Attributes:
        words: word -> its parts with blanks between them, `abé+ +ndi`.
        entries: the pronunciations of all these parts.
        vowels: the letters that end a part.
    """

    words: dict[str, str]
    entries: tuple[Entry, ...]
    vowels: str

    def __repr__(self) -> str:
        return brief_repr(self)

    def can_make(self, word: str) -> bool:
        """Whether the parts of a word, a new one perhaps, are all there."""
        known = {entry.word for entry in self.entries}
        return known.issuperset(in_parts(nfc(word), self.vowels))


def take_apart(lexicon: Lexicon, table: LetterTable | None, vowels: str) -> Parts:
    """The parts of the words of a lexicon whose words are pronounced as they are spelled.

    A word whose parts are not pronounced as it is, because a digraph would be cut or a part has only
    silent letters, is left out: it can only be recognised whole.

    Args:
        table: how they are spelled; None: each letter is a unit.
        vowels: letters that end a part, see `vowels_of`.
    """
    words = [e.word for e in lexicon.entries if e.word != lexicon.unk and e.phones != (lexicon.silence_phone,)]
    cut = {word: in_parts(word, vowels) for word in words}
    stems = sorted({part.strip(JOIN) for parts in cut.values() for part in parts})
    said = {entry.word: entry.phones for entry in spelled(stems, table)[0]}
    parts_of: dict[str, str] = {}
    used: dict[str, tuple[str, ...]] = {}
    for entry in lexicon.entries:
        phones = {part: said.get(part.strip(JOIN), ()) for part in cut.get(entry.word, ())}
        if phones and all(phones.values()) and sum((phones[p] for p in cut[entry.word]), ()) == entry.phones:
            parts_of[entry.word] = " ".join(cut[entry.word])
            used |= phones
    return Parts(parts_of, tuple(Entry(part, phones) for part, phones in sorted(used.items())), vowels)


def vowels_of(words: Iterable[str]) -> str:
    """The vowels among the letters of some words, without accents, found without knowing the language.

    Vowels stand beside consonants rather than beside vowels, and the most frequent letter is one: all letters begin as
    consonants, and the one that stands beside consonants most often becomes a vowel, as long as there is one that does
    so clearly more often than beside vowels. (Of 20 minutes of Mboshi these are the seven that it has; `g` and `z`, of
    digraphs, would be among them if "clearly" were left out.) Where it errs, parts are a little shorter or longer.

    Ref: Sukhotin's algorithm, as told by Guy, Vowel identification: an old (but good) algorithm, Cryptologia 15, 1991.

    Examples:
        >>> vowels_of(["banana", "bónito", "kimono", "melon", "lemon", "tomato"])
        'aeio'
    """
    beside: Counter[tuple[str, str]] = Counter()
    for word in words:
        plain = [_bare(letter) for letter in letters(word, boundary=None)]
        for one, other in pairwise(plain):
            if one != other:
                beside[one, other] += 1
                beside[other, one] += 1
    total: Counter[str] = Counter()
    for (one, _), count in beside.items():
        total[one] += count
    rest, vowels = dict(total), ""
    while rest:
        best = min(rest, key=lambda letter: (-rest[letter], letter))
        if rest.pop(best) > _CLEARLY * total[best]:
            vowels += best
            rest = {letter: count - 2 * beside[letter, best] for letter, count in rest.items()}
    return "".join(sorted(vowels))


def syllables(word: str, vowels: str) -> list[str]:
    """The word's letters up to each vowel; consonants after the last vowel are a part of their own.

    Args:
        vowels: letters without accents; accents on them do not matter, nor do capitals.

    Examples:
        >>> syllables("ngándáál", "a")
        ['ngá', 'ndá', 'á', 'l']
    """
    parts, begun = [], ""
    for letter in letters(word, boundary=None):
        begun += letter
        if _bare(letter) in vowels:
            parts.append(begun)
            begun = ""
    return [*parts, begun] if begun else parts


def in_parts(word: str, vowels: str) -> list[str]:
    """The word's syllables with the signs where they join.

    Examples:
        >>> in_parts("ndáá", "a"), in_parts("á", "a")
        (['ndá+', '+á'], ['+á'])
    """
    parts = syllables(word, vowels)
    return [*(part + JOIN for part in parts[:-1]), JOIN + parts[-1]]


def with_parts(text: str, whole: Collection[str], vowels: str) -> str:
    """The text with the words that are not among the whole ones in parts."""
    return " ".join(p for word in nfc(text).split() for p in ([word] if word in whole else in_parts(word, vowels)))


def open_model(
    whole: Sequence[Sentence], parted: Sequence[Sentence], order: int, *, words: Sequence[str]
) -> NgramModel:
    """The n-gram of an open vocabulary: one half that of whole words, the other that with rare words in parts.

    (So rare words are not lost among their parts: of held-out words of Mboshi 48.6 % are wrong, in parts alone 49.4 %.)

    Args:
        whole: the same sentences in both ways.
        parted: the same sentences in both ways.
        words: all words and parts.
    """
    return interpolate(train(whole, order, words=words), train(parted, order, words=words), 0.5)


def rewritten(words: Iterable[str], parts: Mapping[str, str]) -> list[str]:
    """The words, and in place of some their parts; `parts` as in `Parts.words`."""
    return [token for word in words for token in parts.get(word, word).split()]


def joined(text: str, joiner: str = JOIN) -> str:
    """The text with its parts put together. A word that is not finished ends where a whole one begins.

    Examples:
        >>> joined("wa abé+ +ndi +á kú+ wa")
        'wa abéndi á kú wa'
    """
    return " ".join(word for word, _, _ in whole_words(text.split(), joiner))


def whole_words(tokens: Sequence[str], joiner: str = JOIN) -> list[tuple[str, int, int]]:
    """The words that tokens join to, each with the index of its first token, and of the one after its last.

    Args:
        joiner: the subword marker: at the end of a token that goes on, and at the beginning of one that ends a word
            begun before; if it is empty, each token is a word.

    Examples:
        >>> whole_words(["wa", "abé+", "+ndi"])
        [('wa', 0, 1), ('abéndi', 1, 3)]
    """
    words: list[tuple[str, int, int]] = []
    begun, first = "", 0
    for i, token in enumerate(tokens):
        if joiner and token.endswith(joiner):
            first = first if begun else i
            begun += token[: -len(joiner)]
        elif joiner and token.startswith(joiner):
            words.append((begun + token[len(joiner) :], first if begun else i, i + 1))
            begun = ""
        else:
            words += [(begun, first, i), (token, i, i + 1)] if begun else [(token, i, i + 1)]
            begun = ""
    return [*words, (begun, first, len(tokens))] if begun else words


def frequent_words(texts: Iterable[str], fewest: int) -> frozenset[str]:
    """The words that come so often at least."""
    counts = Counter(word for text in texts for word in nfc(text).split())
    return frozenset(word for word, count in counts.items() if count >= fewest)


def _bare(letter: str) -> str:
    """A letter as a small one without its accents."""
    return unicodedata.normalize("NFD", letter)[0].casefold()
