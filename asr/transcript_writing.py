"""How transcripts are written: lines of words, JSON, CTM, subtitles; piece by piece, as they are found.

text   `id<TAB>words`, a line for each recording, as other tools and `asr score` read it
lines  `id<TAB>start<TAB>end<TAB>words`, a line for each piece of a long recording, cut at a pause
json   an object a line: words and phones with their times
ctm    NIST's: a line for each word
srt, vtt  subtitles, a file for each recording
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Protocol

from .subtitles import Subtitles
from .transcript import Transcript, joined

_BREAKS = r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]"  # what str.splitlines cuts at, and the tab


class Written(Protocol):
    """One recording's transcript in a format, as text that is written piece after piece."""

    def add(self, piece: Transcript, start: float, end: float) -> str:
        """What the next piece adds. Its times are those of the whole recording; start, end: of the piece, s."""
        ...

    def end(self) -> str:
        """What is left when there are no more pieces."""
        ...


class _Text:
    def __init__(self, recording_id: str) -> None:
        self._before, self._any = f"{_line_safe(recording_id)}\t", False

    def add(self, piece: Transcript, start: float, end: float) -> str:
        words = piece.text
        text = self._before + (" " + words if self._any and words else words)
        self._before, self._any = "", self._any or bool(words)
        return text

    def end(self) -> str:
        return "\n"


class _Lines:
    def __init__(self, recording_id: str) -> None:
        self._id = _line_safe(recording_id)

    def add(self, piece: Transcript, start: float, end: float) -> str:
        return f"{self._id}\t{start:.2f}\t{end:.2f}\t{piece.text}\n"

    def end(self) -> str:
        return ""


class _Json:
    def __init__(self, recording_id: str) -> None:
        self._id, self._pieces = recording_id, list[Transcript]()

    def add(self, piece: Transcript, start: float, end: float) -> str:
        self._pieces.append(piece)
        return ""

    def end(self) -> str:
        return as_json(self._id, joined(self._pieces))


class _Ctm:
    def __init__(self, recording_id: str) -> None:
        self._id = recording_id

    def add(self, piece: Transcript, start: float, end: float) -> str:
        return as_ctm(self._id, piece)

    def end(self) -> str:
        return ""


class _Subtitled:
    def __init__(self, form: str) -> None:
        self._subtitles = Subtitles(form)

    def add(self, piece: Transcript, start: float, end: float) -> str:
        return self._subtitles.add(piece.words)

    def end(self) -> str:
        return self._subtitles.end()


FORMATS: dict[str, Callable[[str], Written]] = {
    "text": _Text,
    "lines": _Lines,
    "json": _Json,
    "ctm": _Ctm,
    "srt": lambda recording_id: _Subtitled("srt"),
    "vtt": lambda recording_id: _Subtitled("vtt"),
}
"""Format -> what makes a recording's `Written`, of its id."""

OF_ONE_RECORDING = ("srt", "vtt")
"""Formats of which a file holds one recording."""


def _line_safe(recording_id: str) -> str:
    """An id without what would break the line; a file name may have it."""
    return re.sub(_BREAKS, "_", recording_id)


def as_text(recording_id: str, transcript: Transcript) -> str:
    """`id<TAB>words`; a tab or line break in the id, which a file name may have, becomes `_`."""
    return f"{_line_safe(recording_id)}\t{transcript.text}\n"


def as_json(recording_id: str, transcript: Transcript) -> str:
    """One JSON object: id, text, words and phones with start and end in seconds, score, whether an end was reached."""
    return (
        json.dumps(
            {
                "id": recording_id,
                "text": transcript.text,
                "words": [asdict(w) for w in transcript.words],
                "phones": [asdict(p) for p in transcript.phones],
                "score": round(transcript.score, 4),
                "reached_final": transcript.reached_final,
            },
            ensure_ascii=False,
        )
        + "\n"
    )


def as_ctm(recording_id: str, transcript: Transcript) -> str:
    """NIST's CTM: `id channel start duration word`, one line a word; blanks in the id become `_`."""
    name = "_".join(recording_id.split())
    return "".join(f"{name} 1 {word.start:.3f} {word.end - word.start:.3f} {word.word}\n" for word in transcript.words)
