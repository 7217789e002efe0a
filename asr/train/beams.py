"""The beam to search with: what each costs in time and in errors, on recordings with transcripts."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import ModelError
from ..features.table import FeatureTable
from ..model.model import Model
from ..model.transcription import with_an_end
from ..scoring import score
from .data import Data

BEAMS = (4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 16.0, 18.0, 20.0)
"""Nats, from what loses most words to what hardly any graph needs."""

LOSS = 0.005
"""The part of all errors that a narrower beam may add."""


@dataclass(frozen=True)
class BeamPoint:
    """What a beam reached.

    Attributes:
        beam: nats.
        errors: of words.
        total: words in the references.
        seconds: of the processor, for log-likelihoods and search in all passes.
        front_end_seconds: of the processor, for reading the recordings and their features: the same for all beams.
        audio_seconds: of speech.
    """

    beam: float
    errors: int
    total: int
    seconds: float
    front_end_seconds: float
    audio_seconds: float

    @property
    def rate(self) -> float:
        """Word error rate, percent."""
        return 100.0 * self.errors / max(self.total, 1)

    @property
    def real_time_factor(self) -> float:
        """Seconds of one core for a second of speech, everything included."""
        return (self.seconds + self.front_end_seconds) / self.audio_seconds


def try_beams(
    model: Model,
    data: Data,
    beams: Sequence[float] = BEAMS,
    *,
    front_end_seconds: float = 0.0,
    progress: Callable[[], object] | None = None,
) -> list[BeamPoint]:
    """The errors and the time of each beam, from the narrowest to the widest.

    Args:
        data: utterances with references; not those that the model is scored on afterwards.
        beams: nats, above 0.
        front_end_seconds: of the processor, that `data` took to make.
        progress: called after each beam.

    Raises:
        ModelError: without beams or speech.
    """
    table = data.normalised(model.features)
    audio_seconds = sum(len(data.raw[name]) for name in data.raw) * model.frame_shift
    if not beams or not audio_seconds:
        raise ModelError("no beam can be tried; give at least one, and recordings that are not empty")
    references, points = data.references, list[BeamPoint]()
    for _ in _texts(model.with_decoding(beam=min(beams)), table.select(list(table)[:1]), data):
        pass  # compiled code is loaded before the clock starts
    for beam in sorted(set(beams)):
        narrowed = model.with_decoding(beam=beam)
        narrowed.decoder  # noqa: B018 - made before the clock starts
        start = time.process_time()
        texts = dict(_texts(narrowed, table, data))
        seconds = time.process_time() - start
        result = score(references, texts)
        points.append(BeamPoint(beam, result.errors, result.total, seconds, front_end_seconds, audio_seconds))
        if progress is not None:
            progress()
    return points


def _texts(model: Model, table: FeatureTable, data: Data) -> Iterator[tuple[str, str]]:
    """The ids and words of utterances, as `asr transcribe` decodes them."""
    if model.adaptation.adapts:
        yield from ((name, found.text) for name, found in model.decode_together(table, data.speakers))
    else:
        yield from ((name, with_an_end(model, table[name]).text) for name in table)


def chosen_beam(points: Sequence[BeamPoint], speed: float | None = None, *, loss: float = LOSS) -> BeamPoint:
    """The beam to use: the narrowest that makes hardly more errors than the widest, from which the others lose words.

    Args:
        points: one at least.
        speed: the real-time factor that must be kept; beams that take longer are left out. None: none is.
        loss: the part of the widest beam's errors that may be added.

    Raises:
        ModelError: where no beam is so fast; the message names the fastest.
    """
    quick = [p for p in points if speed is None or p.real_time_factor <= speed]
    if not quick:
        fastest = min(points, key=lambda p: p.real_time_factor)
        raise ModelError(
            f"no beam reaches a real-time factor of {speed:g}: the fastest, {fastest.beam:g}, takes "
            f"{fastest.real_time_factor:.3g} s for a second; ask for less speed, or try narrower beams"
        )
    widest = max(quick, key=lambda p: p.beam)
    return min((p for p in quick if p.errors <= widest.errors * (1 + loss)), key=lambda p: p.beam)


def beams_table(points: Sequence[BeamPoint], chosen: BeamPoint) -> str:
    """A line a beam: errors, and seconds for a second of speech; the chosen one is marked."""
    lines = [f"{'beam':>6} {'WER %':>7} {'errors':>7} {'real-time factor':>17} {'times real time':>16}"]
    for p in points:
        speed = 1 / p.real_time_factor if p.real_time_factor else float("inf")
        mark = "  chosen" if p is chosen else ""
        lines.append(f"{p.beam:6g} {p.rate:7.2f} {p.errors:7d} {p.real_time_factor:17.4f} {speed:16.1f}{mark}")
    return "\n".join(lines)
