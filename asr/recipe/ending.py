"""How a recipe ends: results.json, report.html, a table, and one held-out recording transcribed before your eyes."""

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..corpus import Corpus, Utterance
from ..model.model import Model, load
from ..report.results import results_table, write_results
from ..report.sound import read_utterance
from ..scoring import Comparison, compare
from .ending_page import Near, first_of_each, spread, write_page
from .ladder_bench import Test
from .ladder_ending import Scored, comparison_table, described
from .ladder_ending import compared as compared_rows
from .stages import Run
from .tasks import write_json
from .tested import Result, Tested, chosen


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
    transcript = model.transcribe(samples, model.sample_rate)
    near = Near(shown, samples, model.sample_rate, transcript, alone)
    report = write_page(run, title, results, rows, pairs, corpus, tests, near, folder)
    _say("")
    _say(results_table(rows))
    for line in spread(results):
        _say(line)
    if pairs:
        _say("\n" + comparison_table(pairs))
    for r in first_of_each(results, lambda r: (r.system.name, r.test)):
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


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _typical(tested: Tested, corpus: Corpus) -> Utterance:
    """The test utterance to show: of median length, whether it was recognised or not."""
    ordered = sorted(tested.references, key=lambda i: (len(tested.references[i].split()), i))
    return corpus[ordered[len(ordered) // 2]]


def _samples(utterance: Utterance, model: Model) -> np.ndarray:
    return read_utterance(utterance, model.sample_rate)[0]
