"""What asr train leaves: folders and error rates."""

from dataclasses import dataclass
from pathlib import Path

from ..display.brief import brief_repr

LADDER_HOURS = 2.0  # of speech, below which the ladder is advised; 0.3 were tried, and 4.5


@dataclass(frozen=True)
class Outcome:
    """What training has left: folders, and the errors on the utterances held out.

    Attributes:
        rows: how the utterances were heard -> (WER, CER), percent; none where no decoding graph could be built.
        words: of the held-out transcripts.
        characters: of the held-out transcripts.
        hours: of speech that was trained on.
        trained: how many utterances these are of how many, in a sentence.
        sizes: (pdfs, Gaussians) of the model.
        adapted: how it was adapted to the held-out speakers, a line for each of the rows; none if it does not adapt.
        earlier: whether an earlier stage of the ladder made fewer errors than the last one, in a sentence; else
            nothing.
        to_do: how the model gets a decoding graph, where none could be built.
    """

    model: Path
    report: Path | None
    rows: dict[str, tuple[float, float]]
    words: int
    characters: int
    hours: float
    sizes: tuple[int, int]
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
        width = max(map(len, self.rows))
        head = f"{'held-out utterances':<{max(width, 19)}}  {'WER, %':>7}  {'CER, %':>7}"
        lines = [f"{name:<{max(width, 19)}}  {w:7.2f}  {c:7.2f}" for name, (w, c) in self.rows.items()]
        size = f"of {self.words} words, {self.characters} characters with blanks"
        told = [self.earlier.replace("`", "")] if self.earlier else []
        return "\n".join([head, *lines, size, *self.adapted, *told])
