"""The tables of a score as text."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import Score


def speaker_lines(scores: "Mapping[str, Score]") -> list[str]:
    """A line for each speaker under a head: utterances, tokens and the kinds of errors."""
    width = max(len("speaker"), *map(len, scores))
    head = f"{'speaker':<{width}}  utterances  tokens  errors   sub   del   ins    rate %"
    return [head] + [
        f"{speaker:<{width}}  {len(s.utterances):>10}  {s.total:>6}  {s.errors:>6}  {s.substitutions:>4}  "
        f"{s.deletions:>4}  {s.insertions:>4}  {s.rate:>8.2f}"
        for speaker, s in scores.items()
    ]


def confusion_lines(confusions: Counter[tuple[str | None, str | None]], count: int) -> list[str]:
    """The most frequent errors; `-` stands for nothing, quotes make a blank visible."""
    ordered = sorted(confusions.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1] or ""))[:count]
    rows = [(str(n), _shown(reference), _shown(hypothesis)) for (reference, hypothesis), n in ordered]
    width = max(len("reference"), *(len(row[1]) for row in rows))
    return [f"count  {'reference':<{width}}  recognised"] + [f"{n:>5}  {r:<{width}}  {h}" for n, r, h in rows]


def _shown(token: str | None) -> str:
    if token is None:
        return "-"
    return repr(token) if token.isspace() or token == "-" else token
