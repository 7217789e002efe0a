"""How a recipe ends: results.json, report.html, a table, and one held-out recording transcribed before your eyes."""

import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..audio import read
from ..corpus import Corpus, Utterance
from ..model import Model, Transcript, load
from ..report import (
    Section,
    alignment_section,
    confusion_section,
    edge_section,
    network_section,
    results_section,
    run_facts,
    speaker_section,
    training_section,
    tuning_section,
    utterance_section,
    write_report,
)
from ..scoring import Comparison, compare
from ..training import best_point
from .ladder_bench import Test
from .ladder_ending import Scored, comparison_table, described
from .ladder_ending import compared as compared_rows
from .networks import read_training
from .results import ResultRow, results_table, write_results
from .stages import Run
from .systems import System
from .tasks import read_json, read_tuning, write_json
from .tested import Tested, chosen


@dataclass(frozen=True)
class Result:
    """A system on a test with one seed."""

    system: System
    test: str
    seed: int
    tested: Tested

    @property
    def row(self) -> ResultRow:
        """Its row in results.json."""
        return self.tested.row(self.system, self.test, self.seed)


def finish(
    run: Run,
    title: str,
    results: Sequence[Result],
    corpus: Corpus,
    tests: Sequence[Test] = (),
    tested_rows: Sequence[Scored] = (),
) -> None:
    """Write OUT/results.json, comparisons.json and report.html, print tables, and transcribe one held-out recording.

    results: the first one is the headline, which the report looks at closely. The recording is transcribed with the
        first system that needs nothing but the recording itself, if there is one.
    tests, tested_rows: of systems without HMMs, and their rows.
    """
    headline = results[0]
    alone = next((r for r in results if r.system.adaptation != "speaker"), headline)
    rows = [*(r.row for r in results), *(s.row for s in tested_rows)]
    write_results(run.folder / "results.json", rows)
    pairs = [*compared(results), *compared_rows(tested_rows)]
    write_json(run.folder / "comparisons.json", [{"first": a, "second": b, **c._asdict()} for a, b, c in pairs])
    folder = alone.tested.tests[0] / "model"
    model = load(folder)
    shown = _typical(alone.tested, corpus)
    samples = _samples(shown, model)
    transcript = model.transcribe(samples)
    sections = _sections(results, rows, corpus, _networks(results, tests))
    sections.append(_alignment(shown, samples, model, transcript))
    facts = run_facts(seed=headline.seed, utterances=len(corpus), folder=str(run.folder))
    report = run.folder / "report.html"
    write_report(report, title=title, sections=sections, facts=facts)
    _say("")
    _say(results_table(rows))
    for line in _spread(results):
        _say(line)
    if pairs:
        _say("\n" + comparison_table(pairs))
    for r in _first_of_each(results, lambda r: (r.system.name, r.test)):
        if r.tested.edges is not None:
            _say("")
            _say(f"Word edges, {r.test}, {r.system.name}, seed {r.seed}: {r.tested.edges.report()}")
    _say("")
    _say(f"A held-out recording, {shown.audio}")
    _say(f"  said        {shown.text}")
    _say(f"  recognised  {transcript.text}")
    _say("")
    _say(f"model   {folder}   (asr transcribe {folder} FILE.wav)")
    _say(f"report  {report}")


def with_chosen(results: Sequence[Result], test: str, variants: Sequence[str]) -> list[Result]:
    """The results, and a row "chosen" of a test: in each fold the variant that did best on held-out data.

    variants: those to choose from, of the first result's front end, with its seed. No row is added if one is missing.
    """
    first = next((r for r in results if r.test == test), None)
    if first is None:
        return list(results)
    same = [r for r in results if _kind(r) == _kind(first)]
    candidates = [r for r in same if r.system.variant in variants and r.system.adaptation == first.system.adaptation]
    if {r.system.variant for r in candidates} != set(variants):
        return list(results)
    best = chosen([r.tested for r in candidates])
    return [*results, Result(replace(first.system, variant="chosen"), test, first.seed, best)]


def _kind(result: Result) -> tuple:
    return result.test, result.seed, result.system.model, result.system.front_end


def compared(results: Sequence[Result]) -> list[tuple[str, str, Comparison]]:
    """Models above monophones beside the nearest one below, and beside that which decoding was tuned with, if another.

    The paired bootstrap of systems that are named as in `described`, of the same test and seed.
    """
    found = []
    for second in results:
        same = {r.system: r for r in results if (r.test, r.seed) == (second.test, second.seed)}
        below = second.system.below
        while below is not None and below not in same:
            below = below.below
        for other in (below, second.system.tuned_as):
            if other in same:
                first = same[other]
                difference = compare(first.tested.score(), second.tested.score())
                found.append((described(first.row), described(second.row), difference))
    return found


def ship(target: Path, results: Sequence[Result], card: Path) -> None:
    """Write the model of the first result, with a card made from a template, as a directory of its own.

    card: text with {TEST} where a test's default-seed row belongs, e.g. "official: {official}".
    """
    rates: dict[str, str] = {}
    for result in results:
        row = result.row
        rates.setdefault(result.test, f"{row.value:.2f} % ({row.errors} errors in {row.total} words)")
    model = load(results[0].tested.tests[0] / "model")
    text = card.read_text(encoding="utf-8")
    for test, rate in rates.items():
        text = text.replace("{" + test + "}", rate)
    replace(model, card=text).save(target)
    _say(f"shipped {target}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _typical(tested: Tested, corpus: Corpus) -> Utterance:
    """The test utterance to show: of median length, whether it was recognised or not."""
    ordered = sorted(tested.references, key=lambda i: (len(tested.references[i].split()), i))
    return corpus[ordered[len(ordered) // 2]]


def _samples(utterance: Utterance, model: Model) -> np.ndarray:
    assert utterance.audio is not None  # features came from it
    return read(utterance.audio, model.sample_rate, start=utterance.start, end=utterance.end).samples


def _spread(results: Sequence[Result]) -> list[str]:
    """Mean and range over the seeds, where a system was trained with several."""
    groups: dict[tuple[str, str], list[float]] = {}
    for r in results:
        groups.setdefault((r.system.name, r.test), []).append(r.row.value)
    return [
        f"{test}, {name}: mean of {len(v)} seeds {sum(v) / len(v):.2f} % ({min(v):.2f}-{max(v):.2f})"
        for (name, test), v in groups.items()
        if len(v) > 1
    ]


def _networks(results: Sequence[Result], tests: Sequence[Test]) -> dict[str, list[dict]]:
    """The curves of each network but the headline's, in the first fold of each test."""
    folders = {
        f"{r.system.name}, {r.test}": r.tested.trainings[0] for r in results[::-1] if r.system != results[0].system
    }
    folders |= {" ".join(filter(None, (t.system, t.variant))) + f", {t.name}": t.rungs[0] for t in tests}
    curves = {name: read_training(folder) for name, folder in folders.items()}
    return {f"{name}, {part}": points for name, found in curves.items() for part, points in found.items()}


def _sections(
    results: Sequence[Result], rows: Sequence[ResultRow], corpus: Corpus, networks: dict[str, list[dict]]
) -> list[Section]:
    """The parts of the report: all results, then the headline system on every test."""
    headline = results[0]
    first = _first_of_each([r for r in results if r.system == headline.system], lambda r: r.test)
    sections = [results_section(rows, note="; ".join(_spread(results)))]
    sections.append(_training(first))
    if networks:
        sections.append(network_section(networks, note="The first fold of each test."))
    sections.append(_tuning(first))
    for r in first:
        score = r.tested.score()
        by_speaker = score.by_speaker(corpus.speaker_of)
        counts = {s: (x.errors, x.total) for s, x in by_speaker.items()}
        sections.append(speaker_section(counts, title=f"{r.test}: errors of each speaker"))
        words = sorted({w for text in r.tested.references.values() for w in text.split()})
        sections.append(confusion_section(score.confusions, order=words, title=f"{r.test}: confusions"))
        if r.tested.edges is not None:
            sections.append(edge_section(r.tested.edges, title=f"{r.test}: word edges"))
        sections.append(
            utterance_section(r.tested.references, r.tested.hypotheses, title=f"{r.test}: worst utterances", limit=12)
        )
    return sections


def _training(first: Sequence[Result]) -> Section:
    """How the models of the first folds were trained: passes of EM, or epochs of a network."""
    note = "The first fold of each test."
    curves = {f"{r.test}, {n}": c for r in first for n, c in read_training(r.tested.trainings[0]).items()}
    return (
        network_section(curves, note=note) if curves else training_section({r.test: _log(r) for r in first}, note=note)
    )


def _alignment(shown: Utterance, samples: np.ndarray, model: Model, transcript: Transcript) -> Section:
    """One recording with its recognised phones and words."""
    phones = [(p.phone, p.start, p.end) for p in transcript.phones]
    words = [(w.word, w.start, w.end) for w in transcript.words]
    name = f"{shown.id}: {shown.text}"
    return alignment_section(samples, model.sample_rate, phones=phones, words=words, name=name)


def _first_of_each(results: Sequence[Result], key: Callable[[Result], Hashable]) -> list[Result]:
    found: dict[Hashable, Result] = {}
    for r in results:
        found.setdefault(key(r), r)
    return list(found.values())


def _log(result: Result) -> list[tuple[int, float, int]]:
    log = read_json(result.tested.trainings[0] / "training.json")["log"]
    return [(p["iteration"], p["log_likelihood"], p["n_gaussians"]) for p in log]


def _tuning(results: Sequence[Result]) -> Section:
    """The curves through the chosen point, for the first fold of each test."""
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {"acoustic scale": {}, "insertion penalty": {}}
    chosen: dict[str, dict[str, float]] = {"acoustic scale": {}, "insertion penalty": {}}
    for r in results:
        points = read_tuning(*r.tested.tunings[0])
        best = best_point(points)
        scale = [(p.acoustic_scale, p.rate) for p in points if p.insertion_penalty == best.insertion_penalty]
        penalty = [(p.insertion_penalty, p.rate) for p in points if p.acoustic_scale == best.acoustic_scale]
        curves["acoustic scale"][r.test], curves["insertion penalty"][r.test] = scale, penalty
        chosen["acoustic scale"][r.test] = best.acoustic_scale
        chosen["insertion penalty"][r.test] = best.insertion_penalty
    return tuning_section(curves, chosen=chosen, note="The first fold of each test; the scored set played no part.")
