"""Reading a folder of recordings, or of feature matrices, with transcripts of the same stem."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import CorpusError
from ..files import kind_of, readable
from .annotations import Part, parts_of
from .channels import Channel, channels_of, of_channel
from .hints import Others
from .lists import AUDIO_SUFFIXES, UNDECODABLE, Finder, check_audio, check_file, good_lines, nfc
from .utterance import Problem, Utterance, check_words, is_name, listed

__all__ = ["AUDIO_SUFFIXES", "files_below", "read_folder", "recordings_among"]

_FEATURES = ".npy"
_TABLES = (".tsv", ".csv")
_MARKUP = re.compile(r"\s*<([?!]|([A-Za-z][\w:-]*)[^<>]*>.*</\2\s*>)", re.DOTALL)  # but not `<noise> two`

Speaker = str | re.Pattern[str] | Callable[[Path], str] | None


def read_folder(
    directory: Path,
    speaker: Speaker,
    text_suffix: str,
    need_text: bool,
    tier: str | None = None,
    channel: Channel = None,
) -> tuple[list[Utterance], list[Problem]]:
    """The usable utterances of `Corpus.from_folder`, and the problems."""
    if kind_of(directory) != "folder":
        raise CorpusError(f"{directory}: no such folder, or no permission to look into it")
    if isinstance(speaker, str):
        speaker = speaker_pattern(speaker)
    if not text_suffix:
        raise CorpusError("text_suffix is empty; need how the transcripts' names end, such as '.txt'")
    problems: list[Problem] = []
    files = files_below(directory, problems)
    features = {_stem(path): path for path in files if path.suffix.lower() == _FEATURES}
    main = recordings_among(files) or list(features.values())
    if not main:
        reasons = "".join(f"; {problem}" for problem in problems)
        kinds = ", ".join((*AUDIO_SUFFIXES, _FEATURES))
        raise CorpusError(f"{directory}: no recordings ({kinds}) in this folder or those in it{reasons}")
    texts = _Transcripts(files, main, text_suffix, tier)
    utterances: list[Utterance] = []
    recorded = {_stem(path) for path in main}
    for path, utterance in _wholes(main, directory, features, speaker, problems):
        recorded.discard(_stem(path))  # of several channels each has its own transcript
        for part, whole in _channels(path, utterance, channel):
            recorded.add(_stem(part))
            try:
                utterances += texts.of(part, whole, problems) if need_text else [whole]
            except CorpusError as error:
                problems.append(Problem(str(path), str(error)))
    if not utterances:
        tables = [path for path in files if path.parent == directory and path.suffix.lower() in _TABLES]
        problems[:0] = [Problem(str(path), "a table is not read with its folder; give its own name") for path in tables]
    if need_text:
        problems += _orphans(recorded, texts.files)
    return utterances, [*problems, *_same_but_for_case(main, directory)]


def _wholes(
    main: list[Path], directory: Path, features: dict[str, Path], speaker: Speaker, problems: list[Problem]
) -> Iterator[tuple[Path, Utterance]]:
    """Each usable recording, or matrix of features, as one utterance; why others are not becomes a problem.

    Args:
        features: matrices by stem, which may lie beside the recordings.
    """
    for path, utterance_id in _named(main, directory, problems):
        try:
            name = speaker_of(path.relative_to(directory).with_suffix(""), utterance_id, speaker)
            audio, matrix = _usable(path, features.get(_stem(path)), problems)
        except CorpusError as error:
            problems.append(Problem(str(path), str(error)))
            continue
        yield path, listed(Utterance(utterance_id, name, audio, features=matrix))


def _channels(path: Path, utterance: Utterance, channel: Channel) -> Iterator[tuple[Path, Utterance]]:
    """A recording's utterances, one for each channel if that is asked for, beside the path that names the transcript.

    Of several channels these are named as the ids are: `call-1.txt`, `call-2.txt`.
    """
    if channel == "each" and utterance.audio is not None:
        numbers = channels_of(utterance.audio)
        for number in numbers:
            behind = f"-{number + 1}" if number is not None else ""
            named = path.with_name(f"{path.stem}{behind}{path.suffix}")
            yield named, of_channel(utterance, number, of_several=len(numbers) > 1)
    elif channel == "each" or utterance.audio is None:
        yield path, utterance
    else:
        yield path, replace(utterance, channel=channel)


def _usable(path: Path, features: Path | None, problems: list[Problem]) -> tuple[Path | None, str | None]:
    """The audio and the features of an utterance, what is wrong with one where the other can be used."""
    audio = None if path == features else path
    if audio is not None:
        try:
            check_audio(audio)
        except CorpusError as error:
            if features is None:
                raise
            problems.append(Problem(str(path), f"{error}; its features {features.name} are used alone"))
            audio = None
    if features is None:
        return audio, None
    try:
        check_file(features)
    except CorpusError as error:
        if audio is None:
            raise
        problems.append(Problem(str(features), f"{error}; only the recording beside it is used"))
        return audio, None
    return audio, str(features)


def recordings_among(files: list[Path]) -> list[Path]:
    """The audio files of a folder, but those that cannot be decoded and lie beside a copy of the same name that can."""
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    converted = {_stem(path) for path in audio if path.suffix.lower() not in UNDECODABLE}
    return [path for path in audio if path.suffix.lower() not in UNDECODABLE or _stem(path) not in converted]


def _stem(path: Path, suffix: str | None = None) -> str:
    """A path without its suffix, to compare: systems differ in how they write accents in file names."""
    text, cut = str(path), len(path.suffix if suffix is None else suffix)
    return nfc(text[: len(text) - cut] if cut < len(path.name) else text)


def _orphans(stems: set[str], texts: dict[str, Path]) -> Iterator[Problem]:
    """Transcripts without recording."""
    for stem, path in texts.items():
        if stem not in stems:
            folder = next((f"{stem}{s}" for s in AUDIO_SUFFIXES if kind_of(f"{stem}{s}") == "folder"), None)
            hint = f"; {Path(folder).name} is a folder" if folder else ""
            yield Problem(str(path), f"no recording of that name beside it (.wav, .flac, .mp3 ...){hint}")


def _same_but_for_case(main: list[Path], directory: Path) -> Iterator[Problem]:
    """Files that are one on systems that take `A` and `a` for the same."""
    first: dict[str, Path] = {}
    for path in main:
        other = first.setdefault(_stem(path.relative_to(directory)).casefold(), path)
        if _stem(other) != _stem(path):
            message = f"differs from {other} by upper and lower case alone; both are used, Windows would keep one"
            yield Problem(str(path), message)


def files_below(directory: Path, problems: list[Problem]) -> list[Path]:
    """All files below a folder but hidden ones, sorted by path; links to folders are followed, each folder once.

    Args:
        problems: gets the folders that cannot be read.
    """

    def complain(error: OSError) -> None:
        problems.append(Problem(str(error.filename), f"the folder cannot be read: {error.strerror}; allow it"))

    found, seen = [], set()
    for here, folders, names in os.walk(directory, onerror=complain, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            found += [Path(here) / name for name in names if not name.startswith(".")]
        seen.add(real)
    return sorted(found, key=Path.as_posix)


def _named(main: list[Path], directory: Path, problems: list[Problem]) -> Iterator[tuple[Path, str]]:
    """Files with their ids; those that cannot have one become problems."""
    folders_of_stem: dict[str, set[Path]] = {}
    for path in main:
        folders_of_stem.setdefault(_id(Path(path.name)), set()).add(path.parent)

    def id_of(path: Path) -> str:
        short = _id(Path(path.name))
        return short if len(folders_of_stem[short]) == 1 else _id(path.relative_to(directory))

    counts = Counter(map(id_of, main))
    first: dict[str, Path] = {}
    for path in main:
        utterance_id = id_of(path)
        if not is_name(utterance_id):
            problems.append(Problem(str(path), f"id {utterance_id!r} is empty or not Unicode; rename the file"))
        elif utterance_id in first:
            message = f"has the same id {utterance_id!r} as {first[utterance_id]}; neither is used, rename one"
            problems.append(Problem(str(path), message))
        elif counts[utterance_id] == 1:
            yield path, utterance_id
        first.setdefault(utterance_id, path)


def _id(path: Path) -> str:
    """The id that a path makes: without suffix, `-` for `/`, `_` for blanks."""
    return "_".join(nfc(readable(path.with_suffix("").as_posix())).replace("/", "-").split())


def other_transcripts(directory: Path, text_suffix: str = ".txt") -> list[str]:
    """A line for each kind of file in a folder that may hold the transcripts but is not what was asked for."""
    files = files_below(directory, [])
    tables = [path.name for path in files if path.parent == directory and path.suffix.lower() in _TABLES]
    lines = [f"{name} is a table; if it holds the transcripts, give its own name" for name in tables]
    return lines + _others(files, recordings_among(files), text_suffix).in_lines()


def _others(files: list[Path], main: list[Path], text_suffix: str) -> Others:
    return Others(files, {_stem(path) for path in main}, text_suffix)


class _Transcripts:
    """The transcripts in a folder, and those for each of its recordings.

    Args:
        suffix: how their names end.
        tier: of annotations, the one to read.
    """

    def __init__(self, files: list[Path], main: list[Path], suffix: str, tier: str | None) -> None:
        self.files = {_stem(path, suffix): path for path in files if path.name.lower().endswith(suffix.lower())}
        self._suffix, self._tier, self._others = suffix, tier, _others(files, main, suffix)

    def of(self, path: Path, whole: Utterance, problems: list[Problem]) -> list[Utterance]:
        """A recording's utterances with their texts. Raises CorpusError where it has no transcript."""
        if source := self.files.get(_stem(path)):
            return _transcribed(whole, source, self._tier, problems)
        like = [p.name for stem, p in self.files.items() if stem.casefold() == _stem(path).casefold()]
        hint = f"; {like[0]} differs by upper and lower case" if like else ""
        lines = self._others.hint(_stem(path))
        raise CorpusError(f"no transcript {path.stem}{self._suffix} beside it{hint}{lines}")


def _transcribed(whole: Utterance, source: Path, tier: str | None, problems: list[Problem]) -> list[Utterance]:
    """A recording's utterances with their transcripts: one, or one for each interval of an annotation."""
    try:
        parts = parts_of(source, tier)
    except CorpusError as error:
        problems.append(Problem(str(source), str(error).removeprefix(f"{source}: ")))
        return []
    if parts is None:
        text = _text(source, problems)
        parts = [] if text is None else [Part(None, None, text)]
    found, finder = [], Finder()
    for part in parts:
        try:
            check_words(part.text, whole.id)
            if part.start is None and len(parts) == 1:
                return [replace(whole, text=part.text, speaker=part.speaker or whole.speaker)]
            found.append(_part(whole, part, finder, len(parts) > 1))
        except CorpusError as error:
            problems.append(Problem(str(source), str(error)))
    return found


def _part(whole: Utterance, part: Part, finder: Finder, is_one_of_many: bool) -> Utterance:
    """A part of a recording; where there are several its times, in hundredths of a second, make its id."""
    shown = f"{part.start or 0.0:g} s to {part.end or 0.0:g} s ({part.text:.30})"
    if whole.audio is None:
        raise CorpusError(f"{shown}: features are of the whole; a part of them needs the recording")
    try:
        start, end = finder.part(whole.audio, part.start, part.end)
    except CorpusError as error:
        raise CorpusError(f"{shown}: {error}") from None
    name = whole.id
    if is_one_of_many:
        name += f"-{round(100 * (part.start or 0.0)):06d}-{round(100 * (part.end or 0.0)):06d}"
        name += f"-{part.speaker}" if part.speaker else ""
    return replace(whole, id=name, text=part.text, speaker=part.speaker or whole.speaker, start=start, end=end,
                   features=None)  # fmt: skip


def _text(source: Path, problems: list[Problem]) -> str | None:
    """The content of a transcript of plain text; None, and a problem, for one that cannot be used."""
    found = len(problems)
    try:
        text = " ".join(line for _, line in good_lines(source, problems))
    except CorpusError as error:
        problems.append(Problem(str(source), str(error).removeprefix(f"{source}: ")))
    if len(problems) > found:
        return None
    if _MARKUP.match(text):
        problems.append(
            Problem(str(source), "begins with markup (XML or HTML), which is no transcript; make it plain text")
        )
        return None
    if not text.strip():
        problems.append(Problem(str(source), "the transcript is blank; write what is said, or remove the recording"))
        return None
    return text


def speaker_pattern(speaker: str) -> re.Pattern[str]:
    """What finds the speaker in a name.

    Raises:
        CorpusError: if it is no regular expression.
    """
    try:
        return re.compile(speaker)
    except re.error as error:
        raise CorpusError(f"speaker={speaker!r} is not a regular expression: {error}") from None


def speaker_of(inner: Path, utterance_id: str, speaker: Speaker) -> str:
    """The speaker of a recording; `inner` is its path within the corpus, without suffix.

    Raises:
        CorpusError: where that is no name.
    """
    name: object
    if speaker is None:
        name = "_".join(readable(inner.parent.name).split()) or utterance_id
        if not is_name(name):
            raise CorpusError(
                f"its speaker would be {name!r}, the folder's name, which is not Unicode; rename the folder"
            )
        return str(name)
    if callable(speaker):
        name = speaker(inner)
    else:
        match = re.search(speaker, readable(inner.as_posix()))
        name = (match[1] if match.re.groups else match[0]) if match else None
    if not is_name(name):
        raise CorpusError(f"its speaker would be {name!r}; need a name without blanks: mend `speaker`")
    return str(name)
