"""Is an audio file whole? What its container promises against what is there. libsndfile does not ask."""

from pathlib import Path
from typing import BinaryIO, Literal

_UNKNOWN_SIZE = 0x7FFFF000  # writers to a pipe, which cannot go back to fill in the size, put this or more
_MPEG_SEARCH = 1 << 16  # bytes in which the first MPEG frame must begin

_SOUND = (b"WAVE", b"AIFF", b"AIFC")

# Formats made of named chunks: byte order, where the first chunk begins, bytes of a chunk's size.
_CHUNKED: dict[bytes, tuple[Literal["little", "big"], int, int]] = {
    b"RIFF": ("little", 12, 4),
    b"RF64": ("little", 12, 4),
    b"RIFX": ("big", 12, 4),
    b"FORM": ("big", 12, 4),
    b"caff": ("big", 8, 8),
}


def problem(stream: BinaryIO, size: int, path: str) -> str | None:
    """Why an audio file is not whole or not audio, or None where its container looks sound or is of another format.

    Looks at wav (RIFF, RIFX, RF64, W64), aiff, au, caf, NIST sphere, ogg and mp3. A cut flac file fails in decoding.
    Raises OSError if the file cannot be read.
    """
    stream.seek(0)
    head = stream.read(1024)
    if head[:4] == b"fLaC" or (head[:4] in (b"RIFF", b"FORM") and size >= 12 and head[8:12] not in _SOUND):
        return None
    if head[:4] in _CHUNKED:
        reason = _chunks(stream, size, *_CHUNKED[head[:4]])
    elif head[:4] == b"OggS":
        reason = _ogg(stream, size)
    elif head[:4] == b"riff":  # W64: a 16-byte id, then the size of the whole file
        reason = _shortage(int.from_bytes(head[16:24], "little"), size)
    elif head[:4] == b".snd":
        reason = _shortage(int.from_bytes(head[8:12], "big"), size - int.from_bytes(head[4:8], "big"))
    elif head[:7] == b"NIST_1A":
        reason = _sphere(head, size)
    elif head[:3] == b"ID3" or Path(path).suffix.lower() == ".mp3":
        return _mpeg(stream, size)
    else:
        return None
    return f"truncated: {reason}" if reason else None


def _shortage(promised: int, have: int) -> str | None:
    """The complaint where fewer bytes are there than the header promises."""
    if max(have, 0) < promised < _UNKNOWN_SIZE or promised > 2**32 > have:
        return f"the header promises {promised} bytes, the file has {max(have, 0)}"
    return None


def _chunks(stream: BinaryIO, size: int, byteorder: Literal["little", "big"], start: int, width: int) -> str | None:
    """Walk the chunks (4-byte name, size of `width` bytes) from byte `start` up to the one with the samples."""
    position, size64 = start, 0
    while position + 4 + width <= size:
        stream.seek(position)
        name, length = stream.read(4), int.from_bytes(stream.read(width), byteorder)
        if name == b"ds64":  # RF64: riff size, then data size, 8 bytes each
            size64 = int.from_bytes(stream.read(16)[8:], byteorder)
        if name in (b"data", b"SSND"):
            return _shortage(size64 if size64 and length == 0xFFFFFFFF else length, size - position - 4 - width)
        position += 4 + width + length + (length % 2 if width == 4 else 0)
    return "the file ends before the samples begin"


def _sphere(head: bytes, size: int) -> str | None:
    """A NIST sphere header is text: its own size, then lines `name -i value`."""
    lines = head.decode("latin-1").split("\n")
    fields = {line.split()[0]: line.split()[2] for line in lines if len(line.split()) == 3}
    try:
        counts = [int(fields[name]) for name in ("sample_count", "channel_count", "sample_n_bytes")]
        header = int(lines[1])
    except (KeyError, ValueError, IndexError):
        return None
    if "shorten" in fields.get("sample_coding", ""):
        return None
    return _shortage(counts[0] * counts[1] * counts[2], size - header)


def _ogg(stream: BinaryIO, size: int) -> str | None:
    """Look for a whole last page that says it is the last."""
    tail = min(size, 65307 * 2)  # a page is at most 65,307 bytes
    stream.seek(size - tail)
    data = stream.read(tail)
    at = data.rfind(b"OggS")
    while at >= 0:
        page = data[at:]
        if len(page) < 27 or len(page) < 27 + page[26]:
            return "the last Ogg page is cut"
        if page[4] == 0 and page[5] < 8:  # not "OggS" by chance inside another page's data
            length = 27 + page[26] + sum(page[27 : 27 + page[26]])
            if length > len(page):
                return f"the last Ogg page has {len(page)} of {length} bytes"
            return None if page[5] & 4 else "the Ogg stream's last page is missing"
        at = data.rfind(b"OggS", 0, at)
    return "no Ogg page at the end of the file"


_MPEG_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version bits
_LAYER3_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _mpeg(stream: BinaryIO, size: int) -> str | None:
    """Walk the frames of an mp3 file; the last must be whole, and as many as a Xing or Info header counts."""
    stream.seek(0)
    data = stream.read()
    position, n_frames, promised, is_counted = 0, 0, None, False
    bitrates = set()
    if data[:3] == b"ID3" and len(data) >= 10:
        position = id3_length(data)
        if position >= size:
            return "truncated: the file ends before the samples begin"
    position = _first_mpeg_frame(data, position)
    if position < 0:
        return "not audio: no MPEG layer 3 frame in it"
    while length := _mpeg_frame_length(data[position : position + 4]):  # until the end, or tags behind the last frame
        if position + length > size:
            return f"truncated: the last MPEG frame has {size - position} of {length} bytes"
        if n_frames == 0:
            promised = _xing_frames(data[position : position + length])
            is_counted = promised is not None or b"VBRI" in data[position : position + 64]
        n_frames += 1
        bitrates.add(data[position + 2] >> 4)
        position += length
    if len(bitrates) > 1 and not is_counted:  # libsndfile guesses the length from the first frame, and stops there
        return "an mp3 of changing bit rate without the header (Xing, Info) that says its length; convert it to wav"
    if promised is not None and n_frames - 1 < promised:
        return f"truncated: the header promises {promised} MPEG frames, the file has {max(n_frames - 1, 0)}"
    return None


def id3_length(head: bytes) -> int:
    """Bytes of an ID3 tag, by its first ten: the size is four times seven bits."""
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def _first_mpeg_frame(data: bytes, position: int) -> int:
    """Where the first frame begins: a header with another one, or the file's end, behind its frame; -1 for none."""
    end = position + _MPEG_SEARCH
    while (position := data.find(b"\xff", position, end)) >= 0:
        length = _mpeg_frame_length(data[position : position + 4])
        behind = data[position + length : position + length + 4] if length else b""
        if length and (len(behind) < 4 or behind[:3] == b"TAG" or _mpeg_frame_length(behind)):
            return position
        position += 1
    return -1


def _mpeg_frame_length(header: bytes) -> int | None:
    """Bytes of an MPEG layer 3 frame by its header, or None if it is none."""
    if len(header) < 4:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or version == 1 or layer != 1 or bitrate in (0, 15) or rate == 3:
        return None
    samples_per_byte = 144 if version == 3 else 72
    return samples_per_byte * 1000 * _LAYER3_KBITS[version == 3][bitrate] // _MPEG_RATES[version][rate] + padding


def _xing_frames(frame: bytes) -> int | None:
    """The number of further frames that a Xing or Info header in the first frame counts, or None without one."""
    for tag in (b"Xing", b"Info"):
        at = frame.find(tag, 4, 64)
        if at >= 0 and len(frame) >= at + 12 and frame[at + 7] & 1:
            return int.from_bytes(frame[at + 8 : at + 12], "big")
    return None
