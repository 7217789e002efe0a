"""Which channel of a recording an utterance is in."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ..errors import AsrError
from .utterance import Problem, Utterance

Channel = int | Literal["each"] | None
"""The number of a channel from 0, each that a recording has, or None: the mean of all."""

CHANNELS = {"A": 0, "a": 0, "1": 0, "B": 1, "b": 1, "2": 1}
"""The two channels of a call as tables and lists name them, from 0."""


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


def in_channels(
    utterances: Iterable[Utterance], channel: Channel, *, need_text: bool
) -> tuple[list[Utterance], list[Problem]]:
    """The utterances with their channel, and what is wrong; one whose corpus says its channel keeps that.

    "each" makes an utterance and a speaker of each channel, with -1, -2 ... behind their names; a transcript would be
    everybody's, so such a recording is a problem where transcripts are needed.
    """
    found: list[Utterance] = []
    problems: list[Problem] = []
    for utterance in utterances:
        if channel is None or utterance.audio is None or utterance.channel is not None:
            found.append(utterance)
            continue
        numbers = channels_of(utterance.audio) if channel == "each" else [channel]
        if len(numbers) > 1 and need_text:
            message = f"utterance {utterance.id!r} has {len(numbers)} channels and one transcript: say which is meant"
            problems.append(Problem(str(utterance.audio), message))
            continue
        found += [of_channel(utterance, n, of_several=len(numbers) > 1) for n in numbers]
    return found, problems


def of_channel(utterance: Utterance, number: int | None, *, of_several: bool) -> Utterance:
    """The utterance of one channel, from 0, with the names that tell it from the others of several."""
    behind = f"-{number + 1}" if of_several and number is not None else ""
    whole = None if number is None else utterance.id
    return replace(utterance, id=utterance.id + behind, speaker=utterance.speaker + behind, channel=number, whole=whole)
