"""Transcripts with times beside a recording: Praat's TextGrids, ELAN's .eaf, subtitles, label files, JSON.

A file is told by its content, so that markup is never taken for words, whatever its name ends in: what is none of these
and no plain text is refused by its name.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import CorpusError
from ..files import as_utf8, dead_link, kind_of, read_bytes
from ..files.tables import FILES, IDS, TEXTS
from .elan import read_elan
from .textgrid import read_textgrid
from .tiers import Interval, Tier

_PAUSES = (
    "",
    "<eps>",
    "sil",
    "sp",
    "<sil>",
    "<p:>",
    "<p>",
    "<usb>",
    "pau",
    "_",
    "#",
)  # what stands where nobody speaks
_WORDS = ("words", "word", "wrd", "ort", "ort-mau", "orthography")
_UTTERANCES = (
    *("utterances", "utterance", "sentences", "sentence", "transcripts", "transcript", "transcriptions"),
    *("transcription", "text", "phrases", "phrase", "ipus", "ipu"),
)
_LONG = 30.0  # s; a recording with times of words that is longer is cut into utterances
_GAP, _MARGIN = 0.3, 0.15  # s; where nobody speaks for so long it is cut, and so much silence is left at most
_OTHERS = {
    "<!doctype": "HTML", "<html": "HTML", "<?xml": "XML", "{\\rtf": "RTF", "%pdf": "PDF", "pk\x03\x04": "a document",
    "@utf8": "CHAT", "@begin": "CHAT", "oobinaryfile": "a binary file of Praat (save it as a text file there)",
}  # fmt: skip
_FORMS = (  # how lines of other layouts look, of which the first line, or each, tells; and their names
    (r"\[script info\].*", "subtitles of SubStation Alpha (.ass); save them as .srt"),
    (r"\d+:\d\d:\d\d\.\d+,\d+:\d\d:\d\d\.\d+", "YouTube's subtitles (.sbv); save them as .srt"),
    (r"\[(\d+:\d\d([.:]\d+)?|(ar|ti|al|by|offset|length|re|ve|au): ?.*)\].*", "lyrics with times (.lrc)"),
    (r"\*[a-z0-9]{2,4}:.*", "CHAT, not a transcript"),
)
_LINES = (
    (r"\S+\s+\S+\s+\d+\.\d+\s+\d+\.\d+\s+\S+(\s+-?\d*\.?\d+)?", "NIST's .ctm; asr score reads it"),
    (r"\S+\s+\S+\s+\S+\s+\d+\.\d+\s+\d+\.\d+\s.*", "NIST's .stm; asr score reads it"),
    (
        r"\d+(\.\d+)?\t\d+(\.\d+)?\t.*",
        "a table of times in a unit that nothing tells; name its columns as a corpus .tsv",
    ),
)
_STARTS = ("start", "start_time", "begin", "from", "onset")
_TIMING = re.compile(r"((?:\d+:)?\d+:\d+[.,]\d+)\s+-->\s+((?:\d+:)?\d+:\d+[.,]\d+).*")
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_LABEL = re.compile(r"(\d+)\s+(\d+)\s+(\S.*)")
_AUDACITY = re.compile(r"(\d+\.\d+)\t(\d+\.\d+)\t(.*)")


class Part(NamedTuple):
    """What is said in a stretch of a recording, seconds; the whole where there are no times.

    Attributes:
        speaker: None, unknown.
    """

    start: float | None
    end: float | None
    text: str
    speaker: str | None = None


def parts_of(path: Path, wanted: str | None) -> list[Part] | None:
    """The parts of a recording that a file beside it transcribes, or None for plain text.

    A tier of words is one utterance, or, in a recording of more than 30 s, as many as there are stretches without a
    pause of 0.3 s. In other tiers each interval with text is an utterance.

    Args:
        wanted: the name of the tier; None: the only one with text, or one that is named as utterances or words are.

    Raises:
        CorpusError: for a file that cannot be understood, and where no tier or several could be meant.
    """
    raw = as_utf8(_bytes(path))
    found = _tiers(path, raw)
    if found is None:
        if wanted is not None:
            raise CorpusError(f"is plain text, without a tier {wanted!r}")
        return None
    parts = [part for tier in _chosen(found, wanted) for part in _parts(tier)]
    if not parts:
        raise CorpusError("its tier holds no text; write what is said, or remove the recording")
    return sorted(parts, key=lambda part: part.start or 0.0)


def _bytes(path: Path) -> bytes:
    if kind_of(path) == "other":
        raise CorpusError("is a pipe or device, not a file")  # reading it might never end
    try:
        return read_bytes(path)
    except (OSError, ValueError) as error:
        raise CorpusError(dead_link(path) or f"cannot be read: {getattr(error, 'strerror', error)}") from None


def _tiers(path: Path, raw: bytes) -> list[Tier] | None:
    """The tiers of a file, None for plain text."""
    head = raw[:200].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    start = head.lower()
    if start.startswith(("file type", '"ootextfile')):
        return read_textgrid(_text(raw))
    if start.startswith("<?xml") and b"<ANNOTATION_DOCUMENT" in raw[:5000]:
        return read_elan(raw)
    if other := next((what for begin, what in _OTHERS.items() if start.startswith(begin)), None):
        raise CorpusError(f"is {other}, not a transcript; write what is said into a text file")
    if (start.startswith(("{", "[")) and path.suffix.lower() in (".json", ".jsonl")) or start.startswith('{"'):
        return _of_json(_text(raw))
    if start.startswith("webvtt") or " --> " in head:
        return [Tier("subtitles", list(_cues(_text(raw).split("\n"))))]
    if start[:1].isdigit() and (labels := _labels([line for line in _text(raw).splitlines() if line.strip()])):
        return [Tier("labels", labels)]
    if other := _other_layout(raw.decode("utf-8", "replace")):
        raise CorpusError(f"is {other}; write what is said into a text file")
    if path.suffix.lower() in (".textgrid", ".eaf"):
        raise CorpusError(f"is no {path.suffix} file, or damaged: it begins with {head[:30]!r}")
    return None


def _other_layout(text: str) -> str | None:
    """The name of a layout with times or columns that would be taken for words, or None."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(";;")]
    if not lines:
        return None
    first = lines[0].lower()
    if what := next((what for form, what in _FORMS if re.fullmatch(form, first)), None):
        return what
    names = {cell.strip().strip('"') for cell in re.split(r"[,;\t|]", first)}
    if names & set(TEXTS) and names & {*_STARTS, *IDS, *FILES}:
        return "a table with names of its columns, not a transcript"
    return next((what for form, what in _LINES if all(re.fullmatch(form, line) for line in lines)), None)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise CorpusError("not valid UTF-8; save the file as UTF-8 (Praat: in the text writing settings)") from None


def _of_json(text: str) -> list[Tier]:
    """One object with a text, as asr and others write it, or with segments that have times, as Whisper does."""
    try:
        item = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"is damaged JSON: {error}") from None
    segments = item.get("segments") if isinstance(item, dict) else None
    if isinstance(segments, list) and all(_is_segment(s) for s in segments):
        return [Tier("segments", [Interval(float(s["start"]), float(s["end"]), s["text"]) for s in segments])]
    if isinstance(item, dict) and isinstance(item.get("text"), str):
        return [Tier("text", [Interval(None, None, item["text"])])]
    raise CorpusError("is JSON of no layout that is known; need one object with a 'text'")


def _is_segment(item: object) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("text"), str)
        and all(isinstance(item.get(key), (int, float)) for key in ("start", "end"))
    )


def _cues(lines: Sequence[str]) -> Iterator[Interval]:
    """The cues of subtitles, SRT or WebVTT, without marks of style."""
    number = 0
    while number < len(lines):
        match = _TIMING.fullmatch(lines[number].strip())
        number += 1
        if match is None:
            continue
        said = []
        while number < len(lines) and lines[number].strip():
            said.append(_TAG.sub(" ", lines[number]))
            number += 1
        yield Interval(_seconds(match[1]), _seconds(match[2]), " ".join(" ".join(said).split()))


def _seconds(clock: str) -> float:
    """Seconds of `1:02:03,45`."""
    total = 0.0
    for part in clock.replace(",", ".").split(":"):
        total = 60 * total + float(part)
    return total


def _labels(lines: Sequence[str]) -> list[Interval] | None:
    """Lines `start end label` of Audacity in seconds, or of HTK or TIMIT, of which the unit is not known; else None."""
    found = [_AUDACITY.fullmatch(line) for line in lines]
    if all(found):
        return [Interval(float(m[1]), float(m[2]), m[3]) for m in found if m]
    found = [_LABEL.fullmatch(line.strip()) for line in lines]
    if not all(m and int(m[1]) < int(m[2]) and not m[3].split()[0].isdecimal() for m in found):
        return None
    if max(int(m[2]) for m in found if m) < 1000:  # numbers may be words: samples and 100 ns come in thousands
        return None
    # HTK ends labels with scores, which are not said.
    return [Interval(None, None, re.sub(r"( -?\d+\.\d+)+$", "", m[3])) for m in found if m]


def _chosen(tiers: Sequence[Tier], wanted: str | None) -> list[Tier]:
    """The tiers to read: one, or those of several speakers with the same name."""
    if wanted is not None:
        if found := [tier for tier in tiers if _is_named(tier, (wanted,))]:
            return found
        raise CorpusError(f"has no tier {wanted!r}; there are {_names(tiers)}")
    full = [tier for tier in tiers if any(not _is_pause(i.text) for i in tier.intervals)]
    if len(full) == 1:
        return full
    for names in (_UTTERANCES, _WORDS):
        for name in names:
            if found := [tier for tier in full if _is_named(tier, (name,))]:
                return found
    if not full:
        raise CorpusError("holds no text; write what is said, or remove the recording")
    raise CorpusError(f"has several tiers, {_names(full)}; name the one to read with --tier")


def _is_named(tier: Tier, names: Sequence[str]) -> bool:
    return tier.name.casefold().rpartition(" - ")[2].strip() in [name.casefold() for name in names] or (
        tier.name in names
    )


def _names(tiers: Sequence[Tier]) -> str:
    return ", ".join(repr(tier.name) for tier in tiers) or "none"


def _is_pause(text: str) -> bool:
    return text.strip().lower() in _PAUSES


def _parts(tier: Tier) -> list[Part]:
    """The utterances of a tier."""
    said = [i._replace(text=" ".join(i.text.split())) for i in tier.intervals if not _is_pause(i.text)]
    before, dash, _ = tier.name.rpartition(" - ")  # how MFA names the tiers of speakers
    speaker = tier.speaker or ("_".join(before.split()) if dash else None)
    if not said:
        return []
    is_words = len(said) > 1 and all(" " not in i.text for i in said)
    if any(i.start is None for i in said) or (is_words and (said[-1].end or 0.0) <= _LONG):
        return [Part(None, None, " ".join(i.text for i in said), speaker)]
    if not is_words:
        return [Part(i.start, i.end, i.text, speaker) for i in said]
    return [Part(start, end, text, speaker) for start, end, text in _stretches(said)]


def _stretches(words: Sequence[Interval]) -> Iterator[tuple[float, float, str]]:
    """Words that no pause parts, with a little of the silence around them."""
    groups: list[list[Interval]] = []
    for word in words:
        if groups and (word.start or 0.0) - (groups[-1][-1].end or 0.0) < _GAP:
            groups[-1].append(word)
        else:
            groups.append([word])
    for before, group in zip([None, *groups], groups, strict=False):
        start, end = group[0].start or 0.0, group[-1].end or 0.0
        room = start - (before[-1].end or 0.0) if before else start
        yield max(0.0, start - min(_MARGIN, room / 2)), end + min(_MARGIN, _GAP / 2), " ".join(w.text for w in group)
