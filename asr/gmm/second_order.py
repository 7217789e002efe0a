"""Second-order statistics of frames under a GMM, from which linear transforms of the features are estimated."""

import numpy as np

from ..errors import ModelError
from ..jit import kernel
from .em import STATISTICS_FRAMES, _posteriors, add_weighted
from .model import DiagGmms, component_scores


def expected_values(
    gmms: DiagGmms, features: np.ndarray, pdf_of_frame: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, float]:
    """The sum over the Gaussians of each frame's pdf of posterior probability times value.

    Args:
        features: float32 (n_frames, dim).
        pdf_of_frame: int (n_frames,).
        values: float64 (n_gauss, n_values).

    Returns:
        float64 (n_frames, n_values), and the sum of the frames' log-likelihoods.
    """
    if len(features) != len(pdf_of_frame):
        raise ModelError(f"{len(features)} frames and {len(pdf_of_frame)} pdf ids")
    order = np.argsort(pdf_of_frame, kind="stable")
    bounds = np.searchsorted(pdf_of_frame[order], np.arange(gmms.n_pdfs + 1))
    out, log_likelihood = np.zeros((len(features), values.shape[1])), 0.0
    for pdf in np.flatnonzero(np.diff(bounds)):
        gaussians = slice(gmms.offsets[pdf], gmms.offsets[pdf + 1])
        for start in range(bounds[pdf], bounds[pdf + 1], STATISTICS_FRAMES):
            chosen = order[start : min(start + STATISTICS_FRAMES, bounds[pdf + 1])]
            posteriors, score = _posteriors(component_scores(features[chosen], gmms.coefficients[gaussians]))
            sums = np.zeros((len(chosen), values.shape[1]))
            add_weighted(np.ascontiguousarray(posteriors.T, np.float64), values[gaussians], sums)
            out[chosen] = sums
            log_likelihood += score
    return out, log_likelihood


def weighted_products(weights: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The sum over frames of weight times x xᵀ, for several weights.

    Args:
        weights: float64 (n_frames, n_weights).
        frames: float (n_frames, dim).

    Returns:
        float64 (n_weights, dim, dim), symmetric.
    """
    dim, n_weights = frames.shape[1], weights.shape[1]
    sums = np.zeros((n_weights, dim * (dim + 1) // 2))
    add_products(
        np.ascontiguousarray(weights, np.float64),
        np.ascontiguousarray(frames, np.float64),
        np.empty((4, sums.shape[1])),
        sums,
    )
    full = np.empty((n_weights, dim, dim))
    i, j = np.triu_indices(dim)
    full[:, i, j] = full[:, j, i] = sums
    return full


@kernel("void(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])")
def add_products(weights, frames, products, sums):
    """Add weights[t, w] times the upper triangle of x xᵀ to sums[w], for each frame x; four frames a turn.

    Args:
        weights: float64 (n_frames, n_weights).
        frames: float64 (n_frames, dim).
        products: (4, n_products), scratch.
        sums: float64 (n_weights, n_products).
    """
    n_frames, dim = frames.shape
    n_products = sums.shape[1]
    for t in range(0, n_frames, 4):
        for r in range(4):
            here = 0
            for i in range(dim):
                x = frames[t + r, i] if t + r < n_frames else 0.0
                for j in range(dim - i):
                    products[r, here + j] = x * frames[min(t + r, n_frames - 1), i + j]
                here += dim - i
        for w in range(len(sums)):
            w0, w1, w2, w3 = weights[t, w], 0.0, 0.0, 0.0
            if t + 1 < n_frames:
                w1 = weights[t + 1, w]
            if t + 2 < n_frames:
                w2 = weights[t + 2, w]
            if t + 3 < n_frames:
                w3 = weights[t + 3, w]
            for k in range(n_products):
                sums[w, k] += (w0 * products[0, k] + w1 * products[1, k]) + (w2 * products[2, k] + w3 * products[3, k])
