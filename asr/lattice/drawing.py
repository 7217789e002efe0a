"""A word lattice as a picture in SVG, drawn without Graphviz."""

import html
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..display.brief import many, short
from ..lang.symbols import SymbolTable
from .lattice import _only_start

if TYPE_CHECKING:
    from .words import WordLattice

_WIDTH, _MARGIN, _LANE, _RADIUS = 960.0, 20.0, 38.0, 5.0  # pixels
_LETTER, _GAP = 7.0, 34.0  # how wide a letter is at most, and what curves take of an arc's length
_LONGEST = 18  # letters of a word
_BEST = "#2f81f7"  # has contrast enough on white and on black
_THINNEST, _THICKEST = 0.8, 6.0


class Svg(str):
    """A picture as SVG, which notebooks show."""

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self}</div>'


class _Lanes:
    """Which stretches of which horizontal lines are taken."""

    def __init__(self) -> None:
        self._taken: dict[int, list[tuple[float, float]]] = {}

    def place(self, start: float, end: float, wanted: float) -> int:
        """Take the free line that is nearest to a wanted one."""
        around = (round(wanted) + sign * step for step in range(1_000_000) for sign in (1, -1))
        lane = next(k for k in around if all(end <= a or b <= start for a, b in self._taken.get(k, ())))
        self._taken.setdefault(lane, []).append((start, end))
        return lane


class _Layout(NamedTuple):
    """Where all is: x of states, lanes of states and of arcs."""

    x: np.ndarray
    lane: np.ndarray
    arc_lane: np.ndarray


def drawn(lattice: "WordLattice", words: SymbolTable | Sequence[str] | None, frame_shift: float, most: int) -> Svg:
    """See `WordLattice.draw`."""
    whole, lattice = lattice, _best_part(lattice, most)
    name = str if words is None else words.name if isinstance(words, SymbolTable) else words.__getitem__
    labels = [
        f"{short(name(word) if word else '–', _LONGEST)}/{cost:.1f}"
        for word, cost in zip(lattice.arcs["word"].tolist(), lattice.costs.tolist(), strict=True)
    ]
    shares = lattice.posteriors()
    best = _best_arcs(lattice)
    layout = _layout(lattice, labels, shares, best)
    top = -int(min(layout.lane.min(), layout.arc_lane.min(initial=0))) * _LANE + _MARGIN + 14
    bottom = int(max(layout.lane.max(), layout.arc_lane.max(initial=0))) * _LANE + _MARGIN + 14
    width = layout.x.max() + _MARGIN + 8
    parts = [*_arcs(lattice, labels, shares, best, layout), *_states(lattice, frame_shift, layout)]
    about = f"word lattice: {many(len(lattice.frames), 'state')}, {many(len(lattice.arcs), 'arc')}"
    if len(lattice.arcs) < len(whole.arcs):
        about += f", the best of {many(len(whole.arcs), 'arc')}"
    size = f'width="{width:.0f}" height="{top + bottom:.0f}" viewBox="0 {-top:.0f} {width:.0f} {top + bottom:.0f}"'
    return Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{about}" '
        f'font-family="sans-serif" font-size="12" fill="currentColor"><title>{about}</title>{"".join(parts)}</svg>'
    )


def _best_part(lattice: "WordLattice", most: int) -> "WordLattice":
    """The lattice, pruned where it has more arcs than that."""
    if most < 1:
        raise ValueError(f"most={most}; need 1 arc or more")
    source, target = lattice.arcs["source"], lattice.arcs["next"]
    if len(source) <= most:
        return lattice
    from .kernels import best_costs

    forward = best_costs(source, target, lattice.costs, _only_start(len(lattice.frames)), True)
    through = np.sort(forward[source] + lattice.costs + lattice.backward[target])
    return lattice.prune(max(0.0, float(through[most - 1] - lattice.backward[0])))


def _best_arcs(lattice: "WordLattice") -> list[int]:
    """The arcs of the best path, in order."""
    found, state, ends = list[int](), 0, lattice.finals.sum(axis=1)
    while lattice.first[state] < lattice.first[state + 1]:
        own = np.arange(lattice.first[state], lattice.first[state + 1])
        onward = lattice.costs[own] + lattice.backward[lattice.arcs["next"][own]]
        if ends[state] <= onward.min():
            break
        found.append(int(own[onward.argmin()]))
        state = int(lattice.arcs["next"][found[-1]])
    return found


def _layout(lattice: "WordLattice", labels: Sequence[str], shares: np.ndarray, best: list[int]) -> _Layout:
    """Time goes to the right, and each arc is as long as its label; the best path is straight, the rest around it."""
    arcs, n = lattice.arcs, len(lattice.frames)
    x = np.maximum(_MARGIN, _MARGIN + lattice.frames * (_WIDTH - 2 * _MARGIN) / max(1, int(lattice.frames.max())))
    need = np.array([len(label) * _LETTER + _GAP for label in labels])
    for i in range(len(arcs)):  # in topological order
        x[arcs["next"][i]] = max(x[arcs["next"][i]], x[arcs["source"][i]] + need[i])
    lanes, lane, arc_lane = _Lanes(), np.zeros(n, np.int64), np.zeros(len(arcs), np.int64)
    straight = {0, *(int(arcs["next"][i]) for i in best)}
    for state in straight:
        lanes.place(x[state] - 16, x[state] + 16, 0)
    for i in best:
        arc_lane[i] = lanes.place(x[arcs["source"][i]] + 16, x[arcs["next"][i]] - 16, 0)
    of_best, placed = set(best), set(straight)
    for i in np.argsort(-shares, kind="stable").tolist():
        source, target = int(arcs["source"][i]), int(arcs["next"][i])
        for state in (source, target):
            if state not in placed:
                placed.add(state)
                lane[state] = lanes.place(x[state] - 16, x[state] + 16, float(lane[source]))
        if i not in of_best:
            wanted = (lane[source] + lane[target]) / 2
            arc_lane[i] = lanes.place(x[source] + 16, x[target] - 16, float(wanted))
    return _Layout(x, lane, arc_lane)


def _arcs(
    lattice: "WordLattice", labels: Sequence[str], shares: np.ndarray, best: list[int], layout: _Layout
) -> Iterator[str]:
    """The arcs, the least probable first, so that others lie over them."""
    arcs, of_best = lattice.arcs, set(best)
    for i in np.argsort(shares, kind="stable").tolist():
        source, target = int(arcs["source"][i]), int(arcs["next"][i])
        x0, x1, y = layout.x[source] + _RADIUS, layout.x[target] - _RADIUS, layout.arc_lane[i] * _LANE
        y0, y1 = layout.lane[source] * _LANE, layout.lane[target] * _LANE
        bend = min(_GAP / 2, (x1 - x0) / 3)
        path = (
            f"M{x0:.1f} {y0:.0f}C{x0 + bend / 2:.1f} {y0:.0f} {x0 + bend / 2:.1f} {y:.0f} {x0 + bend:.1f} {y:.0f}"
            f"H{x1 - bend:.1f}C{x1 - bend / 2:.1f} {y:.0f} {x1 - bend / 2:.1f} {y1:.0f} {x1:.1f} {y1:.0f}"
        )
        colour = _BEST if i in of_best else "currentColor"
        share = float(np.clip(shares[i], 0.0, 1.0))
        thickness = _THINNEST + (_THICKEST - _THINNEST) * share
        about = f"{labels[i]}, posterior {share:.3f}, graph {arcs['graph'][i]:.2f}, acoustic {arcs['acoustic'][i]:.2f}"
        yield (
            f"<g><title>{html.escape(about)}</title>"
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-opacity="{0.45 + 0.55 * share:.2f}" '
            f'stroke-width="{thickness:.1f}"/>'
            f'<text x="{(x0 + x1) / 2:.1f}" y="{y - thickness / 2 - 3:.1f}" text-anchor="middle">'
            f"{html.escape(labels[i])}</text></g>"
        )


def _states(lattice: "WordLattice", frame_shift: float, layout: _Layout) -> Iterator[str]:
    """The states with their times; ends have a second circle."""
    ends = np.isfinite(lattice.finals.sum(axis=1))
    for state, (x, lane) in enumerate(zip(layout.x, layout.lane, strict=True)):
        y, seconds = lane * _LANE, lattice.frames[state] * frame_shift
        yield f'<circle cx="{x:.1f}" cy="{y}" r="{_RADIUS - 1}"/>'
        if ends[state]:
            yield f'<circle cx="{x:.1f}" cy="{y}" r="{_RADIUS + 2}" fill="none" stroke="currentColor"/>'
        yield (
            f'<text x="{x:.1f}" y="{y + 17}" font-size="9" fill-opacity="0.7" text-anchor="middle">{seconds:.2f}</text>'
        )
