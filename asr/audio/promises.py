"""What files that only FFmpeg decodes say of their own size.

Of a cut one, FFmpeg decodes what is there, and of joined ones the first, or the second as a part of the first.

Ref: RFC 8794 (EBML), Microsoft's ASF specification, ISO/IEC 13818-7 (ADTS), 14496-12 (boxes), RFC
4867 (AMR).
"""

from collections.abc import Callable
from typing import NamedTuple

from .containers import check_chunks
from .ogg import check_whole
from .part import AGAIN, DamagedError
from .source import JOINED, MOST_UNREAD, Source, id3_length

_AMR_SIZES = (13, 14, 16, 18, 20, 21, 27, 32, 6, *[1] * 7)  # bytes of a frame, by its kind
_AMR_WB_SIZES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, *[1] * 6)
_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_RATES = (48000, 44100, 32000, 48000)
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_ADTS_HEAD = 7  # bytes
_SEGMENT = b"\x18\x53\x80\x67"
_REAL_MEDIA = b".RMF\0\0\0"
_ROUGH = 16  # bytes by which FFmpeg's RealMedia files are shorter than they say
_ASF = b"0&\xb2u\x8ef\xcf\x11"
_ASF_FACTS = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # the object that holds the file's size


class Extent(NamedTuple):
    """Where a recording ends, and what in it is no sound.

    Attributes:
        unread: seconds from its start, and bytes, as of Part.
        bytes_per_second: of its frames, where they were counted.
    """

    end: int
    unread: tuple[tuple[float | None, int], ...] = ()
    bytes_per_second: float | None = None


def extent(source: Source) -> Extent:
    """How far the recording that begins a file reaches, by its container: to the file's end where that does not tell.

    Raises:
        DamagedError: for one that was cut.
    """
    reach = _extent(source)
    if reach.end > source.size:
        raise DamagedError(f"truncated: its header promises {reach.end} bytes, the file has {source.size}{AGAIN}")
    return reach if reach.end else Extent(source.size)


def _extent(source: Source) -> Extent:
    head = source.bytes_at(0, 4096)
    if head[:4] == b"OggS":
        end, gaps = check_whole(source)
        return Extent(end, ((None, gaps),) if gaps else ())
    if head[:2] == b"\x0bw":
        rate = _AC3_RATES[head[4] >> 6 if len(head) > 4 else 0]
        return _framed(source, 0, b"\x0bw", _ac3_length, 1536 / rate)
    start = id3_length(head[:10])
    if head[:1] == b"\xff" or start:
        head = source.bytes_at(start, _ADTS_HEAD)
        if length := _adts_length(head):
            index = head[2] >> 2 & 15 if length > _ADTS_HEAD else 0
            return _framed(source, start, b"\xff", _adts_length, 1024 / _ADTS_RATES[min(index, 12)])
        return Extent(source.size)
    return Extent(_end(source, head) or 0)


def _end(source: Source, head: bytes) -> int | None:
    """Where a recording ends by sizes that its container tells; None where it does not."""
    if head[:4] in (b"RIFF", b"RIFX", b"caff"):
        return check_chunks(source)
    if head[:4] == b"\x1aE\xdf\xa3":
        return _matroska_size(head)
    if head[:8] == _ASF:
        return _asf_size(head)
    if head[4:8] == b"ftyp":
        return _boxes_end(source)
    if head[:4] == b"wvpk":
        return _wavpack_end(source)
    if head[:5] == b"#!AMR":
        return _amr_end(source, head)
    if head[:4] == b"FLV\x01":
        return _flash_end(source, head)
    if head[:4] == b".RMF":
        return _real_media_end(source)
    if head[:4] == b"TTA1":
        return _true_audio_end(source, head)
    if all(byte >> 4 == 13 for byte in head[: 5 * 33 : 33]):
        return _gsm_end(source)
    return None


def _framed(source: Source, start: int, mark: bytes, length_of: Callable[[bytes], int], seconds: float) -> Extent:
    """How far frames reach that begin at byte `start`, each telling its own size, and the bytes that are none.

    Args:
        mark: what a frame begins with.
        length_of: its bytes, by its first seven; 0 for what is no frame.
        seconds: that one lasts. Behind bytes that are no frame, two must follow each other: a few bytes look like one
            by chance.
    """
    position = end = start
    n_frames = 0
    lost: list[tuple[float | None, int]] = []
    while position < source.size:
        head = source.bytes_at(position, 20)
        length = length_of(head)
        if length and (position == end or length_of(source.bytes_at(position + length, 7))):
            if position > end:
                lost.append((n_frames * seconds, position - end))
            n_frames += 1
            position = end = position + length
        elif (position == end and head.startswith(JOINED)) or position - end > MOST_UNREAD:
            break
        else:
            position = source.find(mark, position + 1)
    n_lost = sum(n_bytes for _, n_bytes in lost)
    return Extent(end, tuple(lost), (end - start - n_lost) / (n_frames * seconds) if n_frames else None)


def _boxes_end(source: Source) -> int:
    """Where the boxes of an MPEG-4 file end; those of a second file begin with another `ftyp`."""
    position = 0
    while position + 8 <= source.size:
        head = source.bytes_at(position, 16)
        length = int.from_bytes(head[:4], "big")
        if not all(32 <= byte < 127 or byte == 0xA9 for byte in head[4:8]) or (position and head[4:8] == b"ftyp"):
            break
        length = int.from_bytes(head[8:16], "big") if length == 1 else length
        if head[4:8] == b"mdat" and (length == 0 or position + length > source.size):
            return source.size  # up to the end, or cut: decoding tells
        if length < 8 or position + length > source.size:
            break
        position += length
    return position


def _wavpack_end(source: Source) -> int:
    """Where the blocks of a WavPack file end, each with its size; a second file begins again with sample 0."""
    position, is_first = 0, True
    while (head := source.bytes_at(position, 20))[:4] == b"wvpk" and len(head) == 20:
        starts_anew = head[16:20] == bytes(4)
        if starts_anew and not is_first:
            break
        is_first = is_first and starts_anew  # several blocks of one time where there are many channels
        position += 8 + int.from_bytes(head[4:8], "little")
    return position


def _amr_end(source: Source, head: bytes) -> int:
    """Where the frames of an AMR file end, each with its kind, which tells its size."""
    if not head.startswith((b"#!AMR\n", b"#!AMR-WB\n")):
        return source.size
    sizes = _AMR_SIZES if head[5:6] == b"\n" else _AMR_WB_SIZES
    position = head.index(b"\n") + 1
    while position < source.size:
        byte = source.bytes_at(position, 1)[0]
        if byte & 0x83:
            break
        position += sizes[byte >> 3 & 15]
    return position


def _flash_end(source: Source, head: bytes) -> int:
    """Where the tags of a Flash video end: a head of 11 bytes with the size of what follows, that, and the whole size.

    Behind the file's header such a size stands, too.
    """
    position = int.from_bytes(head[5:9], "big") + 4
    while (tag := source.bytes_at(position, 4)) and tag[0] & 0xDF in (8, 9, 18):
        position += 11 + int.from_bytes(tag[1:].ljust(3, b"\0"), "big") + 4
    return position


def _real_media_end(source: Source) -> int:
    """Where a RealMedia file ends: at the header of another, as its chunks' sizes are rough; that of data may be 0."""
    position = 0
    while position < source.size:
        head = source.bytes_at(position, 8)
        length = int.from_bytes(head[4:], "big")
        if head[:4] == b"DATA":
            following = source.find(_REAL_MEDIA, position)
            is_cut = following == source.size and position + length > source.size + _ROUGH
            return position + length if is_cut else following
        if length < 8:
            break
        position += length
    return source.size


def _true_audio_end(source: Source, head: bytes) -> int:
    """Where a True Audio file ends: a header, a table of the frames' sizes, a checksum of each, and the frames."""
    rate, n_samples = int.from_bytes(head[10:14], "little"), int.from_bytes(head[14:18], "little")
    n_frames = -(-n_samples // max(rate * 256 // 245, 1))
    table = source.bytes_at(22, min(4 * n_frames, source.size))
    return 26 + len(table) + sum(int.from_bytes(table[k : k + 4], "little") for k in range(0, len(table), 4))


def _ac3_length(head: bytes) -> int:
    """Bytes of an AC-3 or E-AC-3 frame, by its first six; 0 for what is none."""
    if head[:2] != b"\x0bw" or len(head) < 6:
        return 0
    if head[5] >> 3 > 10:  # E-AC-3
        return 2 * (((head[2] & 7) << 8 | head[3]) + 1)
    if head[4] >> 6 == 3 or (head[4] & 63) >> 1 >= len(_AC3_KBITS):
        return 0
    kbits = _AC3_KBITS[(head[4] & 63) >> 1]
    return 2 * (2 * kbits, 320 * kbits // 147 + (head[4] & 1), 3 * kbits)[head[4] >> 6]


def _gsm_end(source: Source) -> int:
    """Where the frames of GSM 06.10 without a header end: each has 33 bytes, and the first has 13 in its upper half."""
    position = 0
    while (head := source.bytes_at(position, 1)) and head[0] >> 4 == 13:
        position += 33
    return min(position, source.size)


def _matroska_size(head: bytes) -> int | None:
    """Bytes of the file: what stands before its one segment, and that."""
    at = head.find(_SEGMENT)
    if at < 0 or at + 12 > len(head) or head[at + 4] == 0:
        return None
    width = 9 - head[at + 4].bit_length()  # the size has as many bytes as zeros lead the first, and one
    size = int.from_bytes(head[at + 4 : at + 4 + width], "big") & (1 << 7 * width) - 1
    return None if size == (1 << 7 * width) - 1 else at + 4 + width + size


def _asf_size(head: bytes) -> int | None:
    """Bytes of the file, unless it was broadcast, which cannot know them."""
    at = head.find(_ASF_FACTS)
    if at < 0 or at + 92 > len(head) or head[at + 88] & 1:
        return None
    return int.from_bytes(head[at + 40 : at + 48], "little")


def _adts_length(head: bytes) -> int:
    """Bytes of an AAC frame, by its first seven; of one whose head was cut, more than are there; 0 for what is none."""
    if head[:1] != b"\xff" or (len(head) > 1 and head[1] & 0xF6 != 0xF0):
        return 0
    if len(head) < _ADTS_HEAD:
        return _ADTS_HEAD
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= _ADTS_HEAD else 0
