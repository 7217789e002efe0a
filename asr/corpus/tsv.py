"""One table of tab-separated values: a line for each utterance, below a header that names the columns."""

import difflib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import CorpusError
from ..files import write_text
from ..files.tables import BAR, FILES, IDS, SPEAKERS, TEXTS, column, described, rows_of, separator_of
from .channels import CHANNELS
from .lists import Finder, good_lines, nfc, overlaps
from .utterance import Problem, Utterance, check_words, is_name

COLUMNS = ("id", "audio", "text", "speaker", "start", "end", "channel", "features")
_COMMON_VOICE = {"path": "audio", "sentence": "text", "client_id": "speaker"}  # its tables are read as they are
_CLIPS = "clips"  # the folder beside Common Voice's tables that holds the recordings
_TO_TSV = "or make it a table .tsv: tabs between cells, and a first line `id audio text` (and speaker)"
_UNQUOTED = "quotes do not group here: a table without quoting is needed"
logger = logging.getLogger(__name__)


def read_tsv(path: Path, need_text: bool) -> tuple[list[Utterance], list[Problem]]:
    """The usable utterances of `Corpus.from_tsv`, and the problems."""
    problems: list[Problem] = []
    lines = ((number, line) for number, line in good_lines(path, problems) if line.strip())
    number, header = next(lines, (1, ""))
    if problems:
        raise CorpusError(f"{problems[0]} (the header)")
    columns = _columns(f"{path}:{number}", header, need_text)
    finder = Finder(path.parent, path.parent / _CLIPS) if "path" in header.lower() else Finder(path.parent)
    found: list[tuple[str, Utterance]] = []
    for number, line in lines:
        place = f"{path}:{number}"
        try:
            found.append((place, _utterance(_cells(line, columns), finder, need_text)))
        except CorpusError as error:
            quoted = any(cell.strip().startswith('"') for cell in line.split("\t"))
            problems.append(Problem(place, f"{error}; {_UNQUOTED}" if quoted else str(error)))
    return _each_once(found, "id" in columns, need_text, problems)


def read_csv(path: Path, need_text: bool) -> tuple[list[Utterance], list[Problem]]:
    """The usable utterances of a table whose cells are between commas, semicolons, tabs or bars, and the problems.

    The first line names the columns, in any tool's names (asr.files.tables), or it is LJSpeech's metadata.csv.
    Recordings are looked for beside the table, and in `clips`, `wavs` and `wav` there.
    """
    problems: list[Problem] = []
    lines = list(good_lines(path, problems))
    header = next((line for _, line in lines if line.strip()), "")
    separator = separator_of(header)
    try:
        rows = list(rows_of(lines, separator))
    except CorpusError as error:
        raise CorpusError(f"{path}: {error}; {_TO_TSV}") from None
    columns = _foreign_columns(path, rows[0].cells if rows else [], separator, need_text)
    is_named = column(rows[0].cells, (*FILES, *TEXTS)) is not None
    finder = Finder(path.parent, *(path.parent / name for name in (_CLIPS, "wavs", "wav")))
    found: list[tuple[str, Utterance]] = []
    for row in rows[1:] if is_named else rows:
        place = f"{path}:{row.number}"
        try:
            if len(row.cells) != len(columns):
                raise CorpusError(f"has {len(row.cells)} cells, the first line {len(columns)}; {_TO_TSV}")
            cells = {name: cell for name, cell in zip(columns, row.cells, strict=True) if name}
            if not is_named:
                cells["audio"] = cells["id"] if Path(cells["id"]).suffix else f"{cells['id']}.wav"
            found.append((place, _utterance(cells, finder, need_text)))
        except CorpusError as error:
            problems.append(Problem(place, str(error)))
    return _each_once(found, "id" in columns, need_text, problems)


def _foreign_columns(path: Path, header: Sequence[str], separator: str, need_text: bool) -> list[str]:
    """What each column of another tool's table holds, by our names; "" for one that is not used."""
    if separator == BAR and column(header, (*FILES, *TEXTS)) is None and len(header) in (2, 3):
        return ["id", *[""] * (len(header) - 2), "text"]
    columns = [""] * len(header)
    names = {"audio": FILES, "text": TEXTS, "speaker": SPEAKERS, "id": IDS, "start": ("start",), "end": ("end",)}
    for ours, theirs in names.items():
        if (place := column(header, theirs)) is not None:
            columns[place] = ours
    if "audio" not in columns or (need_text and "text" not in columns):
        found = ", ".join(map(repr, header)) or "nothing"
        raise CorpusError(
            f"{path}: a table with {described(separator)} between its cells, in whose first line ({found:.200}) no "
            f"column is named as the audio files (path, file, audio) and one as the text (sentence, text); {_TO_TSV}"
        )
    return columns


def _each_once(
    found: Sequence[tuple[str, Utterance]], has_ids: bool, need_text: bool, problems: list[Problem]
) -> tuple[list[Utterance], list[Problem]]:
    """The utterances whose id is given once; the others become problems, of which each has its place."""
    found = found if has_ids else _named_by_part(found)
    rows: dict[str, list[tuple[str, Utterance]]] = {}
    for place, utterance in found:
        rows.setdefault(utterance.id, []).append((place, utterance))
    for name, same in rows.items():
        for place, _ in same[1:]:
            message = f"id {name!r} was given before, in line {same[0][0].rsplit(':', 1)[1]}; neither is used"
            problems.append(Problem(place, f"{message}; change one{'' if has_ids else ' (add a column id)'}"))
    listed = [same[0] for same in rows.values() if len(same) == 1]
    return [u for _, u in listed], problems + (overlaps(listed) if need_text else [])


def _named_by_part(found: Sequence[tuple[str, Utterance]]) -> list[tuple[str, Utterance]]:
    """The utterances, of which several parts of one recording are named by channel and times: a-1-0001500-0002000."""
    counts = Counter(utterance.id for _, utterance in found)

    def named(u: Utterance) -> Utterance:
        if counts[u.id] == 1:
            return u
        name = u.id if u.channel is None else f"{u.id}-{u.channel + 1}"
        if u.start is not None or u.end is not None:
            end = "end" if u.end is None else f"{round(1000 * u.end):07d}"
            name = f"{name}-{round(1000 * (u.start or 0)):07d}-{end}"
        return replace(u, id=name)

    return [(place, named(utterance)) for place, utterance in found]


def _columns(place: str, header: str, need_text: bool) -> list[str]:
    """What each column holds, by our names; "" for one that is not used. Raises CorpusError for an unusable header."""
    names = [name.strip().lower() for name in header.rstrip().split("\t")]
    known = (*COLUMNS, *_COMMON_VOICE)
    for name in names:
        near = [n for n in difflib.get_close_matches(name, known, n=1, cutoff=0.75) if n not in names]
        if name not in known and near and len(name) > 3 and '"' not in name:  # not `idx`, which may count lines
            raise CorpusError(f"{place}: column {name!r} is not known; did you mean {near[0]!r}? Mend the header")
    columns = [_COMMON_VOICE.get(name, name) if _COMMON_VOICE.get(name) not in names else "" for name in names]
    if twice := next((name for name in COLUMNS if columns.count(name) > 1), None):
        raise CorpusError(f"{place}: the header has column {twice!r} twice; remove or rename one")
    needed = [] if "audio" in columns or "features" in columns else ["audio (or features)"]
    needed += ["text"] if need_text and "text" not in columns else []
    if needed:
        hint = "; cells are separated by tabs, not commas" if "," in header and "\t" not in header else ""
        hint += f"; {_UNQUOTED}" if '"' in header else ""
        found = ", ".join(map(repr, names)) if header else "an empty file"
        raise CorpusError(
            f"{place}: no column {' and none '.join(needed)} in the header (found {found}); the first line names the "
            f"columns, of {', '.join(COLUMNS)}{hint}"
        )
    unused = [name for name, column in zip(names, columns, strict=True) if column not in COLUMNS]
    if unused:
        logger.info("%s: columns that are not used: %s", place, ", ".join(map(repr, unused)))
    return columns


def _cells(line: str, columns: Sequence[str]) -> dict[str, str]:
    """The cells of a line by their columns' names; empty ones behind the last column are dropped."""
    cells = [cell.strip() for cell in line.split("\t")]
    while len(cells) > len(columns) and not cells[-1]:
        cells.pop()
    if len(cells) != len(columns):
        raise CorpusError(f"has {len(cells)} cells, the header {len(columns)} columns; separate them by single tabs")
    return dict(zip(columns, cells, strict=True))


def _utterance(cells: dict[str, str], finder: Finder, need_text: bool) -> Utterance:
    """The utterance of one line. Raises CorpusError with what is wrong, without the place."""
    given, features = cells.get("audio", ""), cells.get("features", "")
    if not given and not features:
        raise CorpusError("names neither audio nor features")
    stem = "_".join(nfc(Path((given or features.split(".ark:")[0]).replace("\\", "/")).stem).split())
    name = cells.get("id", stem)
    if not is_name(name):
        raise CorpusError(f"id {name!r} is empty, has white space or is not Unicode; need a name without blanks")
    speaker = "_".join(cells["speaker"].split()) if "speaker" in cells else (stem if given else name)
    if not speaker:
        raise CorpusError(f"utterance {name!r} has no speaker; write one, or leave the column out")
    if need_text and not cells["text"]:
        raise CorpusError(f"the transcript of {name!r} is blank; write it, or remove the line")
    if need_text:
        check_words(cells["text"], name)
    start, end = (_seconds(cells.get(column, ""), column) for column in ("start", "end"))
    try:
        audio = finder.audio(given, name) if given else None
        place = finder.features(features, name) if features else None
        if audio is not None:
            start, end = finder.part(audio, start, end)
    except CorpusError as error:
        raise CorpusError(f"utterance {name!r}: {error}") from None
    channel = _channel(cells.get("channel", ""))
    return Utterance(name, speaker, audio, cells["text"] if need_text else None, start, end, place, channel)


def _channel(cell: str) -> int | None:
    """A channel from 0, of a cell that counts them from 1, or says A or B; None for an empty one."""
    if cell in CHANNELS:
        return CHANNELS[cell]
    if cell and not (cell.isascii() and cell.isdigit() and int(cell) > 0):
        raise CorpusError(f"channel {cell!r} is not the number of one, from 1, nor A or B")
    return int(cell) - 1 if cell else None


def _seconds(cell: str, column: str) -> float | None:
    """A time, or None for an empty cell."""
    try:
        return float(cell) if cell else None
    except ValueError:
        raise CorpusError(f"{column} {cell!r} is not a number of seconds, as 1.25") from None


def write_tsv(utterances: Sequence[Utterance], path: Path) -> None:
    """Write `Corpus.to_tsv`'s file."""
    folder = path.parent.absolute()
    rows = [
        {
            "id": u.id,
            "audio": _relative(u.audio.absolute(), folder, u.id) if u.audio is not None else "",
            "text": u.text or "",
            "speaker": u.speaker,
            "start": "" if u.start is None else repr(u.start),
            "end": "" if u.end is None else repr(u.end),
            "channel": "" if u.channel is None else str(u.channel + 1),
            "features": _relative(Path(u.features).absolute(), folder, u.id) if u.features is not None else "",
        }
        for u in utterances
    ]
    columns = [c for c in COLUMNS if c in ("id", "speaker") or any(row[c] for row in rows)]
    lines = ["\t".join(columns), *("\t".join(row[c] for c in columns) for row in rows)]
    write_text(path, "".join(f"{line}\n" for line in lines))


def _relative(path: Path, folder: Path, name: str) -> str:
    """A path as a cell: from the table's folder where it lies below it, so that both can be moved together."""
    text = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
    if text != text.strip() or not text.isprintable() or "\ufeff" in text:
        raise CorpusError(f"utterance {name!r}: a table cannot hold the path {text!r}; rename the file")
    return text
