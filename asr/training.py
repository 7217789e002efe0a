"""From raw features and transcripts to a model that decodes, and its error on held-out data.

The recipes and the command line are thin above these functions: train, build the graph, tune the decoding options on
held-out utterances, score.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .brief import many
from .ctc.tokens import CtcTokens
from .errors import CorpusError, GraphError, ModelError
from .features.pipeline import FeaturePipeline
from .features.table import FeatureTable
from .files import write_text
from .fit import Reference
from .gmm.mono import MonoOptions, MonoResult, train_mono
from .lang.lexicon import Lexicon
from .model import Model, Transcript, load
from .scoring import Score, Unit, score
from .speaker_passes import scores

if TYPE_CHECKING:
    import pynini

    from .graph.budget import Step
    from .graph.const_fst import Graph

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Data:
    """Utterances ready for training or testing.

    raw: their front-end features, before normalisation.
    speakers, transcripts: by utterance id; more ids than in `raw` do no harm.
    """

    raw: FeatureTable
    speakers: Mapping[str, str]
    transcripts: Mapping[str, str]

    def __repr__(self) -> str:
        speakers = {self.speakers.get(key) for key in self.raw}
        return f"<Data: {many(len(speakers), 'speaker')}, {repr(self.raw)[1:-1]}>"

    def select(self, ids: Iterable[str]) -> "Data":
        """The part with these utterances, in this order. Raises CorpusError if nothing is left."""
        ids = list(ids)
        if not ids:
            raise CorpusError("no utterances are left after selecting; check the split's condition")
        return replace(self, raw=self.raw.select(ids))

    def where(self, wanted: Callable[[str], bool]) -> "Data":
        """The part whose ids fulfil a condition."""
        return self.select(i for i in self.raw if wanted(i))

    def save(self, folder: Path) -> None:
        """Write features.npz and utterances.tsv (id, speaker, transcript) into a folder."""
        self.raw.save(folder / "features.npz")
        rows = (f"{i}\t{self.speakers[i]}\t{text}\n" for i, text in self.transcripts.items())
        write_text(folder / "utterances.tsv", "".join(rows))

    @classmethod
    def load(cls, folder: Path) -> "Data":
        """What `save` wrote."""
        rows = [
            line.split("\t", 2) for line in (folder / "utterances.tsv").read_text(encoding="utf-8").split("\n") if line
        ]
        speakers, transcripts = {r[0]: r[1] for r in rows}, {r[0]: r[2] for r in rows}
        return cls(FeatureTable.load(folder / "features.npz"), speakers, transcripts)

    @property
    def references(self) -> dict[str, str]:
        """Transcripts of exactly these utterances. Raises CorpusError for one that has none."""
        missing = [i for i in self.raw if i not in self.transcripts]
        if missing:
            raise CorpusError(
                f"utterance {missing[0]!r} has features but no transcript ({len(missing)} of {len(self.raw)}); "
                "select the utterances that have one"
            )
        return {i: self.transcripts[i] for i in self.raw}

    def normalised(self, pipeline: FeaturePipeline) -> FeatureTable:
        """The features after the whole pipeline; per-speaker statistics are taken over these utterances alone."""
        ids = list(self.raw)
        finished = pipeline.finish([self.raw[i] for i in ids], [self.speakers[i] for i in ids])
        return FeatureTable.from_dict(dict(zip(ids, finished, strict=True)))


def train_monophone(
    data: Data,
    lexicon: Lexicon,
    pipeline: FeaturePipeline,
    options: MonoOptions | None = None,
    *,
    seed: int = 0,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Model, MonoResult]:
    """A monophone GMM-HMM and the log of its training; the model has no graph yet.

    pipeline: what follows the front end is applied here; a causal normalisation learns its prior from the data.
    Raises LexiconError for words without pronunciation under the lexicon's policy "error".
    """
    ids = list(data.raw)
    pipeline = pipeline.with_prior([data.raw[i] for i in ids])
    transcripts = lexicon.encode_all(data.references)
    if not transcripts:
        raise CorpusError("no utterance can be used for training: each has a word that the lexicon lacks")
    table = data.select(transcripts).normalised(pipeline)
    result = train_mono(
        table, transcripts, lexicon, options or MonoOptions(), seed=seed, n_jobs=n_jobs, progress=progress
    )
    model = Model(pipeline, lexicon, result.transitions, result.tree, result.gmms, graph=None, seed=seed)
    return model, result


def with_graph(
    model: Model,
    grammar: "pynini.Fst | None" = None,
    *,
    fallback: str | None = None,
    max_states: int | None = None,
    told: "Callable[[Step], None] | None" = None,
) -> Model:
    """The model with its decoding graph.

    grammar: an acceptor over the lexicon's word ids; a loop over all words if not given. Where the model joins parts
        of words, a word that is begun must be finished.
    fallback: a saved model whose graph is used where pynini is missing. It must have the same words, phones and
        transition ids; its graph costs are then those of its own transition probabilities.
    max_states, told: of the compilation, see `compile_hclg`.
    Raises GraphError where there is neither pynini nor a fitting fallback, or the graph has too many states.
    """
    from .graph.grammar import finished_words, word_loop
    from .graph.hclg import compile_hclg
    from .graph.tlg import compile_tlg

    if fallback is not None and not has_pynini():
        return replace(model, graph=_borrowed_graph(model, fallback))
    if grammar is None:
        grammar = word_loop(model.lexicon)
    if model.joiner:
        grammar = finished_words(grammar, model.lexicon, model.joiner)
    limits: dict[str, Any] = {"max_states": max_states, "told": told}
    if isinstance(model.transitions, CtcTokens):
        silent = replace(model.lexicon, silence_prob=0.0)
        return replace(model, lexicon=silent, graph=compile_tlg(silent, grammar, model.transitions, **limits))
    transitions, tree = model.hmms
    return replace(model, graph=compile_hclg(model.lexicon, grammar, tree, transitions, **limits))


def has_pynini() -> bool:
    """Whether new decoding graphs can be built here."""
    try:
        import pynini  # noqa: F401
    except ImportError:
        return False
    return True


def require_pynini(whose: str) -> None:
    """Raise GraphError where no decoding graph can be built; for the start of what needs one. whose: work's name."""
    if not has_pynini():
        raise GraphError(
            f"{whose} builds decoding graphs with pynini, which is not installed (pip install pynini; it has wheels "
            "for Linux x86-64 alone); run it on a machine that has it"
        )


def _borrowed_graph(model: Model, fallback: str) -> "Graph | None":
    other = load(fallback)
    same = (
        other.graph is not None
        and _in_graph(other.lexicon) == _in_graph(model.lexicon)
        and np.array_equal(other.hmms[0].tuples, model.hmms[0].tuples)
        and other.transitions.n_transition_ids == model.transitions.n_transition_ids
    )
    if not same:
        raise GraphError(
            f"pynini is not installed and the graph of model {fallback!r} has other words, phones, pauses or HMMs; "
            "build the graph where pynini is (Linux on x86-64) and copy HCLG.fst"
        )
    logger.warning("pynini is not installed: using the graph of model %r", fallback)
    return other.graph


def _in_graph(lexicon: Lexicon) -> tuple:
    """All of a lexicon that a graph depends on."""
    return lexicon.entries, lexicon.silence_phone, lexicon.silence_prob, lexicon.position_dependent


@dataclass(frozen=True)
class DecodingResult:
    """Transcripts of a test set and what they cost.

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
    """The model that tells recordings unlike its own kind (see asr.fit), of which these utterances are examples.

    held_out: utterances that were not trained on, 20 or more; of fewer nothing is learned.
    """
    transcripts = decode_all(model, held_out).transcripts.values()
    return replace(model, reference=Reference.of([t.evidence for t in transcripts if t.evidence is not None]))


@dataclass(frozen=True)
class TuningPoint:
    """What one setting reached on held-out utterances."""

    acoustic_scale: float
    insertion_penalty: float
    errors: int
    total: int

    @property
    def rate(self) -> float:
        """Error rate, percent."""
        return 100.0 * self.errors / max(self.total, 1)


def tune_decoding(
    model: Model,
    held_out: Data,
    *,
    acoustic_scales: Sequence[float],
    insertion_penalties: Sequence[float],
    unit: Unit = "word",
    told: Callable[[], object] | None = None,
) -> list[TuningPoint]:
    """The errors on held-out utterances for every pair of acoustic scale and insertion penalty.

    unit: whose errors: "word", or "char", of which there are more, so that a small held-out set tells more.
    told: called after each pair.

    Log-likelihoods are computed once; those of a model that adapts to speakers after a first pass as the model has it.
    The utterances must not be part of the training data nor of a scored test set.
    """
    table = held_out.normalised(model.features)
    loglikes = dict(scores(model, table, held_out.speakers))
    points = []
    for scale in acoustic_scales:
        for penalty in insertion_penalties:
            decoder = model.with_decoding(acoustic_scale=scale, insertion_penalty=penalty).decoder
            hypotheses = {i: model.text(decoder.decode(x).words) for i, x in loglikes.items()}
            result = score(held_out.references, hypotheses, unit=unit)
            points.append(TuningPoint(scale, penalty, result.errors, result.total))
            if told is not None:
                told()
    return points


def plateau(points: Sequence[TuningPoint]) -> list[TuningPoint]:
    """The settings that are as good as the best, as far as the held-out set can tell.

    Held-out sets are small, so many settings tie, and differences of about the square root of the number of errors (its
    standard deviation) mean nothing.
    """
    if not points:
        raise ModelError("nothing was tuned; give at least one acoustic scale and one insertion penalty")
    fewest = min(p.errors for p in points)
    return [p for p in points if p.errors <= fewest + fewest**0.5]


def best_point(points: Sequence[TuningPoint]) -> TuningPoint:
    """The setting to use: in the middle of the plateau, which carries over to new data better than its edge."""
    good = plateau(points)
    scales = sorted({p.acoustic_scale for p in points})
    penalties = sorted({p.insertion_penalty for p in points})
    places = np.array([(scales.index(p.acoustic_scale), penalties.index(p.insertion_penalty)) for p in good])
    distances = np.square(places - places.mean(axis=0)).sum(axis=1)
    return min(zip(good, distances, strict=True), key=lambda pair: (pair[1], pair[0].errors))[0]


def at_edge(points: Sequence[TuningPoint], best: TuningPoint) -> str:
    """In words, which of a setting's numbers are the smallest or largest that were tried; empty where none is.

    >>> tried = [TuningPoint(scale, 0.0, int(100 * scale), 100) for scale in (0.1, 0.2, 0.4)]
    >>> at_edge(tried, best_point(tried)), at_edge(tried, tried[1])
    ('the acoustic scale, 0.1, is the smallest that was tried', '')
    """
    told = []
    for name in ("acoustic_scale", "insertion_penalty"):
        tried, chosen = sorted({getattr(p, name) for p in points}), getattr(best, name)
        if len(tried) > 1 and chosen in (tried[0], tried[-1]):
            which = "smallest" if chosen == tried[0] else "largest"
            told.append(f"the {name.replace('_', ' ')}, {chosen:g}, is the {which} that was tried")
    return " and ".join(told)


def beyond(points: Sequence[TuningPoint]) -> dict[str, list[float]] | None:
    """What to try next where the best of a grid is at its edge, as arguments of `tune_decoding`; None elsewhere.

    The next acoustic scale is in the same ratio as the last two, the next insertion penalty at the same distance.
    """
    best = best_point(points)
    scales = sorted({p.acoustic_scale for p in points})
    penalties = sorted({p.insertion_penalty for p in points})
    ends: list[tuple[float, float]] = [(scales[i], scales[j]) for i, j in ((0, 1), (-1, -2)) if len(scales) > 1]
    for edge, before in ends:
        if best.acoustic_scale == edge:
            return {"acoustic_scales": [edge * edge / before], "insertion_penalties": penalties}
    for edge, before in [(penalties[i], penalties[j]) for i, j in ((0, 1), (-1, -2)) if len(penalties) > 1]:
        if best.insertion_penalty == edge:
            return {"acoustic_scales": scales, "insertion_penalties": [2 * edge - before]}
    return None


def add_tuning(tables: Iterable[Sequence[TuningPoint]]) -> list[TuningPoint]:
    """The sum of several tuning tables over the same settings, e.g. of one per held-out speaker."""
    totals: dict[tuple[float, float], list[int]] = {}
    for p in (p for table in tables for p in table):
        entry = totals.setdefault((p.acoustic_scale, p.insertion_penalty), [0, 0])
        entry[0] += p.errors
        entry[1] += p.total
    return [TuningPoint(scale, penalty, e, n) for (scale, penalty), (e, n) in totals.items()]
