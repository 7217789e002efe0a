"""From the command line's inputs to lines of text: what to transcribe, in which order, and how results are written."""

import glob
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from .errors import AsrError, CorpusError
from .model import Model, Transcript, is_silent

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3"})


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

    A file given by name is taken whatever its suffix; in a folder those of AUDIO_SUFFIXES are, sorted by path. The id
    is the file's stem (with the way to it where several files of a folder have the same stem), or the utterance id of a
    data directory. Without speaker information every file is a speaker
    of its own.
    Returns the recordings, and the inputs that hold none.
    """
    recordings: list[Recording] = []
    failures: list[Failure] = []
    for given in map(Path, inputs):
        if given.is_dir() and (given / "wav.scp").is_file():
            found, bad = _data_directory(given)
            failures.extend(bad)
        elif given.is_dir():
            files = sorted(p for p in given.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
            clashes = Counter(p.stem for p in files)
            found = [Recording(p.stem if clashes[p.stem] == 1 else _joined(p, given), p, str(p)) for p in files]
            if not found:
                wanted = ", ".join(sorted(AUDIO_SUFFIXES))
                failures.append(Failure(given.name, f"{given}: no audio files ({wanted}) in this folder"))
        elif given.exists():
            found = [Recording(given.stem, given, str(given))]
        else:
            found = []
            failures.append(Failure(given.stem, f"{given}: no such file or folder"))
        recordings.extend(found)
    return recordings, failures


def _joined(path: Path, folder: Path) -> str:
    """An id that tells apart files of the same stem: the way from the folder, `ann/1.wav` as `ann-1`."""
    relative = path.relative_to(folder)
    inner = "-".join((*relative.parent.parts, relative.stem))
    twins = {p.suffix for p in path.parent.glob(f"{glob.escape(path.stem)}.*")} & AUDIO_SUFFIXES
    return inner if len(twins) < 2 else inner + path.suffix


def _data_directory(directory: Path) -> tuple[list[Recording], list[Failure]]:
    from .corpus import Corpus

    try:
        corpus = Corpus.from_kaldi(directory, need_text=False)
    except CorpusError as error:
        return [], [Failure(directory.name, str(error))]
    found = [Recording(u.id, u.audio, u.speaker, u.start, u.end) for u in corpus if u.audio is not None]
    return found, [Failure(p.where, f"{p.where}: {p.message}") for p in corpus.problems]


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
    """The error's message, with the file in front where the message lacks it."""
    message = str(error)
    return message if str(recording.path) in message else f"{recording.path}: {message}"


def as_text(recording_id: str, transcript: Transcript) -> str:
    """`id<TAB>words`."""
    return f"{recording_id}\t{transcript.text}\n"


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
    """NIST's CTM: `id channel start duration word`, one line a word."""
    return "".join(
        f"{recording_id} 1 {word.start:.3f} {word.end - word.start:.3f} {word.word}\n" for word in transcript.words
    )


FORMATS: dict[str, Callable[[str, Transcript], str]] = {"text": as_text, "json": as_json, "ctm": as_ctm}
