"""One lexicon for the words of some texts from several sources: a dictionary first, then what can guess the rest."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ..display.brief import brief_repr
from ..errors import LexiconError
from ..files import kind_of
from ..options import given, known_names
from .dictionary import CMUDICT, find_cmudict, look_up, read_dictionary
from .entries import Entry, nfc
from .letters import LetterTable, Marks, spelled, word_counts
from .lexicon import Lexicon

if TYPE_CHECKING:
    from .g2p import G2p

_log = logging.getLogger(__name__)

LETTERS, G2P = "letters", "g2p"

_NEED_SOURCE = f"need {LETTERS}, {LETTERS}:TABLE, {CMUDICT}, a lexicon file, {G2P}, or the folder of a G2P model"
_SHOWN = 10  # words in a line of the log


@dataclass(frozen=True)
class BuiltLexicon:
    """The lexicon of some texts, and where it comes from.

    Attributes:
        lexicon: the words of the texts, the most frequent first; after them what a lexicon file says of `<unk>` and
            pauses.
        oov: the words that no source has, with their counts, most frequent first.
        by_source: name of a source -> the words that it gave, with their counts; those of the second source are the
            words that the first does not have, and so on.
    """

    lexicon: Lexicon
    oov: dict[str, int]
    by_source: dict[str, dict[str, int]]

    def __repr__(self) -> str:
        return brief_repr(self)

    def table(self) -> str:
        """All words that the first source does not have, as lines `word<TAB>count<TAB>source<TAB>phones`."""
        lines = []
        for name, words in [*list(self.by_source.items())[1:], ("none", self.oov)]:
            for word, count in words.items():
                said = self.lexicon.entries_of(word)[0].phones if word not in self.oov else ()
                lines.append(f"{word}\t{count}\t{name}\t{' '.join(said)}\n")
        return "".join(lines)


@known_names
def build_lexicon(
    texts: Iterable[str],
    source: Any = LETTERS,
    *,
    marks: Marks = "keep",
    stress: bool = False,
    n_best: int = 1,
    silence_phone: str | None = None,
    silence_prob: float | None = None,
    oov: str | None = None,
    unk: str | None = None,
    position_dependent: bool | None = None,
) -> BuiltLexicon:
    """The lexicon of the words of some texts, each from the first source that has it.

    silence_phone and what follows: settings of the `Lexicon`; None is that of the first lexicon among the sources.

    Args:
        texts: words separated by white space. What the first source does not have is logged at once, with counts.
        source: one of these, or several in order: "letters", "letters:TABLE" or a LetterTable: as words are spelled;
            "cmudict", a lexicon file or a Lexicon: as it says, without regard to case; "g2p:FOLDER", the folder or a
            G2p: as a G2P model guesses; "g2p" alone trains one from the dictionaries before.
        marks: of letters: "keep" or "strip" what the table has as marks.
        stress: of cmudict: whether vowels keep their digits.
        n_best: of G2P: pronunciations of each word.

    Raises:
        LexiconError: for a source that is none, or cannot be read, and where no word has a pronunciation.

    Examples:
        >>> built = build_lexicon(["two words"], [Lexicon([("two", ("T", "UW"))]), "letters"])
        >>> [" ".join(entry.phones) for entry in built.lexicon.entries], built.by_source["letters"]
        (['T UW', 'w o r d s'], {'words': 1})
    """
    settings = given(
        silence_phone=silence_phone,
        silence_prob=silence_prob,
        oov=oov,
        unk=unk,
        position_dependent=position_dependent,
    )
    counts = word_counts(word for text in texts for word in text.split())
    sources = list(source) if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    if not sources:
        raise LexiconError(f"no source for the lexicon; give one or more, such as {LETTERS!r} or {CMUDICT!r}")
    ready = [_Opened.of(each, stress) for each in sources]
    by_word, by_source, unknown = _collected(counts, ready, marks=marks, n_best=n_best, progress=_report)
    if not by_word:
        raise LexiconError(f"no source has any of the {len(counts)} words of the texts")
    inherited, extra = _of_lexicon(ready, by_word)
    ordered = [entry for word in counts for entry in by_word.get(word, ())]
    return BuiltLexicon(Lexicon((*ordered, *extra), **{**inherited, **settings}), unknown, by_source)


def _collected(
    counts: Mapping[str, int],
    ready: Iterable["_Opened"],
    *,
    marks: Marks = "keep",
    n_best: int = 1,
    progress: Callable[[str, Mapping[str, int], Mapping[str, int]], None] | None = None,
) -> tuple[dict[str, list[Entry]], dict[str, dict[str, int]], dict[str, int]]:
    """What sources say of words: the first one of each that it has, the next one of the others, and so on.

    Args:
        progress: called with the name of each source, what it does not have, and all counts.

    Returns:
        entries by word, the counts of the words of each source, and of those that none has.
    """
    by_word: dict[str, list[Entry]] = {}
    by_source: dict[str, dict[str, int]] = {}
    known: list[Entry] = []
    unknown = dict(counts)
    for each in ready:
        entries = each.entries(unknown, known, marks, n_best)
        known += each.dictionary or ()
        for entry in entries:
            by_word.setdefault(entry.word, []).append(entry)
        by_source.setdefault(each.name, {}).update({word: count for word, count in unknown.items() if word in by_word})
        unknown = {word: count for word, count in unknown.items() if word not in by_word}
        if progress is not None:
            progress(each.name, unknown, counts)
    return by_word, by_source, unknown


def opened(sources: Iterable[Any]) -> list[Any]:
    """Sources that are read, to be given in their place: what is wrong with one is said before slow work begins.

    "letters" stays as it is, since a model's letters may be meant, and so does "g2p".

    Raises:
        LexiconError: for a source that is none, or cannot be read.
    """
    names = list(sources)
    check_sources(names)
    return [name if name in (LETTERS, G2P) else _Opened.of(name, False) for name in names]


def check_sources(sources: Iterable[Any]) -> None:
    """Raise LexiconError for a source that cannot be there; at once, for the start of work that takes minutes."""
    for source in sources:
        if source == CMUDICT:
            find_cmudict()
        elif isinstance(source, (str, os.PathLike)):
            _check_name(os.fspath(source))


def _check_name(name: str) -> None:
    """Raise LexiconError unless something of the name is there."""
    bare = name.partition(":")[2] if name.startswith((f"{LETTERS}:", f"{G2P}:")) else name
    if name not in (LETTERS, G2P) and kind_of(bare) not in ("file", "folder"):
        raise LexiconError(f"{name!r} is no source of pronunciations; {_NEED_SOURCE}")


def extended(
    lexicon: Lexicon, words: Iterable[str], sources: Sequence[Any] = (), letters: LetterTable | None = None
) -> tuple[Lexicon, dict[str, str]]:
    """The lexicon of a trained model with more words of the same phones; and why it still lacks some of them.

    Phones keep their ids, so trees and transitions of the old lexicon are those of the new one.

    Args:
        sources: of pronunciations, see `build_lexicon`; none: the letters, if they are known.
        letters: how the model's own words are spelled; what "letters" among the sources stands for.

    Examples:
        >>> known = Lexicon([("cab", tuple("cab"))])
        >>> longer, lost = extended(known, ["bac", "bad"], ["letters"])
        >>> longer.entries[1].phones, lost
        (('b', 'a', 'c'), {'bad': "the model has no 'd'"})
    """
    new, lost = new_entries(lexicon, words, sources, letters)
    return (replace(lexicon, entries=(*lexicon.entries, *new)) if new else lexicon), lost


def new_entries(
    lexicon: Lexicon, words: Iterable[str], sources: Sequence[Any] = (), letters: LetterTable | None = None
) -> tuple[list[Entry], dict[str, str]]:
    """The entries that `extended` adds, and the words that the lexicon then still lacks, each with the reason."""
    new = [word for word in dict.fromkeys(map(nfc, words)) if word not in lexicon]
    asked = [letters if source == LETTERS and letters is not None else source for source in sources]
    if not asked and letters is not None:
        asked = [letters]
    if not new or not asked:
        return [], dict.fromkeys(new, "it has no pronunciation in the model")
    by_word = _collected(word_counts(new), [_Opened.of(each, False) for each in asked])[0]
    known = {phone for entry in lexicon.entries for phone in entry.phones}
    sayable = {word: [e for e in by_word.get(word, ()) if known.issuperset(e.phones)] for word in new}
    found = [entry for entries in sayable.values() for entry in entries]
    return found, {w: _why_not(w, by_word.get(w, []), known, letters) for w in new if not sayable[w]}


def _why_not(word: str, entries: Sequence[Entry], known: set[str], letters: LetterTable | None) -> str:
    """Why a model cannot say a word.

    Args:
        entries: those that were found, all with phones that it does not know.
    """
    if entries:
        strange = dict.fromkeys(phone for phone in entries[0].phones if phone not in known)
        return f"the model has no {', '.join(map(repr, strange))}"
    unknown = "" if letters is None else letters.spell(word)[1]
    if unknown:
        return f"the model has no {', '.join(map(repr, dict.fromkeys(unknown)))}"
    return "no source of pronunciations has it"


@dataclass(frozen=True)
class _Opened:
    """A source that is ready: one of a dictionary, a letter table (None: each letter is a unit), and a G2P model."""

    name: str
    dictionary: Sequence[Entry] | None = None
    lexicon: Lexicon | None = None
    table: LetterTable | None = None
    model: "G2p | None" = None

    @classmethod
    def of(cls, source: Any, stress: bool) -> "_Opened":
        """Open a source. Raises LexiconError if it is none."""
        from .g2p import G2p, is_g2p

        if isinstance(source, _Opened):
            return source
        if isinstance(source, Lexicon):
            return cls("lexicon", source.entries, source)
        if isinstance(source, LetterTable):
            return cls(LETTERS, table=source)
        if isinstance(source, G2p):
            return cls(G2P, model=source)
        name = os.fspath(source)
        if name in (LETTERS, G2P):
            return cls(name)
        if name.startswith(f"{LETTERS}:"):
            return cls(name, table=LetterTable.load(name.partition(":")[2]))
        if name.startswith(f"{G2P}:") or is_g2p(name):
            return cls(name, model=G2p.load(name.removeprefix(f"{G2P}:")))
        if name == CMUDICT:
            return cls(name, read_dictionary(name, stress=stress))
        if kind_of(name) == "file":
            lexicon = Lexicon.load(name)
            return cls(name, lexicon.entries, lexicon)
        raise LexiconError(f"{name!r} is no source of pronunciations; {_NEED_SOURCE}")

    def entries(self, words: Mapping[str, int], known: Sequence[Entry], marks: Marks, n_best: int) -> list[Entry]:
        """What the source says of some words.

        Args:
            known: entries of the dictionaries before, from which G2P may learn.
        """
        if self.dictionary is not None:
            return look_up(words, self.dictionary).entries
        if not words:
            return []
        if self.model is not None:
            return self.model.entries(words, n_best=n_best)[0]
        if self.name == G2P:
            if not known:
                raise LexiconError(f"source {G2P!r} learns from the dictionaries before it; there are none")
            from .g2p import train

            return train(known).entries(words, n_best=n_best)[0]
        return spelled(words, self.table, marks=marks)[0]


def _of_lexicon(opened: Iterable[_Opened], known: Mapping[str, Any]) -> tuple[dict[str, Any], list[Entry]]:
    """The settings of the first lexicon among the sources, and its entries for `<unk>` and pauses."""
    lexicon = next((each.lexicon for each in opened if each.lexicon is not None), None)
    if lexicon is None:
        return {}, []
    settings = {f.name: getattr(lexicon, f.name) for f in fields(Lexicon) if f.name != "entries"}
    special = [e for e in lexicon.entries if e.word == lexicon.unk or e.phones == (lexicon.silence_phone,)]
    return settings, [entry for entry in special if entry.word not in known]


def _report(name: str, oov: Mapping[str, int], counts: Mapping[str, int]) -> None:
    """Log what a source does not have."""
    if oov:
        rate = 100 * sum(oov.values()) / sum(counts.values())
        listed = ", ".join(f"{word} ({count})" for word, count in list(oov.items())[:_SHOWN])
        more = ", ..." if len(oov) > _SHOWN else ""
        _log.warning(
            "%s: %d of %d words (%.2f %% of the text) have no pronunciation: %s%s",
            *(name, len(oov), len(counts), rate, listed, more),
        )


def spelled_as_in(lexicon: Lexicon, words: Iterable[str], *, once: bool = True) -> list[str]:
    """Words in the case of the lexicon's: as it spells them, or as all of its words are written.

    Args:
        once: whether a word that comes again is left out.

    Examples:
        >>> spelled_as_in(Lexicon([("seven", ("S",)), ("one", ("W",))]), ["Seven", "Twenty-one", "one"])
        ['seven', 'twenty-one', 'one']
    """
    known = list(dict.fromkeys(entry.word for entry in lexicon.entries if any(map(str.isalpha, entry.word))))
    of_small: dict[str, str] = {}
    for word in known:
        of_small.setdefault(word.lower(), word)
    has_small, has_capitals = (any(word != case(word) for word in known) for case in (str.upper, str.lower))
    style = str.lower if not has_capitals else str.upper if not has_small else str
    has = set(known)
    found = [w if w in has else of_small.get(w.lower(), style(w)) for w in words]
    return list(dict.fromkeys(found)) if once else found
