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
from typing import TYPE_CHECKING, Any

from ..corpus import Corpus
from ..lang.lexicon import Lexicon
from ..model.model import Model
from ..report.results import ResultRow
from ..scoring import Comparison, Score, compare, score
from ..scoring.edges import EdgeScore, read_ctm, score_edges, share_within
from .run import Kept, Run
from .searches import (
    GraphSearch,
    Point,
    Recognised,
    Search,
    Texts,
    added,
    at_edge,
    best_setting,
    recognise,
    try_settings,
)
from .systems import Part, Trained, build_graph

if TYPE_CHECKING:
    from .grammars import Grammar

logger = logging.getLogger("asr.recipe")

Given = Mapping[str, Any]


@dataclass(frozen=True)
class Fold:
    """Utterances to test a model of a part on, and what its decoding is tuned on.

    Attributes:
        tuning: parts, each with utterances that a model of it recognises; the errors of all together choose the
            setting.
        few: those of them that networks are tuned on, where training one for each would cost too much; all if not
            given.
    """

    name: str
    part: Part
    test: tuple[str, ...]
    tuning: tuple[tuple[Part, tuple[str, ...]], ...]
    few: tuple[tuple[Part, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, eq=False)
class System:
    """One way to build a recogniser: everything but the utterances and the seed.

    Attributes:
        model: as in ResultRow.
        features: as in ResultRow.
        variant: as in ResultRow.
        adaptation: as in ResultRow.
        train: a step of asr.recipe.systems or asr.recipe.networks, called with data, a Part, the model below and
            `prefixes`.
        options: what else it is given.
        data: what is trained and tested on.
        prefixes: of the ids of the utterances that it is trained on; "" are the recordings themselves, others are
            copies.
        below: the system whose model this one's training begins from.
        tuned_as: the system whose errors on held-out data choose the decoding options, so that of this one only the
            models that are tested are trained; None: its own.
        is_network: whether Fold.few counts.
    """

    model: str
    features: str
    train: Callable[..., Trained]
    options: Given
    data: Any  # features, or the finished step that makes them; or for each warp of the mel filters
    variant: str = ""
    adaptation: str = "speaker"
    prefixes: tuple[str, ...] = ("",)
    below: "System | None" = None
    tuned_as: "System | None" = None
    search: Search = field(default_factory=GraphSearch)
    is_network: bool = False

    @property
    def name(self) -> str:
        """A name for steps."""
        return "-".join(p for p in (self.model, self.features, self.variant, self.adaptation) if p)

    def chain(self) -> list["System"]:
        """The systems below it, and itself."""
        return [*([] if self.below is None else self.below.chain()), self]


@dataclass(frozen=True, eq=False)
class Result:
    """A system's test, over one fold or several: what the row of the results, and the report, are made of.

    Attributes:
        decoding: how, where a system is decoded in several ways.
        kind: of what is scored, for the row's variant.
        trained: of each fold.
        tunings: of each fold.
        tested: of each fold.
        edges: of correct words, where the true times are known.
    """

    system: System
    test: str
    seed: int
    trained: tuple[Kept[Trained], ...]
    tunings: tuple[list[Point], ...]
    tested: tuple[Kept[Recognised], ...]
    references: Texts
    hypotheses: Texts
    train_cpu_seconds: float
    decode_rtf: float
    decoding: str = ""
    kind: str = ""
    metric: str = "wer"
    edges: EdgeScore | None = None

    @cached_property
    def score(self) -> Score:
        """Errors over all folds together."""
        return score(self.references, self.hypotheses, unit="char" if self.metric == "cer" else "word")

    @property
    def variant(self) -> str:
        """Of the system, its decoding and what was scored."""
        return "-".join(p for p in (self.system.variant, self.decoding, self.kind) if p)

    @property
    def row(self) -> ResultRow:
        """The row of results.json."""
        system, found = self.system, self.score
        return ResultRow(
            system.model, system.features, self.variant, system.adaptation, self.test, self.metric, self.seed,
            found.rate, found.errors, found.total, self.train_cpu_seconds, self.decode_rtf,
            found.substitutions, found.deletions, found.insertions,
            share_within(self.edges.edges, 50) if self.edges and self.edges.words else None,
        )  # fmt: skip

    @property
    def words(self) -> str:
        """The row's system, test and metric in words."""
        return " ".join(p for p in (self.system.model, self.variant, self.test, self.metric.upper()) if p)


@dataclass(frozen=True, eq=False)
class Bench:
    """What all systems of a recipe have in common.

    Attributes:
        corpus: whose transcripts are references.
        n_jobs: processes or threads.
        tuning_seed: of models that only tune.
        fallback: see `build_graph`.
        truth: a CTM file with the true times of words.
        letters: a letter table, with the lexicon of the words of the transcripts, for grammars.
        gpus: that networks are trained on; None: the CPU.
    """

    run: Run
    corpus: Corpus
    n_jobs: int = 1
    tuning_seed: int = 0
    fallback: str | None = None
    truth: Path | None = None
    letters: Path | None = None
    lexicon: Lexicon | None = None
    gpus: str | None = None

    def trained(self, system: System, part: Part, seed: int = 0) -> Kept[Trained]:
        """A trained model; those below it are trained first."""
        below = None if system.below is None else self.trained(system.below, part, seed)
        more = {"gpus": self.gpus} if system.is_network else {}
        return self.run.kept(
            _train_name(system, part, seed), system.train, system.data, part, below, system.prefixes,
            **system.options, seed=seed, n_jobs=self.n_jobs, **more,
        )  # fmt: skip

    def graph(self, system: System, part: Part, seed: int = 0, grammar: "Grammar | None" = None) -> Kept[Model]:
        """A trained model with its decoding graph: of a grammar, or of a loop over the words of its lexicon."""
        trained, name = self.trained(system, part, seed), _train_name(system, part, seed).removeprefix("train-")
        if grammar is None:
            return self.run.kept(f"graph-{name}", build_graph, trained, fallback=self.fallback)
        from .grammars import grammar_graph

        language = self.language(part, grammar, system.prefixes)
        return self.run.kept(f"graph-{grammar.kind}-{name}", grammar_graph, trained, language, grammar, self.letters)

    def language(self, part: Part, grammar: "Grammar", prefixes: Sequence[str] = ("",)) -> Kept:
        """The n-gram of a grammar from a part's transcripts, and the lexicon of its words."""
        from .grammars import language_model

        texts = [self.corpus[p + u].text for p in prefixes for u in part.train if p + u in self.corpus]
        name = f"lm-{grammar.kind}-{part.name}" + ("-copies" if len(prefixes) > 1 else "")
        return self.run.kept(name, language_model, texts, grammar, self.letters, self.lexicon)

    def tried(
        self,
        system: System,
        part: Part,
        ids: Sequence[str],
        seed: int,
        search: Search,
        grammar: "Grammar | None" = None,
    ) -> list[Point]:
        """The errors of a part's model on some utterances with every setting of a search."""
        name = f"tune-{self._asked_name(system, part, seed, search, grammar)}-on-{_digest(ids)}"
        asked = self._asked(system, part, seed, search, grammar)
        return self.run.step(
            name, try_settings, search, *asked, system.data, self.references(ids, grammar), n_jobs=self.n_jobs
        )

    def test(
        self,
        system: System,
        test: str,
        folds: Sequence[Fold],
        seed: int = 0,
        *,
        grammar: "Grammar | None" = None,
        search: Search | None = None,
        decoding: str = "",
    ) -> Result:
        """Train, tune and test a system on every fold; what is there already is not done again.

        Args:
            search: the system's own if not given.
            decoding: its name in the row's variant, where there are several.
        """
        search = search or system.search
        tuned_as, trained, tunings, tested = system.tuned_as or system, [], [], []
        for fold in folds:
            tables: list[list[Point]] = []
            if search.tried():
                for part, ids in fold.few if fold.few and system.is_network else fold.tuning:
                    tables.append(self.tried(tuned_as, part, ids, self.tuning_seed, search, grammar))
            trained.append(self.trained(system, fold.part, seed))
            tunings.append(added(tables) if tables else [])
            name = f"test-{self._asked_name(system, fold.part, seed, search, grammar)}"
            name += "" if fold.name == fold.part.name else f"-{fold.name}"
            if tables and (edge := at_edge(tunings[-1])):
                logger.info("%s: %s; widen the recipe's grid", name, edge)
            asked, wanted = self._asked(system, fold.part, seed, search, grammar), self.references(fold.test, grammar)
            kept = self.run.kept(name, recognise, search, *asked, system.data, wanted, tables, n_jobs=self.n_jobs)
            tested.append(kept)
        seconds = self.run.cpu_seconds(
            *dict.fromkeys(_train_name(s, fold.part, seed) for fold in folds for s in system.chain())
        )
        return self._pooled(Result(
            system, test, seed, tuple(trained), tuple(tunings), tuple(tested), {}, {}, seconds, 0.0, decoding,
        ))  # fmt: skip

    def chosen(self, results: Sequence[Result], variant: str) -> Result:
        """In each fold, the test of the system that made the fewest errors on that fold's held-out data.

        Args:
            results: of the same test by several systems, fold by fold.
        """
        best = [
            min(results, key=lambda r, fold=fold: best_setting(r.tunings[fold]).errors)  # type: ignore[misc]
            for fold in range(len(results[0].tested))
        ]
        trained, tunings, tested = (
            tuple(getattr(r, what)[fold] for fold, r in enumerate(best)) for what in ("trained", "tunings", "tested")
        )
        first = replace(results[0], system=replace(results[0].system, variant=variant))
        seconds = sum(self.run.cpu_seconds(k.name) for k in trained)
        return self._pooled(replace(
            first, trained=trained, tunings=tunings, tested=tested, train_cpu_seconds=seconds,
        ))  # fmt: skip

    def references(self, ids: Sequence[str], grammar: "Grammar | None" = None) -> Texts:
        """What recognition is scored against."""
        texts = {u: self.corpus[u].text or "" for u in ids}
        if grammar is None:
            return texts
        from ..lang.letters import LetterTable

        assert self.letters is not None  # grammars are made of spellings
        table = LetterTable.load(self.letters)
        return {u: grammar.reference(text, table) for u, text in texts.items()}

    def _asked(self, system: System, part: Part, seed: int, search: Search, grammar: "Grammar | None") -> tuple:
        """What a search is given: the trained model, its graph, and its language model."""
        graph = self.graph(system, part, seed, grammar) if isinstance(search, GraphSearch) else None
        by_units = grammar is not None and graph is None
        language = self.language(part, grammar, system.prefixes) if by_units else None  # type: ignore[arg-type]
        return self.trained(system, part, seed), graph, language

    def _asked_name(self, system: System, part: Part, seed: int, search: Search, grammar: "Grammar | None") -> str:
        way = "" if isinstance(search, GraphSearch) else type(search).__name__.removesuffix("Search").lower()
        name = _train_name(system, part, seed).removeprefix("train-")
        return "-".join(p for p in (way, "" if grammar is None else grammar.kind, name) if p)

    def _pooled(self, result: Result) -> Result:
        """A result with what was recognised in all of its folds; the real-time factor is their mean."""
        tested = [kept.value for kept in result.tested]
        references = {u: text for t in tested for u, text in t.references.items()}
        hypotheses = {u: text for t in tested for u, text in t.hypotheses.items()}
        rtf, edges = sum(t.rtf for t in tested) / len(tested), None
        if self.truth is not None:
            true = read_ctm(self.truth)
            if all(u in true for u, text in references.items() if text):
                files = [kept.folder / "hypotheses.ctm" for kept in result.tested]
                found = {u: words for f in files if f.stat().st_size for u, words in read_ctm(f).items()}
                edges = score_edges({u: true[u] for u in references if u in true}, found)
        return replace(result, references=references, hypotheses=hypotheses, decode_rtf=rtf, edges=edges)


Pair = tuple[Result, Result]


def with_those_below(results: Sequence[Result]) -> list[Pair]:
    """Each result with the nearest system below it, and with that which its decoding was tuned with, if another."""
    found = []
    for second in results:
        same = {r.system: r for r in results if (r.test, r.seed) == (second.test, second.seed)}
        below = second.system.below
        while below is not None and below not in same:
            below = below.below
        found += [(same[s], second) for s in (below, second.system.tuned_as) if s in same]
    return found


def in_order(results: Sequence[Result]) -> list[Pair]:
    """Each result with the model before it in the same test, the same model decoded in the way before, the open
    vocabulary with the closed, and training without augmentation with that with it."""
    found = []
    for number, second in enumerate(results):
        same = [r for r in results[:number] if _group(r) == _group(second)]
        by_graph = [r for r in same if r.system.model != second.system.model]
        by_graph = [r for r in by_graph if {r.decoding, second.decoding} <= {"", "tlg"}]
        beside = by_graph[-1:] + [r for r in same if r.system.model == second.system.model][-1:]
        beside += [r for r in results[:number] if _without_augmentation(r) == second.row.key]
        found += [(first, second) for first in beside]
    return found


def _without_augmentation(result: Result) -> tuple:
    """The key of the row of the same system, trained without augmentation."""
    return replace(result.row, variant="plain-" + result.variant.removeprefix("robust-")).key


def _group(result: Result) -> tuple:
    """Results that are compared with each other have the same one."""
    of_words = result.kind in ("closed", "open")  # closed and open vocabularies are
    return result.test, result.metric, "" if of_words else (result.system.variant, result.kind)


def compared(pairs: Sequence[Pair]) -> list[tuple[str, str, Comparison]]:
    """The paired bootstrap of results, with their names in words."""
    return [(a.words, b.words, compare(a.score, b.score)) for a, b in pairs]


def folds_of(train: Sequence[str], n_parts: int) -> tuple[tuple[Part, tuple[str, ...]], ...]:
    """Every n-th utterance held out, in turn, and a part of the others."""
    return tuple(
        (Part(f"without-part{n}", tuple(i for k, i in enumerate(train) if k % n_parts != n)), tuple(train[n::n_parts]))
        for n in range(n_parts)
    )


def _train_name(system: System, part: Part, seed: int) -> str:
    return f"train-{system.name}-{part.name}-seed{seed}"


def _digest(ids: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:8]
