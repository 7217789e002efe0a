"""Which channel of a recording an utterance is in."""

from pathlib import Path

from ..errors import AsrError


def channels_of(path: Path) -> list[int | None]:
    """The channels of a file, from 0; of one that has a single channel, or that cannot be read, None alone.

    What is wrong with a file is said when its samples are read.
    """
    from .. import audio

    try:
        n = audio.describe(path).n_channels
    except AsrError:
        return [None]
    return [None] if n == 1 else list(range(n))
