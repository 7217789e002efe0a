"""Reading Kaldi data directories: wav.scp or feats.scp, text, utt2spk, spk2utt, segments, reco2file_and_channel."""

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import CorpusError
from ..files import kind_of
from .channels import CHANNELS, channels_of
from .lists import Finder, good_lines, nfc, overlaps
from .utterance import Problem, Utterance, check_words, listed

_Part = tuple[Path, float | None, float | None, int | None]  # a recording's file, start, end in s, channel


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


def read_kaldi(directory: Path, need_text: bool, commands: Path | None = None) -> tuple[list[Utterance], list[Problem]]:
    """The usable utterances of `Corpus.from_kaldi`, and the problems.

    Args:
        commands: see Finder.
    """
    problems: list[Problem] = []
    tables = {
        name: _read_table(directory / name, problems)
        for name in ("wav.scp", "segments", "feats.scp")
        if kind_of(directory / name) != "missing" and (name != "segments" or kind_of(directory / "wav.scp") == "file")
    }
    if "wav.scp" not in tables and "feats.scp" not in tables:
        raise CorpusError(f"{directory}: no wav.scp and no feats.scp; not a Kaldi data directory")
    finder = Finder(Path(), directory, commands=commands)
    parts = _parts(tables, finder, _channels(directory, problems), problems)
    features = _features(tables["feats.scp"], finder, problems) if "feats.scp" in tables else {}
    index = next(tables[name] for name in ("segments", "wav.scp", "feats.scp") if name in tables)
    if "feats.scp" in tables and index is not tables["feats.scp"]:
        problems += _compare(tables["feats.scp"], index, "feature matrix")
    texts = _texts(directory, index, problems) if need_text else None
    speakers = _speakers(directory, index, problems, required=need_text)
    found = []
    for name in index.lines:
        audio, start, end, channel = parts.get(name, (None, None, None, None))
        place = features.get(name)
        if (audio or place) and (texts is None or name in texts) and name in speakers:
            text = None if texts is None else texts[name]
            found.append(listed(Utterance(name, speakers[name], audio, text, start, end, place, channel)))
    if need_text:
        problems += overlaps((index.place(u.id), u) for u in found)
    return found, problems


def _read_table(path: Path, problems: list[Problem]) -> _Table:
    """The lines of a file by their first word; lines without use and ids given twice become problems."""
    table = _Table(path)
    for number, line in good_lines(path, problems):
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


def _channels(directory: Path, problems: list[Problem]) -> dict[str, int]:
    """Recording id -> its channel in the file, from 0, as reco2file_and_channel has it: `call-A call A`."""
    path = directory / "reco2file_and_channel"
    if kind_of(path) != "file":
        return {}
    table, found = _read_table(path, problems), dict[str, int]()
    for name, value in table.values.items():
        channel = value.split()[-1:] or [""]
        if channel[0] in CHANNELS:
            found[name] = CHANNELS[channel[0]]
        else:
            message = f"channel {channel[0]!r} of {name!r}; need A, B, 1 or 2: the mean of its channels is taken"
            problems.append(Problem(table.place(name), message))
    return found


def _parts(
    tables: dict[str, _Table], finder: Finder, channels: dict[str, int], problems: list[Problem]
) -> dict[str, _Part]:
    """Utterance id -> file, start, end and channel, of those whose audio can be used.

    Args:
        channels: recording id -> what reco2file_and_channel says; it counts for files that have several.
    """
    if "wav.scp" not in tables:
        return {}
    recordings = tables["wav.scp"]
    files = {}
    for name, given in list(recordings.values.items()):
        try:
            files[name] = finder.audio(given, name)
        except CorpusError as error:
            problems.append(recordings.drop(name, f"recording {name!r}: {error}"))
    if "segments" not in tables:
        return {name: (path, None, None, _channel(path, channels.get(name))) for name, path in files.items()}
    segments = tables["segments"]
    found = {}
    for name, value in list(segments.values.items()):
        try:
            recording, start, end, channel = _segment(name, value)
            if recording in recordings.broken:
                segments.drop(name, "")  # reported with the recording
                continue
            if recording not in files:
                raise CorpusError(f"recording {recording!r} is not in wav.scp")
            path = files[recording]
            if channel is not None and channel not in (channels_of(path) if channel else [0]):
                raise CorpusError(f"channel {channel} (from 0) is not in the recording ({path})")
            own = _channel(path, channels.get(recording) if channel is None else channel)
            found[name] = (path, *finder.part(path, start, end), own)
        except CorpusError as error:
            problems.append(segments.drop(name, f"utterance {name!r}: {error}"))
    return found


def _channel(path: Path, number: int | None) -> int | None:
    """The channel that a recording is in; None for a file with a single one, which holds that channel alone."""
    return None if number is None or channels_of(path) == [None] else number


def _segment(name: str, value: str) -> tuple[str, float, float | None, int | None]:
    """Recording id, start and end in s, and where it is said the channel; an end of -1 is the recording's."""
    try:
        recording, first, last, *others = value.split()
        start, end = float(first), float(last)
        channel = int(others[0]) if others else None
        if len(others) > 1 or (channel or 0) < -1:
            raise ValueError(others)
    except ValueError:
        raise CorpusError(f"expected 'id recording start end [channel]', found {f'{name} {value}'!r}") from None
    return recording, start, None if end == -1.0 else end, None if channel == -1 else channel


def _features(table: _Table, finder: Finder, problems: list[Problem]) -> dict[str, str]:
    """Utterance id -> place of its feature matrix."""
    places = {}
    for name, given in list(table.values.items()):
        try:
            places[name] = finder.features(given, name)
        except CorpusError as error:
            problems.append(table.drop(name, f"utterance {name!r}: {error}"))
    return places


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
            continue
        try:
            check_words(text, name)
        except CorpusError as error:
            problems.append(texts.drop(name, str(error)))
    problems += _compare(texts, utterances, "transcript")
    return texts.values


def _speakers(directory: Path, utterances: _Table, problems: list[Problem], *, required: bool) -> dict[str, str]:
    """Utterance id -> speaker."""
    path = directory / "utt2spk"
    if kind_of(path) == "missing":
        if required:
            problems.append(Problem(str(path), "no such file; each utterance is taken for a speaker of its own"))
        return {name: name for name in utterances.lines}
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
    problems = []
    alike: dict[str, str] = {}  # ids of the table by what they look like
    for name in utterances.values:
        if name not in table.lines:
            alike = alike or {nfc(other): other for other in table.lines}
            hint = "; one that looks the same is spelt with other code points (NFC, NFD)" if nfc(name) in alike else ""
            message = f"utterance {name!r} has no {what} in {table.path.name}{hint}"
            problems.append(Problem(utterances.place(name), message))
    lists = "audio" if utterances.path.name != "feats.scp" else "features"
    problems += [
        Problem(table.place(name), f"utterance {name!r} has a {what} but no {lists} in {utterances.path.name}")
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
