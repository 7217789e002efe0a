"""Sound that libsndfile cannot decode, known by a file's first bytes, and the command that converts it."""

import os
import shlex
import subprocess
from pathlib import Path, PurePath
from typing import BinaryIO, NamedTuple

from .containers import wav_kind
from .source import id3_length

_HEAD = 4096  # bytes to look at

# Where in the file, the bytes there, what it is then.
_SIGNATURES = (
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM file"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a Windows Media file (wma, wmv)"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"FLV\x01", "a Flash video"),
    (0, b"\x00\x00\x01\xba", "an MPEG video"),
    (8, b"AVI ", "an AVI video"),
    (0, b".RMF", "a RealMedia file"),
    (0, b".ra\xfd", "a RealAudio file"),
    (0, b"wvpk", "a WavPack file"),
    (0, b"MAC ", "a Monkey's Audio file"),
    (0, b"TTA1", "a True Audio file"),
    (0, b"MPCK", "a Musepack file"),
    (0, b"MP+", "a Musepack file"),
    (0, b"DSD ", "a DSD file"),
    (0, b"FRM8", "a DSD file"),
    (0, b"\x0bw", "an AC-3 file"),
    (0, b"\x7f\xfe\x80\x01", "a DTS file"),
    (0, b"ajkg", "a shorten file"),
    (4, b"ftyp", "an MPEG-4 file (m4a, mp4, mov, 3gp)"),
    (4, b"moov", "a QuickTime file"),
    (4, b"mdat", "a QuickTime file"),
    (4, b"wide", "a QuickTime file"),
)
_NOT_SOUND = (
    (b"version https://git-lfs", "a Git LFS pointer, not the recording itself; fetch it: git lfs pull"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
)
_WEB_PAGE = "a web page (HTML), not audio; download the file itself"
_OTHER_OGG = {b"\x7fFLAC": "FLAC in Ogg", b"Speex": "Speex", b"\x80theora": "an Ogg video", b"fishead": "an Ogg video"}
_READABLE_CAF = (b"lpcm", b"ulaw", b"alaw", b"alac")
_KNOWN_STARTS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"fLaC", b"OggS", b".snd", b"FORM", b"caff", b"NIST_1A", b"ID3")
_HEADERLESS = {  # name's end -> what it promises: FFmpeg's format, Hz, in words
    **dict.fromkeys((".raw", ".pcm", ".sw", ".s16", ".s16le"), ("s16le", 16000, "16-bit little-endian")),
    **dict.fromkeys((".ul", ".ulaw", ".mulaw"), ("mulaw", 8000, "mu-law")),
    **dict.fromkeys((".al", ".alaw"), ("alaw", 8000, "A-law")),
}


class Foreign(NamedTuple):
    """A file that libsndfile cannot read.

    Attributes:
        what: it is, in words.
        reason: the whole complaint, with the command that converts it.
        is_decodable: whether FFmpeg may be asked.
    """

    what: str
    reason: str
    is_decodable: bool


def refusal(path: str | os.PathLike) -> str | None:
    """Why the sound in this file cannot be decoded here, with the command that converts it; None where it may be.

    Raises:
        OSError: if the file cannot be read.
    """
    from . import ffmpeg

    with Path(path).open("rb") as stream:
        kind = recognised(stream, path)
    return kind.reason if kind and not (kind.is_decodable and ffmpeg.decoder()) else None


def recognised(stream: BinaryIO, path: str | os.PathLike | None) -> Foreign | None:
    """What a file is that libsndfile cannot read; None for what it may read, or what is not known here.

    Only the first bytes are looked at, so a damaged file of a readable format passes. The name counts for headerless
    samples alone: a `.wav` that holds MPEG-4 is MPEG-4.

    Args:
        path: None for standard input.
    """
    stream.seek(0)
    head = stream.read(_HEAD)
    is_tagged = head[:3] == b"ID3" and len(head) >= 10
    if is_tagged:
        stream.seek(id3_length(head))
        head = stream.read(_HEAD)
    for start, message in _NOT_SOUND:
        if head.startswith(start):
            return Foreign(message, message, False)
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return Foreign(_WEB_PAGE, _WEB_PAGE, False)
    if head[:7] == b"NIST_1A":
        return _shortened(head, path)
    suffix = PurePath(os.fsdecode(path or "")).suffix.lower()
    if suffix in _HEADERLESS and not is_tagged and not head.startswith(_KNOWN_STARTS):
        return _headerless(path, *_HEADERLESS[suffix])
    what = _kind(head)
    return Foreign(what, f"{what}, which libsndfile cannot read; {_advice(path)}", True) if what else None


def unknown(cause: str, path: str | os.PathLike | None) -> str:
    """The complaint about a file that no decoder at hand reads."""
    return f"not audio, or of a format that cannot be read ({cause}); if it plays elsewhere, {_advice(path)}"


def _advice(path: str | os.PathLike | None) -> str:
    from . import ffmpeg

    install = "" if ffmpeg.decoder() else f"`{ffmpeg.INSTALL}` reads it, or "
    return f"{install}convert it: {ffmpeg_line(path)}"


def ffmpeg_line(path: str | os.PathLike | None, *, source: str = "", rate: int = 16000) -> str:
    """The shell command that makes a mono wav file of any sound that FFmpeg knows.

    Args:
        path: None for standard input.
        source: FFmpeg's options for a file without header, of which it cannot tell the rate.

    Examples:
        >>> ffmpeg_line("a b.m4a")
        "ffmpeg -i 'a b.m4a' -ar 16000 -ac 1 'a b.wav'"
    """
    name, target = _names(path) if path is not None else ("-", "-f wav -")
    if source:
        return f"ffmpeg {source} -i {name} {target}"
    return f"ffmpeg -i {name} -ar {rate} -ac 1 {target}"


def _names(path: str | os.PathLike) -> tuple[str, str]:
    """The file and the wav file to make of it, quoted for the shell; never the same."""
    name = os.fsdecode(path)
    if name.startswith("-") or (":" in name and os.name != "nt" and not name.startswith("/")):
        name = f"./{name}"  # neither an option nor a protocol of FFmpeg's
    stem, suffix = os.path.splitext(name)  # noqa: PTH122  Path would drop the "./" again
    target = f"{stem}.wav" if suffix.lower() != ".wav" else f"{stem}-converted.wav"
    if os.name == "nt":
        return subprocess.list2cmdline([name]), subprocess.list2cmdline([target])
    return shlex.quote(name), shlex.quote(target)


def _shortened(head: bytes, path: str | os.PathLike | None) -> Foreign | None:
    """A NIST sphere file whose header announces shorten."""
    if b"shorten" not in head:
        return None
    what = "NIST sphere compressed with shorten"
    name, target = _names(path) if path is not None else ("-", "-")
    return Foreign(what, f"{what}, which libsndfile cannot read; convert it: sph2pipe -f wav {name} {target}", True)


def _headerless(path: str | os.PathLike | None, form: str, rate: int, words: str) -> Foreign:
    """Samples without a header."""
    line = ffmpeg_line(path, source=f"-f {form} -ar {rate} -ac 1")
    reason = (
        f"raw samples without a header: nothing says their rate and type; if they are {words}, {rate} Hz, one "
        f"channel, convert it: {line}"
    )
    return Foreign("raw samples", reason, False)


def _kind(head: bytes) -> str | None:
    """What a file is that begins like this, if libsndfile cannot read it."""
    for start, signature, what in _SIGNATURES:
        if head[start : start + len(signature)] == signature:
            return what
    if head[:4] == b"OggS":
        content = head[27 + head[26] :] if len(head) > 27 else b""
        return next((what for start, what in _OTHER_OGG.items() if content.startswith(start)), None)
    if head[:4] == b"caff" and len(head) >= 32 and head[28:32] not in _READABLE_CAF:
        return f"a caf file with samples of the kind {head[28:32].decode('latin-1').strip()!r}"
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
        return wav_kind(head)
    if _is_adts(head):
        return "an AAC file"
    return "an MPEG transport stream" if _is_transport_stream(head) else None


def _is_adts(head: bytes) -> bool:
    """Whether AAC frames begin here: two headers, the second where the first says."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return False
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    following = head[length : length + 2]
    return length >= 7 and (len(following) < 2 or (following[0] == 0xFF and following[1] & 0xF6 == 0xF0))


def _is_transport_stream(head: bytes) -> bool:
    """Whether there is a sync byte at the start of each 188-byte packet, or 192-byte packet of a camera's."""
    return any(
        len(head) > first + 2 * size and all(head[first + k * size] == 0x47 for k in range(3))
        for first, size in ((0, 188), (4, 192))
    )
