"""Features of speech: one function a feature, options in a frozen dataclass, frames first."""

from .archive import read_matrix, read_scp, write_archive, write_matrix
from .cepstra import mfcc
from .deltas import delta, splice
from .filterbank import fbank
from .frames import n_frames
from .linear_prediction import lpc, lpcc, reflection_coefficients
from .normalization import CausalCmvn, cmvn, cmvn_statistics
from .options import FbankOptions, LpcOptions, MfccOptions, PitchOptions
from .pipeline import Affine, Cmvn, Delta, FeaturePipeline, FrontEnd, Given, Splice
from .pitch import PitchTrack, pitch, track_pitch
from .streaming import FeatureStream, StreamingContext, StreamingFrontEnd, streaming_delta, streaming_splice
from .table import FeatureTable

__all__ = [
    "Affine",
    "CausalCmvn",
    "Cmvn",
    "Delta",
    "FbankOptions",
    "FeaturePipeline",
    "FeatureStream",
    "FeatureTable",
    "FrontEnd",
    "Given",
    "LpcOptions",
    "MfccOptions",
    "PitchOptions",
    "PitchTrack",
    "Splice",
    "StreamingContext",
    "StreamingFrontEnd",
    "cmvn",
    "cmvn_statistics",
    "delta",
    "fbank",
    "lpc",
    "lpcc",
    "mfcc",
    "n_frames",
    "pitch",
    "read_matrix",
    "read_scp",
    "reflection_coefficients",
    "splice",
    "streaming_delta",
    "streaming_splice",
    "track_pitch",
    "write_archive",
    "write_matrix",
]
