"""Mel filterbank features."""

from typing import Any

import numpy as np

from ..options import with_keywords
from .options import FbankOptions
from .spectrum import log_of, mel_energies, mel_plan


def fbank(
    samples: np.ndarray,
    rate: float,
    *,
    options: FbankOptions | None = None,
    seed: int = 0,
    vtln_warp: float = 1.0,
    **names: Any,
) -> np.ndarray:
    """Log mel filterbank outputs, float32 (n_frames, num_mel_bins), one column more with use_energy.

    Arguments and errors are those of `mfcc`. The log energy is the first column, or the last with htk_compat.

    Same as Kaldi's compute-fbank-feats --dither=0.
    >>> fbank(np.zeros(16000, dtype=np.float32), 16000, num_mel_bins=40).shape
    (98, 40)
    """
    options = with_keywords(options or FbankOptions(), names, "fbank()")
    plan = mel_plan(options, float(rate), float(vtln_warp))
    blocks = []
    for count, energies, log_energy in mel_energies(samples, plan, seed):
        outputs = log_of(energies) if options.use_log_fbank else energies
        if log_energy is not None:
            columns = [outputs, log_energy] if options.htk_compat else [log_energy, outputs]
            outputs = np.column_stack(columns)
        blocks.append(outputs[:count])
    return np.concatenate(blocks)
