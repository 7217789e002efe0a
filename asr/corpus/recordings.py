"""What to transcribe: recordings in files, folders, lists, corpora and on standard input, each with an id."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import CorpusError
from ..features.archive import has_features, is_command, scp_entries
from ..files import as_system, dead_link, kind_of, readable
from .channels import Channel, channels_of, of_channel
from .commands import output_of
from .core import Corpus
from .folder import files_below, recordings_among, speaker_of, speaker_pattern
from .kaldi import read_kaldi
from .kinds import corpus_kind
from .lists import AUDIO_SUFFIXES
from .utterance import Problem, Utterance, is_unicode

_FEATURES = ".npy"


class _Found(NamedTuple):
    """An utterance of an input, and the way to its file from there, for a longer id; None: the input says its id."""

    utterance: Utterance
    way: Path | None


def find_recordings(
    inputs: Iterable[str | os.PathLike],
    *,
    speaker: str | None = None,
    channel: int | Literal["each"] | None = None,
    allow_commands: str | os.PathLike | None = None,
) -> tuple[list[Utterance], list[Problem]]:
    """Everything to transcribe in files, folders (searched to the bottom), lists (.scp) and corpora.

    Corpora are Kaldi data directories, tables (.tsv) and Lhotse manifests; their transcripts are not needed.
    A .npy file holds features, a .scp lists files of audio or features, and any other file given by name is taken for
    audio. In a folder the files of AUDIO_SUFFIXES are taken, sorted by path, but hidden ones and X.m4a beside X.wav,
    each with the features of X.npy beside it if there are any; in a folder without audio the .npy files are. The id is
    the file's stem (with the way to it where several files have the same stem), or that of the list or corpus. What is
    given twice is taken once.

    Args:
        speaker: a regular expression that finds the speaker in the name of a file, without its suffix, and with the way
            to it where it lies in a folder that was given: `^[^_]+` has `ann` of `ann_1.wav`. Without it every file is
            a speaker of its own, but for those of corpora and their lists, which say who speaks.
        channel: the one to hear, from 0, or "each": every channel of a file that has several is a recording and a
            speaker of its own, with -1, -2 ... behind the id and the speaker. None is the mean of all. Where a corpus
            says which channel an utterance is in, it counts.
        allow_commands: a folder; commands in lists (`sph2pipe a.sph |`) then run, see `Corpus.from_kaldi`.

    Returns:
        the recordings, and the inputs that hold none or cannot be told apart.

    Raises:
        CorpusError: if `speaker` is no regular expression.
    """
    found, problems = [], []
    pattern = None if speaker is None else speaker_pattern(speaker)
    commands = None if allow_commands is None else Path(allow_commands)
    for given in inputs:
        recordings, bad = _of_input(given, commands)
        if pattern is not None:
            recordings, unnamed = _with_speakers(recordings, Path(given), pattern)
            bad += unnamed
        found += recordings
        problems += bad
    chosen, clashes = _with_own_ids(_once(found))
    parts: dict[str, Utterance] = {}
    for part in (part for recording in chosen for part in _channels(recording, channel)):
        if part.id in parts:
            clashes.append(Problem(str(part.path), f"a channel's id, {part.id!r}, is another recording's; rename it"))
        else:
            parts[part.id] = part
    return list(parts.values()), problems + clashes


def _channels(utterance: Utterance, channel: Channel) -> list[Utterance]:
    """The utterance in the channel that is asked for, or in each."""
    if channel is None or utterance.audio is None or utterance.channel is not None:
        return [utterance]
    numbers = channels_of(utterance.audio) if channel == "each" else [channel]
    return [of_channel(utterance, n, of_several=channel == "each" and n is not None) for n in numbers]


def _of_input(given: str | os.PathLike, commands: Path | None) -> tuple[list[_Found], list[Problem]]:
    """What one input holds, and what is wrong with it."""
    kind = kind_of(given) if os.fspath(given) else "missing"  # Path("") would be the current folder
    path, suffix = Path(given), Path(given).suffix.lower()
    if _is_corpus(path, kind):
        recordings, problems = _corpus(path, commands)
        return [_Found(recording, None) for recording in recordings], problems
    if kind == "folder":
        recordings, problems = _folder(path)
        return [_Found(recording, recording.path.relative_to(path)) for recording in recordings], problems
    if kind == "file" and suffix == ".scp":
        recordings, problems = _list(path, commands)
        return [_Found(recording, None) for recording in recordings], problems
    if kind == "file" and suffix == ".ark":
        return [], [Problem(str(path), "an archive is read by its list; give the .scp that belongs to it")]
    if kind == "missing":
        what = (
            dead_link(given) or "no such file or folder"
            if os.fspath(given)
            else "an empty name is given; need a file or folder"
        )
        return [], [Problem(str(given), what)]
    # What is wrong with pipes, devices and names out of reach is said when they are read.
    return [_Found(_of_file(path), path)], []


def _with_speakers(found: list[_Found], given: Path, pattern: re.Pattern[str]) -> tuple[list[_Found], list[Problem]]:
    """The recordings of an input with the speakers in their names, and those whose name has none."""
    if any(way is None for _, way in found):
        return [], [Problem(str(given), "says who speaks; a pattern of speakers is for folders and files")]
    named: list[_Found] = []
    problems = []
    for recording, way in found:
        inner = Path(recording.path.stem) if way == given or way is None else way.with_suffix("")
        try:
            named.append(_Found(replace(recording, speaker=speaker_of(inner, recording.id, pattern)), way))
        except CorpusError as error:
            problems.append(Problem(str(recording.path), str(error)))
    return named, problems


def _of_file(path: Path, features: Path | None = None) -> Utterance:
    """A recording that is a file of its own.

    Args:
        features: those that lie beside it.
    """
    if path.suffix.lower() == _FEATURES:
        return Utterance(path.stem, str(path), features=str(path))
    return Utterance(path.stem, str(path), path, features=None if features is None else str(features))


def _folder(directory: Path) -> tuple[list[Utterance], list[Problem]]:
    """The recordings of a folder and those in it, and what cannot be looked into."""
    problems: list[Problem] = []
    files = files_below(directory, problems)
    audio = recordings_among(files)
    features = {p.with_suffix(""): p for p in files if p.suffix.lower() == _FEATURES}
    if not audio and not features and not problems:
        what = f"no audio files ({', '.join(AUDIO_SUFFIXES)}) and no features ({_FEATURES}) in this folder"
        problems = [Problem(str(directory), what)]
    return [_of_file(p, features.get(p.with_suffix(""))) for p in audio or features.values()], problems


def _list(path: Path, commands: Path | None) -> tuple[list[Utterance], list[Problem]]:
    """What a .scp file lists, audio or features, and its problems."""
    try:
        entries = list(scp_entries(path, keep_commands=commands is not None))
    except CorpusError as error:
        return [], [Problem("", str(error))]
    if not entries:
        return [], [Problem(str(path), "the list is empty")]
    found, problems = [], []
    for where, name, place in entries:
        if commands is not None and isinstance(place, str) and is_command(place):
            place = _written(place, where, name, commands)
        if isinstance(place, CorpusError):
            problems.append(Problem(where, str(place).removeprefix(f"{where}: ")))
        elif has_features(place):
            found.append(Utterance(name, name, features=place))
        else:
            found.append(Utterance(name, name, Path(as_system(place))))
    return found, problems


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


def _corpus(path: Path, commands: Path | None) -> tuple[list[Utterance], list[Problem]]:
    """The utterances of a corpus, and its problems. Transcripts are not asked for."""
    try:
        if corpus_kind(path) == "kaldi":
            found, problems = read_kaldi(path, need_text=False, commands=commands)
            utterances: Sequence[Utterance] = found
        else:
            corpus = Corpus.read(path, need_text=False)
            utterances, problems = corpus.utterances, list(corpus.problems)
    except CorpusError as error:
        return [], [Problem("", str(error))]
    if not utterances and not problems:
        problems = [Problem(str(path), "the data directory is empty: its scp has no line")]
    return list(utterances), problems


def _once(found: list[_Found]) -> list[_Found]:
    """Each recording a single time, however often and by whatever way it was given; links are files of their own."""
    different: dict[tuple[object, ...], _Found] = {}
    for recording, way in found:
        name = recording.id if way is None else None
        file = os.path.realpath(recording.path.parent), recording.path.name
        place = None if way is not None else recording.features
        same = name, file, recording.start, recording.end, recording.channel, place
        different.setdefault(same, _Found(recording, way))
    return list(different.values())


def _with_own_ids(found: list[_Found]) -> tuple[list[Utterance], list[Problem]]:
    """Recordings with different ids, the shortest that tell them apart; those that cannot have one are problems."""
    ids = [readable(recording.id) for recording, _ in found]
    for whole, suffix in ((False, False), (False, True), (True, False), (True, True)):
        counts = Counter(ids)
        for i, (recording, way) in enumerate(found):
            if way is not None and counts[ids[i]] > 1:
                ids[i] = readable(_joined(recording.path if whole else way) + suffix * recording.path.suffix)
    recordings: dict[str, Utterance] = {}
    problems = []
    for name, (recording, _) in zip(ids, found, strict=True):
        if not is_unicode(name):
            problems.append(Problem(str(recording.path), "its name is not Unicode; rename it"))
        elif name in recordings:
            other = recordings[name].path
            problems.append(Problem(str(recording.path), f"has the id {name!r} like {other}; transcribe it apart"))
        else:
            recordings[name] = replace(recording, id=name)
    return list(recordings.values()), problems


def _joined(way: Path) -> str:
    """An id that tells apart files of the same stem: the way to it, `ann/1.wav` as `ann-1`."""
    return "-".join((*(p for p in way.parent.parts if p not in (way.anchor, "..")), way.stem))
