"""A picture of what each beam of a search costs."""

from collections.abc import Sequence
from typing import Any

from ..train.beams import BeamPoint
from .plots import COLOURS, check_plotting


def draw_beams(points: Sequence[BeamPoint], chosen: BeamPoint, *, title: str = "") -> Any:
    """A matplotlib Figure: word error rate over the real-time factor, a point a beam, a ring around the chosen one.

    Args:
        points: from the narrowest beam to the widest; one at least.

    Raises:
        AsrError: without matplotlib.
    """
    check_plotting()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    x, y = [p.real_time_factor for p in points], [p.rate for p in points]
    axes.plot(x, y, color=COLOURS[0], marker="o", markersize=4.5, lw=1.6)
    width, low, high = max(x), min(y), max(y)
    margin = max(0.5, 0.1 * (high - low))  # points: less is hardly a difference
    axes.set_xlim(0, 1.08 * width)
    axes.set_ylim(max(0.0, low - margin), high + margin)
    named: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: p is not chosen):
        at = point.real_time_factor / width, (point.rate - low) / (high - low + 2 * margin)
        if all(abs(at[0] - other[0]) > 0.05 or abs(at[1] - other[1]) > 0.06 for other in named):
            named.append(at)  # names of beams that lie in one place would lie on each other
            place = (point.real_time_factor, point.rate)
            axes.annotate(f"{point.beam:g}", place, xytext=(6, 6), textcoords="offset points", fontsize=8.5)
    axes.plot([chosen.real_time_factor], [chosen.rate], "o", ms=12, mfc="none", mec="#222222", mew=1.5)
    axes.set_xlabel("real-time factor: seconds of one core for a second of speech")
    axes.set_ylabel("word error rate, %")
    axes.set_title(title or f"Errors and time of beams; chosen: {chosen.beam:g}", loc="left", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(alpha=0.2)
    return figure
