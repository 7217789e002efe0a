"""EM: against Kaldi's recorded statistics, update and splits; a slow oracle; EM's own promises; a planted mixture."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from asr.errors import ModelError
from asr.gmm.em import MStepOptions, accumulate, mix_up, split_targets, update
from asr.gmm.model import DiagGmms

REFERENCE = Path(__file__).parents[1] / "references" / "gmm.npz"


@pytest.fixture(scope="module")
def kaldi():
    with np.load(REFERENCE) as stored:
        return dict(stored)


def kaldi_gmms(kaldi, prefix=""):
    offsets = np.concatenate([[0], np.cumsum(kaldi[prefix + "counts"])])
    return DiagGmms(*(kaldi[prefix + name] for name in ("weights", "means", "variances")), offsets)


def test_statistics_equal_kaldis(kaldi):
    found = accumulate(kaldi_gmms(kaldi), kaldi["features"], kaldi["pdf_of_frame"])
    np.testing.assert_allclose(found.occupancy, kaldi["occupancy"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.first, kaldi["first"], rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(found.second, kaldi["second"], rtol=1e-4, atol=2e-3)
    assert found.log_likelihood == pytest.approx(float(kaldi["total_log_likelihood"]), rel=1e-5)
    assert found.n_frames == len(kaldi["features"])


def test_update_equals_kaldis(kaldi):
    gmms = kaldi_gmms(kaldi)
    found = update(gmms, accumulate(gmms, kaldi["features"], kaldi["pdf_of_frame"]))
    np.testing.assert_array_equal(np.diff(found.offsets), kaldi["updated_counts"])
    np.testing.assert_allclose(found.weights, kaldi["updated_weights"], rtol=1e-4)
    np.testing.assert_allclose(found.means, kaldi["updated_means"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.variances, kaldi["updated_variances"], rtol=1e-3)
    assert found.variances.min() == pytest.approx(0.001)  # the constant feature of pdf 4 meets the floor


@pytest.mark.parametrize("target", [20, 40, 100])
def test_split_equals_kaldis(kaldi, target):
    gmms = kaldi_gmms(kaldi, "updated_")
    occupancies = np.add.reduceat(kaldi["occupancy"], np.concatenate([[0], np.cumsum(kaldi["counts"])[:-1]]))
    found = mix_up(gmms, split_targets(occupancies, target), np.random.default_rng(0))
    np.testing.assert_array_equal(np.diff(found.offsets), kaldi[f"split{target}_counts"])
    np.testing.assert_allclose(found.weights, kaldi[f"split{target}_weights"], rtol=1e-4)
    # The random directions differ; the mean of each pdf is kept, and each step is about a hundredth of sigma.
    starts = found.offsets[:-1]
    theirs = kaldi[f"split{target}_means"]
    ours, wanted = (np.add.reduceat(found.weights[:, None] * means, starts) for means in (found.means, theirs))
    np.testing.assert_allclose(ours, wanted, atol=1e-3)
    assert np.abs(found.means - theirs).max() < 0.2 * np.sqrt(gmms.variances.max())


def slow_statistics(gmms, features, pdf_of_frame):
    """Statistics one frame and one Gaussian at a time."""
    occupancy, first, second = np.zeros(gmms.n_gauss), *np.zeros((2, gmms.n_gauss, gmms.dim))
    total = 0.0
    for x, pdf in zip(features.astype(np.float64), pdf_of_frame, strict=True):
        rows = range(gmms.offsets[pdf], gmms.offsets[pdf + 1])
        logs = [
            np.log(float(gmms.weights[g])) + norm(gmms.means[g], np.sqrt(gmms.variances[g])).logpdf(x).sum()
            for g in rows
        ]
        likelihood = np.logaddexp.reduce(logs)
        total += likelihood
        for g, log in zip(rows, logs, strict=True):
            posterior = np.exp(log - likelihood)
            occupancy[g] += posterior
            first[g] += posterior * x
            second[g] += posterior * x**2
    return occupancy, first, second, total


def random_task(seed, n_frames=200):
    rng = np.random.default_rng(seed)
    counts = np.array([3, 1, 2])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    weights = np.concatenate([rng.dirichlet(np.full(n, 5.0)) for n in counts])
    gmms = DiagGmms(weights, rng.normal(size=(6, 3)), rng.random((6, 3)) + 0.5, offsets)
    return gmms, (1.5 * rng.normal(size=(n_frames, 3))).astype(np.float32), rng.integers(0, 3, n_frames)


def test_statistics_equal_the_slow_ones_and_add_up():
    gmms, features, pdf_of_frame = random_task(1, 60)
    whole = accumulate(gmms, features, pdf_of_frame)
    occupancy, first, second, total = slow_statistics(gmms, features, pdf_of_frame)
    for found, wanted in ((whole.occupancy, occupancy), (whole.first, first), (whole.second, second)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert whole.log_likelihood == pytest.approx(total, rel=1e-6)
    halves = accumulate(gmms, features[:25], pdf_of_frame[:25]) + accumulate(gmms, features[25:], pdf_of_frame[25:])
    np.testing.assert_allclose(halves.second, whole.second, rtol=1e-5, atol=1e-6)
    assert halves.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-7)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_likelihood_never_falls_with_a_fixed_alignment(seed):
    gmms, features, pdf_of_frame = random_task(seed)
    options = MStepOptions(min_gaussian_occupancy=0.5, min_gaussian_weight=0.0, remove_low_count=False)
    last = -np.inf
    for _ in range(8):
        statistics = accumulate(gmms, features, pdf_of_frame)
        likelihood = statistics.log_likelihood / statistics.n_frames
        assert likelihood >= last - 1e-5
        last = likelihood
        gmms = update(gmms, statistics, options)


def test_likelihood_is_that_of_the_model():
    gmms, features, pdf_of_frame = random_task(3)
    wanted = gmms.log_likelihoods(features)[np.arange(len(features)), pdf_of_frame].sum(dtype=np.float64)
    assert accumulate(gmms, features, pdf_of_frame).log_likelihood == pytest.approx(wanted, rel=1e-6)


def test_planted_mixtures_are_recovered_from_one_gaussian_each():
    rng = np.random.default_rng(11)
    means = np.array([[-4.0, 0.0], [4.0, 1.0], [0.0, 6.0], [0.0, -6.0]])
    component = rng.choice(4, 8000, p=[0.35, 0.15, 0.25, 0.25])
    scale = np.array([0.5, 1.0, 0.7, 1.2])[component]
    features = (means[component] + scale[:, None] * rng.normal(size=(8000, 2))).astype(np.float32)
    pdf_of_frame = (component >= 2).astype(np.int64)
    gmms = DiagGmms(np.ones(2), np.zeros((2, 2)), np.full((2, 2), 10.0), [0, 1, 2])
    for iteration in range(40):
        statistics = accumulate(gmms, features, pdf_of_frame)
        gmms = update(gmms, statistics)
        if iteration == 1:
            gmms = mix_up(gmms, np.array([2, 2]), rng)
    order = np.concatenate([np.argsort(gmms.means[:2, 0]), 2 + np.argsort(-gmms.means[2:, 1])])
    np.testing.assert_allclose(gmms.means[order], means, atol=0.1)
    np.testing.assert_allclose(gmms.weights[order], [0.7, 0.3, 0.5, 0.5], atol=0.02)
    np.testing.assert_allclose(np.sqrt(gmms.variances[order]), [[0.5] * 2, [1.0] * 2, [0.7] * 2, [1.2] * 2], atol=0.06)


def test_pdf_without_frames_stays_as_it_was():
    gmms, features, _ = random_task(5)
    found = update(gmms, accumulate(gmms, features, np.full(len(features), 1)))
    np.testing.assert_array_equal(np.diff(found.offsets), [1, 1, 1])
    np.testing.assert_array_equal(found.means[0], gmms.means[2])
    np.testing.assert_array_equal(found.variances[2], gmms.variances[5])


def test_mixing_up_reaches_the_target_and_is_repeatable():
    gmms, features, pdf_of_frame = random_task(6)
    targets = np.array([3, 9, 4])
    one, two = (mix_up(gmms, targets, np.random.default_rng(1)) for _ in range(2))
    other = mix_up(gmms, targets, np.random.default_rng(2))
    np.testing.assert_array_equal(np.diff(one.offsets), targets)
    np.testing.assert_array_equal(one.means, two.means)
    assert not np.array_equal(one.means, other.means)
    before, after = (accumulate(g, features, pdf_of_frame).log_likelihood / len(features) for g in (gmms, one))
    assert abs(before - after) < 1e-3


def test_split_targets_stop_at_the_least_count():
    np.testing.assert_array_equal(split_targets([0.0, 59.0, 61.0], 10), [1, 2, 3])
    assert split_targets([1e6, 1e6, 16e6], 40).tolist() == [10, 10, 20]  # fourth root: shares 1 : 1 : 2


def test_wrong_pdf_ids_are_refused():
    gmms, features, pdf_of_frame = random_task(7)
    with pytest.raises(ModelError, match="pdf ids 0 to 3; the model has 0 to 2"):
        accumulate(gmms, features, np.where(np.arange(len(features)) == 9, 3, 0))
    with pytest.raises(ModelError, match="200 frames and 199 pdf ids"):
        accumulate(gmms, features, pdf_of_frame[1:])
