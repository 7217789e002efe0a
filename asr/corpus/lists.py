"""What the readers share: lines of lists, the files that lists name, and stretches of recordings that overlap."""

import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import AudioError, CorpusError
from ..files import as_system, dead_link, decoded_lines, kind_of, read_bytes
from .commands import output_of
from .utterance import Problem, Utterance, time_problem

UNDECODABLE = (".m4a", ".webm", ".mp4", ".aac", ".wma", ".amr", ".m4b", ".mka", ".mkv", ".mov", ".3gp", ".spx", ".wv")
# Only PyAV or the ffmpeg program decodes these.
AUDIO_SUFFIXES = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".sph", ".aiff", ".aif", ".aifc", ".au", ".caf"),
    *(".w64", *UNDECODABLE),
)
MAX_OVERSHOOT = 0.5  # s that a part may end after its recording, as in Kaldi's extract-segments
_OVERLAP = 0.01  # s, a frame shift: what times that were rounded may overlap
_SMALL = 1 << 14  # bytes; such a file may be a Git LFS pointer or a web page that says "not found"
_PLACE = re.compile(r"(?P<file>.+?):(?P<offset>\d+)(?P<part>\[.*\])?", re.DOTALL)


def nfc(text: str) -> str:
    """Text with accents in one piece with their letters; some systems write file names with them apart."""
    return unicodedata.normalize("NFC", text)


def good_lines(path: Path, problems: list[Problem], raw: bytes | None = None) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text file; those that are no text become problems.

    Args:
        raw: the file's content where it is not what lies on the disk.

    Raises:
        CorpusError: if the file cannot be read.
    """
    if raw is None and kind_of(path) == "other":
        raise CorpusError(f"{path}: is a pipe or device, not a file")  # reading it might never end
    try:
        raw = read_bytes(path) if raw is None else raw
    except (OSError, ValueError) as error:
        reason = dead_link(path) or f"cannot be read: {getattr(error, 'strerror', error)}"
        raise CorpusError(f"{path}: {reason}") from None
    for number, line in decoded_lines(raw):
        if line is None:
            message = "not valid UTF-8; save the file as UTF-8"
        elif "\0" in line:
            message = "holds a NUL byte: damaged, or UTF-16 without byte-order mark; save the file as UTF-8"
        elif "\ufeff" in line:
            message = "holds a byte-order mark (U+FEFF, invisible) amid the line; delete it"
        else:
            yield number, line
            continue
        problems.append(Problem(f"{path}:{number}", message))


class Finder:
    """Finds and checks the files that lists name. Every method raises CorpusError with what is wrong, without a place.

    Args:
        *bases: folders that a relative path may start from, in the order they are tried.
        commands: the folder for what commands write, or None where no command may run.
    """

    def __init__(self, *bases: Path, commands: Path | None = None):
        self.bases = bases or (Path(),)
        self.commands = commands
        self._folders: dict[Path, dict[str, str]] = {}
        self._lengths: dict[Path, float] = {}
        self._archives: dict[str, tuple[Path, int]] = {}

    def audio(self, given: str, name: str) -> Path:
        """An audio file that seems usable.

        Args:
            name: of the recording, for what a command writes.
        """
        if output := self._output(given, name, ".wav"):
            return output
        if (match := _PLACE.fullmatch(given)) and match["file"].lower().endswith(".ark"):
            raise CorpusError(f"lies in an archive ({given!r}); copy it to an audio file of its own")
        path = self._find(given)
        check_audio(path, shown=given)
        return path

    def features(self, given: str, name: str) -> str:
        """The place of a feature matrix, `X.npy` or `X.ark:OFFSET`, whose file exists.

        Args:
            name: see `audio`.
        """
        if output := self._output(given, name, ".ark"):
            return f"{output}:0"
        if not given:
            raise CorpusError("no path is given")
        match = _PLACE.fullmatch(given)
        if match is None and not given.lower().endswith(".npy"):
            raise CorpusError(f"features {given!r} are not understood; need X.npy or X.ark:OFFSET")
        name = match["file"] if match else given
        if name not in self._archives:  # thousands of places are in one archive
            path = self._find(name)
            check_file(path, shown=given)
            self._archives[name] = path, path.stat().st_size
        path, size = self._archives[name]
        if match is None:
            return str(path)
        if int(match["offset"]) >= size:
            raise CorpusError(f"offset {match['offset']} lies beyond the {size} bytes of {path}")
        return f"{path}:{match['offset']}{match['part'] or ''}"

    def part(self, path: Path, start: float | None, end: float | None) -> tuple[float | None, float | None]:
        """Start and end in s of a part of a recording; an end up to MAX_OVERSHOOT too late becomes None, the end."""
        if message := time_problem(start, end):
            raise CorpusError(message)
        if start or end is not None:
            length = self._length(path)
            if (start or 0.0) >= length or (end is not None and end > length + MAX_OVERSHOOT):
                shown = f"{start or 0.0:g} s to {'the end' if end is None else f'{end:g} s'}"
                raise CorpusError(f"the part from {shown} is beyond the recording's {length:.2f} s ({path})")
            end = None if end is not None and end > length else end
        return start or None, end

    def _length(self, path: Path) -> float:
        """Seconds, from the file's header."""
        if path not in self._lengths:
            from .. import audio

            try:
                length = audio.describe(path).duration_seconds
            except AudioError as error:
                raise CorpusError(f"its recording cannot be read: {error}") from None
            self._lengths[path] = math.inf if length is None else length  # where only decoding tells, it will
        return self._lengths[path]

    def _output(self, given: str, name: str, suffix: str) -> Path | None:
        """The file with what a command wrote, or None where no command is given."""
        from ..features.archive import is_command

        if not is_command(given):
            return None
        if self.commands is None:
            raise CorpusError(
                f"is a command ({given!r}); commands are not run unless allowed (--allow-commands, allow_commands=): "
                "allow them, or write its output to a file"
            )
        return output_of(given, name, self.commands, suffix)

    def _find(self, given: str) -> Path:
        """The path of a file by the name that a list gives it, or CorpusError."""
        if not given:
            raise CorpusError("no path is given")
        # Files move between systems: with Windows' separators, with accents in one piece with letters or apart.
        names = dict.fromkeys((given, nfc(given), unicodedata.normalize("NFD", given), given.replace("\\", "/")))
        paths = [base / name for name in dict.fromkeys((*names, *map(as_system, names))) for base in self.bases]
        other = None
        for path in paths:
            kind = kind_of(path)
            if kind == "file":
                return path
            if kind != "missing" or dead_link(path):
                other = other or path
        if other is None:
            raise CorpusError(f"no such file: {given}{self._like(paths)}")
        return other

    def _like(self, paths: list[Path]) -> str:
        """A hint where a file's name differs by upper and lower case alone."""
        for path in paths:
            if path.parent not in self._folders:
                names = os.listdir(path.parent) if kind_of(path.parent) == "folder" else []  # noqa: PTH208
                self._folders[path.parent] = {nfc(name).casefold(): name for name in names}
            if found := self._folders[path.parent].get(nfc(path.name).casefold()):
                return f"; there is {found!r}: mend upper and lower case, or the accents"
        return ""


def check_file(path: Path, *, shown: str = "") -> None:
    """Raise CorpusError unless a path leads to a readable file that is not empty.

    Args:
        shown: its name in messages.
    """
    after = f": {shown}" if shown else ""
    kind = kind_of(path)
    if kind == "folder":
        raise CorpusError(f"is a folder, not a file{after}")
    if kind == "other":
        raise CorpusError(f"is a pipe or device, not a file{after}")
    if link := dead_link(path):
        raise CorpusError(f"{link}{after}")
    if kind != "file":
        raise CorpusError(f"{'no such file' if kind == 'missing' else 'may not or cannot be opened'}{after}")
    if path.stat().st_size == 0:
        raise CorpusError(f"the file is empty{after}")
    if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        raise CorpusError(f"no permission to read the file{after}")


def check_audio(path: Path, *, shown: str = "") -> None:
    """check_file, and raise CorpusError for a format that cannot be decoded here."""
    check_file(path, shown=shown)
    if path.suffix.lower() in UNDECODABLE or path.stat().st_size < _SMALL:
        from ..audio import undecodable

        if message := undecodable(path):
            raise CorpusError(message.removeprefix(f"{path}: "))


def overlaps(listed: Iterable[tuple[str, Utterance]]) -> list[Problem]:
    """Stretches of a recording that one speaker is said to speak in twice. Two speakers may speak at once.

    Args:
        listed: utterances with their places (file:line). Both of a pair are used all the same: only a person can tell
            whether the times or the speaker are wrong, or the segments were cut with some sound around the speech.
    """
    groups: dict[tuple[Path, int | None, str], list[tuple[float, float, str, str]]] = {}
    for place, u in listed:
        if u.audio is not None:
            stretch = (u.start or 0.0, float("inf") if u.end is None else u.end, place, u.id)
            groups.setdefault((u.audio, u.channel, u.speaker), []).append(stretch)
    problems = []
    for group in groups.values():
        last_end, last_id = 0.0, ""
        for start, end, place, name in sorted(group):
            if start < last_end - _OVERLAP and last_id:
                what = f"begins at {start:g} s, before {last_id!r} of the same recording and speaker ends"
                problems.append(
                    Problem(place, f"utterance {name!r} overlaps: it {what}; both are used, check the times")
                )
            if end > last_end:
                last_end, last_id = end, name
    return problems
