"""Linear and affine transforms of features: LDA, MLLT, fMLLR."""

import numpy as np

from ..errors import ModelError
from ..jit import kernel


def affine(features: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The frames times a matrix: float32 (n_frames, n_rows), equal to the bit for a frame in any place.

    Args:
        features: float32 (n_frames, dim).
        matrix: (n_rows, dim) or, with an offset in the last column, (n_rows, dim + 1).

    Raises:
        ModelError: where the two do not fit.

    Same as Kaldi's transform-feats.
    """
    features = np.ascontiguousarray(features, np.float32)
    matrix = np.asarray(matrix, np.float64)
    if features.ndim != 2 or matrix.ndim != 2 or matrix.shape[1] - features.shape[1] not in (0, 1):
        raise ModelError(f"a transform of shape {matrix.shape} does not fit features of shape {features.shape}")
    dim = features.shape[1]
    offset = matrix[:, dim] if matrix.shape[1] > dim else np.zeros(len(matrix))
    out = np.empty((len(features), len(matrix)), np.float32)
    multiply(features, np.ascontiguousarray(matrix[:, :dim].T), np.ascontiguousarray(offset), out)
    return out


@kernel("void(Array(float32, 2, 'C', readonly=True), float64[:, ::1], float64[::1], float32[:, ::1])")
def multiply(features, columns, offset, out):
    """Write features @ columns + offset to `out`, with float64 sums in one order; not BLAS, whose last bit depends on
    a row's place.

    Args:
        features: float32 (n_frames, dim).
        columns: float64 (dim, n).
        offset: float64 (n,).
        out: float32 (n_frames, n).
    """
    sums = offset.copy()
    for t in range(len(features)):
        for j in range(len(offset)):
            sums[j] = offset[j]
        for k in range(features.shape[1]):
            x = np.float64(features[t, k])
            for j in range(len(offset)):
                sums[j] += x * columns[k, j]
        for j in range(len(offset)):
            out[t, j] = sums[j]
