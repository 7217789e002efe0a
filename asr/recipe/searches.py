"""Steps that decode: a model is tuned on held-out utterances and tested, whichever way its words are searched for.

Each way has a class whose fields are what is tried. All are tuned by one rule: every setting is tried, and the one in
the middle of the plateau is used (asr.train.tuning).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ..errors import ConfigError
from ..files import write_text
from ..files.json_files import read_json
from ..model.adaptation import adapt, scores
from ..model.model import Model
from ..scoring import Unit, score
from ..train.data import Data
from ..train.decoding import decode_all
from ..train.tuning import add_tuning, best_point
from .systems import Features, each, read_texts, usable, write_json, write_texts

Setting = dict[str, float]
Texts = dict[str, str]
"""Utterance id -> words."""


@dataclass(frozen=True)
class Point:
    """The errors that a setting made on held-out utterances."""

    setting: Setting
    errors: int
    total: int


class Asked(NamedTuple):
    """What a search may need of a system."""

    trained: Any  # a TrainedStage
    place: Any = None  # the folder of its step, where a decoder may lie
    graph: Any = None  # its model with a graph
    language: Any = None  # n-gram, and lexicon of its words


@dataclass(frozen=True)
class Search(ABC):
    """A way to find the words of a model's scores. Raises ConfigError where there is nothing to try."""

    tuned: ClassVar[tuple[str, ...]] = ()
    """The numbers that are tuned; the first fields, in the same order, are the values of them that are tried."""

    def __post_init__(self) -> None:
        for name, values in zip(self.tuned, astuple(self), strict=False):
            if not values:
                raise ConfigError(f"no {name} is tried; give one value at least")

    def settings(self) -> list[Setting]:
        """All combinations of what is tried."""
        tried = astuple(self)[: len(self.tuned)]
        return [dict(zip(self.tuned, values, strict=True)) for values in product(*tried)]

    def prepared(self, asked: Asked, data: Data) -> Mapping[str, Any]:
        """What is searched in each utterance, whatever the setting: the model's `scored` features."""
        model = asked.trained.model
        features = data.normalised(model.features)
        return {u: self.scored(model, features[u]) for u in features}

    def scored(self, model: Model, features: Any) -> Any:
        """The features themselves, where the search scores them as it goes."""
        return features

    @abstractmethod
    def recogniser(self, asked: Asked, setting: Setting) -> Callable[[Any], str]:
        """What finds the words of an utterance's scores; for one thread, as it keeps its state."""

    def recognised(self, asked: Asked, setting: Setting, of: Mapping[str, Any], n_threads: int) -> Texts:
        """The words of some utterances' scores by several threads; the texts do not depend on how many."""

        def some(ids: Sequence[str]) -> Texts:
            decode = self.recogniser(asked, setting)
            return {u: decode(of[u]) for u in ids}

        ids = sorted(of, key=lambda u: -len(of[u]))  # the longest first, so that all threads end together
        with ThreadPoolExecutor(n_threads) as pool:
            parts = list(pool.map(some, [ids[first::n_threads] for first in range(n_threads)]))
        return {u: text for part in parts for u, text in part.items()}


@dataclass(frozen=True)
class GraphSearch(Search):
    """Viterbi search in the model's decoding graph; its options are those of asr.model.DecodingOptions."""

    tuned = ("acoustic_scale", "insertion_penalty")
    acoustic_scales: tuple[float, ...] = (0.0333, 0.05, 0.0667, 0.0833, 0.1, 0.1429, 0.2)
    insertion_penalties: tuple[float, ...] = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 7.0, 10.0)
    beam: float = 13.0
    max_active: int = 7000

    def set(self, model: Model, setting: Setting) -> Model:
        """A model that decodes so."""
        return model.with_decoding(**setting, beam=self.beam, max_active=self.max_active)

    def prepared(self, asked: Asked, data: Data) -> Mapping[str, Any]:
        table = data.normalised(asked.graph.features)
        return dict(scores(asked.graph, table, adapt(asked.graph, table, data.speakers)))

    def recogniser(self, asked: Asked, setting: Setting) -> Callable[[Any], str]:
        model = self.set(asked.graph, setting)
        search = model.new_decoder()
        return lambda loglikes: model.text(search.decode(loglikes).words)


@dataclass(frozen=True)
class GreedySearch(Search):
    """The best path of a CTC model, without a language model."""

    def scored(self, model: Model, features: Any) -> Any:
        from ..model.acoustic import log_posteriors

        return log_posteriors(model.acoustic, features)

    def recogniser(self, asked: Asked, setting: Setting) -> Callable[[Any], str]:
        from ..ctc.greedy import greedy

        return lambda log_probs: _spelled(asked, greedy(log_probs)[0])


@dataclass(frozen=True)
class PrefixSearch(Search):
    """CTC prefix search with an n-gram of units; see asr.ctc.prefix.PrefixOptions."""

    tuned = ("lm_weight", "insertion_bonus")
    lm_weights: tuple[float, ...] = (0.3, 0.5, 0.7, 1.0)
    insertion_bonuses: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5)
    beam_size: int = 50
    beam: float = 20.0

    def __post_init__(self) -> None:
        from ..ctc.prefix import PrefixOptions

        super().__post_init__()
        PrefixOptions(beam_size=self.beam_size, beam=self.beam)

    def scored(self, model: Model, features: Any) -> Any:
        from scipy.special import log_softmax

        # The priors of the graph are subtracted here too. What normalises a row is the same for all that may be said.
        return log_softmax(model.acoustic.log_likelihoods(features), axis=1)[:, [0, *_units(model)]]

    def recogniser(self, asked: Asked, setting: Setting) -> Callable[[Any], str]:
        from ..ctc import prefix

        options = prefix.PrefixOptions(beam_size=self.beam_size, beam=self.beam, **setting)  # type: ignore[arg-type]
        units = _units(asked.trained.model)
        search = prefix.PrefixSearch([_spelled(asked, [p]) for p in units], asked.language[0], options)
        return lambda log_probs: _spelled(asked, [units[k - 1] for b in search.search(log_probs)[:1] for k in b.tokens])


@dataclass(frozen=True)
class JointSearch(Search):
    """CTC and an attention decoder together, with an n-gram of units; see asr.model.joint_search."""

    tuned = ("attention_weight", "lm_weight", "insertion_bonus")
    attention_weights: tuple[float, ...] = (0.3, 0.5, 0.7)
    lm_weights: tuple[float, ...] = (0.1, 0.3, 0.5)
    insertion_bonuses: tuple[float, ...] = (0.0, 0.5, 1.0)
    beam_size: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beam_size < 1:
            raise ConfigError(f"beam_size={self.beam_size}; need 1 or more")

    def recogniser(self, asked: Asked, setting: Setting) -> Callable[[Any], str]:
        from ..model import joint_search
        from ..model.decoder_file import load_decoder

        options = joint_search.JointSearchOptions(beam_size=self.beam_size, **setting)
        model, decoder = asked.trained.model, load_decoder(asked.trained.model, asked.place)
        search = joint_search.JointSearch(model, decoder, asked.language[0], options)
        return lambda features: _spelled(asked, [p for best in search.search(features)[:1] for p in best.units])


def _units(model: Model) -> list[int]:
    """The phones that may be said."""
    return [p for p in range(1, model.lexicon.n_phones + 1) if p != model.lexicon.silence_id]


def _spelled(asked: Asked, units: Iterable[int]) -> str:
    """The names of phones."""
    return " ".join(asked.trained.model.lexicon.phones.name(int(p)) for p in units)


def try_settings(
    search: Search, asked: Asked, data: Features, references: Texts, unit: Unit = "word", n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Point]:  # fmt: skip
    """A step: the errors on held-out utterances of every setting of a search; recordings without features count not."""
    part = each(data, lambda those: usable(those, list(references)))
    if not isinstance(part, Data):
        from ..train.vtln import adapted

        part = adapted(asked.graph.with_decoding(beam=search.beam), part)[0]  # type: ignore[attr-defined]
    wanted, found, points = {u: references[u] for u in part.raw}, search.prepared(asked, part), list[Point]()
    for setting in search.settings():
        counted = score(wanted, search.recognised(asked, setting, found, n_jobs), unit=unit)
        points.append(Point(setting, counted.errors, counted.total))
        if progress is not None:
            progress(len(points), len(search.settings()))
    return points


@dataclass(frozen=True, eq=False)
class Recognised:
    """What was recognised in a test set with one setting."""

    model: Any  # with the setting; read again, its folder
    references: Texts
    hypotheses: Texts
    decode_rtf: float  # CPU seconds for a second of speech, from features to words
    setting: Setting
    unfinished: int = 0  # utterances whose best path ends where no sentence does
    times: str = ""  # of words, as lines of a CTM file, where the search knows them

    def save(self, folder: Path) -> None:
        """Write the model, references.tsv and hypotheses.tsv for `asr score`, hypotheses.ctm and test.json."""
        self.model.save(folder / "model")
        write_texts(folder / "references.tsv", self.references)
        write_texts(folder / "hypotheses.tsv", self.hypotheses)
        write_text(folder / "hypotheses.ctm", self.times)
        known = {"decode_rtf": self.decode_rtf, "setting": self.setting, "unfinished": self.unfinished}
        write_json(folder / "test.json", known)

    @classmethod
    def load(cls, folder: Path) -> "Recognised":
        """What `save` wrote; the times of words stay in their file."""
        references, hypotheses = (read_texts(folder / f"{side}.tsv") for side in ("references", "hypotheses"))
        return cls(folder / "model", references, hypotheses, **read_json(folder / "test.json"))


def recognise(
    search: Search, asked: Asked, data: Features, references: Texts, tuned: Sequence[Sequence[Point]], n_jobs: int = 1
) -> Recognised:
    """A step: a test set recognised once, with the setting that was best for all that was tuned on together.

    A recording without features stays among the references, so its words count as deleted.
    """
    setting = best_point(add_tuning(tuned)).setting if tuned else {}
    part = each(data, lambda those: usable(those, list(references)))
    model, times, unfinished = asked.graph or asked.trained.model, "", 0
    if isinstance(search, GraphSearch):
        model = search.set(model, setting)
        if isinstance(part, Data):
            decoded = decode_all(model, part)
        else:
            from ..train.vtln import decode_vtln

            decoded = decode_vtln(model, part)
        hypotheses, rtf = decoded.hypotheses, decoded.rtf
        lines = ((u, w) for u, found in decoded.transcripts.items() for w in found.words)
        times = "".join(f"{u} 1 {w.start:.3f} {w.end - w.start:.3f} {w.word}\n" for u, w in lines)
        unfinished = sum(not found.reached_final for found in decoded.transcripts.values())
    else:
        assert isinstance(part, Data)  # at warps there are only monophones
        begin = time.process_time()
        hypotheses = search.recognised(asked, setting, search.prepared(asked, part), n_jobs)
        rtf = (time.process_time() - begin) / max(len(part.raw.frames) * model.features.frame_shift, 1e-9)
    return Recognised(model, references, hypotheses, rtf, setting, unfinished, times)
