"""Feature-space MLLR (constrained MLLR): the affine transform that brings a speaker's features nearest to a model."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from .em import add_weighted
from .model import DiagGmms
from .second_order import expected_values, weighted_products

FULL_COUNT, DIAGONAL_COUNT = 500.0, 200.0
"""Frames needed for a full matrix (Kaldi's --fmllr-min-count), and for a scale and an offset of each feature."""

Kind = Literal["full", "diagonal", "offset", "identity"]


@dataclass(frozen=True, eq=False)
class FmllrStatistics:
    """Sufficient statistics of a speaker's frames for fMLLR. Those of parts of them are added with `+`.

    Attributes:
        count: frames, by weight. With y = [x, 1] and p the posterior times the frame's weight:
        linear: float64 (dim, dim + 1): row i is Σ p mean_i / variance_i y.
        quadratic: float64 (dim, dim + 1, dim + 1): entry i is Σ p / variance_i y yᵀ.
    """

    count: float
    linear: np.ndarray
    quadratic: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    def __add__(self, other: "FmllrStatistics") -> "FmllrStatistics":
        return FmllrStatistics(self.count + other.count, self.linear + other.linear, self.quadratic + other.quadratic)


class Fmllr(NamedTuple):
    """A speaker's transform.

    Attributes:
        matrix: float64 (dim, dim + 1): [A, b] of x -> A x + b.
        kind: what the frames sufficed for: "full", "diagonal" (A is diagonal), "offset" (A is one) or, without any
            frame, "identity".
        gain: nats per frame by which it raises the likelihood.
        n_frames: frames it was estimated from.
    """

    matrix: np.ndarray
    kind: Kind
    gain: float
    n_frames: float

    def __repr__(self) -> str:
        return brief_repr(self)


def accumulate_fmllr(
    gmms: DiagGmms,
    features: np.ndarray,
    pdf_of_frame: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    posterior_gmms: DiagGmms | None = None,
    posterior_features: np.ndarray | None = None,
) -> FmllrStatistics:
    """The statistics of frames whose pdfs are known.

    Args:
        gmms: the model that the transform is to fit.
        features: float32 (n_frames, dim), what is to be transformed.
        pdf_of_frame: int (n_frames,).
        weights: (n_frames,), e.g. 0 for silence, which tells little of a speaker; 1 by default.
        posterior_gmms: where the posterior probabilities of the Gaussians come from, if not from gmms and features: a
            model with the same Gaussians for features without a transform, or the features after an earlier transform.
        posterior_features: see `posterior_gmms`.

    Same as Kaldi's gmm-est-fmllr, and gmm-est-fmllr-gpost where the posteriors have a model of their own.
    """
    seen_as = features if posterior_features is None else posterior_features
    aligner = gmms if posterior_gmms is None else posterior_gmms
    weights = np.ones(len(features)) if weights is None else np.asarray(weights, np.float64)
    if not len(features) == len(seen_as) == len(pdf_of_frame) == len(weights):
        raise ModelError(
            f"{len(features)} frames, {len(seen_as)} for posteriors, {len(pdf_of_frame)} pdf ids and "
            f"{len(weights)} weights; need as many of each"
        )
    if not np.array_equal(aligner.offsets, gmms.offsets):
        raise ModelError(f"models of {aligner.n_gauss} and {gmms.n_gauss} Gaussians; fMLLR needs the same ones in both")
    used = np.flatnonzero(weights)
    precisions = 1.0 / gmms.variances.astype(np.float64)
    values = np.hstack([precisions, gmms.means * precisions])
    expected, _ = expected_values(aligner, seen_as[used], np.asarray(pdf_of_frame)[used], values)
    expected *= weights[used, None]
    extended = np.hstack([features[used].astype(np.float64), np.ones((len(used), 1))])
    linear = np.zeros((gmms.dim, gmms.dim + 1))
    add_weighted(np.ascontiguousarray(expected[:, gmms.dim :].T), extended, linear)
    return FmllrStatistics(float(weights.sum()), linear, weighted_products(expected[:, : gmms.dim], extended))


def fmllr_objective(statistics: FmllrStatistics, matrix: np.ndarray) -> float:
    """Nats that depend on the transform: n log|det A| + Σ_i (w_i k_i - 1/2 w_i G_i w_iᵀ)."""
    quadratic = np.einsum("ij,ijk,ik->", matrix, statistics.quadratic, matrix)
    log_det = float(np.linalg.slogdet(matrix[:, :-1])[1])
    return statistics.count * log_det + float((matrix * statistics.linear).sum()) - 0.5 * float(quadratic)


def estimate_fmllr(
    statistics: FmllrStatistics,
    *,
    full_count: float = FULL_COUNT,
    diagonal_count: float = DIAGONAL_COUNT,
    n_iters: int = 40,
) -> Fmllr:
    """The transform that raises the likelihood most, with as many free numbers as the frames allow.

    Args:
        full_count: frames from which on A is full, or diagonal; below, there is an offset only.
        diagonal_count: see `full_count`.
        n_iters: rounds over the rows of a full matrix; ended earlier where a round gains less than 1e-7 nats per frame.

    Same as Kaldi's CMLLR for the full matrix (ComputeFmllrMatrixDiagGmmFull).   Ref: Gales, 1998.
    """
    n, identity = statistics.count, identity_transform(len(statistics.linear))
    kind: Kind
    if n <= 0:
        return Fmllr(identity, "identity", 0.0, 0.0)
    if n >= full_count and (full := _full(statistics, n_iters)) is not None:
        kind, matrix = "full", full
    elif n >= diagonal_count:
        kind, matrix = "diagonal", _diagonal(statistics)
    else:
        kind, matrix = "offset", _offset(statistics)
    return Fmllr(matrix, kind, (fmllr_objective(statistics, matrix) - fmllr_objective(statistics, identity)) / n, n)


def identity_transform(dim: int) -> np.ndarray:
    """float64 (dim, dim + 1): the transform that changes nothing."""
    return np.hstack([np.eye(dim), np.zeros((dim, 1))])


def _full(statistics: FmllrStatistics, n_iters: int) -> np.ndarray | None:
    """Gales' row-by-row maximum from the diagonal one on; None where the frames do not determine it."""
    n = statistics.count
    try:
        inverses = np.linalg.inv(statistics.quadratic)
    except np.linalg.LinAlgError:
        return None
    matrix = _diagonal(statistics)
    before = fmllr_objective(statistics, matrix)
    for _ in range(n_iters):
        for i in range(len(matrix)):
            cofactor = np.append(np.linalg.inv(matrix[:, :-1])[:, i], 0.0)
            matrix[i] = _best_row(cofactor, inverses[i], statistics.linear[i], n)
        after = fmllr_objective(statistics, matrix)
        if not np.isfinite(after):
            return None
        if after - before < 1e-7 * n:
            break
        before = after
    return matrix


def _best_row(cofactor: np.ndarray, inverse: np.ndarray, linear: np.ndarray, n: float) -> np.ndarray:
    """The row w that maximises n log|w·cofactor| + w·linear - 1/2 w G wᵀ."""
    e1, e2 = cofactor @ inverse @ cofactor, cofactor @ inverse @ linear
    root = np.sqrt(e2 * e2 + 4.0 * e1 * n)
    candidates = np.array([(-e2 + root) / (2.0 * e1), (-e2 - root) / (2.0 * e1)])
    scores = n * np.log(np.abs(candidates * e1 + e2)) - 0.5 * candidates**2 * e1
    return inverse @ (candidates[int(np.argmax(scores))] * cofactor + linear)


def _diagonal(statistics: FmllrStatistics) -> np.ndarray:
    """The best scale and offset of each feature."""
    n, dim = statistics.count, len(statistics.linear)
    i = np.arange(dim)
    g11, g10, g00 = statistics.quadratic[i, i, i], statistics.quadratic[i, i, dim], statistics.quadratic[i, dim, dim]
    k1, k0 = statistics.linear[i, i], statistics.linear[i, dim]
    tiny = np.finfo(np.float64).tiny  # for features that are 0 in every frame
    g00 = np.maximum(g00, tiny)
    spread, c = np.maximum(g11 - g10**2 / g00, 1e-10 * g11 + tiny), k1 - k0 * g10 / g00
    scale = np.where(g11 > 0, (c + np.sqrt(c * c + 4.0 * n * spread)) / (2.0 * spread), 1.0)
    matrix = identity_transform(dim)
    matrix[i, i], matrix[i, dim] = scale, (k0 - scale * g10) / g00
    return matrix


def _offset(statistics: FmllrStatistics) -> np.ndarray:
    """The best offset of each feature."""
    dim = len(statistics.linear)
    i = np.arange(dim)
    matrix = identity_transform(dim)
    g10, g00 = statistics.quadratic[i, i, dim], statistics.quadratic[i, dim, dim]
    matrix[:, dim] = (statistics.linear[i, dim] - g10) / g00
    return matrix
