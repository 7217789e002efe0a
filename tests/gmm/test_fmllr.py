import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from asr.errors import ModelError
from asr.features.affine import affine
from asr.gmm.em import accumulate
from asr.gmm.fmllr import FmllrStatistics, accumulate_fmllr, estimate_fmllr, fmllr_objective, identity_transform
from asr.gmm.model import DiagGmms

DIM = 3


def model(rng):
    return DiagGmms(
        np.array([0.4, 0.6, 1.0, 0.2, 0.3, 0.5]),
        rng.normal(size=(6, DIM)) * 3,
        rng.uniform(0.5, 2.0, size=(6, DIM)),
        np.array([0, 2, 3, 6]),
    )


def speaker(gmms, rng, n_frames, distortion):
    """Frames of the model as a speaker would say them: A x + b of them is what the model expects."""
    pdf = rng.integers(0, 3, n_frames)
    gaussian = np.empty(n_frames, int)
    for p in range(3):
        rows = np.arange(gmms.offsets[p], gmms.offsets[p + 1])
        gaussian[pdf == p] = rng.choice(rows, (pdf == p).sum(), p=gmms.weights[rows] / gmms.weights[rows].sum())
    expected = gmms.means[gaussian] + np.sqrt(gmms.variances[gaussian]) * rng.normal(size=(n_frames, DIM))
    inverse = np.linalg.inv(distortion[:, :DIM])
    return ((expected - distortion[:, DIM]) @ inverse.T).astype(np.float32), pdf


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    gmms = model(rng)
    distortion = np.hstack([np.eye(DIM) + 0.3 * rng.normal(size=(DIM, DIM)), rng.normal(size=(DIM, 1))])
    x, pdf = speaker(gmms, rng, 20_000, distortion)
    return gmms, x, pdf, distortion


def test_a_planted_transform_is_recovered(planted):
    gmms, x, pdf, distortion = planted
    moved = x
    for _ in range(15):  # as the posteriors come right, so does the transform
        found = estimate_fmllr(accumulate_fmllr(gmms, x, pdf, posterior_features=moved))
        moved = affine(x, found.matrix)
    assert found.kind == "full" and found.n_frames == len(x)
    np.testing.assert_allclose(found.matrix, distortion, atol=0.06)


def test_statistics_equal_sums_frame_by_frame(planted):
    gmms, x, pdf, _ = planted
    x, pdf = x[:200], pdf[:200]
    weights = np.random.default_rng(1).choice([0.0, 0.5, 1.0], 200)
    linear, quadratic = np.zeros((DIM, DIM + 1)), np.zeros((DIM, DIM + 1, DIM + 1))
    for frame, p, w in zip(x.astype(np.float64), pdf, weights, strict=True):
        rows = np.arange(gmms.offsets[p], gmms.offsets[p + 1])
        density = gmms.weights[rows] * np.exp(
            -0.5 * ((frame - gmms.means[rows]) ** 2 / gmms.variances[rows] + np.log(gmms.variances[rows])).sum(axis=1)
        )
        y = np.append(frame, 1.0)
        for g, posterior in zip(rows, w * density / density.sum(), strict=True):
            linear += (posterior * gmms.means[g] / gmms.variances[g])[:, None] * y
            quadratic += (posterior / gmms.variances[g])[:, None, None] * np.outer(y, y)
    found = accumulate_fmllr(gmms, x, pdf, weights=weights)
    np.testing.assert_allclose(found.linear, linear, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found.quadratic, quadratic, rtol=1e-4, atol=1e-2)
    assert found.count == weights.sum()


FREE = {
    "full": lambda m: m.reshape(DIM, DIM + 1),
    "diagonal": lambda m: np.hstack([np.diag(m[:DIM]), m[DIM:, None]]),
    "offset": lambda m: np.hstack([np.eye(DIM), m[:, None]]),
}
START = {
    "full": identity_transform(DIM).ravel(),
    "diagonal": np.r_[np.ones(DIM), np.zeros(DIM)],
    "offset": np.zeros(DIM),
}


@pytest.mark.parametrize(("kind", "n_frames"), [("full", 900), ("diagonal", 300), ("offset", 40), ("offset", 1)])
def test_a_general_optimiser_finds_nothing_better(planted, kind, n_frames):
    gmms, x, pdf, _ = planted
    statistics = accumulate_fmllr(gmms, x[:n_frames], pdf[:n_frames])
    found = estimate_fmllr(statistics)
    assert found.kind == kind
    loss = lambda m: -fmllr_objective(statistics, FREE[kind](m)) / n_frames  # noqa: E731
    optimum = minimize(loss, START[kind], method="BFGS", options={"gtol": 1e-9})
    assert -loss(START[kind]) < -optimum.fun - 0.01
    assert fmllr_objective(statistics, found.matrix) / n_frames >= -optimum.fun - 1e-6
    assert found.gain == pytest.approx(loss(START[kind]) - optimum.fun, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 1500))
def test_the_likelihood_never_falls_and_a_full_transform_is_best(seed, n_frames):
    rng = np.random.default_rng(seed)
    gmms = model(rng)
    distortion = np.hstack([np.eye(DIM) + 0.2 * rng.normal(size=(DIM, DIM)), rng.normal(size=(DIM, 1))])
    statistics = accumulate_fmllr(gmms, *speaker(gmms, rng, n_frames, distortion))
    every = [(0.0, 0.0), (1e9, 0.0), (1e9, 1e9)]
    gains = [estimate_fmllr(statistics, full_count=f, diagonal_count=d).gain for f, d in every]
    assert min(gains) >= -1e-9
    if n_frames > 50:
        assert gains[0] >= gains[1] - 1e-6 and gains[1] >= gains[2] - 1e-9


def test_the_models_likelihood_rises_as_promised(planted):
    gmms, x, pdf, _ = planted
    found = estimate_fmllr(accumulate_fmllr(gmms, x, pdf))
    before = accumulate(gmms, x, pdf).log_likelihood / len(x)
    after = accumulate(gmms, affine(x, found.matrix), pdf).log_likelihood / len(x)
    assert after + np.linalg.slogdet(found.matrix[:, :DIM])[1] >= before + found.gain - 1e-4


def test_frames_without_weight_count_for_nothing(planted):
    gmms, x, pdf, _ = planted
    weights = (pdf[:1000] != 1).astype(float)
    with_silence = accumulate_fmllr(gmms, x[:1000], pdf[:1000], weights=weights)
    without = accumulate_fmllr(gmms, x[:1000][pdf[:1000] != 1], pdf[:1000][pdf[:1000] != 1])
    np.testing.assert_allclose(with_silence.quadratic, without.quadratic, rtol=1e-9)
    assert with_silence.count == without.count
    nothing = estimate_fmllr(accumulate_fmllr(gmms, x[:9], pdf[:9], weights=np.zeros(9)))
    assert nothing.kind == "identity" and nothing.n_frames == 0
    np.testing.assert_array_equal(nothing.matrix, identity_transform(DIM))


def test_parts_add_up(planted):
    gmms, x, pdf, _ = planted
    whole = accumulate_fmllr(gmms, x[:900], pdf[:900])
    added = accumulate_fmllr(gmms, x[:300], pdf[:300]) + accumulate_fmllr(gmms, x[300:900], pdf[300:900])
    np.testing.assert_allclose(added.quadratic, whole.quadratic, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(added.linear, whole.linear, rtol=1e-6, atol=1e-6)


def test_frames_that_do_not_determine_a_matrix_get_a_diagonal_one(planted):
    gmms, _, _, _ = planted
    same = np.tile(np.float32([1.0, 2.0, 3.0]), (600, 1))
    found = estimate_fmllr(accumulate_fmllr(gmms, same, np.zeros(600, int)))
    assert np.isfinite(found.matrix).all() and found.kind in ("full", "diagonal") and found.gain >= 0
    nothing = np.zeros((1, 2, 2))
    nothing[0, 1, 1] = 600.0  # a feature that is 0 in every frame
    found = estimate_fmllr(FmllrStatistics(600.0, np.array([[0.0, 300.0]]), nothing))
    assert found.kind == "diagonal" and np.isfinite(found.matrix).all()


def test_lengths_that_differ_are_refused(planted):
    gmms, x, pdf, _ = planted
    with pytest.raises(ModelError, match="10 frames, 10 for posteriors, 9 pdf ids and 10 weights"):
        accumulate_fmllr(gmms, x[:10], pdf[:9])
    fewer = DiagGmms(np.ones(3), gmms.means[:3], gmms.variances[:3], np.arange(4))
    with pytest.raises(ModelError, match="models of 3 and 6 Gaussians"):
        accumulate_fmllr(gmms, x[:10], pdf[:10], posterior_gmms=fewer)


def test_posteriors_of_another_model(planted):
    """A model of the features before the transform gives the posteriors that the transformed features would have."""
    gmms, x, pdf, distortion = planted
    inverse = np.linalg.inv(distortion[:, :DIM])
    moved = affine(x, distortion)
    from_moved = accumulate_fmllr(gmms, x, pdf, posterior_features=moved)
    means = (gmms.means - distortion[:, DIM]) @ inverse.T
    unmoved = DiagGmms(gmms.weights, means, gmms.variances, gmms.offsets)
    from_model = accumulate_fmllr(gmms, x, pdf, posterior_gmms=unmoved)
    exact, near = estimate_fmllr(from_moved).matrix, estimate_fmllr(from_model).matrix
    np.testing.assert_allclose(near, exact, atol=0.2)
    assert np.abs(near - exact).max() < np.abs(estimate_fmllr(accumulate_fmllr(gmms, x, pdf)).matrix - exact).max()
