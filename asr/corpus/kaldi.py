"""Kaldi data directories: wav.scp, text, utt2spk, spk2utt, segments."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import CorpusError
from ..files import kind_of, numbered_lines, replacing
from .core import Problem, Utterance, time_problem

_WRITTEN = ("wav.scp", "text", "utt2spk", "spk2utt", "segments")
MAX_OVERSHOOT = 0.5  # seconds that a segment may end after its recording, as in Kaldi's extract-segments
_IN_ARCHIVE = re.compile(r".*\.ark:\d+")


@dataclass
class _Table:
    """One `id value` file: values and line numbers by id, and the ids that cannot be used."""

    path: Path
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def place(self, name: str) -> str:
        """file:line of an id."""
        return f"{self.path}:{self.lines[name]}"

    def drop(self, name: str, message: str) -> Problem:
        """Give up an id for the given reason."""
        self.values.pop(name, None)
        self.broken.add(name)
        return Problem(self.place(name), message)


def read_kaldi(directory: Path, need_text: bool) -> tuple[list[Utterance], list[Problem]]:
    """The usable utterances of `Corpus.from_kaldi`, and the problems."""
    problems: list[Problem] = []
    if kind_of(directory / "wav.scp") != "file":
        raise CorpusError(f"{directory}: no wav.scp; not a Kaldi data directory")
    recordings = _read_table(directory / "wav.scp", problems)
    audio = _audio_files(recordings, directory, problems)
    if kind_of(directory / "segments") != "missing":
        utterances = _read_table(directory / "segments", problems)
        times = _segments(utterances, recordings, audio, problems)
    else:
        utterances = recordings
        times = {name: (name, None, None) for name in audio}
    texts = _texts(directory, utterances, problems) if need_text else None
    speakers = _speakers(directory, utterances, problems, required=need_text)
    found = []
    for name, (recording, start, end) in times.items():
        if (texts is None or name in texts) and name in speakers:
            text = None if texts is None else texts[name]
            found.append(Utterance(name, speakers[name], audio[recording], text, start, end))
    return found, problems


def _read_table(path: Path, problems: list[Problem]) -> _Table:
    """The lines of a file by their first word; lines without use and ids given twice become problems."""
    table = _Table(path)
    try:
        lines = list(numbered_lines(path))
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in lines:
        if line is None:
            problems.append(Problem(f"{path}:{number}", "not valid UTF-8; save the file as UTF-8"))
            continue
        name, *value = line.split(maxsplit=1)[:2] or [""]
        if not name:
            continue
        if name in table.lines:
            message = f"id {name!r} was given before, in line {table.lines[name]}; neither is used, remove one"
            table.values.pop(name, None)
            table.broken.add(name)
            problems.append(Problem(f"{path}:{number}", message))
        else:
            table.values[name] = value[0].rstrip() if value else ""
            table.lines[name] = number
    return table


def _audio_files(recordings: _Table, directory: Path, problems: list[Problem]) -> dict[str, Path]:
    """Recording id -> existing file."""
    files = {}
    for name, given in list(recordings.values.items()):
        path = Path(given)
        if not path.is_absolute() and kind_of(path) != "file":
            path = directory / path
        kind = kind_of(path)
        if not given:
            message = f"recording {name!r} has no path after its id"
        elif given.endswith("|") or given.startswith("|"):
            message = f"recording {name!r} is a command ({given!r}); commands are not run: convert it to an audio file"
        elif _IN_ARCHIVE.fullmatch(given):
            message = f"recording {name!r} lies in an archive ({given!r}); copy it to an audio file of its own"
        elif kind != "file":
            what = {"missing": "no such file", "unreachable": "may not or cannot be opened"}.get(kind, "not a file")
            message = f"recording {name!r}: {what}: {given}"
        elif path.stat().st_size == 0:
            message = f"recording {name!r}: the file is empty: {given}"
        else:
            files[name] = path
            continue
        problems.append(recordings.drop(name, message))
    return files


def _segments(
    segments: _Table, recordings: _Table, audio: dict[str, Path], problems: list[Problem]
) -> dict[str, tuple[str, float | None, float | None]]:
    """Utterance id -> recording id, start, end. None stands for the recording's own."""
    found = {}
    durations: dict[str, float | str] = {}
    for name, value in list(segments.values.items()):
        try:
            recording, first, last = value.split()
            start, end = float(first), float(last)
        except ValueError:
            message = f"utterance {name!r}: expected 'id recording start end', found {f'{name} {value}'!r}"
            problems.append(segments.drop(name, message))
            continue
        stop = None if end == -1.0 else end
        message = time_problem(start, stop) or ""
        if recording in recordings.broken:
            segments.drop(name, "")  # reported with the recording
            continue
        if recording not in audio:
            message = f"recording {recording!r} is not in wav.scp"
        elif not message:
            if recording not in durations:
                durations[recording] = _duration(audio[recording])
            length = durations[recording]
            if isinstance(length, str):
                message = length
            elif start >= length or (stop is not None and stop > length + MAX_OVERSHOOT):
                message = f"segment {start:g}-{end:g} s is beyond the recording's {length:.2f} s ({audio[recording]})"
            elif stop is not None and stop > length:
                stop = None
        if message:
            problems.append(segments.drop(name, f"utterance {name!r}: {message}"))
        else:
            found[name] = (recording, start or None, stop)
    return found


def _duration(path: Path) -> float | str:
    """Seconds, read from the file's header, or why they are not known."""
    import soundfile

    try:
        return soundfile.info(str(path)).duration
    except (OSError, RuntimeError) as error:
        return f"its recording cannot be read: {error}"


def _texts(directory: Path, utterances: _Table, problems: list[Problem]) -> dict[str, str]:
    """Utterance id -> transcript."""
    path = directory / "text"
    if kind_of(path) == "missing":
        raise CorpusError(
            f"{path}: no such file; without transcripts a corpus can only be transcribed (need_text=False)"
        )
    texts = _read_table(path, problems)
    for name, text in list(texts.values.items()):
        if not text:
            problems.append(texts.drop(name, f"the transcript of {name!r} is blank; write it, or remove the utterance"))
    problems += _compare(texts, utterances, "transcript")
    return texts.values


def _speakers(directory: Path, utterances: _Table, problems: list[Problem], *, required: bool) -> dict[str, str]:
    """Utterance id -> speaker."""
    path = directory / "utt2spk"
    if kind_of(path) == "missing":
        if required:
            problems.append(Problem(str(path), "no such file; each utterance is taken for a speaker of its own"))
        return {name: name for name in utterances.values}
    table = _read_table(path, problems)
    for name, speaker in list(table.values.items()):
        if speaker.split() != [speaker]:
            problems.append(table.drop(name, f"the speaker of {name!r} is {speaker!r}; need one name without blanks"))
    problems += _compare(table, utterances, "speaker")
    if required and kind_of(directory / "spk2utt") != "missing":
        problems += _compare_inverse(_read_table(directory / "spk2utt", problems), table)
    return table.values


def _compare(table: _Table, utterances: _Table, what: str) -> list[Problem]:
    """Ids that only one of two tables has."""
    problems = [
        Problem(utterances.place(name), f"utterance {name!r} has no {what} in {table.path.name}")
        for name in utterances.values
        if name not in table.lines
    ]
    problems += [
        Problem(table.place(name), f"utterance {name!r} has a {what} but no audio in {utterances.path.name}")
        for name in table.lines
        if name not in utterances.lines
    ]
    return problems


def _compare_inverse(spk2utt: _Table, utt2spk: _Table) -> list[Problem]:
    """Where spk2utt says something else than utt2spk, which is believed."""
    problems, listed = [], set()
    for speaker, names in spk2utt.values.items():
        for name in names.split():
            listed.add(name)
            other = utt2spk.values.get(name)
            if other != speaker and name not in utt2spk.broken:
                said = f"speaker {other!r}" if other else "nothing"
                problems.append(Problem(spk2utt.place(speaker), f"{name!r} is listed; utt2spk says {said}, and counts"))
    for name in utt2spk.values:
        if name not in listed:
            problems.append(Problem(utt2spk.place(name), f"utterance {name!r} is not in spk2utt"))
    return problems


def write_kaldi(utterances: Sequence[Utterance], directory: Path) -> None:
    """Write `Corpus.to_kaldi`'s files."""
    kind = kind_of(directory)
    if kind not in ("missing", "folder"):
        raise CorpusError(f"{directory}: is there and not a directory; choose an empty or new one")
    others = sorted(p.name for p in directory.iterdir() if p.name not in _WRITTEN) if kind == "folder" else []
    if others:
        raise CorpusError(f"{directory}: holds other files ({', '.join(others[:3])}); choose an empty or new directory")
    recordings, segments = _recordings(utterances)
    of_speaker: dict[str, list[str]] = {}
    for utterance in sorted(utterances, key=lambda u: u.id):
        of_speaker.setdefault(utterance.speaker, []).append(utterance.id)
    tables = {
        "wav.scp": recordings,
        "utt2spk": {u.id: u.speaker for u in utterances},
        "spk2utt": {speaker: " ".join(names) for speaker, names in of_speaker.items()},
        "text": {u.id: u.text for u in utterances if u.text is not None},
        "segments": segments,
    }
    with replacing(directory) as temporary:
        temporary.mkdir()
        for name, table in tables.items():
            if table:
                # Code points sort as UTF-8 bytes do, which is the order of LC_ALL=C.
                lines = [f"{key} {value}".rstrip() + "\n" for key, value in sorted(table.items())]
                (temporary / name).write_text("".join(lines), encoding="utf-8", newline="\n")


def _recordings(utterances: Sequence[Utterance]) -> tuple[dict[str, str], dict[str, str]]:
    """wav.scp and segments (empty where every utterance is a recording of its own)."""
    paths = {}
    for utterance in utterances:
        if utterance.audio is None:
            raise CorpusError(f"utterance {utterance.id!r} has no audio; a data directory needs a recording for each")
        path = str(utterance.audio.absolute())
        if path != path.strip() or "\n" in path or path.endswith("|") or not path.isprintable():
            raise CorpusError(f"utterance {utterance.id!r}: wav.scp cannot hold the path {path!r}; rename the file")
        paths[utterance.id] = path
    if all(u.start is None and u.end is None for u in utterances):
        return paths, {}
    names: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for path in dict.fromkeys(paths.values()):
        stem = "_".join(Path(path).stem.split())
        name = stem
        while taken[name]:
            taken[stem] += 1
            name = f"{stem}-{taken[stem]}"
        taken[name] += 1
        names[path] = name
    segments = {
        u.id: f"{names[paths[u.id]]} {u.start or 0.0!r} {-1 if u.end is None else repr(u.end)}" for u in utterances
    }
    return {name: path for path, name in names.items()}, segments
