"""MPEG audio (mp3): where its frames lie, which of their samples are sound, and libsndfile to decode them.

An mp3 file is a row of frames, each with its own header, between tags of several kinds. How long it is tells a first
frame without sound at best (Xing, Info, VBRI), and that of a joined or cut file tells wrongly; libsndfile believes it,
and without it guesses from the bit rate. So the frames are counted here, and libsndfile gets them alone, behind a
header frame with the true count.
"""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .part import AGAIN, DamagedError, Part, UnknownFormatError, open_sndfile, sndfile_blocks, sndfile_errors
from .source import JOINED, MOST_UNREAD, Source, Spliced, tag_length

_SEARCH = 1 << 16  # bytes in which the first frame must begin
_WINDOW = 1 << 20  # bytes read at once
_DECODER_DELAY = 529  # samples by which the decoder's filters are late, which a LAME header's delay leaves out
_RESERVOIR = 511  # bytes before a frame that it may take its data from, at most
_WARM = 3  # frames that a decoder must have decoded before those that count, for its filters
_PHASE = 8  # frames after which the decoder's filter bank is in the same phase: so sums round alike
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz, by version bits
_KBITS = {  # kbit/s by whether it is MPEG 1, and layer
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_START = re.compile(rb"[\xffIA]")  # what a frame, an ID3 tag or an APE tag begins with
_HEAD = 192  # bytes at a frame's start in which a header frame has all that it says
_NAMES = {3: "MPEG-1", 2: "MPEG-2", 0: "MPEG-2.5"}


class _Header(NamedTuple):
    """A frame's header.

    Attributes:
        version: its bits (3, 2, 0: MPEG 1, 2, 2.5).
        length: of the frame, bytes.
    """

    version: int
    layer: int
    rate: int
    n_channels: int
    length: int

    @property
    def n_samples(self) -> int:
        if self.layer == 1:
            return 384
        return 1152 if self.version == 3 or self.layer == 2 else 576

    @property
    def side_bytes(self) -> int:
        """Bytes of layer 3's side information, which stands between the header and the main data."""
        if self.version == 3:
            return 17 if self.n_channels == 1 else 32
        return 9 if self.n_channels == 1 else 17

    def fits(self, other: "_Header") -> bool:
        """Whether both can be of one stream."""
        return self[:4] == other[:4]


def frame_header(head: bytes | bytearray) -> _Header | None:
    """What the first four bytes of a frame say, or None if they are none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    bits, hertz = 1000 * _KBITS[version == 3, layer][bitrate], _RATES[version][rate]
    if layer == 1:
        length = (12 * bits // hertz + padding) * 4
    else:
        length = (144 if version == 3 or layer == 2 else 72) * bits // hertz + padding
    return _Header(version, layer, hertz, 1 if head[3] >> 6 == 3 else 2, length)


@dataclass
class _Stream:
    """The frames of one recording.

    Attributes:
        header: of its frames.
        head: the first four bytes of one.
        begin: where the first begins.
        starts: of the frames with sound, bytes.
        lengths: of the frames with sound, bytes.
        n_frames: what a Xing, Info or VBRI frame promises, or None; its own bytes count.
        n_bytes: see `n_frames`.
        skip: samples before the sound that encoder and decoder put there.
        padding: behind it.
        is_last: of the file.
        unread: bytes that are neither frame nor tag, and the number of frames before them.
    """

    header: _Header
    head: bytes
    begin: int
    starts: array = field(default_factory=lambda: array("q"))
    lengths: array = field(default_factory=lambda: array("q"))
    n_frames: int | None = None
    n_bytes: int | None = None
    skip: int = 0
    padding: int = 0
    is_last: bool = False
    unread: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes from the first frame to the end of the last."""
        return self.starts[-1] + self.lengths[-1] - self.begin if self.starts else 0


class _Window:
    """Bytes of a file at any place, read in long pieces."""

    def __init__(self, source: Source):
        self._source, self._start, self._bytes = source, 0, b""

    def at(self, position: int, count: int) -> bytes:
        """Up to `count` bytes, fewer at the end of the file."""
        offset = position - self._start
        if offset < 0 or offset + count > len(self._bytes):
            self._start, offset = position, 0
            self._bytes = self._source.bytes_at(position, max(count, _WINDOW))
        return self._bytes[offset : offset + count]

    def find(self, pattern: re.Pattern, position: int) -> int:
        """Where a pattern of one byte first occurs from `position` on, or the file's size; MOST_UNREAD are searched."""
        last = position + MOST_UNREAD
        while position < self._source.size:
            piece = self.at(position, min(_WINDOW // 2, self._source.size - position))
            if found := pattern.search(piece):
                return position + found.start()
            position += max(len(piece), 1)
            if position > last:
                break
        return self._source.size


def mpeg_parts(source: Source) -> tuple[list[Part], int]:
    """The recordings in an MPEG audio file, and where the last one ends.

    Raises:
        AudioError: for no frames at all, or a file that was cut.
    """
    streams, end = _streams(source)
    if streams:
        streams[-1].is_last = not source.bytes_at(end, 20).startswith(JOINED)
    for stream in streams:
        n_frames, has_all_bytes = len(stream.starts), stream.n_bytes is not None and stream.size >= stream.n_bytes
        # Some encoders count the frame that holds the count, too.
        if stream.n_frames is not None and n_frames < stream.n_frames - 1 and not has_all_bytes:
            said = f"the header promises {stream.n_frames} MPEG frames, the file has {n_frames}"
            raise DamagedError(f"truncated: {said}{AGAIN}")
    parts = [_part(source, stream) for stream in streams if stream.starts]
    if not parts:
        raise UnknownFormatError("not audio: no MPEG layer 3 frame in it")
    return parts, end


def _streams(source: Source) -> tuple[list[_Stream], int]:
    """All frames of a file, and where they end: at one of another kind that was joined, or what is no frame.

    A recording begins behind tags, at a header frame, and where rate or channels change.
    """
    window = _Window(source)
    streams: list[_Stream] = []
    position = expected = lost = 0  # expected: behind the last frame or tag, where another should begin
    behind_tag = True
    while position < source.size:
        head = window.at(position, _HEAD)
        header = frame_header(head)
        in_step = bool(streams) and position == expected and not behind_tag
        goes_on = in_step and header is not None and _continues(streams[-1], head, header)
        if header is not None and (goes_on or _leads_on(window, position, header, source.size, position == expected)):
            lost += position - expected
            is_new = not goes_on and (behind_tag or not _continues(streams[-1], head, header))
            if is_new:
                streams.append(_Stream(header, head[:4], position))
            if not (is_new and _read_counts(streams[-1], head, source.size)):
                if lost:
                    streams[-1].unread.append((len(streams[-1].starts), lost))
                    lost = 0
                _add(streams[-1], position, header.length, source.size)
            behind_tag = False
            position = expected = position + header.length
        elif length := tag_length(head):
            position = expected = position + length
            behind_tag = True
        elif _ends(streams, head, position - expected, in_step):
            break
        else:
            position = window.find(_START, position + 1)
    return streams, expected if streams else 0


def _continues(stream: _Stream, head: bytes, header: _Header) -> bool:
    """Whether a frame is of the recording whose frames came before it, not the first of another."""
    return header.fits(stream.header) and not _is_counting(head, header)


def _ends(streams: list[_Stream], head: bytes, n_unread: int, in_step: bool) -> bool:
    """Whether bytes that are neither frame nor tag end the search: too many of them, or another kind of recording.

    Args:
        n_unread: how many there were before these.
        in_step: whether a frame should begin here.

    Raises:
        DamagedError: the file ends with the beginning of a frame.
    """
    if in_step and len(head) < 4 and head[:2] == streams[-1].head[: min(len(head), 2)]:
        raise DamagedError(f"truncated: the last MPEG frame has {len(head)} bytes{AGAIN}")
    if not streams:
        return n_unread > _SEARCH
    return n_unread > MOST_UNREAD or (n_unread == 0 and head.startswith(JOINED))


def _add(stream: _Stream, position: int, length: int, size: int) -> None:
    """One more frame of a stream."""
    if position + length > size:
        raise DamagedError(f"truncated: the last MPEG frame has {size - position} of {length} bytes{AGAIN}")
    stream.starts.append(position)
    stream.lengths.append(length)


def _leads_on(window: _Window, position: int, header: _Header, size: int, is_expected: bool) -> bool:
    """Whether this is a frame, not bytes by chance: two more follow it, or a tag or the end of the file."""
    at = position + header.length
    for _ in range(2):
        if at >= size:
            return at == size or is_expected
        head = window.at(at, _HEAD)
        following = frame_header(head)
        if tag_length(head) or head.startswith(JOINED):
            return True
        if following is None or not following.fits(header):
            return len(head) < 4 and is_expected
        at += following.length
    return True


def _is_counting(head: bytes, header: _Header) -> bool:
    """Whether this frame holds no sound, but counts those that follow."""
    at = 4 + header.side_bytes
    return header.layer == 3 and (head[at : at + 4] in (b"Xing", b"Info") or head[36:40] == b"VBRI")


def _read_counts(stream: _Stream, head: bytes, size: int) -> bool:
    """Whether a stream's first frame only counts the others; what it says goes into `stream`."""
    if not _is_counting(head, stream.header):
        return False
    if head[36:40] == b"VBRI":
        stream.n_bytes, stream.n_frames = int.from_bytes(head[46:50], "big"), int.from_bytes(head[50:54], "big")
        return True
    at = 8 + stream.header.side_bytes
    flags, at = int.from_bytes(head[at : at + 4], "big"), at + 4
    if flags & 1:
        stream.n_frames, at = int.from_bytes(head[at : at + 4], "big"), at + 4
    if flags & 2:
        stream.n_bytes, at = int.from_bytes(head[at : at + 4], "big"), at + 4
    if not stream.n_frames and not stream.n_bytes:
        return False
    at += 100 * bool(flags & 4) + 4 * bool(flags & 8)  # a table of places, and the quality
    if head[at : at + 4] in (b"LAME", b"Lavf", b"Lavc"):
        delays = int.from_bytes(head[at + 21 : at + 24], "big")
        stream.skip = (delays >> 12) + _DECODER_DELAY
        stream.padding = max((delays & 0xFFF) - _DECODER_DELAY, 0) if stream.n_frames else 0
    return True


def _part(source: Source, stream: _Stream) -> Part:
    """One recording, decoded by libsndfile from any frame on."""
    header, spf = stream.header, stream.header.n_samples
    padding = stream.padding if len(stream.starts) == stream.n_frames and not _has_long_tail(stream, source.size) else 0
    n_samples = max(len(stream.starts) * spf - stream.skip - padding, 0)
    words = f"{_NAMES[header.version]} layer {header.layer} (mp{header.layer})"

    def decode(first: int, last: int | None) -> Iterator[np.ndarray]:
        last = n_samples if last is None else min(last, n_samples)
        if first >= last:
            return
        begin, end = (first + stream.skip) // spf, -(-(last + stream.skip) // spf)
        with open_sndfile(_frames(source, stream, begin, end)) as sound, sndfile_errors():
            # Of the silent frame in front, some versions leave out what their filters are late by.
            at = end * spf - sound.frames - stream.skip if header.layer == 3 else 0
            for block in sndfile_blocks(sound, last - at):
                yield block[max(first - at, 0) :]
                at += len(block)
        if at < last:
            raise DamagedError(f"truncated or damaged: the MPEG frames end at {at / header.rate:.4g} s{AGAIN}")

    unread = tuple((n_frames * spf / header.rate, n_bytes) for n_frames, n_bytes in stream.unread)
    seconds = len(stream.starts) * spf / header.rate
    return Part(header.rate, header.n_channels, n_samples, words, decode, None, unread, sum(stream.lengths) / seconds)


def _has_long_tail(stream: _Stream, size: int) -> bool:
    """Whether there is so much behind the frames that were counted that FFmpeg leaves their padding there."""
    tail = size - stream.begin - (stream.n_bytes or size)
    return stream.is_last and tail > (stream.n_bytes or 0) >> 4


def _frames(source: Source, stream: _Stream, begin: int, end: int) -> Spliced:
    """A file in which the frames begin to end (exclusive) are decoded as in the whole recording.

    It has their true count in front, a silent frame, and some of the frames before: a few for the decoder's filters,
    and before those, emptied, others from which they take their data.
    """
    if stream.header.layer != 3:  # these have no header frames, and are rare: they are decoded from the start
        return Spliced(source.stream, _runs(stream, 0, end))
    warm = max(begin - _WARM, 0)
    start, n_bytes = warm, 0
    while start > 0 and n_bytes < _RESERVOIR:
        start -= 1
        n_bytes += max(stream.lengths[start] - 6 - stream.header.side_bytes, 0)
    start = start // _PHASE * _PHASE
    pieces: list[bytes | tuple[int, int]] = [
        _empty_frame(stream, b"Xing" + (1).to_bytes(4, "big") + (end - start + 1).to_bytes(4, "big")),
        _empty_frame(stream, b""),
    ]
    kept = 0  # bytes of data that the next frame may take from those before it
    for position, length in zip(stream.starts[start:warm], stream.lengths[start:warm], strict=True):
        emptied = _emptied(source.bytes_at(position, 4), stream.header, kept)
        pieces += [emptied, (position + len(emptied), position + max(length, len(emptied)))]
        kept += max(length - len(emptied), 0)
    return Spliced(source.stream, pieces + _runs(stream, warm, end))


def _emptied(head: bytes, header: _Header, kept: int) -> bytes:
    """A frame's head and side information for the same data, but no sound.

    Args:
        kept: bytes of data before; that the frame takes all of them is what hands them on to the next.
    """
    back = min(kept, 511 if header.version == 3 else 255)
    side = back << 7 if header.version == 3 else back << 8  # the number's 9 or 8 bits come first
    return bytes([head[0], head[1] | 1, *head[2:]]) + side.to_bytes(2, "big").ljust(header.side_bytes, b"\0")


def _runs(stream: _Stream, begin: int, end: int) -> list[bytes | tuple[int, int]]:
    """The bytes of the frames begin to end (exclusive), as few stretches of the file."""
    starts, lengths = np.asarray(stream.starts)[begin:end], np.asarray(stream.lengths)[begin:end]
    gaps = np.flatnonzero(starts[1:] != starts[:-1] + lengths[:-1]) + 1
    rows = zip(np.r_[0, gaps], np.r_[gaps, len(starts)], strict=True)
    return [(int(starts[a]), int(starts[b - 1] + lengths[b - 1])) for a, b in rows]


def _empty_frame(stream: _Stream, content: bytes) -> bytes:
    """A frame of the stream without sound.

    Args:
        content: what stands behind its side information.
    """
    needed = 4 + stream.header.side_bytes + 52  # decoders look for tables behind a count
    for bitrate in range(1, 15):
        head = bytearray(stream.head)
        head[1] |= 1  # no checksum
        head[2] = head[2] & 0x0D | bitrate << 4  # the same rate, no padding
        header = frame_header(head)
        if header and header.length >= needed:
            break
    assert header is not None
    return (bytes(head) + bytes(header.side_bytes) + content).ljust(header.length, b"\0")
