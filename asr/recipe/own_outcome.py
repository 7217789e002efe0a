"""What asr train leaves: folders and error rates."""

from dataclasses import dataclass, field
from pathlib import Path

from ..display.brief import brief_repr

LADDER_HOURS = 2.0  # of speech, below which the ladder is advised; 0.3 were tried, and 4.5


@dataclass(frozen=True)
class Outcome:
    """What training has left: folders, and the errors on the utterances held out."""

    model: Path
    report: Path | None = None
    rows: dict[str, tuple[float, float]] = field(default_factory=dict)  # how they were decoded -> WER and CER, percent
    words: int = 0  # of the held-out transcripts
    characters: int = 0
    hours: float = 0.0  # of speech that was trained on
    adapted: tuple[str, ...] = ()  # how it was adapted to the held-out speakers, a line for each of the rows
    trained: str = ""  # how many utterances were trained on, of how many
    earlier: str = ""  # a sentence where an earlier stage of the ladder made fewer errors than the last one

    def __repr__(self) -> str:
        return brief_repr(self)

    def table(self) -> str:
        """The errors as a table for a person."""
        width = max(19, *map(len, self.rows))
        lines = [f"{'held-out utterances':<{width}}  {'WER, %':>7}  {'CER, %':>7}"]
        lines += [f"{name:<{width}}  {wer:7.2f}  {cer:7.2f}" for name, (wer, cer) in self.rows.items()]
        lines.append(f"of {self.words} words, {self.characters} characters with blanks")
        return "\n".join([*lines, *self.adapted, *filter(None, [self.earlier.replace("`", "")])])
