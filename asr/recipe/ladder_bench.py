"""What the tests of a recipe with a ladder of models have in common; what is there already is not done again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..errors import ConfigError
from ..features.pipeline import FeaturePipeline
from ..lang.letters import LetterTable, letter_lexicon
from ..scoring.reading import read_transcripts
from ..train.ladder import STAGES, Sizes
from .ctc_tests import JointGrid, PrefixGrid, test_greedy, test_joint, test_prefix, tune_joint, tune_prefix
from .grammars import Grammar, make_graph, make_language_model
from .networks import CtcPlan, JointPlan, Plans, make_network
from .rungs import Search, make_rung, test_rung, tune_rung
from .stages import Run
from .tasks import extract_features, read_json, usable


@dataclass(frozen=True)
class Part:
    """Utterance ids to train on, to tune decoding on and to test, and how large the models are.

    name: of its stages. of, variant: of the test in results.json.
    """

    name: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    test: tuple[str, ...]
    sizes: Sizes
    of: str = "dev"
    variant: str = ""

    def as_plain(self) -> "Part":
        """The same, for systems that are trained without augmentation: see `Bench.without_augmentation`."""
        return replace(self, name=f"{self.name}-plain", variant="plain")


@dataclass(frozen=True)
class Test:
    """A finished test of one model, on one part or several that were pooled.

    name, variant: of the test. system: the rung, or the network. decoding: how, where a system is decoded in several
    ways. grammar: what could be recognised. features: what the system hears. train_cpu_seconds: of this rung and those
    below it. folders: of the test stages. rungs: of the models.
    """

    name: str
    variant: str
    system: str
    features: str
    grammar: Grammar
    references: dict[str, str]
    hypotheses: dict[str, str]
    train_cpu_seconds: float
    decode_rtf: float
    folders: tuple[Path, ...]
    rungs: tuple[Path, ...]
    decoding: str = ""
    adaptation: str = "session"


@dataclass(frozen=True, eq=False)
class Bench:
    """The corpus and the language of a recipe.

    corpus: all utterances. data: a folder of `extract_features` of them. letters, questions: files of the language; the
        ladder's trees may ask the questions.
    lexicon: the file of words that models are trained with; see `with_lexicon`. networks: systems above the ladder's
        last rung or, with CTC, without a ladder, by name. gpus: "all" or numbers, on which these are trained; the CPU
        if not given. adaptation: see ResultRow.
    """

    run: Run
    corpus: Corpus
    data: Path
    letters: Path
    questions: Path | None
    pipeline: FeaturePipeline
    seed: int
    n_jobs: int
    lexicon: Path | None = None
    networks: Mapping[str, Plans] = field(default_factory=dict)
    gpus: str | None = None
    adaptation: str = "session"
    _made: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def with_lexicon(self, texts: Sequence[str]) -> "Bench":
        """The same, with the words of some texts said as they are spelled."""
        inputs = {"texts": list(texts), "letters": self.letters}
        return replace(self, lexicon=self.run.stage("lexicon", make_lexicon, inputs) / "lexicon.tsv")

    def without_augmentation(self) -> "Bench":
        """The same with the systems of CTC alone, trained on recordings as they are; for parts that are `as_plain`."""
        plans = {name: plan.as_plain() for name, plan in self.networks.items() if isinstance(plan, CtcPlan)}
        return replace(self, networks=plans)

    def first_seconds(self, ids: Sequence[str], seconds: float) -> list[str]:
        """The first of some utterances, as many as are needed for some seconds of speech."""
        raw = usable(self.data, ids).raw
        total = np.cumsum([len(raw[u]) for u in raw]) * self.pipeline.frame_shift
        return list(raw)[: int(np.searchsorted(total, seconds)) + 1]

    def hours(self, ids: Sequence[str]) -> float:
        """Hours of speech in some utterances, pauses counted."""
        return len(usable(self.data, ids).raw.frames) * self.pipeline.frame_shift / 3600

    def rung(self, part: Part, system: str) -> Path:
        """A trained model; those below it are trained first."""
        previous: Path | None = None
        heard = usable(self.data, part.train).raw
        for stage in self._ladder(system):
            inputs: dict[str, Any] = {"data": self.data, "ids": list(heard), "lexicon": self.lexicon}
            inputs |= {"questions": self.questions, "pipeline": self.pipeline, "sizes": part.sizes, "stage": stage}
            inputs |= {"previous": previous, "seed": self.seed, "n_jobs": self.n_jobs}
            previous = self._stage(f"{part.name}-{stage}", make_rung, inputs)
        if system not in self.networks:
            assert previous is not None  # there is one stage at least
            return previous
        plan = replace(self.networks[system], search=None)  # another search is no reason to train again
        if isinstance(plan, CtcPlan):
            plan = replace(plan, plain={})  # nor is what is set for training without augmentation
        inputs = {"data": self.data, "ids": list(heard), "held_out": list(part.held_out)}
        inputs["below"] = self.lexicon if previous is None else previous
        inputs |= {"plan": plan, "seed": self.seed, "n_jobs": self.n_jobs, "gpus": self.gpus}
        if plan.front_end:
            inputs |= {"inputs": self._data(system), "pipeline": plan.pipeline(self.pipeline.sample_rate)}
            inputs["copies"] = {speed: self._data(system, speed) for speed in plan.speeds if speed != 1.0}
        if self._start(system):
            inputs["start"] = self.rung(part, self._start(system))
        return self._stage(f"{part.name}-{system}", make_network, inputs)

    def test(self, part: Part, system: str, grammar: Grammar, search: Search, others: Sequence[Part] = ()) -> Test:
        """Train a model, tune its decoding, and test it.

        others: parts whose test utterances decoding is tuned on, each with the part's own model, as where every speaker
            is left out in turn; the part's held-out utterances if not given.
        """
        plan = self.networks.get(system)
        search = plan.search if plan is not None and plan.search is not None else search

        def inputs(part: Part) -> dict[str, Any]:
            spoken = self._language_model(part, grammar)
            graph = {"rung": self.rung(part, system), "language_model": spoken, "grammar": grammar}
            return {"graph": self._stage(f"{part.name}-{system}-{grammar.kind}-graph", make_graph, graph)}

        more = {"search": search, "n_jobs": self.n_jobs}
        tested = self._tested(part, others, system, grammar, "", tune_rung, test_rung, inputs, more)
        stages = dict.fromkeys((*self._ladder(system), self._start(system) or system, system))
        seconds = self.run.cpu_seconds(*(f"{part.name}-{stage}" for stage in stages))
        return Test(
            part.of, part.variant, system, self._front_end if plan is None else plan.features, grammar,
            read_transcripts(tested / "references.tsv"), read_transcripts(tested / "hypotheses.tsv"),
            seconds, read_json(tested / "test.json")["decode_rtf"], (tested,),
            (self.rung(part, system),), adaptation=self.adaptation,
        )  # fmt: skip

    def _tested(
        self, part: Part, others: Sequence[Part], system: str, grammar: Grammar, kind: str, tune: Any, test: Any,
        inputs: Callable[[Part], dict[str, Any]], more: dict[str, Any],
    ) -> Path:  # fmt: skip
        """The folder of a test, after tuning. kind: of the decoding, for names. inputs: of stages of a part."""
        common = {"data": self._data(system), "letters": self.letters, "grammar": grammar, **more}
        name, tuned = f"{system}-{grammar.kind}{kind and '-' + kind}", []
        for other in others or [part]:
            ids = other.test if others else other.held_out
            stage = f"{other.name}-{name}-{'cross-' if others else ''}tuning"
            tuned.append(self._stage(stage, tune, {**common, **inputs(other), "ids": list(ids)}))
        wanted = {**common, **inputs(part), "ids": list(part.test), "tuned": tuned}
        return self._stage(f"{part.name}-{name}-test", test, wanted)

    def ctc_tests(
        self,
        part: Part,
        system: str,
        grammar: Grammar,
        search: Search,
        grid: PrefixGrid,
        joint: JointGrid | None = None,
        others: Sequence[Part] = (),
    ) -> list[Test]:
        """A CTC model tested in several ways: by its best path, by prefix search, and with the graph TLG.

        joint: how a system that has an attention decoder too is asked together with CTC. others: as of `test`.
        """
        by_graph = self.test(part, system, grammar, search, others)
        data, name = self._data(system), f"{part.name}-{system}-{grammar.kind}"
        common = {"data": data, "letters": self.letters, "grammar": grammar, "ids": list(part.test)}
        plain = self._stage(f"{name}-greedy-test", test_greedy, {**common, "trained": self.rung(part, system)})

        def inputs(part: Part) -> dict[str, Any]:
            return {"trained": self.rung(part, system), "language_model": self._language_model(part, grammar)}

        def searched(kind: str, tune: Any, test: Any, **more: Any) -> tuple[str, Path]:
            return kind, self._tested(part, others, system, grammar, kind, tune, test, inputs, more)

        found = [("greedy", plain), searched("prefix", tune_prefix, test_prefix, grid=grid, n_jobs=self.n_jobs)]
        found.append(("tlg", by_graph.folders[0]))
        if joint is not None and isinstance(self.networks[system], JointPlan):
            found.append(searched("joint", tune_joint, test_joint, grid=joint))
        return [
            replace(
                by_graph, decoding=decoding, folders=(folder,),
                hypotheses=read_transcripts(folder / "hypotheses.tsv"),
                decode_rtf=read_json(folder / "test.json")["decode_rtf"],
            )
            for decoding, folder in found
        ]  # fmt: skip

    def pooled(self, name: str, parts: Sequence[Part], system: str, grammar: Grammar, search: Search) -> Test:
        """One test of the same system on several parts; see `pool`."""
        return replace(pool([self.test(part, system, grammar, search) for part in parts]), name=name)

    def _language_model(self, part: Part, grammar: Grammar) -> Path:
        """The folder of a grammar's n-gram, from the part's training transcripts."""
        texts = [self.corpus[u].text for u in part.train]
        inputs: dict[str, Any] = {"letters": self.letters, "lexicon": self.lexicon, "grammar": grammar, "texts": texts}
        return self._stage(f"{part.name}-{grammar.kind}-lm", make_language_model, inputs)

    @property
    def _front_end(self) -> str:
        return self.pipeline.kind

    def _data(self, system: str, speed: float = 1.0) -> Path:
        """The folder of a system's features; at another speed than 1 those of the recordings at that speed."""
        plan = self.networks.get(system)
        if plan is None or not plan.front_end:
            return self.data
        pipeline = plan.pipeline(self.pipeline.sample_rate)
        inputs = {"utterances": list(self.corpus), "pipeline": pipeline, "n_jobs": self.n_jobs, "speed": speed}
        name = f"features-{plan.features}" + (f"-speed{speed:g}" if speed != 1.0 else "")
        return self._stage(name, extract_features, inputs)

    def _start(self, system: str) -> str:
        """The system whose network a system's begins as. Raises ConfigError unless it is one of CTC alone."""
        start = getattr(self.networks.get(system), "start", "")
        if start and type(self.networks.get(start)) is not CtcPlan:
            known = ", ".join(name for name, plan in self.networks.items() if type(plan) is CtcPlan)
            raise ConfigError(f"{system}: start is {start!r}; it must be a system trained with CTC alone ({known})")
        return start

    def _ladder(self, system: str) -> tuple[str, ...]:
        """The rungs that a system needs."""
        if system in self.networks:
            return () if isinstance(self.networks[system], CtcPlan) else STAGES
        return STAGES[: STAGES.index(system) + 1]

    def _stage(self, name: str, make: Any, inputs: dict[str, Any]) -> Path:
        """A stage that several tests may share. Raises ConfigError where two of one name would differ."""
        told = {key: value.steps if isinstance(value, FeaturePipeline) else value for key, value in inputs.items()}
        if name not in self.run.folders:
            self.run.stage(name, make, inputs)
        if self._made.setdefault(name, told) != told:
            raise ConfigError(
                f"{name}: two systems need it, with other settings; give both the same, or run them apart"
            )
        return self.run.folders[name]


def pool(tests: Sequence[Test]) -> Test:
    """One test of tests of the same system on several parts: training time is their sum, the real-time factor their
    mean."""
    return replace(
        tests[0],
        references={u: text for t in tests for u, text in t.references.items()},
        hypotheses={u: text for t in tests for u, text in t.hypotheses.items()},
        train_cpu_seconds=sum(t.train_cpu_seconds for t in tests),
        decode_rtf=sum(t.decode_rtf for t in tests) / len(tests),
        folders=tuple(f for t in tests for f in t.folders),
        rungs=tuple(f for t in tests for f in t.rungs),
    )


def make_lexicon(folder: Path, texts: Sequence[str], letters: Path) -> None:
    """`folder`/lexicon.tsv: the words of some texts, said as they are spelled."""
    words = [word for text in texts for word in text.split()]
    letter_lexicon(words, LetterTable.load(letters)).save(folder / "lexicon.tsv")
