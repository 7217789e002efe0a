"""What asr train leaves: folders and error rates."""

from dataclasses import dataclass, field
from pathlib import Path

from ..display.brief import brief_repr

LADDER_HOURS = 2.0  # of speech, below which the ladder is advised; 0.3 were tried, and 4.5


@dataclass(frozen=True)
class Outcome:
    """What training has left: folders, and the errors on the utterances held out.

    Attributes:
        rows: how the utterances were decoded -> (WER, CER), percent; none where no decoding graph could be built.
        words: of the held-out transcripts, as `characters`.
        hours: of speech that was trained on.
        sizes: (pdfs, Gaussians) of the model.
        adapted: how it was adapted to the held-out speakers, a line for each of the rows; none if it does not adapt.
        to_do: how the model gets a decoding graph, where none could be built.
        trained: how many utterances were trained on, of how many, in a sentence.
        earlier: a sentence where an earlier stage of the ladder made fewer errors than the last one.
    """

    model: Path
    report: Path | None = None
    rows: dict[str, tuple[float, float]] = field(default_factory=dict)
    words: int = 0
    characters: int = 0
    hours: float = 0.0
    sizes: tuple[int, int] = (0, 0)
    adapted: tuple[str, ...] = ()
    to_do: str = ""
    trained: str = ""
    earlier: str = ""

    def __repr__(self) -> str:
        return brief_repr(self)

    def table(self) -> str:
        """The errors as a table for a person."""
        if not self.rows:
            return f"no decoding graph and no error rates yet: {self.to_do}"
        width = max(19, *map(len, self.rows))
        lines = [f"{'held-out utterances':<{width}}  {'WER, %':>7}  {'CER, %':>7}"]
        lines += [f"{name:<{width}}  {wer:7.2f}  {cer:7.2f}" for name, (wer, cer) in self.rows.items()]
        lines.append(f"of {self.words} words, {self.characters} characters with blanks")
        return "\n".join([*lines, *self.adapted, *filter(None, [self.earlier.replace("`", "")])])
