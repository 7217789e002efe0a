"""Text of any file: read up to a limit of bytes, unpacked or not, and any damage is an error of ours.

A gzip file of megabytes can unpack to gigabytes of nothing, a sparse file holds as much as its header says, a device
never ends: whoever reads a whole file says how much of it may be.
"""

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import AsrError
from . import size_in_words

MOST_TEXT = 4 << 30  # bytes of a text that is read at once, unpacked; a thousand million words of text need more
# What a gzip file may unpack to, beside its size. Words and ARPA files pack 3 to 20 times, zeros 1,000 times.
_MOST_PACKED, _ALWAYS = 100, 64 << 20
_BLOCK = 1 << 16  # bytes; where a gzip file is damaged, the last block that was begun is lost
_GZIP = b"\x1f\x8b"


def text_blocks(path: str | os.PathLike, *, most: int = MOST_TEXT, error: type[AsrError] = AsrError) -> Iterator[bytes]:
    """The bytes of a file, block by block; of what was packed, where it begins like a gzip file.

    Args:
        most: bytes that may come, unpacked.
        error: the class of what is raised.

    Raises:
        AsrError: of class `error`, naming the file, where it cannot be read, a gzip file is damaged (after the blocks
            that are whole), more than `most` bytes come, or a gzip file unpacks to more than 100 times its size (64 MiB
            are always allowed).
    """
    done = 0
    try:
        with Path(path).open("rb") as raw:
            is_packed = raw.peek(len(_GZIP)).startswith(_GZIP)
            bound = max(_ALWAYS, _MOST_PACKED * os.fstat(raw.fileno()).st_size) if is_packed else most
            stream = gzip.GzipFile(fileobj=raw) if is_packed else raw
            if not is_packed and os.fstat(raw.fileno()).st_size > most:
                raise error(f"{path}: holds more than {size_in_words(most)}; split it")
            while block := stream.read(_BLOCK):
                done += len(block)
                if done > most:
                    raise error(f"{path}: holds more than {size_in_words(most)}; split it")
                if done > bound:
                    raise error(
                        f"{path}: unpacks to more than {_MOST_PACKED} times its size, which no text does; if it is "
                        f"meant, unpack it first: gunzip -k {path}"
                    )
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise error(f"{path}: damaged gzip file ({problem}); is it cut short? Copy or make it again") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except ValueError as problem:  # a name with a NUL byte
        raise error(f"{str(path)!r}: cannot be read: {problem}") from None


def text_bytes(path: str | os.PathLike, *, most: int = MOST_TEXT, error: type[AsrError] = AsrError) -> bytes:
    """The bytes of a file, unpacked where it is a gzip file, at once. Errors: `text_blocks`'s."""
    return b"".join(text_blocks(path, most=most, error=error))
