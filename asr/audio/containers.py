"""Files made of chunks, or of a header and samples: where the samples lie, and whether all are there.

Writers that cannot go back to fill in a size (pipes, recorders that were killed) leave 0, -1 or another mark there;
libsndfile then reads nothing, or what follows the samples. So it gets headers with the true size. A file that is
shorter than its header says was cut, and is named.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from .part import AGAIN, DamagedError, Part, sndfile_part
from .source import JOINED, Source, Spliced, tag_length

Order = Literal["little", "big"]

_PIPED_32 = ((0x7F000000, 0x80000000), (0xFFFF0000, 0xFFFFFFFF))  # sizes that stand for "not known", both ends included
_PIPED_64 = (1 << 62, (1 << 64) - 1)
_MAX_32 = 0xFFFF0000 - 1024  # bytes of samples that a wav file's 32-bit sizes can tell
_READABLE_WAV = (0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0x0031, 0x0038, 0x0040, 0x0064)
_EXTENSIBLE = 0xFFFE  # the code of the samples stands further behind
_VOC = b"Creative Voice File\x1a"
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # of all its names but that of the file
_FIRST = frozenset(mark[:4] for mark in JOINED)
_W64_FILE = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")


class _Chunk(NamedTuple):
    """A part of a file of chunks.

    Attributes:
        name: four letters.
        begin: of its content, bytes, as promised.
        end: of its content, bytes, as promised.
        following: where the next one begins.
    """

    name: bytes
    begin: int
    end: int
    following: int


def chunked_part(source: Source, start: int) -> tuple[Part, int] | None:
    """The recording that begins at byte `start`, and where it ends; None for what is no such container.

    wav (RIFF, RIFX, RF64, BW64, W64), aiff, au, caf, NIST sphere, voc.

    Raises:
        AudioError: for one that was cut.
    """
    head = source.bytes_at(start, 16)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and (head[8:12] == b"WAVE" or len(head) < 12):
        return _wave(source, start, "big" if head[:4] == b"RIFX" else "little")
    if head == _W64_FILE:
        return _wave64(source, start)
    if head[:4] == b"FORM" and (head[8:12] in (b"AIFF", b"AIFC") or len(head) < 12):
        return _aiff(source, start)
    if head[:4] == b".snd":
        return _au(source, start)
    if head[:4] == b"caff":
        return _caf(source, start)
    if head[:7] == b"NIST_1A":
        return _sphere(source, start)
    return _voc(source, start) if source.bytes_at(start, 20) == _VOC else None


def wav_kind(head: bytes) -> str | None:
    """What a wav file (RIFF, RIFX) is that begins so, if libsndfile does not know the code of its samples."""
    order = "little" if head[:4] == b"RIFF" else "big"
    position = 12
    while position + 36 <= len(head):
        length = int.from_bytes(head[position + 4 : position + 8], order)  # type: ignore[arg-type]
        if head[position : position + 4] == b"fmt ":
            code = int.from_bytes(head[position + 8 : position + 10], order)  # type: ignore[arg-type]
            if code == _EXTENSIBLE and length >= 40:
                code = int.from_bytes(head[position + 32 : position + 34], order)  # type: ignore[arg-type]
            return None if code in _READABLE_WAV else f"a wav file with samples of the kind 0x{code:04x}"
        position += 8 + length + length % 2
    return None


def check_chunks(source: Source) -> int:
    """Where a file of chunks ends: behind those that follow the samples, or at the end of the whole (AVI).

    Raises:
        DamagedError: for one that ends before the samples' chunk, or the whole, should.
    """
    head = source.bytes_at(0, 12)
    order: Order = "little" if head[:4] == b"RIFF" else "big"
    width = 8 if head[:4] == b"caff" else 4
    if width == 8:
        chunks = _chunks(source, 8, order, width)
    elif head[8:12] == b"WAVE":
        chunks = _chunks(source, 12, order)
    else:
        chunks = _chunks(source, 0, order)
    for chunk in chunks:
        if chunk.name in (b"data", b"RIFF"):
            length = _true_length(source, chunk.begin, chunk.end - chunk.begin, (*_PIPED_32, _PIPED_64))
            if length is not None:
                return source.size
            end = _behind(source, chunk.following, order, width)
            while chunk.name == b"RIFF" and source.bytes_at(end + 8, 4) == b"AVIX":  # an AVI of more than a gigabyte
                end = min(end + 8 + int.from_bytes(source.bytes_at(end + 4, 4), order), source.size)
            return end
    return source.size


def _chunks(source: Source, position: int, order: Order, width: int = 4) -> Iterator[_Chunk]:
    """Chunks from byte `position` on: a name, the size in `width` bytes, the content; with 4 bytes padded to even."""
    while position + 4 + width <= source.size:
        head = source.bytes_at(position, 4 + width)
        begin, length = position + 4 + width, int.from_bytes(head[4:], order)
        padding = length % 2 if width == 4 else 0
        yield _Chunk(head[:4], begin, begin + length, begin + length + padding)
        position = begin + length + padding


def _true_length(source: Source, begin: int, promised: int, piped: tuple[tuple[int, int], ...]) -> int | None:
    """Bytes of samples from byte `begin` on; None where the header is right.

    Args:
        promised: by the header.
        piped: ranges of sizes that say nothing.

    Raises:
        DamagedError: for a file that was cut.
    """
    have = max(source.size - begin, 0)
    if any(low <= promised <= high for low, high in piped) and promised > have:
        return have
    if promised == 0 and have and not _are_chunks(source, begin):
        return have  # the recorder was killed before it filled in the size
    # Some writers put the size of the whole file, or of all but its first eight bytes.
    if promised > have and promised in (source.size, source.size - 8) and begin < 256:
        return have
    if promised > have:
        raise DamagedError(f"truncated: the header promises {promised} bytes, the file has {have}{AGAIN}")
    return None


def _are_chunks(source: Source, position: int) -> bool:
    """Whether all from here to the end is chunks with names: texts behind a recording without samples."""
    for chunk in _chunks(source, position, "little"):
        if not all(32 <= byte < 127 for byte in chunk.name):
            return False
        if chunk.end == source.size or chunk.following == source.size:
            return True
    return False


def _behind(source: Source, position: int, order: Order, width: int = 4) -> int:
    """Where the chunks end that stand behind the samples."""
    for chunk in _chunks(source, position, order, width):
        is_name = all(32 <= byte < 127 for byte in chunk.name) and chunk.name not in _FIRST
        if not is_name or chunk.end > source.size:
            break
        position = chunk.following
    return min(position, source.size)


def _no_samples() -> DamagedError:
    return DamagedError(f"truncated: the file ends before the samples begin{AGAIN}")


def _wave(source: Source, start: int, order: Order) -> tuple[Part, int]:
    """RIFF and its kin with big-endian or 64-bit numbers."""
    form = fact = b""
    size64 = None
    for chunk in _chunks(source, start + 12, order):
        if chunk.name == b"fmt ":
            form = source.bytes_at(chunk.begin, min(chunk.end - chunk.begin, 4096))
        elif chunk.name == b"fact":
            fact = source.bytes_at(chunk.begin, min(chunk.end - chunk.begin, 64))
        elif chunk.name == b"ds64":  # the file's size, then that of the samples
            size64 = int.from_bytes(source.bytes_at(chunk.begin + 8, 8), "little")
        elif chunk.name == b"data":
            promised = chunk.end - chunk.begin
            if size64 and promised == 0xFFFFFFFF:
                length = _true_length(source, chunk.begin, size64, (_PIPED_64,))
                return _of_wave(source, order, form, fact, chunk.begin, size64 if length is None else length)
            length = _true_length(source, chunk.begin, promised, _PIPED_32)
            return _of_wave(source, order, form, fact, chunk.begin, promised if length is None else length)
    raise _no_samples()


def _wave64(source: Source, start: int) -> tuple[Part, int]:
    """Sony's W64: 16-byte names, 8-byte sizes that count the chunk's head too, chunks at multiples of 8 bytes."""
    form = fact = b""
    position = start + 40
    while position + 24 <= source.size:
        head = source.bytes_at(position, 24)
        length = int.from_bytes(head[16:], "little")
        begin = position + 24
        if head[4:16] != _W64_TAIL:
            break
        if head[:4] == b"fmt ":
            form = source.bytes_at(begin, min(length - 24, 4096))
        elif head[:4] == b"fact":
            fact = source.bytes_at(begin, min(length - 24, 64))
        elif head[:4] == b"data":
            true = _true_length(source, begin, max(length - 24, 0), (_PIPED_64,))
            if true and source.bytes_at(begin, 16) == _W64_FILE:
                return _wave64(source, begin)  # SoX in a pipe writes the header again where it wants to go back
            has_end = bool(true) and source.bytes_at(source.size - (begin - start), 16) == _W64_FILE
            if true and has_end:
                true -= begin - start  # and at the end
            part, end = _of_wave(source, "little", form, fact, begin, max(length - 24, 0) if true is None else true)
            words = part.words.replace("WAV (Microsoft)", "W64 (SoundFoundry WAVE 64)")
            return part._replace(words=words), source.size if has_end else _behind64(source, end)
        position += max(length + -length % 8, 24)
    raise _no_samples()


def _is_first(source: Source, position: int) -> bool:
    """Whether something known begins here."""
    head = source.bytes_at(position, 192)
    return head.startswith(JOINED) or tag_length(head) > 0


def _behind64(source: Source, position: int) -> int:
    """Where the W64 chunks end that stand behind the samples, and the bytes that fill up to a multiple of 8."""
    position += -position % 8 if not any(source.bytes_at(position, -position % 8)) else 0
    while source.bytes_at(position + 4, 12) == _W64_TAIL:
        length = max(int.from_bytes(source.bytes_at(position + 16, 8), "little"), 24)
        position += length + -length % 8
    return min(position, source.size)


def _of_wave(source: Source, order: Order, form: bytes, fact: bytes, begin: int, length: int) -> tuple[Part, int]:
    """The samples in `length` bytes from byte `begin`, as a wav file of the chunks that count."""
    if len(form) < 16:
        raise DamagedError(f"damaged: no format stands before the samples{AGAIN}")
    chunks = _chunk(b"fmt ", form, order) + (_chunk(b"fact", fact, order) if fact else b"")
    n_bytes = 4 + len(chunks) + 8 + length
    if length <= _MAX_32:
        name = b"RIFF" if order == "little" else b"RIFX"
        head = name + n_bytes.to_bytes(4, order) + b"WAVE" + chunks + b"data" + length.to_bytes(4, order)
    else:
        sizes = (n_bytes + 36).to_bytes(8, "little") + length.to_bytes(8, "little") + bytes(12)
        unknown = b"\xff" * 4
        head = b"RF64" + unknown + b"WAVE" + _chunk(b"ds64", sizes, "little") + chunks + b"data" + unknown
    end = begin + length
    part = sndfile_part(Spliced(source.stream, [head, (begin, end)]))
    return part, _behind(source, min(end + length % 2, source.size), order)


def _chunk(name: bytes, content: bytes, order: Order) -> bytes:
    return name + len(content).to_bytes(4, order) + content + bytes(len(content) % 2)


def _aiff(source: Source, start: int) -> tuple[Part, int]:
    """AIFF and AIFF-C; the samples' description may stand behind them."""
    last = source.size
    for chunk in _chunks(source, start + 12, "big"):
        last = min(chunk.following, source.size)
        if chunk.name == b"SSND":
            promised = chunk.end - chunk.begin
            length = _true_length(source, chunk.begin, promised, _PIPED_32)
            if length is not None:
                head = source.bytes_at(start, chunk.begin - 4 - start) + length.to_bytes(4, "big")
                return sndfile_part(Spliced(source.stream, [head, (chunk.begin, source.size)])), source.size
            break
    else:
        raise _no_samples()
    end = start + 8 + int.from_bytes(source.bytes_at(start + 4, 4), "big")
    end = end if last <= end <= source.size else _behind(source, last, "big")
    return sndfile_part(Spliced(source.stream, [(start, end)])), end


def _au(source: Source, start: int) -> tuple[Part, int]:
    """Sun's and NeXT's: where the samples begin, and their bytes."""
    head = source.bytes_at(start, 24)
    if len(head) < 24 or source.size < start + int.from_bytes(head[4:8], "big"):
        raise _no_samples()
    begin, promised = start + int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
    length = _true_length(source, begin, promised, _PIPED_32)
    length = promised if length is None else length
    head = (
        head[:8] + min(length, 0xFFFFFFFF).to_bytes(4, "big") + source.bytes_at(start + 12, max(begin - start - 12, 0))
    )
    return sndfile_part(Spliced(source.stream, [head, (begin, begin + length)])), begin + length


def _caf(source: Source, start: int) -> tuple[Part, int]:
    """Apple's: chunks with 8-byte sizes; -1 for samples up to the end of the file."""
    for chunk in _chunks(source, start + 8, "big", 8):
        if chunk.name == b"data":
            promised, n_head = chunk.end - chunk.begin, chunk.begin + 4 - start  # 4: a count of edits
            if promised == 4 and _behind(source, chunk.end, "big", 8) == chunk.end:
                promised = 0  # not told, unless chunks follow
            length = _true_length(source, chunk.begin, promised, (_PIPED_64,))
            if length and source.bytes_at(chunk.begin + 4, 8) == source.bytes_at(start, 8):
                return _caf(source, chunk.begin + 4)  # SoX in a pipe writes the header again where it wants to go back
            if length and source.bytes_at(source.size - n_head, 8) == source.bytes_at(start, 8):
                length -= n_head  # and at the end
            if length is None:
                end = _behind(source, chunk.end, "big", 8)
                return sndfile_part(Spliced(source.stream, [(start, end)])), end
            head = source.bytes_at(start, chunk.begin - 8 - start) + length.to_bytes(8, "big")
            return sndfile_part(Spliced(source.stream, [head, (chunk.begin, source.size)])), source.size
    raise _no_samples()


def _sphere(source: Source, start: int) -> tuple[Part, int]:
    """NIST sphere: a header of text, with its own size, then lines `name -i value`."""
    lines = source.bytes_at(start, 1024).decode("latin-1").split("\n")
    fields = {line.split()[0]: line.split()[2] for line in lines if len(line.split()) == 3}
    end = source.size
    try:
        n_bytes = int(fields["sample_count"]) * int(fields["channel_count"]) * int(fields["sample_n_bytes"])
        begin = start + int(lines[1])
    except (KeyError, ValueError, IndexError):
        if source.size - start <= 1024:
            raise _no_samples() from None
    else:
        if _true_length(source, begin, n_bytes, ()) is None and n_bytes:
            end = begin + n_bytes
    return sndfile_part(Spliced(source.stream, [(start, end)])), end


def _voc(source: Source, start: int) -> tuple[Part, int]:
    """Creative's: blocks of a kind and a 3-byte size, the last of kind 0 and without a size."""
    end = start + int.from_bytes(source.bytes_at(start + 20, 2), "little")
    while kind := source.bytes_at(end, 1).strip(b"\0"):
        length = int.from_bytes(source.bytes_at(end + 1, 3), "little")
        if kind > b"\x09":
            break
        end += 4 + length
    if end > source.size:
        raise DamagedError(f"truncated: its blocks promise {end} bytes, the file has {source.size}{AGAIN}")
    for last in range(end, end + 16):  # SoX's sizes are some bytes too small
        if source.bytes_at(last, 1) == b"\0" and (last + 1 == source.size or _is_first(source, last + 1)):
            end = last
            break
    end = min(end + 1, source.size)
    return sndfile_part(Spliced(source.stream, [(start, end)])), end
