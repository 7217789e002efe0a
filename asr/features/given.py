"""Features that a corpus brings along, instead of audio."""

import math
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, CorpusError

_MOST_VALUES = 100_000  # of a frame; more is a slip, or a model made to take all memory


def as_features(value: np.ndarray, *, dim: int | None = None, fewest: int = 1, where: str = "") -> np.ndarray:
    """A matrix of features as float32 (n_frames, dim), C-contiguous; itself where it is that already.

    Args:
        value: finite numbers of any type that float32 can hold.
        dim: values that a frame must have, where it is known.
        fewest: frames needed.
        where: what the message begins with, e.g. a file.

    Raises:
        CorpusError: for anything else.
    """
    front = f"{where}: " if where else ""
    if not isinstance(value, np.ndarray):
        raise CorpusError(f"{front}holds {type(value).__name__}, not one array; need (n_frames, dim)")
    if value.ndim != 2 or value.shape[1] < 1 or len(value) < fewest:
        raise CorpusError(f"{front}holds an array of shape {value.shape}; need (n_frames, dim), 1 or more of each")
    if value.dtype.kind not in "fiu":
        raise CorpusError(f"{front}holds values of type {value.dtype}; need numbers")
    if dim is not None and value.shape[1] != dim:
        raise CorpusError(f"{front}has {value.shape[1]} values per frame; need {dim}, as the model or pipeline says")
    with np.errstate(over="ignore"):
        frames = np.ascontiguousarray(value, dtype=np.float32)
    if not np.isfinite(frames).all():
        t, d = np.argwhere(~np.isfinite(frames))[0]
        raise CorpusError(f"{front}frame {t}, value {d} is {value[t, d]}; need finite numbers (float32)")
    return frames


@dataclass(frozen=True)
class Given:
    """The first step of a pipeline for features that are given.

    Attributes:
        dim: values per frame.
        frame_shift: milliseconds from one frame to the next.
        first_boundary: milliseconds, for the times of what is recognised: see FeaturePipeline.first_boundary; 7.5 for
            Kaldi's features of whole frames of 25 ms every 10 ms.

    Raises:
        ConfigError: for an impossible value.
    """

    dim: int
    frame_shift: float = 10.0
    first_boundary: float = 0.0

    def __post_init__(self) -> None:
        if type(self.dim) is not int or not 1 <= self.dim <= _MOST_VALUES:
            raise ConfigError(f"given features: dim={self.dim!r}; need the values per frame, 1 to {_MOST_VALUES}")
        shift = self.frame_shift
        if isinstance(shift, bool) or not isinstance(shift, (int, float)) or not (math.isfinite(shift) and shift > 0):
            raise ConfigError(f"given features: frame_shift={shift!r}; need milliseconds above 0")
        first = self.first_boundary
        if isinstance(first, bool) or not isinstance(first, (int, float)) or not 0 <= first < math.inf:
            raise ConfigError(f"given features: first_boundary={first!r}; need milliseconds, 0 or more")


class GivenStream:
    """The first stage of a `FeatureStream` that is fed with frames instead of samples: it checks them.

    Args:
        dim: values per frame.
    """

    def __init__(self, dim: int) -> None:
        self._dim, self._ended = dim, False

    def accept(self, frames: np.ndarray) -> np.ndarray:
        """The frames, float32 (n, dim); n may be 0.

        Raises:
            CorpusError: for another shape or values that are not finite.
            ValueError: after `flush`.
        """
        if self._ended:
            raise ValueError("this stream has been flushed; start another one for another recording")
        return as_features(frames, dim=self._dim, fewest=0)

    def flush(self) -> np.ndarray:
        """No frames: none is ever late.

        Raises:
            ValueError: the second time.
        """
        if self._ended:
            raise ValueError("this stream has been flushed already")
        self._ended = True
        return np.zeros((0, self._dim), dtype=np.float32)
