"""What files that only FFmpeg decodes say of their own size.

Of a cut one, FFmpeg decodes what is there, and of joined ones the first, or the second as a part of the first.

Ref: RFC 8794 (EBML), Microsoft's ASF specification, ISO/IEC 13818-7 (ADTS), 14496-12 (boxes), RFC
4867 (AMR).
"""

from .containers import check_chunks
from .mpeg import id3_length
from .ogg import check_whole
from .part import AGAIN, DamagedError
from .source import Source

_AMR_SIZES = (13, 14, 16, 18, 20, 21, 27, 32, 6, *[1] * 7)  # bytes of a frame, by its kind
_AMR_WB_SIZES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, *[1] * 6)
_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_SEGMENT = b"\x18\x53\x80\x67"
_ASF = b"0&\xb2u\x8ef\xcf\x11"
_ASF_FACTS = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # the object that holds the file's size


def checked_end(source: Source) -> int:
    """Where the recording that begins a file ends, by its container; the file's size where that does not tell.

    Raises DamagedError for one that was cut.
    """
    head = source.bytes_at(0, 4096)
    end = None
    if head[:4] == b"OggS":
        end = check_whole(source)
    elif head[:4] in (b"RIFF", b"RIFX", b"caff"):
        end = check_chunks(source)
    elif head[:4] == b"\x1aE\xdf\xa3":
        end = _matroska_size(head)
    elif head[:8] == _ASF:
        end = _asf_size(head)
    elif head[4:8] == b"ftyp":
        end = _boxes_end(source)
    elif head[:4] == b"wvpk":
        end = _wavpack_end(source)
    elif head[:5] == b"#!AMR":
        end = _amr_end(source, head)
    elif head[:4] == b"TTA1":
        end = _true_audio_end(source, head)
    elif head[:2] == b"\x0bw":
        end = _ac3_end(source)
    elif all(byte >> 4 == 13 for byte in head[: 5 * 33 : 33]):
        end = _gsm_end(source)
    elif head[:1] == b"\xff" or head[:3] == b"ID3":
        end = _adts_end(source)
    if end is not None and end > source.size:
        raise DamagedError(f"truncated: its header promises {end} bytes, the file has {source.size}{AGAIN}")
    return end or source.size


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


def _true_audio_end(source: Source, head: bytes) -> int:
    """Where a True Audio file ends: a header, a table of the frames' sizes, a checksum of each, and the frames."""
    rate, n_samples = int.from_bytes(head[10:14], "little"), int.from_bytes(head[14:18], "little")
    n_frames = -(-n_samples // max(rate * 256 // 245, 1))
    table = source.bytes_at(22, min(4 * n_frames, source.size))
    return 26 + len(table) + sum(int.from_bytes(table[k : k + 4], "little") for k in range(0, len(table), 4))


def _ac3_end(source: Source) -> int:
    """Where the frames of an AC-3 or E-AC-3 file end."""
    position = 0
    while (head := source.bytes_at(position, 6))[:2] == b"\x0bw" and len(head) == 6:
        if head[5] >> 3 > 10:  # E-AC-3
            n_words = ((head[2] & 7) << 8 | head[3]) + 1
        elif head[4] >> 6 == 3 or (head[4] & 63) >> 1 >= len(_AC3_KBITS):
            break
        else:
            kbits = _AC3_KBITS[(head[4] & 63) >> 1]
            n_words = (2 * kbits, 320 * kbits // 147 + (head[4] & 1), 3 * kbits)[head[4] >> 6]
        position += 2 * n_words
    return min(position, source.size) or source.size


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


def _adts_end(source: Source) -> int | None:
    """Where the last of the AAC frames ends; None for another format."""
    position = end = id3_length(source.bytes_at(0, 10))
    while position < source.size:
        head = source.bytes_at(position, 7)
        is_start = head[:1] == b"\xff" and (len(head) < 2 or head[1] & 0xF6 == 0xF0)
        length = ((head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5) if len(head) == 7 else 7
        if is_start and length >= 7 and (position == end or _adts_leads_on(source, position, length)):
            position = end = position + length
        elif position == 0:
            return None
        else:
            position = source.find(b"\xff", position + 1)
    return end


def _adts_leads_on(source: Source, position: int, length: int) -> bool:
    """Whether another frame follows: else two bytes look like one by chance."""
    following = source.bytes_at(position + length, 2)
    return len(following) == 2 and following[0] == 0xFF and following[1] & 0xF6 == 0xF0
