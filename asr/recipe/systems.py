"""Steps that train models, each from the one below: they return a TrainedStage, from which the next one begins."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CorpusError
from ..features.pipeline import FeaturePipeline
from ..files import write_text
from ..lang.lexicon import Lexicon
from ..model.graphs import with_graph
from ..model.model import Model
from ..train.data import Data
from ..train.stage import Sizes, TrainedStage, hours_of, warn_of_failures

if TYPE_CHECKING:
    from ..gmm.mono import MonoOptions

Features = Data | Mapping[float, Data]
"""Features of a corpus; where the vocal tract length is normalised, at each warp."""


@dataclass(frozen=True)
class Part:
    """Utterances that a model is trained on, with a name for steps."""

    name: str
    train: tuple[str, ...]
    apart: tuple[str, ...] = ()  # some that networks are not trained on: they tell the best epoch


def usable(data: Data, ids: Sequence[str]) -> Data:
    """The utterances with these ids, without those whose recording gave no features."""
    return data.select(i for i in ids if i in data.raw)


def each(data: Features, function: Callable[[Data], Data]) -> Features:
    """What a function makes of features, or of those of each warp."""
    return function(data) if isinstance(data, Data) else {warp: function(those) for warp, those in data.items()}


def with_copies(data: Data, ids: Sequence[str], prefixes: Sequence[str]) -> Data:
    """Utterances and their copies, whose ids begin with the prefixes; "" is the utterance itself."""
    for prefix in prefixes:
        if not any(prefix + i in data.raw for i in ids):
            raise CorpusError(f"there is not one copy of the recordings to train on that is called {prefix}ID")
    return usable(data, [prefix + i for prefix in prefixes for i in ids])


def train_mono(
    data: Features, part: Part, below: None = None, prefixes: Sequence[str] = ("",), *, pipeline: FeaturePipeline,
    lexicon: Lexicon, options: "MonoOptions", seed: int, n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> TrainedStage:  # fmt: skip
    """A step: monophones of all utterances; of features at several warps, each speaker at the likeliest one."""
    settings: dict[str, Any] = {"seed": seed, "n_jobs": n_jobs, "progress": progress}
    wanted = each(data, lambda those: with_copies(those, part.train, prefixes))
    if isinstance(wanted, Data):
        from ..train.mono import train_monophone

        model, result = train_monophone(wanted, lexicon, pipeline, options, **settings)
    else:
        from ..train.vtln import train_vtln

        model, result, _ = train_vtln(wanted, lexicon, pipeline, options, **settings)
    warn_of_failures(part.name, result.failures, len(part.train) * len(prefixes))
    return TrainedStage(model, result.alignments, result.failures, result.log)


def train_stage(
    data: Data, part: Part, below: TrainedStage | None, prefixes: Sequence[str] = ("",), *, stage: str,
    pipeline: FeaturePipeline, lexicon: Lexicon, sizes: Sizes | None = None, questions: Path | None = None, seed: int,
    n_jobs: int = 1, progress: Callable[[int, int], None] | None = None,
) -> TrainedStage:  # fmt: skip
    """A step: a stage of asr.train.ladder, from the one before. What that could not use is not warned of again.

    Args:
        sizes: those that suit the hours of speech if not given.
        questions: a file of sets of phones that trees may ask about, besides those found by clustering.
    """
    from ..hmm.questions import read_questions
    from ..train import ladder

    wanted = with_copies(data, part.train, prefixes)
    trained = ladder.train_stage(
        stage, wanted, lexicon, below, pipeline=pipeline, seed=seed, n_jobs=n_jobs, progress=progress,
        sizes=sizes or Sizes.of_hours(hours_of(wanted, pipeline)),
        questions=() if questions is None else read_questions(questions, lexicon.phones),
    )  # fmt: skip
    new = {u: why for u, why in trained.failures.items() if below is None or u not in below.failures}
    warn_of_failures(stage, new, len(wanted.raw))
    return trained


def build_graph(trained: TrainedStage) -> Model:
    """A step: a model with a loop over its words as its graph."""
    return with_graph(trained.model)


def write_texts(path: Path, texts: Mapping[str, str]) -> None:
    """`id<TAB>words` lines, as `asr score` reads them."""
    write_text(path, "".join(f"{u}\t{text}\n" for u, text in texts.items()))


def read_texts(path: Path) -> dict[str, str]:
    """What `write_texts` wrote."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return {u: text for u, _, text in (line.partition("\t") for line in lines if line)}


def write_json(path: Path, value: Any) -> None:
    """A JSON file for people and programs."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
