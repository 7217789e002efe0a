"""Gaussian mixture models with diagonal covariances: all Gaussians of an acoustic model in flat arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..display.brief import many
from ..errors import ModelError
from .kernels import gaussian_scores, sum_exponentials

BLOCK_FRAMES = 128  # frames at a time: their scores stay within the processor's cache


@dataclass(frozen=True, eq=False)
class DiagGmms:
    """The mixtures of all pdfs.

    Attributes:
        weights: float32 (n_gauss,), positive; those of one pdf sum to 1.
        means: float32 (n_gauss, dim); variances are positive.
        variances: float32 (n_gauss, dim); variances are positive.
        offsets: int32 (n_pdfs + 1,): the Gaussians of pdf p are rows offsets[p] to offsets[p + 1] (exclusive).

    Raises:
        ModelError: where shapes do not fit or a value is impossible.
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    offsets: np.ndarray

    def __repr__(self) -> str:
        return f"<DiagGmms: {many(self.n_gauss, 'Gaussian')} of {self.dim} dimensions, {many(self.n_pdfs, 'pdf')}>"

    def __post_init__(self) -> None:
        for name in ("weights", "means", "variances"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float32))
        object.__setattr__(self, "offsets", np.ascontiguousarray(self.offsets, np.int32))
        _check(self)

    @property
    def n_gauss(self) -> int:
        """The number of Gaussians of all pdfs together."""
        return len(self.weights)

    @property
    def n_pdfs(self) -> int:
        """The number of pdfs."""
        return len(self.offsets) - 1

    @property
    def dim(self) -> int:
        """The number of features a frame."""
        return self.means.shape[1]

    @property
    def pdf_of_gauss(self) -> np.ndarray:
        """int32 (n_gauss,): the pdf that each Gaussian belongs to."""
        return np.repeat(np.arange(self.n_pdfs, dtype=np.int32), np.diff(self.offsets))

    @cached_property
    def coefficients(self) -> np.ndarray:
        """float32 (n_gauss, 1 + 2 dim): times [1, x, x**2] they give log(weight x density) of a frame x."""
        means, variances = self.means.astype(np.float64), self.variances.astype(np.float64)
        constant = np.log(self.weights.astype(np.float64)) - 0.5 * (
            np.log(2.0 * np.pi) * self.dim + (np.log(variances) + means**2 / variances).sum(axis=1)
        )
        return np.hstack([constant[:, None], means / variances, -0.5 / variances]).astype(np.float32)

    @cached_property
    def _padded_coefficients(self) -> np.ndarray:
        return _padded(self.coefficients)

    def log_likelihoods(self, features: np.ndarray, pdfs: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Natural-log likelihoods of frames, one column a pdf.

        Args:
            features: float32 (n_frames, dim).
            pdfs: the pdf ids wanted, in the wanted order; all of them by default. Fewer pdfs cost less time.

        Returns:
            float32 (n_frames, len(pdfs)). A frame's values are the same to the bit however the frames are cut into
            calls.

        Raises:
            ModelError: where dim is not the model's.
        """
        features = np.asarray(features, np.float32)
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise ModelError(f"features of shape {features.shape}; the acoustic model needs (n_frames, {self.dim})")
        coefficients, offsets = self._selected(pdfs)
        out = np.empty((len(features), len(offsets) - 1), np.float32)
        for start in range(0, len(features), BLOCK_FRAMES):
            block = slice(start, start + BLOCK_FRAMES)
            out[block] = _block_log_likelihoods(features[block], coefficients, offsets)
        return out

    def _selected(self, pdfs: Sequence[int] | np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The coefficients of the wanted pdfs' Gaussians, and their offsets."""
        if pdfs is None:
            return self._padded_coefficients, self.offsets
        pdfs = np.asarray(pdfs, np.int64).reshape(-1)
        if len(pdfs) and not (pdfs.min() >= 0 and pdfs.max() < self.n_pdfs):
            raise ModelError(
                f"pdf ids {pdfs.min()} to {pdfs.max()} were asked for; the model has 0 to {self.n_pdfs - 1}"
            )
        count = np.diff(self.offsets)[pdfs]
        offsets = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][pdfs] - offsets[:-1], count)
        return _padded(self.coefficients[rows]), offsets

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store (`numpy.savez(path, **gmms.arrays())`)."""
        return {name: getattr(self, name) for name in ("weights", "means", "variances", "offsets")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "DiagGmms":
        """The inverse of arrays(); takes an opened npz file too.

        Raises:
            ModelError: where one is missing or wrong.
        """
        names = ("weights", "means", "variances", "offsets")
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ModelError(f"the acoustic model's file lacks the array {missing[0]!r}; it needs {', '.join(names)}")
        return cls(*(arrays[name] for name in names))


def _padded(coefficients: np.ndarray) -> np.ndarray:
    """Coefficients with rows and columns of zeros as the kernel wants them: an even number, a multiple of 4."""
    rows, columns = coefficients.shape
    padded = np.zeros((rows + rows % 2, columns + -columns % 4), np.float32)
    padded[:rows, :columns] = coefficients
    return padded


def component_scores(features: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """The log(weight x density) of each Gaussian at a few frames.

    Args:
        features: float32 (n_frames, dim).
        coefficients: float32 (n_gauss, 1 + 2 dim), of DiagGmms.coefficients.

    Returns:
        float32 (n_gauss, n_frames).
    """
    return _scores(features, _padded(coefficients))[: len(coefficients)]


def _scores(features: np.ndarray, padded: np.ndarray) -> np.ndarray:
    """float32 (len(padded), n_rows): the scores of Gaussians; padded rows give 0."""
    n_rows, dim = features.shape
    expanded = np.zeros((padded.shape[1], n_rows), np.float32)
    expanded[0] = 1.0
    expanded[1 : 1 + dim] = features.T
    np.multiply(expanded[1 : 1 + dim], expanded[1 : 1 + dim], out=expanded[1 + dim : 1 + 2 * dim])
    scores = np.empty((len(padded), n_rows), np.float32)
    gaussian_scores(padded, expanded, scores)
    return scores


def _block_log_likelihoods(features: np.ndarray, padded: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """float32 (n_pdfs, n_rows) transposed: the log-likelihoods of a few frames."""
    scores = _scores(features, padded)
    largest, total = np.empty((2, len(offsets) - 1, len(features)), np.float32)
    power, fraction = np.empty((2, len(features)), np.float32)
    sum_exponentials(scores, offsets, largest, total, power.view(np.int32), power, fraction)
    np.log(total, out=total)
    total += largest
    return total.T


def _check(gmms: DiagGmms) -> None:
    """Raise ModelError unless the arrays describe mixtures."""
    weights, means, variances, offsets = gmms.weights, gmms.means, gmms.variances, gmms.offsets
    if weights.ndim != 1 or means.ndim != 2 or means.shape != variances.shape or len(means) != len(weights):
        raise ModelError(
            f"GMM arrays do not fit: weights {weights.shape}, means {means.shape}, variances {variances.shape}"
        )
    if offsets.ndim != 1 or len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(weights):
        raise ModelError(f"GMM offsets must run from 0 to {len(weights)} (the number of Gaussians)")
    if (np.diff(offsets) < 1).any():
        raise ModelError(f"pdf {int(np.argmax(np.diff(offsets) < 1))} has no Gaussian")
    for name in ("weights", "means", "variances"):
        values = getattr(gmms, name)
        good = np.isfinite(values) if name == "means" else (np.isfinite(values) & (values > 0))
        if not good.all():
            row = int(np.argwhere(~good)[0][0])
            raise ModelError(f"GMM {name}: Gaussian {row} has the impossible value {values[~good].flat[0]}")
    sums = np.add.reduceat(weights.astype(np.float64), offsets[:-1])
    if np.abs(sums - 1.0).max() > 1e-3:
        pdf = int(np.abs(sums - 1.0).argmax())
        raise ModelError(f"the mixture weights of pdf {pdf} sum to {sums[pdf]:.6g}, not 1")
