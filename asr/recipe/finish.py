"""How a recipe ends: results.json, comparisons.json, report.html, the printed tables, and one recording transcribed."""

import logging
import sys
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from .. import report
from ..corpus import Corpus
from ..errors import AsrError
from ..model.model import Model, load
from ..report import Player, Section, sentence, system_in_words, test_in_words
from ..report.results import results_table, write_results
from ..report.sound import read_utterance
from ..scoring import Comparison
from ..train.tuning import TuningPoint
from .bench import Pair, Result, compared
from .run import Run
from .searches import Point
from .systems import write_json

logger = logging.getLogger("asr.recipe")

Compared = Sequence[tuple[str, str, Comparison]]


def finish(
    run: Run,
    title: str,
    results: Sequence[Result],
    corpus: Corpus,
    *,
    pairs: Sequence[Pair] = (),
    unit: str = "words",
    place: str = "",
    show: bool = True,
) -> None:
    """Write OUT/results.json, comparisons.json and report.html, print tables, and transcribe one scored recording.

    Args:
        results: the first one is the headline, which the report looks at closely.
        pairs: of results that are compared.
        unit: what is counted as a word, in the plural.
        place: a folder in OUT for all that.
        show: whether a recording is transcribed, with the first system that needs nothing but the recording itself, if
            there is one.
    """
    rows, found, out = [r.row for r in results], compared(pairs), run.folder / place
    out.mkdir(exist_ok=True)
    write_results(out / "results.json", rows)
    write_json(out / "comparisons.json", [{"first": a, "second": b, **c._asdict()} for a, b, c in found])
    by_graph = [r for r in results if show and r.decoding in ("", "tlg")]  # what can be used as it is
    alone = next((r for r in by_graph if r.system.adaptation != "speaker"), next(iter(by_graph), None))
    _say("\n" + results_table(rows))
    for group in _of_seeds(results):
        _say(f"{group[0].test}, {group[0].system.name}: mean of {len(group)} seeds {_mean_and_range(group)}")
    if found:
        _say("\n" + comparison_table(found))
    for r in first_of_each(results, lambda r: (r.system.name, r.test)):
        if r.edges is not None:
            _say(f"\nWord edges, {r.test}, {r.system.name}, seed {r.seed}: {r.edges.report()}")
    near = [] if alone is None else [_near(alone, corpus)]
    page = _write_page(out, title, results, found, corpus, unit, near)
    if alone is not None:
        folder = alone.tested[0].folder / "model"
        _say(f"model   {folder}   (asr transcribe {folder} FILE.wav)")
    if page:
        _say(f"report  {out / 'report.html'}")


def comparison_table(pairs: Compared) -> str:
    """The comparisons as a Markdown table."""
    lines = ["| first | second | difference, 95 % interval | second better in |", "|---|---|---:|---:|"]
    for first, second, c in pairs:
        lines.append(
            f"| {first} | {second} | {c.difference:+.2f} ({c.low:+.2f} to {c.high:+.2f}) | {100 * c.better:.1f} % |"
        )
    return "\n".join(lines)


def first_of_each(results: Sequence[Result], key: Callable[[Result], Hashable]) -> list[Result]:
    """The first result of each key."""
    found: dict[Hashable, Result] = {}
    for r in results:
        found.setdefault(key(r), r)
    return list(found.values())


def tuning_points(points: Sequence[Point]) -> list[TuningPoint]:
    """The points of a search in a graph as the report's section on tuning takes them."""
    return [TuningPoint(**p.setting, errors=p.errors, total=p.total) for p in points]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _write_page(
    out: Path, title: str, results: Sequence[Result], pairs: Compared, corpus: Corpus, unit: str, near: list[Section]
) -> bool:
    """OUT/report.html: all results, then the headline's system from near. Whether matplotlib is there for it."""
    try:
        report.check_plotting()
    except AsrError as error:
        logger.warning("no report.html: %s", error)
        return False
    first = results[0]
    where = f"{len(first.references):,} recordings: {test_in_words(first.test)}, {_about(first)}"
    top = report.headline(first.score, where, unit="" if unit == "words" else unit)
    report.write_report(
        out / "report.html",
        title=title,
        sections=_sections(results, pairs, corpus, unit, near),
        headline=top,
        facts=report.run_facts(seed=first.seed, utterances=len(corpus), folder=str(out)),
    )
    return True


def _sections(
    results: Sequence[Result], pairs: Compared, corpus: Corpus, unit: str, near: list[Section]
) -> list[Section]:
    """The parts of the report: all results, then the first system on every test."""
    same = [
        r
        for r in results
        if (r.system, r.decoding, r.kind) == (results[0].system, results[0].decoding, results[0].kind)
    ]
    first = first_of_each(same, lambda r: r.test)
    fold = "Of the first fold." if any(len(r.tested) > 1 for r in first) else ""
    note, player = f"{fold} The scored recordings played no part.".strip(), Player()
    spread = " ".join(
        f"{sentence(test_in_words(group[0].test))}, {_about(group[0])}: with {len(group)} seeds "
        f"{_mean_and_range(group, ' to ')}."
        for group in _of_seeds(results)
    )
    sections = [report.results_section([r.row for r in results], note=spread)]
    if pairs:
        told = "A paired bootstrap over the utterances, 1,000 samples."
        sections.append(report.comparison_section(pairs, note=told))
    sections += _stages(results, first, unit)
    for r in first:
        sections += _of_errors(r, corpus, player, unit, named=len(first) > 1)
    for r in first:
        if r.tunings[0] and "acoustic_scale" in r.tunings[0][0].setting:
            title = "Tuning on held-out speech" + (f", {test_in_words(r.test)}" if len(first) > 1 else "")
            points = tuning_points(r.tunings[0])
            sections.append(report.tuning_section(points, unit=unit, title=title, about=sentence(_about(r)), note=note))
    sections += trainings(results)
    terms = [*dict.fromkeys(r.metric.upper() for r in results), "held out", "by chance", "acoustic scale"]
    return [*sections, *near, report.glossary_section([*terms, "insertion penalty", "decode RTF"])]


def _about(result: Result) -> str:
    """A system in words, with how it was decoded where that was in several ways."""
    return system_in_words(result.row)


def _stages(results: Sequence[Result], first: Sequence[Result], unit: str) -> list[Section]:
    """The errors from model to model, in each test that has several."""
    sections = []
    for r in first:
        alike = [x for x in results if (x.test, x.seed, x.kind) == (r.test, r.seed, r.kind)]
        alike = [x for x in alike if x.system.variant == r.system.variant]
        models = first_of_each(alike, lambda x: (x.system.model, x.decoding))
        scores = {" ".join(p for p in (x.system.model, x.decoding) if p): x.score for x in models}
        if len(scores) > 1:
            sections.append(report.stages_section({unit: scores}, about=sentence(test_in_words(r.test))))
    return sections


def _of_errors(result: Result, corpus: Corpus, player: Player, unit: str, *, named: bool) -> list[Section]:
    """Who and what was recognised wrong in a test.

    Args:
        named: whether titles need the test's name.
    """
    about, of_id = sentence(f"{test_in_words(result.test)}: {_about(result)}"), {u.id: u for u in corpus}
    score, of = result.score, f", {test_in_words(result.test)}" if named else ""
    worst = report.utterance_section(
        result.references, result.hypotheses, title=f"Worst utterances{of}", about=about, limit=12,
        unit=unit.removesuffix("s"), play=lambda u: player.play(of_id.get(u)),
    )  # fmt: skip
    order = sorted({w for text in result.references.values() for w in text.split()})
    taken = report.confusion_section(score.confusions, order=order, title=f"What was taken for what{of}", about=about)
    sections = [worst, taken] if score.errors else []
    by_speaker = {s: (x.errors, x.total) for s, x in score.by_speaker(corpus.speaker_of).items()}
    if len(by_speaker) > 1:
        title = f"Errors of each speaker{of}"
        sections.append(report.speaker_section(by_speaker, title=title, about=about, unit=unit.removesuffix("s")))
    if result.edges is not None:
        sections.append(report.edge_section(result.edges, title=f"Word edges{of}", about=about))
    return sections


def trainings(results: Sequence[Result]) -> list[Section]:
    """How the models of the first folds were trained: passes of EM, and epochs of networks."""
    trained = {}
    for r in first_of_each(results, lambda r: (r.system.name, r.test)):
        name = " ".join(p for p in (r.system.model, r.system.variant) if p)
        trained[f"{name} {r.test}"] = r.trained[0].value
    logs = {name: t.rung.log for name, t in trained.items() if t.rung.log}
    passes = {name: [(p.iteration, p.log_likelihood, p.n_gaussians) for p in log] for name, log in logs.items()}
    curves = {f"{name} {part}": points for name, t in trained.items() for part, points in t.curves.items()}
    found = [report.training_section(dict(list(passes.items())[:6]), same_features=False)] if passes else []
    return [*found, report.network_section(curves, note="The first fold of each test.")] if curves else found


def _near(result: Result, corpus: Corpus) -> Section:
    """A scored recording of median length, transcribed; over time, with its recognised phones and words."""
    ordered = sorted(result.references, key=lambda i: (len(result.references[i].split()), i))
    shown = corpus[ordered[len(ordered) // 2]]
    model: Model = load(result.tested[0].folder / "model")
    samples, rate = read_utterance(shown, model.sample_rate)
    transcript = model.transcribe(samples, rate)
    _say(f"\nA held-out recording, {shown.audio}\n  said        {shown.text}\n  recognised  {transcript.text}\n")
    return report.alignment_section(
        samples, rate,
        phones=[(p.phone, p.start, p.end) for p in transcript.phones],
        words=[(w.word, w.start, w.end) for w in transcript.words],
        name=f"{shown.id}, said: {shown.text}", sound=Player().play(shown), about=sentence(_about(result)),
    )  # fmt: skip


def _mean_and_range(group: Sequence[Result], to: str = "-") -> str:
    values = [r.row.value for r in group]
    return f"{sum(values) / len(values):.2f} % ({min(values):.2f}{to}{max(values):.2f})"


def _of_seeds(results: Sequence[Result]) -> list[list[Result]]:
    """The results of each system on each test, where there are several seeds."""
    groups: dict[Hashable, list[Result]] = {}
    for r in results:
        groups.setdefault((r.system.name, r.test, r.decoding, r.kind, r.metric), []).append(r)
    return [group for group in groups.values() if len(group) > 1]
