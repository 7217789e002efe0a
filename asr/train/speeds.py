"""Training data at other speeds, aligned as the recordings they are made of.

A recording heard at 1.1 times its speed says the same phones in 1/1.1 of the time, so that nothing has to be aligned
anew. Ref: Ko et al., 2015, Audio augmentation for speech recognition; Kaldi's recipes align the copies again.
"""

from collections.abc import Sequence

import numpy as np

from ..hmm.transitions import PhoneSegment


def speed_prefix(speed: float) -> str:
    """What Kaldi puts before the ids of utterances and speakers of another speed, e.g. "sp0.9-"."""
    return f"sp{speed:g}-"


def frames_at_speed(values: np.ndarray, n_frames: int, speed: float) -> np.ndarray:
    """What was known of each frame of a recording, for the frames of its copy at a speed.

    Args:
        values: (n_frames of the recording, ...), such as the frames' pdfs.
        n_frames: of the copy.
        speed: above 1 is faster.

    Examples:
        >>> frames_at_speed(np.array([7, 7, 8, 9]), 2, 2.0)
        array([7, 9])
    """
    middles = ((np.arange(n_frames) + 0.5) * speed).astype(np.int64)
    return values[np.minimum(middles, len(values) - 1)]


def segments_at_speed(segments: Sequence[PhoneSegment], n_frames: int, speed: float) -> list[PhoneSegment]:
    """A recording's phones with their frames in its copy at a speed.

    Args:
        segments: without gaps, from frame 0 on.
        n_frames: of the copy, at whose end the last phone ends.

    Examples:
        >>> segments_at_speed([PhoneSegment(1, 0, 4), PhoneSegment(2, 4, 10)], 5, 2.0)
        [PhoneSegment(phone=1, start=0, end=2), PhoneSegment(phone=2, start=2, end=5)]
    """
    ends = [min(n_frames, round(segment.end / speed)) for segment in segments]
    ends[-1:] = [n_frames]
    return [PhoneSegment(s.phone, a, b) for s, a, b in zip(segments, [0, *ends[:-1]], ends, strict=True)]
