"""Streamed features are bit for bit the offline ones, however the signal is cut."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import AudioError, ModelError
from asr.features import (
    CausalCmvn,
    StreamingFrontEnd,
    cmvn,
    cmvn_statistics,
    delta,
    fbank,
    lpc,
    lpcc,
    mfcc,
    reflection_coefficients,
    splice,
    streaming_delta,
    streaming_splice,
)
from asr.features.pipeline import FeaturePipeline

FUNCTIONS = (mfcc, fbank, lpc, lpcc, reflection_coefficients)
MFCC = {"kind": "mfcc", "options": {"use_energy": False}}
CAUSAL = {"kind": "cmvn", "mode": "causal", "window": 50}
DELTA = {"kind": "delta"}
SPLICE = {"kind": "splice", "left": 3, "right": 2}


def signal(n_samples: int, seed: int = 0) -> np.ndarray:
    """Noise at changing loudness with an offset, floats in [-1, 1]."""
    rng = np.random.default_rng(seed)
    loudness = np.interp(np.arange(n_samples), np.linspace(0, max(n_samples, 1), 7), rng.choice([0, 0.01, 0.3], 7))
    return (loudness * rng.standard_normal(n_samples) + 0.01).clip(-1, 1).astype(np.float32)


def fed(stream, whole: np.ndarray, cuts: list[int]) -> np.ndarray:
    """Everything that a stream gives for `whole`, cut at these places."""
    bounds = [0, *sorted(cut % (len(whole) + 1) for cut in cuts), len(whole)]
    pieces = [stream.accept(whole[a:b]) for a, b in itertools.pairwise(bounds)]
    return np.concatenate([*pieces, stream.flush()])


CUTS = st.lists(st.integers(0, 10**6), max_size=30)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FUNCTIONS),
    st.sampled_from([8000, 16000]),
    st.one_of(st.integers(0, 2000), st.integers(0, 40000)),
    st.sampled_from([(25.0, 10.0), (32.0, 8.0), (20.0, 33.0), (25.0, 1.0)]),
    st.booleans(),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([np.float32, np.float64, np.int16]),
    CUTS,
)
def test_any_cuts_give_the_offline_bits(compute, rate, n_samples, sizes, snip_edges, dither, dtype, cuts):
    whole = signal(n_samples)
    whole = np.round(whole * 32767).astype(np.int16) if dtype is np.int16 else whole.astype(dtype)
    names = {"frame_length": sizes[0], "frame_shift": sizes[1], "snip_edges": snip_edges, "dither": dither}
    stream = StreamingFrontEnd(compute.__name__, rate, seed=5, **names)
    ours = fed(stream, whole, cuts)
    try:
        expected = compute(whole, rate, seed=5, **names)
    except AudioError as error:
        assert "too short" in str(error)
        expected = np.zeros((0, stream.dim), dtype=np.float32)
    assert ours.dtype == np.float32 and np.array_equal(ours, expected)


@pytest.mark.parametrize("compute", FUNCTIONS)
@pytest.mark.parametrize("step", [1, 160, 1000, 10240, 60000])
def test_pieces_of_one_length(compute, step):
    whole = signal(50000 if step > 1 else 3000)
    ours = fed(StreamingFrontEnd(compute.__name__, 16000), whole, list(range(0, len(whole), step)))
    assert np.array_equal(ours, compute(whole, 16000))


@pytest.mark.parametrize("n_samples", [600, 700, 799, 801, 2000])
def test_a_signal_that_is_mirrored_again_and_again(n_samples):
    """Frames of 100 ms every 1 ms: more than a block of them in a signal shorter than one frame."""
    whole, names = signal(n_samples), {"frame_length": 100.0, "frame_shift": 1.0, "snip_edges": False}
    expected = fbank(whole, 8000, **names)
    assert len(expected) > 64
    for cuts in ([], [300], list(range(0, n_samples, 7))):
        assert np.array_equal(fed(StreamingFrontEnd("fbank", 8000, **names), whole, cuts), expected)


def test_frames_come_as_soon_as_they_can():
    stream, whole = StreamingFrontEnd("fbank", 8000), signal(8000)
    counts = [len(stream.accept(whole[i : i + 40])) for i in range(0, 8000, 40)]
    assert counts == [0] * 4 + [1, 0] * 98
    assert len(stream.flush()) == 0


def test_vtln_energy_and_options_reach_the_features():
    whole = signal(9000)
    stream = StreamingFrontEnd("mfcc", 8000, vtln_warp=1.1, num_ceps=20, htk_compat=True)
    assert stream.dim == 20
    assert np.array_equal(
        fed(stream, whole, [500, 501]), mfcc(whole, 8000, vtln_warp=1.1, num_ceps=20, htk_compat=True)
    )
    assert StreamingFrontEnd("fbank", 8000, use_energy=True).dim == 24


def test_a_stream_keeps_little():
    stream = StreamingFrontEnd("mfcc", 16000)
    for _ in range(60):
        stream.accept(signal(16000))
    assert len(stream._kept) < 16000


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 300), st.integers(0, 3), st.integers(1, 4), st.integers(0, 6), st.integers(0, 6), CUTS)
def test_delta_and_splice(n_frames, order, window, left, right, cuts):
    whole = np.random.default_rng(1).normal(0, 20, (n_frames, 3)).astype(np.float32)
    expected = delta(whole, order=order, window=window)
    assert np.array_equal(fed(streaming_delta(order=order, window=window), whole, cuts), expected)
    expected = splice(whole, left=left, right=right)
    assert np.array_equal(fed(streaming_splice(left=left, right=right), whole, cuts), expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 700), st.booleans(), st.booleans(), CUTS)
def test_causal_cmvn(n_frames, window, norm_vars, has_speaker, cuts):
    rng = np.random.default_rng(1)
    whole, prior = rng.normal(7, 5, (n_frames, 2)).astype(np.float32), cmvn_statistics([rng.normal(6, 5, (90, 2))])
    names = {"window": window, "norm_vars": norm_vars, "prior": prior}
    names["statistics"] = cmvn_statistics([rng.normal(8, 5, (70, 2))]) if has_speaker else None
    assert np.array_equal(fed(CausalCmvn(2, **names), whole, cuts), cmvn(whole, mode="causal", **names))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [
            (MFCC,),
            (MFCC, CAUSAL, DELTA),
            (MFCC, DELTA, CAUSAL),
            ({"kind": "lpcc"}, CAUSAL | {"norm_vars": True, "global_frames": 20}, DELTA, SPLICE),
            ({"kind": "fbank", "options": {"snip_edges": False}}, SPLICE, CAUSAL, {"kind": "delta", "order": 1}),
        ]
    ),
    st.one_of(st.integers(200, 1500), st.integers(200, 30000)),
    CUTS,
)
def test_whole_pipelines(steps, n_samples, cuts):
    pipeline = FeaturePipeline(8000, steps)
    pipeline = pipeline.with_prior([pipeline.front_end(signal(20000, 3))])
    whole = signal(n_samples)
    (expected,) = pipeline.finish([pipeline.front_end(whole)], ["x"])
    ours = fed(pipeline.stream(), whole, cuts)
    assert ours.shape == (len(expected), pipeline.dim) and np.array_equal(ours, expected)


@pytest.mark.parametrize("mode", ["speaker", "utterance", "sliding"])
def test_a_pipeline_that_needs_the_future_is_refused(mode):
    pipeline = FeaturePipeline(8000, (MFCC, DELTA, {"kind": "cmvn", "mode": mode}))
    assert not pipeline.streaming
    with pytest.raises(ModelError, match=rf"cmvn of mode '{mode}' needs a recording's end.*use mode 'causal'"):
        pipeline.stream()


def test_a_causal_step_without_prior_is_refused():
    with pytest.raises(ValueError, match="causal cmvn has no prior statistics"):
        FeaturePipeline(8000, (MFCC, CAUSAL)).stream()


def test_an_empty_signal_gives_no_frames():
    stream = FeaturePipeline(8000, (MFCC, DELTA, SPLICE)).stream()
    assert stream.accept(np.zeros(0)).shape == stream.flush().shape == (0, 39 * 6)


def test_unusable_pieces_and_names():
    with pytest.raises(ValueError, match=r"no front-end 'mfc'.*did you mean 'mfcc'"):
        StreamingFrontEnd("mfc", 8000)
    with pytest.raises(TypeError, match="has no option 'ordr'; did you mean 'order'"):
        StreamingFrontEnd("lpcc", 8000, ordr=3)
    with pytest.raises(ValueError, match="order=200; need less than"):
        StreamingFrontEnd("lpcc", 8000, order=200)
    with pytest.raises(ValueError, match=r"vtln_warp=1.1; lpcc has no mel filters"):
        StreamingFrontEnd("lpcc", 8000, vtln_warp=1.1)
    stream = StreamingFrontEnd("mfcc", 8000)
    stream.accept(signal(300))
    with pytest.raises(AudioError, match="need one channel"):
        stream.accept(np.zeros((10, 2)))
    with pytest.raises(AudioError, match=r"samples from 300 on: .* the first is sample 2"):
        stream.accept(np.array([0, 0, np.nan]))
    with pytest.raises(AudioError, match="floats up to"):
        stream.accept(np.full(300, 1e35))
    stream = StreamingFrontEnd("mfcc", 8000)
    stream.flush()
    for call in (stream.flush, lambda: stream.accept(signal(10))):
        with pytest.raises(ValueError, match="has been flushed"):
            call()
    with pytest.raises(ValueError, match=r"shape \(3,\); need \(n_frames, dim\)"):
        streaming_delta().accept(np.zeros(3))
    with pytest.raises(ValueError, match=r"shape \(3, 4\); need \(n_frames, 2\)"):
        CausalCmvn(2).accept(np.zeros((3, 4)))
