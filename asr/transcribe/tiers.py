"""Words as a tier of intervals: Praat's TextGrid and ELAN's annotation document."""

import html
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

from ..model.transcript import TimedWord

_TYPES = {".wav": "audio/x-wav", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".m4a": "audio/mp4"}  # as ELAN names them


def textgrid(words: Sequence[TimedWord], seconds: float) -> str:
    """A TextGrid with a tier `words`, whose intervals fill the recording; where nothing is said they are empty.

    Args:
        seconds: of the whole recording.

    Ref: Praat's manual, "TextGrid file formats".
    """
    intervals, at = list[tuple[float, float, str]](), 0.0
    end = max([seconds, *(word.end for word in words)])
    for word in words:
        start = max(word.start, at)  # intervals of a tier never overlap
        if start > at:
            intervals.append((at, start, ""))
        if word.end > start:
            intervals.append((start, word.end, word.word))
            at = word.end
    if end > at or not intervals:
        intervals.append((at, end, ""))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {round(end, 4)}"]
    lines += ["tiers? <exists>", "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"']
    lines += ['        name = "words"', "        xmin = 0", f"        xmax = {round(end, 4)}"]
    lines += [f"        intervals: size = {len(intervals)}"]
    for number, (start, stop, text) in enumerate(intervals, 1):
        quoted = text.replace('"', '""')
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {round(start, 4)}",
            f"            xmax = {round(stop, 4)}",
        ]
        lines += [f'            text = "{quoted}"']
    return "\n".join(lines) + "\n"


def eaf(
    words: Sequence[TimedWord], *, media: Path | None = None, folder: Path | None = None, origin: float = 0.0
) -> str:
    """An annotation document of ELAN with a tier `words`.

    Args:
        media: the recording; its place is given relative to `folder`, so that both can be moved together.
        folder: of the document; None: the current one.
        origin: s, where in the media the times begin.

    Ref: the schema EAFv3.0 of the MPI for Psycholinguistics.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines += [
        f'<ANNOTATION_DOCUMENT AUTHOR="" DATE="{now}" FORMAT="3.0" '
        'VERSION="3.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">'
    ]
    lines += ['    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">', *_media(media, folder, origin), "    </HEADER>"]
    times = [round(1000 * time) for word in words for time in (word.start, word.end)]
    lines.append("    <TIME_ORDER>")
    lines += [f'        <TIME_SLOT TIME_SLOT_ID="ts{i}" TIME_VALUE="{time}"/>' for i, time in enumerate(times, 1)]
    lines += ["    </TIME_ORDER>", '    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="words">']
    for i, word in enumerate(words, 1):
        ends = f'TIME_SLOT_REF1="ts{2 * i - 1}" TIME_SLOT_REF2="ts{2 * i}"'
        value = html.escape(word.word, quote=False)
        lines += [
            "        <ANNOTATION>",
            f'            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a{i}" {ends}>',
            f"                <ANNOTATION_VALUE>{value}</ANNOTATION_VALUE>",
            "            </ALIGNABLE_ANNOTATION>",
            "        </ANNOTATION>",
        ]
    lines.append("    </TIER>")
    lines.append(
        '    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>'
    )
    return "\n".join([*lines, "</ANNOTATION_DOCUMENT>"]) + "\n"


def _media(media: Path | None, folder: Path | None, origin: float) -> list[str]:
    if media is None:
        return []
    try:
        relative = os.path.relpath(media, folder or Path())
    except ValueError:  # on another drive of Windows
        relative = str(media.absolute())
    url = html.escape(quote(relative.replace(os.sep, "/"), errors="surrogateescape"))
    place = url if url.startswith("../") else f"./{url}"
    begins = f' TIME_ORIGIN="{round(1000 * origin)}"' if origin else ""
    kind = _TYPES.get(media.suffix.lower(), "unknown")
    return [f'        <MEDIA_DESCRIPTOR MEDIA_URL="{place}" RELATIVE_MEDIA_URL="{place}" MIME_TYPE="{kind}"{begins}/>']
