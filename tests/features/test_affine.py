import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import ModelError
from asr.features.affine import affine


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_it_is_the_matrix_product(n_frames, dim, n_rows, has_offset):
    rng = np.random.default_rng(n_frames)
    x = rng.normal(size=(n_frames, dim)).astype(np.float32)
    matrix = rng.normal(size=(n_rows, dim + has_offset))
    expected = x.astype(np.float64) @ matrix[:, :dim].T + (matrix[:, dim] if has_offset else 0)
    found = affine(x, matrix)
    assert found.dtype == np.float32 and found.shape == (n_frames, n_rows)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_frame_is_the_same_in_any_place():
    rng = np.random.default_rng(0)
    x, matrix = rng.normal(size=(300, 117)).astype(np.float32), rng.normal(size=(40, 118))
    whole = affine(x, matrix)
    for a, b in [(0, 1), (7, 8), (100, 299), (1, 17)]:
        np.testing.assert_array_equal(affine(x[a:b], matrix), whole[a:b])


def test_shapes_that_do_not_fit():
    with pytest.raises(ModelError, match=r"shape \(2, 5\) does not fit features of shape \(3, 3\)"):
        affine(np.zeros((3, 3), np.float32), np.zeros((2, 5)))
