"""What notebooks show of things: tables and pictures as HTML, made without matplotlib, on light pages and dark ones.

Jupyter asks what a cell ends with for `_repr_html_`; transcripts, tables of features and models have one. For a matrix:

>>> heat_map(np.zeros((98, 13)))
<Html: 98 frames of 13 values>
"""

import base64
import html
import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .brief import many, short

if TYPE_CHECKING:
    from .features.table import FeatureTable
    from .model import Model
    from .transcript import Transcript

_WIDTH = 1000  # of pictures, in their own units; on the page they are as wide as there is room
_ROW_SECONDS, _ONE_ROW, _MOST_ROWS = 10.0, 15.0, 12  # of a recording that is drawn in several rows
_WAVE, _LANE, _AXIS = 48, 24, 18  # heights
_MOST_LETTERS = 2000  # of a transcript that are shown as text
_COLUMNS = 800  # of a heat map at most; more would not be seen
_DEVIATIONS = 3.0  # either side of the mean that the colours reach to
_BLUE_RED = ("#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b")
_DARK_BRIGHT = ("#0d0887", "#7e03a8", "#cc4778", "#f89540", "#f0f921")
_STEPS = tuple(m * 10.0**e for e in range(-3, 6) for m in (1, 2, 5))  # s between ticks
_FRAME = 'style="max-width:62em;min-width:40em;width:100%;height:auto;font-family:sans-serif"'  # or none could read it


class Html:
    """A piece of HTML that notebooks show. text: the HTML. about: what consoles say of it."""

    def __init__(self, text: str, about: str) -> None:
        self.text, self.about = text, about

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Html: {self.about}>"


def heat_map(features: np.ndarray, *, frame_shift: float = 10.0, standardised: bool = True, title: str = "") -> Html:
    """A picture of features over time for a notebook, the first value at the bottom.

    features: (n_frames, dim); long ones are drawn from means of neighbouring frames. frame_shift: ms.
    standardised: colours are deviations from each value's own mean, as the scales of cepstra differ; False: the values
        as they are, as for log mel filters.
    Raises ValueError for another shape.
    """
    matrix = np.asarray(features, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"features have shape {np.shape(features)}; need (n_frames, dim), 1 or more of each")
    about = f"{many(matrix.shape[0], 'frame')} of {many(matrix.shape[1], 'value')}"
    seconds, height = len(matrix) * frame_shift / 1000, 8 * min(max(matrix.shape[1], 8), 30)
    source = f"data:image/png;base64,{base64.b64encode(_colours(matrix, standardised)).decode('ascii')}"
    picture = (
        f'<image href="{source}" width="{_WIDTH}" height="{height}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated"/>{_axis(0.0, seconds, height)}'
    )
    scale = "blue to red: 3 deviations below to above each value's mean" if standardised else "the brighter, the larger"
    caption = ", ".join(filter(None, (title, about, f"{seconds:.2f} s", scale)))
    return Html(_svg(picture, height + _AXIS, caption) + _small(caption), about)


def table_html(facts: Mapping[str, object], caption: str = "") -> str:
    """A table of two columns. Facts that are None or empty are left out."""
    cell = 'style="text-align:left;vertical-align:top"'
    rows = "".join(
        f"<tr><th {cell}>{html.escape(name)}</th><td {cell}>{html.escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value not in (None, "")
    )
    head = f'<caption style="text-align:left">{html.escape(caption)}</caption>' if caption else ""
    return f"<table>{head}{rows}</table>"


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
    height = (_WAVE if len(transcript.outline) else 0) + _LANE + _AXIS
    rows = "".join(
        f'<g transform="translate(0 {height * number})">{_row(transcript, float(start), span)}</g>'
        for number, start in enumerate(starts)
    )
    rest = seconds - len(starts) * span
    more = _small(f"… and {rest:.0f} s more") if rest > 1e-6 else ""
    return text + _svg(rows, height * len(starts), transcript.text) + more


def table_of_features_html(table: "FeatureTable") -> str:
    """How much there is, and pictures of the first utterances."""
    shown = [key for key in table if len(table[key])][:3] if table.dim else []
    pictures = "".join(heat_map(table[key], title=key).text for key in shown)
    return f"<p>{html.escape(repr(table)[1:-1])}</p>{pictures}"


def model_html(model: "Model") -> str:
    """What a person asks of a model, in a table, with its card to be opened."""
    arrays = model.acoustic.arrays().values()
    graph = model.graph
    size = sum(a.nbytes for a in arrays) + (0 if graph is None else graph.states.nbytes + graph.arcs.nbytes)
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
    scale, top, parts = _WIDTH / span, 0, []
    if len(transcript.outline):
        parts.append(_waveform(transcript.outline, transcript.seconds, start, span))
        top = _WAVE
    parts.append(f'<rect y="{top}" width="{_WIDTH}" height="{_LANE}" fill="currentColor" fill-opacity="0.05"/>')
    for word in transcript.words:
        begin, end = max(word.start - start, 0.0) * scale, min(word.end - start, span) * scale
        if end > begin:
            parts.append(_box(word.word, begin, end, top, f"{word.word}: {word.start:.2f} to {word.end:.2f} s"))
    return "".join(parts) + _axis(start, span, top + _LANE)


def _box(word: str, begin: float, end: float, top: int, told: str) -> str:
    """A word in its place, named where there is room for that."""
    size = min(14.0, 1.7 * (end - begin) / max(len(word), 1))
    middle = f'x="{(begin + end) / 2:.1f}" y="{top + _LANE / 2 + 0.35 * size:.1f}"'
    label = f'<text {middle} font-size="{size:.1f}" text-anchor="middle" fill="currentColor">{html.escape(word)}</text>'
    return (
        f'<g><title>{html.escape(told)}</title><rect x="{begin:.1f}" y="{top}" width="{end - begin:.1f}" '
        f'height="{_LANE}" fill="#4c8bf5" fill-opacity="0.25" stroke="#4c8bf5" stroke-width="0.7"/>'
        f"{label if size >= 6 else ''}</g>"
    )


def _waveform(outline: np.ndarray, seconds: float, start: float, span: float) -> str:
    """The least and the greatest sample of each stretch, as one shape."""
    per_second = len(outline) / seconds
    first, last = int(start * per_second), int(np.ceil((start + span) * per_second))
    part = outline[first:last].astype(np.float64)
    x = ((np.arange(len(part)) + first + 0.5) / per_second - start) * _WIDTH / span
    largest = float(np.abs(outline).max()) or 1.0
    low, high = (_WAVE / 2 * (1 - 0.95 * side / largest) for side in (part[:, 0], part[:, 1]))
    points = [*zip(x, high, strict=True), *zip(x[::-1], low[::-1], strict=True)]
    shape = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    return f'<polygon points="{shape}" fill="#4c8bf5" stroke="#4c8bf5" stroke-width="0.5"/>'


def _axis(start: float, span: float, top: float) -> str:
    """Ticks below a picture, in seconds."""
    step = next(s for s in (*_STEPS, span) if span / s <= 12)
    marks = []
    for number in range(math.ceil(start / step - 1e-9), math.floor((start + span) / step + 1e-9) + 1):
        x = (number * step - start) * _WIDTH / span
        anchor = "start" if x < 15 else "end" if x > _WIDTH - 15 else "middle"
        text = f"{number * step:g}" if number else "0 s"
        marks.append(f'<path d="M{x:.1f} {top} v4" stroke="currentColor" stroke-width="0.7"/>')
        marks.append(f'<text x="{x:.1f}" y="{top + 15}" font-size="11" text-anchor="{anchor}">{text}</text>')
    return f'<g fill="currentColor">{"".join(marks)}</g>'


def _svg(content: str, height: float, description: str) -> str:
    label = html.escape(description[:300], quote=True)
    picture = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}" {_FRAME}>{content}</svg>'
    return f'<div style="overflow-x:auto">{picture}</div>'  # where there is less room it is moved to and fro


def _small(text: str) -> str:
    return f'<div style="font-size:80%;opacity:0.75">{html.escape(text)}</div>'


def _colours(matrix: np.ndarray, standardised: bool) -> bytes:
    """The features as a PNG, a pixel a value and at most _COLUMNS wide, the first value in the lowest row."""
    low, high = -_DEVIATIONS, _DEVIATIONS
    if standardised:
        matrix = (matrix - matrix.mean(axis=0)) / np.maximum(matrix.std(axis=0), 1e-10)
    else:
        low, high = float(matrix.min()), float(matrix.max())
    if len(matrix) > _COLUMNS:
        edges = np.linspace(0, len(matrix), _COLUMNS + 1).astype(np.int64)
        matrix = np.add.reduceat(matrix, edges[:-1], axis=0) / np.diff(edges)[:, None]
    share = np.nan_to_num((matrix - low) / max(high - low, 1e-10))
    return _png(
        np.round(255 * share.clip(0, 1)).astype(np.uint8).T[::-1], _palette(_BLUE_RED if standardised else _DARK_BRIGHT)
    )


def _palette(colours: Sequence[str]) -> np.ndarray:
    """uint8 (256, 3): colours between those given as #rrggbb."""
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours])
    where = np.linspace(0, len(stops) - 1, 256)
    return np.stack([np.interp(where, np.arange(len(stops)), channel) for channel in stops.T], axis=1).astype(np.uint8)


def _png(indices: np.ndarray, palette: np.ndarray) -> bytes:
    """A PNG of colours from a palette. indices: uint8 (height, width); palette: uint8 (256, 3)."""
    height, width = indices.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = indices
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits, a palette
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunks(header, palette.tobytes(), zlib.compress(rows.tobytes())))


def _chunks(header: bytes, palette: bytes, data: bytes) -> Iterator[bytes]:
    for kind, content in ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", data), (b"IEND", b"")):
        yield struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
