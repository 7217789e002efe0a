"""What notebooks show of things: tables and pictures as HTML, made without matplotlib, on light pages and dark ones.

Jupyter asks what a cell ends with for `_repr_html_`; transcripts, tables of features and models have one. For a matrix:

>>> heat_map(np.zeros((98, 13)))
<Html: 98 frames of 13 values>
"""

import base64
import html
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .brief import many
from .svg import AXIS, WIDTH, axis, small, svg

_COLUMNS = 800  # of a heat map at most; more would not be seen
_DEVIATIONS = 3.0  # either side of the mean that the colours reach to
_BLUE_RED = ("#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b")
_DARK_BRIGHT = ("#0d0887", "#7e03a8", "#cc4778", "#f89540", "#f0f921")


class Html:
    """A piece of HTML that notebooks show.

    Args:
        text: the HTML.
        about: what consoles say of it.
    """

    def __init__(self, text: str, about: str) -> None:
        self.text, self.about = text, about

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Html: {self.about}>"


def heat_map(features: np.ndarray, *, frame_shift: float = 10.0, standardised: bool = True, title: str = "") -> Html:
    """A picture of features over time for a notebook, the first value at the bottom.

    Args:
        features: (n_frames, dim); long ones are drawn from means of neighbouring frames.
        frame_shift: ms.
        standardised: colours are deviations from each value's own mean, as the scales of cepstra differ; False: the
            values as they are, as for log mel filters.

    Raises:
        ValueError: for another shape.
    """
    matrix = np.asarray(features, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"features have shape {np.shape(features)}; need (n_frames, dim), 1 or more of each")
    about = f"{many(matrix.shape[0], 'frame')} of {many(matrix.shape[1], 'value')}"
    seconds, height = len(matrix) * frame_shift / 1000, 8 * min(max(matrix.shape[1], 8), 30)
    source = f"data:image/png;base64,{base64.b64encode(_colours(matrix, standardised)).decode('ascii')}"
    picture = (
        f'<image href="{source}" width="{WIDTH}" height="{height}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated"/>{axis(0.0, seconds, height)}'
    )
    scale = "blue to red: 3 deviations below to above each value's mean" if standardised else "the brighter, the larger"
    caption = ", ".join(filter(None, (title, about, f"{seconds:.2f} s", scale)))
    return Html(svg(picture, height + AXIS, caption) + small(caption), about)


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
    """A PNG of colours from a palette.

    Args:
        indices: uint8 (height, width).
        palette: uint8 (256, 3).
    """
    height, width = indices.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = indices
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits, a palette
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunks(header, palette.tobytes(), zlib.compress(rows.tobytes())))


def _chunks(header: bytes, palette: bytes, data: bytes) -> Iterator[bytes]:
    for kind, content in ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", data), (b"IEND", b"")):
        yield struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
