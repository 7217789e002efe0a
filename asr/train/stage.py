"""A stage of training: a model with the alignments that the next one begins from, its size, and what was left out."""

import json
import logging
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from ..features.pipeline import FeaturePipeline
from ..files import replacing, write_text
from ..files.json_files import read_json, taking_apart
from ..gmm.mono import MonoOptions
from ..gmm.schedule import PassRecord
from ..lang.lexicon import Lexicon
from ..model.model import Model, load
from ..model.parts import load_arrays
from .data import Data

if TYPE_CHECKING:
    from ..gmm.model import DiagGmms
    from ..hmm.transitions import TransitionModel
    from ..hmm.tree import ContextDependency

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sizes:
    """How large the models are.

    Attributes:
        mono_gaussians: of monophones.
        mono_hours: of the shortest utterances, that monophones are trained on.
        leaves: of the other models.
        gaussians: of the other models.
    """

    mono_gaussians: int = 1000
    mono_hours: float = 1.0
    leaves: int = 2000
    gaussians: int = 10_000

    @classmethod
    def of_hours(cls, hours: float) -> "Sizes":
        """Sizes that suit some hours of speech, pauses counted.

        leaves = 750 h^0.65 and Gaussians = 3,500 h^0.7, which is 2,000 and 10,000 for 4 to 5 hours, about what Kaldi's
        recipes have, and 370 and 1,600 for 20 minutes. (On 18 minutes of Mboshi, LDA+MLLT models of 900 and 1,500
        Gaussians had character error rates of 54.1 and 52.6 %.)
        """
        hours = max(hours, 0.02)
        leaves = round(750 * hours**0.65)
        return cls(
            mono_gaussians=round(min(1000, 200 + 1600 * hours)),
            leaves=leaves,
            gaussians=max(round(3500 * hours**0.7), round(1.5 * leaves)),
        )

    @property
    def of_tree(self) -> dict[str, Any]:
        """The options of a model with a tree."""
        from ..hmm.tree_building import TreeOptions

        return {"total_gaussians": self.gaussians, "tree": TreeOptions(max_leaves=self.leaves)}


@dataclass(frozen=True, eq=False)
class TrainedStage:
    """A model of the ladder, and what the next one needs.

    Attributes:
        model: without a graph.
        alignments: utterance id -> int32 (n_frames,) transition ids.
        failures: utterance id -> why it was left out.
        log: one record a pass.
    """

    model: Model
    alignments: dict[str, np.ndarray]
    failures: dict[str, str]
    log: list[PassRecord]

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def transitions(self) -> "TransitionModel":
        """The model's transitions."""
        return self.model.hmms.transitions

    @property
    def tree(self) -> "ContextDependency":
        """The model's tree."""
        return self.model.hmms.tree

    @property
    def gmms(self) -> "DiagGmms":
        """The model's Gaussians."""
        return cast("DiagGmms", self.model.acoustic)

    def save(self, folder: Path) -> None:
        """Write the model, its alignments and the log into a folder."""
        self.model.save(folder / "model")
        ids = list(self.alignments)
        with replacing(folder / "alignments.npz") as temporary:
            np.savez(
                temporary,
                ids=np.array(ids, dtype=np.str_),
                lengths=np.array([len(self.alignments[u]) for u in ids], np.int64),
                transition_ids=np.concatenate([np.zeros(0, np.int32), *self.alignments.values()]),
            )
        training = {"failures": self.failures, "log": [asdict(record) for record in self.log]}
        write_text(folder / "training.json", json.dumps(training, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "TrainedStage":
        """What `save` wrote."""
        arrays = load_arrays(folder / "alignments.npz")
        with taking_apart(folder / "alignments.npz", what="alignments", error=ModelError):
            pieces = np.split(arrays["transition_ids"], np.cumsum(arrays["lengths"]))[:-1]  # none with CTC
            alignments = dict(zip(arrays["ids"].tolist(), pieces, strict=True))
        training = read_json(folder / "training.json", error=ModelError)
        with taking_apart(folder / "training.json", what="a training's log", error=ModelError):
            log = [PassRecord(**record) for record in training["log"]]
        return cls(load(folder / "model"), alignments, training["failures"], log)


def warn_of_failures(stage: str, failures: Mapping[str, str], n_utterances: int) -> None:
    """Warn of utterances that a model is not trained on, in one line with an example.

    Args:
        failures: id -> why.
    """
    if failures:
        first, why = next(iter(failures.items()))
        logger.warning(
            "%s: %d of %d utterances %s left out, such as %s: %s",
            stage, len(failures), n_utterances, "is" if len(failures) == 1 else "are", first, why,
        )  # fmt: skip


def without_pronunciation(data: Data, known: Container[str]) -> dict[str, str]:
    """Why utterances are left out that are not among those whose words the lexicon knows."""
    return {u: f"its words are not all in the lexicon: {data.transcripts[u]}" for u in data.raw if u not in known}


def too_short(data: Data, lexicon: Lexicon, frame_shift: float) -> dict[str, str]:
    """Why utterances cannot be aligned that have fewer frames than the HMMs of their words have states.

    Args:
        frame_shift: s. Utterances with words that the lexicon lacks are not looked at.
    """
    found: dict[str, str] = {}
    for u, words in lexicon.encode_all(data.references).items():
        least = MonoOptions.n_states * sum(min(map(len, lexicon.pronunciations(word))) for word in words)
        if len(data.raw[u]) < least:
            found[u] = why_too_short(len(data.raw[u]) * frame_shift, least * frame_shift)
    return found


def why_too_short(seconds: float, needed: float) -> str:
    """Why a recording of so many seconds is of no use, where its transcript needs others."""
    return f"its {seconds:.2f} s are too short for its transcript, which needs {needed:.2f} s or more"


def hours_of(data: Data, pipeline: FeaturePipeline) -> float:
    """Hours of speech, pauses counted."""
    return len(data.raw.frames) * pipeline.frame_shift / 3600
