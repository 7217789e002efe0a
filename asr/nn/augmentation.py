"""SpecAugment: parts of a batch's features are masked, by time and by frequency.

What changes the sound itself is in asr.audio.augment: speed, noise and reverberation; the vocal tract's length is the
front end's `vtln_warp`.
"""

import numpy as np

from .options import SpecAugmentOptions


def draw_masks(options: SpecAugmentOptions, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Random numbers for the masks of a batch, float64 (n_rows, time_masks + frequency_masks, 2) from 0 to 1.

    They are drawn for a whole batch, so that processes that share it mask as one would.
    """
    return rng.random((n_rows, options.time_masks + options.frequency_masks, 2))


def mask(
    features: np.ndarray, lengths: np.ndarray, draws: np.ndarray, options: SpecAugmentOptions, fill: np.ndarray
) -> None:
    """Mask the features of a batch in place.

    Each mask's width is drawn evenly from 0 to its greatest, then its place from all that are possible.

    Args:
        features: float32 (batch, frames, dim).
        lengths: int64 (batch,), frames of each row.
        draws: float64 (batch, n_masks, 2), from `draw_masks`.
        fill: float32 (dim,), what masked values become: the mean of the training features, as the networks normalise by
            it.
    """
    n_frames, dim = features.shape[1:]
    widest = np.minimum(options.max_time_frames, (options.max_time_part * lengths).astype(np.int64))
    hidden = np.zeros(features.shape[:2], bool)
    for draw in draws[:, : options.time_masks].swapaxes(0, 1):
        hidden |= _spans(draw, widest, lengths, n_frames)
    bins = np.zeros((len(features), dim), bool)
    widest_bins = np.full(len(features), min(options.max_frequency_bins, dim))
    for draw in draws[:, options.time_masks :].swapaxes(0, 1):
        bins |= _spans(draw, widest_bins, np.full(len(features), dim), dim)
    hidden_values = (hidden[:, :, None] | bins[:, None, :]) & (np.arange(n_frames) < lengths[:, None])[:, :, None]
    np.copyto(features, fill, where=hidden_values)


def _spans(draw: np.ndarray, widest: np.ndarray, sizes: np.ndarray, size: int) -> np.ndarray:
    """bool (batch, size): one span in each row.

    Args:
        draw: (batch, 2).
        widest: (batch,).
        sizes: (batch,).
    """
    width = np.floor(draw[:, 0] * (widest + 1)).astype(np.int64)
    begin = np.floor(draw[:, 1] * (sizes - width + 1)).astype(np.int64)
    places = np.arange(size)
    return (places >= begin[:, None]) & (places < (begin + width)[:, None])
