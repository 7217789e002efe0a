"""Copies of recordings that models are trained on beside the recordings themselves: at other speeds, for one."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .. import audio
from ..audio.augment import change_speed
from ..corpus import Utterance
from ..errors import AsrError
from ..train.speeds import speed_prefix

logger = logging.getLogger("asr.recipe")

__all__ = ["copied", "speed_copies", "speed_prefix", "write_copies", "write_wav"]


def speed_copies(
    folder: Path, utterances: Sequence[Utterance], speed: float, rate: int, progress: Callable[[int, int], None]
) -> None:
    """The recordings at another speed (see asr.audio.augment.change_speed), as 16-bit ID.wav; `copied` lists them."""
    write_copies(folder, utterances, lambda u, samples: change_speed(samples, rate, speed), rate, progress)


def write_copies(
    folder: Path,
    utterances: Sequence[Utterance],
    change: Callable[[Utterance, np.ndarray], np.ndarray],
    rate: int,
    progress: Callable[[int, int], None],
) -> None:
    """The utterances' samples after a change, as 16-bit ID.wav. What cannot be read is warned of and left out."""
    for number, utterance in enumerate(utterances, start=1):
        try:
            assert utterance.audio is not None  # copies are made of sound
            samples = audio.read(utterance.audio, rate, start=utterance.start, end=utterance.end).samples
            write_wav(folder / f"{utterance.id}.wav", change(utterance, samples), rate)
        except AsrError as error:
            logger.warning("no copy of %s: %s", utterance.id, error)
        progress(number, len(utterances))


def copied(folder: Path, utterances: Sequence[Utterance], prefix: str) -> list[Utterance]:
    """The utterances of a folder of copies; their ids and speakers begin with the prefix."""
    files = ((u, folder / f"{u.id}.wav") for u in utterances)
    return [Utterance(prefix + u.id, prefix + u.speaker, file, u.text) for u, file in files if file.exists()]


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """A 16-bit wav file of float samples in [-1, 1]; larger ones are clipped."""
    import soundfile

    integers = np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)
    soundfile.write(path, integers, rate, subtype="PCM_16")
