"""Tables of transcripts as other tools write them: cells between tabs, commas, semicolons or bars.

What a column holds is told by its name in the first line (`path`, `sentence`, `wav_filename` ...). Only LJSpeech's
metadata.csv (`id|text|text with numbers in words`) has none.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..errors import CorpusError

IDS = ("id", "utt", "utt_id", "uttid", "utterance", "utterance_id", "key", "segment_id", "segment")
FILES: tuple[str, ...] = (
    "path",
    "audio",
    "file",
    "filename",
    "file_name",
    "wav",
    "wav_filename",
    "wav_path",
    "audio_path",
)
FILES += ("audio_filepath", "audio_file", "recording")
TEXTS: tuple[str, ...] = (
    "text",
    "sentence",
    "transcript",
    "transcription",
    "words",
    "normalized_text",
    "hypothesis",
    "hyp",
)
TEXTS += ("reference", "ref", "pred_text", "prediction", "label")
SPEAKERS = ("speaker", "client_id", "speaker_id", "spk", "speaker_name", "user_id")

BAR = "|"
_NAMED = {"\t": "tabs", ",": "commas", ";": "semicolons", BAR: "bars (|)"}


class Row(NamedTuple):
    """A line of a table: its number in the file (that of its last line, where quotes hold line ends), and cells."""

    number: int
    cells: list[str]


def separator_of(header: str) -> str:
    """What separates the cells of a table: tabs or bars, which texts do not hold, or the sign that is more in its first
    line, commas or semicolons."""
    return next((sign for sign in ("\t", BAR) if sign in header), max(",;", key=header.count))


def rows_of(lines: Iterable[tuple[int, str]], separator: str) -> Iterator[Row]:
    """The rows of a table's numbered lines; empty ones are passed over.

    Cells between commas or semicolons may be quoted, as spreadsheets do; between tabs and bars quotes are letters.

    Raises:
        CorpusError: without the file, for quotes that do not end.
    """
    if separator in ("\t", BAR):
        for number, line in lines:
            if line.strip():
                yield Row(number, [cell.strip() for cell in line.split(separator)])
        return
    last = 0

    def texts() -> Iterator[str]:
        nonlocal last
        for last, line in lines:  # noqa: B007 - the number of the line that the reader is at
            yield line + "\n"

    try:
        for cells in csv.reader(texts(), delimiter=separator, strict=True, skipinitialspace=True):
            if any(cell.strip() for cell in cells):
                yield Row(last, [" ".join(cell.split()) for cell in cells])
    except csv.Error as error:
        raise CorpusError(f"line {last}: quotes do not fit together ({error})") from None


def column(header: Sequence[str], names: Sequence[str]) -> int | None:
    """Where the first of some names stands in a header, whatever its case; None where none does."""
    folded = [cell.strip().lower() for cell in header]
    return next((folded.index(name) for name in names if name in folded), None)


def described(separator: str) -> str:
    """The separator in words, for messages."""
    return _NAMED[separator]
