"""Lhotse's manifests, read as the JSON lines they are: recordings with supervisions, or cuts.

Lhotse itself, which prepares about a hundred public corpora, is not needed: it imports torch.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CorpusError
from ..files import kind_of
from ..files.texts import text_blocks
from .lists import Finder, good_lines, overlaps
from .utterance import Problem, Utterance, check_words, listed

SUFFIXES = (".jsonl", ".jsonl.gz")
_SLACK = 0.01  # s that rounded times may lie outside their cut
_ROUNDED = 1e-3  # s that an end may lie beside the recording's to be the same
_LARGEST = 1e12  # s; JSON has whole numbers that no float can hold
_DAMAGED = "damaged gzip file"  # what asr.files.texts says of one whose beginning can be used
_GZIP = b"\x1f\x8b"
_HARMLESS = ("resample",)  # every recording is resampled to the rate that is asked for


@dataclass(frozen=True)
class _Line:
    """One JSON object of a manifest, its place, and what is needed of it."""

    place: str
    item: dict[str, Any]

    def get(self, key: str, kind: type | tuple[type, ...], what: str) -> Any:
        """A value of the given type. Raises CorpusError where there is none."""
        return _value(self.item, key, kind, what)


def _value(item: dict[str, Any], key: str, kind: type | tuple[type, ...], what: str) -> Any:
    value = item.get(key)
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, int) and abs(value) > _LARGEST):
        raise CorpusError(f"{what} has no {key!r} of the right type (found {value!r:.60})")
    return value


def manifests_in(directory: Path) -> dict[str, list[Path]]:
    """The manifests of a folder by kind: recordings, supervisions, cuts.

    Raises:
        CorpusError: for one out of reach.
    """
    found: dict[str, list[Path]] = {"recordings": [], "supervisions": [], "cuts": []}
    try:
        inside = directory.iterdir() if kind_of(directory) == "folder" else ()
        paths_there = sorted(path for path in inside if path.name.endswith(SUFFIXES) and not path.name.startswith("."))
    except OSError as error:
        raise CorpusError(f"{directory}: the folder cannot be read: {error.strerror}; allow it") from None
    for path in paths_there:
        for kind, paths in found.items():
            if kind in path.name:
                paths.append(path)
    return found


def read_lhotse(manifest: Path, supervisions: Path | None, need_text: bool) -> tuple[list[Utterance], list[Problem]]:
    """The usable utterances of `Corpus.from_lhotse`, and the problems."""
    if kind_of(manifest) == "folder":
        manifest, supervisions = _only_ones(manifest)
    elif supervisions is None and "recordings" in manifest.name:
        beside = manifest.with_name(manifest.name.replace("recordings", "supervisions"))
        supervisions = beside if kind_of(beside) == "file" else None
    for path in (manifest, supervisions):
        if path is not None and not path.name.endswith(SUFFIXES):
            raise CorpusError(
                f"{path}: need JSON lines ({', '.join(SUFFIXES)}); `lhotse copy IN OUT.jsonl.gz` makes them"
            )
    problems: list[Problem] = []
    finder = Finder(Path(), manifest.parent)
    if supervisions is not None:
        stretches = _supervised(manifest, supervisions, problems)
    else:
        stretches = _cuts(manifest, need_text, problems)
    return _utterances(stretches, finder, need_text, problems)


def _only_ones(directory: Path) -> tuple[Path, Path | None]:
    """The manifests of a folder where there is no choice."""
    found = manifests_in(directory)
    counts = tuple(map(len, found.values()))
    if counts == (1, 1, 0):
        return found["recordings"][0], found["supervisions"][0]
    if counts in ((0, 0, 1), (1, 0, 0)):
        return (found["cuts"] or found["recordings"])[0], None
    names = ", ".join(path.name for paths in found.values() for path in paths) or "none"
    raise CorpusError(
        f"{directory}: need one recordings*.jsonl[.gz] with one supervisions*.jsonl[.gz], or one cuts*.jsonl[.gz]; "
        f"found {names}: name the manifest to read"
    )


def _lines(path: Path, problems: list[Problem]) -> Iterator[_Line]:
    """The objects of a manifest; lines that are none become problems."""
    raw = _unpacked(path, problems) if path.name.endswith(".gz") else None
    for number, line in good_lines(path, problems, raw):
        place = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(Problem(place, f"not JSON: {error}"))
            continue
        if isinstance(item, dict) and isinstance(item.get("id"), str):
            yield _Line(place, item)
        else:
            problems.append(Problem(place, f"not an object with an 'id': {line:.60}"))


def _unpacked(path: Path, problems: list[Problem]) -> bytes:
    """What a gzip file holds, up to where it is damaged."""
    blocks: list[bytes] = []
    try:
        with path.open("rb") as stream:
            if not stream.read(2).startswith(_GZIP):
                problems.append(Problem(str(path), "truncated or damaged: no gzip file; copy or make it again"))
                return b""
        blocks += text_blocks(path, error=CorpusError)
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror}") from None
    except CorpusError as error:
        if _DAMAGED not in str(error):
            raise
        problems.append(Problem(str(path), f"truncated or {str(error).removeprefix(f'{path}: ')}"))
    return b"".join(blocks)


@dataclass(frozen=True)
class _Stretch:
    """A part of a recording that may become an utterance, not yet checked."""

    place: str
    id: str
    recording: dict[str, Any]
    channels: Any  # a number or a list of them
    start: float
    end: float | None
    supervision: dict[str, Any]


def _supervised(manifest: Path, supervisions: Path, problems: list[Problem]) -> Iterator[_Stretch]:
    """The supervisions with their recordings."""
    recordings: dict[str, dict[str, Any]] = {}
    twice = set()
    for line in _lines(manifest, problems):
        name = line.item["id"]
        if name in recordings:
            twice.add(name)
            problems.append(Problem(line.place, f"recording {name!r} was given before; neither is used, remove one"))
        recordings[name] = line.item
    for line in _lines(supervisions, problems):
        name = line.item["id"]
        try:
            recording = line.get("recording_id", str, f"supervision {name!r}")
            start, duration = (line.get(key, (int, float), f"supervision {name!r}") for key in ("start", "duration"))
            if recording not in recordings:
                raise CorpusError(f"supervision {name!r}: recording {recording!r} is not in {manifest.name}")
        except CorpusError as error:
            problems.append(Problem(line.place, str(error)))
            continue
        if recording not in twice:
            item = recordings[recording]
            yield _Stretch(line.place, name, item, line.item.get("channel", 0), start, start + duration, line.item)


def _cuts(manifest: Path, need_text: bool, problems: list[Problem]) -> Iterator[_Stretch]:
    """The supervisions of cuts; cuts or recordings without, where no text is needed, are whole utterances."""
    for line in _lines(manifest, problems):
        name = line.item["id"]
        try:
            if "sources" in line.item:  # a recording
                if need_text:
                    raise CorpusError(f"recording {name!r} has no supervision; name the manifest with the supervisions")
                channels = line.item.get("channel_ids") or [0]
                yield _Stretch(line.place, name, line.item, channels, 0.0, None, {})
                continue
            yield from _of_cut(line, need_text, problems)
        except CorpusError as error:
            problems.append(Problem(line.place, str(error)))


def _of_cut(line: _Line, need_text: bool, problems: list[Problem]) -> Iterator[_Stretch]:
    """The supervisions of a cut, or the whole cut if need be. Raises CorpusError if none can be used."""
    name, what = line.item["id"], f"cut {line.item['id']!r}"
    kind = line.item.get("type", "MonoCut")
    if kind != "MonoCut":
        raise CorpusError(f"{what} is a {kind}; only MonoCuts are read: save the mixed audio (lhotse's save_audio)")
    if not isinstance(line.item.get("recording"), dict):
        raise CorpusError(f"{what} has no recording; features in Lhotse's own storage are not read")
    recording, channel = line.item["recording"], line.item.get("channel", 0)
    begin, duration = (line.get(key, (int, float), what) for key in ("start", "duration"))
    supervisions = line.get("supervisions", list, what) if line.item.get("supervisions") else []
    if not supervisions and need_text:
        raise CorpusError(f"{what} has no supervision, so no transcript")
    if not supervisions:
        yield _Stretch(line.place, name, recording, channel, begin, begin + duration, {})
    for item in supervisions:
        try:
            own, start, end = _within(item, duration, what)
            yield _Stretch(line.place, own, recording, channel, begin + start, begin + end, item)
        except CorpusError as error:
            problems.append(Problem(line.place, str(error)))


def _within(item: Any, duration: float, cut: str) -> tuple[str, float, float]:
    """A supervision's id, start and end in its cut, s. Raises CorpusError where it is not all in it."""
    if not isinstance(item, dict):
        raise CorpusError(f"{cut}: a supervision is no object: {item!r:.60}")
    what = f"supervision {item.get('id')!r} of {cut}"
    start, length = (_value(item, key, (int, float), what) for key in ("start", "duration"))
    if start < -_SLACK or start + length > duration + _SLACK:
        shown = f"{start:g} s to {start + length:g} s of {duration:g} s"
        raise CorpusError(f"{what} reaches out of its cut ({shown}): not all that it says is heard there")
    return _value(item, "id", str, what), max(start, 0.0), min(start + length, duration)


def _utterances(
    stretches: Iterator[_Stretch], finder: Finder, need_text: bool, problems: list[Problem]
) -> tuple[list[Utterance], list[Problem]]:
    """The stretches that can be used, as utterances."""
    rows: dict[str, list[tuple[str, Utterance]]] = {}
    unnamed: list[str] = []
    for stretch in stretches:
        try:
            utterance = _utterance(stretch, finder, need_text)
        except CorpusError as error:
            problems.append(Problem(stretch.place, str(error)))
            continue
        if not stretch.supervision.get("speaker"):
            unnamed.append(stretch.place)
        rows.setdefault(utterance.id, []).append((stretch.place, utterance))
    for name, same in rows.items():
        for place, _ in same[1:]:
            message = f"utterance {name!r} was given before, in {same[0][0]}; neither is used, rename or remove one"
            problems.append(Problem(place, message))
    listed = [same[0] for same in rows.values() if len(same) == 1]
    if need_text and unnamed:
        message = f"names no speaker, as {len(unnamed)} utterances do; each recording is taken for one speaker's own"
        problems.append(Problem(unnamed[0], message))
    return [u for _, u in listed], problems + (overlaps(listed) if need_text else [])


def _utterance(stretch: _Stretch, finder: Finder, need_text: bool) -> Utterance:
    """The utterance of a supervision.

    Raises:
        CorpusError: with what is wrong, without the place.
    """
    text = stretch.supervision.get("text") if need_text else None
    if need_text and (not isinstance(text, str) or not text.strip()):
        raise CorpusError(f"utterance {stretch.id!r} has no transcript")
    if need_text:
        check_words(str(text), stretch.id)
    try:
        source, channel = _source(stretch.recording, stretch.channels)
        path = finder.audio(source, stretch.id)
        length = stretch.recording.get("duration")
        is_known = isinstance(length, (int, float)) and abs(length) < _LARGEST and stretch.end is not None
        whole = is_known and abs(stretch.end - length) < _ROUNDED  # type: ignore[operator]
        start, end = finder.part(path, stretch.start, None if whole else stretch.end)
    except CorpusError as error:
        raise CorpusError(f"utterance {stretch.id!r}: {error}") from None
    speaker = stretch.supervision.get("speaker") or stretch.recording.get("id")
    return listed(Utterance(_joined(stretch.id), _joined(speaker), path, text, start, end, channel=channel))


def _joined(name: object) -> str:
    """A name without blanks, which Lhotse allows in ids and speakers."""
    return "_".join(str(name).split())


def _source(recording: dict[str, Any], channels: Any) -> tuple[str, int | None]:
    """The file that holds a recording's channels, and which of several there, from 0; None for the mean of all.

    Raises:
        CorpusError: where no file holds these and no others, nor one of them among others.
    """
    listed = recording.get("transforms") or []
    listed = listed if isinstance(listed, list) else [listed]
    transforms = [t.get("name", "?") if isinstance(t, dict) else t for t in listed]
    changes = [name for name in map(str, transforms) if name.lower() not in _HARMLESS]
    if changes:
        raise CorpusError(
            f"its recording is changed by {', '.join(changes)}, which is not done here: save it so (save_audio)"
        )
    wanted = _channels(channels)
    sources = [s for s in _value(recording, "sources", list, "its recording") if isinstance(s, dict)]
    for source in sources:
        if source.get("type") != "file":
            what = f"{source.get('type')!r} ({source.get('source')!r:.60})"
            raise CorpusError(
                f"its recording's source is of type {what}; only files are read: nothing is run or fetched"
            )
        held = _channels(source.get("channels") or [0])
        if held == wanted or (len(wanted) == 1 and wanted[0] in held):
            return str(_value(source, "source", str, "its recording's source")), (
                None if held == wanted else held.index(wanted[0])
            )
    there = [source.get("channels") for source in sources]
    raise CorpusError(
        f"its channels {wanted} lie with others in one file (channels {there}); write them to a file of their own"
    )


def _channels(value: Any) -> list[Any]:
    """One channel or several, in order."""
    return sorted(value if isinstance(value, list) else [value], key=str)
