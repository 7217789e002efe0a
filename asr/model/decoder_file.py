"""An attention decoder as one file: safetensors, whose header says what it is, and which model it belongs to."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ConfigError, ModelError
from ..files import give_usual_mode, kind_of, replacing
from ..files.json_files import parse_json
from ..nn.ctc.attention import AttentionDecoder
from ..nn.layers import Network
from ..nn.options import DecoderConfig
from ..options import from_table
from .model import Model
from .torch import of_torch

DECODER_FILE = "decoder.safetensors"
"""Its name in a folder, beside the model's directory, which is replaced as a whole whenever the model is saved."""

_FORMAT = 1


def save_decoder(decoder: AttentionDecoder, model: Model, path: str | os.PathLike) -> Path:
    """Write a decoder, whole or not at all.

    Args:
        model: the one that it was trained with.
        path: of the file, or of a folder that is there.

    Returns:
        the file's path.

    Raises:
        ModelError: for a model without one network of torch's, and for a model's directory, in which the decoder would
            be lost when the model is saved again.
    """
    file = _file(path)
    if kind_of(file.parent / "model.json") == "file":
        raise ModelError(f"{file}: a model's directory is replaced when it is saved; put the decoder beside it")
    tensors = {k: v.detach().cpu().contiguous() for k, v in decoder.state_dict().items()}
    encoder = encoder_of(model)
    content = {
        "format": _FORMAT,
        "config": asdict(decoder.config),
        "sha256": digest_of(tensors),
        "model_sha256": digest_of(encoder.state_dict()),
    }
    with replacing(file) as temporary:
        save_file(tensors, temporary, metadata={"decoder": json.dumps(content)})
        give_usual_mode(temporary)
    return file


def load_decoder(model: Model, path: str | os.PathLike) -> AttentionDecoder:
    """What `save_decoder` wrote.

    Args:
        model: the one that it was trained with.
        path: of the file, or its folder.

    Raises:
        ModelError: for a file that is missing, damaged, of a newer format, or of another model.
    """
    file = _file(path)
    if kind_of(file) != "file":
        raise ModelError(f"{file}: there is no decoder; train it with train_joint, and save it with save_decoder")
    encoder = encoder_of(model)
    try:
        with safe_open(file, framework="pt") as stored:
            content = parse_json((stored.metadata() or {})["decoder"], str(file), error=ModelError)
            tensors = {k: stored.get_tensor(k) for k in stored.keys()}  # noqa: SIM118 - it is not iterable
        if content["format"] != _FORMAT:
            raise ModelError(f"{file}: format {content['format']!r}; this version reads {_FORMAT}")
        if content["sha256"] != digest_of(tensors):
            raise ModelError(f"{file}: not what was saved (its checksum differs); copy the file again")
        if content["model_sha256"] != digest_of(encoder.state_dict()):
            raise ModelError(f"{file}: it is the decoder of another model; give the one it was trained with")
        config = from_table(DecoderConfig, content["config"], where=f"{file}: config.")
    except (OSError, SafetensorError, ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{file}: not a decoder, or damaged ({error}); copy the file again") from None
    return _with_numbers(file, config, encoder, tensors)


def encoder_of(model: Model) -> Network:
    """The network of a model that a decoder can look into.

    Raises:
        ModelError: where there is none, or are several.
    """
    networks = of_torch(model.acoustic).networks
    if len(networks) != 1:
        raise ModelError(f"a decoder needs a model with one network, as train_joint made it; this has {len(networks)}")
    return networks[0]


def _file(path: str | os.PathLike) -> Path:
    return Path(path) / DECODER_FILE if kind_of(path) == "folder" else Path(path)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of tensors' names, shapes, types and numbers."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _with_numbers(file: Path, config: DecoderConfig, encoder: Network, tensors: dict[str, Any]) -> AttentionDecoder:
    """A decoder with the numbers of a file, which are looked at before there is memory for its own."""
    with torch.device("meta"):
        decoder = AttentionDecoder(config, encoder.output.in_features, encoder.n_outputs)
    wanted = {name: tuple(t.shape) for name, t in decoder.state_dict().items()}
    unusable = [name for name, t in tensors.items() if t.dtype != torch.float32 or not bool(torch.isfinite(t).all())]
    if unusable:
        raise ModelError(f"{file}: {unusable[0]!r} is not of finite float32 numbers; copy the file again")
    if wanted != {name: tuple(t.shape) for name, t in tensors.items()}:
        raise ModelError(f"{file}: its tensors are not those of its config and the model; train the decoder again")
    decoder.load_state_dict(tensors, assign=True)
    return decoder.eval()
