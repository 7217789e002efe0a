"""The front-ends by name, as pipelines and streams call them; each is imported when it is first called."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import did_you_mean
from .options import FbankOptions, FramePositions, LpcOptions, MfccOptions, PitchOptions

PITCH_DIM = 3


def _no_loudness(features: np.ndarray, options: Any) -> None:
    """These features do not say how loud a frame is."""


class Extractor(NamedTuple):
    """A front-end: its function and its options, and what pipelines must know of them.

    Attributes:
        imported: gives the function.
        options: the class of its options.
        words: what its values are called.
        dim: values per frame with these options.
        check: raises ValueError or AudioError for options that are impossible at a sampling rate in Hz.
        has_warp: whether it has mel filters that a warp can move.
        streams: whether a frame is made of its own samples alone.
        rises_with_loudness: whether a frame's first value does, where htk_compat has not put it last.
        loudness: of features and options, see `FeaturePipeline.loudness`.
    """

    imported: Callable[[], Callable[..., np.ndarray]]
    options: type[FramePositions]
    words: str
    dim: Callable[[Any], int]
    check: Callable[[Any, float], object]
    has_warp: bool = False
    streams: bool = True
    rises_with_loudness: bool = False
    loudness: Callable[[np.ndarray, Any], np.ndarray | None] = _no_loudness

    @property
    def function(self) -> Callable[..., np.ndarray]:
        """From samples and a sampling rate in Hz to features."""
        return self.imported()

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


def _mfcc_loudness(features: np.ndarray, options: MfccOptions) -> np.ndarray:
    """C0 or the energy."""
    return features[:, options.num_ceps - 1 if options.htk_compat else 0]


def _fbank_loudness(features: np.ndarray, options: FbankOptions) -> np.ndarray | None:
    """The mean of the lower half of the filters, where voices are louder than most noises."""
    if not options.use_log_fbank:
        return None
    first = int(options.use_energy and not options.htk_compat)
    return features[:, first : first + max(1, options.num_mel_bins // 2)].mean(axis=1)


def _check_mel(options: Any, rate: float) -> None:
    from .spectrum import mel_plan

    mel_plan(options, rate, 1.0)


def _check_lpc(options: LpcOptions, rate: float) -> None:
    from .linear_prediction import lpc_framing

    lpc_framing(options, rate)


def _check_pitch(options: PitchOptions, rate: float) -> None:
    from .pitch_tracking import check_pitch

    check_pitch(options, rate)


def _mfcc() -> Callable[..., np.ndarray]:
    from .cepstra import mfcc

    return mfcc


def _fbank() -> Callable[..., np.ndarray]:
    from .filterbank import fbank

    return fbank


def _lpc() -> Callable[..., np.ndarray]:
    from .linear_prediction import lpc

    return lpc


def _lpcc() -> Callable[..., np.ndarray]:
    from .linear_prediction import lpcc

    return lpcc


def _reflection_coefficients() -> Callable[..., np.ndarray]:
    from .linear_prediction import reflection_coefficients

    return reflection_coefficients


def _pitch() -> Callable[..., np.ndarray]:
    from .pitch_tracking import pitch

    return pitch


FRONT_ENDS = {
    "mfcc": Extractor(
        _mfcc,
        MfccOptions,
        "MFCC",
        lambda options: options.num_ceps,
        _check_mel,
        has_warp=True,
        rises_with_loudness=True,
        loudness=_mfcc_loudness,
    ),
    "fbank": Extractor(
        _fbank,
        FbankOptions,
        "log mel filter outputs",
        lambda options: options.num_mel_bins + options.use_energy,
        _check_mel,
        has_warp=True,
        rises_with_loudness=True,
        loudness=_fbank_loudness,
    ),
    "lpc": Extractor(_lpc, LpcOptions, "LPC coefficients", lambda options: options.order, _check_lpc),
    "lpcc": Extractor(
        _lpcc, LpcOptions, "LPC cepstra", lambda options: options.num_ceps, _check_lpc, rises_with_loudness=True
    ),
    "reflection_coefficients": Extractor(
        _reflection_coefficients, LpcOptions, "reflection coefficients", lambda options: options.order, _check_lpc
    ),
    "pitch": Extractor(
        _pitch, PitchOptions, "pitch and voicing values", lambda options: PITCH_DIM, _check_pitch, streams=False
    ),
}


def front_end(kind: str) -> Extractor:
    """The front-end of this name.

    Raises:
        ValueError: for an unknown one, with the nearest.
    """
    if kind not in FRONT_ENDS:
        raise ValueError(f"no front-end {kind!r}; need one of {', '.join(FRONT_ENDS)}{did_you_mean(kind, FRONT_ENDS)}")
    return FRONT_ENDS[kind]
