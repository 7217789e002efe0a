"""What a person may have meant: files beside recordings that may be their transcripts, and who speaks, by the names."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..display.brief import many
from ..errors import CorpusError
from ..files import readable
from .annotations import parts_of
from .lists import AUDIO_SUFFIXES, nfc

_NO_TRANSCRIPTS = (*AUDIO_SUFFIXES, ".npy", ".npz", ".ark", ".scp", ".pitch", ".formant", ".f0", ".log", ".md5")
_HEAD = 1 << 12  # bytes that tell whether a file is text
_FEWEST = 3  # recordings of a speaker, on average, for a part of the names to be likely the speaker
_SIGNS = "_-.+@ "


class Others:
    """Text files beside recordings that are not what was asked for, by the stem of both.

    Attributes:
        wrong: suffix -> why a file that ends so is no transcript that can be read.
    """

    def __init__(self, files: Iterable[Path], stems: set[str], text_suffix: str) -> None:
        self._by_stem: dict[str, list[tuple[str, Path]]] = {}
        self.wrong: dict[str, str] = {}
        is_text: dict[str, bool] = {}
        asked = text_suffix.lower()
        for path in files:
            stem, suffix = _beside(path, stems)
            if stem is None or suffix.lower() == asked or suffix.lower().endswith(_NO_TRANSCRIPTS):
                continue
            if suffix not in is_text:
                is_text[suffix] = self._look_into(path, suffix)
            if is_text[suffix]:
                self._by_stem.setdefault(stem, []).append((suffix, path))

    def _look_into(self, path: Path, suffix: str) -> bool:
        """Whether a file is text; of one that is no transcript the reason is kept."""
        try:
            with path.open("rb") as stream:
                head = stream.read(_HEAD)
            if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
                return False
            parts_of(path, None)
        except CorpusError as error:
            if str(error).startswith("is "):
                self.wrong[suffix] = f"{path.name} {error}"
        except OSError:
            return False
        return True

    def hint(self, stem: str) -> str:
        """What to say of a recording without transcript."""
        suffix, path = min(self._by_stem.get(stem, []), key=lambda pair: pair[0] in self.wrong, default=("", None))
        if path is None:
            return ""
        if suffix in self.wrong:
            return f"; there is {path.name}, but a file {suffix} is not read"
        return f"; there is {path.name}: --text-suffix {suffix} reads it"

    def in_lines(self) -> list[str]:
        """A line for each kind of file."""
        counts = Counter(suffix for pairs in self._by_stem.values() for suffix, _ in pairs)
        lines = []
        for suffix, count in counts.most_common():
            it = "it" if count == 1 else "them"
            what = f"{many(count, 'recording has', 'recordings have')} a file {suffix} beside {it}"
            if suffix in self.wrong:
                lines.append(f"{what}, which is not read: {self.wrong[suffix]}")
            else:
                lines.append(f"{what}; --text-suffix {suffix} reads {it} as transcripts")
        return lines


def _beside(path: Path, stems: set[str]) -> tuple[str | None, str]:
    """The recording's stem that a file's name begins with, and the rest of the name: `.txt`, `.mb.cleaned`."""
    name, at = path.name, path.name.rfind(".")
    while at > 0:
        stem = nfc(str(path.with_name(name[:at])))
        if stem in stems:
            return stem, name[at:]
        at = name.rfind(".", 0, at)
    return None, ""


def speaker_hint(paths: Sequence[Path]) -> str | None:
    """A pattern for --speaker that parts recordings by a folder or a part of their names, in words; None if none does.

    Args:
        paths: of recordings of which each counts as a speaker of its own.

    Examples:
        >>> speaker_hint([Path(f"d/{k % 2}_{name}_{k}.wav") for name in ("ann", "bob") for k in range(9)])
        "file names have 2 different second parts (ann, bob); if these are the speakers: --speaker '^[^_]*_([^_]+)'"
    """
    if len(paths) < 2 * _FEWEST:
        return None
    base = Path(os.path.commonpath([str(path.parent) for path in paths]))
    inner = [readable(path.relative_to(base).with_suffix("").as_posix()) for path in paths]
    if all("/" in name for name in inner) and (tops := _speakers([name.partition("/")[0] for name in inner])):
        return f"folders have {_of(tops)}; if these are the speakers: --speaker '^[^/]+'"
    sign = next((s for s in _SIGNS if all(s in name for name in inner)), None)
    if sign is None or any("/" in name for name in inner):
        return None
    n_parts = min(name.count(sign) for name in inner) + 1
    columns = [[name.split(sign)[i] for name in inner] for i in range(n_parts)]
    likely = [(not _are_words(column), i) for i, column in enumerate(columns) if _speakers(column)]
    if not likely:
        return None
    _, i = min(likely)
    one = "[^ ]" if sign == " " else f"[^{re.escape(sign)}]"
    pattern = f"^{one}+" if i == 0 else "^" + f"{one}*{re.escape(sign)}" * i + f"({one}+)"
    which = ("first", "second", "third")[i] if i < 3 else f"{i + 1}th"
    found = _of(_speakers(columns[i]), f"{which} parts")
    return f"file names have {found}; if these are the speakers: --speaker '{pattern}'"


def _speakers(names: Sequence[str]) -> list[str]:
    """The different names, if they may be those of speakers: two or more, with some recordings each."""
    different = sorted(set(names))
    return different if 2 <= len(different) <= len(names) / _FEWEST else []


def _are_words(names: Sequence[str]) -> bool:
    """Whether names begin with letters, as those of speakers mostly do."""
    return all(name[:1].isalpha() for name in names)


def _of(names: Sequence[str], what: str = "names") -> str:
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return f"{len(names)} different {what} ({shown})"
