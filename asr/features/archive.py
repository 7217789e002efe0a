"""Feature matrices in files: numpy's .npy, and Kaldi's archives (.ark) with their lists (.scp).

    place                what lies there
    X.npy                a numpy array (n_frames, dim)
    X.ark:1234           the matrix at byte 1234 of an archive, as a .scp lists it: binary, text or compressed
    X.ark:1234[10:59]    its frames 10 to 59, both included, as Kaldi's lists of parts have it

A place is a file and never a command, and nothing is unpickled: reading data from anywhere runs nothing in it.
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np

from ..errors import AsrError, CorpusError
from ..files import kind_of, numbered_lines, replacing
from ..files.arrays import read_npy
from .given import as_features

_NUMPY = b"\x93NUMPY"
_BINARY = b"\0B"
# Bytes that a value takes in Kaldi's matrices: floats, doubles, and three compressed kinds.
_VALUE_BYTES = {b"FM": 4, b"DM": 8, b"CM": 1, b"CM2": 2, b"CM3": 1}
_COLUMN_BYTES = {b"CM": 8}  # four percentiles of each column
_PLACE = re.compile(r"(?P<path>.+?)(?::(?P<offset>\d+))?(?:\[(?P<rows>[-\d:, ]*)\])?", re.DOTALL)
_TYPE = re.compile(r"(?:ark|scp)(?:,\w+)*:")  # how a Kaldi rspecifier or wspecifier begins
_OVERSHOOT = 3  # frames that a range may name behind the last one, as in Kaldi
_HEAD = 40  # bytes that hold the longest header
_TEXT_BLOCK = 1 << 16  # bytes of a text archive that are read at once


def is_command(text: str) -> bool:
    """Whether a Kaldi rspecifier, wspecifier, or entry of a .scp names a program to run: `... |` or `| ...`.

    Libraries run such a program behind an offset or a range too (`cat x |:12`, `cat x |[0:5]`), so these count.

    Examples:
        >>> is_command("gunzip -c x.gz |"), is_command("ark,t:| gzip > x.gz"), is_command("x.ark:12")
        (True, True, False)
    """
    rest = _TYPE.sub("", text.strip(), count=1)
    for part in (rest, *rest.split(",")):
        match = _PLACE.fullmatch(part.strip())
        path = match["path"].strip() if match else part.strip()
        if path.startswith("|") or path.endswith("|"):
            return True
    return False


def read_matrix(place: str | os.PathLike) -> np.ndarray:
    """The feature matrix at a place (see above), float32 (n_frames, dim).

    Integers and doubles become float32.

    Raises:
        CorpusError: naming the place, for a command, a missing or damaged file, and whatever is no matrix of finite
            numbers with a frame and a value at least.
    """
    place = os.fspath(place)
    if not place:
        raise CorpusError("an empty name is given; need FILE.npy or FILE.ark:OFFSET")
    if is_command(place):
        raise CorpusError(f"{place}: is a command; commands are not run: write its output to a file")
    match = _PLACE.fullmatch(place)
    path, offset = (match["path"], int(match["offset"] or 0)) if match else (place, 0)
    kind = kind_of(path)
    if kind != "file":
        what = {"missing": "no such file", "unreachable": "may not or cannot be opened", "folder": "is a folder"}
        raise CorpusError(f"{place}: {what.get(kind, 'is a pipe or device, no file')}")
    try:
        with Path(path).open("rb") as stream:
            matrix = as_features(_read(stream, path, offset))
        return matrix if match is None or match["rows"] is None else _rows(matrix, match["rows"])
    except AsrError as error:
        raise CorpusError(f"{place}: {error}") from None
    except OSError as error:
        raise CorpusError(f"{place}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a foreign file can make kaldiio and numpy fail in any way, assertions included
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CorpusError(f"{place}: not a feature matrix, or damaged ({reason})") from error


def read_scp(path: str | os.PathLike) -> Iterator[tuple[str, np.ndarray]]:
    """Each id of a .scp file with its matrix, in order.

    Raises:
        CorpusError: for a line or a matrix that cannot be used, naming file:line.
    """
    for where, name, place in scp_entries(path):
        if isinstance(place, CorpusError):
            raise place
        try:
            matrix = read_matrix(place)
        except CorpusError as error:
            raise CorpusError(f"{where}: {name}: {error}") from None
        yield name, matrix


def scp_entries(
    path: str | os.PathLike, *, keep_commands: bool = False
) -> Iterator[tuple[str, str, "str | CorpusError"]]:
    """Each line of a .scp file as (file:line, id, place), without opening what it lists.

    Args:
        keep_commands: give commands (`... |`) as they are, for a caller who may run them; else each is an error.

    Raises:
        CorpusError: if the file cannot be read.

    A relative place is taken from the current folder, as Kaldi does, or else from the .scp's own. In a line that cannot
    be used, the place is the CorpusError that says why.
    """
    file, seen = Path(path), dict[str, int]()
    try:
        lines = list(numbered_lines(file))
    except OSError as error:
        raise CorpusError(f"{file}: cannot be read: {error.strerror}") from None
    for number, line in lines:
        where = f"{file}:{number}"
        if line is None:
            yield where, "", CorpusError(f"{where}: not valid UTF-8; save the file as UTF-8")
            continue
        name, *rest = line.split(maxsplit=1) or [""]
        if not name:
            continue
        place = rest[0].strip() if rest else ""
        if name in seen:
            message = f"id {name!r} was given before, in line {seen[name]}; remove one"
        elif not place:
            message = f"{name!r} has no place after its id; need `id file.ark:offset`"
        elif is_command(place) and not keep_commands:
            how = "commands are not run unless allowed: write its output to a file"
            message = f"{name!r} is a command ({place!r}); {how}"
        else:
            message = ""
        seen.setdefault(name, number)
        if message:
            yield where, name, CorpusError(f"{where}: {message}")
        else:
            yield where, name, place if is_command(place) else resolve(place, file.parent)


def place_file(place: str) -> Path:
    """The file of a place."""
    match = _PLACE.fullmatch(place)
    return Path(match["path"] if match else place)


def has_features(place: str) -> bool:
    """Whether an entry of a .scp is one of feats.scp, by its looks: with an offset, or a .npy file."""
    match = _PLACE.fullmatch(place)
    return match is not None and (match["offset"] is not None or match["path"].lower().endswith(".npy"))


def resolve(place: str, folder: Path) -> str:
    """A place as it is, or seen from `folder` where only that has such a file."""
    inside = os.fspath(folder / place)
    return inside if kind_of(place_file(place)) != "file" and kind_of(place_file(inside)) == "file" else place


def write_archive(path: str | os.PathLike, pairs: Iterable[tuple[str, np.ndarray]]) -> int:
    """Write matrices with their ids as Kaldi's binary float archive, and its .scp beside it; how many there were.

    Both files are written whole or not at all. A .scp never lists what is not in its archive: while an older pair is
    replaced, a moment has no .scp. It has absolute paths, so it can be read from everywhere.

    Args:
        path: ends in .ark.
        pairs: id, and numbers (n_frames, dim); ids without white space, each once.

    Raises:
        CorpusError: for another path, id or matrix, or if there is none.
    """
    from kaldiio.matio import write_array

    target = Path(path)
    _check_target(target)
    lines: dict[str, str] = {}
    list_file = target.with_suffix(".scp")
    with replacing(list_file) as listed, replacing(target) as archive:
        with archive.open("wb") as stream:
            for name, matrix in pairs:
                if not name or name.split() != [name] or name in lines:
                    what = "is there twice" if name in lines else "is empty or has white space"
                    raise CorpusError(f"{target}: the id {name!r} {what}; need each once, and no blanks")
                frames = as_features(matrix, where=f"{target}: {name!r}")
                stream.write(f"{name} ".encode())
                lines[name] = f"{name} {target.absolute()}:{stream.tell()}\n"
                write_array(stream, frames)
        if not lines:
            raise CorpusError(f"{target}: no matrices to write")
        listed.write_text("".join(lines.values()), encoding="utf-8", newline="\n")
        if kind_of(list_file) == "file" and kind_of(target) in ("file", "missing"):
            list_file.unlink()
    return len(lines)


def write_matrix(path: str | os.PathLike, matrix: np.ndarray) -> None:
    """Write one matrix (n_frames, dim) as a .npy file of float32, whole or not at all. Errors: `write_archive`'s."""
    frames = as_features(matrix, where=os.fspath(path))
    with replacing(path) as temporary, temporary.open("wb") as stream:
        # Into a file numpy writes past Python, and of a full disk it tells how many values there was room for.
        target: Any = SimpleNamespace(write=stream.write)
        np.save(target, frames, allow_pickle=False)


def _check_target(path: Path) -> None:
    """Raise unless a .scp can list this archive."""
    text = str(path.absolute())
    if path.suffix != ".ark":
        raise CorpusError(f"{path}: an archive's name ends in .ark")
    if not text.isprintable() or is_command(text):
        raise CorpusError(f"{text!r}: a .scp cannot hold this path; rename the folder or file")


def _read(stream: BinaryIO, path: str, offset: int) -> np.ndarray:
    """Whatever array begins at a byte of a file."""
    size = os.fstat(stream.fileno()).st_size
    if offset >= size:
        raise CorpusError(f"byte {offset} is beyond the file's {size} bytes" if size else "the file is empty")
    stream.seek(offset)
    head = stream.read(_HEAD)
    stream.seek(offset)
    if head.startswith(_NUMPY) and offset == 0:
        return read_npy(path)
    if head.startswith(_BINARY):
        _check_header(head, size - offset)
        from kaldiio.matio import read_kaldi

        return read_kaldi(stream)
    if head.lstrip(b" \n").startswith(b"["):
        return _text_matrix(stream)
    wanted = "a .npy file" if path.endswith(".npy") else "a Kaldi matrix"
    raise CorpusError(
        f"no matrix at byte {offset} (found {head[:8]!r}); need {wanted}"
        + ("" if path.endswith(".npy") else ", and FILE.ark:OFFSET for one in an archive, as its .scp lists it")
    )


def _check_header(head: bytes, left: int) -> None:
    """Raise unless a binary matrix's header is one, and the bytes that it promises are there.

    Checked before kaldiio sees it: it would take the memory first, and would take a vector or audio as well.
    """
    kind, _, rest = head[len(_BINARY) :].partition(b" ")
    if kind not in _VALUE_BYTES:
        name = kind[:4].decode("ascii", "backslashreplace")
        raise CorpusError(f"holds {name!r}, which is no matrix; need one of Kaldi's: FM, DM, CM, CM2 or CM3")
    if kind in (b"FM", b"DM"):
        rows, cols = struct.unpack("<xixi", rest[:10])
        n_header = 10
        if rest[:1] != b"\4" or rest[5:6] != b"\4":
            raise CorpusError("the matrix's header is damaged")
    else:
        rows, cols = struct.unpack("<8xii", rest[:16])
        n_header = 16
    if rows < 0 or cols < 0:
        raise CorpusError(f"the matrix's header is damaged: {rows} frames of {cols} values")
    needed = len(_BINARY) + len(kind) + 1 + n_header + cols * (_COLUMN_BYTES.get(kind, 0) + rows * _VALUE_BYTES[kind])
    if needed > left:
        raise CorpusError(f"cut short: {rows} frames of {cols} values need {needed} bytes, {left} are left")


def _text_matrix(stream: BinaryIO) -> np.ndarray:
    """Kaldi's text form, ` [ 1 2\\n 3 4 ]`: kaldiio would take one whose first value is 0 for whole numbers."""
    body = b""
    while b"]" not in (block := stream.read(_TEXT_BLOCK)):
        if not block:
            raise CorpusError("cut short: no `]` ends the matrix")
        body += block
    body += block.partition(b"]")[0]
    rows = [line.split() for line in body.decode("ascii").strip(" \n").removeprefix("[").split("\n") if line.strip()]
    if len({len(row) for row in rows}) > 1:
        raise CorpusError(f"frames have different numbers of values ({min(map(len, rows))} to {max(map(len, rows))})")
    return np.array([[float(value) for value in row] for row in rows], dtype=np.float64)


def _rows(matrix: np.ndarray, text: str) -> np.ndarray:
    """The frames of a range `first:last`, both included; it may end up to _OVERSHOOT frames behind the last."""
    match = re.fullmatch(r"(\d+):(\d+)(?:, *:?)?", text)
    first, last = (int(match[1]), int(match[2])) if match else (0, -1)
    if not first <= last < len(matrix) + _OVERSHOOT or first >= len(matrix):
        raise CorpusError(f"range [{text}] does not fit {len(matrix)} frames; need [first:last], counted from 0")
    return matrix[first : last + 1].copy()
