"""Growing a phonetic decision tree: greedy splits by likelihood gain, then clustering of the leaves."""

import heapq
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from .decision_tree import LEAF, PDF_CLASS, DecisionTree, TreeRoot
from .questions import Question
from .tree_statistics import VARIANCE_FLOOR, TreeStatistics, grouped_sums, log_likelihood

_logger = logging.getLogger(__name__)

_TIE = 1e-9  # gains this close, relative to the larger, are equal but for rounding: the first question is taken


@dataclass(frozen=True)
class RootSpec:
    """Phones that enter the tree together.

    Attributes:
        shared: their pdf classes begin at one root, and the tree may ask which class it is; otherwise one root each.
        split: whether the roots may be split at all. Kaldi's roots.txt: "shared split" for speech, "not-shared
            not-split" for silence.
    """

    phones: tuple[int, ...]
    shared: bool = True
    split: bool = True


@dataclass(frozen=True)
class TreeOptions:
    """When to split, and which leaves to join again; defaults are those of Kaldi's build-tree."""

    max_leaves: int = 2000  # before leaves are joined
    min_gain: float = 300.0  # nats; a split that raises the likelihood by less is not made (--thresh)
    min_count: float = 0.0  # frames that each side of a split must have; above it in any case
    cluster_gain: float | None = None  # nats; leaves of one root are joined where that costs less, 0 = never,
    # None = the smallest gain of all splits made (--cluster-thresh=-1)
    variance_floor: float = VARIANCE_FLOOR

    def __post_init__(self) -> None:
        if self.max_leaves < 1 or not self.min_gain >= 0 or not self.min_count >= 0 or not self.variance_floor > 0:
            raise ModelError(
                f"max_leaves={self.max_leaves}, min_gain={self.min_gain}, min_count={self.min_count}, "
                f"variance_floor={self.variance_floor}; need 1 or more, two numbers not below 0, and one above 0"
            )


@dataclass(frozen=True, eq=False)
class GrownTree:
    """A decision tree, with the gains of its splits and the statistics of its leaves.

    Attributes:
        leaf_sums: float64 (n_pdfs, 1 + 2 dim): frames, sums and sums of squares of each pdf, as in TreeStatistics; all
            zero where nothing was seen.
        gains: nats, of the splits in the order in which they were made.
        n_split_leaves: before joining.
        joining_cost: nats lost by joining leaves.
        n_frames: of the statistics.
    """

    tree: DecisionTree
    leaf_sums: np.ndarray
    gains: tuple[float, ...]
    n_split_leaves: int
    joining_cost: float
    n_frames: float

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def gain(self) -> float:
        """Nats a frame by which the tree is better than its roots alone."""
        return (sum(self.gains) - self.joining_cost) / max(self.n_frames, 1.0)


def grow_tree(
    statistics: TreeStatistics,
    questions: Sequence[Question],
    roots: Sequence[RootSpec],
    n_pdf_classes: Mapping[int, int],
    options: TreeOptions | None = None,
) -> GrownTree:
    """The decision tree that fits some statistics: greedy splits, then joining of leaves.

    Single diagonal Gaussians stand for the pdfs. The leaf whose best question gains most is split first; every
    question is asked of every position in the window, and each "is the pdf class below k" where classes share a root.

    Args:
        questions: sets of phones, e.g. of clustered_questions; where two divide the data alike the earlier is taken.
        roots: every phone in exactly one.
        n_pdf_classes: phone id -> how many pdf classes its HMM has.

    Raises:
        ModelError: for a phone in two roots or without number of classes, or one of the statistics in none.

    Same as Kaldi's build-tree; differs in not rounding the number of leaves to a multiple of 8.
    """
    options = options or TreeOptions()
    _check_roots(statistics, roots, n_pdf_classes)
    growth = _Growth(statistics, questions, max(n_pdf_classes.values()), options)
    entries: list[TreeRoot] = []
    for spec in roots:
        n_classes = max(n_pdf_classes[phone] for phone in spec.phones)
        groups = [tuple(range(n_classes))] if spec.shared else [(c,) for c in range(n_classes)]
        for classes in groups:
            here = np.isin(statistics.phones, spec.phones) & np.isin(statistics.pdf_class, classes)
            growth.add_root(np.flatnonzero(here), may_split=spec.split)
            entries.append(TreeRoot(spec.phones, classes, len(growth.nodes) - 1))
    if len(growth.nodes) > options.max_leaves:
        _logger.warning("max_leaves=%d is below the %d roots; nothing is split", options.max_leaves, len(growth.nodes))
    growth.split_all()
    pdf_of_leaf, cost = growth.join_leaves()
    return growth.finished(entries, pdf_of_leaf, cost)


def _check_roots(statistics: TreeStatistics, roots: Sequence[RootSpec], n_pdf_classes: Mapping[int, int]) -> None:
    phones = [phone for spec in roots for phone in spec.phones]
    if not phones:
        raise ModelError("a tree needs roots; there is none")
    twice = {p for p in phones if phones.count(p) > 1}
    if twice:
        raise ModelError(f"phone id {min(twice)} is in more than one root of the tree")
    unknown = [p for p in phones if p not in n_pdf_classes]
    lost = set(statistics.phones.tolist()) - set(phones)
    if unknown or lost:
        raise ModelError(
            f"phone ids without number of pdf classes: {unknown}; in the statistics, but in no root: {sorted(lost)}"
        )


@dataclass
class _Node:
    """A node while the tree grows. A leaf's position is LEAF."""

    rows: np.ndarray
    root: int
    position: int = LEAF
    question: int = -1
    yes: int = 0
    no: int = 0


@dataclass(frozen=True, eq=False)
class _Split:
    gain: float
    position: int
    question: int
    says_yes: np.ndarray = field(repr=False)  # bool, by row of the node


class _Growth:
    """The nodes so far, and the best split of each leaf."""

    def __init__(self, statistics: TreeStatistics, questions: Sequence[Question], n_classes: int, options: TreeOptions):
        self.statistics, self.options = statistics, options
        below = [tuple(range(k)) for k in range(1, n_classes)]
        self.questions: list[Question] = [*(tuple(sorted(set(q))) for q in questions), *below]
        self.first_below = len(questions)
        largest = max([int(statistics.windows.max()), n_classes, *(max(q) for q in self.questions if q)])
        self.members = np.zeros((len(self.questions), largest + 1), bool)
        for index, question in enumerate(self.questions):
            self.members[index, list(question)] = True
        self.nodes: list[_Node] = []
        self.n_leaves = 0
        self.queue: list[tuple[float, int, _Split]] = []
        self.gains: list[float] = []

    def add_root(self, rows: np.ndarray, *, may_split: bool) -> None:
        self._add(_Node(rows, root=len(self.nodes)), may_split)

    def _add(self, node: _Node, may_split: bool = True) -> None:
        self.nodes.append(node)
        self.n_leaves += 1
        split = self.best_split(node.rows) if may_split and len(node.rows) > 1 else None
        if split is not None and split.gain >= self.options.min_gain:
            heapq.heappush(self.queue, (-split.gain, len(self.nodes) - 1, split))

    def split_all(self) -> None:
        """Split the leaf that gains most until no gain is enough or there are leaves enough."""
        while self.queue and self.n_leaves < self.options.max_leaves:
            _, index, split = heapq.heappop(self.queue)
            node = self.nodes[index]
            node.position, node.question = split.position, split.question
            node.yes, node.no = len(self.nodes), len(self.nodes) + 1
            self.n_leaves -= 1
            self._add(_Node(node.rows[split.says_yes], node.root))
            self._add(_Node(node.rows[~split.says_yes], node.root))
            self.gains.append(split.gain)
            node.rows = node.rows[:0]

    def best_split(self, rows: np.ndarray) -> _Split | None:
        """The question that raises the likelihood most; None where none divides the rows."""
        statistics, best = self.statistics, None
        columns = [(PDF_CLASS, statistics.pdf_class), *enumerate(statistics.windows.T)]
        for position, column in columns:
            first, end = (self.first_below, len(self.questions)) if position == PDF_CLASS else (0, self.first_below)
            values, inverse = np.unique(column[rows], return_inverse=True)
            if len(values) < 2:
                continue
            sums = grouped_sums(statistics.sums, inverse.reshape(-1), len(values), rows)
            gains = self._gains(sums, self.members[first:end, values])
            if len(gains) == 0 or not np.isfinite(largest := gains.max()):
                continue
            if best is None or largest > best.gain * (1 + _TIE):
                question = first + int(np.argmax(gains >= largest * (1 - _TIE)))
                best = _Split(float(largest), position, question, self.members[question, column[rows]])
        return best

    def _gains(self, sums: np.ndarray, members: np.ndarray) -> np.ndarray:
        """float64 (n_questions,): the gain of each question; -inf where one side has too few frames.

        Args:
            sums: float64 (n_values, 1 + 2 dim).
            members: bool (n_questions, n_values).
        """
        floor = self.options.variance_floor
        total = sums.sum(axis=0)
        yes = members.astype(np.float64) @ sums
        no = total - yes
        enough = np.minimum(yes[:, 0], no[:, 0]) >= max(self.options.min_count, 0.5)
        gains = np.full(len(members), -np.inf)
        both = log_likelihood(yes[enough], variance_floor=floor) + log_likelihood(no[enough], variance_floor=floor)
        gains[enough] = np.maximum(both - log_likelihood(total, variance_floor=floor), 0.0)
        return gains

    def join_leaves(self) -> tuple[dict[int, int], float]:
        """The pdf of each leaf, counted in order of the nodes; and the likelihood lost by sharing pdfs."""
        limit = self.options.cluster_gain
        if limit is None:
            limit = min(self.gains, default=0.0)
        leaves_of_root: dict[int, list[int]] = {}
        for index, node in enumerate(self.nodes):
            if node.position == LEAF:
                leaves_of_root.setdefault(node.root, []).append(index)
        leader, cost = {}, 0.0
        for leaves in leaves_of_root.values():
            sums = np.array([self.statistics.sums[self.nodes[leaf].rows].sum(axis=0) for leaf in leaves])
            group, lost = joined(sums, limit, variance_floor=self.options.variance_floor)
            leader.update({leaf: leaves[int(g)] for leaf, g in zip(leaves, group, strict=True)})
            cost += lost
        pdf_of_leader = {leaf: pdf for pdf, leaf in enumerate(sorted(set(leader.values())))}
        return {leaf: pdf_of_leader[first] for leaf, first in leader.items()}, cost

    def finished(self, entries: Sequence[TreeRoot], pdf_of_leaf: dict[int, int], cost: float) -> GrownTree:
        """The tree without the questions that nobody asks."""
        used = sorted({node.question for node in self.nodes if node.position != LEAF})
        index_of = {question: index for index, question in enumerate(used)}
        nodes = [
            (LEAF, pdf_of_leaf[i], 0, 0) if n.position == LEAF else (n.position, index_of[n.question], n.yes, n.no)
            for i, n in enumerate(self.nodes)
        ]
        tree = DecisionTree(
            self.statistics.context_width,
            self.statistics.central_position,
            tuple(self.questions[question] for question in used),
            np.array(nodes, np.int32),
            tuple(entries),
        )
        sums = np.zeros((tree.n_pdfs, self.statistics.sums.shape[1]))
        for leaf, pdf in pdf_of_leaf.items():
            sums[pdf] += self.statistics.sums[self.nodes[leaf].rows].sum(axis=0)
        return GrownTree(tree, sums, tuple(self.gains), self.n_leaves, cost, self.statistics.n_frames)


def joined(sums: np.ndarray, limit: float, *, variance_floor: float = VARIANCE_FLOOR) -> tuple[np.ndarray, float]:
    """Bottom-up clustering: the cheapest pair is joined until every pair costs `limit` nats or more.

    Args:
        sums: float64 (n, 1 + 2 dim).
        limit: nats.

    Returns:
        int64 (n,), for each point the first of those that it is joined with, and the likelihood lost.

    Same as Kaldi's ClusterBottomUp. Points without frames cost nothing to join.
    """
    sums, leader, lost = sums.copy(), np.arange(len(sums)), 0.0
    alone = log_likelihood(sums, variance_floor=variance_floor)

    def costs(i: int) -> np.ndarray:
        """What joining i with each other point costs."""
        return alone[i] + alone - log_likelihood(sums[i] + sums, variance_floor=variance_floor)

    cost = np.array([costs(i) for i in range(len(sums))])
    np.fill_diagonal(cost, np.inf)
    while len(sums) > 1:
        i, j = sorted(divmod(int(np.argmin(cost)), len(sums)))
        if not cost[i, j] < limit:
            break
        lost += max(float(cost[i, j]), 0.0)
        leader[leader == j] = i
        sums[i] += sums[j]
        alone[i] = log_likelihood(sums[i], variance_floor=variance_floor)
        alive = np.isfinite(cost[i])
        fresh = np.where(alive, costs(i), np.inf)
        cost[i], cost[:, i] = fresh, fresh
        cost[j], cost[:, j] = np.inf, np.inf
    return leader, lost
