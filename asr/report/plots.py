"""Plots as SVG text to put into a page: they take the page's text colour and font, so they suit dark and light."""

import contextlib
import hashlib
import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .page import check_plotting

COLOURS = ("#4c8bf5", "#e07b39", "#2fa37c", "#b667d1", "#c79a1b", "#d9537f", "#6f8195")
_INK = "#010203"  # stands for the page's text colour until the SVG is made
_WIDTH = 7.4  # inches


def line_plot(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    marked: Mapping[str, float] | None = None,
    log_x: bool = False,
) -> str:
    """One line a name, from (x, y) pairs.

    marked: of some lines one x to mark with a ring, e.g. the value that was chosen.
    """
    with _figure(3.1) as (figure, axes):
        for i, (name, (x, y)) in enumerate(series.items()):
            colour = COLOURS[i % len(COLOURS)]
            axes.plot(x, y, color=colour, marker="o" if len(x) < 30 else None, markersize=3.5, label=name, lw=1.8)
            if marked and name in marked:
                at = [b for a, b in zip(x, y, strict=True) if a == marked[name]]
                axes.plot([marked[name]] * len(at), at, "o", ms=12, mfc="none", mec=_INK, mew=1.6)
        if log_x:
            axes.set_xscale("log")
        elif all(value == round(value) for x, _ in series.values() for value in x):  # passes, epochs
            axes.xaxis.get_major_locator().set_params(integer=True)
        _label(axes, title, x_label, y_label)
        if len(series) > 1:
            axes.legend(frameon=False)
        summary = "; ".join(f"{name}: from {y[0]:.4g} to {y[-1]:.4g}" for name, (_, y) in series.items() if len(y))
        return _svg(figure, f"{title}. {y_label} over {x_label}. {summary}")


def bar_plot(values: Mapping[str, float], *, title: str, x_label: str) -> str:
    """Horizontal bars, the first one on top, each with its value beside it."""
    names = list(values)
    with _figure(0.8 + 0.27 * max(2, len(names))) as (figure, axes):
        numbers = [values[n] for n in names]
        bars = axes.barh(range(len(names)), numbers, color=COLOURS[0], height=0.7)
        axes.bar_label(bars, [f"{v:.1f}" for v in numbers], padding=3)
        axes.set_yticks(range(len(names)), [_short(n, 40) for n in names])
        axes.invert_yaxis()
        axes.set_xlim(0, max([*numbers, 1e-9]) * 1.12)
        _label(axes, title, x_label, "")
        return _svg(figure, f"{title}. " + "; ".join(f"{n}: {values[n]:.1f}" for n in names))


def histogram_plot(
    series: Mapping[str, Sequence[float]], *, limit: float, step: float, title: str, x_label: str, y_label: str
) -> str:
    """How often values fall into steps of one width between -limit and limit; the outer ones hold what lies beyond."""
    edges = np.arange(-limit, limit + step / 2, step)
    with _figure(3.1) as (figure, axes):
        for i, (name, values) in enumerate(series.items()):
            inside = np.clip(np.asarray(values, np.float64), -limit + step / 2, limit - step / 2)
            axes.hist(inside, edges, color=COLOURS[i % len(COLOURS)], histtype="step", lw=1.8, label=name)
        _label(axes, title, x_label, y_label)
        axes.legend(frameon=False)
        summary = "; ".join(
            f"{name}: {len(values)} values, half of them from {np.quantile(values, 0.25):.4g} to "
            f"{np.quantile(values, 0.75):.4g}"
            for name, values in series.items()
            if len(values)
        )
        return _svg(figure, f"{title}. {x_label}. {summary}")


def matrix_plot(counts: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, title: str) -> str:
    """Counts as a grid of shaded cells with their numbers. counts: int (n_rows, n_columns)."""
    with _figure(1.6 + 0.3 * len(rows), width=max(4.0, 1.6 + 0.5 * len(columns))) as (figure, axes):
        largest = max(1, int(counts.max()))
        for i, j in zip(*np.nonzero(counts), strict=True):
            shade = 0.15 + 0.75 * counts[i, j] / largest
            axes.add_patch(_rectangle(j - 0.5, i - 0.5, 1, 1, facecolor=COLOURS[1], alpha=shade, edgecolor="none"))
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=9)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xticks(
            range(len(columns)), [_short(c) for c in columns], rotation=45, ha="right", rotation_mode="anchor"
        )
        axes.set_yticks(range(len(rows)), [_short(r) for r in rows])
        axes.grid(False)
        _label(axes, title, "recognised", "said")
        top = sorted(zip(*np.nonzero(counts), strict=True), key=lambda ij: -counts[ij])[:10]
        told = "; ".join(f"{rows[i]} as {columns[j]}: {counts[i, j]}" for i, j in top)
        return _svg(figure, f"{title}. Most frequent: {told or 'none'}")


def alignment_plot(
    samples: np.ndarray,
    rate: int,
    *,
    phones: Sequence[tuple[str, float, float]],
    words: Sequence[tuple[str, float, float]],
    title: str,
) -> str:
    """A spectrogram with the boundaries of phones and words below it.

    samples: float32 (n_samples,), at `rate` Hz.
    phones, words: (label, start, end), in seconds.
    """
    seconds = len(samples) / rate
    with _figure(3.6) as (figure, axes):
        power = _spectrogram(samples, rate)
        top_db = 10 * np.log10(power.max() + 1e-12)
        image = np.clip(10 * np.log10(power + 1e-12), top_db - 60, top_db)
        image = np.round(image / 4)  # few shades and no interpolation: a small picture
        place = (0, seconds, 0, rate / 2000)
        axes.imshow(image, origin="lower", aspect="auto", cmap="magma", extent=place, interpolation="nearest")
        axes.set_xlim(0, seconds)
        axes.set_ylim(-0.2 * rate / 2000, rate / 2000)
        height = 0.1 * rate / 2000
        for row, segments in enumerate((phones, words)):
            for label, start, end in segments:
                y = -height * (row + 1)
                fill = COLOURS[row] if label not in ("", "SIL") else "none"
                axes.add_patch(_rectangle(start, y, end - start, height, facecolor=fill, alpha=0.35, edgecolor=_INK))
                axes.text(
                    (start + end) / 2, y + height / 2, _short(label), ha="center", va="center", fontsize=8, clip_on=True
                )
        for _, start, end in words:
            axes.vlines([start, end], 0, rate / 2000, colors="white", linestyles="dotted", linewidth=0.9)
        axes.set_yticks([t for t in axes.get_yticks() if 0 <= t <= rate / 2000])
        _label(axes, title, "seconds", "kHz")
        axes.grid(False)
        told = ", ".join(f"{label} {start:.2f}-{end:.2f} s" for label, start, end in words)
        return _svg(figure, f"{title}. Words: {told}")


@contextlib.contextmanager
def _figure(height: float, width: float = _WIDTH) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes in the page's style, drawn without any window system."""
    check_plotting()
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": _INK,
        "grid.alpha": 0.13,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        yield figure, axes


def _label(axes: Any, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _rectangle(x: float, y: float, width: float, height: float, **style: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, **style)


def _svg(figure: Any, description: str) -> str:
    """The figure as an <svg> element with a description for those who cannot see it, without links or metadata."""
    import matplotlib

    stream = io.StringIO()
    salt = hashlib.sha256(description.encode()).hexdigest()[:12]  # ids of two plots of a page must differ
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, dpi=110)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\s?\bid="[a-zA-Z0-9.]+_\d+"', "", text)
    text = re.sub(r"font-family: [^;\"]*;? ?|<style.*?</style>", "", text, flags=re.DOTALL)
    text = text.replace(_INK, "currentColor")
    head, rest = text.split(">", 1)
    head = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", head).replace("xlink:", "")
    label = html.escape(description, quote=True)
    return f'{head} role="img" aria-label="{label}"><title>{html.escape(description)}</title>' + rest.replace(
        "xlink:href", "href"
    )


def _spectrogram(samples: np.ndarray, rate: int) -> np.ndarray:
    """Power (n_bins, n_frames) of 16 ms Hann windows every 8 ms."""
    size, shift = round(0.016 * rate), round(0.008 * rate)
    padded = np.pad(samples, (size // 2, size))
    starts = np.arange(0, len(samples), shift)
    frames = padded[starts[:, None] + np.arange(size)] * np.hanning(size)
    return np.abs(np.fft.rfft(frames, axis=1).T) ** 2
