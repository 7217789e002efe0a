"""Files that are written whole or not at all, their hashes, and text files' lines whatever system wrote them."""

import codecs
import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

MOST_BYTES = 1 << 30  # of a file that is read at once, where a reader says nothing else
_BLOCK = 1 << 20


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed to `path` when the block ends well, removed otherwise.

    Works for files and for directories (make the directory inside the block). The parent is created. Where `path` is a
    link, what it leads to is replaced.
    """
    target = Path(os.path.realpath(path)) if Path(path).is_symlink() else Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    temporary = holder / target.name
    try:
        yield temporary
        if target.is_dir() and temporary.is_dir():
            target.replace(holder / ".previous")
        temporary.replace(target)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def kind_of(path: str | os.PathLike) -> Literal["file", "folder", "other", "missing", "unreachable"]:
    """What a path leads to; "other" is a pipe or device, "unreachable" a name that may not or cannot be looked up.

    Unlike Path.is_file and its like, it never raises: not without permission, nor for a name that is too long.
    """
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (OSError, ValueError):
        return "unreachable"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write UTF-8 text with Unix line ends, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_bytes(path: str | os.PathLike, *, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file that is to be read at once. Raises OSError, also where there are more than `most`.

    Path.read_bytes would take whatever memory a sparse file or a device asks for.
    """
    blocks: list[bytes] = []
    left = most
    with Path(path).open("rb") as stream:
        while block := stream.read(_BLOCK):
            blocks.append(block)
            left -= len(block)
            if left < 0:
                raise OSError(errno.EFBIG, f"it holds more than {size_in_words(most)}, the limit for such a file")
    return b"".join(blocks)


def size_in_words(n_bytes: int) -> str:
    """Bytes as a person says them.

    >>> size_in_words(1 << 30), size_in_words(1536)
    ('1 GiB', '1.5 KiB')
    """
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:.4g} {name}"
    return f"{n_bytes} bytes"


def numbered_lines(path: str | os.PathLike, *, most: int = MOST_BYTES) -> Iterator[tuple[int, str | None]]:
    """Line numbers from 1 and lines of a text file, without line ends; None stands for a line that is not Unicode.

    The file is UTF-8, or UTF-16 with a byte-order mark. Byte-order marks are dropped at the start of every line, as
    files that begin with one may have been joined. Lines end at newlines, with or without a carriage return before
    them, or in a file without newlines at carriage returns (old Macs); other separators stay inside.

    most: bytes that the file may have; a sparse file or a device can hold more than any memory.
    Raises OSError, also for a file that has more.
    """
    yield from decoded_lines(read_bytes(path, most=most))


def decoded_lines(raw: bytes) -> Iterator[tuple[int, str | None]]:
    """The numbered lines of a text file's bytes, see `numbered_lines`.

    >>> list(decoded_lines(b"one\\r\\ntwo"))
    [(1, 'one'), (2, 'two')]
    """
    for mark, order in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if raw.startswith(mark):
            # Half a character becomes a surrogate, which UTF-8 refuses below: only its own line is lost.
            text = raw[2 : len(raw) // 2 * 2].decode(order, "surrogatepass") + "\udcff" * (len(raw) % 2)
            raw = text.encode("utf-8", "surrogatepass")
    raw = raw.removeprefix(codecs.BOM_UTF8)
    lines = raw.split(b"\n" if b"\n" in raw else b"\r")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        try:
            yield number, line.removesuffix(b"\r").decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError:
            yield number, None
