"""GMM likelihoods: against scipy's multivariate normal, Kaldi's recorded numbers, and themselves cut into pieces."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from asr.errors import ModelError
from asr.gmm.model import DiagGmms

REFERENCE = Path(__file__).parents[1] / "references" / "gmm.npz"


def random_gmms(rng, counts, dim):
    offsets = np.concatenate([[0], np.cumsum(counts)])
    weights = rng.random(offsets[-1]) + 0.1
    weights /= np.repeat(np.add.reduceat(weights, offsets[:-1]), counts)
    means = rng.normal(size=(offsets[-1], dim))
    return DiagGmms(weights, means, rng.random((offsets[-1], dim)) + 0.2, offsets)


def brute_force(gmms, features):
    columns = []
    for first, end in zip(gmms.offsets[:-1], gmms.offsets[1:], strict=True):
        terms = [
            np.log(float(gmms.weights[g]))
            + multivariate_normal(gmms.means[g], np.diag(gmms.variances[g])).logpdf(features)
            for g in range(first, end)
        ]
        columns.append(np.logaddexp.reduce(np.reshape(terms, (end - first, len(features))), axis=0))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize(("counts", "dim"), [((1,), 1), ((1, 3, 5, 2, 17), 39), ((4, 4), 2)])
def test_equal_to_scipy(counts, dim):
    rng = np.random.default_rng(dim)
    gmms = random_gmms(rng, counts, dim)
    features = (2 * rng.normal(size=(300, dim))).astype(np.float32)
    found = gmms.log_likelihoods(features)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, brute_force(gmms, features), rtol=2e-6, atol=2e-5)


def test_equal_to_kaldi():
    with np.load(REFERENCE) as kaldi:
        offsets = np.concatenate([[0], np.cumsum(kaldi["counts"])])
        gmms = DiagGmms(kaldi["weights"], kaldi["means"], kaldi["variances"], offsets)
        np.testing.assert_allclose(
            gmms.log_likelihoods(kaldi["features"]), kaldi["log_likelihoods"], rtol=1e-5, atol=1e-3
        )


def test_far_away_frames_have_finite_likelihoods():
    gmms = random_gmms(np.random.default_rng(0), (3,), 2)
    features = np.full((2, 2), 1e4, np.float32)
    np.testing.assert_allclose(gmms.log_likelihoods(features), brute_force(gmms, features), rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(n_frames=st.integers(0, 400), size=st.integers(1, 400), seed=st.integers(0, 3))
def test_pieces_equal_the_whole_to_the_bit(n_frames, size, seed):
    rng = np.random.default_rng(seed)
    gmms = random_gmms(rng, (7, 1, 20, 3), 13)
    features = rng.normal(size=(n_frames, 13)).astype(np.float32)
    whole = gmms.log_likelihoods(features)
    pieces = [gmms.log_likelihoods(features[i : i + size]) for i in range(0, n_frames, size)]
    np.testing.assert_array_equal(np.concatenate([np.empty((0, 4), np.float32), *pieces]), whole)


def test_chosen_pdfs_are_the_same_columns():
    rng = np.random.default_rng(5)
    gmms = random_gmms(rng, (2, 5, 1, 3), 4)
    features = rng.normal(size=(200, 4)).astype(np.float32)
    chosen = [3, 1, 1]
    np.testing.assert_array_equal(gmms.log_likelihoods(features, chosen), gmms.log_likelihoods(features)[:, chosen])
    assert gmms.log_likelihoods(features, []).shape == (200, 0)


def test_save_and_load(tmp_path):
    gmms = random_gmms(np.random.default_rng(6), (2, 5), 4)
    np.savez(tmp_path / "am.npz", **gmms.arrays())
    with np.load(tmp_path / "am.npz") as stored:
        again = DiagGmms.from_arrays(stored)
    for name, array in gmms.arrays().items():
        np.testing.assert_array_equal(getattr(again, name), array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": [0, 0, 3]}, "pdf 0 has no Gaussian"),
        ({"offsets": [0, 1, 4]}, "run from 0 to 3"),
        ({"weights": [1.0, 0.5, 0.4]}, "weights of pdf 1 sum to 0.9"),
        ({"weights": [1.0, 1.5, -0.5]}, "Gaussian 2 has the impossible value -0.5"),
        ({"variances": [[1.0], [0.0], [1.0]]}, "variances: Gaussian 1 has the impossible value 0.0"),
        ({"means": [[1.0], [np.nan], [1.0]]}, "means: Gaussian 1 has the impossible value nan"),
        ({"means": np.zeros((2, 1))}, "do not fit"),
    ],
)
def test_impossible_arrays_are_refused(change, message):
    arrays = {"weights": [1.0, 0.5, 0.5], "means": np.zeros((3, 1)), "variances": np.ones((3, 1)), "offsets": [0, 1, 3]}
    DiagGmms.from_arrays(arrays)
    with pytest.raises(ModelError, match=message):
        DiagGmms.from_arrays({**arrays, **change})


def test_missing_array_and_wrong_dim_are_named():
    gmms = random_gmms(np.random.default_rng(7), (2,), 4)
    with pytest.raises(ModelError, match="lacks the array 'means'"):
        DiagGmms.from_arrays({k: v for k, v in gmms.arrays().items() if k != "means"})
    with pytest.raises(ModelError, match=r"\(3, 5\); the acoustic model needs \(n_frames, 4\)"):
        gmms.log_likelihoods(np.zeros((3, 5), np.float32))
    with pytest.raises(ModelError, match="the model has 0 to 0"):
        gmms.log_likelihoods(np.zeros((3, 4), np.float32), [1])
