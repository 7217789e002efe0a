"""Mel-frequency cepstral coefficients."""

import functools
from typing import Any

import numpy as np

from ..options import with_keywords
from .options import MfccOptions
from .spectrum import block_product, log_of, mel_energies, mel_plan


def mfcc(
    samples: np.ndarray,
    rate: float,
    *,
    options: MfccOptions | None = None,
    seed: int = 0,
    vtln_warp: float = 1.0,
    **names: Any,
) -> np.ndarray:
    """Mel-frequency cepstral coefficients, float32 (n_frames, num_ceps).

    The logarithms of the mel filters' outputs, decorrelated by a cosine transform; the first coefficient is the frame's
    log energy unless use_energy=False.

    samples: (n_samples,), one channel; floats in [-1, 1], which are scaled by 32768 inside, or integers, which keep
        their own scale.
    rate: Hz.
    options: all settings at once; `names` replace single ones, e.g. num_mel_bins=40, snip_edges=False.
    seed: of the dither noise; without effect at dither 0.
    vtln_warp: vocal-tract-length warping factor, about 0.8 to 1.2; 1 is none, more is for a longer tract, whose
        formants are lower.
    Raises AudioError for samples that are not finite or shorter than a frame, TypeError for an unknown name, ValueError
    for an impossible value.

    Same as Kaldi's compute-mfcc-feats --dither=0.   Ref: Davis and Mermelstein, 1980.
    >>> mfcc(np.zeros(16000, dtype=np.float32), 16000).shape
    (98, 13)
    """
    options = with_keywords(options or MfccOptions(), names, "mfcc()")
    plan = mel_plan(options, float(rate), float(vtln_warp))
    transform = cosine_transform(options.num_mel_bins, options.num_ceps, options.cepstral_lifter)
    blocks = []
    for count, energies, log_energy in mel_energies(samples, plan, seed):
        cepstra = block_product(log_of(energies), transform)
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

    lifter: as in HTK, coefficient k is scaled by 1 + lifter / 2 * sin(pi * k / lifter); 0 is off.
    """
    k, n = np.arange(n_ceps), np.arange(n_bins)[:, None]
    transform = np.sqrt(2 / n_bins) * np.cos(np.pi / n_bins * (n + 0.5) * k)
    transform[:, 0] = np.sqrt(1 / n_bins)
    if lifter:
        transform *= 1 + 0.5 * lifter * np.sin(np.pi * k / lifter)
    return transform.astype(np.float32)
