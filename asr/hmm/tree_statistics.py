"""Sufficient statistics of a decision tree: counts and sums of features in every phone context, from an alignment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from ..jit import kernel
from .contexts import contexts_of, pdf_class_of_id
from .transitions import TransitionModel

if TYPE_CHECKING:
    from ..features.table import FeatureTable

VARIANCE_FLOOR = 0.01
"""The least variance, in squared feature units, of the Gaussians that the tree compares (Kaldi's acc-tree-stats)."""


@dataclass(frozen=True, eq=False)
class TreeStatistics:
    """Counts and sums over the frames of each (phone context, pdf class) in the training data.

    Attributes:
        windows: int32 (n, width): phone ids, 0 where there is no phone.
        pdf_class: int32 (n,).
        sums: float64 (n, 1 + 2 dim): the number of frames, the sum of the features, the sum of their squares.
        central_position: the index of the phone itself in a window.
    """

    windows: np.ndarray
    pdf_class: np.ndarray
    sums: np.ndarray
    central_position: int

    def __repr__(self) -> str:
        return brief_repr(self)

    def __post_init__(self) -> None:
        n = len(self.windows)
        if self.windows.ndim != 2 or len(self.pdf_class) != n or self.sums.ndim != 2 or len(self.sums) != n:
            raise ModelError(
                f"tree statistics do not fit: windows {self.windows.shape}, classes {self.pdf_class.shape}, "
                f"sums {self.sums.shape}"
            )
        if not 0 <= self.central_position < self.context_width:
            raise ModelError(f"central position {self.central_position} is outside {self.context_width} phones")

    @property
    def context_width(self) -> int:
        """Phones in a window."""
        return self.windows.shape[1]

    @property
    def dim(self) -> int:
        """Features a frame."""
        return (self.sums.shape[1] - 1) // 2

    @property
    def phones(self) -> np.ndarray:
        """int32 (n,): the phone that each row is about."""
        return self.windows[:, self.central_position]

    @property
    def n_frames(self) -> float:
        """The number of frames."""
        return float(self.sums[:, 0].sum())

    def __add__(self, other: "TreeStatistics") -> "TreeStatistics":
        """The statistics of both parts of the data."""
        if (self.context_width, self.central_position, self.dim) != (
            other.context_width, other.central_position, other.dim,
        ):  # fmt: skip
            raise ModelError("tree statistics of different windows or features cannot be added")
        keys = np.vstack([np.c_[self.windows, self.pdf_class], np.c_[other.windows, other.pdf_class]])
        different, inverse = np.unique(keys, axis=0, return_inverse=True)
        sums = grouped_sums(np.vstack([self.sums, other.sums]), inverse.reshape(-1), len(different))
        return TreeStatistics(
            different[:, :-1].astype(np.int32), different[:, -1].astype(np.int32), sums, self.central_position
        )


def tree_statistics(
    table: "FeatureTable | Mapping[str, np.ndarray]",
    alignments: Mapping[str, np.ndarray],
    transitions: TransitionModel,
    *,
    width: int = 3,
    central: int = 1,
    context_free: Iterable[int] = (),
) -> TreeStatistics:
    """The statistics of aligned utterances.

    Args:
        table: utterance id -> float32 (n_frames, dim); utterances without alignment are not used.
        alignments: transition ids, one per frame, and their model.
        transitions: transition ids, one per frame, and their model.
        width: phones in a window, and which of them is meant; 3 and 1 for triphones.
        central: see `width`.
        context_free: phones, such as silence, whose context is not looked at.

    Raises:
        ModelError: where features and alignment of an utterance differ in length.

    Same as Kaldi's acc-tree-stats.
    """
    contexts = contexts_of(alignments, transitions, width=width, central=central, context_free=context_free)
    n_classes = max(transitions.topology.n_pdf_classes(phone) for phone in transitions.topology.phones)
    code = contexts.window_of_frame.astype(np.int64) * n_classes + pdf_class_of_id(transitions)[contexts.transition_ids]
    used, row = np.unique(code, return_inverse=True)
    row = row.reshape(-1).astype(np.int32)
    sums = np.zeros((len(used), 1 + 2 * table[contexts.ids[0]].shape[1]))
    for utterance, a, b in zip(contexts.ids, contexts.offsets[:-1], contexts.offsets[1:], strict=True):
        features = np.ascontiguousarray(table[utterance], np.float32)
        if features.shape != (b - a, (sums.shape[1] - 1) // 2):
            raise ModelError(
                f"utterance {utterance!r}: features of shape {features.shape}, but an alignment of {b - a} frames"
            )
        add_frames(features, row[a:b], sums)
    window, pdf_class = np.divmod(used, n_classes)
    return TreeStatistics(contexts.windows[window], pdf_class.astype(np.int32), sums, central)


@kernel("void(Array(float32, 2, 'C', readonly=True), int32[::1], float64[:, ::1])")
def add_frames(frames, rows, sums):
    """Add [1, x, x**2] of each frame x to its row of `sums`.

    Args:
        frames: float32 (n_frames, dim).
        rows: int32 (n_frames,).
        sums: float64 (n_rows, 1 + 2 dim).
    """
    dim = frames.shape[1]
    for t in range(len(frames)):
        r = rows[t]
        sums[r, 0] += 1.0
        for k in range(dim):
            x = np.float64(frames[t, k])
            sums[r, 1 + k] += x
            sums[r, 1 + dim + k] += x * x


@kernel("void(float64[:, ::1], int64[::1], int64[::1], float64[:, ::1])")
def add_rows(values, rows, groups, sums):
    """Add values[rows[i]] to sums[groups[i]] for each i, in order."""
    for i in range(len(rows)):
        for k in range(values.shape[1]):
            sums[groups[i], k] += values[rows[i], k]


def grouped_sums(values: np.ndarray, groups: np.ndarray, n_groups: int, rows: np.ndarray | None = None) -> np.ndarray:
    """float64 (n_groups, n): the sums of the rows of each group; of all rows, or of those listed."""
    rows = np.arange(len(values)) if rows is None else rows
    sums = np.zeros((n_groups, values.shape[1]))
    add_rows(np.ascontiguousarray(values), rows.astype(np.int64), groups.astype(np.int64), sums)
    return sums


def log_likelihood(sums: np.ndarray, *, variance_floor: float = VARIANCE_FLOOR) -> np.ndarray:
    """The log-likelihood of frames under the one diagonal Gaussian that fits them best.

    Args:
        sums: float64 (..., 1 + 2 dim), as in TreeStatistics. 0 where there are no frames.

    Returns:
        float64 (...). Dividing frames in two and fitting each never lowers the sum.

    Same as Kaldi's GaussClusterable::Objf.
    """
    dim = (sums.shape[-1] - 1) // 2
    count = sums[..., 0]
    safe = np.where(count > 0, count, 1.0)[..., None]
    variance = np.maximum(sums[..., 1 + dim :] / safe - (sums[..., 1 : 1 + dim] / safe) ** 2, 0.0)
    floored = np.maximum(variance, variance_floor)
    per_frame = -0.5 * (np.log(floored) + variance / floored + np.log(2.0 * np.pi)).sum(axis=-1)
    return np.where(count > 0, count * per_frame, 0.0)
