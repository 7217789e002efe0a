"""Mel-frequency cepstral coefficients."""

import functools
from collections.abc import Sequence

import numpy as np

from ..audio import as_rate
from ..options import takes_options
from .frames import Arrays, of_each
from .options import MfccOptions
from .spectrum import MelPlan, block_product, log_of, mel_energies, mel_plan


@takes_options(MfccOptions)
def mfcc(
    samples: Arrays,
    rate: float,
    *,
    lengths: Sequence[int] | np.ndarray | None = None,
    options: MfccOptions | None = None,
    seed: int = 0,
    vtln_warp: float = 1.0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    snip_edges: bool = True,
    dither: float = 0.0,
    preemphasis_coefficient: float = 0.97,
    remove_dc_offset: bool = True,
    window_type: str = "povey",
    blackman_coeff: float = 0.42,
    round_to_power_of_two: bool = True,
    num_mel_bins: int = 23,
    low_freq: float = 20.0,
    high_freq: float = 0.0,
    vtln_low: float = 100.0,
    vtln_high: float = -500.0,
    use_energy: bool = True,
    energy_floor: float = 0.0,
    raw_energy: bool = True,
    htk_compat: bool = False,
    num_ceps: int = 13,
    cepstral_lifter: float = 22.0,
) -> Arrays:
    """Mel-frequency cepstral coefficients, float32 (n_frames, num_ceps).

    The logarithms of the mel filters' outputs, decorrelated by a cosine transform; the first coefficient is the frame's
    log energy unless use_energy=False.

    Args:
        samples: (n_samples,), one channel: floats in [-1, 1], or integers of 8, 16 or 32 bits, which are divided by
            their full scale; inside, all are multiplied by 32768, as Kaldi works on 16-bit samples. Or several
            recordings, each of which gets the rows that it gets alone: a list of such arrays, which gives a list; or,
            with `lengths`, (batch, n_samples), which gives (batch, most frames, num_ceps) with zeros behind a
            recording's frames, as many as `n_frames` says.
        rate: Hz.
        lengths: (batch,), how many samples of each row are the recording's; the others are padding.
        options: all settings at once; those given by name replace single ones.
        seed: of the dither noise; without effect at dither 0.
        vtln_warp: vocal-tract-length warping factor, about 0.8 to 1.2; 1 is none, more is for a longer tract, whose
            formants are lower.
        frame_length: ms.
        frame_shift: ms.
        snip_edges: only whole frames; False: n_samples / shift frames, the ends mirrored.
        dither: standard deviation of added noise, int16 scale.
        preemphasis_coefficient: 0 to 1; 0 is off.
        remove_dc_offset: subtract each frame's mean.
        window_type: "hamming", "hanning", "povey", "rectangular", "sine" or "blackman", with blackman_coeff, 0 to 1.
        round_to_power_of_two: zero-pad frames to a power of two for the FFT.
        num_mel_bins: 3 or more.
        low_freq: Hz, edges of the filters; a high_freq of 0 or less is counted from half the sampling rate.
        high_freq: see `low_freq`.
        vtln_low: Hz, where a warp fades out.
        vtln_high: Hz, where a warp fades out.
        use_energy: log energy instead of C0.
        energy_floor: the least energy, int16 scale squared; 0 is off.
        raw_energy: energy before pre-emphasis and window.
        htk_compat: energy or C0 comes last.
        num_ceps: 1 to num_mel_bins, counts C0.
        cepstral_lifter: scales cepstrum k by 1 + lifter/2 sin(pi k / lifter).

    Raises:
        AudioError: for samples that are not finite or shorter than a frame.
        TypeError: for an unknown name.
        ValueError: for an impossible value.

    Tensors of torch are for `asr.nn.features`; here those of the CPU are taken as arrays.

    Same as Kaldi's compute-mfcc-feats --dither=0.   Ref: Davis and Mermelstein, 1980.

    Examples:
        >>> mfcc(np.zeros(16000, dtype=np.float32), 16000).shape
        (98, 13)
    """
    options = options or MfccOptions()
    plan = mel_plan(options, as_rate(rate), float(vtln_warp))
    return of_each(functools.partial(_mfcc, plan=plan, options=options, seed=seed), samples, lengths)


def _mfcc(samples: np.ndarray, plan: MelPlan, options: MfccOptions, seed: int) -> np.ndarray:
    """The coefficients of one recording."""
    # In float64: of 80 filters float32's sums would be 1e-4 off.
    transform = cosine_transform(options.num_mel_bins, options.num_ceps, options.cepstral_lifter).astype(np.float64)
    blocks = []
    for count, energies, log_energy in mel_energies(samples, plan, seed):
        cepstra = block_product(log_of(energies).astype(np.float64), transform).astype(np.float32)
        if options.use_energy:
            cepstra[:, 0] = log_energy
        if options.htk_compat:
            first = cepstra[:, 0] if options.use_energy else cepstra[:, 0] * np.float32(np.sqrt(2))
            cepstra = np.column_stack([cepstra[:, 1:], first])
        blocks.append(cepstra[:count])
    return np.concatenate(blocks)


@functools.lru_cache(maxsize=64)
def cosine_transform(n_bins: int, n_ceps: int, lifter: float) -> np.ndarray:
    """The orthonormal type-2 cosine transform with the lifter's scales, float32 (n_bins, n_ceps).

    Args:
        lifter: as in HTK, coefficient k is scaled by 1 + lifter / 2 * sin(pi * k / lifter); 0 is off.
    """
    k, n = np.arange(n_ceps), np.arange(n_bins)[:, None]
    transform = np.sqrt(2 / n_bins) * np.cos(np.pi / n_bins * (n + 0.5) * k)
    transform[:, 0] = np.sqrt(1 / n_bins)
    if lifter:
        transform *= 1 + 0.5 * lifter * np.sin(np.pi * k / lifter)
    return transform.astype(np.float32)
