"""Held-out data through a model: its words, their errors, and how well the sound suits the model."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..display.brief import many
from ..model.fit import Reference
from ..model.model import Model
from ..model.transcript import Transcript
from ..scoring import Score, Unit, score
from .data import Data


@dataclass(frozen=True)
class DecodingResult:
    """Transcripts of a test set and what they cost.

    Attributes:
        rtf: CPU seconds from raw features to words, over the seconds of speech.
    """

    transcripts: dict[str, Transcript]
    rtf: float

    def __repr__(self) -> str:
        return f"<DecodingResult: {many(len(self.transcripts), 'transcript')}, rtf {self.rtf:.3g}>"

    @property
    def hypotheses(self) -> dict[str, str]:
        """Utterance id -> recognised text."""
        return {i: t.text for i, t in self.transcripts.items()}

    def score(
        self,
        references: Mapping[str, str],
        *,
        unit: Unit = "word",
        unknown_ids: Literal["error", "ignore"] = "error",
    ) -> Score:
        """Errors against the references (asr.scoring.score)."""
        return score(dict(references), self.hypotheses, unit=unit, unknown_ids=unknown_ids)


def decode_all(model: Model, data: Data) -> DecodingResult:
    """Decode every utterance of a test set."""
    model.decoder  # noqa: B018 - compiles the search before the clock starts
    begin = time.process_time()
    table = data.normalised(model.features)
    transcripts = dict(model.decode_together(table, data.speakers))
    seconds = len(table.frames) * model.frame_shift
    return DecodingResult(transcripts, (time.process_time() - begin) / max(seconds, 1e-9))


def with_reference(model: Model, held_out: Data) -> Model:
    """The model that tells recordings unlike its own kind (see asr.model.fit), of which these utterances are examples.

    Args:
        held_out: utterances that were not trained on, 20 or more; of fewer nothing is learned.
    """
    transcripts = decode_all(model, held_out).transcripts.values()
    return replace(model, reference=Reference.of([t.evidence for t in transcripts if t.evidence is not None]))
