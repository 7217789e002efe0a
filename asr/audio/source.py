"""Where a recording comes from: a path, bytes or a stream, all of them as one seekable file with a name."""

import bisect
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import AudioError
from ..files import dead_link

STANDARD_INPUT = "standard input"
IN_MEMORY = 1 << 26  # bytes of a stream that are kept in memory; a longer one goes into a temporary file
MOST_UNREAD = 1 << 26  # bytes in a row that are searched for more sound; what lies behind so many is not
_SEARCHED = 1 << 20  # bytes searched at once
JOINED = (  # what recordings of other kinds begin with
    *(b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff.\x91", b"FORM", b".snd", b"caff", b"NIST_1A", b"fLaC", b"OggS"),
    b"Creative Voice File\x1a",
)

Sound = str | os.PathLike | bytes | BinaryIO


@dataclass(frozen=True)
class Source:
    """A recording's bytes.

    Attributes:
        name: for messages.
        path: None where it is no file of its own.
        size: bytes.
    """

    name: str
    stream: BinaryIO
    size: int
    path: Path | None = None

    def bytes_at(self, position: int, count: int) -> bytes:
        """Up to `count` bytes from `position`; fewer at the end of the file."""
        self.stream.seek(position)
        return self.stream.read(count)

    def find(self, mark: bytes, position: int) -> int:
        """Where `mark` first occurs from `position` on, or the file's size; MOST_UNREAD are searched."""
        last = position + MOST_UNREAD
        while position < min(self.size, last):
            piece = self.bytes_at(position, _SEARCHED)
            if (at := piece.find(mark)) >= 0:
                return position + at
            if len(piece) < _SEARCHED:
                break
            position += len(piece) - len(mark) + 1
        return self.size

    def between(self, start: int, end: int | None = None) -> "Source":
        """The bytes from start to end (exclusive; None: of the file) as a recording of the same name."""
        end = self.size if end is None else end
        if (start, end) == (0, self.size):
            return self
        stream = io.BufferedReader(Spliced(self.stream, [(start, end)]))
        return Source(self.name, stream, end - start, self.path)


@contextmanager
def opened(sound: Sound) -> Iterator[Source]:
    """The source that a caller gave, open for reading.

    A stream is read to its end; what has no name is called "standard input" (bytes: "the recording given as bytes").

    Raises:
        AudioError: with the name and the reason: missing, a folder, a pipe or device, empty, no permission.
    """
    if isinstance(sound, (bytes, bytearray, memoryview)):
        yield _whole("the recording given as bytes", io.BytesIO(sound))
    elif hasattr(sound, "read"):
        yield from _from_stream(sound)  # type: ignore[arg-type]
    else:
        with _file(sound) as stream:
            path = Path(sound)
            yield Source(str(path), stream, path.stat().st_size, path)


def _from_stream(stream: BinaryIO) -> Iterator[Source]:
    name = getattr(stream, "name", STANDARD_INPUT)
    name = STANDARD_INPUT if not isinstance(name, str) or name in ("<stdin>", "-") else name
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as kept:
        try:
            shutil.copyfileobj(stream, kept, 1 << 20)
        except (OSError, ValueError) as error:
            raise AudioError(f"{name}: cannot be read ({error})") from error
        yield _whole(name, kept)  # type: ignore[arg-type]


def _whole(name: str, stream: BinaryIO) -> Source:
    size = stream.seek(0, os.SEEK_END)
    if size is None:  # SpooledTemporaryFile.seek, before Python 3.11
        size = stream.tell()
    if size == 0:
        raise AudioError(f"{name}: empty (0 bytes)")
    stream.seek(0)
    return Source(name, stream, size)


def _file(path: str | os.PathLike) -> BinaryIO:
    """A regular file with something in it, open; a pipe would block, and cannot be sought in."""
    if not os.fspath(path):
        raise AudioError("an empty file name was given; need an audio file")
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise AudioError(f"{path}: is a folder; need an audio file")
        if not stat.S_ISREG(status.st_mode):
            raise AudioError(f"{path}: is a pipe or device; need a regular file")
        if status.st_size == 0:
            raise AudioError(f"{path}: empty (0 bytes)")
        return Path(path).open("rb")
    except FileNotFoundError:
        raise AudioError(f"{path}: {dead_link(path) or 'no such file'}") from None
    except PermissionError:
        raise AudioError(f"{path}: no permission to read it") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{path}: cannot be read ({error})") from error


class Spliced(io.RawIOBase):
    """A file put together from byte strings and stretches of another file, without a copy of those.

    So libsndfile is given what it reads rightly: a recording without the tags before it, a header with the true
    length, one of several joined recordings.

    Args:
        pieces: bytes, or (first byte, one after the last) of `stream`, in order.
    """

    def __init__(self, stream: BinaryIO, pieces: Sequence[bytes | tuple[int, int]]):
        super().__init__()
        self._stream, self._pieces, self._position = stream, pieces, 0
        self._starts = [0]
        for piece in pieces:
            length = len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
            self._starts.append(self._starts[-1] + length)
        self._at = 0  # the piece that was read last

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._starts[-1]}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer) -> int:  # a writable buffer of bytes
        view, filled = memoryview(buffer).cast("B"), 0
        while filled < len(view) and self._position < self._starts[-1]:
            got = self._some(len(view) - filled)
            if not got:
                break  # the file became shorter since it was looked at
            view[filled : filled + len(got)] = got
            filled += len(got)
            self._position += len(got)
        return filled

    def _some(self, count: int) -> bytes:
        """Up to `count` bytes from the present position, of one piece."""
        if not self._starts[self._at] <= self._position < self._starts[self._at + 1]:
            self._at = bisect.bisect_right(self._starts, self._position) - 1
        piece, offset = self._pieces[self._at], self._position - self._starts[self._at]
        if isinstance(piece, bytes):
            return piece[offset : offset + count]
        self._stream.seek(piece[0] + offset)
        return self._stream.read(min(count, piece[1] - piece[0] - offset))


def id3_length(head: bytes) -> int:
    """Bytes of an ID3 tag, by its first ten: the size is four times seven bits; 0 if it is none."""
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
        return 0
    footer = 10 if head[5] & 0x10 else 0
    return 10 + footer + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def tag_length(head: bytes) -> int:
    """Bytes of a tag that begins like this (ID3, APE), or 0."""
    if head[:3] == b"TAG":
        return 227 if head[3:4] == b"+" else 128
    if head[:8] == b"APETAGEX" and len(head) >= 32:
        is_header = head[23] & 0x20  # else these 32 bytes are the tag's end
        return 32 + (int.from_bytes(head[12:16], "little") if is_header else 0)
    return id3_length(head)
