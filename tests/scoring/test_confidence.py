"""Figures of confidences against other implementations, and what is right in a hypothesis."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.scoring.confidence import reliability, right_words


def test_right_words_are_those_of_a_best_alignment():
    assert right_words(["a", "b", "c"], ["a", "x", "c", "d"]).tolist() == [True, False, True, False]
    assert right_words([], ["a"]).tolist() == [False]
    assert right_words(["a"], []).tolist() == []


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_right_words_are_as_many_as_errors_allow(reference, hypothesis):
    from asr.scoring import score

    found = score({"u": " ".join(reference)}, {"u": " ".join(hypothesis)})
    right = right_words(reference, hypothesis)
    assert int((~right).sum()) == found.substitutions + found.insertions


def test_area_and_cross_entropy_are_those_of_definitions():
    rng = np.random.default_rng(0)
    p = np.round(rng.random(300), 2)
    right = rng.random(300) < p
    found = reliability(p, right)
    pairs = [(a > b) + 0.5 * (a == b) for a in p[right] for b in p[~right]]
    assert found.area == pytest.approx(np.mean(pairs))
    q = np.clip(p, 1e-7, 1 - 1e-7)
    own = -np.where(right, np.log2(q), np.log2(1 - q)).sum()
    share = right.mean()
    base = -(right.sum() * math.log2(share) + (~right).sum() * math.log2(1 - share))
    assert found.cross_entropy == pytest.approx((base - own) / base)
    assert found.n_words.tolist() == [20] * 15 and (np.diff(found.confidence) >= 0).all()


def test_confidences_that_are_true_have_no_calibration_error():
    rng = np.random.default_rng(1)
    p = rng.random(60_000)
    right = rng.random(60_000) < p
    assert reliability(p, right).calibration_error < 0.01
    assert reliability(p**3, right).calibration_error > 0.2
    # The mean alone tells nothing.
    flat = reliability(np.full(60_000, right.mean()), right)
    assert flat.cross_entropy == pytest.approx(0.0, abs=1e-9) and flat.area == pytest.approx(0.5)


def test_without_both_kinds_of_words_there_are_no_ratios():
    found = reliability(np.array([0.9, 0.8]), np.array([True, True]))
    assert math.isnan(found.area) and math.isnan(found.cross_entropy)
    assert found.calibration_error == pytest.approx(0.15)
    with pytest.raises(ValueError, match="a word or more"):
        reliability(np.zeros(0), np.zeros(0, bool))
