"""Context dependency: which pdf (senone) models a phone's HMM state in a given phone context.

A tree answers `pdf(window, pdf_class)`. The monophone tree looks at the phone alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..display.brief import many
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
    """One pdf for each (phone, pdf class), whatever is around it; phones may share theirs.

    Same as Kaldi's MonophoneContextDependency, and MonophoneContextDependencyShared where phones share pdfs.

    Attributes:
        first_pdf: by phone id; a phone's pdfs are first_pdf, first_pdf + 1, ..., one for each of its classes.
        n_classes: see `first_pdf`.
    """

    first_pdf: dict[int, int]
    n_classes: dict[int, int]
    context_width: int = 1
    central_position: int = 0

    def __repr__(self) -> str:
        return f"<MonophoneTree: {many(len(self.first_pdf), 'phone')}, {many(self.n_pdfs, 'pdf')}>"

    @classmethod
    def from_topology(cls, topology: Topology, sets: Sequence[Sequence[int]] | None = None) -> "MonophoneTree":
        """The tree of a topology: pdf ids count through the pdf classes of the phones, in order of their ids.

        Args:
            sets: phones that share pdfs, such as the positions of one phone (`Lexicon.phone_sets`); each phone of the
                topology is in one set. Pdf ids then count through the sets, in their order.

        Raises:
            ModelError: where the sets are not of the topology's phones, or a set's phones have different classes.
        """
        classes = {phone: topology.n_pdf_classes(phone) for phone in topology.phones}
        return cls._of_sets(classes, [[phone] for phone in topology.phones] if sets is None else sets)

    @classmethod
    def _of_sets(cls, n_classes: dict[int, int], sets: Sequence[Sequence[int]]) -> "MonophoneTree":
        if sorted(phone for phones in sets for phone in phones) != sorted(n_classes):
            raise ModelError("the sets of phones that share pdfs do not have each phone of the topology once")
        first, next_pdf = {}, 0
        for phones in sets:
            if len({n_classes[phone] for phone in phones}) != 1:
                raise ModelError(f"the phone ids {list(phones)} cannot share pdfs: need one or more, with equal HMMs")
            first.update(dict.fromkeys(phones, next_pdf))
            next_pdf += n_classes[phones[0]]
        return cls(first, n_classes)

    @property
    def n_pdfs(self) -> int:
        return sum({self.first_pdf[phone]: n for phone, n in self.n_classes.items()}.values())

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
        value: dict[str, Any] = {
            "kind": "monophone",
            "n_pdf_classes": {str(p): n for p, n in sorted(self.n_classes.items())},
        }
        sets: dict[int, list[int]] = {}
        for phone, first in sorted(self.first_pdf.items(), key=lambda item: (item[1], item[0])):
            sets.setdefault(first, []).append(phone)
        if list(sets.values()) != [[phone] for phone in sorted(self.n_classes)]:
            value["sets"] = list(sets.values())
        return value


def tree_from_json(value: dict[str, Any]) -> ContextDependency:
    """The tree in a model directory's tree.json.

    Raises:
        ModelError: for a kind that this version does not know.
    """
    if value.get("kind") == "decision-tree":
        from .decision_tree import DecisionTree

        return DecisionTree.from_json(value)
    if value.get("kind") != "monophone":
        raise ModelError(
            f"tree.json: kind {value.get('kind')!r} is not known to this version; known: 'monophone', 'decision-tree'"
        )
    classes = {int(phone): int(n) for phone, n in value["n_pdf_classes"].items()}
    return MonophoneTree._of_sets(classes, value.get("sets") or [[phone] for phone in sorted(classes)])
