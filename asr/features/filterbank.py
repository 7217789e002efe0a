"""Mel filterbank features."""

import functools
from collections.abc import Sequence

import numpy as np

from ..audio import as_rate
from ..options import takes_options
from .frames import Arrays, of_each
from .options import FbankOptions
from .spectrum import MelPlan, log_of, mel_energies, mel_plan


@takes_options(FbankOptions)
def fbank(
    samples: Arrays,
    rate: float,
    *,
    lengths: Sequence[int] | np.ndarray | None = None,
    options: FbankOptions | None = None,
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
    use_energy: bool = False,
    energy_floor: float = 0.0,
    raw_energy: bool = True,
    htk_compat: bool = False,
    use_log_fbank: bool = True,
    use_power: bool = True,
) -> Arrays:
    """Log mel filterbank outputs, float32 (n_frames, num_mel_bins), one column more with use_energy.

    Arguments, batches and errors are those of `mfcc`, and:

    Args:
        use_energy: the log energy as the first column, or the last with htk_compat.
        use_log_fbank: natural logarithm of the filters' outputs.
        use_power: filter the power spectrum, not the magnitudes.

    Same as Kaldi's compute-fbank-feats --dither=0.

    Examples:
        >>> fbank(np.zeros(16000, dtype=np.float32), 16000, num_mel_bins=40).shape
        (98, 40)
    """
    options = options or FbankOptions()
    plan = mel_plan(options, as_rate(rate), float(vtln_warp))
    return of_each(functools.partial(_fbank, plan=plan, options=options, seed=seed), samples, lengths)


def _fbank(samples: np.ndarray, plan: MelPlan, options: FbankOptions, seed: int) -> np.ndarray:
    """The filter outputs of one recording."""
    blocks = []
    for count, energies, log_energy in mel_energies(samples, plan, seed):
        outputs = log_of(energies) if options.use_log_fbank else energies
        if log_energy is not None:
            columns = [outputs, log_energy] if options.htk_compat else [log_energy, outputs]
            outputs = np.column_stack(columns)
        blocks.append(outputs[:count])
    return np.concatenate(blocks)
