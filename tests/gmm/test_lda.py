import numpy as np
import pytest
from scipy.optimize import minimize

from asr.errors import ModelError
from asr.features.deltas import delta, splice
from asr.gmm.lda import ClassStatistics, accumulate_classes, estimate_lda


@pytest.fixture(scope="module")
def data():
    """Six classes in five features: two features tell them apart, hidden by a random mixture."""
    rng = np.random.default_rng(0)
    centres = np.zeros((6, 5))
    centres[:, :2] = rng.normal(size=(6, 2)) * [5, 2]
    classes = rng.integers(0, 6, 3000)
    x = (centres[classes] + rng.normal(size=(3000, 5))) @ rng.normal(size=(5, 5))
    return x.astype(np.float32), classes


def covariances(x, classes):
    within, between = np.zeros((2, x.shape[1], x.shape[1]))
    for c in np.unique(classes):
        mine = x[classes == c]
        within += np.cov(mine.T, bias=True) * len(mine) / len(x)
        d = mine.mean(axis=0) - x.mean(axis=0)
        between += np.outer(d, d) * len(mine) / len(x)
    return within, between


def test_within_is_one_and_between_diagonal_and_descending(data):
    x, classes = data
    matrix = estimate_lda(accumulate_classes(x, classes, 6), 4)
    within, between = covariances(x.astype(np.float64) @ matrix.T, classes)
    np.testing.assert_allclose(within, np.eye(4), atol=1e-6)
    np.testing.assert_allclose(between, np.diag(np.diag(between)), atol=1e-6)
    assert (np.diff(np.diag(between)) <= 0).all() and np.diag(between)[1] > 100 * np.diag(between)[2]
    assert (matrix[np.arange(4), np.abs(matrix).argmax(axis=1)] > 0).all()


def test_no_other_direction_tells_more(data):
    """The first row maximises variance between classes over that within, as a general optimiser finds it too."""
    x, classes = data
    within, between = covariances(x.astype(np.float64), classes)

    def ratio(w):
        return (w @ between @ w) / (w @ within @ w)

    best = max(-minimize(lambda w: -ratio(w), start).fun for start in np.eye(5))
    matrix = estimate_lda(accumulate_classes(x, classes, 6), 2)
    assert ratio(matrix[0]) == pytest.approx(best, rel=1e-6)


def test_kaldis_way_gives_the_same(data):
    """Whitening by the Cholesky factor of the covariance within, then singular vectors of that between."""
    x, classes = data
    within, between = covariances(x.astype(np.float64), classes)
    root = np.linalg.inv(np.linalg.cholesky(within))
    u, _, _ = np.linalg.svd(root @ between @ root.T)
    expected = (u.T @ root)[:3]
    found = estimate_lda(accumulate_classes(x, classes, 6), 3)
    np.testing.assert_allclose(np.abs((found * expected).sum(axis=1)), (expected**2).sum(axis=1), rtol=1e-5)


def test_parts_add_up_and_other_classes_are_left_out(data):
    x, classes = data
    whole = accumulate_classes(x, classes, 6)
    added = accumulate_classes(x[:777], classes[:777], 6) + accumulate_classes(x[777:], classes[777:], 6)
    for name in ("counts", "first", "second"):
        np.testing.assert_allclose(getattr(added, name), getattr(whole, name), rtol=1e-12)
    without = accumulate_classes(x, np.where(classes == 3, -1, classes), 6)
    kept = accumulate_classes(x[classes != 3], classes[classes != 3], 6)
    np.testing.assert_array_equal(without.second, kept.second)
    assert without.counts[3] == 0
    assert np.isfinite(estimate_lda(without, 2)).all()


def test_what_cannot_be_done_is_said(data):
    x, classes = data
    statistics = accumulate_classes(x, classes, 6)
    for dim in (0, 6):
        with pytest.raises(ModelError, match=f"LDA to {dim} dimensions; need 1 to 5"):
            estimate_lda(statistics, dim)
    with pytest.raises(ModelError, match="many more frames than the 5 that are aligned"):
        estimate_lda(accumulate_classes(x[:5], classes[:5], 6), 2)
    twice = np.hstack([x, x[:, :1]])
    with pytest.raises(ModelError, match="only 5 of the 6 spliced features vary on their own"):
        estimate_lda(accumulate_classes(twice, classes, 6), 6)
    with pytest.raises(ModelError, match="only 0 of the 2 spliced features"):
        estimate_lda(ClassStatistics(np.array([10.0]), np.zeros((1, 2)), np.zeros((2, 2))), 1)
    with pytest.raises(ModelError, match="3 frames and 2 classes"):
        accumulate_classes(x[:3], classes[:2], 6)


def test_combinations_and_constants_change_nothing(data, caplog):
    """Copies, sums and constants of the features, rounded to float32, tell no more: the same directions are found."""
    x, classes = data
    plain = estimate_lda(accumulate_classes(x, classes, 6), 3)
    sums = (x[:, :2] + x[:, 1:3]).astype(np.float32)
    wide = np.hstack([x, x[:, :1], sums, np.full((len(x), 1), 7.3, np.float32), np.zeros((len(x), 1), np.float32)])
    found = estimate_lda(accumulate_classes(wide, classes, 6), 3)
    assert "5 of 10 spliced features are constant or combinations of others" in caplog.text
    a, b = x.astype(np.float64) @ plain.T, wide.astype(np.float64) @ found.T
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    np.testing.assert_allclose(np.abs((a * b).mean(axis=0)), (a * a).mean(axis=0), rtol=1e-4)
    assert np.abs(found).max() < 100 * np.abs(plain).max()


def test_derivatives_of_spliced_frames_do_not_blow_up():
    """With derivatives in its input, each direction that LDA keeps has variance one within classes, in float32."""
    rng = np.random.default_rng(0)
    classes = np.repeat(rng.integers(0, 8, 600), 6)
    walk = rng.normal(size=(8, 3))[classes] + np.cumsum(rng.normal(size=(len(classes), 3)), axis=0) * 0.05
    features = delta(walk.astype(np.float32))
    x = splice(features, left=4, right=4)
    matrix = estimate_lda(accumulate_classes(x, classes, 8), 20)
    within, _ = covariances((x @ matrix.T.astype(np.float32)).astype(np.float64), classes)
    np.testing.assert_allclose(np.diag(within), 1.0, rtol=0.02)
