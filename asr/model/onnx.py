"""A network in an ONNX file as the acoustic model of a recogniser: run by onnxruntime, without torch."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..display.brief import many
from ..errors import ModelError
from .acoustic import ONNX_FILE, check_input, likelihoods
from .onnx_file import check_onnx, count_parameters

_MOST_SUBSAMPLING = 1000


class OnnxAcoustic:
    """Log-likelihoods of pdfs from a network that `asr export onnx` wrote.

    Args:
        content: the ONNX file's.
        networks: what it was made from, see NetworkAcoustic.description.
        log_priors: float32 (n_pdfs,), or None.
        prior_scale: factor on them. See NetworkAcoustic.

    Raises:
        ModelError: where the file is no such network, has loops, or wants data of other files.

    The network takes "features", float32 (1, n_frames, dim), and gives "scores", float32 (1, out_frames, n_pdfs).
    """

    file = ONNX_FILE
    family, runs_on, is_framewise, n_gauss = "dnn", "onnxruntime", False, 0

    def __init__(
        self,
        content: bytes,
        networks: Sequence[Mapping[str, Any]],
        log_priors: np.ndarray | None = None,
        prior_scale: float = 1.0,
    ) -> None:
        check_onnx(content, ONNX_FILE)
        self.content, self.log_priors, self.prior_scale = content, log_priors, float(prior_scale)
        self.networks = [dict(network) for network in networks]
        self.subsampling = max((_subsampling(network) for network in self.networks), default=1)
        self._session = _session(content)
        shapes = {
            (end.name, end.type): end.shape for end in (*self._session.get_inputs(), *self._session.get_outputs())
        }
        ends = [shapes.get((name, "tensor(float)")) for name in ("features", "scores")]
        if len(shapes) != 2 or not all(shape and len(shape) == 3 and isinstance(shape[2], int) for shape in ends):
            raise ModelError(
                f"{ONNX_FILE} has the inputs and outputs {shapes}; need features and scores, 3-dimensional"
            )
        self.dim, self.n_pdfs = (int(shape[2]) for shape in ends if shape)

    def __repr__(self) -> str:
        size = f"ONNX of {len(self.content) / 1e6:.1f} MB"
        return f"<{size}: {self.dim} values in, {many(self.n_pdfs, 'pdf')} out>"

    def log_likelihoods(self, features: np.ndarray, pdfs: np.ndarray | None = None) -> np.ndarray:
        """float32 (ceil(n_frames / subsampling), n_pdfs) natural-log scores of one utterance, whole.

        Args:
            features: float32 (n_frames, dim).
            pdfs: those that are wanted; all if not given.

        Raises:
            ModelError: where dim is not the model's, or the network fails.
        """
        features = check_input(features, self.dim)
        scores = np.zeros((0, self.n_pdfs), np.float32)
        if len(features):
            try:
                (found,) = self._session.run(["scores"], {"features": features[None]})
            except Exception as error:  # onnxruntime's errors have no base class of their own
                raise ModelError(f"{ONNX_FILE} cannot be run on {len(features)} frames: {error}") from error
            scores = found[0]
        if scores.shape != (-(-len(features) // self.subsampling), self.n_pdfs):
            raise ModelError(f"{ONNX_FILE} gives scores of shape {scores.shape} for {len(features)} frames")
        return likelihoods(scores, self.log_priors, self.prior_scale, pdfs)

    def arrays(self) -> dict[str, np.ndarray]:
        """Its file, and the priors."""
        priors = {} if self.log_priors is None else {"log_priors": self.log_priors}
        return {"onnx": np.frombuffer(self.content, np.uint8), **priors}

    @property
    def n_parameters(self) -> int:
        """The network's weights, and the priors."""
        return count_parameters(self.content, ONNX_FILE) + (0 if self.log_priors is None else len(self.log_priors))

    def write(self, path: Path) -> None:
        """The ONNX file."""
        path.write_bytes(self.content)

    def description(self) -> list[dict[str, Any]]:
        """What the network was made from."""
        return self.networks


def _subsampling(network: Mapping[str, Any]) -> int:
    """Frames to one row of output. Raises ModelError for what cannot be that."""
    value = network.get("subsampling", 1)
    if type(value) is not int or not 1 <= value <= _MOST_SUBSAMPLING:
        raise ModelError(f"subsampling is {value!r}; need a whole number from 1 to {_MOST_SUBSAMPLING}")
    return value


def _session(content: bytes) -> Any:
    """onnxruntime's session, which never runs code of the file's: operators are onnxruntime's own."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, int(os.environ.get("OMP_NUM_THREADS", "0") or 0) or (os.cpu_count() or 1))
    options.log_severity_level = 4  # what is wrong is raised; warnings of a file's would go to stderr
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base class of their own
        raise ModelError(
            f"{ONNX_FILE} is no network that onnxruntime {onnxruntime.__version__} knows: {error}"
        ) from error
