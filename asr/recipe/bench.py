"""The bench: for every row of every table of a recipe, a system is trained, tuned, tested and compared here.

    part of the data -> trained -> graph -> settings tried on held-out data -> test set recognised once -> Result

Each arrow is a step that is kept (asr.recipe.run), so that what two rows share is made once.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..corpus import Corpus
from ..lang.lexicon import Lexicon
from ..report.results import ResultRow
from ..scoring import Comparison, Score, compare, score
from ..train.stage import TrainedStage
from ..train.tuning import add_tuning, at_edge, best_point
from .run import Kept, Run
from .searches import Asked, GraphSearch, Point, Recognised, Search, Texts, recognise, try_settings
from .systems import Part, build_graph

if TYPE_CHECKING:
    from ..scoring.edges import EdgeScore
    from .grammars import Grammar

logger = logging.getLogger("asr.recipe")


@dataclass(frozen=True)
class Fold:
    """Utterances to test a model of a part on, and what its decoding is tuned on: all errors together choose."""

    name: str
    part: Part
    test: tuple[str, ...]
    tuning: tuple[tuple[Part, tuple[str, ...]], ...]  # parts, each with utterances that a model of it recognises
    few: tuple[tuple[Part, tuple[str, ...]], ...] = ()  # of those, for networks, if one for each costs too much


@dataclass(frozen=True, eq=False)
class System:
    """One way to build a recogniser: everything but the utterances and the seed. Its names are those of ResultRow."""

    model: str
    features: str
    train: Callable[..., TrainedStage]  # a step, called with data, a Part, the model below, `prefixes` and `options`
    options: Mapping[str, Any]
    data: Any  # what is trained and tested on: features, or for each warp of the mel filters
    variant: str = ""
    adaptation: str = "speaker"
    prefixes: tuple[str, ...] = ("",)  # of the ids that it is trained on: "" for recordings as they are, and of copies
    below: "System | None" = None  # whose model this one's training begins from
    tuned_as: "System | None" = None  # whose errors choose the decoding options, so that of this one no more is trained
    search: Search = field(default_factory=GraphSearch)
    decoding: str = ""  # a name for the search, where a model is decoded in several ways
    grammar: "Grammar | None" = None  # what may be said; None: a loop over the words of the lexicon
    is_network: bool = False  # whether Fold.few counts

    @property
    def name(self) -> str:
        """A name for steps, however it is decoded."""
        return "-".join(p for p in (self.model, self.features, self.variant, self.adaptation) if p)

    def chain(self) -> list["System"]:
        """The systems below it, and itself."""
        return [*([] if self.below is None else self.below.chain()), self]

    def step(self, what: str, part: Part, seed: int) -> str:
        """The name of a step of one of its models: "train"; "graph", "tune" or "test" with its grammar and search."""
        way = "" if what == "graph" else type(self.search).__name__.removesuffix("Search").lower().replace("graph", "")
        how = [] if what == "train" else [way, self.grammar.kind if self.grammar else ""]
        return "-".join(p for p in (what, *how, self.name, part.name, f"seed{seed}") if p)


class FoldResult(NamedTuple):
    """A fold of a test: its model, the errors with every setting on the held-out data, and what was recognised."""

    trained: Kept[TrainedStage]
    tuning: list[Point]
    recognised: Kept[Recognised]


@dataclass(frozen=True, eq=False)
class Result:
    """A system's test, over one fold or several: what the row of the results, and the report, are made of."""

    system: System
    test: str
    seed: int
    folds: tuple[FoldResult, ...]
    references: Texts
    hypotheses: Texts
    train_cpu_seconds: float
    decode_rtf: float
    kind: str = ""  # of what is scored, for the row's variant
    metric: str = "wer"
    edges: "EdgeScore | None" = None  # of correct words, where the true times are known

    @cached_property
    def score(self) -> Score:
        """Errors over all folds together."""
        return score(self.references, self.hypotheses, unit="char" if self.metric == "cer" else "word")

    @property
    def variant(self) -> str:
        """Of the system, its decoding and what was scored."""
        return "-".join(p for p in (self.system.variant, self.system.decoding, self.kind) if p)

    @property
    def row(self) -> ResultRow:
        """The row of results.json."""
        system, found = self.system, self.score
        return ResultRow(
            system.model, system.features, self.variant, system.adaptation, self.test, self.metric, self.seed,
            found.rate, found.errors, found.total, self.train_cpu_seconds, self.decode_rtf,
            found.substitutions, found.deletions, found.insertions,
            self._share_of_edges(),
        )  # fmt: skip

    def _share_of_edges(self) -> float | None:
        """Of correct words' edges, those within 50 ms of the true ones, where these are known."""
        if self.edges is None or not self.edges.words:
            return None
        from ..scoring.edges import share_within

        return share_within(self.edges.edges, 50)

    @property
    def words(self) -> str:
        """The row's system, test and metric in words."""
        return " ".join(p for p in (self.system.model, self.variant, self.test, self.metric.upper()) if p)


@dataclass(frozen=True, eq=False)
class Bench:
    """What all systems of a recipe have in common."""

    run: Run
    corpus: Corpus  # whose transcripts are references
    n_jobs: int = 1
    tuning_seed: int = 0  # of models that only tune
    truth: Path | None = None  # a CTM file with the true times of words
    letters: Path | None = None  # for grammars: a letter table, and the lexicon of the transcripts' words
    lexicon: Lexicon | None = None
    gpus: str | None = None  # see `asr.recipe.networks.present_gpus`

    def trained(self, system: System, part: Part, seed: int = 0) -> Kept[TrainedStage]:
        """A trained model; those below it are trained first."""
        below = None if system.below is None else self.trained(system.below, part, seed)
        more = {"gpus": self.gpus} if system.is_network else {}
        return self.run.kept(
            system.step("train", part, seed), system.train, system.data, part, below, system.prefixes,
            **system.options, seed=seed, n_jobs=self.n_jobs, **more,
        )  # fmt: skip

    def asked(self, system: System, part: Part, seed: int = 0) -> Asked:
        """What a system's search needs: a trained model, with a graph if that is searched, or else a language model."""
        trained: Any = self.trained(system, part, seed)  # finished steps stand for what they have made
        name, in_graph = system.step("graph", part, seed), isinstance(system.search, GraphSearch)
        if system.grammar is None:
            return Asked(trained, graph=self.run.kept(name, build_graph, trained))
        from .grammars import grammar_graph, language_model

        texts = [self.corpus[p + u].text for p in system.prefixes for u in part.train if p + u in self.corpus]
        of_lm = f"lm-{system.grammar.kind}-{part.name}" + ("-copies" if len(system.prefixes) > 1 else "")
        language = self.run.kept(of_lm, language_model, texts, system.grammar, self.letters, self.lexicon)
        if not in_graph:
            return Asked(trained, trained.folder, language=language)
        return Asked(trained, graph=self.run.kept(name, grammar_graph, trained, language, system.grammar, self.letters))

    def tried(self, system: System, part: Part, ids: Sequence[str], seed: int = 0) -> list[Point]:
        """The errors of a part's model on some utterances with every setting of its search."""
        digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:8]
        name, asked = f"{system.step('tune', part, seed)}-on-{digest}", self.asked(system, part, seed)
        wanted = self.references(ids, system)
        return self.run.step(name, try_settings, system.search, asked, system.data, wanted, n_jobs=self.n_jobs)

    def test(self, system: System, test: str, folds: Sequence[Fold], seed: int = 0) -> Result:
        """Train, tune and test a system on every fold; what is there already is not done again."""
        tuned_as = replace(system.tuned_as or system, search=system.search, grammar=system.grammar)
        tested = []
        for fold in folds:
            held_out = (fold.few if system.is_network else ()) or fold.tuning
            tables = [self.tried(tuned_as, *of, self.tuning_seed) for of in held_out] if system.search.tuned else []
            tuning = add_tuning(tables)
            name = system.step("test", fold.part, seed) + ("" if fold.name == fold.part.name else f"-{fold.name}")
            if tables and (edge := at_edge(tuning, best_point(tuning))):
                logger.info("%s: %s; widen the recipe's grid", name, edge)
            asked, wanted = self.asked(system, fold.part, seed), self.references(fold.test, system)
            found = self.run.kept(
                name, recognise, system.search, asked, system.data, wanted, tables, n_jobs=self.n_jobs
            )
            tested.append(FoldResult(asked.trained, tuning, found))
        steps = {s.step("train", f.part, seed): self.trained(s, f.part, seed) for f in folds for s in system.chain()}
        return self._pooled(system, test, seed, tested, sum(step.cpu_seconds for step in steps.values()))

    def chosen(self, results: Sequence[Result], variant: str) -> Result:
        """Of several results of a test, in each fold that with the fewest errors on the fold's held-out data."""
        alike, first = zip(*(r.folds for r in results), strict=True), results[0]
        best = [min(same, key=lambda fold: best_point(fold.tuning).errors) for same in alike]
        seconds = sum(fold.trained.cpu_seconds for fold in best)
        return self._pooled(replace(first.system, variant=variant), first.test, first.seed, best, seconds)

    def references(self, ids: Sequence[str], system: System) -> Texts:
        """What recognition by a system is scored against."""
        texts = {u: self.corpus[u].text or "" for u in ids}
        if system.grammar is None:
            return texts
        from ..lang.letters import LetterTable

        assert self.letters is not None  # grammars are made of spellings
        table = LetterTable.load(self.letters)
        return {u: system.grammar.reference(text, table) for u, text in texts.items()}

    def _pooled(self, system: System, test: str, seed: int, folds: Sequence[FoldResult], seconds: float) -> Result:
        """The result of all folds together; the real-time factor is their mean."""
        found = [fold.recognised.value for fold in folds]
        references, hypotheses = (
            {u: text for f in found for u, text in getattr(f, side).items()} for side in ("references", "hypotheses")
        )
        edges = None if self.truth is None else self._edges(self.truth, references, folds)
        rtf = sum(f.decode_rtf for f in found) / len(found)
        return Result(system, test, seed, tuple(folds), references, hypotheses, seconds, rtf, edges=edges)

    def _edges(self, truth: Path, references: Texts, folds: Sequence[FoldResult]) -> "EdgeScore | None":
        """How far the recognised edges of words are from the true ones, if these are known of all."""
        from ..scoring.edges import read_ctm, score_edges

        true = read_ctm(truth)
        if not true or not all(u in true for u, text in references.items() if text):
            return None
        files = [fold.recognised.folder / "hypotheses.ctm" for fold in folds]
        words = {u: w for file in files if file.stat().st_size for u, w in read_ctm(file).items()}
        return score_edges({u: true[u] for u in references if u in true}, words)


Pair = tuple[Result, Result]


def with_those_below(results: Sequence[Result]) -> list[Pair]:
    """Each result with the nearest system below it, and with that which its decoding was tuned with, if another."""
    found = []
    for second in results:
        same = {r.system: r for r in results if (r.test, r.seed) == (second.test, second.seed)}
        nearest = [s for s in second.system.chain()[:-1] if s in same][-1:]
        found += [(same[s], second) for s in (*nearest, second.system.tuned_as) if s in same]
    return found


def in_order(results: Sequence[Result]) -> list[Pair]:
    """Each result with the model before it in the same test, the same model decoded in the way before, the open
    vocabulary with the closed, and training without augmentation with that with it."""

    def group(r: Result) -> tuple:
        of_words = r.kind in ("closed", "open")  # closed and open vocabularies are compared with each other
        return r.test, r.metric, "" if of_words else (r.system.variant, r.kind)

    def plain(r: Result) -> tuple:
        return replace(r.row, variant="plain-" + r.variant.removeprefix("robust-")).key

    found = []
    for number, second in enumerate(results):
        same = [r for r in results[:number] if group(r) == group(second)]
        others = [r for r in same if r.system.model != second.system.model]
        others = [r for r in others if {r.system.decoding, second.system.decoding} <= {"", "tlg"}]
        before = [r for r in same if r.system.model == second.system.model]
        augmented = [r for r in results[:number] if plain(r) == second.row.key]
        found += [(first, second) for first in (*others[-1:], *before[-1:], *augmented)]
    return found


def compared(pairs: Sequence[Pair]) -> list[tuple[str, str, Comparison]]:
    """The paired bootstrap of results, with their names in words."""
    return [(a.words, b.words, compare(a.score, b.score)) for a, b in pairs]


def folds_of(train: Sequence[str], n_parts: int) -> tuple[tuple[Part, tuple[str, ...]], ...]:
    """Every n-th utterance held out, in turn, and a part of the others."""
    return tuple(
        (Part(f"without-part{n}", tuple(i for k, i in enumerate(train) if k % n_parts != n)), tuple(train[n::n_parts]))
        for n in range(n_parts)
    )
