"""Features of speech: one function a feature, options in a frozen dataclass, frames first."""

from .cepstra import mfcc
from .deltas import delta
from .filterbank import fbank
from .normalization import cmvn, cmvn_statistics
from .options import FbankOptions, MfccOptions
from .table import FeatureTable

__all__ = ["FbankOptions", "FeatureTable", "MfccOptions", "cmvn", "cmvn_statistics", "delta", "fbank", "mfcc"]
