"""Transcripts and models as notebooks show them."""

import html
from typing import TYPE_CHECKING

import numpy as np

from ..display.brief import short
from ..display.notebook import table_html
from ..display.svg import AXIS, WIDTH, axis, small, svg

if TYPE_CHECKING:
    from .model import Model
    from .transcript import Transcript


_ROW_SECONDS, _ONE_ROW, _MOST_ROWS = 10.0, 15.0, 12  # of a recording that is drawn in several rows


_WAVE, _LANE = 48, 24  # heights


_MOST_LETTERS = 2000  # of a transcript that are shown as text


def transcript_html(transcript: "Transcript") -> str:
    """The text, and the words over the waveform, where it is known, on a time axis."""
    note = "" if transcript.reached_final else " (no sentence end was reached: the best so far)"
    text = f"<p>{html.escape(short(transcript.text, _MOST_LETTERS)) or '<i>no words</i>'}{note}</p>"
    last = max((word.end for word in transcript.words), default=0.0)
    seconds = max(transcript.seconds, last)
    if not seconds:
        return text
    span = seconds if seconds <= _ONE_ROW else _ROW_SECONDS
    starts = np.arange(0, seconds, span)[:_MOST_ROWS]
    height = (_WAVE if len(transcript.outline) else 0) + _LANE + AXIS
    rows = "".join(
        f'<g transform="translate(0 {height * number})">{_row(transcript, float(start), span)}</g>'
        for number, start in enumerate(starts)
    )
    rest = seconds - len(starts) * span
    more = small(f"… and {rest:.0f} s more") if rest > 1e-6 else ""
    return text + svg(rows, height * len(starts), transcript.text) + more


def model_html(model: "Model") -> str:
    """What a person asks of a model, in a table, with its card to be opened."""
    arrays = model.acoustic.arrays().values()
    graph = model.graph
    size = sum(a.nbytes for a in arrays) + (0 if graph is None else graph.n_bytes)
    names = list(model.lexicon.words)[1 : model.lexicon.n_words + 1]
    facts = {
        "kind": model.kind,
        "words": f"{len(names):,}: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}",
        "phones": model.lexicon.n_phones,
        "rate": f"{model.sample_rate} Hz" if model.sample_rate else "takes features",
        "features": repr(model.features)[1:-1].partition(": ")[2],
        "acoustic model": repr(model.acoustic)[1:-1],
        "graph": "none: it only aligns" if graph is None else repr(graph)[1:-1].partition(": ")[2],
        "streaming": "yes" if model.streaming else "no",
        "size": f"{size / 1e6:.1f} MB",
    }
    card = f"<details><summary>card</summary><pre>{html.escape(model.card)}</pre></details>" if model.card else ""
    return table_html(facts, "Model") + card


def _row(transcript: "Transcript", start: float, span: float) -> str:
    """Waveform, words and axis of a stretch."""
    scale, top, parts = WIDTH / span, 0, []
    if len(transcript.outline):
        parts.append(_waveform(transcript.outline, transcript.seconds, start, span))
        top = _WAVE
    parts.append(f'<rect y="{top}" width="{WIDTH}" height="{_LANE}" fill="currentColor" fill-opacity="0.05"/>')
    for word in transcript.words:
        begin, end = max(word.start - start, 0.0) * scale, min(word.end - start, span) * scale
        if end > begin:
            parts.append(_box(word.word, begin, end, top, f"{word.word}: {word.start:.2f} to {word.end:.2f} s"))
    return "".join(parts) + axis(start, span, top + _LANE)


def _box(word: str, begin: float, end: float, top: int, title: str) -> str:
    """A word in its place, named where there is room for that."""
    size = min(14.0, 1.7 * (end - begin) / max(len(word), 1))
    middle = f'x="{(begin + end) / 2:.1f}" y="{top + _LANE / 2 + 0.35 * size:.1f}"'
    label = f'<text {middle} font-size="{size:.1f}" text-anchor="middle" fill="currentColor">{html.escape(word)}</text>'
    return (
        f'<g><title>{html.escape(title)}</title><rect x="{begin:.1f}" y="{top}" width="{end - begin:.1f}" '
        f'height="{_LANE}" fill="#4c8bf5" fill-opacity="0.25" stroke="#4c8bf5" stroke-width="0.7"/>'
        f"{label if size >= 6 else ''}</g>"
    )


def _waveform(outline: np.ndarray, seconds: float, start: float, span: float) -> str:
    """The least and the greatest sample of each stretch, as one shape."""
    per_second = len(outline) / seconds
    first, last = int(start * per_second), int(np.ceil((start + span) * per_second))
    part = outline[first:last].astype(np.float64)
    x = ((np.arange(len(part)) + first + 0.5) / per_second - start) * WIDTH / span
    largest = float(np.abs(outline).max()) or 1.0
    low, high = (_WAVE / 2 * (1 - 0.95 * side / largest) for side in (part[:, 0], part[:, 1]))
    points = [*zip(x, high, strict=True), *zip(x[::-1], low[::-1], strict=True)]
    shape = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    return f'<polygon points="{shape}" fill="#4c8bf5" stroke="#4c8bf5" stroke-width="0.5"/>'
