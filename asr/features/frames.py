"""Frames: where they start, how the signal is mirrored at its ends, and the window functions."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import AudioError
from .options import FramePositions, FrontEndOptions

# Matrix products get exactly this many rows, the last block zero-padded, and frame t is row t % BLOCK_ROWS: BLAS rounds
# differently for another number of rows, and even for another row of the same matrix (OpenBLAS on Haswell, measured).
# So the features of a signal's beginning, or of a piece that begins at a multiple of BLOCK_ROWS frames, equal those of
# the whole signal bit for bit.
BLOCK_ROWS = 64
ROWS_AT_ONCE = 4 * BLOCK_ROWS  # so that one pass' arrays stay in the processor's second-level cache

INT16_SCALE = np.float32(32768)


@dataclass(frozen=True)
class Framing:
    """How a signal is cut into frames, in samples.

    size: samples in a frame; shift: samples between the starts of two frames; fft_size: `size` or a power of two;
        of no meaning where there is no FFT.
    """

    size: int
    shift: int
    fft_size: int
    snip_edges: bool

    @classmethod
    def of(cls, options: FramePositions, rate: float) -> "Framing":
        """The framing for a sampling rate in Hz; milliseconds are cut down to whole samples in float32, as Kaldi does.

        Raises ValueError if a frame is shorter than 2 samples, a shift shorter than 1, or the FFT size odd.
        """
        if not rate > 0 or not np.isfinite(rate):
            raise ValueError(f"rate={rate!r}; need a sampling rate in Hz, more than 0")
        per_ms = np.float32(rate) * np.float32(0.001)
        size = int(per_ms * np.float32(options.frame_length))
        shift = int(per_ms * np.float32(options.frame_shift))
        if size < 2:
            raise ValueError(f"frame_length={options.frame_length:g}; need 2 samples or more at {rate:g} Hz")
        if shift < 1:
            raise ValueError(f"frame_shift={options.frame_shift:g}; need 1 sample or more at {rate:g} Hz")
        if not isinstance(options, FrontEndOptions):
            return cls(size, shift, size, options.snip_edges)
        fft_size = 1 << (size - 1).bit_length() if options.round_to_power_of_two else size
        if fft_size % 2:
            raise ValueError(
                f"frame_length={options.frame_length:g} is {size} samples at {rate:g} Hz; without "
                "round_to_power_of_two need an even number of samples"
            )
        return cls(size, shift, fft_size, options.snip_edges)

    def n_frames(self, n_samples: int) -> int:
        """How many frames a signal has."""
        if not self.snip_edges:
            return (n_samples + self.shift // 2) // self.shift
        return 0 if n_samples < self.size else 1 + (n_samples - self.size) // self.shift

    def first_sample(self, frame: int) -> int:
        """Where a frame starts; negative for the first frames if edges are not snipped."""
        start = frame * self.shift
        return start if self.snip_edges else start + self.shift // 2 - self.size // 2


def window(framing: Framing, window_type: str, blackman_coeff: float, dtype: type = np.float32) -> np.ndarray:
    """The window function, of type `dtype` (size,).   Same as Kaldi's FeatureWindowFunction, which is float32."""
    turn = 2 * np.pi / (framing.size - 1) * np.arange(framing.size)
    shapes = {
        "hanning": lambda: 0.5 - 0.5 * np.cos(turn),
        "sine": lambda: np.sin(0.5 * turn),
        "hamming": lambda: 0.54 - 0.46 * np.cos(turn),
        "povey": lambda: (0.5 - 0.5 * np.cos(turn)) ** 0.85,
        "rectangular": lambda: np.ones_like(turn),
        "blackman": lambda: blackman_coeff - 0.5 * np.cos(turn) + (0.5 - blackman_coeff) * np.cos(2 * turn),
    }
    return shapes[window_type]().astype(dtype)


def mirrored(positions: np.ndarray, n_samples: int) -> np.ndarray:
    """Positions folded back into the signal at both ends: -1 is 0, -2 is 1, n_samples is n_samples - 1."""
    folded = positions % (2 * n_samples)
    return np.where(folded < n_samples, folded, 2 * n_samples - 1 - folded)


def int16_scaled(samples: np.ndarray) -> np.ndarray:
    """float32 copy on the int16 scale: float samples in [-1, 1] times 32768, integers as they are."""
    with np.errstate(over="ignore"):  # what overflows is found in the features
        scaled = samples.astype(np.float32)
        return np.multiply(scaled, INT16_SCALE, out=scaled) if samples.dtype.kind == "f" else scaled


def one_channel(samples: np.ndarray) -> np.ndarray:
    """The samples as an array of one channel, floats or integers. Raises AudioError for anything else."""
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise AudioError(f"samples have shape {samples.shape}; need one channel: mix or pick one, e.g. samples[:, 0]")
    if samples.dtype.kind not in "iuf":
        raise AudioError(f"samples are of type {samples.dtype}; need floats in [-1, 1] or integers")
    return samples


def checked_samples(samples: np.ndarray, framing: Framing, rate: float) -> np.ndarray:
    """The samples as an array, one channel, long enough for a frame.

    Raises AudioError for anything else.
    """
    samples = one_channel(samples)
    if framing.n_frames(len(samples)) == 0:
        need = framing.size if framing.snip_edges else framing.shift - framing.shift // 2
        raise AudioError(
            f"too short: {len(samples)} samples at {rate:g} Hz ({len(samples) / rate:.4g} s); one frame needs {need}"
        )
    return samples


def frame_blocks(samples: np.ndarray, framing: Framing, dither: float, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """The frames of a signal, some at a time.

    samples: one channel, floats in [-1, 1] or integers.
    dither: standard deviation of Gaussian noise, int16 scale. It is added to the signal, not to each frame anew as in
        Kaldi, so that what overlapping frames share stays the same.
    Yields the number of valid frames and a view of overlapping rows, float32 (k * BLOCK_ROWS, size) on the int16 scale;
    the rows past the valid ones hold zeros or the rest of the signal.
    """
    if dither:
        noise = np.random.default_rng(seed).standard_normal(len(samples), dtype=np.float32)
        samples = int16_scaled(samples) + np.float32(dither) * noise
    n_samples, n_frames = len(samples), framing.n_frames(len(samples))
    for first in range(0, n_frames, ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, n_frames - first)
        rows = -(-count // BLOCK_ROWS) * BLOCK_ROWS
        begin = framing.first_sample(first)
        used = (count - 1) * framing.shift + framing.size
        if begin >= 0 and begin + used <= n_samples:
            part = samples[begin : begin + used]
        else:
            part = samples[mirrored(np.arange(begin, begin + used), n_samples)]
        piece = np.zeros((rows - 1) * framing.shift + framing.size, dtype=np.float32)
        piece[:used] = part if dither else int16_scaled(part)
        step = piece.itemsize
        yield count, np.ndarray((rows, framing.size), np.float32, piece, strides=(framing.shift * step, step))
