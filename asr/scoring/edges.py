"""Word edges: how far the recognised starts and ends of words are from the true ones; NIST's CTM files."""

import math
import os
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from ..display.brief import brief_repr
from ..errors import CorpusError, first_of
from ..files import numbered_lines
from .errors import check_ids

TOLERANCES_MS = (10, 20, 50, 100)
_ALTERNATIVES = ("<ALT_BEGIN>", "<ALT>", "<ALT_END>")
_ROUNDING = 1e-6  # seconds; times are decimal numbers, so 0.35 - 0.30 is not 0.05


class Timed(Protocol):
    """A word with its start and end in seconds; CtmWord and asr.model.transcript.TimedWord are such words."""

    @property
    def word(self) -> str:
        """What was said."""

    @property
    def start(self) -> float:
        """Seconds."""

    @property
    def end(self) -> float:
        """Seconds."""


class CtmWord(NamedTuple):
    """A word of a CTM file; seconds."""

    word: str
    start: float
    end: float


class EdgeDifference(NamedTuple):
    """A correctly recognised word: recognised minus true time of its start and its end, seconds; late is positive."""

    utterance: str
    word: str
    start: float
    end: float


@dataclass(frozen=True)
class EdgeScore:
    """The edges of the words that were recognised correctly.

    Attributes:
        words: in the order of the references.
        total: words in the references, recognised or not.
    """

    words: tuple[EdgeDifference, ...]
    total: int

    def __repr__(self) -> str:
        return brief_repr(self)

    @cached_property
    def starts(self) -> tuple[float, ...]:
        """Differences of the starts, seconds."""
        return tuple(w.start for w in self.words)

    @cached_property
    def ends(self) -> tuple[float, ...]:
        """Differences of the ends, seconds."""
        return tuple(w.end for w in self.words)

    @property
    def edges(self) -> tuple[float, ...]:
        """All differences, seconds: two of each word."""
        return self.starts + self.ends

    def report(self) -> str:
        """The score as text for people: one line for the starts, the ends, and both."""
        head = ["edges", "count", *(f"<={t} ms %" for t in TOLERANCES_MS), "median ms", "mean abs ms"]
        rows = [head, *([name, *cells] for name, cells in edge_rows(self))]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        return "\n".join([f"{len(self.words)} of {self.total} words are correct; recognised minus true times:", *lines])


def score_edges(references: Mapping[str, Sequence[Timed]], hypotheses: Mapping[str, Sequence[Timed]]) -> EdgeScore:
    """How far the edges of correctly recognised words are from the true ones.

    Which words are correct is decided by the words alone, with the alignment of fewest edits that `asr.scoring.score`
    takes too. Where it is not unique ("one" recognised in "one one"), the pair need not be the nearest in time.

    Args:
        references: utterance id -> its words in order of time, e.g. from `read_ctm`, or `Transcript.words`. An id
            without hypothesis has no correct word.
        hypotheses: see `references`.

    Raises:
        CorpusError: for hypotheses whose id has no reference, or if there are no references.

    Examples:
        >>> true = {"u": [CtmWord("one", 0.1, 0.4), CtmWord("two", 0.5, 0.9)]}
        >>> found = score_edges(true, {"u": [CtmWord("one", 0.12, 0.4), CtmWord("too", 0.5, 0.9)]})
        >>> [round(x, 3) for x in found.edges], found.total
        ([0.02, 0.0], 2)
    """
    from rapidfuzz.distance import Levenshtein

    check_ids(references, hypotheses)
    differences = []
    for name, reference in references.items():
        hypothesis = hypotheses.get(name, ())
        sides = [[unicodedata.normalize("NFC", w.word) for w in words] for words in (reference, hypothesis)]
        for step in Levenshtein.opcodes(*sides):
            if step.tag == "equal":
                pairs = zip(
                    reference[step.src_start : step.src_end], hypothesis[step.dest_start : step.dest_end], strict=True
                )
                differences += [EdgeDifference(name, t.word, h.start - t.start, h.end - t.end) for t, h in pairs]
    return EdgeScore(tuple(differences), sum(map(len, references.values())))


def share_within(differences: Sequence[float], tolerance_ms: float) -> float:
    """How many of the differences (seconds) are not larger than a tolerance (ms), percent; nan of none.

    Examples:
        >>> share_within([0.02, -0.05, 0.3, 0.0], 50)
        75.0
    """
    if not differences:
        return math.nan
    return 100 * sum(abs(d) <= tolerance_ms / 1000 + _ROUNDING for d in differences) / len(differences)


def edge_rows(score: EdgeScore) -> list[tuple[str, list[str]]]:
    """A table's lines for starts, ends and both: count, percent within each tolerance, median and mean absolute ms."""
    rows = []
    for name, differences in (("starts", score.starts), ("ends", score.ends), ("both", score.edges)):
        shares = [f"{share_within(differences, t):.1f}" for t in TOLERANCES_MS]
        middle = _median(differences) * 1000
        mean = 1000 * sum(map(abs, differences)) / len(differences) if differences else math.nan
        rows.append((name, [str(len(differences)), *shares, f"{middle:+.1f}", f"{mean:.1f}"]))
    return rows


def read_ctm(path: str | os.PathLike) -> dict[str, list[CtmWord]]:
    """Utterance id -> its words in order of time, from NIST's CTM: lines `id channel start duration word [confidence]`.

    Lines that begin with `;;` are comments. An utterance without words has no line.
    Where an id has several channels, each is a recording of its own: call-1 and call-2 (A is 1, B is 2).

    Raises:
        CorpusError: with file:line for lines of another kind, or if there is no word.
    """
    return _of_channels(read_ctm_channels(path), path)


def read_ctm_pair(
    reference: str | os.PathLike, hypothesis: str | os.PathLike
) -> tuple[dict[str, list[CtmWord]], dict[str, list[CtmWord]]]:
    """References and hypotheses, see `read_ctm`; an id that has several channels in one has them in both."""
    sides = [read_ctm_channels(path) for path in (reference, hypothesis)]
    several = frozenset().union(*map(_of_several_channels, sides))
    references, hypotheses = (
        _of_channels(side, path, several) for side, path in zip(sides, (reference, hypothesis), strict=True)
    )
    return references, hypotheses


def _of_several_channels(channels: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The recordings that have several channels."""
    n_channels = Counter(name for name, _ in channels)
    return frozenset(name for name, n in n_channels.items() if n > 1)


def _of_channels(
    channels: Mapping[tuple[str, str], list[CtmWord]], path: str | os.PathLike, several: Container[str] | None = None
) -> dict[str, list[CtmWord]]:
    """Id -> words.

    Args:
        several: the recordings of which each channel has an id; None: those with several channels here.
    """
    several = _of_several_channels(channels) if several is None else several
    words_of_id: dict[str, list[CtmWord]] = {}
    for (name, channel), words in channels.items():
        key = f"{name}-{channel_number(channel)}" if name in several else name
        if key in words_of_id:
            raise CorpusError(f"{path}: {key!r} is channel {channel!r} of {name!r} and another recording; rename one")
        words_of_id[key] = words
    return words_of_id


def channel_number(channel: str) -> str:
    """The same name for a channel whichever of NIST's it has: 1 for A, 2 for B."""
    return {"A": "1", "a": "1", "B": "2", "b": "2"}.get(channel, channel)


def read_ctm_channels(path: str | os.PathLike) -> dict[tuple[str, str], list[CtmWord]]:
    """Recording and channel -> the words, see `read_ctm`."""
    words_of_channel: dict[tuple[str, str], list[CtmWord]] = {}
    problems = []
    for place, line in nist_lines(path):
        try:
            name, channel, word = _ctm_line(line)
            words_of_channel.setdefault((name, channel), []).append(word)
        except ValueError as error:
            problems.append(f"{place}: {error}")
    if problems:
        raise CorpusError(first_of(problems))
    if not words_of_channel:
        raise CorpusError(f"{path}: holds no words; expected lines `id channel start duration word`")
    return {channel: sorted(words, key=lambda w: (w.start, w.end)) for channel, words in words_of_channel.items()}


def nist_lines(path: str | os.PathLike) -> Iterator[tuple[str, str | None]]:
    """The lines of a .ctm or .stm but comments and empty ones, each with file:line; None for one that is not UTF-8.

    Raises:
        CorpusError: for a file that cannot be read.
    """
    try:
        for number, line in numbered_lines(Path(path)):
            if line is None or (line.strip() and not line.startswith(";;")):
                yield f"{path}:{number}", line
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror}") from None


def _ctm_line(line: str | None) -> tuple[str, str, CtmWord]:
    """Id, channel and word of a line. Raises ValueError with what is wrong and what to do."""
    if line is None:
        raise ValueError("not valid UTF-8; save the file as UTF-8")
    fields = line.split()
    if len(fields) not in (5, 6):
        raise ValueError(f"{len(fields)} fields; need `id channel start duration word`, perhaps with a confidence")
    name, channel, *numbers, word = fields[:5]
    if word in _ALTERNATIVES:
        raise ValueError(f"holds alternatives ({word}), of which the scoring here would have to choose; leave one")
    try:
        start, duration = map(float, numbers)
    except ValueError:
        raise ValueError(f"start and duration are {' and '.join(map(repr, numbers))}; need seconds") from None
    if not (0 <= start < math.inf and 0 <= duration < math.inf):
        raise ValueError(f"start {start} and duration {duration}; need 0 or more seconds")
    return unicodedata.normalize("NFC", name), channel, CtmWord(word, start, start + duration)


def _median(values: Sequence[float]) -> float:
    if not values:
        return math.nan
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
