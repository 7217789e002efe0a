"""SpecAugment's masks: beside a slow version, and their sizes and places in the mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.nn.augmentation import draw_masks, mask
from asr.nn.options import SpecAugmentOptions


def slow_mask(features, lengths, draws, options, fill):
    """The paper's words, row by row: width evenly from 0 to the greatest, then its first place evenly."""
    for row, length, draw in zip(features, lengths, draws, strict=True):
        for number, (u, v) in enumerate(draw):
            is_time = number < options.time_masks
            size = int(length) if is_time else row.shape[1]
            most = min(options.max_time_frames, int(options.max_time_part * size)) if is_time else None
            most = min(options.max_frequency_bins, size) if most is None else most
            width = int(u * (most + 1))
            begin = int(v * (size - width + 1))
            if is_time:
                row[begin : begin + width] = fill
            else:
                row[:length, begin : begin + width] = fill[begin : begin + width]


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    options=st.builds(
        SpecAugmentOptions,
        time_masks=st.integers(0, 2),
        max_time_frames=st.integers(0, 12),
        max_time_part=st.floats(0, 1),
        frequency_masks=st.integers(0, 2),
        max_frequency_bins=st.integers(0, 9),
    ),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=150)
def test_masks_are_those_of_the_slow_version(lengths, options, seed):
    rng = np.random.default_rng(seed)
    lengths = np.array(lengths)
    features = rng.standard_normal((len(lengths), lengths.max(), 7)).astype(np.float32)
    features[np.arange(lengths.max()) >= lengths[:, None]] = 0.0
    fill = rng.standard_normal(7).astype(np.float32)
    draws = draw_masks(options, len(lengths), rng)
    expected = features.copy()
    slow_mask(expected, lengths, draws, options, fill)
    mask(features, lengths, draws, options, fill)
    np.testing.assert_array_equal(features, expected)


def test_masks_hide_as_much_as_they_should_everywhere():
    """Widths are even from 0 to 20, so two time masks hide 20 of 400 frames in the mean, and 1 of 8 bins 2 of 40."""
    options = SpecAugmentOptions(time_masks=2, max_time_frames=20, frequency_masks=1, max_frequency_bins=4)
    features = np.ones((3000, 400, 2), np.float32)
    lengths = np.full(3000, 400)
    time_only = SpecAugmentOptions(time_masks=2, max_time_frames=20)
    mask(features, lengths, draw_masks(time_only, 3000, np.random.default_rng(0)), time_only, np.zeros(2))
    hidden = 1 - features[:, :, 0]
    assert hidden.sum(axis=1).mean() == pytest.approx(20 - 20 * 20 / 400 / 4, rel=0.03)  # overlaps count once
    assert hidden[:, 100:300].mean() == pytest.approx(0.05, rel=0.05)
    wide = np.ones((3000, 2, 40), np.float32)
    bins_only = SpecAugmentOptions(frequency_masks=1, max_frequency_bins=4)
    mask(wide, np.full(3000, 2), draw_masks(bins_only, 3000, np.random.default_rng(0)), bins_only, np.zeros(40))
    assert (1 - wide).mean() * 40 == pytest.approx(2.0, rel=0.05)
    assert options.is_on and not SpecAugmentOptions().is_on
