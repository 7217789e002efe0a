"""From frames to mel energies: offset, energy, pre-emphasis, window, FFT, filters. MFCC and filterbanks share it."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..display.brief import brief_repr
from .frames import BLOCK_ROWS, ROWS_AT_ONCE, Framing, checked_samples, frame_blocks, window
from .mel import mel_filters
from .options import FbankOptions, FrontEndOptions

SMALLEST = np.finfo(np.float32).eps  # floor of what a logarithm is taken of, as in Kaldi


@dataclass(frozen=True, eq=False)
class MelPlan:
    """What is computed once for a set of options and a sampling rate.

    window: float32 (size,); filters: float32 (fft_size // 2, num_mel_bins).
    """

    options: FrontEndOptions
    rate: float
    framing: Framing
    window: np.ndarray
    filters: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


@dataclass(frozen=True, eq=False)
class Scratch:
    """Arrays that are filled anew for each block: taking fresh memory would cost a tenth of the time.

    centred: float32 (ROWS_AT_ONCE, size); padded: (ROWS_AT_ONCE, fft_size), zero right of `size`;
    power: (ROWS_AT_ONCE, fft_size // 2).
    """

    centred: np.ndarray
    padded: np.ndarray
    power: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    @classmethod
    def of(cls, framing: Framing) -> "Scratch":
        """Scratch arrays for a framing."""
        return cls(
            np.empty((ROWS_AT_ONCE, framing.size), dtype=np.float32),
            np.zeros((ROWS_AT_ONCE, framing.fft_size), dtype=np.float32),
            np.empty((ROWS_AT_ONCE, framing.fft_size // 2), dtype=np.float32),
        )


@functools.lru_cache(maxsize=64)
def mel_plan(options: FrontEndOptions, rate: float, vtln_warp: float) -> MelPlan:
    """The plan for options that are possible at this rate. Raises ValueError for others."""
    framing = Framing.of(options, rate)
    shape = window(framing, options.window_type, options.blackman_coeff)
    return MelPlan(options, rate, framing, shape, mel_filters(options, rate, framing.fft_size, vtln_warp))


def mel_energies(samples: np.ndarray, plan: MelPlan, seed: int) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Mel filter outputs of a signal, some frames at a time.

    Yields the number of valid frames, the outputs float32 (k * BLOCK_ROWS, num_mel_bins) whose further rows are
    padding, and the log energies float32 (k * BLOCK_ROWS,) or None where the options do not ask for them.
    Raises AudioError for samples that are not usable.
    """
    checked = checked_samples(samples, plan.framing, plan.rate)
    scratch = Scratch.of(plan.framing)
    for count, frames in frame_blocks(checked, plan.framing, plan.options.dither, seed):
        windowed, log_energy = windowed_frames(frames, plan, scratch)
        yield count, block_product(spectrum(windowed, plan.options, scratch), plan.filters), log_energy


def spectrum(windowed: np.ndarray, options: FrontEndOptions, scratch: Scratch) -> np.ndarray:
    """Power spectrum (or magnitude, if the options say so), without the bin at half the sampling rate.

    windowed: float32 (n_rows, fft_size). Returns float32 (n_rows, fft_size // 2), a part of `scratch`.
    """
    from scipy.fft import rfft

    fft_size = windowed.shape[1]
    parts = rfft(windowed, axis=1).view(np.float32)  # real and imaginary parts in turn
    np.multiply(parts, parts, out=parts)
    power = np.add(parts[:, 0:fft_size:2], parts[:, 1:fft_size:2], out=scratch.power[: len(parts)])
    if isinstance(options, FbankOptions) and not options.use_power:
        np.sqrt(power, out=power)
    return power


def windowed_frames(frames: np.ndarray, plan: MelPlan, scratch: Scratch) -> tuple[np.ndarray, np.ndarray | None]:
    """Frames ready for the FFT and their log energies (None where not asked for).

    frames: float32 (n_rows, size), int16 scale.
    Returns float32 (n_rows, fft_size), zero-padded on the right and a part of `scratch`, and float32 (n_rows,).
    """
    options, size = plan.options, plan.framing.size
    padded = scratch.padded[: len(frames)]
    if options.remove_dc_offset:
        mean = frames.sum(axis=1) / np.float32(size)
        frames = np.subtract(frames, mean[:, None], out=scratch.centred[: len(frames)])
    log_energy = None
    if options.use_energy and options.raw_energy:
        log_energy = log_of(np.einsum("ij,ij->i", frames, frames))
    shaped = padded[:, :size]
    if options.preemphasis_coefficient:
        coefficient = np.float32(options.preemphasis_coefficient)
        np.multiply(frames[:, :-1], coefficient, out=shaped[:, 1:])
        np.multiply(frames[:, 0], coefficient, out=shaped[:, 0])
        np.subtract(frames, shaped, out=shaped)
        np.multiply(shaped, plan.window, out=shaped)
    else:
        np.multiply(frames, plan.window, out=shaped)
    if options.use_energy and not options.raw_energy:
        log_energy = log_of(np.einsum("ij,ij->i", shaped, shaped))
    if log_energy is not None and options.energy_floor > 0:
        np.maximum(log_energy, np.log(np.float32(options.energy_floor)), out=log_energy)
    return padded, log_energy


def log_of(values: np.ndarray) -> np.ndarray:
    """Natural logarithm in place, of no less than float32's epsilon."""
    np.maximum(values, SMALLEST, out=values)
    return np.log(values, out=values)


def block_product(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """`rows @ matrix` with BLOCK_ROWS rows at a time, so that a row's result does not depend on what follows.

    rows: float32 (k * BLOCK_ROWS, n); matrix: float32 (n, m). Returns float32 (k * BLOCK_ROWS, m).
    """
    blocks = rows.reshape(-1, BLOCK_ROWS, rows.shape[1])
    return np.matmul(blocks, matrix).reshape(len(rows), matrix.shape[1])
