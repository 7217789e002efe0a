"""What files that only FFmpeg decodes say of their own size; of a cut one, FFmpeg decodes what is there.

Ref: RFC 8794 (EBML), Microsoft's ASF specification, ISO/IEC 13818-7 (ADTS).
"""

from .containers import check_chunks
from .mpeg import id3_length
from .ogg import check_whole
from .part import AGAIN, DamagedError
from .source import Source

_SEGMENT = b"\x18\x53\x80\x67"
_ASF = b"0&\xb2u\x8ef\xcf\x11"
_ASF_FACTS = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # the object that holds the file's size


def check_size(source: Source) -> None:
    """Raise DamagedError for a file that was cut, where its container tells."""
    head = source.bytes_at(0, 4096)
    promised = None
    if head[:4] == b"OggS":
        check_whole(source)
    elif head[:4] in (b"RIFF", b"RIFX", b"caff"):
        check_chunks(source)
    elif head[:4] == b"\x1aE\xdf\xa3":
        promised = _matroska_size(head)
    elif head[:8] == _ASF:
        promised = _asf_size(head)
    elif head[:1] == b"\xff" or head[:3] == b"ID3":
        promised = _adts_size(source)
    if promised is not None and promised > source.size:
        raise DamagedError(f"truncated: its header promises {promised} bytes, the file has {source.size}{AGAIN}")


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


def _adts_size(source: Source) -> int | None:
    """Where the last of the AAC frames that follow each other ends."""
    position = id3_length(source.bytes_at(0, 10))
    while position < source.size:
        head = source.bytes_at(position, 7)
        if head[:1] != b"\xff" or (len(head) > 1 and head[1] & 0xF6 != 0xF0):
            return None  # tags, or another format
        length = ((head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5) if len(head) == 7 else 7
        if length < 7:
            return None
        position += length
    return position
