"""One stretch of sound that one decoder reads, and libsndfile as the decoder of most."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import AudioError
from .source import Spliced

if TYPE_CHECKING:
    import soundfile

BLOCK = 1 << 18  # values decoded at once, of all channels together
_SOUGHT = ("WAV", "WAVEX", "RF64", "AIFF", "AU", "CAF", "NIST", "FLAC")  # with these, libsndfile's seek finds the
_SEEKING = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")  # sample asked for
AGAIN = "; copy or download it again"


class DamagedError(AudioError):
    """A recording that was cut or damaged; the message has no name in front yet."""


class UnknownFormatError(AudioError):
    """What no decoder at hand knows; the message has no name in front yet."""


class Part(NamedTuple):
    """A recording, or one of several that were joined in a file.

    decode(first, last): consecutive float32 (n, n_channels), the samples first to last (exclusive; None: the end).
        Raises AudioError for what is damaged; where n_samples is given, exactly as many come.

    Attributes:
        rate: Hz.
        n_samples: per channel; None where only decoding tells.
        words: container and codec, for a person.
        seconds: about how long it is by its header, where n_samples is None.
        unread: what lies in it that is no sound of any kind known: seconds from its start (None: its end), and bytes.
        bytes_per_second: that the sound takes, to tell how much is missing where there are unread bytes; None: not
            known.
    """

    rate: int
    n_channels: int
    n_samples: int | None
    words: str
    decode: Callable[[int, int | None], Iterator[np.ndarray]]
    seconds: float | None = None
    unread: tuple[tuple[float | None, int], ...] = ()
    bytes_per_second: float | None = None


def sndfile_part(stream: Spliced) -> Part:
    """All that libsndfile reads from `stream`.

    Raises:
        UnknownFormatError: where it does not know the format.
    """
    with open_sndfile(stream) as sound:
        rate, n_channels, n_samples = sound.samplerate, sound.channels, sound.frames
        words = f"{sound.format_info}, {sound.subtype_info}"
        can_seek = sound.format in _SOUGHT and sound.subtype in _SEEKING

    def decode(first: int, last: int | None) -> Iterator[np.ndarray]:
        last = n_samples if last is None else min(last, n_samples)
        with open_sndfile(stream) as sound, sndfile_errors():
            at = sound.seek(first) if can_seek and first else 0
            for block in sndfile_blocks(sound, last - at):
                yield block[max(first - at, 0) :]
                at += len(block)
        if at < last:
            raise DamagedError(cut_short(n_samples / rate, at / rate))

    return Part(rate, n_channels, n_samples, words, decode)


def cut_short(promised: float, found: float) -> str:
    """The complaint about a file whose samples end before its header says; both in s."""
    return f"truncated: the header promises {promised:.4g} s, the samples end at {found:.4g} s{AGAIN}"


def open_sndfile(stream: Spliced) -> "soundfile.SoundFile":
    """libsndfile's view of `stream`, from its start.

    Raises:
        UnknownFormatError: where libsndfile does not know the format.
    """
    import soundfile

    class Sequential(soundfile.SoundFile):
        """Without the seek to where it is already, which soundfile adds to each read: mp3 and ogg suffer by it."""

        def seekable(self) -> bool:
            return False

    stream.seek(0)
    try:
        return Sequential(stream)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise UnknownFormatError(_cause(error)) from None


@contextmanager
def sndfile_errors() -> Iterator[None]:
    """libsndfile's errors in decoding as DamagedError."""
    import soundfile

    try:
        yield
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DamagedError(f"truncated or damaged: {_cause(error)}{AGAIN}") from None


def sndfile_blocks(sound: "soundfile.SoundFile", count: int) -> Iterator[np.ndarray]:
    """The next `count` samples, float32 (n, n_channels); fewer where the file ends before.

    What a header promises is never allocated: blocks are short.
    """
    size = max(BLOCK // sound.channels, 1)
    while count > 0:
        block = sound.read(min(count, size), dtype="float32", always_2d=True)
        if len(block) == 0:
            return
        count -= len(block)
        yield block


def _cause(error: Exception) -> str:
    """What libsndfile says, shortened; its MPEG reader takes all that it does not know for a missing file."""
    text = getattr(error, "error_string", str(error)).strip().removeprefix("Error :").strip().rstrip(".")
    return "format not recognised" if "does not exist" in text else text
