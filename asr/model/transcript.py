"""What was recognised in a recording: words, phones and their times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..display.brief import many, short
from .fit import Evidence

_STRETCHES, _PER_SECOND, _MOST_STRETCHES = 2000, 50, 20_000  # of a recording, that its outline is drawn from


@dataclass(frozen=True)
class TimedWord:
    """A recognised word, from its first phone to its last; seconds.

    Attributes:
        confidence: how probable it is that the word is right, 0 to 1; None where that was not asked for.
    """

    word: str
    start: float
    end: float
    confidence: float | None = None

    def __repr__(self) -> str:
        sure = "" if self.confidence is None else f", confidence={self.confidence}"
        return f"TimedWord(word={self.word!r}, start={self.start}, end={self.end}{sure})"


@dataclass(frozen=True)
class TimedPhone:
    """A recognised phone; seconds."""

    phone: str
    start: float
    end: float


@dataclass(frozen=True)
class Transcript:
    """What was recognised in one recording.

    Attributes:
        text: the words, separated by blanks; empty for silence.
        score: natural-log score of the best path (scaled acoustic plus graph), higher is better.
        reached_final: False where the graph allows no end at the recording's end; the text is then the best so far.
        alignment: int32 (n_frames,) transition ids; of a model of CTC one label for each row of output.
        transform: of the speaker, where the model adapts: "full", "diagonal", "offset" or "identity".
        evidence: how well the sound suits the model; None where that was not measured.
        fits: False where the recording is unlike those that the model is for, so that its words are hardly those that
            were said; of a long one, half of what is spoken or more.
        unlike: s from and to, the pieces of it for which that is clear.
        is_silent: True where no sample of it is louder than rounding is (asr.features.silence).
        alternatives: the best word sequences, this one first, where they were asked for.
        is_calibrated: whether the words' confidences are probabilities that held-out recordings taught; otherwise they
            are the lattice's posteriors, which are too high.
        lattice: Kaldi's CompactLattice as lines of text with names of words, acoustic costs unscaled; empty where it
            was not asked for, and of a recording in several pieces.
        seconds: length of the recording; 0 where it is not known.
        outline: float32 (n, 2): the least and the greatest sample of n equal stretches of it, for pictures; n may be 0.
    """

    text: str
    words: tuple[TimedWord, ...] = ()
    phones: tuple[TimedPhone, ...] = ()
    score: float = 0.0
    reached_final: bool = True
    alignment: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32), repr=False, compare=False)
    transform: str = ""
    evidence: Evidence | None = field(default=None, repr=False, compare=False)
    fits: bool = True
    unlike: tuple[tuple[float, float], ...] = field(default=(), repr=False, compare=False)
    is_silent: bool = field(default=False, compare=False)
    alternatives: "tuple[Transcript, ...]" = field(default=(), repr=False, compare=False)
    is_calibrated: bool = field(default=False, compare=False)
    lattice: str = field(default="", repr=False, compare=False)
    seconds: float = field(default=0.0, compare=False)
    outline: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32), repr=False, compare=False)

    def __repr__(self) -> str:
        if not self.words:
            return f"<Transcript: {short(self.text)!r}>"
        n_words, times = many(len(self.words), "word"), f"{self.words[0].start:.2f} to {self.words[-1].end:.2f} s"
        unfinished = "" if self.reached_final else ", no sentence end was reached"
        return f"<Transcript: {short(self.text)!r}, {n_words}, {times}{unfinished}>"

    def _repr_html_(self) -> str:
        from .html import transcript_html

        return transcript_html(self)

    def of(self, samples: np.ndarray, rate: float) -> "Transcript":
        """The transcript with the length and the outline of its recording.

        Args:
            samples: float32 (n_samples,), one or more.
            rate: Hz.
        """
        wanted = max(_STRETCHES, min(round(_PER_SECOND * len(samples) / rate), _MOST_STRETCHES))
        edges = np.linspace(0, len(samples), min(len(samples), wanted), endpoint=False).astype(np.int64)
        least, greatest = np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)
        return replace(self, seconds=len(samples) / rate, outline=np.stack([least, greatest], axis=1))


def shifted(transcript: Transcript, seconds: float) -> Transcript:
    """The same, later by some seconds: a piece of a recording gets the recording's times."""
    if not seconds:
        return transcript

    def later(time: float) -> float:
        return round(time + seconds, 4)

    return replace(
        transcript,
        words=tuple(replace(w, start=later(w.start), end=later(w.end)) for w in transcript.words),
        phones=tuple(replace(p, start=later(p.start), end=later(p.end)) for p in transcript.phones),
        unlike=tuple((later(start), later(end)) for start, end in transcript.unlike),
        alternatives=tuple(shifted(other, seconds) for other in transcript.alternatives),
    )


def joined(pieces: Sequence[Transcript]) -> Transcript:
    """The transcript of a whole recording from those of its pieces, whose times are the recording's; one at least.

    `reached_final` is that of the last piece, and so is `transform`; scores are summed; it fits if more than half of
    the frames with speech are in pieces that do.
    """
    if len(pieces) == 1:
        return pieces[0]
    return Transcript(
        text=" ".join(piece.text for piece in pieces if piece.text),
        words=tuple(word for piece in pieces for word in piece.words),
        phones=tuple(phone for piece in pieces for phone in piece.phones),
        score=sum(piece.score for piece in pieces),
        reached_final=pieces[-1].reached_final,
        alignment=np.concatenate([piece.alignment for piece in pieces]),
        transform=pieces[-1].transform,
        fits=share_unlike(pieces) < 0.5,
        unlike=tuple(stretch for piece in pieces for stretch in piece.unlike),
        is_silent=all(piece.is_silent for piece in pieces),
        is_calibrated=all(piece.is_calibrated for piece in pieces if piece.words),
    )


def share_unlike(pieces: Iterable[Transcript]) -> float:
    """The part of a recording's frames with speech that are in pieces which do not fit the model, 0 to 1."""
    n_frames = [(piece.evidence.n_frames, piece.fits) for piece in pieces if piece.evidence is not None]
    total = sum(n for n, _ in n_frames)
    return sum(n for n, fits in n_frames if not fits) / total if total else 0.0
