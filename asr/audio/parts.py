"""Which decoder reads a file, and from where to where."""

from ..errors import AudioError
from . import ffmpeg, foreign
from .containers import chunked_part
from .flac import flac_part
from .mpeg import frame_header, id3_length, mpeg_parts
from .ogg import ogg_parts
from .part import AGAIN, DamagedError, Part, UnknownFormatError, sndfile_part
from .source import Source, Spliced

_CHUNKED = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b".snd", b"caff", b"NIST")


def parts_of(source: Source) -> list[Part]:
    """The recordings that a file holds, in order; more than one where some were joined.

    Raises AudioError, without the file's name, for what is no audio, cut, or of a format that cannot be read.
    """
    found = foreign.recognised(source.stream, source.path)
    if found:
        return _foreign_parts(source, found)
    try:
        return _native_parts(source)
    except UnknownFormatError as error:
        cause = str(error)
        if cause.startswith("not audio"):
            raise
    try:
        return [ffmpeg.ffmpeg_part(source)]
    except UnknownFormatError:
        raise UnknownFormatError(foreign.unknown(cause, source.path)) from None


def _foreign_parts(source: Source, found: foreign.Foreign) -> list[Part]:
    """What only FFmpeg reads."""
    if not found.is_decodable or ffmpeg.decoder() is None:
        raise UnknownFormatError(found.reason)
    try:
        return [ffmpeg.ffmpeg_part(source)]
    except (UnknownFormatError, DamagedError) as error:
        cause = str(error).removesuffix(AGAIN)
        cause = cause if cause.startswith("truncated") else f"damaged, or without sound: {cause}"
        raise DamagedError(f"{found.what}, {cause}{AGAIN}") from None


def _native_parts(source: Source) -> list[Part]:
    """What libsndfile reads."""
    start = 0
    while length := id3_length(source.bytes_at(start, 10)):
        start += length
    head = source.bytes_at(start, 4)
    if start and head in (b"fLaC", b"OggS", *_CHUNKED):  # else an mp3 file, whose reader knows tags
        return _native_parts(source.behind(start))
    if head == b"OggS":
        return ogg_parts(source)
    is_named_mp3 = source.path is not None and source.path.suffix.lower() == ".mp3"
    if start or frame_header(head) or (is_named_mp3 and head != b"fLaC" and head not in _CHUNKED):
        return mpeg_parts(source)
    parts: list[Part] = []
    position = 0
    while found := _part_at(source, position):
        parts.append(found[0])
        position = found[1]
    return parts or [sndfile_part(Spliced(source.stream, [(0, source.size)]))]


def _part_at(source: Source, position: int) -> tuple[Part, int] | None:
    """The recording that begins at byte `position`, and where it ends; None for none."""
    if position >= source.size:
        return None
    position += id3_length(source.bytes_at(position, 10))
    if source.bytes_at(position, 4) == b"fLaC":
        return flac_part(source, position)
    try:
        return chunked_part(source, position)
    except AudioError:
        if position == 0 or source.bytes_at(position, 4) in _CHUNKED:
            raise
        return None
