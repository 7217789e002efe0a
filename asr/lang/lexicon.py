"""The lexicon: how words are said, with silence, disambiguation symbols and what happens to unknown words."""

import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import LexiconError, did_you_mean
from ..files import numbered_lines, write_text
from .symbols import EPSILON, SymbolTable

OOV_POLICIES = ("error", "skip", "unk")
SENTENCE_START, SENTENCE_END = "<s>", "</s>"
_RESERVED = re.compile(r"<eps>|#\d+|<s>|</s>")
_PROBABILITY = re.compile(r"[01]\.\d+")
_SETTINGS = re.compile(r";;((\s+\w+=\S+)+)\s*")
_SHOWN = 20  # problems or words listed in one message


class Entry(NamedTuple):
    """One way to say one word."""

    word: str
    phones: tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    """Words and their pronunciations, with the two symbol tables that everything after it uses.

    A word with several pronunciations has several entries. Words are kept in Unicode's composed form (NFC), in which
    `encode` also looks them up, so that texts typed on different systems meet.

    entries: `Entry` or (word, phones) pairs, in the order of the file; at least one.
    silence_phone: the phone of pauses; may be a word's whole pronunciation (`!SIL SIL`) but not a part of one.
    silence_prob: 0 <= p < 1, probability of a pause at each word boundary; 0 means that pauses are not modelled.
    oov: what `encode` does with a word without pronunciation: "error", "skip" the utterance, or map it to `unk`.
    unk: the word that unknown words are mapped to; needs an entry of its own if oov is "unk".
    Raises LexiconError listing every entry that is empty, repeated, reserved or otherwise unusable.

    >>> lexicon = Lexicon([("to", ("T", "UW")), ("two", ("T", "UW"))])
    >>> lexicon.disambiguation, list(lexicon.phones)
    ((1, 2), ['<eps>', 'SIL', 'T', 'UW', '#0', '#1', '#2', '#3'])
    >>> lexicon.encode("two to")
    [2, 1]
    """

    entries: tuple[Entry, ...]
    _: KW_ONLY
    silence_phone: str = "SIL"
    silence_prob: float = 0.5
    oov: str = "error"
    unk: str = "<unk>"

    def __post_init__(self) -> None:
        entries = tuple(Entry(_nfc(word), tuple(phones)) for word, phones in self.entries)
        object.__setattr__(self, "entries", entries)
        object.__setattr__(self, "unk", _nfc(self.unk))
        _check_entries(entries, [f"entry {i}" for i in range(1, len(entries) + 1)], self.silence_phone)
        if not entries:
            raise LexiconError("the lexicon has no entries; give at least one word with its phones")
        if len(self.silence_phone.split()) != 1 or _RESERVED.fullmatch(self.silence_phone):
            raise LexiconError(
                f"silence_phone={self.silence_phone!r}; need one name without blanks, not a reserved one"
            )
        if not (math.isfinite(self.silence_prob) and 0.0 <= self.silence_prob < 1.0):
            raise LexiconError(f"silence_prob={self.silence_prob}; need 0 <= silence_prob < 1")
        if self.oov not in OOV_POLICIES:
            raise LexiconError(f"oov={self.oov!r}; need one of {', '.join(OOV_POLICIES)}")
        if len(self.unk.split()) != 1:
            raise LexiconError(f"unk={self.unk!r}; need one word without blanks")
        if self.oov == "unk" and not any(entry.word == self.unk for entry in entries):
            raise LexiconError(f"oov='unk' needs an entry for {self.unk!r}, e.g. '{self.unk} SPN'")

    @cached_property
    def disambiguation(self) -> tuple[int, ...]:
        """For each entry the number k of the symbol #k after its phones, or 0 for none.

        A symbol is needed where the same phones belong to several entries, or begin another entry's longer
        pronunciation; else L∘G could not be determinised. Numbered from 1 anew for each phone sequence, in entry order.
        """
        shared = Counter(entry.phones for entry in self.entries)
        prefixes = {phones[:n] for phones in shared for n in range(1, len(phones))}
        used: Counter[tuple[str, ...]] = Counter()
        numbers = []
        for _, phones in self.entries:
            needed = shared[phones] > 1 or phones in prefixes
            used[phones] += needed
            numbers.append(used[phones] if needed else 0)
        return tuple(numbers)

    @cached_property
    def phones(self) -> SymbolTable:
        """`<eps>`, the silence phone (id 1), the other phones sorted, then #0 (back-off), #1, ... #k.

        The last symbol follows optional silence, if silence_prob > 0.
        """
        others = {phone for entry in self.entries for phone in entry.phones} - {self.silence_phone}
        n_symbols = 1 + max(self.disambiguation) + (self.silence_prob > 0)
        symbols = [f"#{k}" for k in range(n_symbols)]
        return SymbolTable([EPSILON, self.silence_phone, *sorted(others), *symbols])

    @cached_property
    def words(self) -> SymbolTable:
        """`<eps>`, the words sorted, then #0, `<s>`, `</s>`."""
        words = sorted({entry.word for entry in self.entries})
        return SymbolTable([EPSILON, *words, "#0", SENTENCE_START, SENTENCE_END])

    @cached_property
    def n_phones(self) -> int:
        """How many real phones there are, silence included; their ids are 1 ... n_phones."""
        return self.phones["#0"] - 1

    @cached_property
    def n_words(self) -> int:
        """How many different words there are; their ids are 1 ... n_words."""
        return self.words["#0"] - 1

    @property
    def silence_id(self) -> int:
        """The phone id of silence."""
        return 1

    @cached_property
    def disambiguation_ids(self) -> tuple[int, ...]:
        """The phone ids of #0, #1, ... #k."""
        return tuple(range(self.n_phones + 1, len(self.phones)))

    @property
    def silence_disambiguation_id(self) -> int | None:
        """The phone id of the symbol after optional silence; None where silence_prob is 0."""
        return self.disambiguation_ids[-1] if self.silence_prob > 0 else None

    def phone_ids(self, entry: Entry) -> tuple[int, ...]:
        """The ids of an entry's phones, without disambiguation symbol."""
        return tuple(self.phones[phone] for phone in entry.phones)

    @cached_property
    def _pronunciations(self) -> dict[str, list[tuple[int, ...]]]:
        table: dict[str, list[tuple[int, ...]]] = {}
        for entry in self.entries:
            table.setdefault(entry.word, []).append(self.phone_ids(entry))
        return table

    def pronunciations(self, word: str | int) -> list[tuple[int, ...]]:
        """The pronunciations of a word (its name or id) as phone ids, in entry order.

        Raises LexiconError for a word that has none.
        """
        name = _nfc(word) if isinstance(word, str) else self.words.name(int(word))
        found = self._pronunciations.get(name)
        if found is None:
            raise LexiconError(f"word {name!r} has no pronunciation{_near(name, self._pronunciations)}")
        return list(found)

    @cached_property
    def beginnings(self) -> frozenset[tuple[int, ...]]:
        """All first parts of pronunciations (phone ids), whole ones included: what an unfinished word may look like."""
        return frozenset(
            p[:n] for variants in self._pronunciations.values() for p in variants for n in range(1, len(p) + 1)
        )

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and _nfc(word) in self._pronunciations

    def oov_words(self, texts: Iterable[str]) -> dict[str, int]:
        """The words of some texts that have no pronunciation, with their counts, most frequent first."""
        counts = Counter(word for text in texts for word in _nfc(text).split() if word not in self._pronunciations)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def encode(self, text: str, where: str = "") -> list[int] | None:
        """The word ids of a text, words separated by white space, under the lexicon's OOV policy.

        where: what the message begins with, e.g. an utterance id or file:line.
        Returns None if the utterance is to be skipped (oov="skip" and a word is unknown).
        Raises LexiconError (oov="error") naming the unknown words and the nearest known ones.
        """
        words = _nfc(text).split()
        unknown = [word for word in words if word not in self._pronunciations]
        if unknown and self.oov == "error":
            listed = "; ".join(
                f"{word!r}{_near(word, self._pronunciations)}" for word in list(dict.fromkeys(unknown))[:_SHOWN]
            )
            start = f"{where}: " if where else ""
            raise LexiconError(f"{start}without pronunciation: {listed}. {_OOV_ADVICE}")
        if unknown and self.oov == "skip":
            return None
        return [self.words[word if word in self._pronunciations else self.unk] for word in words]

    def encode_all(self, transcripts: Mapping[str, str]) -> dict[str, list[int]]:
        """The word ids of many transcripts, id -> ids; those to be skipped are left out.

        Raises LexiconError (oov="error") that lists all unknown words of all transcripts at once, with counts, the
        first utterance that has each, and the nearest known words.
        """
        unknown = self.oov_words(transcripts.values()) if self.oov == "error" else {}
        if unknown:
            first: dict[str, str] = {}
            for name, text in transcripts.items():
                for word in set(_nfc(text).split()) & unknown.keys():
                    first.setdefault(word, name)
            lines = [
                f"  {word!r}, {count} times, first in {first[word]}{_near(word, self._pronunciations)}"
                for word, count in list(unknown.items())[:_SHOWN]
            ]
            raise LexiconError(
                f"{len(unknown)} words of the transcripts have no pronunciation:\n{_shortened(lines, len(unknown))}\n"
                f"{_OOV_ADVICE}"
            )
        encoded = {name: self.encode(text, name) for name, text in transcripts.items()}
        return {name: ids for name, ids in encoded.items() if ids is not None}

    def save(self, path: str | os.PathLike) -> None:
        """Write the lexicon with its settings as text: `word<TAB>phones`, phones separated by blanks."""
        settings = " ".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self) if f.name != "entries")
        lines = [f";; {settings}", *(f"{word}\t{' '.join(phones)}" for word, phones in self.entries)]
        write_text(path, "\n".join(lines) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike, **settings: Any) -> "Lexicon":
        """Read a lexicon: `word phone phone ...` lines, separated by tabs or blanks, as Kaldi's lexicon.txt.

        Lines that start with `;;` are comments; one of the form `;; silence_phone=SIL oov=skip` carries settings.
        settings: replace those of the file.
        Raises LexiconError with file:line for every line that cannot be used.
        """
        entries, places, found = _parse(Path(path))
        found.update(settings)
        _check_entries(entries, places, str(found.get("silence_phone", "SIL")))
        try:
            return cls(tuple(entries), **found)
        except LexiconError as error:
            raise LexiconError(f"{path}: {error}") from None


_OOV_ADVICE = "Add them to the lexicon, correct the text, or choose oov='skip' or oov='unk'."


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _near(word: str, known: Iterable[str]) -> str:
    """The nearest known words for a message. Compiled, as lexicons have 10^5 words."""
    from rapidfuzz import fuzz, process, utils

    found = process.extract(
        word, list(known), scorer=fuzz.ratio, limit=3, score_cutoff=60, processor=utils.default_process
    )
    return f" (nearest: {', '.join(repr(name) for name, *_ in found)})" if found else ""


def _shortened(lines: Sequence[str], count: int) -> str:
    more = [f"  ... and {count - _SHOWN} more"] if count > _SHOWN else []
    return "\n".join([*lines[:_SHOWN], *more])


def _parse(path: Path) -> tuple[list[Entry], list[str], dict[str, Any]]:
    """Entries, their file:line, and settings of a lexicon file."""
    entries, places, problems = [], [], []
    settings: dict[str, Any] = {}
    try:
        lines = list(numbered_lines(path))
    except OSError as error:
        raise LexiconError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in lines:
        place = f"{path}:{number}"
        if line is None:
            problems.append(f"{place}: not valid UTF-8; save the file as UTF-8")
        elif match := _SETTINGS.fullmatch(line):
            problems += [f"{place}: {message}" for message in _read_settings(match[1].split(), settings)]
        elif line.strip() and not line.startswith(";;"):
            word, *phones = line.split()
            entries.append(Entry(_nfc(word), tuple(phones)))
            places.append(place)
    if problems:
        raise LexiconError(_shortened(problems, len(problems)))
    return entries, places, settings


def _read_settings(pairs: list[str], settings: dict[str, Any]) -> Iterable[str]:
    """Put `key=value` pairs into `settings`; yields what is wrong with them."""
    known = [f.name for f in fields(Lexicon) if f.name != "entries"]
    for pair in pairs:
        key, value = pair.split("=", 1)
        if key not in known:
            yield f"unknown setting {key!r}{did_you_mean(key, known)}; known: {', '.join(known)}"
        elif key in settings:
            yield f"setting {key!r} is given twice"
        elif key == "silence_prob":
            try:
                settings[key] = float(value)
            except ValueError:
                yield f"silence_prob={value!r} is not a number"
        else:
            settings[key] = value


def _check_entries(entries: Sequence[Entry], places: Sequence[str], silence: str) -> None:
    """Raise LexiconError listing each unusable entry with its place."""
    problems = []
    first: dict[Entry, str] = {}
    for entry, place in zip(entries, places, strict=True):
        message = _entry_problem(entry, silence)
        if message is None and entry in first:
            message = f"word {entry.word!r} with phones '{' '.join(entry.phones)}' was given before, {first[entry]}"
        if message is not None:
            problems.append(f"{place}: {message}")
        first.setdefault(entry, place)
    if problems:
        raise LexiconError(_shortened(problems, len(problems)))


@lru_cache(maxsize=1024)
def _phone_problem(phone: str) -> str | None:
    """What is wrong with a phone's name, or None. Remembered, as a large lexicon asks for few phones 10^6 times."""
    if _RESERVED.fullmatch(phone):
        return f"phone {phone!r} is reserved; rename it"
    if phone.split() != [phone]:
        return f"phone {phone!r}: a phone is not empty and has no white space"
    return None


def _entry_problem(entry: Entry, silence: str) -> str | None:
    """What is wrong with one entry, or None."""
    word, phones = entry
    if word.split() != [word] or word.startswith(";;"):
        return f"word {word!r}: a word is not empty, has no white space and does not begin with ;; (a comment)"
    if not phones:
        return f"word {word!r} has no phones; write them after it, or remove the line"
    if _RESERVED.fullmatch(word):
        return f"word {word!r} is reserved; rename it"
    if message := next(filter(None, map(_phone_problem, phones)), None):
        return f"word {word!r}: {message}"
    if _PROBABILITY.fullmatch(phones[0]):
        return f"word {word!r}: {phones[0]!r} looks like a pronunciation probability (lexiconp.txt); remove that column"
    if silence in phones and len(phones) > 1:
        return f"word {word!r}: silence phone {silence!r} may only be a whole pronunciation; remove it"
    return None
