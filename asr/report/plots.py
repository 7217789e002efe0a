"""Plots as SVG text to put into a page: they take the page's text colour and font, so they suit dark and light."""

import contextlib
import hashlib
import html
import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .page import check_plotting

COLOURS = ("#4c8bf5", "#e07b39", "#2fa37c", "#b667d1", "#c79a1b", "#d9537f", "#6f8195")
INK = "#010203"  # stands for the page's text colour until the SVG is made
_WIDTH, _HEIGHT = 4.8, 2.5  # inches: on a phone the letters are still read, in a column they are not huge


class Plateau(NamedTuple):
    """Error rates that are equal as far as the errors counted can tell, percent: from the lowest to the highest."""

    low: float
    high: float


def line_plot(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    marked: Mapping[str, float] | None = None,
    plateau: Plateau | None = None,
    limits: tuple[float, float] | None = None,
    small: bool = False,
) -> str:
    """One line a name, from (x, y) pairs.

    Args:
        marked: of some lines one x to mark with a ring, e.g. the value that was chosen.
        plateau: a band of values of y that are as good as equal.
        limits: of the axis of y; where the values are if not given.
        small: less than half as wide.
    """
    with _figure(1.7 if small else _HEIGHT, width=2.5 if small else _WIDTH) as (figure, axes):
        if plateau is not None:
            axes.axhspan(plateau.low, plateau.high, color=COLOURS[2], alpha=0.22, lw=0)
        for i, (name, (x, y)) in enumerate(series.items()):
            colour = COLOURS[i % len(COLOURS)]
            axes.plot(x, y, color=colour, marker="o" if len(x) < 30 else None, markersize=3.5, label=name, lw=1.8)
            if marked and name in marked:
                at = [b for a, b in zip(x, y, strict=True) if a == marked[name]]
                axes.plot([marked[name]] * len(at), at, "o", ms=11, mfc="none", mec=INK, mew=1.5, clip_on=False)
        if all(value == round(value) for x, _ in series.values() for value in x):  # passes, epochs
            axes.xaxis.get_major_locator().set_params(integer=True)
        if limits is not None:
            low, high = limits
            axes.set_ylim(low - 0.05 * (high - low), high)  # what lies on the lower limit is seen, too
        _label(axes, title, x_label, y_label)
        if len(series) > 1:
            axes.legend(frameon=False)
        summary = "; ".join(f"{name}: from {y[0]:.4g} to {y[-1]:.4g}" for name, (_, y) in series.items() if len(y))
        return as_svg(figure, f"{title}. {y_label} over {x_label}. {summary}")


def stages_plot(lines: Mapping[str, Mapping[str, tuple[float, float, float]]], *, title: str, y_label: str) -> str:
    """Error rates from stage to stage, with their intervals.

    Args:
        lines: what is counted -> stage -> (rate, low, high), percent; all have the same stages. The axis begins at 0.
    """
    stages = list(next(iter(lines.values())))
    with _figure(_HEIGHT + 0.2) as (figure, axes):
        for i, (name, points) in enumerate(lines.items()):
            colour, values = COLOURS[i % len(COLOURS)], list(points.values())
            at = [k + 0.06 * (i - (len(lines) - 1) / 2) for k in range(len(values))]
            axes.vlines(at, [v[1] for v in values], [v[2] for v in values], color=colour, alpha=0.35, lw=5)
            axes.plot(at, [v[0] for v in values], color=colour, marker="o", markersize=4.5, lw=1.8, label=name)
            for stage, x, value in zip(stages, at, values, strict=True):
                is_highest = value[0] >= max(other[stage][0] for other in lines.values())
                place = {"xytext": (7, 4 if is_highest else -11), "textcoords": "offset points", "fontsize": 8.5}
                axes.annotate(f"{value[0]:.1f}", (x, value[0]), **place)
        axes.set_xlim(-0.35, len(stages) - 0.45)
        if len(stages) <= 4:
            axes.set_xticks(range(len(stages)), [textwrap.fill(stage, 15) for stage in stages])
        else:
            turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor", "fontsize": 8}
            axes.set_xticks(range(len(stages)), [_short(stage, 34) for stage in stages], **turned)
        highest = max(high for points in lines.values() for _, _, high in points.values())
        axes.set_ylim(0, max(1.0, (1.1 if len(lines) == 1 else 1.3) * highest))  # the legend is above all of it
        axes.grid(False, axis="x")
        if len(lines) > 1:
            axes.legend(frameon=False, loc="upper right", ncols=len(lines))
        _label(axes, title, "", y_label)
        told = "; ".join(
            f"{name}: " + ", ".join(f"{stage} {rate:.1f}" for stage, (rate, _, _) in points.items())
            for name, points in lines.items()
        )
        return as_svg(figure, f"{title}. {y_label}. {told}")


def error_limits(rates: Sequence[float], chance: float) -> tuple[float, float]:
    """The limits of an axis of error rates that does not make a mountain of what is chance, nor hide what matters.

    Args:
        rates: percent, one at least.
        chance: percent points that mean nothing, above 0. What is shown spans 6 to 20 times that from near the lowest
            rate, and does not go below 0; rates far above are not shown.

    Examples:
        >>> error_limits([42.3, 42.8], chance=0.9)
        (39.8, 45.2)
        >>> error_limits([0.0, 0.0], chance=0.4)
        (0.0, 2.4)
        >>> error_limits([0.4, 2.0, 66.0], chance=0.4)
        (0.0, 8.4)
    """
    low, high = min(rates) - chance, min(max(rates) + chance, min(rates) + 20 * chance)
    more = max(0.0, 6 * chance - (high - low)) / 2
    low = round(max(0.0, low - more), 1)
    return low, round(max(high + more, low + 6 * chance), 1)


def histogram_plot(
    series: Mapping[str, Sequence[float]], *, limit: float, step: float, title: str, x_label: str, y_label: str
) -> str:
    """How often values fall into steps of one width between -limit and limit; the outer ones hold what lies beyond."""
    edges = np.arange(-limit, limit + step / 2, step)
    with _figure(_HEIGHT) as (figure, axes):
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
        return as_svg(figure, f"{title}. {x_label}. {summary}")


def matrix_plot(counts: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, title: str) -> str:
    """Counts as a grid of shaded cells with their numbers.

    Args:
        counts: int (n_rows, n_columns).
    """
    with _figure(1.1 + 0.24 * len(rows), width=1.3 + 0.36 * len(columns)) as (figure, axes):
        largest = max(1, int(counts.max()))
        for i, j in zip(*np.nonzero(counts), strict=True):
            shade = 0.15 + 0.75 * counts[i, j] / largest
            axes.add_patch(_rectangle(j - 0.5, i - 0.5, 1, 1, facecolor=COLOURS[1], alpha=shade, edgecolor="none"))
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=8)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xticks(
            range(len(columns)), [_short(c) for c in columns], rotation=45, ha="right", rotation_mode="anchor"
        )
        axes.set_yticks(range(len(rows)), [_short(r) for r in rows])
        axes.grid(False)
        _label(axes, "", "recognised", "said")
        top = sorted(zip(*np.nonzero(counts), strict=True), key=lambda ij: -counts[ij])[:10]
        told = "; ".join(f"{rows[i]} as {columns[j]}: {counts[i, j]}" for i, j in top)
        return as_svg(figure, f"{title}. Most frequent: {told or 'none'}")


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
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": INK,
        "grid.alpha": 0.13,
        "axes.titlesize": 9.5,
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


def as_svg(figure: Any, description: str) -> str:
    """The figure as an <svg> element with a description for those who cannot see it, without links or metadata.

    What is drawn in the colour INK gets the page's text colour.
    """
    import matplotlib

    stream = io.StringIO()
    salt = hashlib.sha256(description.encode()).hexdigest()[:12]  # ids of two plots of a page must differ
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, dpi=120)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\s?\bid="[a-zA-Z0-9.]+_\d+"', "", text)
    text = re.sub(r"font-family: [^;\"]*;? ?|<style.*?</style>", "", text, flags=re.DOTALL)
    text = text.replace(INK, "currentColor")
    head, rest = text.split(">", 1)
    head = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", head).replace("xlink:", "")
    label = html.escape(description, quote=True)
    return f'{head} role="img" aria-label="{label}"><title>{html.escape(description)}</title>' + rest.replace(
        "xlink:href", "href"
    )
