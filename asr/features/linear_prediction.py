"""Linear prediction: predictor coefficients, reflection coefficients and the cepstrum of the all-pole spectrum."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..options import with_keywords
from .frames import ROWS_AT_ONCE, Framing, checked_samples, frame_blocks, window
from .options import LpcOptions
from .spectrum import SMALLEST, not_finite

_PREDICTED = 1e-12  # part of a frame's energy below which the prediction error is rounding noise


class Prediction(NamedTuple):
    """The best predictors of some signals.

    predictors: float64 (order, n), a_1 ... a_order; reflections: float64 (order, n), k_1 ... k_order;
    error: float64 (n,), energy of what is not predicted.
    """

    predictors: np.ndarray
    reflections: np.ndarray
    error: np.ndarray


def lpc(
    samples: np.ndarray, rate: float, *, options: LpcOptions | None = None, seed: int = 0, **names: Any
) -> np.ndarray:
    """Linear prediction coefficients, float32 (n_frames, order).

    Column k - 1 is a_k of the predictor x[n] ~ a_1 x[n-1] + ... + a_order x[n-order] whose squared error over the
    windowed frame, with zeros around it, is smallest (the autocorrelation method): no unit, and independent of the
    signal's loudness. The all-pole filter is 1 / A(z) with A(z) = 1 - a_1 z^-1 - ..., and it is stable.

    samples: (n_samples,), one channel; floats in [-1, 1], which are scaled by 32768 inside, or integers, which keep
        their own scale.
    rate: Hz.
    options: all settings at once; `names` replace single ones, e.g. order=18, window_type="hanning".
    seed: of the dither noise; without effect at dither 0.
    A silent frame (all zeros) has zeros. Where `order` is more than it takes to predict the frame down to rounding
    noise, the reflection coefficients from there on are 0, so the result is always finite.
    Raises AudioError for samples that are not finite or shorter than a frame, TypeError for an unknown name, ValueError
    for an impossible value.

    librosa.lpc gives [1, -a_1, -a_2, ...] of one frame by Burg's method; HTK's LPC has the signs of A(z).
    Ref: Makhoul, 1975, Linear prediction: a tutorial review; Markel and Gray, 1976, Linear Prediction of Speech.
    >>> lpc(np.zeros(16000, dtype=np.float32), 16000).shape
    (98, 12)
    """
    options = with_keywords(options or LpcOptions(), names, "lpc()")
    parts = predictions(samples, rate, options, seed)
    return _rows([found.predictors[:, :count] for count, found in parts])


def reflection_coefficients(
    samples: np.ndarray, rate: float, *, options: LpcOptions | None = None, seed: int = 0, **names: Any
) -> np.ndarray:
    """Reflection coefficients, float32 (n_frames, order), each from -1 to 1.

    Column i - 1 is k_i, the last coefficient of the best predictor of order i (also called PARCOR): how well
    two samples i apart predict each other once those in between are accounted for. In a tube model of the vocal tract
    they say how much of the wave each joint of two sections throws back.

    Arguments and errors are those of `lpc`. A silent frame has zeros.

    Ref: Markel and Gray, 1976, chapter 4; the sign is that of Rabiner and Juang, 1993, section 3.3.
    >>> reflection_coefficients(np.zeros(16000, dtype=np.float32), 16000, order=10).shape
    (98, 10)
    """
    options = with_keywords(options or LpcOptions(), names, "reflection_coefficients()")
    parts = predictions(samples, rate, options, seed)
    return _rows([found.reflections[:, :count] for count, found in parts])


def lpcc(
    samples: np.ndarray, rate: float, *, options: LpcOptions | None = None, seed: int = 0, **names: Any
) -> np.ndarray:
    """Linear prediction cepstra, float32 (n_frames, num_ceps).

    The cepstrum of the all-pole spectrum: column n is the inverse Fourier transform, at n, of the natural logarithm of
    the power spectrum G^2 / |A|^2, times the lifter's scale. c0 is ln G^2, the log energy that is not predicted, on the
    int16 scale as the log energy of `mfcc`; the others come by c_n = a_n + sum over k < n of (k / n) c_k a_(n-k).

    Arguments and errors are those of `lpc`. A silent frame has ln(1.19e-7), the floor of all logarithms here, then
    zeros.

    Ref: Rabiner and Juang, 1993, Fundamentals of Speech Recognition, section 3.3.7.
    >>> lpcc(np.zeros(16000, dtype=np.float32), 16000).shape
    (98, 13)
    """
    options = with_keywords(options or LpcOptions(), names, "lpcc()")
    scale = np.ones(options.num_ceps)
    if options.cepstral_lifter:
        lifter = options.cepstral_lifter
        scale += 0.5 * lifter * np.sin(np.pi * np.arange(options.num_ceps) / lifter)
    parts = predictions(samples, rate, options, seed)
    return _rows([(cepstra(found, options.num_ceps) * scale[:, None])[:, :count] for count, found in parts])


def predictions(
    samples: np.ndarray, rate: float, options: LpcOptions, seed: int = 0
) -> Iterator[tuple[int, Prediction]]:
    """The predictors of a signal's frames, some frames at a time: the number of valid frames, and their Prediction.

    Raises AudioError for samples that are not usable, ValueError for options that are impossible at this rate.
    """
    framing = Framing.of(options, float(rate))
    if options.order >= framing.size:
        raise ValueError(f"order={options.order}; need less than the {framing.size} samples of a frame")
    checked = checked_samples(samples, framing, rate)
    shape = window(framing, options.window_type, options.blackman_coeff, np.float64)
    scratch = np.empty((2, ROWS_AT_ONCE, framing.size))  # filled anew for each block: fresh memory costs time
    for count, frames in frame_blocks(checked, framing, options.dither, seed):
        with np.errstate(invalid="ignore"):
            windowed = _windowed(frames, shape, options, scratch[:, : len(frames)])
            autocorrelation = _autocorrelation(windowed, options.order)
        if not np.isfinite(autocorrelation[:, :count]).all():
            raise not_finite(checked)
        yield count, levinson_durbin(autocorrelation)


def levinson_durbin(autocorrelation: np.ndarray) -> Prediction:
    """The predictors of every order up to the highest, from the order before: the solution of the normal equations.

    autocorrelation: float64 (order + 1, n), lags 0 ... order of n signals. All zeros gives zeros.

    Nothing here depends on what the other signals are. Once the error is below 1e-12 of the energy it is rounding
    noise: that signal's further reflection coefficients are 0.   Ref: Makhoul, 1975, section II.D.
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

    frames: float32 (n_rows, size), int16 scale; scratch: float64 (2, n_rows, size).
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
