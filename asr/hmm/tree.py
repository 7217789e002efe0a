"""Context dependency: which pdf (senone) models a phone's HMM state in a given phone context.

A tree answers `pdf(window, pdf_class)`. The monophone tree looks at the phone alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import ModelError
from .topology import Topology


class ContextDependency(Protocol):
    """What graphs and transition models ask of a tree."""

    @property
    def context_width(self) -> int:
        """The number of phones in a window: 1 for monophones, 3 for triphones."""
        ...

    @property
    def central_position(self) -> int:
        """The index of the phone itself in the window."""
        ...

    @property
    def n_pdfs(self) -> int:
        """The number of pdfs; their ids run from 0."""
        ...

    def pdf(self, window: Sequence[int], pdf_class: int) -> int:
        """The pdf id of a state of the phone at window[central_position]; 0 in the window is "no phone there"."""
        ...

    def pdfs_of_state(self, phone: int, pdf_class: int) -> list[int]:
        """Every pdf id that the phone's pdf class has in some context, ascending."""
        ...

    def to_json(self) -> dict[str, Any]:
        """A JSON object with the key "kind"."""
        ...


@dataclass(frozen=True)
class MonophoneTree:
    """One pdf for each (phone, pdf class), numbered in order of phone id (Kaldi's MonophoneContextDependency)."""

    first_pdf: dict[int, int]
    n_classes: dict[int, int]
    context_width: int = 1
    central_position: int = 0

    @classmethod
    def from_topology(cls, topology: Topology) -> "MonophoneTree":
        """The tree of a topology: pdf ids count through the phones' pdf classes."""
        first, classes, next_pdf = {}, {}, 0
        for phone in topology.phones:
            first[phone], classes[phone] = next_pdf, topology.n_pdf_classes(phone)
            next_pdf += classes[phone]
        return cls(first, classes)

    @property
    def n_pdfs(self) -> int:
        return sum(self.n_classes.values())

    def pdf(self, window: Sequence[int], pdf_class: int) -> int:
        phone = window[self.central_position]
        if phone not in self.first_pdf:
            raise ModelError(f"phone id {phone} is not in the tree")
        if not 0 <= pdf_class < self.n_classes[phone]:
            raise ModelError(f"phone id {phone} has {self.n_classes[phone]} pdf classes; asked for class {pdf_class}")
        return self.first_pdf[phone] + pdf_class

    def pdfs_of_state(self, phone: int, pdf_class: int) -> list[int]:
        return [self.pdf((phone,), pdf_class)]

    def to_json(self) -> dict[str, Any]:
        return {"kind": "monophone", "n_pdf_classes": {str(p): n for p, n in sorted(self.n_classes.items())}}


def tree_from_json(value: dict[str, Any]) -> ContextDependency:
    """The tree in a model directory's tree.json. Raises ModelError for a kind that this version does not know."""
    if value.get("kind") != "monophone":
        raise ModelError(f"tree.json: kind {value.get('kind')!r} is not known to this version; known: 'monophone'")
    classes = {int(phone): int(n) for phone, n in value["n_pdf_classes"].items()}
    first, next_pdf = {}, 0
    for phone in sorted(classes):
        first[phone] = next_pdf
        next_pdf += classes[phone]
    return MonophoneTree(first, classes)
