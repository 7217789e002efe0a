"""A phonetic decision tree: yes/no questions about a phone's neighbours lead from its HMM state to a pdf."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..display.brief import many
from ..errors import ModelError

LEAF, PDF_CLASS = -2, -1
"""What stands in a node's first column instead of a position in the window."""

_LARGEST = 100_000  # phone id or pdf class; tables by phone id stay small, whatever a file says
_MOST_MEMBERS = 200_000_000  # questions times the numbers that they may hold
_MOST_STEPS = 50_000_000  # from the roots to all pdfs of all states; trees of 100,000 leaves take a few million


@dataclass(frozen=True)
class TreeRoot:
    """Where phones enter the tree: phones and pdf classes that begin at one node."""

    phones: tuple[int, ...]
    pdf_classes: tuple[int, ...]
    node: int


@dataclass(frozen=True, eq=False)
class DecisionTree:
    """Which pdf models a phone's HMM state in a phone context; a ContextDependency.

    Whatever a window holds leads to a leaf: phones never seen are in no question's set, so their answer is no.

    Attributes:
        questions: sets of phone ids or, for questions about the pdf class, of pdf classes; each ascending.
        nodes: int32 (n_nodes, 4): position in the window (PDF_CLASS: the pdf class is asked for), question, node if the
            value is in the question's set, node if it is not; or LEAF, pdf, 0, 0. Children come after their parent.
        roots: every phone's pdf classes are in one root each.

    Raises:
        ModelError: where an index leads nowhere.
    """

    context_width: int
    central_position: int
    questions: tuple[tuple[int, ...], ...]
    nodes: np.ndarray
    roots: tuple[TreeRoot, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", np.ascontiguousarray(self.nodes, np.int32).reshape(-1, 4))
        _check(self)

    def __repr__(self) -> str:
        width, leaves = self.context_width, many(self.n_leaves, "leaf", "leaves")
        return f"<DecisionTree: context of {many(width, 'phone')}, {leaves}, {many(self.n_pdfs, 'pdf')}>"

    @cached_property
    def n_pdfs(self) -> int:
        """The number of pdfs; leaves may share one."""
        return int(self.nodes[self.nodes[:, 0] == LEAF, 1].max()) + 1

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        return int((self.nodes[:, 0] == LEAF).sum())

    def pdf(self, window: Sequence[int], pdf_class: int) -> int:
        """The pdf id.

        Raises:
            ModelError: for a phone or pdf class that the tree does not know.
        """
        position, question, yes, no = self._walk[0]
        sets = self._walk[1]
        node = self._root(int(window[self.central_position]), pdf_class)
        while position[node] != LEAF:
            value = pdf_class if position[node] == PDF_CLASS else window[position[node]]
            node = yes[node] if value in sets[question[node]] else no[node]
        return question[node]

    def pdfs(self, windows: np.ndarray, pdf_classes: np.ndarray) -> np.ndarray:
        """The pdf ids of many windows at once: int32 (n,).

        Args:
            windows: int (n, context_width).
            pdf_classes: int (n,).

        Raises:
            ModelError: as `pdf` does.
        """
        windows = np.asarray(windows, np.int64).reshape(-1, self.context_width)
        values = np.column_stack([windows, np.asarray(pdf_classes, np.int64)])  # column -1 is PDF_CLASS
        phones, classes = windows[:, self.central_position], values[:, -1]
        inside = (phones >= 0) & (phones < self._root_of.shape[0])
        inside &= (classes >= 0) & (classes < self._root_of.shape[1])
        node = np.full(len(values), -1)
        node[inside] = self._root_of[phones[inside], classes[inside]]
        if len(node) and node.min() < 0:
            lost = int(np.argmin(node))
            self._root(int(phones[lost]), int(classes[lost]))
        values = np.clip(values, 0, self._members.shape[1] - 1)
        going = np.flatnonzero(self.nodes[node, 0] != LEAF)
        while len(going):
            position, question, yes, no = self.nodes[node[going]].T
            node[going] = np.where(self._members[question, values[going, position]], yes, no)
            going = going[self.nodes[node[going], 0] != LEAF]
        return self.nodes[node, 1]

    def pdfs_of_state(self, phone: int, pdf_class: int) -> list[int]:
        """Every pdf id that the phone's pdf class has in some context, ascending."""
        known = {self.central_position: phone, PDF_CLASS: pdf_class}
        pdfs, seen, waiting = set(), set(), [self._root(phone, pdf_class)]
        while waiting:
            node = waiting.pop()
            if node in seen:  # several ways may lead to a node
                continue
            seen.add(node)
            position, question, yes, no = self.nodes[node].tolist()
            if position == LEAF:
                pdfs.add(question)
            elif position in known:
                waiting.append(yes if known[position] in self._walk[1][question] else no)
            else:
                waiting += [yes, no]
        return sorted(pdfs)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; from_json is the inverse."""
        return {
            "kind": "decision-tree",
            "context_width": self.context_width,
            "central_position": self.central_position,
            "questions": [[int(value) for value in question] for question in self.questions],
            "nodes": [row[:2] if row[0] == LEAF else row for row in self.nodes.tolist()],
            "roots": [
                {"phones": list(root.phones), "pdf_classes": list(root.pdf_classes), "node": root.node}
                for root in self.roots
            ],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "DecisionTree":
        """The tree that to_json wrote.

        Raises:
            ModelError: for a damaged one.
        """
        try:
            return cls(
                int(value["context_width"]),
                int(value["central_position"]),
                tuple(tuple(int(x) for x in question) for question in value["questions"]),
                np.array([[*row, 0, 0][:4] for row in value["nodes"]], np.int32),
                tuple(
                    TreeRoot(tuple(map(int, r["phones"])), tuple(map(int, r["pdf_classes"])), int(r["node"]))
                    for r in value["roots"]
                ),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"tree.json is damaged ({error!r}); copy the model again") from None

    def _root(self, phone: int, pdf_class: int) -> int:
        node = self._node_of_root.get((phone, pdf_class))
        if node is None:
            n_classes = sum(p == phone for p, _ in self._node_of_root)
            if n_classes == 0:
                raise ModelError(f"phone id {phone} is not in the tree")
            raise ModelError(f"phone id {phone} has {n_classes} pdf classes; asked for class {pdf_class}")
        return node

    @cached_property
    def _node_of_root(self) -> dict[tuple[int, int], int]:
        """The node to begin at, by phone and pdf class."""
        return {(phone, c): root.node for root in self.roots for phone in root.phones for c in root.pdf_classes}

    @cached_property
    def _root_of(self) -> np.ndarray:
        """int32 (phones, pdf classes): the node to begin at; -1 where there is none."""
        phones, classes = zip(*self._node_of_root, strict=True)
        table = np.full((1 + max(phones), 1 + max(classes)), -1, np.int32)
        table[phones, classes] = list(self._node_of_root.values())
        return table

    @cached_property
    def _members(self) -> np.ndarray:
        """bool (questions, values): whether a value is in a question's set. In the last column it never is."""
        members = np.zeros((len(self.questions), 2 + max((max(q) for q in self.questions if q), default=0)), bool)
        for index, question in enumerate(self.questions):
            members[index, list(question)] = True
        return members

    @cached_property
    def _walk(self) -> tuple[tuple[list[int], ...], list[frozenset[int]]]:
        """The nodes' columns and the questions, as Python looks them up fastest."""
        return tuple(column.tolist() for column in self.nodes.T), [frozenset(q) for q in self.questions]


def _check(tree: DecisionTree) -> None:
    """Raise ModelError unless every walk ends at a leaf."""

    def fail(what: str) -> None:
        raise ModelError(f"the decision tree is damaged: {what}")

    position, question, yes, no = tree.nodes.T
    n_nodes, leaf = len(tree.nodes), tree.nodes[:, 0] == LEAF
    if not 0 <= tree.central_position < tree.context_width:
        fail(f"central position {tree.central_position} is outside a window of {tree.context_width} phones")
    if n_nodes == 0 or not tree.roots or not leaf.any():
        fail("it has no root or no leaf")
    if (position[~leaf] < PDF_CLASS).any() or (position >= tree.context_width).any():
        fail(f"a node asks for a position outside the window of {tree.context_width} phones")
    if (question < 0).any() or (question[~leaf] >= len(tree.questions)).any():
        fail("a node asks a question, or has a pdf, that does not exist")
    here = np.arange(n_nodes)
    for child in (yes, no):
        if (child[~leaf] <= here[~leaf]).any() or (child[~leaf] >= n_nodes).any():
            fail("a node's child is not a later node")
    if any(not 0 <= x <= _LARGEST for values in tree.questions for x in values):
        fail(f"a question holds a number that is not between 0 and {_LARGEST}")
    if len(tree.questions) * (2 + max((max(q) for q in tree.questions if q), default=0)) > _MOST_MEMBERS:
        fail(f"its {len(tree.questions)} questions are too many for their numbers")
    if any(not 0 <= root.node < n_nodes for root in tree.roots):
        fail("a root leads nowhere")
    if _n_steps(tree, _MOST_STEPS) > _MOST_STEPS:
        fail("its phones, pdf classes and nodes are more than any model has")
    seen: set[tuple[int, int]] = set()
    for root in tree.roots:
        pairs = {(phone, c) for phone in root.phones for c in root.pdf_classes}
        if not pairs or not all(0 <= x <= _LARGEST for pair in pairs for x in pair):
            fail("a root has no phones or pdf classes, or impossible ones")
        if pairs & seen:
            fail(f"phone id {min(pairs & seen)[0]} has more than one root")
        seen |= pairs


def _n_steps(tree: DecisionTree, most: int) -> int:
    """How many nodes are seen on the way from every phone's pdf classes to their pdfs; counted up to `most`."""
    children = [[] if row[0] == LEAF else row[2:] for row in tree.nodes.tolist()]
    total = 0
    for root in tree.roots:
        n_states = len(root.phones) * len(root.pdf_classes)
        seen, waiting = set(), [root.node]
        while waiting and total <= most:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += children[node]
                total += n_states
    return total
