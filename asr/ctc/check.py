"""Checks of the input of all CTC functions."""

from collections.abc import Sequence

import numpy as np

from ..errors import ModelError

_ROUNDING = 1e-3  # a log probability this far above 0 is rounding


def check_log_probs(log_probs: np.ndarray) -> np.ndarray:
    """float32 (n_frames, n_columns), C-contiguous.

    Raises:
        ModelError: for another shape, NaN, or what is above 0.
    """
    log_probs = np.ascontiguousarray(log_probs, np.float32)
    if log_probs.ndim != 2 or log_probs.shape[1] < 2:
        raise ModelError(
            f"log_probs of shape {log_probs.shape}; need (n_frames, n_columns), the blank and a unit at least"
        )
    highest = float(log_probs.max(initial=-np.inf))  # NaN if one is
    if not highest <= _ROUNDING:
        frame, column = np.argwhere(~(log_probs <= _ROUNDING))[0]
        raise ModelError(
            f"frame {frame}, column {column}: {log_probs[frame, column]:g} is no log-probability; they are 0 or less; "
            "does the network's output go through log-softmax?"
        )
    return log_probs


def check_units(units: Sequence[int] | np.ndarray, n_columns: int) -> np.ndarray:
    """int32 (n_units,).

    Raises:
        ModelError: for columns that are no units.
    """
    columns = np.asarray(units, np.int32).reshape(-1)
    if len(columns) and not (columns.min() >= 1 and columns.max() < n_columns):
        raise ModelError(f"units from {columns.min()} to {columns.max()}; need columns 1 to {n_columns - 1}")
    return columns


def least_frames(units: np.ndarray) -> int:
    """How many frames the units need: one each, and a blank between two that are equal."""
    return len(units) + int((units[1:] == units[:-1]).sum())
