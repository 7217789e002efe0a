"""Utterances and the corpus that holds them."""

import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import CorpusError, did_you_mean
from ..files import kind_of

logger = logging.getLogger(__name__)
_SHOWN = 20  # problems listed in the message of a corpus of which nothing is left


@dataclass(frozen=True)
class Utterance:
    """One stretch of speech: a recording or a part of it, who speaks, and what is said.

    id: without white space, unique in its corpus.
    speaker: without white space.
    audio: the recording's file, or None for a transcript alone.
    text: words separated by single blanks (other white space becomes one), or None where it is not known.
    start, end: seconds in the recording; None is its beginning or its end, and a start of 0 becomes None.
    Raises CorpusError for an impossible value.
    """

    id: str
    speaker: str
    audio: Path | None = None
    text: str | None = None
    start: float | None = None
    end: float | None = None

    def __post_init__(self) -> None:
        for what, name in (("id", self.id), ("speaker", self.speaker)):
            if not is_name(name):
                raise CorpusError(f"utterance {self.id!r}: {what} {name!r} is empty, has white space or is not Unicode")
        message = time_problem(self.start, self.end)
        if message:
            raise CorpusError(f"utterance {self.id!r}: {message}")
        if self.text is not None:
            object.__setattr__(self, "text", " ".join(self.text.split()))
        if self.audio is not None:
            object.__setattr__(self, "audio", Path(self.audio))
        object.__setattr__(self, "start", float(self.start) if self.start else None)
        object.__setattr__(self, "end", float(self.end) if self.end is not None else None)


class Problem(NamedTuple):
    """Something in a corpus that does not fit: where (file:line, or a file), and what."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class Corpus:
    """Utterances in a fixed order, found by id.

    utterances: with different ids, at least one.
    problems: what a reader left out or found inconsistent; the utterances are the good rest.
    Raises CorpusError for no utterances, or an id that is there twice.

    >>> corpus = Corpus([Utterance("u1", "ann", text="one two")])
    >>> corpus["u1"].speaker, len(corpus), corpus.transcripts()
    ('ann', 1, {'u1': 'one two'})
    """

    def __init__(self, utterances: Iterable[Utterance], problems: Iterable[Problem] = ()):
        self.utterances = tuple(utterances)
        self.problems = tuple(problems)
        self._by_id: dict[str, Utterance] = {}
        for utterance in self.utterances:
            if utterance.id in self._by_id:
                raise CorpusError(f"utterance id {utterance.id!r} is given twice; ids must differ")
            self._by_id[utterance.id] = utterance
        if not self.utterances:
            shown = [f"  {p}" for p in self.problems[:_SHOWN]]
            more = [f"  ... and {len(self.problems) - _SHOWN} more"] if len(self.problems) > _SHOWN else []
            raise CorpusError("\n".join(["the corpus has no usable utterance", *shown, *more]))

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        """The utterances, in order."""
        return iter(self.utterances)

    def __contains__(self, utterance_id: object) -> bool:
        return utterance_id in self._by_id

    def __getitem__(self, utterance_id: str) -> Utterance:
        try:
            return self._by_id[utterance_id]
        except KeyError:
            raise CorpusError(
                f"utterance {utterance_id!r} is not in the corpus{did_you_mean(utterance_id, self._by_id)}"
            ) from None

    def __eq__(self, other: object) -> bool:
        """Whether the utterances are the same, in the same order; problems do not count."""
        return isinstance(other, Corpus) and self.utterances == other.utterances

    def __hash__(self) -> int:
        return hash(self.utterances)

    def __repr__(self) -> str:
        return f"Corpus({len(self)} utterances, {len(self.speakers)} speakers, {len(self.problems)} problems)"

    @property
    def ids(self) -> list[str]:
        """The utterance ids, in order."""
        return list(self._by_id)

    @property
    def speakers(self) -> list[str]:
        """The different speakers, sorted."""
        return sorted({u.speaker for u in self.utterances})

    @property
    def speaker_of(self) -> dict[str, str]:
        """Utterance id -> speaker."""
        return {u.id: u.speaker for u in self.utterances}

    def transcripts(self) -> dict[str, str]:
        """Utterance id -> text, of the utterances whose text is known."""
        return {u.id: u.text for u in self.utterances if u.text is not None}

    def select(self, ids: Iterable[str]) -> "Corpus":
        """The utterances of the given ids, in their order. Raises CorpusError for an unknown id."""
        return Corpus([self[i] for i in ids], self.problems)

    def where(self, predicate: Callable[[Utterance], bool]) -> "Corpus":
        """The utterances for which the predicate holds. Raises CorpusError if there is none."""
        return Corpus([u for u in self.utterances if predicate(u)], self.problems)

    @classmethod
    def read(cls, path: str | os.PathLike, *, need_text: bool = True, strict: bool = False) -> "Corpus":
        """A Kaldi data directory (a folder with a wav.scp) or else a folder of recordings and transcripts."""
        source = Path(path)
        if kind_of(source / "wav.scp") == "file":
            return cls.from_kaldi(source, need_text=need_text, strict=strict)
        return cls.from_folder(source, need_text=need_text, strict=strict)

    @classmethod
    def from_folder(
        cls,
        directory: str | os.PathLike,
        *,
        speaker: str | Callable[[Path], str] | None = None,
        text_suffix: str = ".txt",
        need_text: bool = True,
        strict: bool = False,
    ) -> "Corpus":
        """The wav, flac, ogg and mp3 files of a folder and the folders in it, each with its transcript beside it.

        `ann/hello.wav` and `ann/hello.txt` make utterance `hello` of speaker `ann`. Where files in different folders
        share a stem, these files' ids are their paths with `-` for `/` (`ann-hello`, `bob-hello`). Names that begin
        with a dot are passed over. Utterances come sorted by path.

        speaker: a regular expression searched in the path within the folder without its suffix (`ann/hello`), whose
          first group, or whole match, is the speaker; or a function of that path. Without it the speaker is the name of
          the file's own folder (blanks become `_`), and a file directly in `directory` is a speaker of its own.
        text_suffix: what a transcript's name has in place of the recording's suffix; its content is UTF-8.
        need_text: False leaves transcripts unread.
        strict: raise instead of leaving out what has a problem.
        Raises CorpusError if nothing usable is there, or listing all problems if strict.
        """
        from .folder import read_folder

        utterances, problems = read_folder(Path(directory), speaker, text_suffix, need_text)
        return _checked(cls, utterances, problems, Path(directory), strict)

    @classmethod
    def from_kaldi(cls, directory: str | os.PathLike, *, need_text: bool = True, strict: bool = False) -> "Corpus":
        """A Kaldi data directory: wav.scp, text, utt2spk, and where they exist segments and spk2utt.

        Paths in wav.scp are taken from the current folder, as Kaldi does, or else from the data directory. Commands
        (`sph2pipe ... |`) are refused: reading data must not run programs. A segment's end of -1, or up to half a
        second past the recording, is the recording's end, as in Kaldi. Lines need not be sorted.

        need_text: False for recordings that are only to be transcribed: text is not read, and without utt2spk each
          utterance is a speaker of its own.
        strict: raise instead of leaving out what has a problem.
        Raises CorpusError if nothing usable is there, or listing all problems if strict.
        """
        from .kaldi import read_kaldi

        utterances, problems = read_kaldi(Path(directory), need_text)
        return _checked(cls, utterances, problems, Path(directory), strict)

    def to_kaldi(self, directory: str | os.PathLike) -> None:
        """Write a Kaldi data directory: wav.scp, text, utt2spk, spk2utt, and segments if parts of recordings are used.

        Whole or not at all, sorted as Kaldi sorts (LC_ALL=C); audio paths become absolute. An older data directory is
        replaced. Raises CorpusError for a directory that holds other files, or an utterance without audio.
        """
        from .kaldi import write_kaldi

        write_kaldi(self.utterances, Path(directory))


def _checked(
    kind: type[Corpus], utterances: list[Utterance], problems: list[Problem], source: Path, strict: bool
) -> Corpus:
    """The corpus of what a reader found, or CorpusError."""
    if strict and problems:
        raise CorpusError("\n".join([f"{len(problems)} problems in {source}:", *(f"  {p}" for p in problems)]))
    if problems:
        logger.warning("%s: %d problems, %d usable utterances", source, len(problems), len(utterances))
    try:
        return kind(utterances, problems)
    except CorpusError as error:
        raise CorpusError(f"{source}: {error}") from None


def is_name(name: object) -> bool:
    """Whether something can be an id or a speaker: not empty, no white space, can be written as UTF-8."""
    return isinstance(name, str) and name.split() == [name] and is_unicode(name)


def is_unicode(name: str) -> bool:
    """Whether a name can be written as UTF-8; one of a file need not be text."""
    return not any("\ud800" <= c <= "\udfff" for c in name)


def time_problem(start: float | None, end: float | None) -> str | None:
    """What is wrong with a start and an end in seconds, or None."""
    for value in (start, end):
        if value is not None and not (math.isfinite(value) and value >= 0.0):
            return f"time {value:g} is not a number of seconds >= 0"
    if end is not None and end <= (start or 0.0):
        return f"end {end:g} s is not after start {start or 0.0:g} s"
    return None
