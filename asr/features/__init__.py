"""Features of speech: one function a feature, options in a frozen dataclass, frames first."""

from .cepstra import mfcc
from .deltas import delta, splice
from .filterbank import fbank
from .linear_prediction import lpc, lpcc, reflection_coefficients
from .normalization import cmvn, cmvn_statistics
from .options import FbankOptions, LpcOptions, MfccOptions
from .table import FeatureTable

__all__ = [
    "FbankOptions",
    "FeatureTable",
    "LpcOptions",
    "MfccOptions",
    "cmvn",
    "cmvn_statistics",
    "delta",
    "fbank",
    "lpc",
    "lpcc",
    "mfcc",
    "reflection_coefficients",
    "splice",
]
