"""Recordings of any container, codec, rate and channel count as float32 samples; a bad one is a clear error."""

from .reading import END_SLACK, Audio, AudioInfo, blocks, describe, read, undecodable
from .samples import RATES, as_rate, check_rate, check_samples, need_rate, refuse_pair, resample

__all__ = [
    "END_SLACK",
    "RATES",
    "Audio",
    "AudioInfo",
    "as_rate",
    "blocks",
    "check_rate",
    "check_samples",
    "describe",
    "need_rate",
    "read",
    "refuse_pair",
    "resample",
    "undecodable",
]
