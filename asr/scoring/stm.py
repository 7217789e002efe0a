"""NIST's segment time marks (.stm): what is said in which stretch of a recording, and words (.ctm) put into them."""

import math
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..display.brief import many
from ..errors import CorpusError, first_of, listed
from .alternatives import wrong_notation
from .edges import CtmWord, channel_number, nist_lines

IGNORED = "ignore_time_segment_in_scoring"
_CTM_SPEAKER = re.compile(r"\d+\.\d+")  # where a .stm has the speaker a .ctm has a time

Channel = tuple[str, str]  # a recording's name, and its channel


class Segment(NamedTuple):
    """A stretch of a recording in seconds, and what is said there; None where it is not to be scored."""

    channel: Channel
    speaker: str
    start: float
    end: float
    text: str | None

    @property
    def id(self) -> str:
        """A name of its own: recording, channel, and times."""
        return f"{self.channel[0]}-{self.channel[1]}-{self.start:.3f}-{self.end:.3f}"


def read_stm(path: str | os.PathLike) -> list[Segment]:
    """The segments of a file, sorted by recording, channel and time.

    Lines are `recording channel speaker start end <label> words`; the label may be missing. `;;` begins a comment.
    Words may be in NIST's notation of alternatives, see asr.scoring.alternatives, and stay so.

    Raises:
        CorpusError: with file:line for other lines, and for two segments of the same stretch.
    """
    file = Path(path)
    segments: list[Segment] = []
    problems: list[str] = []
    first: dict[str, str] = {}
    labelled: list[bool] = []
    doubtful: list[str] = []  # lines whose first word may be a label
    for place, line in nist_lines(file):
        try:
            segment, label = _segment(line)
            if segment.id in first:
                raise ValueError(f"the segment of line {first[segment.id].rpartition(':')[2]} again")
        except ValueError as error:
            problems.append(f"{place}: {error}")
            continue
        first[segment.id] = place
        segments.append(segment)
        labelled.append(bool(label))
        if label and "," not in label:
            doubtful.append(f"{place}: {label!r}")
    if segments and all(_CTM_SPEAKER.fullmatch(s.speaker) and len((s.text or "").split()) < 2 for s in segments):
        problems.append(f"{file}: looks like NIST's ctm; give the file the ending .ctm")
    if doubtful and not all(labelled):
        problems.append(f"{doubtful[0]}: a label, or a word? Give every line a label, such as <o>, or none")
    if problems:
        raise CorpusError(first_of(problems))
    if not segments:
        raise CorpusError(f"{file}: holds no segments; expected lines `recording channel speaker start end words`")
    return sorted(segments, key=lambda s: (s.channel, s.start, s.end))


def _segment(line: str | None) -> tuple[Segment, str]:
    """The segment of a line, and its label. Raises ValueError with what is wrong."""
    if line is None:
        raise ValueError("not valid UTF-8; save the file as UTF-8")
    if is_rttm(line):
        raise ValueError("a line of NIST's RTTM, which tells who speaks when; need a segment and its words")
    name, channel, speaker, start, end, *words = [*line.split(maxsplit=5), "", "", "", "", ""][:6]
    try:
        times = float(start), float(end)
    except ValueError:
        raise ValueError("need `recording channel speaker start end words`, times in seconds") from None
    if not (0 <= times[0] < times[1] < math.inf):
        raise ValueError(f"start {start} and end {end}; need the start before the end, in seconds")
    label, text = "", " ".join(words)
    if text.startswith("<") and text.split()[0].endswith(">"):
        label, _, text = text.partition(" ")
    if text.strip().lower() == IGNORED:
        return Segment(_named(name, channel), speaker, *times, None), label
    if message := wrong_notation(text):
        raise ValueError(message)
    return Segment(_named(name, channel), speaker, *times, " ".join(text.split())), label


def is_rttm(line: str) -> bool:
    """Whether a line is of NIST's RTTM: a type in capitals, recording, channel, start, duration, and `<NA>`."""
    fields = line.split()
    return len(fields) in (9, 10) and bool(re.fullmatch(r"[A-Z][A-Z_/-]+", fields[0])) and "<NA>" in fields[5:]


def _named(name: str, channel: str) -> Channel:
    return unicodedata.normalize("NFC", name), channel


def texts_of(segments: Sequence[Segment]) -> dict[str, str]:
    """Segment id -> text, without those that are not to be scored."""
    return {s.id: s.text for s in segments if s.text is not None}


def texts_of_recordings(segments: Sequence[Segment]) -> dict[str, str]:
    """Recording -> what is said in it, in order of time.

    Raises:
        CorpusError: for recordings of several channels, and segments that are not to be scored: only times tell which
            recognised words belong to them.
    """
    channels: dict[str, set[str]] = {}
    for segment in segments:
        channels.setdefault(segment.channel[0], set()).add(segment.channel[1])
    for name, found in channels.items():
        if len(found) > 1:
            raise CorpusError(f"recording {name!r} has channels {', '.join(sorted(found))}; score it against a .ctm")
    if any(segment.text is None for segment in segments):
        raise CorpusError(
            "the references have segments that are not to be scored; score them against a .ctm with times"
        )
    texts: dict[str, list[str]] = {}
    for segment in segments:
        texts.setdefault(segment.channel[0], []).append(segment.text or "")
    return {name: " ".join(said) for name, said in texts.items()}


def words_in_segments(segments: Sequence[Segment], words: Mapping[Channel, Sequence[CtmWord]]) -> dict[str, str]:
    """Segment id -> the words whose middle lies before its end and not in a segment before; as sclite puts them.

    So words between two segments count as insertions in the second, and those after the last one in the last. Words
    of segments that are not to be scored are left out.

    Raises:
        CorpusError: for words of recordings or channels that have no segment.
    """
    groups: dict[Channel, list[Segment]] = {}
    for segment in segments:
        groups.setdefault(segment.channel, []).append(segment)
    words = _same_channels(groups, words)
    unknown = [" ".join(channel) for channel in words if channel not in groups]
    if unknown:
        raise CorpusError(
            f"{many(len(unknown), 'recording (or channel) has', 'recordings (or channels) have')} words but no "
            f"reference segment: {listed(unknown)}; "
            f"references have {' '.join(next(iter(groups)))!r}"
        )
    texts: dict[str, str] = {}
    for channel, group in groups.items():
        timed, at = words.get(channel, ()), 0
        for segment in group:
            begin = at
            while at < len(timed) and ((timed[at].start + timed[at].end) / 2 < segment.end or segment is group[-1]):
                at += 1
            if segment.text is not None:
                texts[segment.id] = " ".join(word.word for word in timed[begin:at])
    return texts


def _same_channels(groups: Mapping[Channel, object], words: Mapping[Channel, Sequence[CtmWord]]) -> dict:
    """The words under the references' names of channels: `A` is `1`, and where a recording has but one on each side
    its name does not count."""
    of_reference: dict[str, list[str]] = {}
    for name, channel in groups:
        of_reference.setdefault(name, []).append(channel)
    n_channels: dict[str, int] = {}
    for name, _ in words:
        n_channels[name] = n_channels.get(name, 0) + 1
    renamed = {}
    for (name, channel), timed in words.items():
        named = of_reference.get(name, [])
        is_alone = n_channels[name] == 1 and len(named) == 1
        alike = named if is_alone else [c for c in named if channel_number(c) == channel_number(channel)]
        key = (name, channel if channel in named or len(alike) != 1 else alike[0])
        if key in renamed:
            raise CorpusError(f"recording {name!r} has words of channel {channel!r} under two names; need one")
        renamed[key] = timed
    return renamed
