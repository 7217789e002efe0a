"""Deltas of signals whose slope is known, and spliced frames."""

import numpy as np
import pytest

from asr.features import delta, splice


def test_delta_of_a_line_is_its_slope_and_of_a_parabola_twice_its_curvature():
    t = np.arange(30.0)
    features = np.column_stack([3 * t + 1, 0.5 * t**2])
    result = delta(features)
    np.testing.assert_allclose(result[4:-4, 2], 3, atol=1e-4)
    np.testing.assert_allclose(result[4:-4, 3], t[4:-4], atol=1e-3)
    np.testing.assert_allclose(result[4:-4, 4], 0, atol=1e-4)
    np.testing.assert_allclose(result[4:-4, 5], 1, atol=1e-3)


def test_order_zero_and_no_frames():
    features = np.ones((4, 2), dtype=np.float32)
    assert np.array_equal(delta(features, order=0), features)
    assert delta(features[:0]).shape == (0, 6)


def test_frames_far_away_do_not_matter():
    features = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    assert np.array_equal(delta(features[10:])[4:], delta(features)[14:])


def test_errors():
    with pytest.raises(ValueError, match="order=-1"):
        delta(np.zeros((3, 2)), order=-1)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        delta(np.zeros(3))


def test_splice_by_hand():
    features = np.array([[1, 10], [2, 20], [3, 30]], dtype=np.float32)
    assert splice(features, left=2, right=1).tolist() == [
        [1, 10, 1, 10, 1, 10, 2, 20],
        [1, 10, 1, 10, 2, 20, 3, 30],
        [1, 10, 2, 20, 3, 30, 3, 30],
    ]
    assert splice(features).shape == (3, 18)
    assert np.array_equal(splice(features, left=0, right=0), features)
    assert splice(features[:0]).shape == (0, 18)


def test_splice_errors():
    with pytest.raises(ValueError, match="left=-1, right=4"):
        splice(np.zeros((3, 2)), left=-1)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        splice(np.zeros(3))
