"""Steps that decode: a model is tuned on held-out utterances and tested, whichever way its words are searched for.

Each way has a class whose fields are what is tried. All are tuned by one rule: every setting is tried, and the one in
the middle of the plateau is used (asr.train.tuning).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..files import write_text
from ..files.json_files import read_json
from ..model.adaptation import adapt, scores
from ..model.model import Model
from ..scoring import Unit, score
from ..train.data import Data
from ..train.decoding import DecodingResult, decode_all
from ..train.tuning import middle_of_plateau
from .systems import Features, Trained, each, read_texts, usable, write_json, write_texts

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon
    from ..lm import NgramModel

Setting = dict[str, float]
Texts = dict[str, str]
"""Utterance id -> words."""


@dataclass(frozen=True)
class Point:
    """The errors that a setting made on held-out utterances."""

    setting: Setting
    errors: int
    total: int


@dataclass(frozen=True)
class Search(ABC):
    """A way to find the words of a model's scores.

    Raises:
        ConfigError: where there is nothing to try.
    """

    def tried(self) -> dict[str, tuple[float, ...]]:
        """The values that are tried, by name; nothing where nothing is tuned."""
        return {}

    def __post_init__(self) -> None:
        for name, values in self.tried().items():
            if not values:
                raise ConfigError(f"no {name} is tried; give one value at least")

    def settings(self) -> list[Setting]:
        """All combinations of what is tried."""
        return [dict(zip(self.tried(), values, strict=True)) for values in product(*self.tried().values())]

    @abstractmethod
    def recogniser(self, asked: "Asked", data: Data, n_jobs: int) -> Callable[[Setting], Texts]:
        """A function that recognises some utterances with a setting; what all settings need is computed once."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What a search may need of a system.

    Attributes:
        graph: its model with a graph.
        language: n-gram, and lexicon of its words.
    """

    trained: Trained
    graph: Model | None = None
    language: "tuple[NgramModel, Lexicon] | None" = None


@dataclass(frozen=True)
class GraphSearch(Search):
    """Viterbi search in the model's decoding graph.

    Attributes:
        beam: nats.
        max_active: tokens kept in a frame.
    """

    acoustic_scales: tuple[float, ...] = (0.0333, 0.05, 0.0667, 0.0833, 0.1, 0.1429, 0.2)
    insertion_penalties: tuple[float, ...] = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 7.0, 10.0)
    beam: float = 13.0
    max_active: int = 7000

    def tried(self) -> dict[str, tuple[float, ...]]:
        return {"acoustic_scale": self.acoustic_scales, "insertion_penalty": self.insertion_penalties}

    def set(self, model: Model, setting: Setting) -> Model:
        """A model that decodes so."""
        return model.with_decoding(**setting, beam=self.beam, max_active=self.max_active)

    def recogniser(self, asked: Asked, data: Data, n_jobs: int) -> Callable[[Setting], Texts]:
        assert asked.graph is not None  # it is what is searched
        model = asked.graph
        table = data.normalised(model.features)
        loglikes = dict(scores(model, table, adapt(model, table, data.speakers)))

        def recognised(setting: Setting) -> Texts:
            tuned = self.set(model, setting)

            def some(ids: Sequence[str]) -> Texts:
                decoder = tuned.new_decoder()  # of its own: a search keeps its state there
                return {u: tuned.text(decoder.decode(loglikes[u]).words) for u in ids}

            return in_threads(some, loglikes, n_jobs)

        return recognised


@dataclass(frozen=True)
class GreedySearch(Search):
    """The best path of a CTC model, without a language model."""

    def recogniser(self, asked: Asked, data: Data, n_jobs: int) -> Callable[[Setting], Texts]:
        from ..ctc.greedy import greedy
        from ..model.acoustic import log_posteriors

        model, features = asked.trained.rung.model, data.normalised(asked.trained.rung.model.features)
        name = model.lexicon.phones.name
        best = {u: greedy(log_posteriors(model.acoustic, features[u]))[0] for u in features}
        return lambda setting: {u: " ".join(name(int(p)) for p in units) for u, units in best.items()}


@dataclass(frozen=True)
class PrefixSearch(Search):
    """CTC prefix search with an n-gram of units; see asr.ctc.prefix.PrefixOptions."""

    lm_weights: tuple[float, ...] = (0.3, 0.5, 0.7, 1.0)
    insertion_bonuses: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5)
    beam_size: int = 50
    beam: float = 20.0

    def tried(self) -> dict[str, tuple[float, ...]]:
        return {"lm_weight": self.lm_weights, "insertion_bonus": self.insertion_bonuses}

    def __post_init__(self) -> None:
        from ..ctc.prefix import PrefixOptions

        super().__post_init__()
        PrefixOptions(beam_size=self.beam_size, beam=self.beam)

    def recogniser(self, asked: Asked, data: Data, n_jobs: int) -> Callable[[Setting], Texts]:
        from scipy.special import log_softmax

        from ..ctc import prefix

        assert asked.language is not None  # the recipe gives one
        model, units = asked.trained.rung.model, asked.language[0]
        features, phones = data.normalised(model.features), model.lexicon.phones
        columns = [p for p in range(1, model.lexicon.n_phones + 1) if p != model.lexicon.silence_id]  # is never said
        names = [phones.name(p) for p in columns]
        # The priors of the graph are subtracted here too. What normalises a row is the same for all that may be said.
        log_probs = {u: log_softmax(model.acoustic.log_likelihoods(features[u]), axis=1) for u in features}

        def recognised(setting: Setting) -> Texts:
            options = prefix.PrefixOptions(beam_size=self.beam_size, beam=self.beam, **setting)  # type: ignore[arg-type]

            def some(ids: Sequence[str]) -> Texts:
                search, found = prefix.PrefixSearch(names, units, options), Texts()
                for u in ids:
                    best = search.search(log_probs[u][:, [0, *columns]])
                    found[u] = " ".join(names[k - 1] for k in best[0].tokens) if best else ""
                return found

            return in_threads(some, log_probs, n_jobs)

        return recognised


@dataclass(frozen=True)
class JointSearch(Search):
    """CTC and an attention decoder together, with an n-gram of units; see asr.model.joint_search."""

    attention_weights: tuple[float, ...] = (0.3, 0.5, 0.7)
    lm_weights: tuple[float, ...] = (0.1, 0.3, 0.5)
    insertion_bonuses: tuple[float, ...] = (0.0, 0.5, 1.0)
    beam_size: int = 10

    def tried(self) -> dict[str, tuple[float, ...]]:
        weights = {"attention_weight": self.attention_weights, "lm_weight": self.lm_weights}
        return {**weights, "insertion_bonus": self.insertion_bonuses}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beam_size < 1:
            raise ConfigError(f"beam_size={self.beam_size}; need 1 or more")

    def recogniser(self, asked: Asked, data: Data, n_jobs: int) -> Callable[[Setting], Texts]:
        from ..model import joint_search

        assert asked.language is not None and asked.trained.decoder is not None  # systems with one are asked so
        model, decoder, units = asked.trained.rung.model, asked.trained.decoder, asked.language[0]
        features, name = data.normalised(model.features), model.lexicon.phones.name

        def recognised(setting: Setting) -> Texts:
            options = joint_search.JointSearchOptions(beam_size=self.beam_size, **setting)
            search, found = joint_search.JointSearch(model, decoder, units, options), Texts()
            for u in features:
                best = search.search(features[u])
                found[u] = " ".join(name(int(p)) for p in best[0].units) if best else ""
            return found

        return recognised


def in_threads(some: Callable[[Sequence[str]], Texts], lengths: Mapping[str, Any], n_threads: int) -> Texts:
    """What `some` finds in utterances, the longest first, by several threads; the texts do not depend on how many."""
    ids = sorted(lengths, key=lambda u: -len(lengths[u]))
    with ThreadPoolExecutor(n_threads) as pool:
        parts = list(pool.map(some, [ids[first::n_threads] for first in range(n_threads)]))
    return {u: text for part in parts for u, text in part.items()}


def best_setting(points: Sequence[Point]) -> Point:
    """The point in the middle of the plateau: what is used."""
    return points[middle_of_plateau([tuple(p.setting.values()) for p in points], [p.errors for p in points])]


def at_edge(points: Sequence[Point]) -> str:
    """In words, which numbers of the chosen setting are the smallest or largest that were tried; empty where none is.

    Examples:
        >>> at_edge([Point({"lm_weight": w}, int(10 * w), 99) for w in (0.1, 0.9, 1.8)])
        'the lm weight, 0.1, is the smallest that was tried'
    """
    told, chosen = [], best_setting(points).setting
    for name, value in chosen.items():
        tried = sorted({p.setting[name] for p in points})
        if len(tried) > 1 and value in (tried[0], tried[-1]):
            which = "smallest" if value == tried[0] else "largest"
            told.append(f"the {name.replace('_', ' ')}, {value:g}, is the {which} that was tried")
    return " and ".join(told)


def added(tables: Sequence[Sequence[Point]]) -> list[Point]:
    """The sum of several tables of the same settings, such as of one for each held-out speaker."""
    return [
        Point(same[0].setting, sum(p.errors for p in same), sum(p.total for p in same))
        for same in zip(*tables, strict=True)
    ]


def try_settings(
    search: Search,
    trained: Trained,
    graph: Model | None,
    language: "tuple[NgramModel, Lexicon] | None",
    data: Features,
    references: Texts,
    unit: Unit = "word",
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Point]:
    """A step: the errors on held-out utterances of every setting of a search; recordings without features count not."""
    part = each(data, lambda those: usable(those, list(references)))
    if not isinstance(part, Data):
        from ..train.vtln import adapted

        assert graph is not None  # VTLN is of models with HMMs
        part = adapted(graph.with_decoding(beam=search.beam), part)[0]  # type: ignore[attr-defined]
    wanted = {u: references[u] for u in part.raw}
    recognise, points = search.recogniser(Asked(trained, graph, language), part, n_jobs), list[Point]()
    for setting in search.settings():
        counted = score(wanted, recognise(setting), unit=unit)
        points.append(Point(setting, counted.errors, counted.total))
        if progress is not None:
            progress(len(points), len(search.settings()))
    return points


@dataclass(frozen=True, eq=False)
class Recognised:
    """What was recognised in a test set with one setting.

    Attributes:
        model: with the setting; read from where it was kept, the place of its folder.
        words: the times of words as lines of a CTM file, where the search knows them.
        rtf: CPU seconds for a second of speech, from features to words.
    """

    model: Model | Path
    references: Texts
    hypotheses: Texts
    rtf: float
    setting: Setting
    words: str = ""
    unfinished: int = 0

    def save(self, folder: Path) -> None:
        """Write the model, references.tsv and hypotheses.tsv for `asr score`, hypotheses.ctm and test.json."""
        assert isinstance(self.model, Model)
        self.model.save(folder / "model")
        write_texts(folder / "references.tsv", self.references)
        write_texts(folder / "hypotheses.tsv", self.hypotheses)
        write_text(folder / "hypotheses.ctm", self.words)
        known = {"decode_rtf": self.rtf, "unfinished": self.unfinished, "setting": self.setting}
        write_json(folder / "test.json", known)

    @classmethod
    def load(cls, folder: Path) -> "Recognised":
        """What `save` wrote."""
        references, hypotheses = (read_texts(folder / f"{name}.tsv") for name in ("references", "hypotheses"))
        words = (folder / "hypotheses.ctm").read_text(encoding="utf-8")
        known = read_json(folder / "test.json")
        rtf, setting, unfinished = known["decode_rtf"], known["setting"], known["unfinished"]
        return cls(folder / "model", references, hypotheses, rtf, setting, words, unfinished)


def recognise(
    search: Search,
    trained: Trained,
    graph: Model | None,
    language: "tuple[NgramModel, Lexicon] | None",
    data: Features,
    references: Texts,
    tuned: Sequence[Sequence[Point]],
    n_jobs: int = 1,
) -> Recognised:
    """A step: a test set recognised once, with the setting that was best for all that was tuned on together.

    A recording of the test set that has no features stays among the references, so its words count as deleted.
    """
    setting = best_setting(added(tuned)).setting if tuned else {}
    part = each(data, lambda those: usable(those, list(references)))
    if isinstance(search, GraphSearch):
        assert graph is not None
        model = search.set(graph, setting)
        decoded = decode_all(model, part) if isinstance(part, Data) else _decode_vtln(model, part)
        words = "".join(
            f"{u} 1 {w.start:.3f} {w.end - w.start:.3f} {w.word}\n"
            for u, t in decoded.transcripts.items()
            for w in t.words
        )
        unfinished = sum(not t.reached_final for t in decoded.transcripts.values())
        return Recognised(model, references, decoded.hypotheses, decoded.rtf, setting, words, unfinished)
    assert isinstance(part, Data)  # at warps there are only monophones
    begin, model = time.process_time(), trained.rung.model
    hypotheses = search.recogniser(Asked(trained, graph, language), part, n_jobs)(setting)
    seconds = len(part.raw.frames) * model.features.frame_shift
    rtf = (time.process_time() - begin) / max(seconds, 1e-9)
    return Recognised(model if graph is None else graph, references, hypotheses, rtf, setting)


def _decode_vtln(model: Model, data: Mapping[float, Data]) -> DecodingResult:
    from ..train.vtln import decode_vtln

    return decode_vtln(model, data)
