"""cmvn against its definition, written as slowly and plainly as can be, and the properties that streaming rests on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.features import cmvn, cmvn_statistics


def plain_causal(features, window, prior=None, speaker=None, global_frames=200, speaker_frames=600, norm_vars=False):
    """Kaldi's OnlineCmvn from its description: the window, filled up with the speaker's, then the global statistics."""
    result = np.empty_like(features)
    for t in range(len(features)):
        frames = features[max(0, t - window + 1) : t + 1].astype(np.float64)
        count, total, square = float(len(frames)), frames.sum(axis=0), (frames**2).sum(axis=0)
        if speaker is not None and count < window:
            take = min(window - count, speaker_frames, speaker[0, -1])
            total = total + speaker[0, :-1] * take / speaker[0, -1]
            square = square + speaker[1, :-1] * take / speaker[0, -1]
            count += take
        if prior is not None and count < window:
            take = min(window - count, global_frames)
            total = total + prior[0, :-1] * take / prior[0, -1]
            square = square + prior[1, :-1] * take / prior[0, -1]
            count += take
        mean = total / count
        result[t] = features[t] - mean
        if norm_vars:
            result[t] /= np.sqrt(np.maximum(square / count - mean**2, 1e-20))
    return result


def plain_sliding(features, window, norm_vars=False):
    """Kaldi's SlidingWindowCmn with center=true from its description, frame by frame."""
    result = np.empty_like(features)
    for t in range(len(features)):
        begin = t - window // 2
        end = begin + window
        if begin < 0:
            begin, end = 0, end - begin
        if end > len(features):
            begin, end = max(0, begin - (end - len(features))), len(features)
        frames = features[begin:end].astype(np.float64)
        result[t] = features[t] - frames.mean(axis=0)
        if norm_vars:
            result[t] = 0 if len(frames) == 1 else result[t] / np.sqrt(np.maximum(frames.var(axis=0), 1e-10))
    return result


def some(n_frames: int, seed: int = 0, dim: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(7, 5, (n_frames, dim)).astype(np.float32)


@pytest.mark.parametrize("norm_vars", [False, True])
@pytest.mark.parametrize("window", [3, 10, 50, 600])
@pytest.mark.parametrize(("has_prior", "has_speaker"), [(True, False), (True, True), (False, True)])
def test_causal_equals_its_definition(norm_vars, window, has_prior, has_speaker):
    features = some(130)
    prior = cmvn_statistics([some(1000, 1)]) if has_prior else None
    speaker = cmvn_statistics([some(40, 2)]) if has_speaker else None
    expected = plain_causal(features, window, prior, speaker, 20, 30, norm_vars)
    ours = cmvn(
        features,
        mode="causal",
        window=window,
        prior=prior,
        statistics=speaker,
        global_frames=20,
        speaker_frames=30,
        norm_vars=norm_vars,
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-4)


def test_causal_across_its_internal_blocks():
    features = some(9000, dim=2)
    prior = cmvn_statistics([some(100, 1, 2)])
    ours = cmvn(features, mode="causal", window=300, prior=prior)
    np.testing.assert_allclose(ours, plain_causal(features, 300, prior), rtol=1e-5, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 700), st.booleans())
def test_a_prefix_gives_a_prefix_bit_for_bit(n_frames, window, norm_vars):
    features, prior = some(5000, dim=2), cmvn_statistics([some(100, 1, 2)])
    whole = cmvn(features, mode="causal", window=window, prior=prior, norm_vars=norm_vars)
    part = cmvn(features[:n_frames], mode="causal", window=window, prior=prior, norm_vars=norm_vars)
    assert np.array_equal(part, whole[:n_frames])


@pytest.mark.parametrize("norm_vars", [False, True])
@pytest.mark.parametrize("window", [1, 2, 7, 100, 600])
@pytest.mark.parametrize("n_frames", [0, 1, 3, 99, 100, 101, 700])
def test_sliding_equals_its_definition(norm_vars, window, n_frames):
    features = some(n_frames)
    ours = cmvn(features, mode="sliding", window=window, norm_vars=norm_vars)
    assert ours.dtype == np.float32 and ours.shape == (n_frames, 3)
    np.testing.assert_allclose(ours, plain_sliding(features, window, norm_vars), rtol=1e-5, atol=1e-5)


def test_a_sliding_window_longer_than_the_utterance_is_the_utterance():
    features = some(300)
    ours = cmvn(features, mode="sliding", norm_vars=True)
    np.testing.assert_allclose(ours, cmvn(features, norm_vars=True), rtol=1e-5, atol=1e-5)


def test_utterance_and_speaker():
    features, others = some(50), some(70, 1)
    both = np.concatenate([features, others]).astype(np.float64)
    np.testing.assert_allclose(cmvn(features), features - features.mean(axis=0), atol=1e-5)
    normalized = cmvn(features, norm_vars=True)
    np.testing.assert_allclose(normalized.std(axis=0), 1, atol=1e-5)
    statistics = cmvn_statistics([features]) + cmvn_statistics([others])
    ours = cmvn(features, mode="speaker", statistics=statistics)
    np.testing.assert_allclose(ours, features - both.mean(axis=0), atol=1e-5)


def test_constant_features_stay_finite():
    assert np.isfinite(cmvn(np.full((5, 2), 3.0, dtype=np.float32), norm_vars=True)).all()


def test_errors():
    with pytest.raises(ValueError, match="mode='online'; need one of"):
        cmvn(some(5), mode="online")
    with pytest.raises(ValueError, match="needs statistics="):
        cmvn(some(5), mode="speaker")
    with pytest.raises(ValueError, match=r"prior have shape \(2, 6\); need \(2, 4\)"):
        cmvn(some(5), mode="causal", prior=cmvn_statistics([some(5, dim=5)]))
    with pytest.raises(ValueError, match="window=0"):
        cmvn(some(5), mode="causal", window=0)
    with pytest.raises(ValueError, match="window=0; need 1 or more"):
        cmvn(some(5), mode="sliding", window=0)
    with pytest.raises(ValueError, match="no frames"):
        cmvn_statistics([some(0)])
