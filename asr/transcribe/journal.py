"""What a long job has done so far, kept beside its output, so that the same command goes on where it was stopped."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..model.fit import Evidence
from ..model.transcript import TimedPhone, TimedWord, Transcript

_FORM = 4
_KEPT = ("text", "score", "reached_final", "transform", "evidence", "fits", "unlike", "is_calibrated", "lattice")


class Journal:
    """Transcripts of pieces by key, in a file of JSON lines to which each is added as soon as it is there.

    A line that was cut off, by a power failure for instance, is forgotten. Only places are held in memory.

    Args:
        path: the file; one that another job has left is begun anew, and so is one that cannot be understood.
        about: what the results depend on beside their keys, in words: model, options.

    Raises:
        OSError: where the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike, about: str) -> None:
        self.path = Path(path)
        self._places: dict[str, int] = {}
        self.seconds = 0.0  # of audio that an earlier run had done
        head = json.dumps({"asr transcribe": _FORM, "about": digest(about)})
        self._file = self.path.open("r+b" if self.path.is_file() else "w+b")
        whole = self._indexed(head)
        self._file.seek(whole)
        self._file.truncate()
        if not whole:
            self._file.write(f"{head}\n".encode())
            self._file.flush()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Transcript | None:
        """The transcript of a piece, without alignment and sound; None for one that is not there."""
        if key not in self._places:
            return None
        self._file.seek(self._places[key])
        return _transcript(json.loads(self._file.readline())["transcript"])

    def put(self, key: str, seconds: float, transcript: Transcript) -> None:
        """Keep the transcript of a piece of so many seconds."""
        line = json.dumps({"key": key, "seconds": seconds, "transcript": _value(transcript)}, ensure_ascii=False)
        self._places[key] = self._file.seek(0, os.SEEK_END)
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def close(self, *, remove: bool = False) -> None:
        """Close the file.

        Args:
            remove: the job is done, nobody needs it any more.
        """
        self._file.close()
        if remove:
            self.path.unlink(missing_ok=True)

    def _indexed(self, head: str) -> int:
        """How many bytes of the file are whole lines of this job; notes where they are."""
        at = 0
        for line in self._lines():
            if at == 0 and line != f"{head}\n".encode():
                return 0
            if at:
                try:
                    value = json.loads(line)
                    _transcript(value["transcript"])
                    self._places[value["key"]] = at
                    self.seconds += value["seconds"]
                except (ValueError, KeyError, TypeError):
                    return at
            at += len(line)
        return at

    def _lines(self) -> Iterator[bytes]:
        """The lines of the file that have an end."""
        self._file.seek(0)
        yield from (line for line in iter(self._file.readline, b"") if line.endswith(b"\n"))


def digest(text: str) -> str:
    """A short name for a text, which no other has."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _value(transcript: Transcript) -> dict[str, Any]:
    """What is kept of a transcript."""
    value = {name: getattr(transcript, name) for name in _KEPT}
    value |= {name: [asdict(part) for part in getattr(transcript, name)] for name in ("words", "phones")}
    return value | {"alternatives": [_value(other) for other in transcript.alternatives]}


def _transcript(value: dict[str, Any]) -> Transcript:
    alternatives = tuple(_transcript(other) for other in value.pop("alternatives"))
    words = tuple(TimedWord(**word) for word in value.pop("words"))
    phones = tuple(TimedPhone(**phone) for phone in value.pop("phones"))
    evidence = value.pop("evidence")
    unlike = tuple((start, end) for start, end in value.pop("unlike"))
    return Transcript(
        **value,
        words=words,
        phones=phones,
        evidence=evidence and Evidence(*evidence),
        unlike=unlike,
        alternatives=alternatives,
    )
