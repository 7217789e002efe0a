"""Steps that train: features of a corpus, then models, each from the one below."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..corpus import Corpus
from ..errors import CorpusError
from ..features.pipeline import FeaturePipeline
from ..files import write_text
from ..files.json_files import read_json
from ..lang.lexicon import Lexicon
from ..model.graphs import with_graph
from ..model.model import Model
from ..train.data import Data
from ..train.stage import Rung, Sizes, too_short, warn_of_failures

if TYPE_CHECKING:
    from ..gmm.mono import MonoOptions
    from ..nn.ctc.attention import AttentionDecoder

Features = Data | Mapping[float, Data]
"""Features of a corpus; where the vocal tract length is normalised, at each warp."""


@dataclass(frozen=True)
class Part:
    """Utterances that a model is trained on.

    Attributes:
        name: for steps.
        apart: some that networks are not trained on: they tell the best epoch.
    """

    name: str
    train: tuple[str, ...]
    apart: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model, without a graph, with what the next one needs.

    Attributes:
        curves: of the networks in it, by name: the points of asr.nn.curves as dictionaries.
        decoder: of CTC with attention.
    """

    rung: Rung
    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    decoder: "AttentionDecoder | None" = None

    def save(self, folder: Path) -> None:
        """Write the model into `folder`/model, its alignments and log beside it, and its decoder."""
        self.rung.save(folder)
        if self.curves:
            write_json(folder / "curves.json", self.curves)
        if self.decoder is not None:
            from ..model.decoder_file import save_decoder

            save_decoder(self.decoder, self.rung.model, folder)

    @classmethod
    def load(cls, folder: Path) -> "Trained":
        """What `save` wrote."""
        rung, file = Rung.load(folder), folder / "curves.json"
        curves = read_json(file) if file.exists() else {}
        if not (folder / "decoder.safetensors").exists():
            return cls(rung, curves)
        from ..model.decoder_file import load_decoder

        return cls(rung, curves, load_decoder(rung.model, folder))


def extract_data(
    corpus: Corpus,
    pipeline: FeaturePipeline,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    warp: float = 1.0,
    speed: float = 1.0,
) -> Data:
    """Raw front-end features of a corpus.

    Recordings that cannot be used, or are silent all through, are left out, and warned of in a few lines.

    Args:
        warp: of all recordings; see `asr.corpus.extract.extract`.
        speed: of all recordings; see `asr.corpus.extract.extract`.
    """
    return Data.of(corpus, pipeline, n_jobs=n_jobs, vtln_warp=warp, speed=speed, progress=progress)


def usable(data: Data, ids: Sequence[str]) -> Data:
    """The utterances with these ids, without those whose recording gave no features."""
    return data.select(i for i in ids if i in data.raw)


def each(data: Features, function: Callable[[Data], Data]) -> Features:
    """What a function makes of features, or of those of each warp."""
    return function(data) if isinstance(data, Data) else {warp: function(those) for warp, those in data.items()}


def with_copies(data: Data, ids: Sequence[str], prefixes: Sequence[str]) -> Data:
    """Utterances and their copies, whose ids begin with the prefixes; "" is the utterance itself.

    Raises:
        CorpusError: if there is not one copy of a wanted kind.
    """
    for prefix in prefixes:
        if not any(prefix + i in data.raw for i in ids):
            raise CorpusError(f"there is not one copy of the recordings to train on that is called {prefix}ID")
    return usable(data, [prefix + i for prefix in prefixes for i in ids])


def train_mono(
    data: Features,
    part: Part,
    below: None = None,
    prefixes: Sequence[str] = ("",),
    *,
    pipeline: FeaturePipeline,
    lexicon: Lexicon,
    options: "MonoOptions",
    seed: int,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Monophones of all utterances; of features at several warps, each speaker at the likeliest one."""
    settings: dict[str, Any] = {"seed": seed, "n_jobs": n_jobs, "progress": progress}
    wanted = each(data, lambda those: with_copies(those, part.train, prefixes))
    if isinstance(wanted, Data):
        from ..train.mono import train_monophone

        model, result = train_monophone(wanted, lexicon, pipeline, options, **settings)
    else:
        from ..train.vtln import train_vtln

        model, result, _ = train_vtln(wanted, lexicon, pipeline, options, **settings)
    warn_of_failures(part.name, result.failures, len(part.train) * len(prefixes))
    return Trained(Rung(model, result.alignments, result.failures, result.log))


def train_stage(
    data: Data,
    part: Part,
    below: Trained | None,
    prefixes: Sequence[str] = ("",),
    *,
    stage: str,
    pipeline: FeaturePipeline,
    lexicon: Lexicon,
    sizes: Sizes | None = None,
    questions: Path | None = None,
    seed: int,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """A stage of asr.train.ladder, from the one before.

    Utterances that cannot be aligned are warned of, but not those that the stage before warned of, nor those that are
    too short.

    Args:
        sizes: those that suit the hours of speech if not given.
        questions: a file of sets of phones that trees may ask about, besides those found by clustering.
    """
    asked: Sequence = ()
    if questions is not None:
        from ..hmm.questions import read_questions

        asked = read_questions(questions, lexicon.phones)
    wanted = with_copies(data, part.train, prefixes)
    sizes = sizes or Sizes.of_hours(len(wanted.raw.frames) * pipeline.frame_shift / 3600)
    from ..train.ladder import train_rung

    before = None if below is None else below.rung
    rung = train_rung(
        stage, wanted, lexicon, before,
        pipeline=pipeline, sizes=sizes, questions=asked, seed=seed, n_jobs=n_jobs, progress=progress,
    )  # fmt: skip
    known = too_short(wanted, lexicon, pipeline.frame_shift) if before is None else before.failures
    warn_of_failures(stage, {u: why for u, why in rung.failures.items() if u not in known}, len(wanted.raw))
    return Trained(rung)


def build_graph(trained: Trained, fallback: str | None = None) -> Model:
    """A step: a trained model with a loop over its words as its graph.

    Args:
        fallback: see asr.model.graphs.with_graph.
    """
    return with_graph(trained.rung.model, fallback=fallback)


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
