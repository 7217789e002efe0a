"""Features that a corpus brings along, instead of audio: what is checked of them."""

import numpy as np

from ..errors import CorpusError


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
