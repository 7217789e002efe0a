"""A trained network as an ONNX file, which onnxruntime runs without torch."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..errors import ModelError
from ..extras import install
from .model import Model
from .networks import check_runnable
from .onnx import OnnxAcoustic
from .torch import NetworkAcoustic, of_torch

OPSET = 17  # of ONNX: onnxruntime 1.13 and later know it
LENGTHS = (1, 2, 7, 50, 333, 1001)  # frames on which both are compared
TOLERANCE = 1e-4  # nats of log-likelihood, plus 1e-5 of it
_INT8_KINDS = ("dnn", "tdnn")


@dataclass(frozen=True)
class Exported:
    """An exported model, and how it compares with torch.

    Attributes:
        model: with the network in ONNX.
        difference: the largest of a log-likelihood, nats.
        same_best: share of frames whose best pdf is the same.
        n_bytes: of the network before and after.
    """

    model: Model
    difference: float
    same_best: float
    n_bytes: tuple[int, int]


def export_onnx(model: Model, *, int8: bool = False, features: Sequence[np.ndarray] = ()) -> Exported:
    """The same model with its network in ONNX, for utterances of any length.

    Args:
        int8: weights as 8-bit numbers, for networks that are matrix products: DNN and TDNN. What the network hears is
            rounded as well, in each utterance to its own scale.
        features: float32 (n_frames, dim) matrices after the model's pipeline, to compare on; random ones come besides.

    Raises:
        ModelError: for a model without a network of torch's, for int8 with another kind of network, and where the
            exported network differs from torch by more than 1e-4 nats (plus 1e-5 of a value); int8 may differ.
    """
    acoustic = of_torch(model.acoustic)
    check_runnable(Path("the exported model"), {"network_file": OnnxAcoustic.file})
    kinds = sorted({config.kind for config in acoustic.configs})
    if int8 and not set(kinds) <= set(_INT8_KINDS):
        raise ModelError(f"int8 is for networks of the kinds {' and '.join(_INT8_KINDS)}; this is {', '.join(kinds)}")
    content = plain = _onnx(acoustic)
    if int8:
        content = _quantised(plain)
    exported = OnnxAcoustic(content, acoustic.description(), acoustic.log_priors, acoustic.prior_scale)
    difference, same_best, is_equal = _compared(acoustic, exported, [*features, *_random_features(acoustic)])
    if not is_equal and not int8:
        raise ModelError(
            f"the exported network differs from torch's by {difference:.2g} nats; need {TOLERANCE:g}. Export with "
            f"another version of torch (this is {torch.__version__})"
        )
    made = replace(model, acoustic=exported)
    return Exported(made, difference, same_best, (sum(a.nbytes for a in acoustic.arrays().values()), len(content)))


def _onnx(acoustic: NetworkAcoustic) -> bytes:
    """The ONNX file's content."""
    example = torch.zeros(1, 37, acoustic.dim)
    # The tracing exporter needs no package besides torch; its warnings are about its age, and shapes that are dynamic.
    with tempfile.TemporaryDirectory() as folder, _quietly(), torch.no_grad():
        target = Path(folder) / "network.onnx"
        torch.onnx.export(
            acoustic.scores.eval(), (example,), target, dynamo=False, opset_version=OPSET,
            input_names=["features"], output_names=["scores"],
            dynamic_axes={"features": {1: "frames"}, "scores": {1: "rows"}},
        )  # fmt: skip
        return target.read_bytes()


def _quantised(content: bytes) -> bytes:
    """The network with matrices of 8-bit numbers, a scale for each output."""
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]
    except ImportError as error:
        raise ModelError(f"int8 needs the package onnx ({error}): {install('nn')}") from None
    with tempfile.TemporaryDirectory() as folder, _quietly():
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(content)
        # 7 bits of 8: sums of products of whole bytes would overflow on processors without VNNI.
        quantize_dynamic(
            source, target, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, reduce_range=True,
            weight_type=QuantType.QInt8,
        )  # fmt: skip
        return target.read_bytes()


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the warnings of the exporter, and those of the quantiser, which go to the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)


def _random_features(acoustic: NetworkAcoustic) -> list[np.ndarray]:
    """Frames like those of the training data, in utterances of several lengths."""
    rng = np.random.default_rng(0)
    normalize = acoustic.networks[0].normalize
    mean, std = normalize.mean.cpu().numpy(), normalize.std.cpu().numpy()
    return [(mean + std * rng.standard_normal((n, acoustic.dim))).astype(np.float32) for n in LENGTHS]


def _compared(
    acoustic: NetworkAcoustic, exported: OnnxAcoustic, utterances: Sequence[np.ndarray]
) -> tuple[float, float, bool]:
    """The largest difference of log-likelihoods, the share of frames with the same best pdf, and whether it will do."""
    largest, same, total, is_equal = 0.0, 0, 0, True
    for features in utterances:
        expected, found = acoustic.log_likelihoods(features), exported.log_likelihoods(features)
        difference = np.abs(expected - found)
        largest = max(largest, float(difference.max(initial=0.0)))
        is_equal &= bool((difference <= TOLERANCE + 1e-5 * np.abs(expected)).all())
        same += int((expected.argmax(axis=1) == found.argmax(axis=1)).sum())
        total += len(expected)
    return largest, same / max(total, 1), is_equal
