"""Frames: where they start, how the signal is mirrored at its ends, and the window functions."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..audio import as_rate, check_rate, check_samples, refuse_pair
from ..errors import AudioError
from .options import FramePositions, FrontEndOptions

# Matrix products get exactly this many rows, the last block zero-padded, and frame t is row t % BLOCK_ROWS: BLAS rounds
# differently for another number of rows, and even for another row of the same matrix (OpenBLAS on Haswell, measured).
# So the features of a signal's beginning, or of a piece that begins at a multiple of BLOCK_ROWS frames, equal those of
# the whole signal bit for bit.
BLOCK_ROWS = 64
ROWS_AT_ONCE = 4 * BLOCK_ROWS  # so that one pass' arrays stay in the processor's second-level cache

INT16_SCALE = np.float32(32768)

Arrays = TypeVar("Arrays", np.ndarray, list[np.ndarray])
"""One array, or a list of arrays: what a function gives is what it got."""


@dataclass(frozen=True)
class Framing:
    """How a signal is cut into frames, in samples.

    Attributes:
        size: samples in a frame.
        shift: samples between the starts of two frames.
        fft_size: `size` or a power of two; of no meaning where there is no FFT.
    """

    size: int
    shift: int
    fft_size: int
    snip_edges: bool

    @classmethod
    def of(cls, options: FramePositions, rate: float) -> "Framing":
        """The framing for a sampling rate in Hz; milliseconds are cut down to whole samples in float32, as Kaldi does.

        Raises:
            AudioError: for a rate that no recording has.
            ValueError: if a frame is shorter than 2 samples, a shift shorter than 1, or the FFT size odd.
        """
        check_rate(rate)
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


def n_frames(
    n_samples: int | Sequence[int] | np.ndarray,
    rate: float,
    *,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    snip_edges: bool = True,
) -> np.ndarray:
    """How many frames recordings of so many samples have, int64 of the same shape; 0 where they are too short.

    Args:
        rate: Hz.
        frame_length: as of `mfcc`.
        frame_shift: as of `mfcc`.
        snip_edges: as of `mfcc`.

    Raises:
        AudioError: for an impossible rate.
        ValueError: for another impossible value.

    Examples:
        >>> n_frames([399, 400, 16000], 16000)
        array([ 0,  1, 98])
    """
    positions = FramePositions(frame_length=frame_length, frame_shift=frame_shift, snip_edges=snip_edges)
    framing = Framing.of(positions, as_rate(rate))
    counted = [framing.n_frames(int(n)) for n in np.ravel(n_samples)]
    return np.array(counted, dtype=np.int64).reshape(np.shape(n_samples))


def as_array(samples: Any) -> np.ndarray:
    """Samples as an array.

    Raises:
        AudioError: for what is none, and for tensors that numpy cannot take as they are.
    """
    refuse_pair(samples)
    torch = sys.modules.get("torch")  # whoever has a tensor has loaded it
    is_tensor = torch is not None and isinstance(samples, torch.Tensor)
    if is_tensor and (samples.requires_grad or samples.device.type != "cpu"):
        what = "requires a gradient" if samples.requires_grad else f"is on {samples.device}"
        raise AudioError(
            f"samples are a tensor that {what}; this function gives arrays of numpy: use Mfcc or Fbank of "
            "asr.nn.features, or pass samples.detach().cpu()"
        )
    try:
        return np.asarray(samples)
    except (ValueError, TypeError) as error:
        raise AudioError(f"samples are not an array of numbers ({error})") from None


def one_channel(samples: Any, *, where: str = "samples", may_be_empty: bool = False) -> np.ndarray:
    """The samples of one channel, float32 (n_samples,) in [-1, 1], by the rules of `asr.audio.check_samples`.

    Args:
        where: what to call them in messages.

    Raises:
        AudioError: for anything else.
    """
    array = as_array(samples)
    if array.ndim == 2:
        first, axis = ("samples[0]", 0) if array.shape[0] < array.shape[1] else ("samples[:, 0]", 1)
        raise AudioError(
            f"samples have shape {array.shape}; need one channel: pick one, {first}, or mix, "
            f"samples.mean(axis={axis}); for several recordings pass a list of arrays, or lengths="
        )
    if array.ndim != 1:
        raise AudioError(f"samples have shape {array.shape}; need one channel, (n_samples,)")
    if may_be_empty and len(array) == 0:
        return np.zeros(0, np.float32)
    return check_samples(array, where=where)


def of_each(compute: Callable[[np.ndarray], np.ndarray], samples: Any, lengths: Any = None) -> Any:
    """What is computed of a recording, or of each of several as if it were alone.

    Args:
        compute: samples to features, (n_frames, dim).
        samples: as of `mfcc`, like `lengths` and what comes back.

    Raises:
        AudioError: where a recording cannot be used, with its number among several.
        ValueError: for lengths that do not fit.
    """
    refuse_pair(samples)
    if lengths is not None:
        rows = as_array(samples)
        return _padded(_of_list(compute, [row[:n] for row, n in zip(rows, _checked(lengths, rows), strict=True)]))
    if isinstance(samples, (list, tuple)) and (not samples or np.ndim(samples[0])):
        return _of_list(compute, samples)
    return compute(samples)


def _of_list(compute: Callable[[np.ndarray], np.ndarray], recordings: Sequence[np.ndarray]) -> list[np.ndarray]:
    results = []
    for number, samples in enumerate(recordings):
        try:
            results.append(compute(samples))
        except AudioError as error:
            raise AudioError(f"recording {number} of {len(recordings)}: {error}") from None
    return results


def _checked(lengths: Any, rows: np.ndarray) -> np.ndarray:
    """The lengths as integers. Raises ValueError where they do not fit the rows."""
    numbers = as_array(lengths)
    if rows.ndim != 2 or numbers.shape != rows.shape[:1]:
        raise ValueError(
            f"samples of shape {rows.shape} with lengths of shape {numbers.shape}; need (batch, n_samples) and (batch,)"
        )
    if numbers.dtype.kind not in "iu" or (numbers < 1).any() or (numbers > rows.shape[1]).any():
        raise ValueError(f"lengths={numbers.tolist()}; need whole numbers of samples, 1 to {rows.shape[1]}")
    return numbers


def _padded(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Matrices of one dim in one array (n, most rows, dim), zeros behind the rows of each."""
    if not matrices:
        raise ValueError("a batch of no recordings has no features; need one or more")
    result = np.zeros((len(matrices), max(map(len, matrices)), matrices[0].shape[1]), dtype=np.float32)
    for rows, matrix in zip(result, matrices, strict=True):
        rows[: len(matrix)] = matrix
    return result


def checked_samples(samples: Any, framing: Framing, rate: float) -> np.ndarray:
    """The samples of one channel, long enough for a frame, float32 (n_samples,) in [-1, 1].

    Raises:
        AudioError: for anything else.
    """
    if isinstance(samples, (str, bytes, os.PathLike)):
        raise AudioError(
            f"samples are of type {type(samples).__name__}; a file is not taken here, read it first: "
            "samples, rate = asr.audio.read(path)"
        )
    samples = one_channel(samples, may_be_empty=True)  # which is too short
    if framing.n_frames(len(samples)) == 0:
        need = framing.size if framing.snip_edges else framing.shift - framing.shift // 2
        raise AudioError(
            f"too short: {len(samples)} samples at {rate:g} Hz ({len(samples) / rate:.4g} s); one frame needs {need}"
        )
    return samples


def frame_blocks(samples: np.ndarray, framing: Framing, dither: float, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """The frames of a signal, some at a time.

    Yields the number of valid frames and a view of overlapping rows, float32 (k * BLOCK_ROWS, size) on the int16 scale;
    the rows past the valid ones hold zeros or the rest of the signal.

    Args:
        samples: as of `signal_blocks`.
        dither: as of `signal_blocks`.
        seed: as of `signal_blocks`.
    """
    for count, piece in signal_blocks(samples, framing, dither, seed):
        n_rows, step = (len(piece) - framing.size) // framing.shift + 1, piece.itemsize
        yield count, np.ndarray((n_rows, framing.size), np.float32, piece, strides=(framing.shift * step, step))


def signal_blocks(samples: np.ndarray, framing: Framing, dither: float, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """Pieces of a signal that hold some frames each, and overlap.

    Yields the number of valid frames and the samples of these and of further rows, k * BLOCK_ROWS together, float32 on
    the int16 scale, zero behind the valid ones.

    Args:
        samples: one channel, float32 in [-1, 1].
        dither: standard deviation of Gaussian noise, int16 scale. It is added to the signal, not to each frame anew as
            in Kaldi, so that what overlapping frames share stays the same.
    """
    if dither:
        noise = np.random.default_rng(seed).standard_normal(len(samples), dtype=np.float32)
        samples = samples * INT16_SCALE + np.float32(dither) * noise
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
        np.multiply(part, np.float32(1) if dither else INT16_SCALE, out=piece[:used])
        yield count, piece
