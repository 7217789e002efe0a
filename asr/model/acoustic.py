"""What an acoustic model is, whatever computes it: likelihoods of frames under pdfs."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import ModelError

TORCH_FILE, ONNX_FILE = "am.safetensors", "am.onnx"


class AcousticModel(Protocol):
    """What a model asks of its acoustic model, Gaussians or a network.

    Attributes:
        family: "gmm" or "dnn", as the kind in model.json has it.
        runs_on: what computes it: "numpy", "torch" or "onnxruntime".
        is_framewise: whether a frame's scores depend on that frame alone, so that it need not wait for others.
        subsampling: frames of features to a row of log-likelihoods.
        dim: values per frame.
        n_pdfs: columns of log-likelihoods.
        n_gauss: Gaussians of all pdfs; a network has none.
        n_parameters: numbers that were learned.
        log_priors: float32 (n_pdfs,), subtracted times prior_scale from log-posteriors; None: its own scores are
            log-likelihoods already.
        prior_scale: factor on them.
    """

    @property
    def family(self) -> str: ...

    @property
    def runs_on(self) -> str: ...

    @property
    def is_framewise(self) -> bool: ...

    @property
    def subsampling(self) -> int: ...

    @property
    def dim(self) -> int: ...

    @property
    def n_pdfs(self) -> int: ...

    @property
    def n_gauss(self) -> int: ...

    @property
    def n_parameters(self) -> int: ...

    @property
    def log_priors(self) -> np.ndarray | None: ...

    @property
    def prior_scale(self) -> float: ...

    def log_likelihoods(self, features: np.ndarray, pdfs: np.ndarray | None = None) -> np.ndarray:
        """float32 (n_rows, n_pdfs) for float32 (n_frames, dim); of some pdfs only, if they are given."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Its parameters, by name."""
        ...


class NetworkModel(AcousticModel, Protocol):
    """What a model directory asks of a network, whatever runs it.

    Attributes:
        file: its file's name in the directory.
    """

    @property
    def file(self) -> str: ...

    def write(self, path: Path) -> None: ...

    def description(self) -> list[dict[str, Any]]: ...


def likelihoods(
    scores: np.ndarray, log_priors: np.ndarray | None, prior_scale: float, pdfs: np.ndarray | None
) -> np.ndarray:
    """float32 (n_frames, n_pdfs), or of some pdfs: log-posteriors less the scaled logarithms of priors.

    Args:
        scores: float32 (n_frames, n_pdfs): log-posteriors; or, where there are no priors, what comes out as it is.
    """
    if log_priors is not None:
        scores = scores - np.float32(prior_scale) * log_priors
    scores = scores if pdfs is None else scores[:, np.asarray(pdfs, np.int64)]
    return np.ascontiguousarray(scores, np.float32)


def log_posteriors(acoustic: AcousticModel, features: np.ndarray) -> np.ndarray:
    """float32 (n_rows, n_columns): log-probabilities of a network, without what its priors take from them.

    Args:
        features: float32 (n_frames, dim) of one utterance, after the whole pipeline.
    """
    scores = acoustic.log_likelihoods(features)
    if acoustic.log_priors is None or not acoustic.prior_scale:
        return scores
    return scores + np.float32(acoustic.prior_scale) * acoustic.log_priors


def check_input(features: np.ndarray, dim: int) -> np.ndarray:
    """float32 (n_frames, dim), C-contiguous.

    Raises:
        ModelError: for another shape.
    """
    features = np.ascontiguousarray(features, np.float32)
    if features.ndim != 2 or features.shape[1] != dim:
        raise ModelError(f"features of shape {features.shape}; the acoustic model needs (n_frames, {dim})")
    return features
