"""Checkpoints: the whole state of a training as safetensors and JSON, so that a killed one goes on where it was.

STEM.json says which STEM-NUMBER.safetensors belongs to it and is replaced at one go, so a pair is always whole.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import ModelError
from ..files import give_usual_mode, kind_of, replacing, sha256, write_text
from ..files.json_files import read_json, taking_apart
from .optimization import Schedule

_FORMAT = 2


def save_checkpoint(
    path_stem: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    state: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | None = None,
) -> None:
    """Write STEM.json and STEM-NUMBER.safetensors; what was there before is removed when the new ones are whole.

    Weights, buffers, the optimiser's and the schedule's state and torch's random states are written.

    Args:
        state: anything else, as JSON can hold it.
        tensors: anything else that are tensors.
    """
    step = _number(path_stem) + 1
    groups = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.state_dict()["param_groups"]]
    everything = {f"network.{k}": v for k, v in network.state_dict().items()}
    scalars: dict[str, Any] = {}
    for i, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                everything[f"optimizer.{i}.{name}"] = value
            else:
                scalars[f"{i}.{name}"] = value
    everything |= {f"random.{k}": v for k, v in _random_states().items()}
    everything |= {f"more.{k}": v for k, v in (tensors or {}).items()}
    name = f"{path_stem.name}-{step}.safetensors"
    with replacing(path_stem.parent / name) as temporary:
        # Copies: safetensors refuses tensors that share memory, as tied weights do.
        save_file({k: v.detach().cpu().clone().contiguous() for k, v in everything.items()}, temporary)
        give_usual_mode(temporary)
    content = {
        "format": _FORMAT,
        "tensors": name,
        "sha256": sha256(path_stem.parent / name),
        "optimizer": {"kind": type(optimizer).__name__, "groups": groups, "scalars": scalars},
        "schedule": schedule.state(),
        "state": dict(state),
    }
    write_text(_json_path(path_stem), json.dumps({**content, "checksum": _checksum(content)}, indent=1) + "\n")
    _tidy(path_stem, name)


def load_checkpoint(
    path_stem: Path, network: nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Put back what `save_checkpoint` wrote, torch's random states too; returns `state` and `tensors`.

    Raises:
        ModelError: for a file that is damaged, or of another network or optimiser.
    """
    content, tensors = _read(path_stem)
    where = _json_path(path_stem)
    kind = type(optimizer).__name__
    with taking_apart(where, what="a checkpoint", error=ModelError):
        if content["optimizer"]["kind"] != kind:
            raise ModelError(
                f"{where}: its optimiser is {content['optimizer']['kind']}, not {kind}; use another folder"
            )
        weights = _part(tensors, "network.")
        own = network.state_dict()
        if {k: (v.shape, v.dtype) for k, v in own.items()} != {k: (v.shape, v.dtype) for k, v in weights.items()}:
            raise ModelError(f"{where}: it is of another network; remove it, or use another folder")
        network.load_state_dict(weights)
        _load_optimizer(optimizer, content["optimizer"], _part(tensors, "optimizer."))
        schedule.restore(content["schedule"])
        _set_random_states(_part(tensors, "random."))
        return content["state"], _part(tensors, "more.")


def read_state(path_stem: Path) -> dict[str, Any] | None:
    """The `state` of a checkpoint alone, or None where there is no checkpoint.

    Raises:
        ModelError: if it is damaged.
    """
    return _content(path_stem)["state"] if _json_path(path_stem).is_file() else None


def _json_path(path_stem: Path) -> Path:
    return path_stem.with_name(path_stem.name + ".json")


def _content(path_stem: Path) -> dict[str, Any]:
    path = _json_path(path_stem)
    try:
        content = read_json(path, error=ModelError)
    except ModelError as error:
        raise ModelError(f"{error}; remove it to start anew") from None
    if content.get("format") != _FORMAT:
        raise ModelError(f"{path}: format {content.get('format')!r}; this version reads {_FORMAT}")
    # A number that is another one would only be noticed when the training has gone on for a while, if at all.
    if content.pop("checksum", None) != _checksum(content):
        raise ModelError(f"{path}: not a checkpoint, or damaged (its checksum differs); remove it to start anew")
    return content


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, indent=1).encode()).hexdigest()


def _read(path_stem: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    content = _content(path_stem)
    with taking_apart(_json_path(path_stem), what="a checkpoint", error=ModelError):
        path, digest = path_stem.parent / content["tensors"], content["sha256"]
    if path.parent != path_stem.parent or kind_of(path) != "file":
        raise ModelError(f"{path}: missing or damaged; remove {_json_path(path_stem)} to start anew")
    try:
        if sha256(path) != digest:
            raise ValueError("its checksum differs")
        with safe_open(path, framework="pt") as stored:
            return content, {k: stored.get_tensor(k) for k in stored.keys()}  # noqa: SIM118 - it is not iterable
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(
            f"{path}: missing or damaged ({error}); remove {_json_path(path_stem)} to start anew"
        ) from None


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _load_optimizer(optimizer: torch.optim.Optimizer, content: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in [*tensors.items(), *content["scalars"].items()]:
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = value
    own = optimizer.state_dict()["param_groups"]
    groups = [
        {key: _like(given[key], value) if key != "params" else value for key, value in group.items()}
        for given, group in zip(content["groups"], own, strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _like(given: Any, own: Any) -> Any:
    """A setting as the optimiser has it itself. Raises TypeError or ValueError for one of another kind."""
    if isinstance(own, (list, tuple)):
        return type(own)(_like(g, o) for g, o in zip(given, own, strict=True))
    if isinstance(own, float) and isinstance(given, (int, float)) and math.isfinite(given):
        return float(given)
    if type(given) is not type(own):
        raise TypeError(f"{given!r} stands where the optimiser has {own!r}")
    return given


def _random_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda.{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    return states


def _set_random_states(states: Mapping[str, Tensor]) -> None:
    try:
        torch.set_rng_state(states["cpu"])
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    for i in range(torch.cuda.device_count()):
        if f"cuda.{i}" in states:
            torch.cuda.set_rng_state(states[f"cuda.{i}"], i)


def _number(path_stem: Path) -> int:
    """The greatest number of a file of tensors beside the stem; 0 without any."""
    files = path_stem.parent.glob(f"{path_stem.name}-*.safetensors")
    return max((int(n) for n in (f.stem.rpartition("-")[2] for f in files) if n.isdecimal()), default=0)


def _tidy(path_stem: Path, keep: str) -> None:
    """Remove older tensors, and what a killed process left half written."""
    for path in path_stem.parent.glob(f"{path_stem.name}-*.safetensors"):
        if path.name != keep:
            path.unlink(missing_ok=True)
    for path in path_stem.parent.glob(f".{path_stem.name}*"):
        shutil.rmtree(path, ignore_errors=True)
