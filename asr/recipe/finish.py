"""How a recipe ends: results.json, comparisons.json, report.html, the printed tables, and one recording transcribed."""

import logging
import sys
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

from .. import report
from ..corpus import Corpus
from ..errors import AsrError
from ..files.json_files import read_json
from ..model.model import load
from ..report import Player, Section, sentence, system_in_words, test_in_words
from ..report.results import results_table, write_results
from ..report.sound import read_utterance
from ..scoring import Comparison
from ..train.tuning import TuningPoint
from .bench import Pair, Result, compared
from .run import Run
from .systems import write_json

logger = logging.getLogger("asr.recipe")

Compared = Sequence[tuple[str, str, Comparison]]


def finish(
    run: Run, title: str, results: Sequence[Result], corpus: Corpus, *, pairs: Sequence[Pair] = (),
    unit: str = "words", place: str = "", show: bool = True,
) -> None:  # fmt: skip
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
    lines = ["", results_table(rows), *_of_seeds(results), *(["", comparison_table(found)] if found else [])]
    for r, *_ in groups(results, lambda r: (r.system.name, r.test)):
        if r.edges is not None:
            lines += ["", f"Word edges, {r.test}, {r.system.name}, seed {r.seed}: {r.edges.report()}"]
    by_graph = [r for r in results if show and r.system.decoding in ("", "tlg")]  # what can be used as it is
    alone = sorted(by_graph, key=lambda r: r.system.adaptation == "speaker")[:1]
    near = [_near(r, corpus, lines) for r in alone]
    sys.stdout.write("\n".join(lines) + "\n")
    try:
        report.check_plotting()
    except AsrError as error:
        logger.warning("no report.html: %s", error)
        return
    _write_page(out / "report.html", title, results, found, corpus, unit, near)
    sys.stdout.write(f"report  {out / 'report.html'}\n")


def comparison_table(pairs: Compared) -> str:
    """The comparisons as a Markdown table."""
    lines = ["| first | second | difference, 95 % interval | second better in |", "|---|---|---:|---:|"]
    for first, second, c in pairs:
        between = f"{c.difference:+.2f} ({c.low:+.2f} to {c.high:+.2f})"
        lines.append(f"| {first} | {second} | {between} | {100 * c.better:.1f} % |")
    return "\n".join(lines)


def groups(results: Sequence[Result], key: Callable[[Result], Hashable]) -> list[list[Result]]:
    """The results that have the same key, in order."""
    found: dict[Hashable, list[Result]] = {}
    for r in results:
        found.setdefault(key(r), []).append(r)
    return list(found.values())


def _of_seeds(results: Sequence[Result]) -> list[str]:
    """The mean and range of each system and test that has several seeds, in words."""
    lines = []
    for same in groups(results, lambda r: (r.system.name, r.variant, r.test, r.metric)):
        values, name = [r.row.value for r in same], f"{same[0].test}, {same[0].system.name}"
        mean, spread = sum(values) / len(values), f"{min(values):.2f}-{max(values):.2f}"
        lines += [f"{name}: mean of {len(same)} seeds {mean:.2f} % ({spread})"] if len(same) > 1 else []
    return lines


def _near(result: Result, corpus: Corpus, lines: list[str]) -> Section:
    """A scored recording of median length, transcribed, over time; `lines` gets what was said and recognised."""
    ordered = sorted(result.references, key=lambda i: (len(result.references[i].split()), i))
    folder, shown = result.folds[0].recognised.folder / "model", corpus[ordered[len(ordered) // 2]]
    model = load(folder)
    samples, rate = read_utterance(shown, model.sample_rate)
    transcript = model.transcribe(samples, rate)
    lines += ["", f"A held-out recording, {shown.audio}", f"  said        {shown.text}"]
    lines += [f"  recognised  {transcript.text}", "", f"model   {folder}   (asr transcribe {folder} FILE.wav)"]
    return report.alignment_section(
        samples, rate,
        phones=[(p.phone, p.start, p.end) for p in transcript.phones],
        words=[(w.word, w.start, w.end) for w in transcript.words],
        name=f"{shown.id}, said: {shown.text}", sound=Player().play(shown), about=sentence(system_in_words(result.row)),
    )  # fmt: skip


def _write_page(
    path: Path, title: str, results: Sequence[Result], pairs: Compared, corpus: Corpus, unit: str, near: list[Section]
) -> None:
    """The report: all results, then the headline's system on every test."""
    first, player = results[0], Player()
    sections = [report.results_section([r.row for r in results], note="; ".join(_of_seeds(results)))]
    if pairs:
        sections.append(report.comparison_section(pairs, note="A paired bootstrap over the utterances, 1,000 samples."))
    of_first = [r for r in results if (r.system.name, r.variant) == (first.system.name, first.variant)]
    tests = [same[0] for same in groups(of_first, lambda r: r.test)]
    for r in tests:
        titled = f", {test_in_words(r.test)}" if len(tests) > 1 else ""
        sections += [*_stages(r, results, unit), *_of_errors(r, corpus, player, unit, titled)]
        sections += _tuning(r, unit, titled)
    terms = [*dict.fromkeys(r.metric.upper() for r in results), "held out", "by chance", "acoustic scale"]
    glossary = report.glossary_section([*terms, "insertion penalty", "decode RTF"])
    where = f"{len(first.references):,} recordings: {test_in_words(first.test)}, {system_in_words(first.row)}"
    report.write_report(
        path,
        title=title,
        sections=[*sections, *_trainings(results), *near, glossary],
        headline=report.headline(first.score, where, unit="" if unit == "words" else unit),
        facts=report.run_facts(seed=first.seed, utterances=len(corpus), folder=str(path.parent)),
    )


def _stages(result: Result, results: Sequence[Result], unit: str) -> list[Section]:
    """The errors from model to model, in a test that has several."""
    this = result.test, result.seed, result.kind, result.system.variant
    alike = [x for x in results if (x.test, x.seed, x.kind, x.system.variant) == this]
    models = groups(alike, lambda x: (x.system.model, x.system.decoding))
    scores = {f"{x.system.model} {x.system.decoding}".strip(): x.score for x, *_ in models}
    about = sentence(test_in_words(result.test))
    return [report.stages_section({unit: scores}, about=about)] if len(scores) > 1 else []


def _of_errors(result: Result, corpus: Corpus, player: Player, unit: str, titled: str) -> list[Section]:
    """Who and what was recognised wrong in a test."""
    about = f"{sentence(test_in_words(result.test))}: {system_in_words(result.row)}"
    score, of_id, one = result.score, {u.id: u for u in corpus}, unit.removesuffix("s")
    sections = []
    if score.errors:
        order = sorted({w for text in result.references.values() for w in text.split()})
        sections.append(report.utterance_section(
            result.references, result.hypotheses, title=f"Worst utterances{titled}", about=about, limit=12, unit=one,
            play=lambda u: player.play(of_id.get(u)),
        ))  # fmt: skip
        title = f"What was taken for what{titled}"
        sections.append(report.confusion_section(score.confusions, order=order, title=title, about=about))
    by_speaker = {s: (x.errors, x.total) for s, x in score.by_speaker(corpus.speaker_of).items()}
    if len(by_speaker) > 1:
        title = f"Errors of each speaker{titled}"
        sections.append(report.speaker_section(by_speaker, title=title, about=about, unit=one))
    if result.edges is not None:
        sections.append(report.edge_section(result.edges, title=f"Word edges{titled}", about=about))
    return sections


def _tuning(result: Result, unit: str, titled: str) -> list[Section]:
    """What was tried on the first fold's held-out speech, where a graph was searched."""
    points = result.folds[0].tuning
    if not points or "acoustic_scale" not in points[0].setting:
        return []
    note = ("Of the first fold. " if len(result.folds) > 1 else "") + "The scored recordings played no part."
    tried = [TuningPoint(**p.setting, errors=p.errors, total=p.total) for p in points]
    title = f"Tuning on held-out speech{titled}"
    return [
        report.tuning_section(tried, unit=unit, title=title, about=sentence(system_in_words(result.row)), note=note)
    ]


def _trainings(results: Sequence[Result]) -> list[Section]:
    """How the models of the first folds were trained: passes of EM, and epochs of networks."""
    passes, curves = dict[str, list](), dict[str, Any]()
    for first, *_ in groups(results, lambda r: (r.system.name, r.test)):
        name = " ".join(p for p in (first.system.model, first.system.variant, first.test) if p)
        step = first.folds[0].trained
        if (file := step.folder / "curves.json").exists():
            curves |= {f"{name} {part}": points for part, points in read_json(file).items()}
        if (log := step.value.log) and len(passes) < 6:
            passes[name] = [(p.iteration, p.log_likelihood, p.n_gaussians) for p in log]
    found = [report.training_section(passes, same_features=False)] if passes else []
    return [*found, report.network_section(curves, note="The first fold of each test.")] if curves else found
