"""Linear prediction: predictor coefficients, reflection coefficients and the cepstrum of the all-pole spectrum."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..audio import as_rate
from ..display.brief import brief_repr
from ..options import takes_options
from .frames import ROWS_AT_ONCE, Arrays, Framing, checked_samples, frame_blocks, of_each, window
from .options import LpcOptions
from .spectrum import SMALLEST

_PREDICTED = 1e-12  # part of a frame's energy below which the prediction error is rounding noise


class Prediction(NamedTuple):
    """The best predictors of some signals.

    Attributes:
        predictors: float64 (order, n), a_1 ... a_order.
        reflections: float64 (order, n), k_1 ... k_order.
        error: float64 (n,), energy of what is not predicted.
    """

    predictors: np.ndarray
    reflections: np.ndarray
    error: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


@takes_options(LpcOptions)
def lpc(
    samples: Arrays,
    rate: float,
    *,
    lengths: Sequence[int] | np.ndarray | None = None,
    options: LpcOptions | None = None,
    seed: int = 0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    snip_edges: bool = True,
    dither: float = 0.0,
    preemphasis_coefficient: float = 0.97,
    remove_dc_offset: bool = True,
    window_type: str = "hamming",
    blackman_coeff: float = 0.42,
    order: int = 12,
    num_ceps: int = 13,
    cepstral_lifter: float = 22.0,
) -> Arrays:
    """Linear prediction coefficients, float32 (n_frames, order).

    Column k - 1 is a_k of the predictor x[n] ~ a_1 x[n-1] + ... + a_order x[n-order] whose squared error over the
    windowed frame, with zeros around it, is smallest (the autocorrelation method): no unit, and independent of the
    signal's loudness. The all-pole filter is 1 / A(z) with A(z) = 1 - a_1 z^-1 - ..., and it is stable.

    A silent frame (all zeros) has zeros. Where `order` is more than it takes to predict the frame down to rounding
    noise, the reflection coefficients from there on are 0, so the result is always finite.

    Args:
        samples: as of `mfcc`, like `rate`, `lengths` and what is not named here.
        options: all settings at once; those given by name replace single ones.
        order: of the predictor, 1 to the samples of a frame less 1.
        num_ceps: of `lpcc` alone.
        cepstral_lifter: of `lpcc` alone.

    Raises:
        AudioError: for samples that are not finite or shorter than a frame.
        TypeError: for an unknown name.
        ValueError: for an impossible value.

    librosa.lpc gives [1, -a_1, -a_2, ...] of one frame by Burg's method; HTK's LPC has the signs of A(z).
    Ref: Makhoul, 1975, Linear prediction: a tutorial review; Markel and Gray, 1976, Linear Prediction of Speech.

    Examples:
        >>> lpc(np.zeros(16000, dtype=np.float32), 16000).shape
        (98, 12)
    """
    chosen = options or LpcOptions()

    def predictors(one: np.ndarray) -> np.ndarray:
        return _rows([found.predictors[:, :count] for count, found in predictions(one, rate, chosen, seed)])

    return of_each(predictors, samples, lengths)


@takes_options(LpcOptions)
def reflection_coefficients(
    samples: Arrays,
    rate: float,
    *,
    lengths: Sequence[int] | np.ndarray | None = None,
    options: LpcOptions | None = None,
    seed: int = 0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    snip_edges: bool = True,
    dither: float = 0.0,
    preemphasis_coefficient: float = 0.97,
    remove_dc_offset: bool = True,
    window_type: str = "hamming",
    blackman_coeff: float = 0.42,
    order: int = 12,
    num_ceps: int = 13,
    cepstral_lifter: float = 22.0,
) -> Arrays:
    """Reflection coefficients, float32 (n_frames, order), each from -1 to 1.

    Column i - 1 is k_i, the last coefficient of the best predictor of order i (also called PARCOR): how well
    two samples i apart predict each other once those in between are accounted for. In a tube model of the vocal tract
    they say how much of the wave each joint of two sections throws back.

    Arguments and errors are those of `lpc`. A silent frame has zeros.

    Ref: Markel and Gray, 1976, chapter 4; the sign is that of Rabiner and Juang, 1993, section 3.3.

    Examples:
        >>> reflection_coefficients(np.zeros(16000, dtype=np.float32), 16000, order=10).shape
        (98, 10)
    """
    chosen = options or LpcOptions()

    def reflections(one: np.ndarray) -> np.ndarray:
        return _rows([found.reflections[:, :count] for count, found in predictions(one, rate, chosen, seed)])

    return of_each(reflections, samples, lengths)


@takes_options(LpcOptions)
def lpcc(
    samples: Arrays,
    rate: float,
    *,
    lengths: Sequence[int] | np.ndarray | None = None,
    options: LpcOptions | None = None,
    seed: int = 0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    snip_edges: bool = True,
    dither: float = 0.0,
    preemphasis_coefficient: float = 0.97,
    remove_dc_offset: bool = True,
    window_type: str = "hamming",
    blackman_coeff: float = 0.42,
    order: int = 12,
    num_ceps: int = 13,
    cepstral_lifter: float = 22.0,
) -> Arrays:
    """Linear prediction cepstra, float32 (n_frames, num_ceps).

    The cepstrum of the all-pole spectrum: column n is the inverse Fourier transform, at n, of the natural logarithm of
    the power spectrum G^2 / |A|^2, times the lifter's scale. c0 is ln G^2, the log energy that is not predicted, on the
    int16 scale as the log energy of `mfcc`; the others come by c_n = a_n + sum over k < n of (k / n) c_k a_(n-k).

    Arguments and errors are those of `lpc`. A silent frame has ln(1.19e-7), the floor of all logarithms here, then
    zeros.

    Args:
        num_ceps: 1 or more; counts c0; may exceed the order.
        cepstral_lifter: scales cepstrum k by 1 + lifter/2 sin(pi k / lifter); 0 is off.

    Ref: Rabiner and Juang, 1993, Fundamentals of Speech Recognition, section 3.3.7.

    Examples:
        >>> lpcc(np.zeros(16000, dtype=np.float32), 16000).shape
        (98, 13)
    """
    chosen = options or LpcOptions()
    scale = np.ones((chosen.num_ceps, 1))
    if lifter := chosen.cepstral_lifter:
        scale[:, 0] += 0.5 * lifter * np.sin(np.pi * np.arange(chosen.num_ceps) / lifter)

    def liftered(one: np.ndarray) -> np.ndarray:
        parts = predictions(one, rate, chosen, seed)
        return _rows([(cepstra(found, chosen.num_ceps) * scale)[:, :count] for count, found in parts])

    return of_each(liftered, samples, lengths)


def predictions(
    samples: np.ndarray, rate: float, options: LpcOptions, seed: int = 0
) -> Iterator[tuple[int, Prediction]]:
    """The predictors of a signal's frames, some frames at a time: the number of valid frames, and their Prediction.

    Raises:
        AudioError: for samples that are not usable.
        ValueError: for options that are impossible at this rate.
    """
    framing = lpc_framing(options, as_rate(rate))
    checked = checked_samples(samples, framing, rate)
    shape = window(framing, options.window_type, options.blackman_coeff, np.float64)
    scratch = np.empty((2, ROWS_AT_ONCE, framing.size))  # filled anew for each block: fresh memory costs time
    for count, frames in frame_blocks(checked, framing, options.dither, seed):
        windowed = _windowed(frames, shape, options, scratch[:, : len(frames)])
        yield count, levinson_durbin(_autocorrelation(windowed, options.order))


def lpc_framing(options: LpcOptions, rate: float) -> Framing:
    """How a signal is cut into frames.

    Raises:
        ValueError: for an order that they are too short for.
    """
    framing = Framing.of(options, rate)
    if options.order >= framing.size:
        raise ValueError(f"order={options.order}; need less than the {framing.size} samples of a frame")
    return framing


def levinson_durbin(autocorrelation: np.ndarray) -> Prediction:
    """The predictors of every order up to the highest, from the order before: the solution of the normal equations.

    Args:
        autocorrelation: float64 (order + 1, n), lags 0 ... order of n signals. All zeros gives zeros.

    Nothing here depends on what the other signals are. Once the error is below 1e-12 of the energy it is rounding
    noise: that signal's further reflection coefficients are 0.   Ref: Makhoul, 1975, section II.D.

    Examples:
        >>> levinson_durbin(np.array([[1.0], [0.5], [0.25]])).predictors.ravel()
        array([0.5, 0. ])
    """
    order, n = len(autocorrelation) - 1, autocorrelation.shape[1]
    predictors, reflections = np.zeros((order, n)), np.zeros((order, n))
    error = autocorrelation[0].copy()
    for i in range(order):
        known = predictors[:i].copy()
        left = autocorrelation[i + 1] - (known * autocorrelation[i:0:-1]).sum(axis=0)
        np.divide(left, error, out=reflections[i], where=error > _PREDICTED * autocorrelation[0])
        np.clip(reflections[i], -1, 1, out=reflections[i])
        predictors[:i] -= reflections[i] * known[::-1]
        predictors[i] = reflections[i]
        error *= 1 - np.square(reflections[i])
    return Prediction(predictors, reflections, error)


def cepstra(prediction: Prediction, num_ceps: int) -> np.ndarray:
    """c0 ... of the all-pole spectra, float64 (num_ceps, n), by the recursion in `lpcc`, without lifter."""
    order, n = prediction.predictors.shape
    result = np.zeros((num_ceps, n))
    result[0] = np.log(np.maximum(prediction.error, SMALLEST))
    for m in range(1, num_ceps):
        if m <= order:
            result[m] = prediction.predictors[m - 1]
        first = max(1, m - order)
        share = np.arange(first, m)[:, None] / m
        result[m] += (share * result[first:m] * prediction.predictors[: m - first][::-1]).sum(axis=0)
    return result


def _windowed(frames: np.ndarray, shape: np.ndarray, options: LpcOptions, scratch: np.ndarray) -> np.ndarray:
    """Frames without offset, pre-emphasised and windowed, float64 (n_rows, size), a part of `scratch`.

    Args:
        frames: float32 (n_rows, size), int16 scale.
        scratch: float64 (2, n_rows, size).
    """
    centred, shaped = scratch
    centred[:] = frames
    if options.remove_dc_offset:
        centred -= centred.mean(axis=1, keepdims=True)
    np.multiply(centred[:, :-1], options.preemphasis_coefficient, out=shaped[:, 1:])
    np.multiply(centred[:, 0], options.preemphasis_coefficient, out=shaped[:, 0])
    np.subtract(centred, shaped, out=shaped)
    return np.multiply(shaped, shape, out=shaped)


def _autocorrelation(windowed: np.ndarray, order: int) -> np.ndarray:
    """Lags 0 ... order of each row, float64 (order + 1, n_rows)."""
    size = windowed.shape[1]
    result = np.empty((order + 1, len(windowed)))
    for lag in range(order + 1):
        np.einsum("ij,ij->i", windowed[:, : size - lag], windowed[:, lag:], out=result[lag])
    return result


def _rows(columns: list[np.ndarray]) -> np.ndarray:
    """Blocks of one column per frame as one float32 matrix of one row per frame, C-contiguous."""
    return np.concatenate([block.T.astype(np.float32, order="C") for block in columns])
