"""Transcripts as people write them, for training on one's own data: what is found in them, and what is done by default.

Words that differ by case alone become one, punctuation and what stands in brackets goes, numbers are written out where
the language is known. Nothing is changed where nothing of that is found. A lexicon decides how its words are spelled.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..corpus.core import Corpus
from ..corpus.utterance import Problem, Utterance
from ..display.brief import many
from ..errors import CorpusError
from ..files import kind_of
from ..lang.dictionary import CMUDICT, read_dictionary
from ..lang.entries import nfc
from ..lang.g2p import is_g2p
from ..lang.letters import LetterTable
from ..lang.normalize import Normalizer, Rules, lower
from ..lang.sources import G2P, LETTERS

Known = Callable[[str], str | None]


class Readable(NamedTuple):
    """A corpus whose transcripts are words, what makes other text the same, and lines for a person."""

    corpus: Corpus
    words_of: Callable[[str], str]
    notes: list[str]


def found_in(texts: Iterable[str]) -> list[str]:
    """What `asr train` finds in transcripts, and does with them unless an option says otherwise, a line each."""
    texts = list(texts)
    survey = Normalizer(Rules(case="keep"))
    for text in texts:
        survey(text)
    if not survey.spellings:
        return survey.report()[1:]
    normalizer = Normalizer(Rules())
    for text in texts:
        normalizer(text)
    return normalizer.report()[1:]


def readable(corpus: Corpus, sources: Sequence[str], *, language: str = "") -> Readable:
    """The corpus with its transcripts as words that are said.

    Args:
        sources: of pronunciations, by name. Dictionaries among them tell how their words are spelled, and letter tables
            which signs are letters.
        language: tells how numbers are read, and what the capital of i is; English where cmudict is a source, not known
            otherwise.

    Raises:
        CorpusError: if no words are left.
    """
    language = language or ("en" if CMUDICT in sources else "")
    known, style = _spellings(sources, language)
    rules = Rules(language, "keep", letters=_letters(sources))
    survey = Normalizer(rules, known)
    for utterance in corpus:
        survey(utterance.text or "")
    case: Any = style if survey.spellings or (known is not None and survey.total()["case"]) else "keep"
    normalizer = Normalizer(replace(rules, case=case), known)
    kept: list[Utterance] = []
    problems: list[Problem] = []
    for utterance in corpus:
        text = normalizer(utterance.text or "")
        if text:
            kept.append(utterance if text == utterance.text else replace(utterance, text=text))
        else:
            problems.append(Problem(utterance.id, f"no words are left of its transcript {utterance.text!r:.60}"))
    if not kept:
        raise CorpusError(f"{problems[0]}; nor are any of another: leave them as they are with --text as-is")
    notes = _notes(normalizer, kept, corpus, problems, language)
    same = len(kept) == len(corpus) and all(a is b for a, b in zip(kept, corpus, strict=True))
    return Readable(corpus if same else Corpus(kept, [*corpus.problems, *problems]), normalizer, notes)


def _notes(
    normalizer: Normalizer, kept: list[Utterance], corpus: Corpus, problems: list[Problem], language: str
) -> list[str]:
    """One line of what was changed and how to keep it, one for each thing that only a person can mend."""
    _, *found = normalizer.report()
    if not language and normalizer.total()["digits"]:
        found = [line for line in found if "digits not written out" not in line]
        n = normalizer.total()["digits"]
        found.append(
            f"{many(n, 'word')} with digits not written out ({', '.join(normalizer.examples['digits'])}): 7 and seven "
            "are two different words until --language tells how numbers are read (--language en, de, fr ...)"
        )
    mendable = ("not written out", "two scripts", "several scripts")
    open_ends = [line for line in found if any(what in line for what in mendable)]
    done = [line for line in found if line not in open_ends]
    by_id = {u.id: u for u in corpus}
    n_changed = sum(u is not by_id[u.id] for u in kept)
    notes = []
    if n_changed or problems:
        what = "; ".join(done) or "other blanks"
        notes.append(
            f"{many(n_changed, 'transcript was', 'transcripts were')} made into words (--text as-is keeps "
            f"them as they are): {what}"
        )
    if problems:
        notes.append(
            f"{many(len(problems), 'utterance is', 'utterances are')} left out, as no words are left of them: "
            f"{problems[0].where}"
        )
    return [*notes, *(f"transcripts: {line}" for line in open_ends)]


def _letters(sources: Sequence[str]) -> str:
    """The signs that letter tables among the sources spell."""
    tables = [LetterTable.load(s.partition(":")[2]) for s in sources if s.startswith(f"{LETTERS}:")]
    return "".join(sorted({sign for table in tables for spelling in table.spellings for sign in spelling}))


def _spellings(sources: Sequence[str], language: str) -> tuple[Known | None, str]:
    """How dictionaries among the sources spell a word, whatever its case, and the case of most of their words."""
    words: dict[str, None] = {}
    for source in sources:
        if source in (LETTERS, G2P) or source.startswith((f"{LETTERS}:", f"{G2P}:")) or is_g2p(source):
            continue
        if source == CMUDICT or kind_of(Path(source)) == "file":
            words |= dict.fromkeys(entry.word for entry in read_dictionary(source))
    if not words:
        return None, "lower"
    by_small: dict[str, str] = {}
    for word in words:
        by_small.setdefault(lower(word, language), word)
    n_upper = sum(word.isupper() for word in words)

    def known(token: str) -> str | None:
        word = nfc(token)
        return word if word in words else by_small.get(lower(word, language))

    return known, "upper" if 2 * n_upper > len(words) else "lower"
