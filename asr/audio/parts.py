"""Which decoder reads a file, and from where to where."""

from typing import TYPE_CHECKING

from .containers import chunked_part, wav_kind
from .part import AGAIN, DamagedError, Part, UnknownFormatError, sndfile_part
from .source import JOINED, MOST_UNREAD, Source, Spliced, id3_length, tag_length

if TYPE_CHECKING:
    import os

    from .foreign import Foreign

_LEAST = 16  # bytes that count as something unread; fewer are a writer's rounding
_SEARCHED = 1 << 16  # bytes looked at at once


def parts_of(source: Source) -> list[Part]:
    """The recordings that a file holds, in order; more than one where some were joined.

    What lies behind the last one, but for tags and zeros, becomes its `unread`.

    Raises:
        AudioError: without the file's name, for what is no audio, cut, or of a format that cannot be read.
    """
    parts, end = _first_parts(source)
    while (begin := _behind_tags(source, end)) < source.size:
        following = _following_parts(source.between(begin))
        if following is None:
            if source.size - begin >= _LEAST:
                parts[-1] = parts[-1]._replace(unread=(*parts[-1].unread, (None, source.size - begin)))
            break
        parts += following[0]
        end = begin + max(following[1], 1)
    return parts


def _behind_tags(source: Source, position: int) -> int:
    """Where the tags and zeros from byte `position` on end, or amid the zeros where there are too many to read."""
    last = position + MOST_UNREAD
    while position < min(source.size, last):
        if length := tag_length(source.bytes_at(position, 192)):
            position += length
            continue
        piece = source.bytes_at(position, _SEARCHED)
        n_zeros = len(piece) - len(piece.lstrip(b"\0"))
        if n_zeros == 0:
            break
        position += n_zeros
        if n_zeros >= 3 and source.bytes_at(position + 1, 4) == b"ftyp":  # its size begins with zeros
            return position - 3
    return position


def _first_parts(source: Source) -> tuple[list[Part], int]:
    """The recordings of one kind that begin a file, and where they end."""
    found = _foreign(source, source.path)
    if found:
        return _foreign_parts(source, found)
    try:
        return _native_parts(source)
    except UnknownFormatError as error:
        cause = str(error)
        if cause.startswith("not audio"):
            raise
    try:
        return _by_ffmpeg(source)
    except UnknownFormatError:
        from .foreign import unknown

        raise UnknownFormatError(unknown(cause, source.path)) from None


def _following_parts(source: Source) -> tuple[list[Part], int] | None:
    """The same for what stands behind another recording; None for nothing that is known for certain.

    Raises:
        AudioError: for one that was cut.
    """
    head = source.bytes_at(0, 192)
    try:
        if found := _foreign(source, None):
            return _foreign_parts(source, found)
        return _native_parts(source) if head.startswith(JOINED) or _is_mpeg(head) else None
    except UnknownFormatError:
        return None
    except DamagedError as error:
        if "truncated" in str(error):
            raise
        return None  # four bytes can look like a recording's by chance


def _foreign(source: Source, path: "str | os.PathLike | None") -> "Foreign | None":
    """What a file is that libsndfile cannot read, by its first bytes and its name."""
    head = source.bytes_at(0, 4096)
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE" and wav_kind(head) is None:
        return None  # the usual case, which needs no list of all others
    from .foreign import recognised

    return recognised(source.stream, path)


def _foreign_parts(source: Source, kind: "Foreign") -> tuple[list[Part], int]:
    """What only FFmpeg reads."""
    from . import ffmpeg

    if not kind.is_decodable or ffmpeg.decoder() is None:
        raise UnknownFormatError(kind.reason)
    try:
        return _by_ffmpeg(source)
    except (UnknownFormatError, DamagedError) as error:
        cause = str(error).removesuffix(AGAIN)
        cause = cause if cause.startswith(("truncated", "damaged")) else f"damaged, or without sound: {cause}"
        raise DamagedError(f"{kind.what}, {cause}{AGAIN}") from None


def _by_ffmpeg(source: Source) -> tuple[list[Part], int]:
    from .ffmpeg import ffmpeg_part

    part, end = ffmpeg_part(source)
    return [part], end


def _native_parts(source: Source) -> tuple[list[Part], int]:
    """What libsndfile reads."""
    start = 0
    while length := id3_length(source.bytes_at(start, 10)):
        start += length
    head = source.bytes_at(start, 20)
    if start and head.startswith(JOINED):  # else an mp3 file, whose reader knows tags
        parts, end = _native_parts(source.between(start))
        return parts, start + end
    if head[:4] == b"OggS":
        from .ogg import ogg_part

        part, end = ogg_part(source)
        return [part], end
    is_named_mp3 = source.path is not None and source.path.suffix.lower() == ".mp3"
    if start or _is_mpeg(head) or (is_named_mp3 and not head.startswith(JOINED)):
        from .mpeg import mpeg_parts

        return mpeg_parts(source)
    if head[:4] == b"fLaC":
        from .flac import flac_part

        part, end = flac_part(source, 0)
        return [part], end
    if found := chunked_part(source, 0):
        return [found[0]], found[1]
    return [sndfile_part(Spliced(source.stream, [(0, source.size)]))], source.size


def _is_mpeg(head: bytes) -> bool:
    """Whether a frame of MPEG audio begins like this."""
    if head[:1] != b"\xff":
        return False
    from .mpeg import frame_header

    return frame_header(head) is not None
