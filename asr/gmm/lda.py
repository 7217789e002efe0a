"""Linear discriminant analysis: the directions of the features in which classes, such as pdfs, lie farthest apart."""

import logging
from dataclasses import dataclass

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from .em import add_weighted

_logger = logging.getLogger(__name__)

_LEAST_VARIANCE = 1e-8  # of a direction of features that have variance 1 each
_ROUNDING = 1e-12  # of a feature's mean square: less is no variance
_BLOCK_FRAMES = 256  # frames at a time, as float64


@dataclass(frozen=True, eq=False)
class ClassStatistics:
    """Counts and sums of features by class, for LDA. Those of parts of the data are added with `+`.

    Attributes:
        counts: float64 (n_classes,): frames.
        first: float64 (n_classes, dim): sums of x.
        second: float64 (dim, dim): the sum of x xᵀ over all classes.
    """

    counts: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    def __add__(self, other: "ClassStatistics") -> "ClassStatistics":
        return ClassStatistics(self.counts + other.counts, self.first + other.first, self.second + other.second)


def accumulate_classes(features: np.ndarray, class_of_frame: np.ndarray, n_classes: int) -> ClassStatistics:
    """Per-class counts, sums and outer products of some frames: the statistics of LDA.

    Args:
        features: float32 (n_frames, dim).
        class_of_frame: int (n_frames,), 0 to n_classes - 1; frames with another number, such as -1 for silence, are
            left out.
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
    first. Each row's largest element is positive. Directions in which no class varies, as features that are constant
    or combinations of others have them (derivatives of spliced frames, for instance), are left out with a warning.

    Raises:
        ModelError: where there are too few frames, or fewer than `dim` directions are left.

    Same as Kaldi's est-lda, but for signs.   Ref: Haeb-Umbach and Ney, 1992.
    """
    from scipy.linalg import eigh

    full = statistics.first.shape[1]
    n = statistics.counts.sum()
    if not 1 <= dim <= full:
        raise ModelError(f"LDA to {dim} dimensions; need 1 to {full}, the size of the spliced features")
    if n <= full:
        raise ModelError(
            f"LDA of {full} features needs many more frames than the {n:g} that are aligned; give it more recordings, "
            "or longer ones, or leave LDA out"
        )
    mean = statistics.first.sum(axis=0) / n
    seen = statistics.counts > 0
    means = statistics.first[seen] / statistics.counts[seen, None]
    between = (means.T * (statistics.counts[seen] / n)) @ means - np.outer(mean, mean)
    within = statistics.second / n - np.outer(mean, mean) - between
    basis = _independent(within, np.diag(statistics.second) / n)
    if basis.shape[1] < dim:
        raise ModelError(
            f"LDA to {dim} dimensions: only {basis.shape[1]} of the {full} spliced features vary on their own within "
            f"classes in {n:g} frames, the others are constant or combinations of them; give another front end, or "
            "more recordings"
        )
    if basis.shape[1] < full:
        _logger.warning(
            "LDA: %d of %d spliced features are constant or combinations of others, and left out; derivatives of "
            "frames that are spliced are such, so give features without them",
            full - basis.shape[1], full,
        )  # fmt: skip
        values, vectors = eigh(basis.T @ between @ basis, basis.T @ within @ basis)
        vectors = basis @ vectors
    else:
        values, vectors = eigh(between, within)
    rows = vectors[:, np.argsort(-values, kind="stable")[:dim]].T
    largest = rows[np.arange(dim), np.abs(rows).argmax(axis=1)]
    return np.ascontiguousarray(rows * np.sign(largest)[:, None])


def _independent(covariance: np.ndarray, power: np.ndarray) -> np.ndarray:
    """The directions in which features vary more than rounding does: float64 (dim, n_directions), in columns.

    Looked at after each feature is divided by its standard deviation: real ones have 5e-6 or more in each direction
    then (spliced cepstra with pitch 1e-5, of Mboshi), combinations of others 1e-14.

    Args:
        covariance: float64 (dim, dim).
        power: float64 (dim,): mean squares of the features.
    """
    varies = np.diag(covariance) > _ROUNDING * power
    scale = np.sqrt(np.where(varies, np.diag(covariance), np.inf))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    return (vectors / scale[:, None])[:, values > _LEAST_VARIANCE]
