"""Reading a folder of recordings with transcripts of the same stem."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import CorpusError
from ..files import kind_of, numbered_lines
from .core import Problem, Utterance, is_name

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
Speaker = str | Callable[[Path], str] | None


def read_folder(
    directory: Path, speaker: Speaker, text_suffix: str, need_text: bool
) -> tuple[list[Utterance], list[Problem]]:
    """The usable utterances of `Corpus.from_folder`, and the problems."""
    if kind_of(directory) != "folder":
        raise CorpusError(f"{directory}: no such folder, or no permission to look into it")
    problems: list[Problem] = []
    files = files_below(directory, problems)
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    if not audio:
        reasons = "".join(f"; {problem}" for problem in problems)
        kinds = ", ".join(AUDIO_SUFFIXES)
        raise CorpusError(f"{directory}: no recordings ({kinds}) in this folder or those in it{reasons}")
    texts = {_without(path, text_suffix): path for path in files if path.name.lower().endswith(text_suffix.lower())}
    utterances = []
    for path, utterance_id in _named(audio, directory, problems):
        found = len(problems)
        text = _text(path, texts, text_suffix, problems) if need_text else None
        name = _speaker(path.relative_to(directory).with_suffix(""), utterance_id, speaker, path, problems)
        if kind_of(path) != "file":
            lost = path.is_symlink() and kind_of(path) != "other"
            problems.append(Problem(str(path), "the link leads to no file" if lost else "is a pipe or device, no file"))
        elif path.stat().st_size == 0:
            problems.append(Problem(str(path), "the file is empty"))
        if len(problems) == found:
            utterances.append(Utterance(utterance_id, name, path, text))
    if need_text:
        problems += _orphans(audio, texts)
    return utterances, problems


def _orphans(audio: list[Path], texts: dict[Path, Path]) -> list[Problem]:
    """Transcripts without recording."""
    stems = {path.with_suffix("") for path in audio}
    kinds = ", ".join(AUDIO_SUFFIXES)
    return [
        Problem(str(path), f"no recording of that name ({kinds}) beside it")
        for stem, path in texts.items()
        if stem not in stems
    ]


def files_below(directory: Path, problems: list[Problem]) -> list[Path]:
    """All files below a folder but hidden ones, sorted by path; links to folders are followed, each folder once.

    problems: gets the folders that cannot be read.
    """

    def complain(error: OSError) -> None:
        problems.append(Problem(str(error.filename), f"the folder cannot be read: {error.strerror}; allow it"))

    found, seen = [], set()
    for here, folders, names in os.walk(directory, onerror=complain, followlinks=True):
        real = Path(here).resolve()
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            found += [Path(here) / name for name in names if not name.startswith(".")]
        seen.add(real)
    return sorted(found, key=lambda path: path.relative_to(directory).as_posix())


def _without(path: Path, suffix: str) -> Path:
    return path.with_name(path.name[: len(path.name) - len(suffix)]) if len(path.name) > len(suffix) else path


def _named(audio: list[Path], directory: Path, problems: list[Problem]) -> Iterator[tuple[Path, str]]:
    """Recordings with their ids; those that cannot have one become problems."""
    folders_of_stem: dict[str, set[Path]] = {}
    for path in audio:
        folders_of_stem.setdefault(path.stem, set()).add(path.parent)

    def id_of(path: Path) -> str:
        if len(folders_of_stem[path.stem]) == 1:
            return path.stem
        return path.relative_to(directory).with_suffix("").as_posix().replace("/", "-")

    counts = Counter(map(id_of, audio))
    first: dict[str, Path] = {}
    for path in audio:
        utterance_id = id_of(path)
        if not is_name(utterance_id):
            problems.append(
                Problem(str(path), f"id {utterance_id!r} has white space or is not Unicode; rename the file")
            )
        elif utterance_id in first:
            problems.append(
                Problem(
                    str(path), f"has the same id {utterance_id!r} as {first[utterance_id]}; neither is used, rename one"
                )
            )
        elif counts[utterance_id] == 1:
            yield path, utterance_id
        first.setdefault(utterance_id, path)


def _text(path: Path, texts: dict[Path, Path], text_suffix: str, problems: list[Problem]) -> str:
    """The transcript beside a recording."""
    source = texts.get(path.with_suffix(""))
    if source is None:
        problems.append(Problem(str(path), f"no transcript {path.with_suffix('').name}{text_suffix} beside it"))
        return ""
    try:
        lines = list(numbered_lines(source))
    except OSError as error:
        problems.append(Problem(str(source), f"cannot be read: {error.strerror}"))
        return ""
    bad = [number for number, line in lines if line is None]
    if bad:
        problems.append(Problem(f"{source}:{bad[0]}", "not valid UTF-8; save the file as UTF-8"))
        return ""
    text = " ".join(line for _, line in lines if line)
    if not text.strip():
        problems.append(Problem(str(source), "the transcript is blank; write what is said, or remove the recording"))
    return text


def _speaker(inner: Path, utterance_id: str, speaker: Speaker, path: Path, problems: list[Problem]) -> str:
    """The speaker of a recording; `inner` is its path within the corpus, without suffix."""
    if speaker is None:
        return "_".join(inner.parent.name.split()) or utterance_id
    if isinstance(speaker, str):
        try:
            match = re.search(speaker, inner.as_posix())
        except re.error as error:
            raise CorpusError(f"speaker={speaker!r} is not a regular expression: {error}") from None
        name = (match[1] if match.re.groups else match[0]) if match else None
    else:
        name = speaker(inner)
    if not is_name(name):
        problems.append(
            Problem(str(path), f"its speaker would be {name!r}; need a name without blanks: mend `speaker`")
        )
        return utterance_id
    return str(name)
