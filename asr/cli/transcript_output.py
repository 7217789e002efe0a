"""Where `asr transcribe` writes: words as they are found, or files that are whole or not there, and that go on."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

import typer

from ..errors import AsrError
from ..files import as_system, kind_of, replacing
from .common import complain, output, writing

if TYPE_CHECKING:
    from ..corpus import Utterance
    from ..model.transcript import Transcript
    from ..model.transcription import Part
    from ..transcribe.writing import Written


class TranscriptOutput:
    """One stream for all recordings, or a folder with a file for each.

    Args:
        out: None for stdout.
        form: of asr.transcribe.writing.FORMATS.
    """

    def __init__(self, out: Path | None, form: str, *, is_folder: bool) -> None:
        self._out, self._form, self._is_folder = out, form, is_folder
        self._open = contextlib.ExitStack()  # of the whole run
        self._file = contextlib.ExitStack()  # of one recording, in a folder
        self._stream: TextIO | None = None
        self._current: tuple[str, Written] | None = None

    def __enter__(self) -> "TranscriptOutput":
        if not self._is_folder:
            from ..transcribe.writing import HEADS

            self._stream = self._open.enter_context(output(self._out))
            self._stream.write(HEADS.get(self._form, ""))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.__exit__(kind, error, at)
        self._open.__exit__(kind, error, at)

    def write(self, part: "Part") -> bool:
        """Write what was recognised in a piece, at once; whether the output now stands within a line."""
        from ..model.transcript import Transcript
        from ..transcribe.writing import written_of

        name, text = part.recording.id, ""
        if isinstance(part.result, Transcript):
            if self._current is None:
                self._begin(name)
                self._current = name, written_of(self._form, part.recording, self._folder())
            text = self._current[1].add(part.result, part.start, part.end)
        if part.is_last and self._current is not None:
            text += self._current[1].end()
        if text and self._stream is not None:
            self._stream.write(text)
            self._stream.flush()
        if part.is_last:
            self._current = None
            self._file.close()
        return self._current is not None and self._form in ("text", "json")

    def _folder(self) -> Path | None:
        """Where the files are; None for stdout."""
        if self._out is None or str(self._out) == "-":
            return None
        return self._out if self._is_folder else self._out.parent

    def _begin(self, name: str) -> None:
        if self._is_folder and self._out is not None:
            from ..corpus.feature_files import file_name
            from ..transcribe.writing import OF_ONE_RECORDING

            path = self._out / as_system(f"{file_name(name)}{OF_ONE_RECORDING[self._form]}")
            self._file.enter_context(writing(path))
            temporary = self._file.enter_context(replacing(path))
            self._stream = self._file.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))


def check_form(out: Path | None, form: str, n_recordings: int) -> bool:
    """Whether a folder is written to, with a file for each recording; a new one is made where there are several.

    Raises:
        AsrError: for what cannot be.
    """
    from ..transcribe.writing import OF_ONE_RECORDING

    kind = "missing" if out is None or str(out) == "-" else kind_of(out)
    if form not in OF_ONE_RECORDING:
        if kind == "folder":
            raise AsrError(f"{out}: is a folder; give --out the name of a file")
        return False
    if kind == "folder":
        return True
    if n_recordings < 2:
        return False
    if (
        out is None
        or kind != "missing"
        or str(out) == "-"
        or out.suffix.lower() in map(str.lower, OF_ONE_RECORDING.values())
    ):
        what = "subtitles" if form in ("srt", "vtt") else form
        raise AsrError(
            f"a file of {what} is of one recording, and these are {n_recordings}: give a folder for them as --out"
        )
    with writing(out):
        out.mkdir(parents=True)
    return True


@contextlib.contextmanager
def journal_beside(
    out: Path | None, about: str, *, is_folder: bool
) -> Iterator["tuple[Callable[[Utterance, int, float, float], Transcript | None] | None, Callable[[Part], None]]"]:
    """What looks up the pieces that an earlier run of the same command has done, and what notes those of this one.

    The first is None where there was no earlier run.

    The notes lie beside `out`, and go when all is written. Nothing is noted for stdout, devices and pipes.
    """
    from ..model.transcript import Transcript

    path = _journal_path(out, is_folder=is_folder)
    if path is None:
        finished = False

        def notice(part: "Part") -> None:
            nonlocal finished
            finished = True

        try:
            yield None, notice
        except KeyboardInterrupt:
            complain(
                f"stopped; {'what is written is all that was finished' if finished else 'nothing was finished yet'}"
            )
            raise typer.Exit(130) from None
        return
    from ..transcribe.journal import Journal

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = Journal(path, about)
    if len(journal):
        complain(f"going on: {journal.seconds:.0f} s of audio were transcribed before ({path})")

    def note(part: "Part") -> None:
        key = piece_key(part.recording, part.number, part.start, part.end)
        if isinstance(part.result, Transcript) and journal.get(key) is None:
            with writing(journal.path):
                journal.put(key, part.end - part.start, part.result)

    def known(recording: "Utterance", number: int, start: float, end: float) -> "Transcript | None":
        return journal.get(piece_key(recording, number, start, end))

    try:
        yield known if len(journal) else None, note
    except BaseException as error:
        journal.close(remove=not len(journal))
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            kept = f"the same command goes on where it was: {path} keeps what is done"
            complain(f"stopped; {kept if len(journal) else 'nothing was finished yet'}")
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(130) from None
        raise
    journal.close(remove=True)


def _journal_path(out: Path | None, *, is_folder: bool) -> Path | None:
    """Where the notes for an output lie; None where there are none."""
    if out is None or str(out) == "-" or out.absolute().parts[1:2] in (("dev",), ("proc",)):
        return None
    if is_folder:
        return out / "transcribe.partial"
    return out.with_name(f"{out.name}.partial") if kind_of(out) in ("file", "missing") else None


def piece_key(recording: "Utterance", number: int, start: float, end: float) -> str:
    """What a piece's transcript depends on, beside the model: the file as it is now, and where in it."""
    from ..transcribe.journal import digest

    path = recording.path
    try:
        status = path.stat()
        file = f"{os.path.realpath(path)} {status.st_size} {status.st_mtime_ns}"
    except (OSError, ValueError):
        file = str(path)
    place = (recording.start, recording.end, recording.channel, recording.features, recording.speaker)
    return digest(f"{recording.id}\n{file}\n{place}\n{number} {start:.4f} {end:.4f}")
