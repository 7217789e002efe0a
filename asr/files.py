"""Files that are written whole or not at all, their hashes, and text files' lines whatever system wrote them."""

import codecs
import contextlib
import errno
import gzip
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

from .memory import free_memory

_MEMORY_SHARE = 4  # a file that is read at once may take this part of the free memory: its parts take the rest
_BLOCK = 1 << 16  # bytes read at once
_GZIP = b"\x1f\x8b"


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


def numbered_lines(path: str | os.PathLike) -> Iterator[tuple[int, str | None]]:
    """Line numbers from 1 and lines of a text file, without line ends; None stands for a line that is not Unicode.

    The file is UTF-8, or UTF-16 with a byte-order mark. Byte-order marks are dropped at the start of every line, as
    files that begin with one may have been joined. Lines end at newlines, with or without a carriage return before
    them, or in a file without newlines at carriage returns (old Macs); other separators stay inside.
    Raises OSError, also for a file that is too large, see `whole_file`.
    """
    yield from decoded_lines(whole_file(path))


def whole_file(path: str | os.PathLike, *, unpack: bool = False) -> bytes:
    """The bytes of a file; of a gzip file what was compressed, if it is to be unpacked.

    Every reader that takes files whole reads them through this one, or through `read_all`. Raises OSError with a
    reason in `strerror` where there is more than a quarter of the free memory, be it in the file or packed in it, and
    what gzip.open raises for a damaged file.
    """
    with Path(path).open("rb") as stream:
        if not unpack or stream.peek(2)[:2] != _GZIP:
            return read_all(stream, path)
        with gzip.open(stream) as packed:
            return read_all(packed, path)


def read_all(stream: IO[bytes], path: str | os.PathLike, blocks: list[bytes] | None = None) -> bytes:
    """All bytes of a stream, see `whole_file`.

    path: of the file, for the message. blocks: gets them in pieces, which are there where a damaged file ends early.
    """
    most = free_memory() // _MEMORY_SHARE
    told = _told_size(path)
    if told > most:
        raise _too_large(path, told, most)
    blocks, size = [] if blocks is None else blocks, 0
    while block := stream.read(_BLOCK):
        blocks.append(block)
        size += len(block)
        if size > most:
            raise _too_large(path, size, most)
    return b"".join(blocks)


def _told_size(path: str | os.PathLike) -> int:
    """Bytes of a file as the system tells them; 0 where it does not, as for pipes."""
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return 0


def _too_large(path: str | os.PathLike, size: int, most: int) -> OSError:
    reason = f"more than {_shown(size)} are too much; {_shown(most)}, a quarter of the free memory, can be read"
    return OSError(errno.EFBIG, reason, os.fspath(path))


def _shown(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def decoded_lines(raw: bytes) -> Iterator[tuple[int, str | None]]:
    """The numbered lines of a text file's bytes, see `numbered_lines`.

    >>> list(decoded_lines(b"one\\r\\ntwo"))
    [(1, 'one'), (2, 'two')]
    """
    raw = as_utf8(raw)
    lines = raw.split(b"\n" if b"\n" in raw else b"\r")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        try:
            yield number, line.removesuffix(b"\r").decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError:
            yield number, None


def as_utf8(raw: bytes) -> bytes:
    """The bytes of a text file as UTF-8 without byte-order mark; what has none, or that of UTF-16, is left as it is."""
    for mark, order in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if raw.startswith(mark):
            # Half a character becomes a surrogate, which readers of UTF-8 refuse: only its own line is lost.
            text = raw[2 : len(raw) // 2 * 2].decode(order, "surrogatepass") + "\udcff" * (len(raw) % 2)
            return text.encode("utf-8", "surrogatepass").removeprefix(codecs.BOM_UTF8)
    return raw.removeprefix(codecs.BOM_UTF8)
