"""Ogg files: the recordings that are joined in one, whether they are whole, and stretches of them.

libsndfile reads the first of several joined recordings, seeks to wrong places (tens of ms off near the end), and can
crash where it seeks in a damaged file. So the pages are walked here, and it gets those of one recording, or of a
stretch of it with some before.

Ref: RFC 3533 (Ogg), RFC 7845 (Opus in Ogg), Vorbis I specification, appendix A.
"""

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .part import AGAIN, DamagedError, Part, UnknownFormatError, cut_short, open_sndfile, sndfile_blocks, sndfile_errors
from .source import Source, Spliced

_CODECS = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus"}
_HEADERS = {"Vorbis": 3, "Opus": 2}  # packets before the sound, on pages of their own
_VORBIS_WARM = 8192  # samples, the longest block: what a Vorbis decoder must have decoded before
_OPUS_WARM = 10.0  # s of Opus to decode before: what is left of an older state was below any bit after 2 s
_OPUS_RATE = 48000  # Hz, of the ticks of every Opus stream
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Page(NamedTuple):
    """One page's header.

    Attributes:
        flags: 1 continues a packet, 2 begins a stream, 4 ends it.
        tick: granule position.
        n_packets: that end on it.
    """

    flags: int
    tick: int
    serial: bytes
    n_packets: int
    header_length: int
    length: int


@dataclass
class _Stream:
    """The pages of one recording.

    Attributes:
        starts: of all pages, bytes.
        ends: of all pages, bytes.
        ticks: position of the last sample that ends on a page, -1 for none.
        n_heads: pages at the start that hold headers alone.
        continued: whether a page goes on with a packet of the one before.
        early: samples by which the pages' own ticks are too small, as the sound begins before 0 (ticks: put right).
    """

    serial: bytes
    codec: str | None
    starts: array = field(default_factory=lambda: array("q"))
    ends: array = field(default_factory=lambda: array("q"))
    ticks: array = field(default_factory=lambda: array("q"))
    continued: array = field(default_factory=lambda: array("b"))
    n_heads: int = 0
    n_packets: int = 0
    has_end: bool = False
    early: int = 0

    def add(self, position: int, page: _Page) -> None:
        self.starts.append(position)
        self.ends.append(position + page.length)
        self.ticks.append(page.tick)
        self.continued.append(page.flags & 1)
        self.n_heads += self.n_packets < _HEADERS.get(self.codec or "", 0)
        self.n_packets += page.n_packets
        self.has_end |= bool(page.flags & 4)


def ogg_part(source: Source) -> tuple[Part, int]:
    """The recording that begins an Ogg file, and where it ends.

    Raises:
        AudioError: for one that was cut or damaged, or holds neither Vorbis nor Opus.
    """
    stream, end, gaps = _stream(source)
    if stream is None:
        raise DamagedError(f"damaged: no Vorbis or Opus stream begins in it{AGAIN}")
    return _part(source, stream)._replace(unread=((None, gaps),) if gaps else ()), end


def check_whole(source: Source) -> tuple[int, int]:
    """Where the recording that begins an Ogg file ends, and the bytes in it that are no page.

    Raises:
        DamagedError: where it was cut, or is damaged: of a page with a wrong checksum FFmpeg says nothing, and leaves
            out all that it does not understand.
    """
    _, end, gaps = _stream(source)
    for position, page in _pages(source.between(0, end)):
        _check_page(source, position, position + page.length)
    return end, gaps


def _pages(source: Source) -> Iterator[tuple[int, _Page]]:
    """All pages and where they begin; what lies between them is passed over. Raises DamagedError for a cut last one."""
    position = 0
    while position < source.size:
        page = _page(source.bytes_at(position, 27 + 255))
        if page is None:
            position = source.find(b"OggS", position + 1)
            continue
        if position + page.length > source.size:
            have = source.size - position
            raise DamagedError(f"truncated: the last Ogg page has {have} of {page.length} bytes{AGAIN}")
        yield position, page
        position += page.length


def _stream(source: Source) -> tuple[_Stream | None, int, int]:
    """The recording that begins a file, where it ends, and the bytes between its pages.

    Of streams that lie side by side (video, captions) it is the first known. Raises DamagedError where it was cut.
    """
    stream: _Stream | None = None
    end = gaps = 0
    is_starting, has_end = True, False  # several pages in a row that begin streams are of one recording
    for position, page in _pages(source):
        if page.flags & 2 and not is_starting:
            return stream, end, gaps
        is_starting = bool(page.flags & 2)
        if is_starting and stream is None:
            body = source.bytes_at(position + page.header_length, 8)
            codec = next((name for start, name in _CODECS.items() if body.startswith(start)), None)
            stream = _Stream(page.serial, codec) if codec else None
        if stream and page.serial == stream.serial:
            stream.add(position, page)
        gaps += position - end
        end, has_end = position + page.length, bool(page.flags & 4)
    if not (stream.has_end if stream else has_end):
        raise DamagedError(f"truncated: the Ogg stream's last page is missing{AGAIN}")
    return stream, end, gaps


def _page(head: bytes) -> _Page | None:
    """What a page's header says; the part that is there of one that was cut may seem short."""
    if head[:4] != b"OggS" or len(head) < 27 or head[4] != 0 or head[5] > 7:
        return None
    header_length = 27 + head[26]
    sizes = head[27:header_length]
    length = header_length + sum(sizes) + (len(sizes) < head[26])  # one more than there is, if the header is cut
    tick = int.from_bytes(head[6:14], "little", signed=True)
    return _Page(head[5], tick, head[14:18], sum(size < 255 for size in sizes), header_length, length)


def _part(source: Source, stream: _Stream) -> Part:
    """One recording, decoded by libsndfile."""
    n_pages = len(stream.starts)
    _check_pages(source, stream, n_pages - 1, n_pages)  # it tells the length
    try:
        _put_right(source, stream)
        with open_sndfile(Spliced(source.stream, _runs(source, stream, 0, n_pages))) as sound:
            rate, n_channels, n_samples = sound.samplerate, sound.channels, sound.frames
    except UnknownFormatError as error:
        _check_pages(source, stream, 0, n_pages)
        raise DamagedError(f"damaged: {error}{AGAIN}") from None

    def decode(first: int, last: int | None) -> Iterator[np.ndarray]:
        last = n_samples if last is None else min(last, n_samples)
        factor = 1 if stream.codec == "Vorbis" else max(_OPUS_RATE // rate, 1)
        begin, end = _window(source, stream, first * factor, last * factor, n_samples * factor)
        _check_pages(source, stream, 0, stream.n_heads)
        _check_pages(source, stream, begin, end)
        first_pages = _runs(source, stream, 0, n_pages) if begin == 0 else _heads(source, stream)
        pieces = first_pages if begin == 0 else [*first_pages, *_runs(source, stream, begin, end)]
        with open_sndfile(Spliced(source.stream, pieces)) as sound, sndfile_errors():
            # The last page's tick is where its samples end; none of Opus is left out at the start (_heads).
            at = 0 if begin == 0 else (stream.ticks[end - 1] - _lead(source, stream)) // factor - sound.frames
            for block in sndfile_blocks(sound, last - at):
                yield block[max(first - at, 0) :]
                at += len(block)
        if at < last:
            raise DamagedError(cut_short(n_samples / rate, at / rate))

    return Part(rate, n_channels, n_samples, f"Ogg, {stream.codec}", decode)


def _put_right(source: Source, stream: _Stream) -> None:
    """Count the ticks of a Vorbis stream from the first sample that its packets hold.

    Where a stream was cut without decoding (`ffmpeg -ss 1 -i a.ogg -c copy b.ogg`), more samples lie on the first page
    than its tick says: those before the cut. libsndfile plays them, and ends as much too early.
    """
    first = next((k for k in range(stream.n_heads, len(stream.ticks)) if stream.ticks[k] != -1), None)
    if stream.codec != "Vorbis" or first is None or first == len(stream.ticks) - 1:
        return  # of a single page, the samples that are too many stand at the end
    page = _moved(source, stream, first, 1 << 40)  # so late that none is left out
    pieces = [*_runs(source, stream, 0, first), page]
    with open_sndfile(Spliced(source.stream, pieces)) as sound:
        early = sound.frames - stream.ticks[first]
    if early > 0:
        stream.early = early
        for k in range(stream.n_heads, len(stream.ticks)):
            stream.ticks[k] += early if stream.ticks[k] != -1 else 0


def _moved(source: Source, stream: _Stream, k: int, tick: int) -> bytes:
    """A page with another tick."""
    page = bytearray(source.bytes_at(stream.starts[k], stream.ends[k] - stream.starts[k]))
    page[6:14] = tick.to_bytes(8, "little", signed=True)
    page[22:26] = _checksum(bytes(page))
    return bytes(page)


def _window(source: Source, stream: _Stream, first: int, last: int, n_ticks: int) -> tuple[int, int]:
    """The pages to decode for the ticks first to last, from the first sample on: begin and end (exclusive).

    begin is 0 where all before has to be decoded: near the start, or where ticks do not count the samples.
    """
    n_pages, lead = len(stream.starts), _lead(source, stream)
    warm = _VORBIS_WARM if stream.codec == "Vorbis" else int(_OPUS_WARM * _OPUS_RATE)
    known = [k for k in range(stream.n_heads, n_pages) if stream.ticks[k] >= 0]
    ticks = [stream.ticks[k] - lead for k in known]
    if not ticks or any(a > b for a, b in pairwise(ticks)):
        return 0, n_pages
    end = known[min(bisect_left(ticks, last), len(known) - 1)] + 1
    begin = bisect_right(ticks, first - warm) - 1  # the sound of the page behind this one lies early enough
    while begin >= 0 and stream.continued[known[begin] + 1]:
        begin -= 1
    if begin < 0 or ticks[-1] != n_ticks or ticks[begin] % 6 or end - known[begin] < 3:
        return 0, end
    return known[begin] + 1, end


def _lead(source: Source, stream: _Stream) -> int:
    """Ticks before the first sample: what Opus' header says to leave out."""
    if stream.codec == "Vorbis":
        return 0
    at = stream.starts[0] + 27 + source.bytes_at(stream.starts[0] + 26, 1)[0]
    return int.from_bytes(source.bytes_at(at + 10, 2), "little")


def _heads(source: Source, stream: _Stream) -> list[bytes | tuple[int, int]]:
    """The pages with the headers; Opus' without the samples to leave out, for these are not at a window's start."""
    runs = _runs(source, stream, 0, stream.n_heads)
    if stream.codec == "Vorbis":
        return runs
    page = bytearray(source.bytes_at(stream.starts[0], stream.ends[0] - stream.starts[0]))
    at = 27 + page[26] + 10
    page[at : at + 2] = bytes(2)
    page[22:26] = _checksum(bytes(page))
    return [bytes(page), *_runs(source, stream, 1, stream.n_heads)]


def _runs(source: Source, stream: _Stream, begin: int, end: int) -> list[bytes | tuple[int, int]]:
    """The bytes of the pages begin to end (exclusive), as few stretches of the file."""
    runs: list[bytes | tuple[int, int]] = []
    first = begin
    for k in range(begin + 1, end + 1):
        if stream.early and k > stream.n_heads and stream.ticks[k - 1] != -1:
            runs += [(stream.starts[first], stream.starts[k - 1])] if first < k - 1 else []
            runs.append(_moved(source, stream, k - 1, stream.ticks[k - 1]))
            first = k
        elif k == end or stream.starts[k] != stream.ends[k - 1]:
            runs.append((stream.starts[first], stream.ends[k - 1]))
            first = k
    return runs


def _check_pages(source: Source, stream: _Stream, begin: int, end: int) -> None:
    """Raise DamagedError for a page whose checksum is wrong; a decoder would pass it over, and all behind lie early."""
    for k in range(begin, end):
        _check_page(source, stream.starts[k], stream.ends[k])


def _check_page(source: Source, start: int, end: int) -> None:
    page = source.bytes_at(start, end - start)
    if page[22:26] != _checksum(page):
        raise DamagedError(f"damaged: the Ogg page at byte {start} has a wrong checksum{AGAIN}")


def _checksum(page: bytes) -> bytes:
    """Ogg's checksum of a page: a 32-bit CRC over zlib's polynomial, but with the bits of all bytes in other order."""
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED)
    value = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF  # neither begins nor ends with ones
    return value.to_bytes(4, "little").translate(_REVERSED)[::-1]
