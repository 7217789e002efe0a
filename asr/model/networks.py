"""The acoustic model of a model directory that is a network: am.safetensors, which torch runs, or am.onnx, which
onnxruntime runs without torch; am.npz has the logarithms of the pdfs' prior probabilities.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..extras import install
from .acoustic import ONNX_FILE, TORCH_FILE, NetworkModel

_MOST_NETWORKS = 100


def check_runnable(directory: Path, description: Mapping[str, Any]) -> None:
    """Raise ModelError unless what runs the network of a model directory is installed."""
    needed = {TORCH_FILE: ("torch", "nn"), ONNX_FILE: ("onnxruntime", "onnx")}
    module, extra = needed.get(str(description.get("network_file")), ("numpy", ""))
    if importlib.util.find_spec(module) is None:
        raise ModelError(
            f"{directory}: its network is run by {module}, which is not installed: {install(extra)}"
            + ("; or export it where torch is, with: asr export onnx MODEL OUT" if module == "torch" else "")
        )


def write_network(directory: Path, acoustic: NetworkModel) -> dict[str, Any]:
    """Write the network's files; returns what model.json says of it."""
    acoustic.write(directory / acoustic.file)
    priors = {} if acoustic.log_priors is None else {"log_priors": np.asarray(acoustic.log_priors, np.float32)}
    np.savez(directory / "am.npz", prior_scale=np.float64(acoustic.prior_scale), **priors)  # type: ignore[arg-type]
    return {"network": acoustic.description(), "network_file": acoustic.file, "subsampling": acoustic.subsampling}


def read_network(
    directory: Path, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray], dim: int, n_pdfs: int
) -> NetworkModel:
    """The network of a model directory.

    Args:
        description: model.json.
        arrays: of am.npz.
        dim: of the features.
        n_pdfs: of the tree.

    Raises:
        ModelError: where a file is damaged or does not belong to the rest, or what would run it is not installed.
    """
    file, networks = description.get("network_file"), description.get("network")
    log_priors, prior_scale = arrays.get("log_priors"), float(arrays.get("prior_scale", 1.0))
    if log_priors is not None and log_priors.shape != (n_pdfs,):
        raise ModelError(f"log_priors of shape {log_priors.shape}; the model has {n_pdfs} pdfs or units")
    if not isinstance(networks, list) or not all(isinstance(network, dict) for network in networks):
        raise ModelError("network is no list of tables")
    if len(networks) > _MOST_NETWORKS:
        raise ModelError(f"{len(networks)} networks; need {_MOST_NETWORKS} or fewer")
    priors = None if log_priors is None else log_priors.astype(np.float32)
    acoustic: NetworkModel
    if file == ONNX_FILE:
        from .onnx import OnnxAcoustic

        acoustic = OnnxAcoustic((directory / ONNX_FILE).read_bytes(), networks, priors, prior_scale)
    elif file == TORCH_FILE:
        from .torch import read_acoustic

        acoustic = read_acoustic(directory / TORCH_FILE, networks, dim, n_pdfs, priors, prior_scale)
    else:
        raise ModelError(f"network_file {file!r}; this version of asr knows {TORCH_FILE} and {ONNX_FILE}")
    if (acoustic.dim, acoustic.n_pdfs) != (dim, n_pdfs):
        raise ModelError(
            f"{file} takes {acoustic.dim} values and has {acoustic.n_pdfs} outputs; the features have {dim}, "
            f"the model has {n_pdfs} pdfs or units"
        )
    return acoustic
