"""A picture of one recording: waveform, spectrogram, features, and where words and phones are, over one time axis.

Drawn with matplotlib alone. librosa.display would need scikit-learn and much more, compiles for 25 seconds at its first
use, mirrors a waveform that is not symmetric, shows the noise below a recording, and doubles the size of a page's SVG.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..audio import check_samples
from ..display.brief import brief_repr
from ..errors import AsrError, did_you_mean
from ..files import replacing
from .page import check_plotting

SUFFIXES = (".png", ".svg", ".pdf")
_WIDTH = 11.0  # inches
_COLUMNS = 1600  # of a picture at most; more would not be seen
_AVERAGED = 8  # frames that one column of a long recording's spectrogram is taken from
_SMALLEST = 6.0  # points of a label
_RANGE_DB, _LEAST_DB = 70.0, 35.0  # what lies further below the loudest is shown as silence; less in noise
_INK, _SOFT, _WAVE, _WORD, _PHONE = "#1c2128", "#59636e", "#2b6cb0", "#d9e8fb", "#fdecc8"
_LABEL, _EDGE = "#1d2128", "#5a636e"  # on the pale colours of words and phones, whatever the page's
_TITLE, _TITLE_WIDTH = 12, 9.3  # points, and inches that there is room for


@dataclass(frozen=True)
class Panel:
    """Features to draw.

    Attributes:
        name: for the axis, e.g. "MFCC".
        matrix: float32 (n_frames, dim).
        frame_shift: s.
        start: s, where the first frame's share of the time axis begins.
        standardised: each value is shown as deviations from its own mean, since its scale is unlike the others'; else
            they are logarithms and shown as they are.
    """

    name: str
    matrix: np.ndarray
    frame_shift: float
    start: float = 0.0
    standardised: bool = True

    def __repr__(self) -> str:
        return brief_repr(self)


@dataclass(frozen=True)
class Pitch:
    """The pitch of a recording, drawn as a curve: strong where there is a voice, pale where there is none.

    Attributes:
        hz: float64 (n_frames,): see asr.features.PitchTrack.
        voicing: float64 (n_frames,): see asr.features.PitchTrack.
        frame_shift: s.
        start: s, where the first frame's share of the time axis begins.
    """

    hz: np.ndarray
    voicing: np.ndarray
    frame_shift: float
    start: float = 0.0

    def __repr__(self) -> str:
        return brief_repr(self)


Segments = Sequence[tuple[str, float, float]]  # label, start and end in s


def check_picture(path: str | os.PathLike) -> None:
    """Raise AsrError where a picture of that name cannot be made: an unknown suffix, or no matplotlib."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        hint = did_you_mean(suffix, SUFFIXES) if suffix else ""
        raise AsrError(f"{path}: pictures are {', '.join(SUFFIXES)}; give the file one of these endings{hint}")
    check_plotting()


def draw_signal(
    samples: np.ndarray,
    rate: int,
    *,
    panel: Panel | Pitch | None = None,
    words: Segments = (),
    phones: Segments = (),
    offset: float = 0.0,
    title: str = "",
) -> Any:
    """A matplotlib Figure of a recording, from top to bottom: waveform, words, phones, spectrogram, features.

    Args:
        samples: (n_samples,) at `rate` Hz: floats in [-1, 1], or integers of 8, 16 or 32 bits. Long recordings are
            drawn from fewer points: the waveform from the least and the greatest sample of each stretch, the others
            from means.
        words: left out where they do not fit in.
        phones: left out where they do not fit in.
        offset: s, what the time axis begins with: where the samples begin in their file.
        title: a line or several; one that is too long is cut.

    Raises:
        AsrError: without matplotlib.
        AudioError: for samples that cannot be used.
    """
    check_plotting()
    import matplotlib

    samples = check_samples(samples)
    seconds = len(samples) / rate
    lanes = [(label, lane, colour) for label, lane, colour in _lanes(words, phones, seconds) if lane]
    with matplotlib.rc_context(_style()), _quiet():
        figure, axes, grid = _figure([1.5, *[0.42] * len(lanes), 2.3, *([_height(panel)] if panel else [])])
        span = (offset, offset + seconds)
        _draw_waveform(axes[0], samples, rate, offset)
        for axis, (label, lane, colour) in zip(axes[1:], lanes, strict=False):
            _draw_lane(axis, label, [(text, a + offset, b + offset) for text, a, b in lane], colour, span)
        row = 1 + len(lanes)
        _draw_spectrogram(figure, axes[row], grid[row, 1], samples, rate, span)
        if isinstance(panel, Pitch):
            _draw_pitch(axes[row + 1], panel, offset)
        elif panel:
            _draw_features(figure, axes[row + 1], grid[row + 1, 1], panel, offset)
        axes[0].set_xlim(*span)
        for axis in axes[:-1]:
            axis.tick_params(labelbottom=False, bottom=False)
        axes[-1].set_xlabel("time (s)")
        axes[0].set_title(_cut(title), loc="left", fontsize=_TITLE)
    return figure


def signal_svg(figure: Any, description: str) -> str:
    """A figure of `draw_signal` as an <svg> element of a page, on the page's ground and in its text colour.

    Args:
        description: for those who cannot see it.
    """
    import matplotlib

    from .plots import COLOURS, as_svg

    figure.patch.set_alpha(0)
    for axis in figure.axes:
        axis.patch.set_alpha(0)
    with matplotlib.rc_context(_style()), _quiet():
        text = as_svg(figure, description)
    return text.replace(_INK, "currentColor").replace(_SOFT, "currentColor").replace(_WAVE, COLOURS[0])


def _height(panel: Panel | Pitch) -> float:
    return 1.4 if isinstance(panel, Pitch) else 2.0


def _cut(title: str) -> str:
    """The title, with lines that are wider than the picture cut off: their ends, but of a file's name the middle."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    font = FontProperties(size=_TITLE)
    # Letters are whole pixels wide, so that a line's width depends on the picture's resolution.
    renderers = {dpi: FigureCanvasAgg(Figure(dpi=dpi)).get_renderer() for dpi in (72, 100, 150)}

    def fits(line: str) -> bool:
        sizes = {d: r.get_text_width_height_descent(line, font, ismath=False)[0] for d, r in renderers.items()}
        return all(width <= dpi * _TITLE_WIDTH for dpi, width in sizes.items())

    def shortened(line: str) -> str:
        if fits(line):
            return line
        least, most = 1, len(line)
        while most - least > 1:
            middle = (least + most) // 2
            least, most = (middle, most) if fits(f"{line[:middle]}…") else (least, middle)
        return f"{line[:least]}…"

    return "\n".join(shortened(line) for line in title.split("\n"))


def _figure(heights: Sequence[float]) -> tuple[Any, list[Any], Any]:
    """A figure with panels of these heights in inches, one below the other, and the grid they lie in."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.04, hspace=0, wspace=0.01)
    figure = Figure(figsize=(_WIDTH, sum(heights) + 0.9), layout=layout)
    grid = figure.add_gridspec(len(heights), 2, width_ratios=[62, 1], height_ratios=heights)
    axes: list[Any] = [figure.add_subplot(grid[0, 0])]
    axes += [figure.add_subplot(grid[row, 0], sharex=axes[0]) for row in range(1, len(heights))]
    return figure, axes, grid


def save_picture(figure: Any, path: str | os.PathLike) -> None:
    """Write a figure as the kind of picture that its name ends in, whole or not at all."""
    import matplotlib

    check_picture(path)
    form = Path(path).suffix.lower()[1:]
    with replacing(path) as temporary, matplotlib.rc_context(_style(**{"svg.hashsalt": "asr"})), _quiet():
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)  # the same picture, the same bytes
        figure.savefig(temporary, format=form, dpi=150, metadata=metadata)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without matplotlib's warnings of letters that its font lacks; they are drawn as boxes."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _style(**more: Any) -> Any:
    return {
        **more,
        "font.family": "sans-serif",
        "font.size": 10,
        "text.parse_math": False,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _SOFT,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "figure.facecolor": "white",
        "svg.fonttype": "none",
    }


def _lanes(words: Segments, phones: Segments, seconds: float) -> list[tuple[str, Segments, str]]:
    """The rows of labels; phones only where most of them have room for a letter or two."""
    room = seconds / _WIDTH * 0.16  # s that two letters take
    wide = sorted(end - start for _, start, end in phones)
    fits = bool(wide) and wide[len(wide) // 2] > room
    return [("words", words, _WORD), ("phones", phones if fits else (), _PHONE)]


def _draw_waveform(axis: Any, samples: np.ndarray, rate: int, offset: float) -> None:
    if len(samples) > 4 * _COLUMNS:
        edges = np.linspace(0, len(samples), _COLUMNS + 1).astype(np.int64)
        low, high = np.minimum.reduceat(samples, edges[:-1]), np.maximum.reduceat(samples, edges[:-1])
        times = offset + (edges[:-1] + edges[1:]) / 2 / rate
        axis.fill_between(times, low, high, color=_WAVE, linewidth=0.4)
    else:
        axis.plot(offset + np.arange(len(samples)) / rate, samples, color=_WAVE, linewidth=0.8)
    largest = float(np.abs(samples).max(initial=0.0)) or 1.0
    axis.set_ylim(-1.08 * largest, 1.08 * largest)
    axis.axhline(0, color=_SOFT, linewidth=0.5)
    axis.set_ylabel("amplitude\n(full scale 1)")
    axis.spines[["top", "right"]].set_visible(False)


def _draw_lane(axis: Any, label: str, segments: Segments, colour: str, span: tuple[float, float]) -> None:
    """A row of boxes with the labels that fit into them."""
    inches, unnamed = 0.86 * _WIDTH / (span[1] - span[0]), 0
    for text, start, end in segments:
        axis.axvspan(start, end, facecolor=colour if text not in ("", "SIL") else "#f1f3f5", edgecolor=_EDGE, lw=0.5)
        room = (end - start) * inches
        size = min(10.0, 72 * room / (0.75 * max(1, len(text))))  # points, at which the label is as wide as its box
        upright = size < _SMALLEST and room > 0.085 and len(text) <= 8
        if size >= _SMALLEST or upright:
            style = {"rotation": 90, "va": "center", "fontsize": _SMALLEST} if upright else {"fontsize": size}
            style = {"va": "center_baseline", "ha": "center", "color": _LABEL, "clip_on": True, **style}
            axis.text((start + end) / 2, 0.5, text, **style)
        else:
            unnamed += 1
    axis.set_ylim(0, 1)
    axis.set_yticks([])
    note = f"\n{unnamed} too narrow\nto be named" if unnamed else ""
    axis.set_ylabel(label + note, rotation=0, ha="right", va="center", fontsize=7 if unnamed else 10)


def _draw_spectrogram(
    figure: Any, axis: Any, place: Any, samples: np.ndarray, rate: int, span: tuple[float, float]
) -> None:
    power = spectrogram(samples, rate)
    loudest = 10 * np.log10(max(float(power.max(initial=0.0)), 1e-20))
    levels = 10 * np.log10(power + 1e-20) - loudest
    floor = noise_floor(levels)
    image = np.clip(levels, floor, 0)
    shown = axis.imshow(
        image, origin="lower", aspect="auto", cmap="magma", extent=(*span, 0, rate / 2000), interpolation="nearest"
    )
    axis.set_ylabel("frequency (kHz)")
    figure.colorbar(shown, cax=figure.add_subplot(place), label="dB below the peak")


def noise_floor(levels: np.ndarray) -> float:
    """Where a spectrogram's colours begin, dB: above the noise of the quietest tenth of the recording.

    Args:
        levels: (n_bins, n_columns), dB below the loudest.

    Returns:
        -70 to -35.
    """
    quietest = np.argsort(levels.mean(axis=0))[: max(1, levels.shape[1] // 10)]
    return float(np.clip(np.quantile(levels[:, quietest], 0.98), -_RANGE_DB, -_LEAST_DB))


def _draw_pitch(axis: Any, track: Pitch, offset: float) -> None:
    times = offset + track.start + (np.arange(len(track.hz)) + 0.5) * track.frame_shift
    voiced = track.voicing > 0.5
    axis.plot(times, track.hz, color=_WAVE, alpha=0.25, lw=0.8)
    axis.plot(times, np.where(voiced, track.hz, np.nan), color=_WAVE, lw=2.2)
    shown = track.hz[voiced] if voiced.any() else track.hz
    low, high = float(shown.min(initial=1e9)), float(shown.max(initial=0.0))
    if low <= high:
        axis.set_ylim(max(0.0, low - 0.25 * (high - low) - 10), high + 0.25 * (high - low) + 10)
    axis.grid(axis="y", alpha=0.3, lw=0.5)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_ylabel("pitch (Hz)")


def _draw_features(figure: Any, axis: Any, place: Any, panel: Panel, offset: float) -> None:
    matrix = np.asarray(panel.matrix, dtype=np.float64)
    n_frames, dim = matrix.shape
    colours, label = "viridis", "natural logarithm"
    if panel.standardised:
        matrix = (matrix - matrix.mean(axis=0)) / np.maximum(matrix.std(axis=0), 1e-10)
        colours, label = "RdBu_r", "deviations\nfrom mean"
    start = offset + panel.start
    extent = (start, start + n_frames * panel.frame_shift, -0.5, dim - 0.5)
    limits = {"vmin": -3, "vmax": 3} if panel.standardised else {}
    columns = _averaged(matrix).T
    shown = axis.imshow(
        columns, origin="lower", aspect="auto", cmap=colours, extent=extent, interpolation="nearest", **limits
    )
    axis.set_facecolor("#f1f3f5")  # seen where the recording goes on but has no whole frame left
    axis.set_ylabel(panel.name)
    axis.yaxis.get_major_locator().set_params(integer=True)
    figure.colorbar(shown, cax=figure.add_subplot(place), label=label)


def _averaged(matrix: np.ndarray) -> np.ndarray:
    """The means of stretches of frames, (at most _COLUMNS, dim)."""
    if len(matrix) <= _COLUMNS:
        return matrix
    edges = np.linspace(0, len(matrix), _COLUMNS + 1).astype(np.int64)
    return np.add.reduceat(matrix, edges[:-1], axis=0) / np.diff(edges)[:, None]


def spectrogram(samples: np.ndarray, rate: int) -> np.ndarray:
    """Power (n_bins, n_columns) of 25 ms Hann windows; float64.

    Columns are at least 2 ms apart and at most _COLUMNS. Where they are further apart than a window, each is the mean
    of up to eight windows spread over its stretch, so that the work does not grow with the recording.
    """
    size = max(16, round(0.025 * rate))
    n_columns = int(np.clip(len(samples) / (0.002 * rate), 1, _COLUMNS))
    stretch = len(samples) / n_columns
    n_windows = int(np.clip(np.ceil(stretch / size), 1, _AVERAGED))
    padded = np.pad(samples, size)
    centres = (np.arange(n_columns * n_windows) + 0.5) * stretch / n_windows + size
    starts = np.round(centres - size / 2).astype(np.int64)
    window, fft_size = np.hanning(size), 1 << (size - 1).bit_length()
    power = np.empty((n_columns * n_windows, fft_size // 2 + 1))
    for begin in range(0, len(starts), 1024):  # bounds the memory
        frames = padded[starts[begin : begin + 1024, None] + np.arange(size)] * window
        power[begin : begin + 1024] = np.abs(np.fft.rfft(frames, fft_size, axis=1)) ** 2
    return power.reshape(n_columns, n_windows, -1).mean(axis=1).T
