"""Tiers of annotation: intervals of a recording with what is said in them."""

from typing import NamedTuple


class Interval(NamedTuple):
    """A stretch in seconds and its label; without times it is the whole recording, or in no known unit."""

    start: float | None
    end: float | None
    text: str


class Tier(NamedTuple):
    """The intervals of one name, in order of time.

    Attributes:
        speaker: None where the file does not say.
    """

    name: str
    intervals: list[Interval]
    speaker: str | None = None
