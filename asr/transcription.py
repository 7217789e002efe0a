"""From the command line's inputs to lines of text: what to transcribe, in which order, and how results are written."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from .corpus.core import Corpus, Problem, Utterance, is_unicode
from .corpus.folder import AUDIO_SUFFIXES, files_below, recordings_among, speaker_of, speaker_pattern
from .corpus.kaldi import read_kaldi
from .corpus.kinds import corpus_kind
from .errors import AsrError, CorpusError, ModelError
from .features.archive import has_features, place_file, read_matrix, scp_entries
from .features.silence import is_silent
from .files import kind_of
from .model import Model, Transcript

if TYPE_CHECKING:
    import numpy as np

_FEATURES = ".npy"
_BREAKS = r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]"  # what str.splitlines cuts at, and the tab


@dataclass(frozen=True)
class Recording:
    """One thing to transcribe, and who speaks in it.

    audio: a file; start, end: the stretch of it, seconds.
    features: where its feature matrix lies (see asr.features.archive), for models that take features.
    One of audio and features is there, or both.
    """

    id: str
    audio: Path | None
    speaker: str
    start: float | None = None
    end: float | None = None
    features: str | None = None

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
    inputs: Iterable[str | os.PathLike], *, speaker: str | None = None
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
    Returns the recordings, and the inputs that hold none or cannot be told apart.
    Raises CorpusError if `speaker` is no regular expression.
    """
    found, failures = [], []
    pattern = None if speaker is None else speaker_pattern(speaker)
    for given in inputs:
        recordings, bad = _of_input(given)
        if pattern is not None:
            recordings, unnamed = _with_speakers(recordings, Path(given), pattern)
            bad += unnamed
        found += recordings
        failures += bad
    chosen, clashes = _with_own_ids(_once(found))
    return chosen, failures + clashes


def _of_input(given: str | os.PathLike) -> tuple[list[_Found], list[Failure]]:
    """What one input holds, and what is wrong with it."""
    kind = kind_of(given) if os.fspath(given) else "missing"  # Path("") would be the current folder
    path, suffix = Path(given), Path(given).suffix.lower()
    if _is_corpus(path, kind):
        recordings, failures = _corpus(path)
        return [(recording, None) for recording in recordings], failures
    if kind == "folder":
        recordings, failures = _folder(path)
        return [(recording, recording.path.relative_to(path)) for recording in recordings], failures
    if kind == "file" and suffix == ".scp":
        recordings, failures = _list(path)
        return [(recording, None) for recording in recordings], failures
    if kind == "file" and suffix == ".ark":
        message = f"{path}: an archive is read by its list; give the .scp that belongs to it"
        return [], [Failure(str(path), message)]
    if kind == "missing":
        what = "no such file or folder" if os.fspath(given) else "an empty name is given; need a file or folder"
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


def _list(path: Path) -> tuple[list[Recording], list[Failure]]:
    """What a .scp file lists, audio or features, and its problems."""
    try:
        entries = list(scp_entries(path))
    except CorpusError as error:
        return [], [Failure(str(path), str(error))]
    if not entries:
        return [], [Failure(str(path), f"{path}: the list is empty")]
    found, failures = [], []
    for where, name, place in entries:
        if isinstance(place, CorpusError):
            failures.append(Failure(where, str(place)))
        elif has_features(place):
            found.append(Recording(name, None, name, features=place))
        else:
            found.append(Recording(name, Path(place), name))
    return found, failures


def _is_corpus(path: Path, kind: str) -> bool:
    """Whether an input is a data directory, a table or Lhotse manifests, which know ids and speakers."""
    try:
        return kind in ("file", "folder") and corpus_kind(path) != "folder"
    except CorpusError:  # a file of another kind
        return False


def _corpus(path: Path) -> tuple[list[Recording], list[Failure]]:
    """The utterances of a corpus, and its problems. Transcripts are not asked for."""
    try:
        if corpus_kind(path) == "kaldi":
            found, problems = read_kaldi(path, need_text=False)
            utterances: Sequence[Utterance] = found
        else:
            corpus = Corpus.read(path, need_text=False)
            utterances, problems = corpus.utterances, list(corpus.problems)
    except CorpusError as error:
        return [], [Failure(str(path), str(error))]
    if not utterances and not problems:
        problems = [Problem(str(path), "the data directory is empty: its scp has no line")]
    recordings = [Recording(u.id, u.audio, u.speaker, u.start, u.end, u.features) for u in utterances]
    return recordings, [Failure(p.where, str(p)) for p in problems]


def _once(found: list[_Found]) -> list[_Found]:
    """Each recording a single time, however often and by whatever way it was given; links are files of their own."""
    different: dict[tuple[object, ...], _Found] = {}
    for recording, way in found:
        name = recording.id if way is None else None
        file = os.path.realpath(recording.path.parent), recording.path.name
        place = None if way is not None else recording.features
        different.setdefault((name, file, recording.start, recording.end, place), (recording, way))
    return list(different.values())


def _with_own_ids(found: list[_Found]) -> tuple[list[Recording], list[Failure]]:
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

    A model with per-speaker normalisation, or one that adapts to speakers, hears all of a speaker's recordings before
    it transcribes the first, so such recordings come grouped by speaker; for other models in the given order.
    progress: called with (done, total).
    """
    per_speaker = model.aligner is not None or any(step.get("mode") == "speaker" for step in model.features.steps)
    order = sorted(recordings, key=lambda r: r.speaker) if per_speaker else list(recordings)
    groups = (list(g) for _, g in groupby(order, key=lambda r: r.speaker)) if per_speaker else ([r] for r in order)
    done = 0
    for group in groups:
        for result in _transcribe_group(model, group):
            done += 1
            if progress is not None:
                progress(done, len(order))
            yield result


def told_transforms(kinds: Mapping[str, str]) -> str:
    """A line about how a model adapted to speakers; empty where it did not.

    kinds: speaker -> `Transcript.transform` of one of his or her recordings.

    >>> told_transforms({"ann": "full", "bob": "full", "eve": "offset"})
    'adapted to 3 speakers: 2 full transforms, 1 offset alone (below 200 frames of speech)'
    """
    names = {
        "full": "full transforms",
        "diagonal": "diagonal (below 500 frames of speech)",
        "offset": "offset alone (below 200 frames of speech)",
        "identity": "none, as nothing was heard",
    }
    counts = Counter(kind for kind in kinds.values() if kind)
    told = ", ".join(f"{counts[kind]} {name}" for kind, name in names.items() if counts[kind])
    return f"adapted to {counts.total()} speakers: {told}" if told else ""


def _transcribe_group(model: Model, group: list[Recording]) -> Iterator[tuple[Recording, Transcript | Failure]]:
    """The recordings of one speaker."""
    raw, heard = [], []
    for recording in group:
        try:
            features = _raw(model, recording)
            if features is None:
                yield recording, Transcript("")
                continue
            raw.append(features)
            heard.append(recording)
        except (AsrError, ValueError) as error:
            yield recording, Failure(recording.id, _named(recording, error))
    finished = model.features.finish(raw, [r.speaker for r in heard])
    if model.aligner is None:
        for recording, features in zip(heard, finished, strict=True):
            try:
                yield recording, model.decode(features)
            except AsrError as error:
                yield recording, Failure(recording.id, _named(recording, error))
        return
    table = {r.id: features for r, features in zip(heard, finished, strict=True)}
    try:
        transcripts = dict(model.decode_together(table, {r.id: r.speaker for r in heard}))
    except AsrError as error:
        yield from ((r, Failure(r.id, _named(r, error))) for r in heard)
        return
    yield from ((r, transcripts[r.id]) for r in heard)


def _raw(model: Model, recording: Recording) -> "np.ndarray | None":
    """A recording's features before normalisation, or None for silence."""
    if model.features.given and recording.features is not None:
        return model.features.raw(read_matrix(recording.features), where=recording.features)
    if recording.audio is None:
        raise ModelError(f"holds features, and this model takes audio at {model.sample_rate} Hz: give it the recording")
    from . import audio

    model.features.need_audio()
    samples = audio.read(recording.audio, model.sample_rate, start=recording.start, end=recording.end).samples
    features = model.features.front_end(samples)
    return None if is_silent(samples) else features


def _named(recording: Recording, error: Exception) -> str:
    """The error's message, with the file in front where it lacks it, and the utterance where that is a part of it."""
    message = str(error)
    if str(recording.path) not in message:
        message = f"{recording.audio or recording.features}: {message}"
    in_archive = recording.features is not None and str(place_file(recording.features)) != recording.features
    is_part = recording.start is not None or recording.end is not None or in_archive
    return f"utterance {recording.id}: {message}" if is_part else message


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
