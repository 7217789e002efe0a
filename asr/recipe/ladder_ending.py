"""How a recipe with a ladder of models ends: results.json, comparisons.json, report.html and the printed tables."""

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..corpus import Utterance
from ..errors import AsrError
from ..lang.letters import LetterTable
from ..report.results import ResultRow, results_table, write_results
from ..scoring import Comparison, Score, compare, score
from .ladder_bench import Test
from .networks import read_training
from .stages import Run
from .tasks import read_json, write_json

if TYPE_CHECKING:
    from ..report import Section

logger = logging.getLogger("asr.recipe")


@dataclass(frozen=True)
class Scored:
    """A row of the results with the errors of each utterance.

    group: those that are compared have the same. by_graph: a decoding graph was searched, as for all models with HMMs.
    """

    group: str
    row: ResultRow
    score: Score
    by_graph: bool = True


def finish(
    run: Run,
    title: str,
    tests: Sequence[Test],
    letters: Path,
    speaker_of: Mapping[str, str],
    seed: int,
    corpus: Iterable[Utterance] = (),
) -> None:
    """Write OUT/results.json, OUT/comparisons.json and OUT/report.html, and print the tables.

    speaker_of: utterance id -> speaker, of all that were scored. corpus: the recordings that the report lets one hear.
    """
    table = LetterTable.load(letters)
    show(run, title, tests, [s for t in tests for s in scores_of(t, table, seed)], speaker_of, seed, corpus)


def show(
    run: Run,
    title: str,
    tests: Sequence[Test],
    rows: Sequence[Scored],
    speaker_of: Mapping[str, str],
    seed: int,
    corpus: Iterable[Utterance] = (),
) -> None:
    """What `finish` does, of rows that are made already."""
    pairs = compared(rows)
    write_results(run.folder / "results.json", [s.row for s in rows])
    told = [{"first": a, "second": b, **c._asdict()} for a, b, c in pairs]
    write_json(run.folder / "comparisons.json", told)
    _report(run, title, tests, rows, pairs, speaker_of, seed, corpus)
    sys.stdout.write("\n" + results_table([s.row for s in rows]) + "\n\n" + comparison_table(pairs) + "\n")


def scores_of(test: Test, table: LetterTable, seed: int) -> list[Scored]:
    """The errors of a test: units, and units without their tones; or words, and characters with blanks."""
    if test.grammar.kind == "units":
        bare = tuple(
            {u: " ".join(table.without_marks(text.split())) for u, text in side.items()}
            for side in (test.references, test.hypotheses)
        )
        return [
            scored(test, "", "per", score(test.references, test.hypotheses), seed),
            scored(test, "tone-blind", "per", score(*bare), seed),
        ]
    variant = {"words": "closed"}.get(test.grammar.kind, test.grammar.kind)
    return [
        scored(test, variant, metric, score(test.references, test.hypotheses, unit=unit), seed)  # type: ignore[arg-type]
        for metric, unit in (("wer", "word"), ("cer", "char"))
    ]


def scored(test: Test, kind: str, metric: str, counted: Score, seed: int) -> Scored:
    """A row of the results. kind: of what was scored, for its variant. counted: the errors."""
    variant = "-".join(filter(None, (test.variant, test.decoding, kind)))
    row = ResultRow(
        model=test.system, features=test.features, variant=variant, adaptation=test.adaptation, test=test.name,
        metric=metric, seed=seed, value=counted.rate, errors=counted.errors, total=counted.total,
        train_cpu_seconds=test.train_cpu_seconds, decode_rtf=test.decode_rtf, substitutions=counted.substitutions,
        deletions=counted.deletions, insertions=counted.insertions,
    )  # fmt: skip
    of_words = test.grammar.kind != "units" and kind  # closed and open vocabularies are compared
    group = "" if of_words else f"{test.variant} {kind}"
    return Scored(f"{test.name} {metric} {group}", row, counted, test.decoding in ("", "tlg"))


def compared(rows: Sequence[Scored]) -> list[tuple[str, str, Comparison]]:
    """Each model beside the next one of the same test, the same one decoded in another way, the open vocabulary beside
    the closed, and training without augmentation beside that with it: paired bootstrap."""
    found = []
    for number, second in enumerate(rows):
        same = [s for s in rows[:number] if s.group == second.group]
        beside = [s for s in same if s.row.model != second.row.model and s.by_graph and second.by_graph][-1:]
        beside += [s for s in same if s.row.model == second.row.model][-1:]
        beside += [s for s in rows[:number] if _but_for_augmentation(s.row) == second.row.key]
        for first in beside:
            found.append((described(first.row), described(second.row), compare(first.score, second.score)))
    return found


def _but_for_augmentation(row: ResultRow) -> tuple:
    """The key of the row of the same system, trained without augmentation."""
    return replace(row, variant="plain-" + row.variant.removeprefix("robust-")).key


def described(row: ResultRow) -> str:
    """A row's system, test and metric in words."""
    return " ".join(filter(None, (row.model, row.variant, row.test, row.metric.upper())))


def comparison_table(pairs: Sequence[tuple[str, str, Comparison]]) -> str:
    """The comparisons as a Markdown table."""
    lines = ["| first | second | difference, 95 % interval | second better in |", "|---|---|---:|---:|"]
    for first, second, c in pairs:
        lines.append(
            f"| {first} | {second} | {c.difference:+.2f} ({c.low:+.2f} to {c.high:+.2f}) | {100 * c.better:.1f} % |"
        )
    return "\n".join(lines)


def _report(
    run: Run,
    title: str,
    tests: Sequence[Test],
    rows: Sequence[Scored],
    pairs: Sequence[tuple[str, str, Comparison]],
    speaker_of: Mapping[str, str],
    seed: int,
    corpus: Iterable[Utterance],
) -> None:
    """OUT/report.html: all results, then the last model of the first test from near."""
    from ..report import check_plotting, headline, run_facts, test_in_words, write_report

    try:
        check_plotting()
    except AsrError as error:
        logger.warning("no report.html: %s", error)
        return
    first = [t for t in tests if (t.name, t.variant, t.grammar) == (tests[0].name, tests[0].variant, tests[0].grammar)]
    last, unit = first[-1], "units" if first[-1].grammar.kind == "units" else "words"
    where = f"{len(last.references):,} recordings: {test_in_words(last.name)}, {_name(last)}"
    write_report(
        run.folder / "report.html",
        title=title,
        sections=_sections(first, rows, pairs, speaker_of, corpus, unit),
        headline=headline(score(last.references, last.hypotheses), where, unit=unit),
        facts=run_facts(seed=seed, folder=str(run.folder)),
    )


def _sections(
    first: Sequence[Test],
    rows: Sequence[Scored],
    pairs: Sequence[tuple[str, str, Comparison]],
    speaker_of: Mapping[str, str],
    corpus: Iterable[Utterance],
    unit: str,
) -> "list[Section]":
    """The parts of the page. first: all systems of one test. unit: what counts as a word, in the plural."""
    from .. import report

    last, player, of_id = first[-1], report.Player(), {u.id: u for u in corpus}
    counted, about = score(last.references, last.hypotheses), report.sentence(_name(last))
    by_speaker = {s: (x.errors, x.total) for s, x in counted.by_speaker(speaker_of).items()}
    scores = {_name(t): score(t.references, t.hypotheses) for t in first}
    where = report.sentence(report.test_in_words(last.name))
    note = "A paired bootstrap over the utterances, 1,000 samples."
    sections = [
        report.results_section([s.row for s in rows]),
        *([report.comparison_section(pairs, note=note)] if pairs else []),
        *([report.stages_section({unit: scores}, about=where)] if len(scores) > 1 else []),
        report.confusion_section(counted.confusions, about=about),
        *([report.speaker_section(by_speaker, about=about, unit=unit[:-1])] if len(by_speaker) > 1 else []),
        *_trainings(first),
        report.utterance_section(
            last.references, last.hypotheses, about=about, limit=12, unit=unit[:-1],
            play=lambda u: player.play(of_id.get(u)),
        ),
    ]  # fmt: skip
    metrics = list(dict.fromkeys(s.row.metric.upper() for s in rows))
    return [*sections, report.glossary_section([*metrics, "by chance", "log-likelihood", "Gaussians", "epoch"])]


def _trainings(first: Sequence[Test]) -> "list[Section]":
    """How the models were trained: passes of EM, and epochs of networks."""
    from ..report import network_section, training_section

    logs = {t.system: read_json(t.rungs[0] / "training.json")["log"] for t in first}
    passes = {
        s: [(p["iteration"], p["log_likelihood"], p["n_gaussians"]) for p in log] for s, log in logs.items() if log
    }
    curves = {f"{t.system} {name}": points for t in first for name, points in read_training(t.rungs[0]).items()}
    found = [training_section(passes, same_features=False)] if passes else []
    return [*found, network_section(curves)] if curves else found


def _name(test: Test) -> str:
    """A test's system in words, with how it was decoded where that was in several ways."""
    from ..report.phrases import MODELS

    decoded = f", decoded by {test.decoding}" if test.decoding else ""
    return f"{MODELS.get(test.system, test.system)}{decoded}"
