"""Derivatives and normalisation take several recordings as the front-ends give them."""

import numpy as np
import pytest

from asr.errors import AudioError
from asr.features import cmvn, delta, mfcc

SAMPLES = 0.1 * np.random.default_rng(0).standard_normal(8000)


def test_a_list_gives_what_each_recording_gives_alone():
    batch = mfcc([SAMPLES, SAMPLES[:4000]], 8000)
    for compute in (delta, cmvn, lambda x: cmvn(x, mode="sliding", window=20), lambda x: delta(x, order=1)):
        found = compute(batch)
        assert isinstance(found, list) and len(found) == 2
        for one, alone in zip(found, batch, strict=True):
            np.testing.assert_array_equal(one, compute(alone))
    with pytest.raises(ValueError, match="counted is of the frames of one recording"):
        cmvn(batch, counted=np.ones(98, bool))
    with pytest.raises(ValueError, match="features have shape"):
        delta([np.zeros(3), np.zeros(3), np.zeros(3)][0])


def test_a_file_in_place_of_samples_is_told_to_be_read_first(tmp_path):
    for path in ("file.wav", tmp_path / "file.wav"):
        with pytest.raises(
            AudioError, match=r"a file is not taken here, read it first: samples, rate = asr.audio.read"
        ):
            mfcc(path, 8000)


@pytest.mark.parametrize("warp", [3, 0.1, -1, float("nan")])
def test_warps_that_nobody_has_are_refused(warp):
    with pytest.raises(ValueError, match=r"vtln_warp=.*; need 0.5 to 2.0"):
        mfcc(SAMPLES, 8000, vtln_warp=warp)
