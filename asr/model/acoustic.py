"""What an acoustic model is, whatever computes it: likelihoods of frames under pdfs."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..errors import ModelError

TORCH_FILE, ONNX_FILE = "am.safetensors", "am.onnx"


@runtime_checkable
class NetworkModel(Protocol):
    """What a model directory asks of a network, whatever runs it.

    file: its file's name in the directory. dim: values a frame. n_pdfs: columns of log-likelihoods.
    subsampling: frames of features to one of log-likelihoods.
    log_priors: float32 (n_pdfs,), subtracted times prior_scale from log-posteriors; None: the network's own scores are
        log-likelihoods already.
    """

    file: str
    dim: int
    n_pdfs: int
    subsampling: int
    log_priors: np.ndarray | None
    prior_scale: float

    def log_likelihoods(self, features: np.ndarray, pdfs: np.ndarray | None = None) -> np.ndarray: ...

    def arrays(self) -> dict[str, np.ndarray]: ...

    def write(self, path: Path) -> None: ...

    def description(self) -> list[dict[str, Any]]: ...


def likelihoods(
    scores: np.ndarray, log_priors: np.ndarray | None, prior_scale: float, pdfs: np.ndarray | None
) -> np.ndarray:
    """float32 (n_frames, n_pdfs), or of some pdfs: log-posteriors less the scaled logarithms of priors.

    scores: float32 (n_frames, n_pdfs): log-posteriors; or, where there are no priors, what comes out as it is.
    """
    if log_priors is not None:
        scores = scores - np.float32(prior_scale) * log_priors
    scores = scores if pdfs is None else scores[:, np.asarray(pdfs, np.int64)]
    return np.ascontiguousarray(scores, np.float32)


def log_posteriors(acoustic: "AcousticModel", features: np.ndarray) -> np.ndarray:
    """float32 (n_rows, n_columns): log-probabilities of a network, without what its priors take from them.

    features: float32 (n_frames, dim) of one utterance, after the whole pipeline.
    """
    scores = acoustic.log_likelihoods(features)
    log_priors, scale = getattr(acoustic, "log_priors", None), getattr(acoustic, "prior_scale", 0.0)
    return scores if log_priors is None or not scale else scores + np.float32(scale) * log_priors


def check_input(features: np.ndarray, dim: int) -> np.ndarray:
    """float32 (n_frames, dim), C-contiguous. Raises ModelError for another shape."""
    features = np.ascontiguousarray(features, np.float32)
    if features.ndim != 2 or features.shape[1] != dim:
        raise ModelError(f"features of shape {features.shape}; the acoustic model needs (n_frames, {dim})")
    return features


class AcousticModel(Protocol):
    """What decoding asks of an acoustic model, GMM or network."""

    def log_likelihoods(self, features: np.ndarray, pdfs: np.ndarray | None = None) -> np.ndarray:
        """float32 (n_frames, n_pdfs) for float32 (n_frames, dim); of some pdfs only, if they are given."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Its parameters, by name."""
        ...
