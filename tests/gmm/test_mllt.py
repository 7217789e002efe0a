import numpy as np
import pytest
from scipy.optimize import minimize

from asr.errors import ModelError
from asr.gmm.em import accumulate
from asr.gmm.mllt import MlltStatistics, accumulate_mllt, estimate_mllt, mllt_objective, transform_means
from asr.gmm.model import DiagGmms

DIM = 4


@pytest.fixture(scope="module")
def data():
    """Frames of two pdfs whose Gaussians are diagonal only after a rotation, and a model that has not seen it."""
    rng = np.random.default_rng(1)
    mixing = np.eye(DIM) + 0.6 * rng.normal(size=(DIM, DIM))
    means = rng.normal(size=(5, DIM)) * 3
    spread = rng.uniform(0.5, 2.0, size=(5, DIM))
    offsets = np.array([0, 2, 5])
    pdf = rng.integers(0, 2, 4000)
    gaussian = np.where(pdf == 0, rng.integers(0, 2, 4000), rng.integers(2, 5, 4000))
    x = (means[gaussian] + spread[gaussian] * rng.normal(size=(4000, DIM))) @ mixing.T
    gmms = DiagGmms(
        np.array([0.5, 0.5, 0.3, 0.3, 0.4]),
        np.array([x[gaussian == g].mean(axis=0) for g in range(5)]),
        np.array([x[gaussian == g].var(axis=0) for g in range(5)]),
        offsets,
    )
    return gmms, x.astype(np.float32), pdf


@pytest.fixture(scope="module")
def statistics(data):
    return accumulate_mllt(*data)


def test_statistics_equal_sums_frame_by_frame(data, statistics):
    gmms, x, pdf = data
    expected = np.zeros((DIM, DIM, DIM))
    for frame, p in zip(x.astype(np.float64), pdf, strict=True):
        rows = range(gmms.offsets[p], gmms.offsets[p + 1])
        density = np.array([
            gmms.weights[g] * np.exp(-0.5 * ((frame - gmms.means[g]) ** 2 / gmms.variances[g]).sum())
            / np.sqrt(gmms.variances[g].astype(np.float64).prod()) for g in rows
        ])  # fmt: skip
        for g, posterior in zip(rows, density / density.sum(), strict=True):
            d = frame - gmms.means[g]
            expected += (posterior / gmms.variances[g])[:, None, None] * np.outer(d, d)
    np.testing.assert_allclose(statistics.scatter, expected, rtol=1e-4, atol=1e-2)
    assert statistics.n_frames == len(x)


def test_a_general_optimiser_finds_nothing_better(statistics):
    found = estimate_mllt(statistics)
    best = mllt_objective(statistics, found.matrix)
    n = statistics.n_frames

    def loss(m):
        return -mllt_objective(statistics, m.reshape(DIM, DIM)) / n

    optimum = minimize(loss, np.eye(DIM).ravel(), method="BFGS", options={"gtol": 1e-8})
    assert best / n >= -optimum.fun - 1e-6
    assert found.gain == pytest.approx((best - mllt_objective(statistics, np.eye(DIM))) / n)


def test_the_likelihood_never_falls(statistics):
    reached = [mllt_objective(statistics, estimate_mllt(statistics, n_iters=k).matrix) for k in range(6)]
    assert (np.diff(reached) >= -1e-9 * abs(reached[0])).all() and reached[5] > reached[0]
    again = estimate_mllt(statistics)
    assert again.gain > 0.1


def test_the_models_likelihood_rises_as_promised(data, statistics):
    """Features and means transformed, variances as they were: the likelihood with log|det| counted rises by the gain
    or more, as the posteriors may become better still."""
    gmms, x, pdf = data
    found = estimate_mllt(statistics)
    before = accumulate(gmms, x, pdf).log_likelihood / len(x)
    moved = (x.astype(np.float64) @ found.matrix.T).astype(np.float32)
    after = accumulate(transform_means(gmms, found.matrix), moved, pdf).log_likelihood / len(x)
    assert after + np.linalg.slogdet(found.matrix)[1] >= before + found.gain - 1e-4


def test_parts_add_up(data, statistics):
    gmms, x, pdf = data
    added = accumulate_mllt(gmms, x[:1234], pdf[:1234]) + accumulate_mllt(gmms, x[1234:], pdf[1234:])
    np.testing.assert_allclose(added.scatter, statistics.scatter, rtol=1e-6, atol=1e-3)
    assert added.n_frames == statistics.n_frames


def test_too_few_frames_are_refused(data):
    gmms, x, pdf = data
    with pytest.raises(ModelError, match="MLLT of 4 features from 3 frames"):
        estimate_mllt(accumulate_mllt(gmms, x[:3], pdf[:3]))
    with pytest.raises(ModelError, match="not determined"):
        estimate_mllt(MlltStatistics(100.0, np.zeros((2, 2, 2))))
    with pytest.raises(ModelError, match="5 frames and 4 pdf ids"):
        accumulate_mllt(gmms, x[:5], pdf[:4])
