"""How a recipe with a ladder of models ends: results.json, comparisons.json, report.html and the printed tables."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..lang.letters import LetterTable
from ..scoring import Comparison, Score, compare, score
from .ladder_bench import Test
from .networks import read_training
from .results import ResultRow, results_table, write_results
from .stages import Run
from .tasks import read_json, write_json

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
    run: Run, title: str, tests: Sequence[Test], letters: Path, speaker_of: Mapping[str, str], seed: int
) -> None:
    """Write OUT/results.json, OUT/comparisons.json and OUT/report.html, and print the tables.

    speaker_of: utterance id -> speaker, of all that were scored.
    """
    table = LetterTable.load(letters)
    show(run, title, tests, [s for t in tests for s in scores_of(t, table, seed)], speaker_of, seed)


def show(
    run: Run, title: str, tests: Sequence[Test], rows: Sequence[Scored], speaker_of: Mapping[str, str], seed: int
) -> None:
    """What `finish` does, of rows that are made already."""
    pairs = compared(rows)
    write_results(run.folder / "results.json", [s.row for s in rows])
    told = [{"first": a, "second": b, **c._asdict()} for a, b, c in pairs]
    write_json(run.folder / "comparisons.json", told)
    _report(run, title, tests, rows, pairs, speaker_of, seed)
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
) -> None:
    """OUT/report.html: all results, then the last model of the first test from near."""
    from ..errors import AsrError
    from ..report import (
        check_plotting,
        comparison_section,
        confusion_section,
        network_section,
        results_section,
        run_facts,
        speaker_section,
        training_section,
        utterance_section,
        write_report,
    )

    try:
        check_plotting()
    except AsrError as error:
        logger.warning("no report.html: %s", error)
        return
    first = [t for t in tests if (t.name, t.variant, t.grammar) == (tests[0].name, tests[0].variant, tests[0].grammar)]
    logs = {t.system: read_json(t.rungs[0] / "training.json")["log"] for t in first}
    passes = {
        s: [(p["iteration"], p["log_likelihood"], p["n_gaussians"]) for p in log] for s, log in logs.items() if log
    }
    curves = {f"{t.system} {name}": points for t in first for name, points in read_training(t.rungs[0]).items()}
    last = first[-1]
    shown = " ".join(filter(None, (last.system, last.decoding)))
    counted = score(last.references, last.hypotheses)
    by_speaker = {s: (x.errors, x.total) for s, x in counted.by_speaker(speaker_of).items()}
    sections = [
        results_section([s.row for s in rows]),
        *([comparison_section(pairs, note="A paired bootstrap over the utterances, 1,000 samples.")] if pairs else []),
        *([training_section(passes)] if passes else []),
        *([network_section(curves)] if curves else []),
        speaker_section(by_speaker, title=f"{shown}: errors of each speaker"),
        confusion_section(counted.confusions, title=f"{shown}: confusions"),
        utterance_section(last.references, last.hypotheses, title=f"{shown}: worst utterances", limit=12),
    ]
    facts = run_facts(seed=seed, folder=str(run.folder))
    write_report(run.folder / "report.html", title=title, sections=sections, facts=facts)
