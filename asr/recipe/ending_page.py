"""The page of a recipe: all results, then the first system from near."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..corpus import Corpus, Utterance
from ..model.transcript import Transcript
from ..report import (
    Player,
    Section,
    alignment_section,
    comparison_section,
    confusion_section,
    edge_section,
    glossary_section,
    headline,
    network_section,
    results_section,
    run_facts,
    sentence,
    speaker_section,
    stages_section,
    system_in_words,
    test_in_words,
    training_section,
    tuning_section,
    utterance_section,
    write_report,
)
from ..report.results import ResultRow
from ..scoring import Comparison
from .ladder_bench import Test
from .networks import read_training
from .stages import Run
from .tasks import read_json, read_tuning
from .tested import Result


@dataclass(frozen=True, eq=False)
class Near:
    """A recording to look at closely: its samples at `rate` Hz, and what a system recognised in it."""

    utterance: Utterance
    samples: np.ndarray
    rate: int
    transcript: Transcript
    by: Result

    def section(self, player: Player) -> Section:
        """The recording over time, with its recognised phones and words."""
        phones = [(p.phone, p.start, p.end) for p in self.transcript.phones]
        words = [(w.word, w.start, w.end) for w in self.transcript.words]
        name, sound = f"{self.utterance.id}, said: {self.utterance.text}", player.play(self.utterance)
        return alignment_section(
            self.samples, self.rate, phones=phones, words=words, name=name, sound=sound, about=_about(self.by)
        )


def write_page(
    run: Run,
    title: str,
    results: Sequence[Result],
    rows: Sequence[ResultRow],
    pairs: Sequence[tuple[str, str, Comparison]],
    corpus: Corpus,
    tests: Sequence[Test],
    near: Near,
    model: Path,
) -> Path:
    """OUT/report.html. tests: of systems without HMMs. model: the folder of the model that the reader may use."""
    first = results[0]
    where = f"{len(first.tested.references):,} recordings: {test_in_words(first.test)}, {system_in_words(first.row)}"
    top = headline(first.tested.score(), where)
    if seeds := [r for r in results if (r.system, r.test) == (first.system, first.test)][1:]:
        told = f"Trained with {len(seeds) + 1} seeds, it has {_mean_and_range([first, *seeds], ' to ')}."
        top = replace(top, sentences=(*top.sentences, told))
    return write_report(
        run.folder / "report.html",
        title=title,
        sections=_sections(results, rows, pairs, corpus, tests, near),
        headline=top,
        facts=run_facts(seed=first.seed, utterances=len(corpus), folder=str(run.folder), model=str(model)),
    )


def _sections(
    results: Sequence[Result],
    rows: Sequence[ResultRow],
    pairs: Sequence[tuple[str, str, Comparison]],
    corpus: Corpus,
    tests: Sequence[Test],
    near: Near,
) -> list[Section]:
    """The parts of the report: all results, then the first system on every test."""
    first = first_of_each([r for r in results if r.system == results[0].system], lambda r: r.test)
    fold = "Of the first fold." if any(len(r.tested.tests) > 1 for r in first) else ""
    note, player = f"{fold} The scored recordings played no part.".strip(), Player()
    sections = [results_section(rows, note=_spread_in_words(results))]
    if pairs:
        sections.append(comparison_section(pairs, note="A paired bootstrap over the utterances, 1,000 samples."))
    sections += _stages(results, first)
    for r in first:
        sections += _of_errors(r, corpus, player, named=len(first) > 1)
    for r in first:
        title = "Tuning on held-out speech" + (f", {test_in_words(r.test)}" if len(first) > 1 else "")
        sections.append(tuning_section(read_tuning(*r.tested.tunings[0]), title=title, about=_about(r), note=note))
    sections.append(_training(first, fold))
    if networks := _networks(results, tests):
        sections.append(network_section(networks, note="The first fold of each test."))
    terms = ["WER", "held out", "by chance", "acoustic scale", "insertion penalty", "decode RTF"]
    return [*sections, near.section(player), glossary_section(terms)]


def _about(result: Result) -> str:
    """What a section is of: the test and the system, in words."""
    return sentence(f"{test_in_words(result.test)}: {system_in_words(result.row)}")


def _stages(results: Sequence[Result], first: Sequence[Result]) -> list[Section]:
    """The errors from model to model up the ladder, in each test that has several."""
    sections = []
    for r in first:
        same = [x for x in results if (x.test, x.seed) == (r.test, r.seed) and x.system.front_end == r.system.front_end]
        same = [x for x in same if x.system.variant == r.system.variant]
        ladder = {x.system.model: x.tested.score() for x in first_of_each(same, lambda x: x.system.model)}
        if len(ladder) > 1:
            sections.append(stages_section({"words": ladder}, about=sentence(test_in_words(r.test))))
    return sections


def _of_errors(result: Result, corpus: Corpus, player: Player, *, named: bool) -> list[Section]:
    """Who and what was recognised wrong in a test. named: whether titles need the test's name."""
    tested, about, of_id = result.tested, _about(result), {u.id: u for u in corpus}
    score, of = tested.score(), f", {test_in_words(result.test)}" if named else ""

    def play(utterance: str) -> str:
        return player.play(of_id.get(utterance))

    worst = utterance_section(
        tested.references, tested.hypotheses, title=f"Worst utterances{of}", about=about, limit=12, play=play
    )
    words = sorted({w for text in tested.references.values() for w in text.split()})
    taken = confusion_section(score.confusions, order=words, title=f"What was taken for what{of}", about=about)
    sections = [worst, taken] if score.errors else []
    by_speaker = score.by_speaker(corpus.speaker_of)
    if len(by_speaker) > 1:
        counts = {s: (x.errors, x.total) for s, x in by_speaker.items()}
        sections.append(speaker_section(counts, title=f"Errors of each speaker{of}", about=about))
    if tested.edges is not None:
        sections.append(edge_section(tested.edges, title=f"Word edges{of}", about=about))
    return sections


def _training(first: Sequence[Result], note: str) -> Section:
    """How the models of the first folds were trained: passes of EM, or epochs of a network."""
    about = sentence(system_in_words(first[0].row))
    curves = {f"{r.test}, {n}": c for r in first for n, c in read_training(r.tested.trainings[0]).items()}
    if curves:
        return network_section(curves, note=note, about=about)
    return training_section({test_in_words(r.test): _log(r) for r in first}, note=note, about=about)


def first_of_each(results: Sequence[Result], key: Callable[[Result], Hashable]) -> list[Result]:
    """The first result of each key."""
    found: dict[Hashable, Result] = {}
    for r in results:
        found.setdefault(key(r), r)
    return list(found.values())


def _log(result: Result) -> list[tuple[int, float, int]]:
    log = read_json(result.tested.trainings[0] / "training.json")["log"]
    return [(p["iteration"], p["log_likelihood"], p["n_gaussians"]) for p in log]


def _networks(results: Sequence[Result], tests: Sequence[Test]) -> dict[str, list[dict]]:
    """The curves of each network but the headline's, in the first fold of each test."""
    folders = {
        f"{r.system.name}, {r.test}": r.tested.trainings[0] for r in results[::-1] if r.system != results[0].system
    }
    folders |= {" ".join(filter(None, (t.system, t.variant))) + f", {t.name}": t.rungs[0] for t in tests}
    curves = {name: read_training(folder) for name, folder in folders.items()}
    return {f"{name}, {part}": points for name, found in curves.items() for part, points in found.items()}


def spread(results: Sequence[Result]) -> list[str]:
    """Mean and range over the seeds, where a system was trained with several."""
    return [
        f"{group[0].test}, {group[0].system.name}: mean of {len(group)} seeds {_mean_and_range(group)}"
        for group in _of_seeds(results)
    ]


def _spread_in_words(results: Sequence[Result]) -> str:
    """The same as sentences."""
    return " ".join(
        f"{sentence(test_in_words(group[0].test))}, {system_in_words(group[0].row)}: with {len(group)} seeds "
        f"{_mean_and_range(group, ' to ')}."
        for group in _of_seeds(results)
    )


def _mean_and_range(group: Sequence[Result], to: str = "-") -> str:
    values = [r.row.value for r in group]
    return f"{sum(values) / len(values):.2f} % ({min(values):.2f}{to}{max(values):.2f})"


def _of_seeds(results: Sequence[Result]) -> list[list[Result]]:
    """The results of each system on each test, where there are several seeds."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for r in results:
        groups.setdefault((r.system.name, r.test), []).append(r)
    return [group for group in groups.values() if len(group) > 1]
