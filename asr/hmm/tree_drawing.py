"""A decision tree as a picture: SVG text, without any drawing program."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ..errors import ModelError
from .decision_tree import LEAF, PDF_CLASS, DecisionTree

if TYPE_CHECKING:
    from ..lang.symbols import SymbolTable

_ROW, _COLUMN, _MARGIN = 18, 190, 12  # pixels
_SHOWN = 24  # characters of a question; the whole of it appears where the mouse rests

_STYLE = (
    "text{font:11px sans-serif}line{stroke:#888}.question{fill:#1a4a7a}.pdf{fill:#7a3a1a}"
    ".root{font-weight:bold}.answer{fill:#888;font-size:9px}"
)


@dataclass(frozen=True)
class _Place:
    """Where a node is drawn, and as what."""

    x: float
    y: float
    label: str
    title: str
    kind: str


def draw_tree(tree: DecisionTree, phones: "SymbolTable", *, only: Sequence[str] = ()) -> str:
    """The tree as SVG: roots at the left, pdfs at the right, the branch for yes above the one for no.

    Args:
        phones: names by phone id.
        only: the phones whose roots are drawn; all by default. 2,000 leaves make a picture that is 36,000 pixels high:
            a viewer scrolls, a printer does not.

    Raises:
        LexiconError: for an unknown phone name.
        ModelError: for one that is not in the tree.
    """
    wanted = {phones[name] for name in only}
    roots = [r for r in tree.roots if not wanted or wanted & set(r.phones)]
    if not roots or not wanted <= {p for r in roots for p in r.phones}:
        raise ModelError(f"the tree has no root for the phones {' '.join(only)}")
    nodes = tree.nodes.tolist()
    lines: list[str] = []
    places: list[_Place] = []
    top = float(_MARGIN + _ROW)
    for root in {r.node: r for r in roots}.values():
        names = _names(root.phones, phones)
        title = f"{names}, pdf class {', '.join(map(str, root.pdf_classes))}"
        places.append(_Place(_MARGIN, top, _short(title), title, "root"))
        top = _draw_below(root.node, nodes, tree, phones, top + _ROW, places, lines) + _ROW
    width = _MARGIN + _COLUMN + max(place.x for place in places)
    body = "".join(
        f'<text x="{p.x:.0f}" y="{p.y + 4:.1f}" class="{p.kind}">{escape(p.label)}'
        f"<title>{escape(p.title)}</title></text>\n"
        for p in places
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{top + _MARGIN:.0f}">\n'
        f"<style>{_STYLE}</style>\n{''.join(lines)}{body}</svg>\n"
    )


def _draw_below(root, nodes, tree, phones, top, places: list[_Place], lines: list[str]) -> float:
    """Add a root's nodes and their lines; returns the height where the next root may begin."""
    # A leaf takes the next free row; an inner node stands between its children, so it comes after both.
    y_of: dict[int, float] = {}
    waiting: list[tuple[int, int, bool]] = [(root, 0, False)]
    while waiting:
        index, depth, children_done = waiting.pop()
        position, question, yes, no = nodes[index]
        x = _MARGIN + depth * _COLUMN
        if position == LEAF:
            y_of[index] = top
            top += _ROW
            places.append(_Place(x, y_of[index], f"pdf {question}", f"pdf {question}", "pdf"))
        elif not children_done:
            waiting += [(index, depth, True), (no, depth + 1, False), (yes, depth + 1, False)]
        else:
            y = y_of[index] = (y_of[yes] + y_of[no]) / 2
            title = _question(position, tree.questions[question], tree.central_position, phones)
            places.append(_Place(x, y, _short(title), title, "question"))
            for child, answer in ((yes, "yes"), (no, "no")):
                there = y_of[child]
                lines.append(
                    f'<line x1="{x + _COLUMN - 45}" y1="{y:.1f}" x2="{x + _COLUMN - 4}" y2="{there:.1f}"/>'
                    f'<text x="{x + _COLUMN - 20}" y="{(y + 2 * there) / 3:.1f}" class="answer">{answer}</text>\n'
                )
    return top


def _question(position: int, values: tuple[int, ...], central: int, phones: "SymbolTable") -> str:
    """The question in words."""
    if position == PDF_CLASS:
        return f"state in {' '.join(map(str, values))}"
    distance = position - central
    where = "phone" if distance == 0 else f"{'left' if distance < 0 else 'right'}"
    if abs(distance) > 1:
        where += f" {abs(distance)}"
    return f"{where} in {_names(values, phones)}"


def _names(values: Sequence[int], phones: "SymbolTable") -> str:
    return " ".join(phones.name(v) if v < len(phones) else str(v) for v in values)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
