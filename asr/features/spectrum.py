"""From frames to mel energies: offset, energy, pre-emphasis, window, FFT, filters. MFCC and filterbanks share it.

Up to the power spectrum everything is float64. In float32 the rounding of a loud frame lies 140 dB below it, and where
a filter hears little of it, as above 4 kHz after a telephone, the logarithm would be of that: another number with every
FFT.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..display.brief import brief_repr
from .frames import BLOCK_ROWS, ROWS_AT_ONCE, Framing, checked_samples, signal_blocks, window
from .mel import mel_filters
from .options import FbankOptions, FrontEndOptions

SMALLEST = np.finfo(np.float32).eps  # floor of what a logarithm is taken of, as in Kaldi


@dataclass(frozen=True, eq=False)
class MelPlan:
    """What is computed once for a set of options and a sampling rate.

    Attributes:
        window: float64 (size,), float32's values.
        filters: float32 (fft_size // 2, num_mel_bins).
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

    Attributes:
        padded: float64 (ROWS_AT_ONCE, fft_size), zero right of `size`.
        energy: float64 (ROWS_AT_ONCE,).
        power: float32 (ROWS_AT_ONCE, fft_size // 2).
    """

    padded: np.ndarray
    energy: np.ndarray
    power: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    @classmethod
    def of(cls, framing: Framing) -> "Scratch":
        """Scratch arrays for a framing."""
        return cls(
            np.zeros((ROWS_AT_ONCE, framing.fft_size)),
            np.empty(ROWS_AT_ONCE),
            np.empty((ROWS_AT_ONCE, framing.fft_size // 2), dtype=np.float32),
        )


@functools.lru_cache(maxsize=64)
def mel_plan(options: FrontEndOptions, rate: float, vtln_warp: float) -> MelPlan:
    """The plan for options that are possible at this rate.

    Raises:
        ValueError: for others.
    """
    framing = Framing.of(options, rate)
    shape = window(framing, options.window_type, options.blackman_coeff)  # in float32, as Kaldi has it
    return MelPlan(
        options, rate, framing, shape.astype(np.float64), mel_filters(options, rate, framing.fft_size, vtln_warp)
    )


def mel_energies(samples: np.ndarray, plan: MelPlan, seed: int) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Mel filter outputs of a signal, some frames at a time.

    Yields the number of valid frames, the outputs float32 (k * BLOCK_ROWS, num_mel_bins) whose further rows are
    padding, and the log energies float32 (k * BLOCK_ROWS,) or None where the options do not ask for them.

    Raises:
        AudioError: for samples that are not usable.
    """
    checked = checked_samples(samples, plan.framing, plan.rate)
    scratch = Scratch.of(plan.framing)
    for count, piece in signal_blocks(checked, plan.framing, plan.options.dither, seed):
        windowed, log_energy = windowed_frames(piece, plan, scratch)
        yield count, block_product(spectrum(windowed, plan.options, scratch), plan.filters), log_energy


def spectrum(windowed: np.ndarray, options: FrontEndOptions, scratch: Scratch) -> np.ndarray:
    """Power spectrum (or magnitude, if the options say so), without the bin at half the sampling rate.

    Args:
        windowed: float64 (n_rows, fft_size).

    Returns:
        float32 (n_rows, fft_size // 2), a part of `scratch`.
    """
    from scipy.fft import rfft

    from .mel_kernels import power_of

    power = scratch.power[: len(windowed)]
    power_of(rfft(windowed, axis=1), power)
    if isinstance(options, FbankOptions) and not options.use_power:
        np.sqrt(power, out=power)
    return power


def windowed_frames(piece: np.ndarray, plan: MelPlan, scratch: Scratch) -> tuple[np.ndarray, np.ndarray | None]:
    """Frames ready for the FFT and their log energies (None where not asked for).

    Args:
        piece: float32, the samples of n_rows frames, int16 scale.

    Returns:
        float64 (n_rows, fft_size), zero-padded on the right and a part of `scratch`, and float32 (n_rows,).
    """
    from .mel_kernels import shape_frames  # numba takes a while, which importing mfcc should not

    options, framing = plan.options, plan.framing
    n_rows = (len(piece) - framing.size) // framing.shift + 1
    padded, energy = scratch.padded[:n_rows], scratch.energy[:n_rows]
    coefficient, remove_offset = float(options.preemphasis_coefficient), bool(options.remove_dc_offset)
    shape_frames(piece, framing.shift, coefficient, remove_offset, plan.window, padded, energy)
    if not options.use_energy:
        return padded, None
    if not options.raw_energy:
        energy = np.einsum("ij,ij->i", padded, padded)
    log_energy = log_of(energy.astype(np.float32))
    if options.energy_floor > 0:
        np.maximum(log_energy, np.log(np.float32(options.energy_floor)), out=log_energy)
    return padded, log_energy


def log_of(values: np.ndarray) -> np.ndarray:
    """Natural logarithm in place, of no less than float32's epsilon."""
    np.maximum(values, SMALLEST, out=values)
    return np.log(values, out=values)


def block_product(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """`rows @ matrix` with BLOCK_ROWS rows at a time, so that a row's result does not depend on what follows.

    Args:
        rows: (k * BLOCK_ROWS, n).
        matrix: (n, m); both float32, or both float64.

    Returns:
        such (k * BLOCK_ROWS, m).
    """
    blocks = rows.reshape(-1, BLOCK_ROWS, rows.shape[1])
    return np.matmul(blocks, matrix).reshape(len(rows), matrix.shape[1])
