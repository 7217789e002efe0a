"""Acoustic networks in torch: models, training and export.

The names below load their modules, and with them torch, when they are first used; the settings of networks
(`DnnConfig` and the like, `config_from_json`) need no torch, so a recipe can be read where it is not installed.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ..extras import require_torch
from .networks import (
    AttentionConfig,
    CnnConfig,
    CnnRecurrentConfig,
    DnnConfig,
    NetworkConfig,
    RecurrentConfig,
    TdnnConfig,
    build,
    config_from_json,
    register,
    to_json,
)

if TYPE_CHECKING:
    from .features import Fbank, Mfcc
    from .layers import Network

_HOME = {"Fbank": "features", "Mfcc": "features", "Network": "layers"}

__all__ = [
    "AttentionConfig",
    "CnnConfig",
    "CnnRecurrentConfig",
    "DnnConfig",
    "Fbank",
    "Mfcc",
    "Network",
    "NetworkConfig",
    "RecurrentConfig",
    "TdnnConfig",
    "build",
    "config_from_json",
    "register",
    "require_torch",
    "to_json",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_torch()
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
