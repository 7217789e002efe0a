"""Connectionist temporal classification: units from the output of a CTC network, and where in it they are.

Everywhere log_probs are float32 (n_frames, n_columns), natural logarithms whose rows sum to 1: column 0 is the blank,
column p the unit (phone, letter, word piece) with the id p. No torch is needed here; training is in asr.nn.ctc.
"""

from .align import CtcAlignment, ctc_align
from .greedy import greedy
from .prefix import Prefix, PrefixOptions, PrefixSearch
from .tokens import CtcTokens

__all__ = [
    "CtcAlignment",
    "CtcTokens",
    "Prefix",
    "PrefixOptions",
    "PrefixSearch",
    "ctc_align",
    "greedy",
]
