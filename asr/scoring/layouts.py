"""Layouts of transcripts that are not scored: recognised by their content, so that the error names them."""

import json
import re
from collections.abc import Sequence

from ..files.tables import BAR, FILES, IDS
from .stm import is_rttm

Lines = Sequence[tuple[int, str]]

_NUMBER = re.compile(r"\d+\.\d+")

_BEGINS = {
    "File type": "a TextGrid of Praat", '"ooTextFile': "a TextGrid of Praat", "WEBVTT": "WebVTT subtitles",
    "<?xml": "XML", "<!DOCTYPE": "HTML", "<html": "HTML", "<system": "SGML", "[{": "one JSON array, not JSON lines",
    "@UTF8": "CHAT", "@Begin": "CHAT", "{\\rtf": "RTF", "PK\x03\x04": "a document or archive", "%PDF": "PDF",
}  # fmt: skip
_SUFFIXES = (".srt", ".vtt", ".textgrid", ".eaf", ".trs", ".xml", ".html", ".rttm", ".uem", ".lab", ".phn", ".wrd")
_FIELDS = (  # what every line of a file is; and the name of that
    (r"\d+ +\d+ +[^\d\s].*", "labels with their times (HTK, TIMIT)"),
    (r"(\d+\.\d+\s+\d+(\.\d+)?|\d+\s+\d+\.\d+)(\s.*)?", "labels with their times (Audacity)"),
    (r"\[?\d+:\d\d(:\d\d)?([.,]\d+)?\]?\s.*", "lines that begin with times, not ids"),
    (r"(\*[A-Za-z0-9]{1,7}:|%[a-z]{3}:|@\w).*", "CHAT"),
    (r"\S+:\s+(ref|hyp)=\[.*\]", "icefall's recogs, which hold references (ref=) and hypotheses (hyp=)"),
    (
        r"(?=.*\d\.\d)\S+ +\S+ +\d+(\.\d+)? +\d+(\.\d+)?",
        "stretches of recordings without words (Kaldi's segments, NIST's UEM)",
    ),
    (r"\S+ +(ref|hyp|op|#csid) .*", "alignments, as Kaldi's per_utt has them"),
)


def other_layout(first: str, suffix: str, lines: Lines) -> str | None:
    """The complaint about a file of a layout that is not read, or None."""
    what = next((name for begin, name in _BEGINS.items() if first.lower().startswith(begin.lower())), None)
    body = [line for _, line in lines if not line.startswith(";;")]
    if what is None and len(lines) > 1 and " --> " in lines[1][1]:
        what = "subtitles (SRT)"
    if what is None and "\0" in first:
        what = "no text: it has bytes of value 0"
    if what is None and body:
        what = next((name for form, name in _FIELDS if all(re.fullmatch(form, line.strip()) for line in body)), None)
        what = "NIST's RTTM, which tells who speaks when" if all(map(is_rttm, body)) else what
    if what is None and suffix in (".json", ".jsonl"):
        what = _other_json(first)
    what = what or _of_both_sides(body) or _of_bars(body, suffix)
    if what is None and suffix in _SUFFIXES:
        what = f"a file {suffix}"
    if what:
        return f"{what}; need lines of an utterance id and its words, a .trn, .stm, .ctm, .csv, .tsv or JSON lines"
    for name, places in (("stm", (3, 4)), ("ctm", (2, 3))):
        if all(_has_times(line.split(), places, name) for line in body):
            return f"looks like NIST's {name}; give the file the ending .{name} (what is piped, keep in such a file)"
    return None


def _other_json(first: str) -> str | None:
    """What a JSON file is, of its first line, if it is not of JSON lines with ids."""
    if not is_object(first):
        return "one JSON array, not JSON lines" if first.startswith("[") else "JSON over several lines"
    of = {"segments": "Whisper's JSON", "result": "Vosk's JSON"}
    has_id = any(key in json.loads(first) for key in (*IDS, *FILES))
    return (
        None if has_id else next((f"{what}, which has no id" for key, what in of.items() if f'"{key}"' in first), None)
    )


def _has_times(fields: Sequence[str], places: Sequence[int], name: str) -> bool:
    """Whether the fields at some places are times; a ctm has five or six fields."""
    return len(fields) > max(places) + (name == "ctm") and all(_NUMBER.fullmatch(fields[i]) for i in places)


def is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


_SIDES = (  # how lines of references and of hypotheses begin in files that hold both
    (r"ref\s*:", r"hyp\s*:", "alignments, with lines REF: and HYP: of both sides"),
    (r"t-\d+\t", r"[hd]-\d+\t", "fairseq's output, of references (T-) and hypotheses (H-, D-)"),
)


def _of_both_sides(body: Sequence[str]) -> str | None:
    """The name of files that hold both references and hypotheses, in lines of their own; or None."""
    for reference, hypothesis, what in _SIDES:
        if all(any(re.match(begin, line.strip(), re.IGNORECASE) for line in body) for begin in (reference, hypothesis)):
            return what
    return None


def _of_bars(body: Sequence[str], suffix: str) -> str | None:
    """What is wrong with a table whose cells bars part, where no line names them; None for one that can be read.

    Of three cells the last is read, as LJSpeech has it: there it is the text again, with its numbers in words.
    """
    rows = [line.split(BAR) for line in body]
    if not is_barred(body) or len(rows[0]) == 2 or set(map(str.lower, rows[0])) & {*IDS, *FILES}:
        return None
    n_words = [sum(len(row[k].split()) for row in rows) for k in range(len(rows[0]))]
    if len(rows[0]) == 3 and n_words[2] >= n_words[1] / 2 and (suffix == ".csv" or n_words[2] > len(rows)):
        return None
    return f"a table of {len(rows[0])} cells between bars, of which no line names the text"


def is_barred(lines: Sequence[str]) -> bool:
    """Whether all lines have equally many cells between bars, of which the first, an id or a file, has no blanks."""
    rows = [line.split(BAR) for line in lines]
    counts = {len(row) for row in rows}
    return len(counts) == 1 and counts != {1} and all(len(row[0].split()) == 1 for row in rows)
