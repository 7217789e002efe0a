"""How transcripts are written: lines of words, JSON, CTM, subtitles; piece by piece, as they are found.

text   `id<TAB>words`, a line for each recording, as other tools and `asr score` read it
lines  `id<TAB>start<TAB>end<TAB>words`, a line for each piece of a long recording, cut at a pause
json   an object a line: words and phones with their times
ctm    NIST's: a line for each word
lattice  Kaldi's text archive of CompactLattices, with names of words
csv    a header, and a row for each word: recording, start, end, word, confidence
srt, vtt  subtitles, a file for each recording
textgrid, eaf  a tier of words for Praat or ELAN, a file for each recording, written when all of it was heard
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from ..corpus import Utterance
from ..model.transcript import TimedWord, Transcript
from .subtitles import Subtitles
from .tiers import eaf, textgrid

_BREAKS = r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]"  # what str.splitlines cuts at, and the tab


class Written(Protocol):
    """One recording's transcript in a format, as text that is written piece after piece."""

    def add(self, piece: Transcript, start: float, end: float) -> str:
        """What the next piece adds. Its times are those of the whole recording.

        Args:
            start: of the piece, s.
            end: of the piece, s.
        """
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
    """The words come first, as they are found; what is known when all is over follows them."""

    def __init__(self, recording_id: str) -> None:
        self._before, self._any = f'{{"id": {_json(recording_id)}, "words": [', False
        self._texts, self._phones, self._nbest = list[str](), list[str](), list[str]()
        self._score, self._reached_final = 0.0, True
        self._is_calibrated: bool | None = None

    def add(self, piece: Transcript, start: float, end: float) -> str:
        words = ", ".join(_json(_word(word)) for word in piece.words)
        written = self._before + (", " + words if self._any and words else words)
        self._before, self._any = "", self._any or bool(words)
        self._texts += [piece.text] if piece.text else []
        self._phones += [_json(asdict(phone)) for phone in piece.phones]
        self._score, self._reached_final = self._score + piece.score, piece.reached_final
        if piece.alternatives and piece.words:
            self._is_calibrated = piece.is_calibrated
        if len(piece.alternatives) > 1:
            others = [
                {"text": other.text, "score": round(other.score, 4), "words": [_word(word) for word in other.words]}
                for other in piece.alternatives
            ]
            self._nbest.append(_json({"start": round(start, 4), "end": round(end, 4), "alternatives": others}))
        return written

    def end(self) -> str:
        rest: dict[str, object] = {"score": round(self._score, 4), "reached_final": self._reached_final}
        if self._is_calibrated is not None:
            rest["calibrated"] = self._is_calibrated
        phones, text = ", ".join(self._phones), _json(" ".join(self._texts))
        nbest = f', "nbest": [{", ".join(self._nbest)}]' if self._nbest else ""
        return f'], "text": {text}, "phones": [{phones}], {_json(rest)[1:-1]}{nbest}}}\n'


def _word(word: TimedWord) -> dict[str, object]:
    return {name: value for name, value in asdict(word).items() if value is not None}


class _Ctm:
    def __init__(self, recording_id: str, channel: int = 1) -> None:
        self._id, self._channel = recording_id, channel

    def add(self, piece: Transcript, start: float, end: float) -> str:
        return as_ctm(self._id, piece, channel=self._channel)

    def end(self) -> str:
        return ""


class _Subtitled:
    def __init__(self, form: str) -> None:
        self._subtitles = Subtitles(form)

    def add(self, piece: Transcript, start: float, end: float) -> str:
        return self._subtitles.add(piece.words)

    def end(self) -> str:
        return self._subtitles.end()


class _Csv:
    def __init__(self, recording_id: str) -> None:
        self._id = recording_id

    def add(self, piece: Transcript, start: float, end: float) -> str:
        sure = ("" if word.confidence is None else f"{word.confidence:.4f}" for word in piece.words)
        rows = zip(piece.words, sure, strict=True)
        return _row_text([self._id, f"{w.start:.3f}", f"{w.end:.3f}", w.word, confidence] for w, confidence in rows)

    def end(self) -> str:
        return ""


class _Lattice:
    """Kaldi's text archive of CompactLattices: of a recording, or, where it has several pieces, of each."""

    def __init__(self, recording_id: str) -> None:
        self._id = "_".join(recording_id.split())
        self._first: tuple[float, float, str] | None = None
        self._n_pieces = 0

    def add(self, piece: Transcript, start: float, end: float) -> str:
        self._n_pieces += 1
        before, self._first = self._first, (start, end, piece.lattice) if self._n_pieces == 1 else None
        if self._n_pieces == 1:
            return ""
        return (self._entry(*before) if before else "") + self._entry(start, end, piece.lattice)

    def end(self) -> str:
        if self._n_pieces > 1 or self._first is None or not self._first[2]:
            return ""
        return f"{self._id} \n{self._first[2]}\n"

    def _entry(self, start: float, end: float, lattice: str) -> str:
        return f"{self._id}-{round(100 * start):06d}-{round(100 * end):06d} \n{lattice}\n" if lattice else ""


def _row_text(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV, which quotes what needs it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


class _Tier:
    """A file whose beginning tells how long the recording is: all is written when its end is known."""

    def __init__(self, form: str, media: Path | None = None, folder: Path | None = None, origin: float = 0.0) -> None:
        self._form, self._media, self._folder, self._origin = form, media, folder, origin
        self._words, self._seconds = list[TimedWord](), 0.0

    def add(self, piece: Transcript, start: float, end: float) -> str:
        self._words += piece.words
        self._seconds = max(self._seconds, end)
        return ""

    def end(self) -> str:
        if self._form == "textgrid":
            return textgrid(self._words, self._seconds)
        return eaf(self._words, media=self._media, folder=self._folder, origin=self._origin)


FORMATS: dict[str, Callable[[str], Written]] = {
    "text": _Text,
    "lines": _Lines,
    "json": _Json,
    "ctm": _Ctm,
    "srt": lambda recording_id: _Subtitled("srt"),
    "vtt": lambda recording_id: _Subtitled("vtt"),
    "csv": _Csv,
    "lattice": _Lattice,
    "textgrid": lambda recording_id: _Tier("textgrid"),
    "eaf": lambda recording_id: _Tier("eaf"),
}
"""Format -> what makes a recording's `Written`, of its id."""

OF_ONE_RECORDING = {"srt": ".srt", "vtt": ".vtt", "textgrid": ".TextGrid", "eaf": ".eaf"}
"""Formats of which a file holds one recording, and what its name ends in."""

HEADS = {"csv": "recording,start,end,word,confidence\n"}
"""What a file of all recordings begins with."""


def written_of(form: str, recording: Utterance, folder: Path | None = None) -> Written:
    """A recording's `Written` in a format; a CTM names the file and its channel, from 1, not the channel's own id.

    Args:
        folder: that the file will be in; an ELAN document says from there where the recording is.
    """
    if form == "eaf" and recording.audio is not None:
        return _Tier("eaf", Path(recording.audio), folder, recording.start or 0.0)
    if form == "ctm" and recording.whole is not None and recording.channel is not None:
        return _Ctm(recording.whole, recording.channel + 1)
    return FORMATS[form](recording.id)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _line_safe(recording_id: str) -> str:
    """An id without what would break the line; a file name may have it."""
    return re.sub(_BREAKS, "_", recording_id)


def as_text(recording_id: str, transcript: Transcript) -> str:
    """`id<TAB>words`; a tab or line break in the id, which a file name may have, becomes `_`."""
    return f"{_line_safe(recording_id)}\t{transcript.text}\n"


def as_json(recording_id: str, transcript: Transcript) -> str:
    """One JSON object: id, words and phones with start and end in seconds, text, score, whether an end was reached."""
    written = _Json(recording_id)
    return written.add(transcript, 0.0, transcript.seconds) + written.end()


def as_ctm(recording_id: str, transcript: Transcript, *, channel: int = 1) -> str:
    """NIST's CTM: `id channel start duration word [confidence]`, one line a word; blanks in the id become `_`.

    Args:
        channel: from 1.
    """
    name = "_".join(recording_id.split())
    return "".join(
        f"{name} {channel} {word.start:.3f} {word.end - word.start:.3f} {word.word}"
        + ("\n" if word.confidence is None else f" {word.confidence:.4f}\n")
        for word in transcript.words
    )
