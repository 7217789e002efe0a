"""The usual sections of a report, from plain data: dictionaries of texts and counts, no model and no audio file."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ..recipe.results import ResultRow, table_columns
from ..scoring import Comparison
from ..word_edges import TOLERANCES_MS, EdgeScore, edge_rows
from .page import Section
from .plots import alignment_plot, bar_plot, histogram_plot, line_plot, matrix_plot

Segment = tuple[str, float, float]  # label, start and end in seconds
NOTHING = "—"  # stands for the missing word of an insertion or deletion


def results_section(rows: Sequence[ResultRow], *, note: str = "", title: str = "Results") -> Section:
    """The table of results, with a plain-text note under it."""
    columns = table_columns(rows)
    marks = [' class="number"' if c.is_number else "" for c in columns]
    head = "".join(f'<th scope="col"{m}>{html.escape(c.name)}</th>' for c, m in zip(columns, marks, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{m}>{html.escape(c.cells[i])}</td>" for c, m in zip(columns, marks, strict=True))
        + "</tr>"
        for i in range(len(rows))
    )
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return Section(title, table + _note(note))


def comparison_section(
    pairs: Sequence[tuple[str, str, Comparison]], *, title: str = "Comparisons", note: str = ""
) -> Section:
    """Pairs of systems, how the second one's error rate differs, and how sure that is (see asr.scoring.compare)."""
    lines = "".join(
        f'<tr><td>{html.escape(first)}</td><td>{html.escape(second)}</td><td class="number">{c.difference:+.2f}</td>'
        f'<td class="number">{c.low:+.2f} to {c.high:+.2f}</td><td class="number">{100 * c.better:.1f} %</td></tr>'
        for first, second, c in pairs
    )
    names = ("first", "second", "difference, %", "95 % interval", "second better in")
    marks = ("", "", *[' class="number"'] * 3)
    head = "".join(f'<th scope="col"{mark}>{name}</th>' for name, mark in zip(names, marks, strict=True))
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
    return Section(title, table + _note(note))


def training_section(
    logs: Mapping[str, Sequence[tuple[int, float, int]]], *, title: str = "Training", note: str = ""
) -> Section:
    """Log-likelihood and number of Gaussians over the passes, one line a model.

    logs: model name -> (pass, log-likelihood a frame, number of Gaussians) of each pass.
    """
    likelihood = {name: ([p for p, _, _ in log], [v for _, v, _ in log]) for name, log in logs.items()}
    gaussians = {name: ([p for p, _, _ in log], [float(n) for _, _, n in log]) for name, log in logs.items()}
    plots = [
        line_plot(likelihood, title="Log-likelihood a frame", x_label="pass", y_label="nats a frame"),
        line_plot(gaussians, title="Number of Gaussians", x_label="pass", y_label="Gaussians"),
    ]
    return Section(title, "".join(_figure(p) for p in plots) + _note(note))


def network_section(
    curves: Mapping[str, Sequence[Mapping[str, float]]], *, title: str = "Training of networks", note: str = ""
) -> Section:
    """Loss and share of frames that are right over the epochs, in training and on utterances held out.

    curves: network -> epochs, with the numbers of asr.nn.curves.Point.
    """
    series: dict[str, dict[str, tuple[list[float], list[float]]]] = {"loss": {}, "accuracy": {}}
    for name, points in curves.items():
        epochs = [p["epoch"] for p in points]
        for part in ("train", "held_out"):
            label = f"{name}, {part.replace('_', ' ')}"
            for measure, lines in series.items():
                lines[label] = (epochs, [p[f"{part}_{measure}"] for p in points])
    plots = [
        line_plot(series["loss"], title="Loss a frame, of CTC a unit", x_label="epoch", y_label="nats"),
        line_plot(series["accuracy"], title="Frames (of CTC units) that are right", x_label="epoch", y_label="share"),
    ]
    return Section(title, "".join(_figure(p) for p in plots) + _note(note))


def speaker_section(
    counts: Mapping[str, tuple[int, int]], *, title: str = "Errors of each speaker", note: str = ""
) -> Section:
    """A bar of the error rate of each speaker, the worst on top, and the counts.

    counts: speaker -> (errors, reference tokens).
    """
    rates = {s: 100 * e / n for s, (e, n) in counts.items() if n}
    ordered = sorted(rates, key=lambda s: (-rates[s], s))
    labels = {f"{s}  ({counts[s][0]}/{counts[s][1]})": rates[s] for s in ordered}
    plot = bar_plot(labels, title="Errors of each speaker (errors/tokens)", x_label="error rate, %")
    return Section(title, _figure(plot) + _note(note))


def confusion_section(
    confusions: Mapping[tuple[str | None, str | None], int],
    *,
    order: Sequence[str] = (),
    title: str = "Confusions",
    note: str = "",
    limit: int = 25,
) -> Section:
    """What was taken for what: a matrix if few words are involved, and a list of the most frequent pairs.

    confusions: (said, recognised) -> count, as in asr.scoring.Score; None for the missing side of an insertion or
        deletion.
    order: words in the order of the matrix; others follow by the alphabet.
    limit: most words for a matrix, and most pairs listed without one.
    """
    counted = Counter({(a or "", b or ""): n for (a, b), n in confusions.items() if n and a != b})
    if not counted:
        return Section(title, "<p>No errors.</p>" + _note(note))
    parts = []
    rank = {word: i for i, word in enumerate(order)}
    said, recognised = (
        sorted({pair[side] for pair in counted}, key=lambda w: (w == "", rank.get(w, len(rank)), w)) for side in (0, 1)
    )
    if max(len(said), len(recognised)) <= limit:
        matrix = np.array([[counted[a, b] for b in recognised] for a in said])
        rows, columns = [w or "(inserted)" for w in said], [w or "(deleted)" for w in recognised]
        parts.append(_figure(matrix_plot(matrix, rows, columns, title="Errors: what was said, what was recognised")))
    pairs = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[: 10 if parts else limit]
    lines = "".join(
        f'<tr><td>{_word(a, "(inserted)")}</td><td>{_word(b, "(deleted)")}</td><td class="number">{n}</td></tr>'
        for (a, b), n in pairs
    )
    head = '<tr><th scope="col">said</th><th scope="col">recognised</th><th scope="col" class="number">times</th></tr>'
    parts.append(f"<h3>Most frequent</h3><table><thead>{head}</thead><tbody>{lines}</tbody></table>")
    return Section(title, "".join(parts) + _note(note))


def edge_section(score: EdgeScore, *, title: str = "Word edges", note: str = "") -> Section:
    """How far the edges of correctly recognised words are from the true ones: a histogram, and a table."""
    if not score.words:
        return Section(title, "<p>No word was recognised correctly.</p>" + _note(note))
    milliseconds = {"starts": [1000 * x for x in score.starts], "ends": [1000 * x for x in score.ends]}
    plot = histogram_plot(
        milliseconds,
        limit=200,
        step=10,
        title="Edges of correct words",
        x_label="recognised minus true time, ms; the outermost steps hold what is further away",
        y_label="words",
    )
    names = ["edges", "count", *(f"within {t} ms, %" for t in TOLERANCES_MS), "median, ms", "mean absolute, ms"]
    head = "".join(f'<th scope="col"{" class=number" if i else ""}>{n}</th>' for i, n in enumerate(names))
    body = "".join(
        f"<tr><td>{name}</td>" + "".join(f'<td class="number">{cell}</td>' for cell in cells) + "</tr>"
        for name, cells in edge_rows(score)
    )
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    lead = f"<p>{len(score.words)} of {score.total} words were recognised correctly.</p>"
    return Section(title, lead + _figure(plot) + table + _note(note))


def utterance_section(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    *,
    title: str = "Worst utterances",
    note: str = "",
    limit: int = 20,
) -> Section:
    """The utterances with most errors, reference over hypothesis, word under word, errors coloured.

    references, hypotheses: utterance id -> words; a missing hypothesis counts as empty.
    """
    aligned = {i: align_words(ref.split(), hypotheses.get(i, "").split()) for i, ref in references.items()}
    errors = {i: sum(a != b for a, b in pairs) for i, pairs in aligned.items()}
    worst = sorted((i for i in errors if errors[i]), key=lambda i: (-errors[i], i))[:limit]
    wrong = sum(1 for e in errors.values() if e)
    lead = f"<p>{wrong} of {len(errors)} utterances have an error{f'; the worst {limit}' if wrong > limit else ''}.</p>"
    return Section(title, lead + "".join(_aligned(i, aligned[i], errors[i]) for i in worst) + _note(note))


def tuning_section(
    curves: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    *,
    chosen: Mapping[str, Mapping[str, float]] | None = None,
    title: str = "Tuning on held-out data",
    note: str = "",
) -> Section:
    """A plot for each tuned setting: error rate on held-out data over its values, the chosen one ringed.

    curves: setting -> line (e.g. a model) -> (value, error rate in percent) pairs.
    chosen: setting -> line -> the value that was chosen.
    """
    plots = []
    for setting, lines in curves.items():
        series = {
            name: ([v for v, _ in sorted(points)], [e for _, e in sorted(points)]) for name, points in lines.items()
        }
        marked = (chosen or {}).get(setting)
        plots.append(line_plot(series, title=setting, x_label=setting, y_label="held-out error rate, %", marked=marked))
    return Section(title, "".join(_figure(p, "The ring marks what was chosen.") for p in plots) + _note(note))


def alignment_section(
    samples: np.ndarray,
    rate: int,
    *,
    phones: Sequence[Segment],
    words: Sequence[Segment],
    name: str = "",
    title: str = "An alignment",
) -> Section:
    """A spectrogram with phone and word boundaries.

    samples: float32 (n_samples,).
    phones, words: (label, start, end), in seconds.
    name: what is shown, e.g. the utterance's id.
    """
    caption = "Phones in the upper row, words in the lower one, found by the model."
    plot = alignment_plot(samples, rate, phones=phones, words=words, title=name or title)
    return Section(title, _figure(plot, caption))


def align_words(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of words, each word once, in order; an empty text where the other side has no word.

    >>> align_words(["one", "two"], ["two", "three"])
    [('one', ''), ('two', 'two'), ('', 'three')]
    """
    from rapidfuzz.distance import Levenshtein

    pairs: list[tuple[str, str]] = []
    for step in Levenshtein.opcodes(reference, hypothesis):
        left = list(reference[step.src_start : step.src_end])
        right = list(hypothesis[step.dest_start : step.dest_end])
        length = max(len(left), len(right))
        pairs += zip(left + [""] * (length - len(left)), right + [""] * (length - len(right)), strict=True)
    return pairs


def _aligned(name: str, pairs: Sequence[tuple[str, str]], errors: int) -> str:
    def cells(side: int) -> str:
        found = []
        for pair in pairs:
            kind = "" if pair[0] == pair[1] else ' class="bad"' if all(pair) else ' class="gap"'
            found.append(f"<td{kind}>{html.escape(pair[side]) or NOTHING}</td>")
        return "".join(found)

    counted = f"{_count(errors, 'error')}, {_count(sum(1 for a, _ in pairs if a), 'word')}"
    return (
        f"<div><code>{html.escape(name)}</code> <span class='soft'>{counted}</span></div>"
        f'<div class="scroll"><table class="words"><tbody><tr><th scope="row">said</th>{cells(0)}</tr>'
        f'<tr><th scope="row">recognised</th>{cells(1)}</tr></tbody></table></div>'
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _figure(svg: str, caption: str = "") -> str:
    told = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{svg}{told}</figure>"


def _note(text: str) -> str:
    return f'<p class="soft">{html.escape(text)}</p>' if text else ""


def _word(text: str, instead: str) -> str:
    return html.escape(text) if text else f'<span class="soft">{instead}</span>'
