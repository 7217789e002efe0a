"""The front-ends by name, as pipelines and streams call them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import did_you_mean
from .cepstra import mfcc
from .filterbank import fbank
from .linear_prediction import lpc, lpcc, reflection_coefficients
from .options import FbankOptions, FramePositions, LpcOptions, MfccOptions, PitchOptions
from .pitch import PITCH_DIM, pitch


class FrontEnd(NamedTuple):
    """A front-end: its function, its options, its values per frame, and whether it has filters that a warp can move.

    Attributes:
        streams: whether a frame is made of its own samples alone.
    """

    function: Callable[..., np.ndarray]
    options: type[FramePositions]
    dim: Callable[[Any], int]
    has_warp: bool
    streams: bool = True

    def __call__(
        self, samples: np.ndarray, rate: float, options: FramePositions, *, seed: int = 0, vtln_warp: float = 1.0
    ) -> np.ndarray:
        """The features of a signal.

        Raises:
            ValueError: for a warp that this front-end does not have.
        """
        if self.has_warp:
            return self.function(samples, rate, options=options, seed=seed, vtln_warp=vtln_warp)
        if vtln_warp != 1.0:
            name = self.function.__name__
            raise ValueError(
                f"vtln_warp={vtln_warp:g}; {name} has no mel filters to warp: use mfcc or fbank, or a warp of 1"
            )
        if not self.streams:
            return self.function(samples, rate, options=options)
        return self.function(samples, rate, options=options, seed=seed)


FRONT_ENDS = {
    "mfcc": FrontEnd(mfcc, MfccOptions, lambda options: options.num_ceps, True),
    "fbank": FrontEnd(fbank, FbankOptions, lambda options: options.num_mel_bins + options.use_energy, True),
    "lpc": FrontEnd(lpc, LpcOptions, lambda options: options.order, False),
    "lpcc": FrontEnd(lpcc, LpcOptions, lambda options: options.num_ceps, False),
    "reflection_coefficients": FrontEnd(reflection_coefficients, LpcOptions, lambda options: options.order, False),
    "pitch": FrontEnd(pitch, PitchOptions, lambda options: PITCH_DIM, False, streams=False),
}


def front_end(kind: str) -> FrontEnd:
    """The front-end of this name.

    Raises:
        ValueError: for an unknown one, with the nearest.
    """
    if kind not in FRONT_ENDS:
        raise ValueError(f"no front-end {kind!r}; need one of {', '.join(FRONT_ENDS)}{did_you_mean(kind, FRONT_ENDS)}")
    return FRONT_ENDS[kind]
