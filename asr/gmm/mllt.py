"""Maximum-likelihood linear transform (semi-tied covariance): the rotation in which diagonal covariances fit best."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from .em import accumulate
from .model import DiagGmms
from .second_order import expected_values, weighted_products


@dataclass(frozen=True, eq=False)
class MlltStatistics:
    """What MLLT needs to know of the frames. Statistics of parts of the data are added with `+`.

    Attributes:
        n_frames: how many.
        scatter: float64 (dim, dim, dim): entry i is the sum over frames and Gaussians of posterior / variance of
            feature i times (x - mean) (x - mean)ᵀ.
    """

    n_frames: float
    scatter: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    def __add__(self, other: "MlltStatistics") -> "MlltStatistics":
        return MlltStatistics(self.n_frames + other.n_frames, self.scatter + other.scatter)


class Mllt(NamedTuple):
    """A transform, float64 (dim, dim), and the nats per frame by which it raises the likelihood."""

    matrix: np.ndarray
    gain: float

    def __repr__(self) -> str:
        return brief_repr(self)


def accumulate_mllt(gmms: DiagGmms, features: np.ndarray, pdf_of_frame: np.ndarray) -> MlltStatistics:
    """The statistics of frames whose pdfs are known.

    Args:
        features: float32 (n_frames, dim).
        pdf_of_frame: int (n_frames,).

    Σ p/v (x - m)(x - m)ᵀ is taken apart, so that Gaussians need only their first-order sums: the products of x with
    itself are weighted by each frame's expected 1/v.
    """
    means, precisions = gmms.means.astype(np.float64), 1.0 / gmms.variances.astype(np.float64)
    weights, _ = expected_values(gmms, features, pdf_of_frame, precisions)
    scatter = weighted_products(weights, features)
    statistics = accumulate(gmms, features, pdf_of_frame)
    # Σ_j (1/v_ji) (o_j m_j m_jᵀ - f_j m_jᵀ - m_j f_jᵀ) with the occupancy o and the sum f of each Gaussian
    half = 0.5 * statistics.occupancy[:, None] * means - statistics.first
    for i in range(gmms.dim):
        cross = (precisions[:, i, None] * half).T @ means
        scatter[i] += cross + cross.T
    return MlltStatistics(float(len(features)), scatter)


def mllt_objective(statistics: MlltStatistics, matrix: np.ndarray) -> float:
    """Nats that depend on the transform: n log|det M| - 1/2 Σ_i m_i S_i m_iᵀ."""
    quadratic = np.einsum("ij,ijk,ik->", matrix, statistics.scatter, matrix)
    return statistics.n_frames * float(np.linalg.slogdet(matrix)[1]) - 0.5 * float(quadratic)


def estimate_mllt(statistics: MlltStatistics, *, n_iters: int = 200) -> Mllt:
    """The transform that raises the likelihood most, found row by row; the likelihood never falls.

    Args:
        n_iters: rounds over the rows; ended earlier where a round gains less than 1e-9 nats per frame.

    Raises:
        ModelError: for too few frames.

    The features and the means of the model are both to be multiplied by it; variances stay (transform_means).
    Same as Kaldi's est-mllt.   Ref: Gales, 1999, Semi-tied covariance matrices for hidden Markov models.
    """
    dim, n = len(statistics.scatter), statistics.n_frames
    try:
        inverses = np.linalg.inv(statistics.scatter)
    except np.linalg.LinAlgError:
        inverses = np.full_like(statistics.scatter, np.nan)
    if n <= dim or not np.isfinite(inverses).all():
        raise ModelError(f"MLLT of {dim} features from {n:g} frames is not determined; need more frames")
    matrix = np.eye(dim)
    first = before = mllt_objective(statistics, matrix)
    for _ in range(n_iters):
        for i in range(dim):
            cofactor = np.linalg.inv(matrix)[:, i]  # of row i, times 1 / det
            direction = inverses[i] @ cofactor
            matrix[i] = direction * np.sqrt(n / (cofactor @ direction))
        after = mllt_objective(statistics, matrix)
        if after - before < 1e-9 * n:
            break
        before = after
    return Mllt(matrix, (mllt_objective(statistics, matrix) - first) / n)


def transform_means(gmms: DiagGmms, matrix: np.ndarray) -> DiagGmms:
    """The GMMs for features multiplied by `matrix` (dim, dim). Same as Kaldi's gmm-transform-means."""
    means = gmms.means.astype(np.float64) @ matrix.T
    return DiagGmms(gmms.weights, means, gmms.variances, gmms.offsets)
