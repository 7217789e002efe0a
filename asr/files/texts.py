"""Text of any file: read up to a limit of bytes, unpacked or not, and any damage is an error of ours.

A gzip file of megabytes can unpack to gigabytes of nothing, a sparse file holds as much as its header says, a device
never ends: whoever reads a whole file says how much of it may be.
"""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import AsrError
from . import size_in_words

MOST_TEXT = 4 << 30  # bytes of a text that is read at once, unpacked; a thousand million words of text need more
# What a packed file may unpack to, beside its size. Words and ARPA files pack 3 to 20 times, zeros 1,000 times.
_MOST_PACKED, _ALWAYS = 100, 64 << 20
_BLOCK = 1 << 16  # bytes; where a gzip file is damaged, the last block that was begun is lost
# How packed files begin, what they are, how they are opened, and what unpacks them.
_PACKED: tuple[tuple[bytes, str, Callable[[Any], Any], str], ...] = (
    (b"\x1f\x8b", "gzip", lambda raw: gzip.GzipFile(fileobj=raw), "gunzip -k"),
    (b"\xfd7zXZ\0", "xz", lzma.LZMAFile, "xz -dk"),
    (b"BZh", "bzip2", bz2.BZ2File, "bunzip2 -k"),
)


def text_blocks(
    path: str | os.PathLike,
    *,
    most: int = MOST_TEXT,
    error: type[AsrError] = AsrError,
    progress: Callable[[int], object] | None = None,
    size_of_block: int = _BLOCK,
) -> Iterator[bytes]:
    """The bytes of a file, block by block; of what was packed, where it begins like a file of gzip, xz or bzip2.

    Args:
        most: bytes that may come, unpacked.
        error: the class of what is raised.
        progress: called with the number of bytes of the file, packed ones, that were read before each block.
        size_of_block: bytes of a block, at most.

    Raises:
        AsrError: of class `error`, naming the file, where it cannot be read, a packed file is damaged (after the blocks
            that are whole), more than `most` bytes come, or a packed file unpacks to more than 100 times its size (64
            MiB are always allowed).
    """
    done, kind = 0, ""
    try:
        with Path(path).open("rb") as raw:
            head, size = raw.peek(6), os.fstat(raw.fileno()).st_size
            # A text may begin with "BZh"; then comes the size of blocks, and a number that no text has.
            _, kind, opened, program = next(
                (each for each in _PACKED if head.startswith(each[0]) and (each[1] != "bzip2" or _is_bzip2(head))),
                (b"", "", None, ""),
            )
            bound = max(_ALWAYS, _MOST_PACKED * size) if kind else most
            stream = opened(raw) if opened else raw
            if not kind and size > most:
                raise error(f"{path}: holds more than {size_in_words(most)}; split it")
            while block := stream.read(size_of_block):
                done += len(block)
                if done > most:
                    raise error(f"{path}: holds more than {size_in_words(most)}; split it")
                if done > bound:
                    raise error(
                        f"{path}: unpacks to more than {_MOST_PACKED} times its size, which no text does; if it is "
                        f"meant, unpack it first: {program} {path}"
                    )
                if progress is not None:
                    progress(raw.tell() if kind else done)
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as problem:
        raise error(f"{path}: damaged {kind} file ({problem}); is it cut short? Copy or make it again") from None
    except OSError as problem:
        if kind and problem.errno is None:  # of bz2
            raise error(f"{path}: damaged {kind} file ({problem}); is it cut short? Copy or make it again") from None
        raise error(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except ValueError as problem:  # a name with a NUL byte
        raise error(f"{str(path)!r}: cannot be read: {problem}") from None


def _is_bzip2(head: bytes) -> bool:
    return head[3:4] in b"123456789" and head[4:6] in (b"1A", b"\x17\x72")


def text_bytes(path: str | os.PathLike, *, most: int = MOST_TEXT, error: type[AsrError] = AsrError) -> bytes:
    """The bytes of a file, unpacked where it is a gzip file, at once. Errors: `text_blocks`'s."""
    try:
        size = Path(path).stat().st_size
    except (OSError, ValueError):  # said below
        size = 0
    # A plain file is one block, which is not copied again.
    return b"".join(text_blocks(path, most=most, error=error, size_of_block=min(max(size + 1, _BLOCK), most + 1)))
