"""The lexicon: pronunciations of words, with silence, disambiguation symbols and what happens to unknown words."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ..display.brief import many
from ..errors import LexiconError
from ..files import write_text
from ..options import given, known_names
from .entries import POSITIONS, SHOWN, Entry, check_entries, check_positions, in_position, is_reserved, nfc, shortened
from .lexicon_file import lexicon_text, parse_lexicon
from .symbols import EPSILON, SymbolTable

__all__ = ["Entry", "Lexicon"]

OOV_POLICIES = ("error", "skip", "unk")
SENTENCE_START, SENTENCE_END = "<s>", "</s>"


@dataclass(frozen=True)
class Lexicon:
    """Words and their pronunciations, with the two symbol tables that everything after it uses.

    A word with several pronunciations has several entries. Words are kept in Unicode's composed form (NFC), in which
    `encode` also looks them up, so that texts typed on different systems meet.

    A pronunciation's probability costs its negated logarithm wherever the word occurs, in training and decoding
    graphs alike. It need not sum to 1 over a word: dividing by the word's largest (Kaldi's default) lets the likeliest
    pronunciation cost nothing, so that words with many pronunciations are at no disadvantage. The default is 1.

    Attributes:
        entries: `Entry`s, or (word, phones) or (word, phones, probability), in the order of the file; at least one.
        silence_phone: the phone of pauses; may be a word's whole pronunciation (`!SIL SIL`) but not a part of one.
        silence_prob: 0 <= p < 1, probability of a pause at each word boundary; 0 means that pauses are not modelled.
        oov: what `encode` does with a word without pronunciation: "error", "skip" the utterance, or map it to `unk`.
        unk: the word that unknown words are mapped to; needs an entry of its own if oov is "unk".
        position_dependent: whether phones are named by their position in the word, `AA_B`, `AA_I`, `AA_E` or `AA_S`
            where it is alone, so that word edges can be told from phones; entries have the bare names. The positions of
            a phone share their distributions (`phone_sets`). Silence has no positions. As Kaldi's prepare_lang.sh, but
            for SIL_S.

    Raises:
        LexiconError: listing every entry that is empty, repeated, reserved or otherwise unusable.

    Examples:
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
    position_dependent: bool = False

    def __repr__(self) -> str:
        entries = many(len(self.entries), "pronunciation")
        words, phones = many(self.n_words, "word"), many(self.n_phones, "phone")
        return f"<Lexicon: {words}, {entries}, {phones}, oov={self.oov!r}>"

    def __post_init__(self) -> None:
        entries = tuple(Entry(nfc(word), tuple(phones), *probability) for word, phones, *probability in self.entries)
        object.__setattr__(self, "entries", entries)
        object.__setattr__(self, "unk", nfc(self.unk))
        check_entries(entries, [f"entry {i}" for i in range(1, len(entries) + 1)], self.silence_phone)
        if not entries:
            raise LexiconError("the lexicon has no entries; give at least one word with its phones")
        if len(self.silence_phone.split()) != 1 or is_reserved(self.silence_phone):
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
        if not isinstance(self.position_dependent, bool):
            raise LexiconError(f"position_dependent={self.position_dependent!r}; need true or false")
        if self.position_dependent:
            check_positions(entries, self.silence_phone)

    @cached_property
    def disambiguation(self) -> tuple[int, ...]:
        """For each entry the number k of the symbol #k after its phones, or 0 for none.

        A symbol is needed where the same phones belong to several entries, or begin another entry's longer
        pronunciation; else L∘G could not be determinised. Numbered from 1 anew for each phone sequence, in entry order.
        """
        named = [self.phone_names(entry) for entry in self.entries]
        shared = Counter(named)
        prefixes = {phones[:n] for phones in shared for n in range(1, len(phones))}
        used: Counter[tuple[str, ...]] = Counter()
        numbers = []
        for phones in named:
            needed = shared[phones] > 1 or phones in prefixes
            used[phones] += needed
            numbers.append(used[phones] if needed else 0)
        return tuple(numbers)

    @cached_property
    def phones(self) -> SymbolTable:
        """`<eps>`, the silence phone (id 1), the other phones sorted, then #0 (back-off), #1, ... #k.

        Each phone is there in all its positions, if it has any, so that ids do not depend on which ones words use. The
        last symbol follows optional silence, if silence_prob > 0.
        """
        others = sorted({phone for entry in self.entries for phone in entry.phones} - {self.silence_phone})
        if self.position_dependent:
            others = [f"{phone}_{position}" for phone in others for position in POSITIONS]
        n_symbols = 1 + max(self.disambiguation) + (self.silence_prob > 0)
        symbols = [f"#{k}" for k in range(n_symbols)]
        return SymbolTable([EPSILON, self.silence_phone, *others, *symbols])

    @cached_property
    def phone_sets(self) -> tuple[tuple[int, ...], ...]:
        """The phone ids, those in one set the positions of one phone, which share distributions; silence comes first.

        Same as the rows of Kaldi's phones/sets.int.
        """
        speech, size = range(2, self.n_phones + 1), len(POSITIONS) if self.position_dependent else 1
        return ((self.silence_id,), *(tuple(speech[i : i + size]) for i in range(0, len(speech), size)))

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

    def phone_names(self, entry: Entry) -> tuple[str, ...]:
        """The phones of an entry under their names in `phones`: with their positions, if the lexicon has any."""
        if self.position_dependent and entry.phones != (self.silence_phone,):
            return in_position(entry.phones)
        return entry.phones

    def phone_ids(self, entry: Entry) -> tuple[int, ...]:
        """The ids of an entry's phones, without disambiguation symbol."""
        return tuple(self.phones[phone] for phone in self.phone_names(entry))

    @cached_property
    def _entries_of(self) -> dict[str, list[Entry]]:
        table: dict[str, list[Entry]] = {}
        for entry in self.entries:
            table.setdefault(entry.word, []).append(entry)
        return table

    @cached_property
    def _pronunciations(self) -> dict[str, list[tuple[int, ...]]]:
        return {word: [self.phone_ids(entry) for entry in found] for word, found in self._entries_of.items()}

    def pronunciations(self, word: str | int) -> list[tuple[int, ...]]:
        """The pronunciations of a word (its name or id) as phone ids, in entry order.

        Raises:
            LexiconError: for a word that has none.
        """
        return list(self._pronunciations[self.entries_of(word)[0].word])

    def entries_of(self, word: str | int) -> list[Entry]:
        """The entries of a word (its name or id), in order.

        Raises:
            LexiconError: for a word that has none.
        """
        name = nfc(word) if isinstance(word, str) else self.words.name(int(word))
        if name not in self._entries_of:
            raise LexiconError(f"word {name!r} has no pronunciation{_near(name, self._entries_of)}")
        return list(self._entries_of[name])

    def log_probs(self, word: str | int) -> list[float]:
        """The natural logarithms of the probabilities of a word's pronunciations, in entry order."""
        return [math.log(entry.probability) for entry in self.entries_of(word)]

    @cached_property
    def beginnings(self) -> frozenset[tuple[int, ...]]:
        """All first parts of pronunciations (phone ids), whole ones included: what an unfinished word may look like."""
        return frozenset(
            p[:n] for variants in self._pronunciations.values() for p in variants for n in range(1, len(p) + 1)
        )

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and nfc(word) in self._pronunciations

    def oov_words(self, texts: Iterable[str]) -> dict[str, int]:
        """The words of some texts that have no pronunciation, with their counts, most frequent first."""
        counts = Counter(word for text in texts for word in nfc(text).split() if word not in self._pronunciations)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def encode(self, text: str, where: str = "") -> list[int] | None:
        """The word ids of a text, words separated by white space, under the lexicon's OOV policy.

        Args:
            where: what the message begins with, e.g. an utterance id or file:line.

        Returns:
            None if the utterance is to be skipped (oov="skip" and a word is unknown).

        Raises:
            LexiconError: (oov="error") naming the unknown words and the nearest known ones.
        """
        words = nfc(text).split()
        unknown = [word for word in words if word not in self._pronunciations]
        if unknown and self.oov == "error":
            listed = "; ".join(
                f"{word!r}{_near(word, self._pronunciations)}" for word in list(dict.fromkeys(unknown))[:SHOWN]
            )
            start = f"{where}: " if where else ""
            raise LexiconError(f"{start}without pronunciation: {listed}. {_OOV_ADVICE}")
        if unknown and self.oov == "skip":
            return None
        return [self.words[word if word in self._pronunciations else self.unk] for word in words]

    def encode_all(self, transcripts: Mapping[str, str]) -> dict[str, list[int]]:
        """The word ids of many transcripts, id -> ids; those to be skipped are left out.

        Raises:
            LexiconError: (oov="error") that lists all unknown words of all transcripts at once, with counts, the first
                utterance that has each, and the nearest known words.
        """
        unknown = self.oov_words(transcripts.values()) if self.oov == "error" else {}
        if unknown:
            first: dict[str, str] = {}
            for name, text in transcripts.items():
                for word in set(nfc(text).split()) & unknown.keys():
                    first.setdefault(word, name)
            lines = [
                f"  {word!r}, {count} times, first in {first[word]}{_near(word, self._pronunciations)}"
                for word, count in list(unknown.items())[:SHOWN]
            ]
            raise LexiconError(
                f"{many(len(unknown), 'word')} of the transcripts without pronunciation:\n"
                f"{shortened(lines, len(unknown))}\n{_OOV_ADVICE}"
            )
        encoded = {name: self.encode(text, name) for name, text in transcripts.items()}
        return {name: ids for name, ids in encoded.items() if ids is not None}

    def estimate_probabilities(
        self,
        counts: Mapping[tuple[str, tuple[str, ...]], float],
        *,
        smoothing: float = 1.0,
        normalise: Literal["max", "sum"] = "max",
    ) -> "Lexicon":
        """The lexicon with probabilities from how often each pronunciation occurred, e.g. in aligned training data.

        p = (count + smoothing) / (sum over the word's pronunciations of the same); a word that did not occur has equal
        ones.

        Args:
            counts: (word, phones) of an entry -> how often; see `word_times.count_pronunciations`. Entries that are not
                in it count 0.
            smoothing: above 0, added to each count, so that none gets probability 0.
            normalise: "max" divides by the word's largest, "sum" leaves a sum of 1 for each word.

        Raises:
            LexiconError: for counts of what is no entry, and negative ones.

        Same as Kaldi's dict_dir_add_pronprobs.sh --max-normalize true|false, without its silence probabilities.
        """
        if not (math.isfinite(smoothing) and smoothing > 0) or normalise not in ("max", "sum"):
            raise LexiconError(f"smoothing={smoothing}, normalise={normalise!r}; need one above 0, and 'max' or 'sum'")
        _check_counts(counts, self.entries)
        whole: dict[str, float] = {}
        smoothed = [counts.get((entry.word, entry.phones), 0.0) + smoothing for entry in self.entries]
        for entry, count in zip(self.entries, smoothed, strict=True):
            before = whole.get(entry.word, 0.0)
            whole[entry.word] = max(before, count) if normalise == "max" else before + count
        pairs = zip(self.entries, smoothed, strict=True)
        return replace(self, entries=tuple(e._replace(probability=min(1.0, c / whole[e.word])) for e, c in pairs))

    def save(self, path: str | os.PathLike) -> None:
        """Write the lexicon with its settings as text, phones separated by blanks.

        Lines are `word<TAB>phones`, or `word<TAB>probability<TAB>phones` where a probability is not 1.
        """
        settings = {name: getattr(self, name) for name in _default_settings()}
        if not self.position_dependent:  # versions that do not know the setting can then read the file
            del settings["position_dependent"]
        write_text(path, lexicon_text(self.entries, settings))

    @classmethod
    @known_names
    def load(
        cls,
        path: str | os.PathLike,
        *,
        silence_phone: str | None = None,
        silence_prob: float | None = None,
        oov: str | None = None,
        unk: str | None = None,
        position_dependent: bool | None = None,
    ) -> "Lexicon":
        """Read a lexicon: `word phone phone ...` lines, separated by tabs or blanks, as Kaldi's lexicon.txt.

        Or `word probability phone phone ...`, as Kaldi's lexiconp.txt: where all lines have a number after the word,
        and one has a decimal point or all are 1, these are probabilities.
        Lines that start with `;;` are comments; one of the form `;; silence_phone=SIL oov=skip` carries settings.
        Dictionaries of CMU, Sphinx, HTK, Julius and MFA are read as they mean it, see asr.lang.foreign_lexicon.
        silence_phone and what follows: replace the file's settings; None is what the file says, or else the default.

        Raises:
            LexiconError: with file:line for every line that cannot be used.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"path is of type {type(path).__name__}; need the lexicon's file")
        entries, places, found, *_ = parse_lexicon(Path(path), _default_settings())
        found.update(
            given(
                silence_phone=silence_phone,
                silence_prob=silence_prob,
                oov=oov,
                unk=unk,
                position_dependent=position_dependent,
            )
        )
        check_entries(entries, places, str(found.get("silence_phone", "SIL")))
        try:
            return cls(tuple(entries), **found)
        except LexiconError as error:
            raise LexiconError(f"{path}: {error}") from None


def file_format(path: str | os.PathLike) -> tuple[str, list[str]]:
    """As which tool's file a lexicon file is understood, and what was left out or changed for that, a line each.

    Raises:
        LexiconError: where it cannot be read.
    """
    found = parse_lexicon(Path(path), _default_settings())
    return found.format, list(found.notes)


_OOV_ADVICE = "Add them to the lexicon, correct the text, or choose oov='skip' or oov='unk'."


def _near(word: str, known: Iterable[str]) -> str:
    """The nearest known words for a message. Compiled, as lexicons have 10^5 words."""
    from rapidfuzz import fuzz, process, utils

    near = process.extract(
        word, list(known), scorer=fuzz.ratio, limit=3, score_cutoff=60, processor=utils.default_process
    )
    return f" (nearest: {', '.join(repr(name) for name, *_ in near)})" if near else ""


def _check_counts(counts: Mapping[tuple[str, tuple[str, ...]], float], entries: Iterable[Entry]) -> None:
    """Raise LexiconError for a count that is no count, or of a pronunciation that is not there."""
    known = {(entry.word, entry.phones) for entry in entries}
    for (word, phones), count in counts.items():
        if (word, phones) not in known:
            raise LexiconError(f"counts have word {word!r} with phones {' '.join(phones)!r}; the lexicon has not")
        if not (math.isfinite(count) and count >= 0):
            raise LexiconError(f"word {word!r} with phones {' '.join(phones)!r}: count {count}; need 0 or more")


def _default_settings() -> dict[str, Any]:
    """The settings that a lexicon file may have, by name, with their defaults."""
    return {f.name: f.default for f in fields(Lexicon) if f.name != "entries"}
