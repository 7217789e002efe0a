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
from ..scoring import Comparison, compare
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
    first = results[0]
    alone = next((r for r in results if r.system.adaptation != "speaker"), first)
    rows = [*(r.row for r in results), *(s.row for s in tested_rows)]
    write_results(run.folder / "results.json", rows)
    pairs = [*compared(results), *compared_rows(tested_rows)]
    write_json(run.folder / "comparisons.json", [{"first": a, "second": b, **c._asdict()} for a, b, c in pairs])
    folder = alone.tested.tests[0] / "model"
    model = load(folder)
    shown = _typical(alone.tested, corpus)
    samples = _samples(shown, model)
    transcript = model.transcribe(samples)
    player = Player()
    near = _alignment(shown, samples, model, transcript, alone, player)
    sections = _sections(results, rows, corpus, pairs, player)
    sections.insert(len(sections) - 1, near)
    if networks := _networks(results, tests):
        sections.insert(len(sections) - 1, network_section(networks, note="The first fold of each test."))
    report = run.folder / "report.html"
    where = f"{len(first.tested.references):,} recordings: {test_in_words(first.test)}, {system_in_words(first.row)}"
    write_report(
        report, title=title, sections=sections, headline=headline(first.tested.score(), where),
        facts=run_facts(seed=first.seed, utterances=len(corpus), folder=str(run.folder), model=str(folder)),
    )  # fmt: skip
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
    results: Sequence[Result],
    rows: Sequence[ResultRow],
    corpus: Corpus,
    pairs: Sequence[tuple[str, str, Comparison]],
    player: Player,
) -> list[Section]:
    """The parts of the report: all results, then the first system on every test."""
    first = _first_of_each([r for r in results if r.system == results[0].system], lambda r: r.test)
    sections = [results_section(rows, note="; ".join(_spread(results)))]
    if pairs:
        note = "A paired bootstrap over the utterances, 1,000 samples."
        sections.append(comparison_section([(a, b, c) for a, b, c in pairs], note=note))
    sections += _stages(results, first)
    for r in first:
        sections += _of_errors(r, corpus, player, named=len(first) > 1)
    fold = "Of the first fold." if any(len(r.tested.tests) > 1 for r in first) else ""
    for r in _first_of_each(first, lambda r: r.test):
        points = read_tuning(*r.tested.tunings[0])
        note = f"{fold} The scored recordings played no part.".strip()
        sections.append(tuning_section(points, about=_about(r), note=note))
    sections.append(_training(first, fold))
    terms = ["WER", "held out", "by chance", "acoustic scale", "insertion penalty", "decode RTF"]
    sections.append(glossary_section(terms))
    return sections


def _about(result: Result) -> str:
    """What a section is of: the test and the system, in words."""
    return sentence(f"{test_in_words(result.test)}: {system_in_words(result.row)}")


def _stages(results: Sequence[Result], first: Sequence[Result]) -> list[Section]:
    """The errors from model to model up the ladder, in each test that has several."""
    sections = []
    for r in first:
        same = [x for x in results if (x.test, x.seed) == (r.test, r.seed) and x.system.front_end == r.system.front_end]
        same = [x for x in same if x.system.variant == r.system.variant]
        ladder = {x.system.model: x.tested.score() for x in _first_of_each(same, lambda x: x.system.model)}
        if len(ladder) > 1:
            sections.append(stages_section({"words": ladder}, about=test_in_words(r.test)))
    return sections


def _of_errors(result: Result, corpus: Corpus, player: Player, *, named: bool) -> list[Section]:
    """Who and what was recognised wrong in a test. named: whether titles need the test's name."""
    tested, about = result.tested, _about(result)
    score, of = tested.score(), f", {test_in_words(result.test)}" if named else ""

    of_id = {u.id: u for u in corpus}

    def play(utterance: str) -> str:
        return player.play(of_id.get(utterance))

    worst = utterance_section(
        tested.references, tested.hypotheses, title=f"Worst utterances{of}", about=about, limit=12, play=play
    )
    words = sorted({w for text in tested.references.values() for w in text.split()})
    sections = [worst] if score.errors else []
    sections.append(confusion_section(score.confusions, order=words, title=f"What was taken for what{of}", about=about))
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


def _alignment(
    shown: Utterance, samples: np.ndarray, model: Model, transcript: Transcript, result: Result, player: Player
) -> Section:
    """One recording with its recognised phones and words."""
    phones = [(p.phone, p.start, p.end) for p in transcript.phones]
    words = [(w.word, w.start, w.end) for w in transcript.words]
    name = f"{shown.id}, said: {shown.text}"
    rate, sound = model.sample_rate, player.play(shown)
    return alignment_section(samples, rate, phones=phones, words=words, name=name, sound=sound, about=_about(result))


def _first_of_each(results: Sequence[Result], key: Callable[[Result], Hashable]) -> list[Result]:
    found: dict[Hashable, Result] = {}
    for r in results:
        found.setdefault(key(r), r)
    return list(found.values())


def _log(result: Result) -> list[tuple[int, float, int]]:
    log = read_json(result.tested.trainings[0] / "training.json")["log"]
    return [(p["iteration"], p["log_likelihood"], p["n_gaussians"]) for p in log]
