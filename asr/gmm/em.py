"""Maximum-likelihood training of diagonal GMMs: statistics, update, and mixing up (as Kaldi does each)."""

import heapq
from dataclasses import dataclass

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from ..jit import kernel
from .model import DiagGmms, component_scores

STATISTICS_FRAMES = 512  # frames at a time: they stay within the processor's cache


@dataclass(frozen=True)
class MStepOptions:
    """When a Gaussian is re-estimated; defaults are Kaldi's (MleDiagGmmOptions)."""

    min_gaussian_weight: float = 1e-5  # a Gaussian below this share of its pdf's frames is removed
    min_gaussian_occupancy: float = (
        10.0  # frames; a Gaussian with fewer is removed, or kept as it was if it is the last
    )
    min_variance: float = 0.001  # squared feature units; the floor of every variance
    remove_low_count: bool = True


@dataclass(frozen=True, eq=False)
class GmmStatistics:
    """Sufficient statistics of the frames for an M-step. Those of parts of the data are added with `+`.

    Attributes:
        occupancy: float64 (n_gauss,): frames, by posterior probability.
        first: float64 (n_gauss, dim): sums of x and of x**2, weighted by posterior probability.
        second: see `first`.
        log_likelihood: the sum over frames of the log-likelihood of the frame's pdf.
        n_frames: how many frames.
    """

    occupancy: np.ndarray
    first: np.ndarray
    second: np.ndarray
    log_likelihood: float
    n_frames: int

    def __repr__(self) -> str:
        return brief_repr(self)

    def __add__(self, other: "GmmStatistics") -> "GmmStatistics":
        return GmmStatistics(
            self.occupancy + other.occupancy,
            self.first + other.first,
            self.second + other.second,
            self.log_likelihood + other.log_likelihood,
            self.n_frames + other.n_frames,
        )


def accumulate(
    gmms: DiagGmms, features: np.ndarray, pdf_of_frame: np.ndarray, *, summed: np.ndarray | None = None
) -> GmmStatistics:
    """The statistics of frames whose pdfs are known (an E-step over the Gaussians of each frame's pdf).

    Args:
        features: float32 (n_frames, dim).
        pdf_of_frame: int (n_frames,).
        summed: float32 (n_frames, dim), other features of the same frames: the posteriors come from `features`, the
            sums are of these (Kaldi's gmm-acc-stats-twofeats).

    Raises:
        ModelError: where a pdf id is not the model's.

    Frames are sorted by pdf, so that each pdf costs two matrix products a block of frames.
    """
    pdf_of_frame = np.asarray(pdf_of_frame)
    if len(features) != len(pdf_of_frame):
        raise ModelError(f"{len(features)} frames and {len(pdf_of_frame)} pdf ids")
    if len(pdf_of_frame) and not 0 <= pdf_of_frame.min() <= pdf_of_frame.max() < gmms.n_pdfs:
        raise ModelError(f"pdf ids {pdf_of_frame.min()} to {pdf_of_frame.max()}; the model has 0 to {gmms.n_pdfs - 1}")
    order = np.argsort(pdf_of_frame.astype(np.int16 if gmms.n_pdfs < 2**15 else np.int32), kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(pdf_of_frame, minlength=gmms.n_pdfs))])
    sums = np.zeros((gmms.n_gauss, 1 + 2 * gmms.dim))
    log_likelihood = 0.0
    for pdf in np.flatnonzero(np.diff(bounds)):  # tens of microseconds a turn besides the products
        gaussians = slice(gmms.offsets[pdf], gmms.offsets[pdf + 1])
        coefficients = gmms.coefficients[gaussians]
        for start in range(bounds[pdf], bounds[pdf + 1], STATISTICS_FRAMES):
            chosen = order[start : min(start + STATISTICS_FRAMES, bounds[pdf + 1])]
            frames = features[chosen]
            posteriors, likelihood = _posteriors(component_scores(frames, coefficients))
            add_weighted(
                posteriors.astype(np.float64), _expand(frames if summed is None else summed[chosen]), sums[gaussians]
            )
            log_likelihood += likelihood
    dim = gmms.dim
    return GmmStatistics(sums[:, 0], sums[:, 1 : 1 + dim], sums[:, 1 + dim :], log_likelihood, len(features))


@kernel("void(float64[:, ::1], float64[:, ::1], float64[:, ::1])")
def add_weighted(posteriors, rows, sums):
    """Add the matrix product posteriors @ rows to `sums`; in one thread, in one order, however busy the machine is.

    Args:
        posteriors: float64 (n_gauss, n_rows).
        rows: float64 (n_rows, n_terms).
        sums: float64 (n_gauss, n_terms).
    """
    n_rows, n_terms = rows.shape
    whole = n_rows - n_rows % 4
    for r in range(0, whole, 4):
        for g in range(len(posteriors)):
            p0, p1, p2, p3 = posteriors[g, r], posteriors[g, r + 1], posteriors[g, r + 2], posteriors[g, r + 3]
            for k in range(n_terms):
                sums[g, k] += (p0 * rows[r, k] + p1 * rows[r + 1, k]) + (p2 * rows[r + 2, k] + p3 * rows[r + 3, k])
    for r in range(whole, n_rows):
        for g in range(len(posteriors)):
            for k in range(n_terms):
                sums[g, k] += posteriors[g, r] * rows[r, k]


def _expand(frames: np.ndarray) -> np.ndarray:
    """float64 (n_frames, 1 + 2 dim): [1, x, x**2] of each frame."""
    n_frames, dim = frames.shape
    expanded = np.empty((n_frames, 1 + 2 * dim))
    expanded[:, 0] = 1.0
    expanded[:, 1 : 1 + dim] = frames
    np.multiply(expanded[:, 1 : 1 + dim], expanded[:, 1 : 1 + dim], out=expanded[:, 1 + dim :])
    return expanded


def _posteriors(scores: np.ndarray) -> tuple[np.ndarray, float]:
    """Posteriors (n_gauss, n_frames) of one pdf's Gaussians from log(weight x density), and the frames' total score."""
    largest = scores.max(axis=0)
    scores -= largest
    np.exp(scores, out=scores)
    total = scores.sum(axis=0)
    scores /= total
    return scores, float(largest.sum(dtype=np.float64) + np.log(total).sum(dtype=np.float64))


def update(gmms: DiagGmms, statistics: GmmStatistics, options: MStepOptions | None = None) -> DiagGmms:
    """The GMMs that fit the statistics best (an M-step).

    Weights, means and variances are the posterior-weighted averages, variances floored. A Gaussian with too little
    data is removed; the last one of a pdf is kept, unchanged if it has too little data itself.
    Same as Kaldi's gmm-est without mixing up (mle_am_diag_gmm_update).
    """
    options = options or MStepOptions()
    pdf = gmms.pdf_of_gauss
    occupancy = statistics.occupancy
    pdf_total = np.add.reduceat(occupancy, gmms.offsets[:-1])[pdf]
    n_of_pdf = np.diff(gmms.offsets)[pdf]
    share = np.where(pdf_total > 0, occupancy / np.maximum(pdf_total, 1e-300), 1.0 / n_of_pdf)
    enough = (occupancy > options.min_gaussian_occupancy) & (share > options.min_gaussian_weight)
    keep = enough | ~_removable(enough, gmms.offsets) if options.remove_low_count else np.ones_like(enough)
    weights = np.where(enough, share, gmms.weights)[keep]
    safe = np.where(enough, occupancy, 1.0)[:, None]
    means = np.where(enough[:, None], statistics.first / safe, gmms.means)
    variances = np.maximum(statistics.second / safe - means**2, options.min_variance)
    variances = np.where(enough[:, None], variances, gmms.variances)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(pdf[keep], minlength=gmms.n_pdfs))])
    weights = weights / np.add.reduceat(weights, offsets[:-1])[pdf[keep]]
    return DiagGmms(weights, means[keep], variances[keep], offsets)


def _removable(enough: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Which low-count Gaussians may go: all but the last Gaussian of a pdf where every one has too little data."""
    removable = ~enough
    none_enough = ~np.logical_or.reduceat(enough, offsets[:-1])
    removable[offsets[1:][none_enough] - 1] = False
    return removable


def split_targets(occupancies: np.ndarray, target: int, *, power: float = 0.25, min_count: float = 20.0) -> np.ndarray:
    """How many Gaussians each pdf should have, of `target` in all.

    Args:
        occupancies: (n_pdfs,): frames of each pdf.
        power: a pdf's share grows with occupancy**power.
        min_count: frames that each Gaussian must have.

    Returns:
        int64 (n_pdfs,). Their sum is below `target` where min_count stops every pdf.

    Same as Kaldi's GetSplitTargets: Gaussians are given one by one to the pdf with most weight a Gaussian.
    """
    occupancies = np.asarray(occupancies, np.float64)
    counts = np.ones(len(occupancies), np.int64)
    weight = occupancies**power
    queue = [(-w, p) for p, w in enumerate(weight)]
    heapq.heapify(queue)
    remaining = target - len(counts)
    while remaining > 0 and queue:
        pdf = queue[0][1]
        if (counts[pdf] + 1) * min_count >= occupancies[pdf]:
            heapq.heappop(queue)
            continue
        counts[pdf] += 1
        remaining -= 1
        heapq.heapreplace(queue, (-weight[pdf] / counts[pdf], pdf))
    return counts


def mix_up(
    gmms: DiagGmms,
    targets: np.ndarray,
    rng: np.random.Generator,
    *,
    perturb_factor: float = 0.01,
) -> DiagGmms:
    """GMMs with at least `targets` Gaussians each, made by splitting the heaviest ones in two.

    Args:
        targets: int (n_pdfs,), e.g. of split_targets. A pdf that has as many already stays as it is.
        perturb_factor: the halves' means move apart by this times a normal random vector, in standard deviations.

    Returns:
        GMMs in which the new Gaussians come last within their pdf.

    Same as Kaldi's AmDiagGmm::SplitByCount but for the random numbers.
    """
    pdf, weights, means, variances = gmms.pdf_of_gauss, gmms.weights.astype(np.float64), gmms.means, gmms.variances
    counts = np.diff(gmms.offsets).astype(np.int64)
    while (short := counts < targets).any():
        heaviest = np.lexsort((np.arange(len(pdf)), -weights, pdf))
        parents = heaviest[np.searchsorted(pdf[heaviest], np.flatnonzero(short))]
        noise = perturb_factor * rng.standard_normal((len(parents), gmms.dim)) * np.sqrt(variances[parents])
        weights[parents] *= 0.5
        children = means[parents] + noise
        means = means.copy()
        means[parents] -= noise.astype(np.float32)
        pdf = np.concatenate([pdf, pdf[parents]])
        weights = np.concatenate([weights, weights[parents]])
        means = np.concatenate([means, children.astype(np.float32)])
        variances = np.concatenate([variances, variances[parents]])
        counts[short] += 1
    order = np.argsort(pdf, kind="stable")
    return DiagGmms(weights[order], means[order], variances[order], np.concatenate([[0], np.cumsum(counts)]))
