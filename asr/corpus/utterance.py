"""One stretch of speech, and what is wrong with one: what every reader of corpora makes."""

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..errors import CorpusError

_RESERVED = re.compile(r"(?<!\S)(?:<eps>|#\d+|</?s>)(?!\S)")


@dataclass(frozen=True)
class Utterance:
    """One stretch of speech: a recording or a part of it, who speaks, and what is said.

    Attributes:
        id: unique in its corpus. In a corpus, ids and speakers have no white space (`listed`); elsewhere they may be
            names of files.
        audio: the recording's file, or None for a transcript or features alone.
        text: words separated by single blanks (other white space becomes one), or None where it is not known.
        start: seconds in the recording; None is its beginning or its end, and a start of 0 becomes None.
        end: see `start`.
        features: where the whole utterance's feature matrix lies, `X.npy` or `X.ark:OFFSET` (asr.features.archive), or
            None where features are made of the audio.
        channel: of the recording, from 0; None is the mean of all.
        whole: the id of the file, where the id is that of a channel of it: call, of call-2.

    Raises:
        CorpusError: for an impossible value.
    """

    id: str
    speaker: str
    audio: Path | None = None
    text: str | None = None
    start: float | None = None
    end: float | None = None
    features: str | None = None
    channel: int | None = None
    whole: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        message = time_problem(self.start, self.end)
        if message:
            raise CorpusError(f"utterance {self.id!r}: {message}")
        if self.text is not None:
            if not is_unicode(self.text):
                raise CorpusError(f"utterance {self.id!r}: its text {self.text!r:.60} is not Unicode")
            object.__setattr__(self, "text", " ".join(self.text.split()))
        if self.audio is not None:
            object.__setattr__(self, "audio", Path(self.audio))
        if self.features is not None:
            object.__setattr__(self, "features", os.fspath(self.features))
        object.__setattr__(self, "start", float(self.start) if self.start else None)
        object.__setattr__(self, "end", float(self.end) if self.end is not None else None)

    @property
    def path(self) -> Path:
        """The audio file, or where there is none the file of the features."""
        from ..features.archive import place_file

        return self.audio or place_file(self.features or "")


class Problem(NamedTuple):
    """Something that does not fit, in a corpus or an input: where, and what.

    Attributes:
        where: file:line, a file, or an utterance's id; empty where the message says it.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def listed(utterance: Utterance) -> Utterance:
    """The utterance, whose id and speaker can stand in lists.

    Raises:
        CorpusError: where they cannot.
    """
    for what, name in (("id", utterance.id), ("speaker", utterance.speaker)):
        if not is_name(name):
            raise CorpusError(
                f"utterance {utterance.id!r}: {what} {name!r} is empty, has white space or is not Unicode"
            )
    return utterance


def is_name(name: object) -> bool:
    """Whether something can be an id or a speaker: not empty, no white space, nor what lists cannot hold."""
    return (
        isinstance(name, str)
        and name.split() == [name]
        and is_unicode(name)
        and "\0" not in name
        and "\ufeff" not in name
    )


def reserved_word(text: str) -> str | None:
    """A word of a transcript that stands for something else inside models (`<eps>`, `#1`, `<s>`), or None."""
    found = _RESERVED.search(text)
    return found[0] if found else None


def check_words(text: str, name: str) -> None:
    """Raise CorpusError for a transcript with a word that is reserved.

    Args:
        name: of the utterance.
    """
    if word := reserved_word(text):
        raise CorpusError(f"the transcript of {name!r} holds {word!r}, which is reserved; write it in another way")


def is_unicode(name: str) -> bool:
    """Whether a name can be written as UTF-8; one of a file need not be text."""
    return name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name)


def time_problem(start: float | None, end: float | None) -> str | None:
    """What is wrong with a start and an end in seconds, or None."""
    for value in (start, end):
        if value is not None and not (math.isfinite(value) and value >= 0.0):
            return f"time {value:g} is not a number of seconds >= 0"
    if end is not None and end <= (start or 0.0):
        return f"end {end:g} s is not after start {start or 0.0:g} s"
    return None
