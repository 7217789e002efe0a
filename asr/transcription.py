"""From the command line's inputs to lines of text: what to transcribe, in which order, and how results are written."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path

from .corpus.core import Problem, is_unicode
from .corpus.folder import AUDIO_SUFFIXES, files_below
from .corpus.kaldi import read_kaldi
from .errors import AsrError, CorpusError
from .files import kind_of
from .model import Model, Transcript, is_silent

_BREAKS = r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]"  # what str.splitlines cuts at, and the tab


@dataclass(frozen=True)
class Recording:
    """One thing to transcribe: a file or a stretch of it (seconds), and who speaks in it."""

    id: str
    path: Path
    speaker: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Failure:
    """A recording or input that could not be transcribed, and why."""

    id: str
    message: str


def find_recordings(inputs: Iterable[str | os.PathLike]) -> tuple[list[Recording], list[Failure]]:
    """Everything to transcribe in files, folders (searched to the bottom) and Kaldi data directories.

    A file given by name is taken whatever its suffix; in a folder those of AUDIO_SUFFIXES are, sorted by path, but
    hidden ones. The id is the file's stem (with the way to it where several files have the same stem), or the utterance
    id of a data directory. What is given twice is taken once. Without speaker information every file is a speaker of
    its own.
    Returns the recordings, and the inputs that hold none or cannot be told apart.
    """
    found: list[tuple[Recording, Path | None]] = []  # with a file's way from its folder, for a longer id
    failures: list[Failure] = []
    for given in inputs:
        kind = kind_of(given) if os.fspath(given) else "missing"  # Path("") would be the current folder
        if kind == "folder" and kind_of(Path(given) / "wav.scp") == "file":
            utterances, bad = _data_directory(Path(given))
            found += [(utterance, None) for utterance in utterances]
            failures += bad
        elif kind == "folder":
            files, bad = _folder(Path(given))
            found += [(_of_file(path), path.relative_to(given)) for path in files]
            failures += bad
        elif kind == "missing":
            what = "no such file or folder" if os.fspath(given) else "an empty name is given; need a file or folder"
            failures.append(Failure(str(given), f"{given}: {what}".removeprefix(": ")))
        else:  # what is wrong with pipes, devices and names out of reach is said when they are read
            found.append((_of_file(Path(given)), Path(given)))
    recordings, clashes = _with_own_ids(_once(found))
    return recordings, failures + clashes


def _of_file(path: Path) -> Recording:
    return Recording(path.stem, path, str(path))


def _folder(directory: Path) -> tuple[list[Path], list[Failure]]:
    """The audio files of a folder and those in it, and what cannot be looked into."""
    problems: list[Problem] = []
    files = [p for p in files_below(directory, problems) if p.suffix.lower() in AUDIO_SUFFIXES]
    failures = [Failure(p.where, str(p)) for p in problems]
    if not files and not failures:
        wanted = ", ".join(AUDIO_SUFFIXES)
        failures = [Failure(str(directory), f"{directory}: no audio files ({wanted}) in this folder")]
    return files, failures


def _data_directory(directory: Path) -> tuple[list[Recording], list[Failure]]:
    """The utterances of a Kaldi data directory, and its problems."""
    try:
        utterances, problems = read_kaldi(directory, need_text=False)
    except CorpusError as error:
        return [], [Failure(str(directory), str(error))]
    if not utterances and not problems:
        problems = [Problem(str(directory), "the data directory is empty: wav.scp has no line")]
    found = [Recording(u.id, u.audio, u.speaker, u.start, u.end) for u in utterances if u.audio is not None]
    return found, [Failure(p.where, str(p)) for p in problems]


def _once(found: list[tuple[Recording, Path | None]]) -> list[tuple[Recording, Path | None]]:
    """Each recording a single time, however often and by whatever way it was given; links are files of their own."""
    different: dict[tuple[object, ...], tuple[Recording, Path | None]] = {}
    for recording, way in found:
        name = recording.id if way is None else None
        file = os.path.realpath(recording.path.parent), recording.path.name
        different.setdefault((name, file, recording.start, recording.end), (recording, way))
    return list(different.values())


def _with_own_ids(found: list[tuple[Recording, Path | None]]) -> tuple[list[Recording], list[Failure]]:
    """Recordings with different ids, the shortest that tell them apart; those that cannot have one are failures."""
    ids = [recording.id for recording, _ in found]
    for whole, suffix in ((False, False), (False, True), (True, False), (True, True)):
        counts = Counter(ids)
        for i, (recording, way) in enumerate(found):
            if way is not None and counts[ids[i]] > 1:
                ids[i] = _joined(recording.path if whole else way) + suffix * recording.path.suffix
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


def transcribe_all(
    model: Model, recordings: Sequence[Recording], *, progress: Callable[[int, int], None] | None = None
) -> Iterator[tuple[Recording, Transcript | Failure]]:
    """Each recording with its transcript or the reason why there is none; a bad one does not stop the rest.

    A model with per-speaker normalisation hears all of a speaker's recordings before it transcribes the first, so
    such recordings come grouped by speaker; for other models they come in the given order.
    progress: called with (done, total).
    """
    per_speaker = any(step.get("mode") == "speaker" for step in model.features.steps)
    order = sorted(recordings, key=lambda r: r.speaker) if per_speaker else list(recordings)
    groups = (list(g) for _, g in groupby(order, key=lambda r: r.speaker)) if per_speaker else ([r] for r in order)
    done = 0
    for group in groups:
        for result in _transcribe_group(model, group):
            done += 1
            if progress is not None:
                progress(done, len(order))
            yield result


def _transcribe_group(model: Model, group: list[Recording]) -> Iterator[tuple[Recording, Transcript | Failure]]:
    """The recordings of one speaker."""
    from . import audio

    raw, heard = [], []
    for recording in group:
        try:
            samples = audio.read(recording.path, model.sample_rate, start=recording.start, end=recording.end).samples
            features = model.features.front_end(samples)
            if is_silent(samples):
                yield recording, Transcript("")
                continue
            raw.append(features)
            heard.append(recording)
        except (AsrError, ValueError) as error:
            yield recording, Failure(recording.id, _named(recording, error))
    for recording, features in zip(heard, model.features.finish(raw, [r.speaker for r in heard]), strict=True):
        try:
            yield recording, model.decode(features)
        except AsrError as error:
            yield recording, Failure(recording.id, _named(recording, error))


def _named(recording: Recording, error: Exception) -> str:
    """The error's message on one line, with the file in front where it lacks it, and the utterance of a part."""
    message = str(error)
    if str(recording.path) not in message:
        message = f"{recording.path}: {message}"
    return message if recording.start is None and recording.end is None else f"utterance {recording.id}: {message}"


def as_text(recording_id: str, transcript: Transcript) -> str:
    """`id<TAB>words`; a tab or line break in the id, which a file name may have, becomes `_`."""
    return f"{re.sub(_BREAKS, '_', recording_id)}\t{transcript.text}\n"


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


FORMATS: dict[str, Callable[[str, Transcript], str]] = {"text": as_text, "json": as_json, "ctm": as_ctm}
