"""The usual sections of a report, from plain data: dictionaries of texts and counts, no model and no audio file."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from ..display.brief import many
from ..scoring import Comparison
from .page import Section, rendered
from .phrases import percent
from .plots import histogram_plot, matrix_plot
from .results import ResultRow, table_columns

if TYPE_CHECKING:
    from ..scoring.edges import EdgeScore

NOTHING = "—"  # stands for the missing word of an insertion or deletion
MOST_PAIRS = 10  # listed
FEW_PAIRS = 5  # confusions that a list shows better than a matrix
MANY_SPEAKERS = 25  # bars
LEAST_SCALE = 5.0  # percent that the longest bar stands for, at least


def results_section(rows: Sequence[ResultRow], *, note: str = "", title: str = "All results") -> Section:
    """The table of results, with a plain-text note under it."""
    columns = table_columns(rows)
    head = [(column.name, "number" if column.is_number else "") for column in columns]
    body = [[column.cells[i] for column in columns] for i in range(len(rows))]
    return Section(title, table(head, body, note=note), wide=True)


def comparison_section(
    pairs: Sequence[tuple[str, str, Comparison]], *, title: str = "Comparisons", note: str = ""
) -> Section:
    """Pairs of systems, how the second one's error rate differs, and how sure that is (see asr.scoring.compare)."""
    head = [("first", ""), ("second", ""), ("difference, %", "number"), ("95 % interval", "number")]
    body = [
        [
            first, second, f"{c.difference:+.2f}", f"{c.low:+.2f} to {c.high:+.2f}", f"{100 * c.better:.1f} %",
            _verdict(c),
        ]
        for first, second, c in pairs
    ]  # fmt: skip
    head += [("second better in", "number"), ("so", "")]
    return Section(title, table(head, body, note=note), wide=True)


def _verdict(comparison: Comparison) -> str:
    if comparison.low <= 0 <= comparison.high:
        return "may be chance"
    return "the second is better" if comparison.high < 0 else "the first is better"


def speaker_section(
    counts: Mapping[str, tuple[int, int]],
    *,
    title: str = "Errors of each speaker",
    note: str = "",
    about: str = "",
    unit: str = "word",
) -> Section:
    """A bar of the error rate of each speaker who has errors, the worst on top, with the counts; the others are summed.

    Args:
        counts: speaker -> (errors, reference tokens).
        unit: what those are. The longest bar stands for the highest rate, or for 5 % if that is less: a single error is
            no long bar.
    """
    rates = {s: 100 * e / n for s, (e, n) in counts.items() if n}
    ordered = sorted((s for s in rates if rates[s]), key=lambda s: (-rates[s], s))
    good, n = len(rates) - len(ordered), sum(counts[s][1] for s in rates if not rates[s])
    if not ordered:
        text = f"No error in {n:,} of {many(good, 'speaker')}."
        return Section(title, rendered("nothing", text=text, note=note), about)
    scale = max(LEAST_SCALE, rates[ordered[0]])
    speakers = [
        {"name": s, "rate": rates[s], "width": 100 * rates[s] / scale, "errors": counts[s][0], "total": counts[s][1]}
        for s in ordered[:MANY_SPEAKERS]
    ]
    rest = []
    if len(ordered) > MANY_SPEAKERS:
        most = percent(rates[ordered[MANY_SPEAKERS]])
        rest.append(f"{many(len(ordered) - MANY_SPEAKERS, 'more speaker')} with at most {most}.")
    if good:
        rest.append(f"{many(good, 'speaker')} without an error.")
    note = note or f"Errors and {unit}s said are at the right."
    return Section(title, rendered("speakers", speakers=speakers, rest=" ".join(rest), note=note), about)


def confusion_section(
    confusions: Mapping[tuple[str | None, str | None], int],
    *,
    order: Sequence[str] = (),
    title: str = "What was taken for what",
    note: str = "",
    about: str = "",
    limit: int = 25,
) -> Section:
    """What was taken for what: a matrix if some, but few words are involved, and a list of the most frequent pairs.

    Args:
        confusions: (said, recognised) -> count, as in asr.scoring.Score; None for the missing side of an insertion or
            deletion.
        order: words in the order of the matrix; others follow by the alphabet.
        limit: most words for a matrix.
    """
    counted = Counter({(a or "", b or ""): n for (a, b), n in confusions.items() if n and a != b})
    if not counted:
        return Section(title, rendered("nothing", text="No errors.", note=note), about)
    rank = {word: i for i, word in enumerate(order)}
    said, recognised = (
        sorted({pair[side] for pair in counted}, key=lambda w: (w == "", rank.get(w, len(rank)), w)) for side in (0, 1)
    )
    plot = ""
    if max(len(said), len(recognised)) <= limit and len(counted) > FEW_PAIRS:
        matrix = np.array([[counted[a, b] for b in recognised] for a in said])
        rows, columns = [w or "(inserted)" for w in said], [w or "(deleted)" for w in recognised]
        plot = matrix_plot(matrix, rows, columns, title="Errors: what was said, what was recognised")
    pairs = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MOST_PAIRS]
    most = f"The {len(pairs)} most frequent of {many(len(counted), 'pair')}." if len(counted) > len(pairs) else ""
    return Section(title, rendered("confusions", matrix=plot, pairs=pairs, most=most, note=note), about)


def edge_section(score: "EdgeScore", *, title: str = "Word edges", note: str = "", about: str = "") -> Section:
    """How far the edges of correctly recognised words are from the true ones: a histogram, and a table."""
    if not score.words:
        text = "No word was recognised correctly."
        return Section(title, rendered("nothing", text=text, note=note), about)
    milliseconds = {"starts": [1000 * x for x in score.starts], "ends": [1000 * x for x in score.ends]}
    plot = histogram_plot(
        milliseconds,
        limit=200,
        step=10,
        title=f"Edges of correct words{f', {about}' if about else ''}"[:70],
        x_label="recognised minus true time, ms; outermost: and beyond",
        y_label="words",
    )
    from ..scoring.edges import TOLERANCES_MS, edge_rows

    head = [("edges", ""), ("count", "number"), *((f"within {t} ms, %", "number") for t in TOLERANCES_MS)]
    body = [[name, *cells] for name, cells in edge_rows(score)]
    head += [("median, ms", "number"), ("mean absolute, ms", "number")]
    markup = rendered(
        "edges", correct=len(score.words), total=score.total, plot=plot, head=head, body=body, note=note
    )  # fmt: skip
    return Section(title, markup, about)


def utterance_section(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    *,
    title: str = "Worst utterances",
    note: str = "",
    about: str = "",
    limit: int = 20,
    unit: str = "word",
    play: Callable[[str], str] | None = None,
) -> Section:
    """The utterances with most errors, reference over hypothesis, word under word, errors coloured.

    Args:
        references: utterance id -> words; a missing hypothesis counts as empty.
        hypotheses: utterance id -> words; a missing hypothesis counts as empty.
        unit: what they are, if not words.
        play: makes an <audio> element of an utterance's id, or nothing: see asr.report.sound.
    """
    aligned = {i: align_words(ref.split(), hypotheses.get(i, "").split()) for i, ref in references.items()}
    errors = {i: sum(a != b for a, b in pairs) for i, pairs in aligned.items()}
    worst = sorted((i for i in errors if errors[i]), key=lambda i: (-errors[i], i))[:limit]
    wrong = sum(1 for e in errors.values() if e)
    lead = f"{wrong} of {len(errors)} utterances have an error{f'; the worst {limit}' if wrong > limit else ''}."
    shown = [
        {
            "name": i,
            "told": f"{many(errors[i], 'error')}, {many(sum(1 for said, _ in aligned[i] if said), unit)}",
            "sound": play(i) if play else "",
            "pairs": aligned[i],
        }
        for i in worst
    ]
    markup = rendered("utterances", lead=lead, utterances=shown, nothing=NOTHING, note=note)
    return Section(title, markup, about, wide=True)


def doubtful_section(
    rows: Sequence[tuple[str, str, str, str]], *, lead: str, title: str = "Doubtful transcripts", about: str = ""
) -> Section:
    """Transcripts that may not be what was said.

    Args:
        rows: (id, transcript, why, HTML to play it), the worst first.
        lead: plain text.
    """
    return Section(title, rendered("doubtful", lead=lead, rows=rows), about, wide=True)


def align_words(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of words, each word once, in order; an empty text where the other side has no word.

    Examples:
        >>> align_words(["one", "two", "three"], ["two", "three"])
        [('one', ''), ('two', 'two'), ('three', 'three')]
    """
    from rapidfuzz.distance import Levenshtein

    pairs: list[tuple[str, str]] = []
    for step in Levenshtein.opcodes(reference, hypothesis):
        left = list(reference[step.src_start : step.src_end])
        right = list(hypothesis[step.dest_start : step.dest_end])
        length = max(len(left), len(right))
        pairs += zip(left + [""] * (length - len(left)), right + [""] * (length - len(right)), strict=True)
    return pairs


def table(head: Sequence[tuple[str, str]], body: Sequence[Sequence[str]], note: str = "") -> str:
    """A table that scrolls within its own box, and a note under it; all plain text.

    Args:
        head: (name, the column's class: "number" or "").
        body: rows of cells.
    """
    return rendered("table", head=head, body=body, note=note)


def figure_html(svg: str, caption: str = "", kind: str = "full", note: str = "") -> str:
    """A plot in a page, in a box in which it may scroll, and a note under it.

    Args:
        kind: "full" as wide as its column, "small" half as wide, "own" never scaled, "time" as wide as the page.
    """
    return rendered("figure", svg=svg, caption=caption, kind=kind, note=note)


def list_section(title: str, items: Sequence[str], *, commands: bool = False) -> Section:
    """Sentences, plain text, one below the other.

    Args:
        commands: what stands between backticks is a command.
    """
    pieces = [re.split(r"`([^`]+)`", item) if commands else [item] for item in items]
    parts = [
        [(text, command.split(" ") if command else []) for text, command in zip_longest(some[::2], some[1::2])]
        for some in pieces
    ]
    return Section(title, rendered("list", items=parts))


def note_html(text: str) -> str:
    """A plain-text note, or nothing."""
    return rendered("note", text=text)
