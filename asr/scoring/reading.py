"""Transcripts to be scored, in the layouts of every tool: Kaldi's text, tables, NIST's trn, stm and ctm, HTK's MLF,
JSON lines, or plain lines. What is of another layout is refused by its name: a wrong rate would be worse.
"""

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..corpus.lists import AUDIO_SUFFIXES
from ..errors import CorpusError, first_of
from ..files import kind_of, numbered_lines
from ..files.tables import BAR, FILES, IDS, TEXTS, column, described, rows_of, separator_of
from .alternatives import has_notation, wrong_notation
from .edges import CtmWord, read_ctm, read_ctm_channels, read_ctm_pair
from .layouts import Lines, is_barred, is_object, other_layout
from .stm import read_stm, texts_of, texts_of_recordings, words_in_segments

_TRN = re.compile(r"(?P<text>.*)\((?P<id>[^()\s]+)(?: -?\d+(?:\.\d+)?)?\)\s*")  # Sphinx adds a score
_ID_AFTER_TAB = re.compile(r"\t\([^()\s]+\)\s*$")  # how ESPnet writes .trn
_PIECE = re.compile(r"[^\t]+\t\d+\.\d\d\t\d+\.\d\d\t[^\t]*")
_COMMENTS = ("#", ";;", ";;;", "//", "%")  # what comments begin with elsewhere; no id is one
_MLF_LABEL = re.compile(r'"(?:\*/|.*/)?(?P<id>[^/"]+?)(?:\.[^./"]*)?"')


class _Item(NamedTuple):
    """An utterance as it stands in a file."""

    number: int
    id: str
    text: str


def read_transcripts(path: str | os.PathLike, *, ids: bool | None = None) -> dict[str, str]:
    """Utterance id -> text, from a file of one of these layouts, which its name or its content tells:

    Kaldi's text (`id words`); tables with two columns (`id<TAB>words`), or with names in the first line (.tsv, .csv);
    LJSpeech's metadata.csv; NIST's .trn (`words (id)`), .stm (an id is made of recording, channel and times) and .ctm
    (words in order of time, see `read_ctm`); HTK's master label file; JSON lines with an id, or an audio file, and a
    text; all that `asr transcribe` writes but subtitles, the pieces of a recording joined. Or from a folder: the `text`
    of a Kaldi data directory, or the transcripts of another corpus.

    Ids are brought to Unicode's composed form (NFC), as the words are in scoring: file systems differ in it.
    NIST's notation of alternatives stays as it is, in every layout; see asr.scoring.alternatives.

    Args:
        ids: whether the first words of lines are ids where nothing else separates them from the text; False: a line is
            an utterance, whose id is its number. None: they are, if they look like ids: most are not mere words.

    Raises:
        CorpusError: with file:line for ids given twice and lines that cannot be read, for a layout that is none of
            these, or if there is nothing in the file.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if kind_of(file) == "folder":
        if kind_of(file / "text") != "file":
            return _of_corpus(file)
        file, suffix = file / "text", ""
    if ids is False and suffix in (".ctm", ".stm"):
        raise _has_ids(file, f"a file {suffix}")
    if suffix == ".ctm":
        return _texts(read_ctm(file))
    if suffix == ".stm":
        return texts_of(read_stm(file))
    lines = _lines(file)
    if ids is False:
        _check_has_no_ids(file, [(n, line) for n, line in lines if line.strip()])
        return {f"line {number}": " ".join(_without_ends(line)) for number, line in lines}
    return _checked(file, _reader(file, [(n, line) for n, line in lines if line.strip()], ids))


def read_pair(
    reference: str | os.PathLike, hypothesis: str | os.PathLike, *, ids: bool | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """References and hypotheses, utterance id -> text; see `read_transcripts`.

    Words of a .ctm are put into the segments of a .stm by their times, as sclite does. Where hypotheses are of whole
    recordings, the segments of a .stm are joined.

    Raises:
        CorpusError: also for files that do not belong together.
    """
    is_stm, is_ctm = Path(reference).suffix.lower() == ".stm", Path(hypothesis).suffix.lower() == ".ctm"
    if is_stm and is_ctm:
        segments = read_stm(reference)
        return texts_of(segments), words_in_segments(segments, read_ctm_channels(hypothesis))
    if is_ctm and ids is not False and Path(reference).suffix.lower() == ".ctm":
        references, hypotheses = map(_texts, read_ctm_pair(reference, hypothesis))
        return references, hypotheses
    references, hypotheses = _read_both(reference, hypothesis, ids)
    if several := next((name for name, text in hypotheses.items() if "{" in text and has_notation(text)), None):
        raise CorpusError(f"{hypothesis}: {several!r} has alternatives, {{ a / b }}; only references may have them")
    if ids is False and len(references) != len(hypotheses):
        raise CorpusError(
            f"{reference} has {len(references)} lines, {hypothesis} {len(hypotheses)}; without ids line belongs to line"
        )
    if is_stm and not set(references) & set(hypotheses):
        segments = read_stm(reference)
        if {s.channel[0] for s in segments} & set(hypotheses):
            return texts_of_recordings(segments), hypotheses
    return references, hypotheses


def _of_corpus(folder: Path) -> dict[str, str]:
    """The transcripts of a corpus, of the utterances that can be used."""
    from ..corpus import Corpus

    return {unicodedata.normalize("NFC", name): text for name, text in Corpus.read(folder).transcripts().items()}


def _texts(words: Mapping[str, Sequence[CtmWord]]) -> dict[str, str]:
    """Id -> what is said there."""
    return {name: " ".join(timed.word for timed in timed_words) for name, timed_words in words.items()}


class _IdsInDoubt(CorpusError):
    """The first words of a file's lines may be ids, or may not."""


def _read_both(
    reference: str | os.PathLike, hypothesis: str | os.PathLike, ids: bool | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Both files; where the ids of one are in doubt, the other one's tell: they are ids if those are among them."""
    both: list[dict[str, str]] = []
    doubts: list[_IdsInDoubt] = []
    for path in (reference, hypothesis):
        try:
            both.append(read_transcripts(path, ids=ids))
        except _IdsInDoubt as error:
            doubts.append(error)
            both.append(read_transcripts(path, ids=True))
    references, hypotheses = both
    if len(doubts) == 2 or (doubts and not set(hypotheses) <= set(references)):
        raise doubts[0]
    return references, hypotheses


def _lines(file: Path) -> list[tuple[int, str]]:
    """The numbered lines of a file. Raises CorpusError."""
    try:
        lines = list(numbered_lines(file))
    except OSError as error:
        raise CorpusError(f"{file}: cannot be read: {error.strerror}") from None
    problems = [f"{file}:{n}: not valid UTF-8; save the file as UTF-8" for n, line in lines if line is None]
    _raise(problems)
    return [(number, line or "") for number, line in lines]


def _reader(file: Path, lines: Lines, ids: bool | None) -> Iterable[_Item]:
    """The utterances of a file, by what it looks like."""
    if not lines:
        return ()
    first, suffix = lines[0][1].lstrip(), file.suffix.lower()
    if all(_PIECE.fullmatch(line) for _, line in lines):
        return _of_pieces(lines)
    is_trn = ids is None and _is_trn(lines)  # whose words may be numbers, as if they were times
    if not is_trn and (message := other_layout(first, suffix, lines)):
        raise CorpusError(f"{file}: {message}")
    if first.startswith("#!MLF!#"):
        return _of_mlf(file, lines)
    if first.startswith("{") and is_object(first):
        return _of_json(file, lines)
    if suffix == ".trn" or is_trn:
        return _of_trn(file, lines)
    separator = separator_of(lines[0][1])
    if is_barred([line for _, line in lines]):
        return _of_table(file, lines, BAR)
    if suffix == ".csv" or (separator != "\t" and _has_names(lines[0][1].split(separator))):
        return _of_table(file, lines, separator)
    if all("\t" in line for _, line in lines):
        return _of_table(file, lines, "\t") if _has_names(lines[0][1].split("\t")) else _of_two_columns(file, lines)
    _raise([f"{file}:{n}: a comment? Remove it" for n, line in lines if _first_word(line)[0] in _COMMENTS])
    if ids is None:
        _check_ids_look_so(file, lines)
    return [_Item(number, *_first_word(line)) for number, line in lines]


def _is_trn(lines: Lines) -> bool:
    found = [_TRN.fullmatch(line) for _, line in lines]
    names = [match["id"] for match in found if match]
    if not len(names) == len(lines) == len(set(names)) or _are_mere_words(names):
        return False
    return all("\t" not in line or _ID_AFTER_TAB.search(line) for _, line in lines)


def _of_trn(file: Path, lines: Lines) -> Iterator[_Item]:
    """NIST's transcripts: words, and the id in parentheses at the end."""
    problems = []
    for number, line in lines:
        if line.startswith(";;"):
            continue
        match = _TRN.fullmatch(line)
        if match is None:
            problems.append(f"{file}:{number}: need words and an id in parentheses: `words (id)`")
        else:
            yield _Item(number, match["id"], match["text"])
    _raise(problems)


def _has_names(header: Sequence[str]) -> bool:
    return column(header, TEXTS) is not None and column(header, (*IDS, *FILES)) is not None


def _of_pieces(lines: Lines) -> Iterator[_Item]:
    """`id<TAB>start<TAB>end<TAB>words`, as `asr transcribe --format lines` writes the pieces of a recording."""
    first, said = dict[str, int](), dict[str, list[str]]()
    for number, line in lines:
        name, _, _, text = line.split("\t")
        first.setdefault(name, number)
        said.setdefault(name, []).append(text)
    return (_Item(first[name], name, " ".join(texts)) for name, texts in said.items())


def _of_two_columns(file: Path, lines: Lines) -> Iterator[_Item]:
    """`id<TAB>words`; a second tab would be a third column, of which nobody knows what it is."""
    problems = []
    for number, line in lines:
        name, _, text = line.partition("\t")
        if "\t" in text.strip():
            problems.append(f"{file}:{number}: {text.count(chr(9)) + 2} columns and no line that names id and text")
        yield _Item(number, name, text)
    _raise(problems)


def _of_table(file: Path, lines: Lines, separator: str) -> Iterator[_Item]:
    """A table with names of its columns, or LJSpeech's."""
    rows = rows_of(lines, separator)
    try:
        header = next(rows)
        if separator == BAR and not _has_names(header.cells) and len(header.cells) in (2, 3):
            for row in (header, *rows):
                name = _stem(row.cells[0]) if row.cells[0].lower().endswith(AUDIO_SUFFIXES) else row.cells[0]
                yield _Item(row.number, name, row.cells[-1])
            return
        yield from _of_named(file, header.cells, rows, separator)
    except CorpusError as error:
        raise CorpusError(str(error) if str(file) in str(error) else f"{file}: {error}") from None


def _of_named(file: Path, header: Sequence[str], rows: Iterable, separator: str) -> Iterator[_Item]:
    """The utterances of a table whose columns have names."""
    texts = [name for name in header if name.strip().lower() in TEXTS]
    named, path = column(header, IDS), column(header, FILES)
    if len(texts) != 1 or (named is None and path is None):
        found = ", ".join(map(repr, header))
        what = f"more than one column of text: {', '.join(texts)}" if len(texts) > 1 else "no columns of ids and text"
        raise CorpusError(
            f"{file}: a table with {described(separator)} between its cells and {what} (the first line: {found:.200}); "
            "name one id and one text"
        )
    text = list(header).index(texts[0])
    for row in rows:
        if len(row.cells) != len(header):
            raise CorpusError(f"{file}:{row.number}: {len(row.cells)} cells, but the first line has {len(header)}")
        name = row.cells[named] if named is not None else _stem(row.cells[path or 0])
        yield _Item(row.number, name, row.cells[text])


def _of_json(file: Path, lines: Lines) -> Iterator[_Item]:
    """JSON objects, one a line, with an id or an audio file, and one text."""
    problems = []
    for number, line in lines:
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            item = None
        if not isinstance(item, dict):
            problems.append(f"{file}:{number}: no JSON object")
            continue
        name = next((str(item[key]) for key in IDS if _is_name(item.get(key))), None)
        if name is None:
            path = next((item[key] for key in FILES if isinstance(item.get(key), str)), None)
            name = None if path is None else _stem(path)
        texts = [key for key in TEXTS if isinstance(item.get(key), str)]
        if name is None or len(texts) != 1:
            what = f"more than one text: {', '.join(texts)}" if len(texts) > 1 else "no id or no text"
            problems.append(f"{file}:{number}: an object with {what}; need one 'id' (or audio file) and one 'text'")
            continue
        yield _Item(number, name, item[texts[0]])
    _raise(problems)


def _is_name(value: object) -> bool:
    """Whether a value of JSON is an id: a text, or a whole number."""
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def _stem(path: str) -> str:
    return Path(path.replace("\\", "/")).stem


def _of_mlf(file: Path, lines: Lines) -> Iterator[_Item]:
    """HTK's master label file: a name in quotes, labels with or without times, and a line with a dot."""
    name, begin, words = "", 0, list[str]()
    for number, line in lines[1:]:
        if not name:
            match = _MLF_LABEL.fullmatch(line.strip())
            if match is None:
                raise CorpusError(f'{file}:{number}: need the name of a label file, as "*/NAME.lab"')
            name, begin, words = match["id"], number, []
        elif line.strip() == ".":
            yield _Item(begin, name, " ".join(words))
            name = ""
        elif line.strip() == "///":
            raise CorpusError(f"{file}:{number}: alternatives (///), of which the scoring here would have to choose")
        else:
            fields = line.split()
            has_times = len(fields) > 2 and fields[0].isdecimal() and fields[1].isdecimal()
            words.append(fields[2 if has_times else 0])
    if name:
        raise CorpusError(f"{file}:{begin}: the labels of {name!r} do not end with a line of one dot; is it cut short?")


def _check_ids_look_so(file: Path, lines: Lines) -> None:
    """Raise CorpusError where most first words are mere words: then lines may have no ids at all."""
    names = [_first_word(line)[0] for _, line in lines]
    if _are_mere_words(names):
        raise _IdsInDoubt(
            f"{file}: are the first words of its lines ids? They look like words ({', '.join(map(repr, names[:3]))}); "
            "say --ids if they are ids, --no-ids if a line is an utterance without one, or put a tab after each id"
        )


def _check_has_no_ids(file: Path, lines: Lines) -> None:
    """Raise CorpusError for a file whose lines have more than words, so that none of them is an utterance as it is."""
    if not lines:
        return
    first = lines[0][1].lstrip()
    if message := other_layout(first, "", lines):  # a name may end in anything here
        raise CorpusError(f"{file}: {message}")
    for is_so, what in (
        (first.startswith("#!MLF!#"), "HTK's label file"),
        (first.startswith("{") and is_object(first), "JSON lines"),
        (file.suffix.lower() == ".trn" or _is_trn(lines), "NIST's .trn"),
        (_has_names(lines[0][1].split(separator_of(lines[0][1]))), "a table with names of its columns"),
        (is_barred([line for _, line in lines]), "a table with bars between its cells"),
        (all("\t" in line for _, line in lines), "a table with tabs between its cells"),
    ):
        if is_so:
            raise _has_ids(file, what)


def seem_to_have_ids(texts: Iterable[str]) -> bool:
    """Whether each of some texts begins with a name that is no word, has a digit, and is in no other text."""
    names = [_first_word(text)[0] for text in texts if text]
    is_name = [not name.isdecimal() and re.search(r"\d", name) is not None for name in names]
    return bool(names) and all(is_name) and len(set(names)) == len(names)


def _has_ids(file: Path, what: str) -> CorpusError:
    return CorpusError(f"{file}: {what} has ids; leave --no-ids out, or give lines of nothing but words")


def _are_mere_words(names: Sequence[str]) -> bool:
    """Whether most of some names have letters alone; ids of utterances have digits or signs."""
    return 2 * sum(name.replace("'", "").isalpha() for name in names) > len(names)


def _first_word(line: str) -> tuple[str, str]:
    name, *rest = line.split(maxsplit=1)
    return name, rest[0] if rest else ""


def _checked(file: Path, items: Iterable[_Item]) -> dict[str, str]:
    """Id -> text. Raises CorpusError for ids that are not there, or there twice."""
    texts: dict[str, str] = {}
    line_of: dict[str, int] = {}
    problems = []
    for number, given, text in items:
        name = unicodedata.normalize("NFC", given.strip())
        if not name:
            problems.append(f"{file}:{number}: no utterance id before the tab")
        elif name in texts:
            problems.append(f"{file}:{number}: id {name!r} was given before, in line {line_of[name]}; remove one")
        elif message := wrong_notation(text):
            problems.append(f"{file}:{number}: {message}")
        else:
            texts[name], line_of[name] = " ".join(_without_ends(text)), number
    _raise(problems)
    if not texts:
        raise CorpusError(f"{file}: holds no transcripts; expected lines of an utterance id and its words")
    return texts


def _without_ends(text: str) -> list[str]:
    """The words of a text, without the ends of the sentence, <s> and </s>, that Sphinx writes around them."""
    words = text.split()
    return words[1:-1] if len(words) > 1 and (words[0], words[-1]) == ("<s>", "</s>") else words


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise CorpusError(first_of(problems))
