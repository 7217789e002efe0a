"""Tasks that other processes do in tests of asr.model.workers."""

import os
from pathlib import Path

from asr.errors import ModelError


def doubled(model, number: int) -> int:
    assert model.sample_rate
    return 2 * number


def ends_once(model, mark: Path, number: int) -> int:
    """The process ends at the first time."""
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return 2 * number


def ends(model) -> None:
    os._exit(1)


def raises(model, text: str) -> None:
    raise ModelError(text)
