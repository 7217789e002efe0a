"""Linear discriminant analysis: the directions of the features in which classes, such as pdfs, lie farthest apart."""

from dataclasses import dataclass

import numpy as np

from ..brief import brief_repr
from ..errors import ModelError
from .em import add_weighted

_BLOCK_FRAMES = 256  # frames at a time, as float64


@dataclass(frozen=True, eq=False)
class ClassStatistics:
    """Sums of features by class. Statistics of parts of the data are added with `+`.

    counts: float64 (n_classes,): frames. first: float64 (n_classes, dim): sums of x.
    second: float64 (dim, dim): the sum of x xᵀ over all classes.
    """

    counts: np.ndarray
    first: np.ndarray
    second: np.ndarray

    __repr__ = brief_repr

    def __add__(self, other: "ClassStatistics") -> "ClassStatistics":
        return ClassStatistics(self.counts + other.counts, self.first + other.first, self.second + other.second)


def accumulate_classes(features: np.ndarray, class_of_frame: np.ndarray, n_classes: int) -> ClassStatistics:
    """The sums of some frames.

    features: float32 (n_frames, dim). class_of_frame: int (n_frames,), 0 to n_classes - 1; frames with another number,
        such as -1 for silence, are left out.
    """
    if len(features) != len(class_of_frame):
        raise ModelError(f"{len(features)} frames and {len(class_of_frame)} classes")
    dim = features.shape[1]
    counts, first, second = np.zeros(n_classes), np.zeros((n_classes, dim)), np.zeros((dim, dim))
    kept = np.flatnonzero((class_of_frame >= 0) & (class_of_frame < n_classes))
    for start in range(0, len(kept), _BLOCK_FRAMES):
        chosen = kept[start : start + _BLOCK_FRAMES]
        x, classes = features[chosen].astype(np.float64), class_of_frame[chosen]
        np.add.at(counts, classes, 1.0)
        np.add.at(first, classes, x)
        add_weighted(np.ascontiguousarray(x.T), x, second)
    return ClassStatistics(counts, first, second)


def estimate_lda(statistics: ClassStatistics, dim: int) -> np.ndarray:
    """The matrix that keeps the `dim` most telling directions: float64 (dim, full dim).

    Its product with a frame has within-class covariance one and a diagonal between-class covariance, the largest
    first. Each row's largest element is positive.
    Raises ModelError where there are too few frames or a feature is a combination of others.

    Same as Kaldi's est-lda, but for signs.   Ref: Haeb-Umbach and Ney, 1992.
    """
    from scipy.linalg import LinAlgError, eigh

    full = statistics.first.shape[1]
    n = statistics.counts.sum()
    if not 1 <= dim <= full:
        raise ModelError(f"LDA to {dim} dimensions; need 1 to {full}, the size of the spliced features")
    if n <= full:
        raise ModelError(f"LDA of {full} features from {n:g} frames; need many more")
    mean = statistics.first.sum(axis=0) / n
    seen = statistics.counts > 0
    means = statistics.first[seen] / statistics.counts[seen, None]
    between = (means.T * (statistics.counts[seen] / n)) @ means - np.outer(mean, mean)
    within = statistics.second / n - np.outer(mean, mean) - between
    try:
        values, vectors = eigh(between, within)
    except LinAlgError:
        raise ModelError(
            "the features' covariance within classes is singular: a feature is constant or a combination of others; "
            "leave it out of the front end"
        ) from None
    rows = vectors[:, np.argsort(-values, kind="stable")[:dim]].T
    largest = rows[np.arange(dim), np.abs(rows).argmax(axis=1)]
    return np.ascontiguousarray(rows * np.sign(largest)[:, None])
