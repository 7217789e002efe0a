"""Mel filters: triangles of equal width on the mel scale, with Kaldi's vocal-tract-length warping."""

import numpy as np

from .options import FrontEndOptions

F = np.float32
_WARPS = (0.5, 2.0)  # beyond is no speaker, but a slip


def mel_filters(options: FrontEndOptions, rate: float, fft_size: int, vtln_warp: float = 1.0) -> np.ndarray:
    """The weight of each FFT bin in each mel filter, float32 (fft_size // 2, num_mel_bins).

    The edges are spaced evenly from low_freq to high_freq on the scale mel = 1127 ln(1 + f / 700); the bin at half the
    sampling rate is left out. Every step rounds to float32 where Kaldi does: where a filter covers one or two bins,
    the last digit of an edge shows in the features.

    Args:
        vtln_warp: factor by which the frequencies between vtln_low and vtln_high are divided; 1 is none.

    Raises:
        ValueError: for impossible edges, or a filter so narrow that no FFT bin lies in it.

    Same as Kaldi's MelBanks.
    """
    low, high = _band(options, rate)
    if options.num_mel_bins > fft_size:
        raise ValueError(f"num_mel_bins={options.num_mel_bins}; need fewer than the {fft_size // 2} FFT bins")
    mel_low, mel_high = _mel(low), _mel(high)
    step = F((mel_high - mel_low) / F(options.num_mel_bins + 1))
    edges = mel_low + np.arange(options.num_mel_bins + 2, dtype=F) * step
    if vtln_warp != 1.0:
        edges = _mel(_warped(700 * (_rounded(np.exp, edges / F(1127)) - F(1)), options, rate, vtln_warp))
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    mel = _mel(F(F(rate) / F(fft_size)) * np.arange(fft_size // 2, dtype=F))[:, None]
    rising, falling = (mel - left) / (center - left), (right - mel) / (right - center)
    weights = np.where(mel <= center, rising, falling)
    weights[(mel <= left) | (mel >= right)] = 0
    empty = np.flatnonzero(~((mel > left) & (mel < right)).any(axis=0))
    if len(empty):
        raise ValueError(
            f"num_mel_bins={options.num_mel_bins}: filter {empty[0]} is narrower than an FFT bin "
            f"({rate / fft_size:.4g} Hz); need fewer mel bins, longer frames or a wider band"
        )
    return np.ascontiguousarray(weights, dtype=F)


def _band(options: FrontEndOptions, rate: float) -> tuple[np.float32, np.float32]:
    """low_freq and high_freq in Hz, checked against half the sampling rate."""
    nyquist = F(0.5) * F(rate)
    low = F(options.low_freq)
    high = F(options.high_freq) if options.high_freq > 0 else nyquist + F(options.high_freq)
    if low >= nyquist:
        raise ValueError(f"low_freq={options.low_freq:g}; need less than {nyquist:g}, half the sampling rate")
    if not low < high <= nyquist:
        raise ValueError(
            f"high_freq={options.high_freq:g} is {high:g} Hz; need more than low_freq={options.low_freq:g} and at most "
            f"{nyquist:g}, half the sampling rate"
        )
    return low, high


def _warped(freq: np.ndarray, options: FrontEndOptions, rate: float, warp: float) -> np.ndarray:
    """Frequencies in Hz after the warp: freq / warp in the middle, straight lines to fixed low_freq and high_freq."""
    low, high = _band(options, rate)
    vtln_low = F(options.vtln_low)
    vtln_high = F(options.vtln_high) + (F(0.5) * F(rate) if options.vtln_high < 0 else F(0))
    factor = F(warp)
    if not _WARPS[0] <= factor <= _WARPS[1]:
        raise ValueError(f"vtln_warp={warp:g}; need {_WARPS[0]} to {_WARPS[1]}, of people 0.8 to 1.2")
    lower, upper = vtln_low * max(F(1), factor), vtln_high * min(F(1), factor)
    if not (low < vtln_low < vtln_high < high and low < lower < upper < high):
        raise ValueError(
            f"vtln_low={options.vtln_low:g} and vtln_high={options.vtln_high:g} with vtln_warp={warp:g}; need both, "
            f"also after the warp, in order between {low:g} and {high:g} Hz"
        )
    scale = F(1) / factor
    left = (scale * lower - low) / (lower - low)
    right = (high - scale * upper) / (high - upper)
    middle = np.where(freq < upper, scale * freq, high + right * (freq - high))
    inside = np.where(freq < lower, low + left * (freq - low), middle)
    return np.where((freq < low) | (freq > high), freq, inside).astype(F)


def _mel(freq):
    """Mel of Hz, in float32."""
    return F(1127) * _rounded(np.log, F(1) + freq / F(700))


def _rounded(function, x):
    """A float32 function value rounded once from float64, as a good C library's is."""
    return function(np.asarray(x, dtype=np.float64)).astype(F)
