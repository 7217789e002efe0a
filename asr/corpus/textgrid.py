"""Praat's TextGrids, long and short.

Praat takes free-standing numbers, texts in quotes, and flags such as `<exists>` for the content of a text file, and
everything else, `xmin =` or `intervals [1]:`, for comments; so both forms are one sequence of values.
Ref: Praat's manual, "TextGrid file formats".
"""

import re
from collections.abc import Iterator

from ..errors import CorpusError
from .tiers import Interval, Tier

_VALUE = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)(<\w+>)(?!\S)|(?<!\S)([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)')


def read_textgrid(text: str) -> list[Tier]:
    """The interval tiers of a TextGrid with their labels; tiers of points have no stretches and are left out.

    Raises:
        CorpusError: for another file of Praat's, and for one that is cut short.
    """
    values = (match for match in _VALUE.finditer(text))
    try:
        if _string(values) not in ("ooTextFile", "ooTextFile short") or _string(values) != "TextGrid":
            raise CorpusError("is a file of Praat, but no TextGrid")
        _number(values), _number(values)
        if next(values)[2] != "<exists>":
            return []
        return [tier for _ in range(int(_number(values))) if (tier := _tier(values)) is not None]
    except (StopIteration, RuntimeError):
        raise CorpusError("ends amid its tiers; is it cut short? Copy it again") from None


def _tier(values: Iterator[re.Match[str]]) -> Tier | None:
    kind, name = _string(values), _string(values)
    _number(values), _number(values)
    size = int(_number(values))
    if kind == "TextTier":
        for _ in range(size):
            _number(values), _string(values)
        return None
    if kind != "IntervalTier":
        raise CorpusError(f"has a tier of kind {kind!r}; need IntervalTier or TextTier")
    return Tier(name, [Interval(_number(values), _number(values), _string(values)) for _ in range(size)])


def _string(values: Iterator[re.Match[str]]) -> str:
    match = next(values)
    if match[1] is None:
        raise CorpusError(f"has {match[0]!r} where a text in quotes is due; is it damaged?")
    return match[1].replace('""', '"')


def _number(values: Iterator[re.Match[str]]) -> float:
    match = next(values)
    if match[3] is None:
        raise CorpusError(f"has {match[0]!r:.40} where a number is due; is it damaged?")
    return float(match[3])
