"""FLAC files: joined ones, those without a count of samples, and those that were cut.

Ref: RFC 9639 (FLAC).
"""

from collections.abc import Iterator

from .part import AGAIN, DamagedError, Part, sndfile_part
from .source import JOINED, Source, Spliced, tag_length

_TAIL = 1 << 20  # bytes at the end in which the last frame must begin
_MARK = b"fLaC"


def flac_part(source: Source, start: int) -> tuple[Part, int]:
    """The recording that begins at byte `start`, and where it ends: at another that was joined, or the file's end.

    Raises:
        AudioError: for one that was cut; where a header tells its samples, only decoding shows that some are missing.
    """
    head = source.bytes_at(start, 42)
    if len(head) < 42:
        raise DamagedError(f"truncated: the file ends before the samples begin{AGAIN}")
    end = _joined(source, start + 42)
    if _count(head) == 0:  # it was written to a pipe
        n_samples = _counted(source, head, start, end)
        whole = head[:21] + bytes([head[21] & 0xF0 | n_samples >> 32]) + (n_samples & 0xFFFFFFFF).to_bytes(4, "big")
        return sndfile_part(Spliced(source.stream, [whole + head[26:], (start + 42, end)])), end
    return sndfile_part(Spliced(source.stream, [(start, end)])), _behind_last(source, head, start, end)


def _count(head: bytes) -> int:
    """The samples that the first block of a file promises: the last 36 bits of bytes 21 to 25."""
    return int.from_bytes(head[21:26], "big") & 0xFFFFFFFFF


def _joined(source: Source, position: int) -> int:
    """Where another FLAC recording begins: its mark, with a first block of the one kind and size; or the end."""
    while (position := source.find(_MARK, position)) < source.size:
        head = source.bytes_at(position, 8)
        if head[4] & 0x7F == 0 and head[5:8] == b"\0\0\x22":
            return position
        position += 1
    return source.size


def _counted(source: Source, head: bytes, start: int, end: int) -> int:
    """The samples up to the end of the last frame, which must be whole; an ID3 tag may stand behind it."""
    begin = max(end - _TAIL, start + 42)
    data = source.bytes_at(begin, end - begin)
    if data[-128:-125] == b"TAG":
        data = data[:-128]
    at = len(data)
    while (at := data.rfind(b"\xff", 0, at)) >= 0:
        n_samples = _frame_end(data[at : at + 16].ljust(16, b"\0"), int.from_bytes(head[8:10], "big"))
        if n_samples is not None and _checksum(data[at:], 16, 0x8005) == 0:
            return n_samples
    raise DamagedError(f"truncated: the last FLAC frame is not whole{AGAIN}")


def _behind_last(source: Source, head: bytes, start: int, end: int) -> int:
    """Where the frame ends that completes the promised samples; `end` where there is none (decoding tells it then)."""
    longest, block_size = int.from_bytes(head[15:18], "big") or _TAIL, int.from_bytes(head[8:10], "big")
    for position in (max(end - 2 * longest, start + 42), start + 42):  # near the end first
        for mark in (b"\xff\xf8", b"\xff\xf9"):
            at = position
            while (at := source.find(mark, at)) < end:
                if _frame_end(source.bytes_at(at, 16).ljust(16, b"\0"), block_size) == _count(head):
                    return _end_of_frame(source, at, min(at + longest, end))
                at += 1
    return end


def _end_of_frame(source: Source, begin: int, end: int) -> int:
    """Where the frame from byte `begin` on ends: at `end`, or before something known.

    Else where its checksum fits first, which can be too early, but by less than a frame.
    """
    data = source.bytes_at(begin, end - begin)
    fitting = [begin + length for length in _fitting(data, 16, 0x8005)]
    if not fitting or fitting[-1] == end:
        return end
    known = (position for position in fitting if _is_known(source.bytes_at(position, 192)))
    return next(known, fitting[0])


def _is_known(head: bytes) -> bool:
    return head.startswith(JOINED) or tag_length(head) > 0 or (len(head) > 2 and not any(head))


def _frame_end(head: bytes, block_size: int) -> int | None:
    """The samples of a recording up to the end of the frame whose header this is, or None if it is none.

    Args:
        head: 16 bytes, more than any header has.
        block_size: of all frames but the last, for those that count frames.
    """
    if head[1] not in (0xF8, 0xF9) or head[3] & 1:
        return None
    n_ones = 8 - (head[4] ^ 0xFF).bit_length()  # a number as in UTF-8, of up to 7 bytes
    length = max(n_ones, 1)
    if n_ones in (1, 8):
        return None
    number = head[4] & (0x7F >> n_ones)
    for byte in head[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    at, code = 4 + length, head[2] >> 4
    if code == 0:
        return None
    if code in (6, 7):
        n_samples = int.from_bytes(head[at : at + code - 5], "big") + 1
        at += code - 5
    else:
        n_samples = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if _checksum(head[: at + 1], 8, 0x07) != 0:
        return None
    return n_samples + (number if head[1] == 0xF9 else number * block_size)


def _checksum(data: bytes, n_bits: int, polynomial: int) -> int:
    """A CRC with the highest bit first; 0 where the last bytes are the checksum of those before."""
    return [0, *_checksums(data, n_bits, polynomial)][-1]


def _fitting(data: bytes, n_bits: int, polynomial: int) -> list[int]:
    """The numbers of bytes from the start after which a checksum of those before ends."""
    return [k + 1 for k, crc in enumerate(_checksums(data, n_bits, polynomial)) if crc == 0]


def _checksums(data: bytes, n_bits: int, polynomial: int) -> Iterator[int]:
    """The CRC up to each byte."""
    top, mask = 1 << n_bits - 1, (1 << n_bits) - 1
    table = []
    for value in range(256):
        value <<= n_bits - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial) & mask if value & top else value << 1
        table.append(value)
    crc = 0
    for byte in data:
        crc = (crc << 8 & mask) ^ table[crc >> n_bits - 8 ^ byte]
        yield crc
