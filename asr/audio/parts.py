"""Which decoder reads a file, and from where to where."""

from . import foreign
from .containers import problem
from .mpeg import frame_header, mpeg_parts
from .part import AGAIN, DamagedError, Part, UnknownFormatError, sndfile_part
from .source import Source, Spliced


def parts_of(source: Source) -> list[Part]:
    """The recordings that a file holds, in order; more than one where some were joined.

    Raises AudioError, without the file's name, for what is no audio, cut, or of a format that cannot be read.
    """
    name = source.path or source.name
    if reason := foreign.reason_of(source.stream, name):
        raise UnknownFormatError(reason)
    head = source.bytes_at(0, 16)
    if head[:3] == b"ID3" or (source.path and source.path.suffix.lower() == ".mp3") or frame_header(head):
        return mpeg_parts(source)
    if reason := problem(source.stream, source.size, str(name)):
        raise DamagedError(f"{reason}{AGAIN if reason.startswith('truncated') else ''}")
    try:
        return [sndfile_part(Spliced(source.stream, [(0, source.size)]), can_seek=False)]
    except UnknownFormatError as error:
        raise UnknownFormatError(
            f"not audio, or of a format that cannot be read ({error}); if it plays elsewhere, "
            f"convert it: {foreign.ffmpeg_line(name)}"
        ) from None
