"""What to transcribe: recordings in files, folders, lists, corpora and on standard input, each with an id."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..errors import CorpusError
from ..features.archive import has_features, is_command, place_file, scp_entries
from ..files import as_system, dead_link, kind_of, readable
from .channels import channels_of
from .commands import output_of
from .core import Corpus
from .folder import files_below, recordings_among, speaker_of, speaker_pattern
from .kaldi import read_kaldi
from .kinds import corpus_kind
from .lists import AUDIO_SUFFIXES
from .utterance import Problem, Utterance, is_unicode

_FEATURES = ".npy"


@dataclass(frozen=True)
class Recording:
    """One thing to transcribe, and who speaks in it.

    audio: a file, or STANDARD_INPUT; start, end: the stretch of it, seconds. channel: the one of its channels, from 0;
        None: the mean of all.
    features: where its feature matrix lies (see asr.features.archive), for models that take features.
    whole: the id of the file, where a channel of it was asked for: call, of call-2.
    One of audio and features is there, or both.
    """

    id: str
    audio: Path | None
    speaker: str
    start: float | None = None
    end: float | None = None
    features: str | None = None
    channel: int | None = None
    whole: str | None = None

    @property
    def path(self) -> Path:
        """The audio file, or where there is none the file of the features."""
        return self.audio or place_file(self.features or "")


@dataclass(frozen=True)
class Failure:
    """A recording or input that could not be transcribed, and why."""

    id: str
    message: str


_Found = tuple[Recording, Path | None]  # with a file's way from its folder, for a longer id; None: the id is known


def find_recordings(
    inputs: Iterable[str | os.PathLike],
    *,
    speaker: str | None = None,
    channel: int | Literal["each"] | None = None,
    allow_commands: str | os.PathLike | None = None,
) -> tuple[list[Recording], list[Failure]]:
    """Everything to transcribe in files, folders (searched to the bottom), lists (.scp) and corpora.

    Corpora are Kaldi data directories, tables (.tsv) and Lhotse manifests; their transcripts are not needed.
    A .npy file holds features, a .scp lists files of audio or features, and any other file given by name is taken for
    audio. In a folder the files of AUDIO_SUFFIXES are taken, sorted by path, but hidden ones and X.m4a beside X.wav,
    each with the features of X.npy beside it if there are any; in a folder without audio the .npy files are. The id is
    the file's stem (with the way to it where several files have the same stem), or that of the list or corpus. What is
    given twice is taken once.
    speaker: a regular expression that finds the speaker in the name of a file, without its suffix, and with the way to
        it where it lies in a folder that was given: `^[^_]+` has `ann` of `ann_1.wav`. Without it every file is a
        speaker of its own, but for those of corpora and their lists, which say who speaks.
    channel: the one to hear, from 0, or "each": every channel of a file that has several is a recording and a speaker
        of its own, with -1, -2 ... behind the id and the speaker. None is the mean of all. Where a corpus says which
        channel an utterance is in, it counts.
    allow_commands: a folder; commands in lists (`sph2pipe a.sph |`) then run, see `Corpus.from_kaldi`.
    Returns the recordings, and the inputs that hold none or cannot be told apart.
    Raises CorpusError if `speaker` is no regular expression.
    """
    found, failures = [], []
    pattern = None if speaker is None else speaker_pattern(speaker)
    commands = None if allow_commands is None else Path(allow_commands)
    for given in inputs:
        recordings, bad = _of_input(given, commands)
        if pattern is not None:
            recordings, unnamed = _with_speakers(recordings, Path(given), pattern)
            bad += unnamed
        found += recordings
        failures += bad
    chosen, clashes = _with_own_ids(_once(found))
    parts: dict[str, Recording] = {}
    for part in (part for recording in chosen for part in _channels(recording, channel)):
        if part.id in parts:
            clashes.append(
                Failure(part.id, f"{part.path}: a channel's id, {part.id!r}, is another recording's; rename it")
            )
        else:
            parts[part.id] = part
    return list(parts.values()), failures + clashes


def _channels(recording: Recording, channel: int | Literal["each"] | None) -> list[Recording]:
    """The recording's channel that is asked for, or each of them."""
    if channel is None or recording.audio is None or recording.channel is not None:
        return [recording]
    if channel != "each":
        return [replace(recording, channel=channel, whole=recording.id)]
    found = []
    for n in channels_of(recording.audio):
        names: dict[str, Any] = (
            {} if n is None else {what: f"{getattr(recording, what)}-{n + 1}" for what in ("id", "speaker")}
        )
        found.append(replace(recording, channel=n, whole=None if n is None else recording.id, **names))
    return found


def _of_input(given: str | os.PathLike, commands: Path | None) -> tuple[list[_Found], list[Failure]]:
    """What one input holds, and what is wrong with it."""
    kind = kind_of(given) if os.fspath(given) else "missing"  # Path("") would be the current folder
    path, suffix = Path(given), Path(given).suffix.lower()
    if _is_corpus(path, kind):
        recordings, failures = _corpus(path, commands)
        return [(recording, None) for recording in recordings], failures
    if kind == "folder":
        recordings, failures = _folder(path)
        return [(recording, recording.path.relative_to(path)) for recording in recordings], failures
    if kind == "file" and suffix == ".scp":
        recordings, failures = _list(path, commands)
        return [(recording, None) for recording in recordings], failures
    if kind == "file" and suffix == ".ark":
        message = f"{path}: an archive is read by its list; give the .scp that belongs to it"
        return [], [Failure(str(path), message)]
    if kind == "missing":
        what = (
            dead_link(given) or "no such file or folder"
            if os.fspath(given)
            else "an empty name is given; need a file or folder"
        )
        return [], [Failure(str(given), f"{given}: {what}".removeprefix(": "))]
    # What is wrong with pipes, devices and names out of reach is said when they are read.
    return [(_of_file(path), path)], []


def _with_speakers(found: list[_Found], given: Path, pattern: re.Pattern[str]) -> tuple[list[_Found], list[Failure]]:
    """The recordings of an input with the speakers in their names, and those whose name has none."""
    if any(way is None for _, way in found):
        return [], [Failure(str(given), f"{given}: says who speaks; a pattern of speakers is for folders and files")]
    named: list[_Found] = []
    failures = []
    for recording, way in found:
        inner = Path(recording.path.stem) if way == given or way is None else way.with_suffix("")
        try:
            named.append((replace(recording, speaker=speaker_of(inner, recording.id, pattern)), way))
        except CorpusError as error:
            failures.append(Failure(recording.id, f"{recording.path}: {error}"))
    return named, failures


def _of_file(path: Path, features: Path | None = None) -> Recording:
    """A recording that is a file of its own; features: those that lie beside it."""
    if path.suffix.lower() == _FEATURES:
        return Recording(path.stem, None, str(path), features=str(path))
    return Recording(path.stem, path, str(path), features=None if features is None else str(features))


def _folder(directory: Path) -> tuple[list[Recording], list[Failure]]:
    """The recordings of a folder and those in it, and what cannot be looked into."""
    problems: list[Problem] = []
    files = files_below(directory, problems)
    audio = recordings_among(files)
    features = {p.with_suffix(""): p for p in files if p.suffix.lower() == _FEATURES}
    failures = [Failure(p.where, str(p)) for p in problems]
    if not audio and not features and not failures:
        what = f"no audio files ({', '.join(AUDIO_SUFFIXES)}) and no features ({_FEATURES}) in this folder"
        failures = [Failure(str(directory), f"{directory}: {what}")]
    return [_of_file(p, features.get(p.with_suffix(""))) for p in audio or features.values()], failures


def _list(path: Path, commands: Path | None) -> tuple[list[Recording], list[Failure]]:
    """What a .scp file lists, audio or features, and its problems."""
    try:
        entries = list(scp_entries(path, keep_commands=commands is not None))
    except CorpusError as error:
        return [], [Failure(str(path), str(error))]
    if not entries:
        return [], [Failure(str(path), f"{path}: the list is empty")]
    found, failures = [], []
    for where, name, place in entries:
        if commands is not None and isinstance(place, str) and is_command(place):
            place = _written(place, where, name, commands)
        if isinstance(place, CorpusError):
            failures.append(Failure(where, str(place)))
        elif has_features(place):
            found.append(Recording(name, None, name, features=place))
        else:
            found.append(Recording(name, Path(as_system(place)), name))
    return found, failures


def _written(command: str, where: str, name: str, commands: Path) -> str | CorpusError:
    """The place of what a command of a list writes, or what went wrong with it."""
    try:
        if Path(where).name.startswith("feats"):
            return f"{output_of(command, name, commands, '.ark')}:0"
        return str(output_of(command, name, commands, ".wav"))
    except CorpusError as error:
        return CorpusError(f"{where}: {name}: {error}")


def _is_corpus(path: Path, kind: str) -> bool:
    """Whether an input is a data directory, a table or Lhotse manifests, which know ids and speakers."""
    try:
        return kind in ("file", "folder") and corpus_kind(path) != "folder"
    except CorpusError:  # a file of another kind
        return False


def _corpus(path: Path, commands: Path | None) -> tuple[list[Recording], list[Failure]]:
    """The utterances of a corpus, and its problems. Transcripts are not asked for."""
    try:
        if corpus_kind(path) == "kaldi":
            found, problems = read_kaldi(path, need_text=False, commands=commands)
            utterances: Sequence[Utterance] = found
        else:
            corpus = Corpus.read(path, need_text=False)
            utterances, problems = corpus.utterances, list(corpus.problems)
    except CorpusError as error:
        return [], [Failure(str(path), str(error))]
    if not utterances and not problems:
        problems = [Problem(str(path), "the data directory is empty: its scp has no line")]
    recordings = [Recording(u.id, u.audio, u.speaker, u.start, u.end, u.features, u.channel) for u in utterances]
    return recordings, [Failure(p.where, str(p)) for p in problems]


def _once(found: list[_Found]) -> list[_Found]:
    """Each recording a single time, however often and by whatever way it was given; links are files of their own."""
    different: dict[tuple[object, ...], _Found] = {}
    for recording, way in found:
        name = recording.id if way is None else None
        file = os.path.realpath(recording.path.parent), recording.path.name
        place = None if way is not None else recording.features
        different.setdefault((name, file, recording.start, recording.end, recording.channel, place), (recording, way))
    return list(different.values())


def _with_own_ids(found: list[_Found]) -> tuple[list[Recording], list[Failure]]:
    """Recordings with different ids, the shortest that tell them apart; those that cannot have one are failures."""
    ids = [readable(recording.id) for recording, _ in found]
    for whole, suffix in ((False, False), (False, True), (True, False), (True, True)):
        counts = Counter(ids)
        for i, (recording, way) in enumerate(found):
            if way is not None and counts[ids[i]] > 1:
                ids[i] = readable(_joined(recording.path if whole else way) + suffix * recording.path.suffix)
    recordings: dict[str, Recording] = {}
    failures = []
    for name, (recording, _) in zip(ids, found, strict=True):
        if not is_unicode(name):
            failures.append(Failure(name, f"{recording.path}: its name is not Unicode; rename it"))
        elif name in recordings:
            other = recordings[name].path
            failures.append(Failure(name, f"{recording.path}: has the id {name!r} like {other}; transcribe it apart"))
        else:
            recordings[name] = replace(recording, id=name)
    return list(recordings.values()), failures


def _joined(way: Path) -> str:
    """An id that tells apart files of the same stem: the way to it, `ann/1.wav` as `ann-1`."""
    return "-".join((*(p for p in way.parent.parts if p not in (way.anchor, "..")), way.stem))
