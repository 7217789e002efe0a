"""Front-ends of torch take a list of recordings, as those of arrays do."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from asr.nn.features import Mfcc  # noqa: E402


def test_a_list_is_a_padded_batch_with_lengths():
    torch.manual_seed(0)
    one, other = 0.1 * torch.randn(8000), 0.1 * torch.randn(5000)
    front_end = Mfcc(8000)
    found, counts = front_end([one, other])
    assert found.shape[:2] == (2, 98) and counts.tolist() == [98, 61]
    torch.testing.assert_close(found[1, :61], front_end(other), rtol=1e-4, atol=1e-4)
    assert not found[1, 61:].any()


@pytest.mark.parametrize("samples", [[], np.zeros(8000), [np.zeros(8000)], None])
def test_what_is_no_tensor_is_told(samples):
    with pytest.raises(TypeError, match="tensor"):
        Mfcc(8000)(samples)
