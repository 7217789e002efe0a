"""Pictures as SVG in a page: the frame, the time axis below them, and small print."""

import html
import math

WIDTH = 1000  # of pictures, in their own units; on the page they are as wide as there is room


AXIS = 18  # height


STEPS = tuple(m * 10.0**e for e in range(-3, 6) for m in (1, 2, 5))  # s between ticks


FRAME = 'style="max-width:62em;min-width:40em;width:100%;height:auto;font-family:sans-serif"'  # or none could read it


def axis(start: float, span: float, top: float) -> str:
    """Ticks below a picture, in seconds."""
    step = next(s for s in (*STEPS, span) if span / s <= 12)
    marks = []
    for number in range(math.ceil(start / step - 1e-9), math.floor((start + span) / step + 1e-9) + 1):
        x = (number * step - start) * WIDTH / span
        anchor = "start" if x < 15 else "end" if x > WIDTH - 15 else "middle"
        text = f"{number * step:g}" if number else "0 s"
        marks.append(f'<path d="M{x:.1f} {top} v4" stroke="currentColor" stroke-width="0.7"/>')
        marks.append(f'<text x="{x:.1f}" y="{top + 15}" font-size="11" text-anchor="{anchor}">{text}</text>')
    return f'<g fill="currentColor">{"".join(marks)}</g>'


def svg(content: str, height: float, description: str) -> str:
    label = html.escape(description[:300], quote=True)
    picture = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}" {FRAME}>{content}</svg>'
    return f'<div style="overflow-x:auto">{picture}</div>'  # where there is less room it is moved to and fro


def small(text: str) -> str:
    return f'<div style="font-size:80%;opacity:0.75">{html.escape(text)}</div>'
