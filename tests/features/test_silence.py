"""Digital silence: frames that no microphone made move no mean and look like pauses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.features import mfcc
from asr.features.frames import Framing
from asr.features.options import MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.features.silence import is_silent, pause_frames, silent_frames

RATE, STEP = 8000, 1 / 32768
SIZE, SHIFT = 200, 80
MODES = ("utterance", "speaker", "sliding", "causal")


def speech(n_samples: int, seed: int = 0) -> np.ndarray:
    """Noise that is loud and quiet in turn, as syllables and pauses of a quiet microphone are."""
    rng = np.random.default_rng(seed)
    loudness = np.where(np.arange(n_samples) // 800 % 2, 0.1, 3 * STEP)
    return (loudness * rng.standard_normal(n_samples)).astype(np.float32)


def pipeline(mode: str, **more) -> FeaturePipeline:
    plain = FeaturePipeline(RATE, ({"kind": "mfcc"}, {"kind": "cmvn", "mode": mode, **more}, {"kind": "delta"}))
    return plain.with_prior([plain.front_end(speech(RATE, seed)) for seed in range(3)])


def silence(kind: str, n_samples: int) -> np.ndarray:
    """What editors, gates and muted calls leave."""
    rng = np.random.default_rng(1)
    return {
        "zeros": np.zeros(n_samples),
        "constant": np.full(n_samples, 0.25),
        "one step": np.full(n_samples, STEP),
        "noise of a step": rng.integers(-1, 2, n_samples) * STEP,
    }[kind].astype(np.float32)


@pytest.mark.parametrize("kind", ["zeros", "constant", "one step", "noise of a step"])
def test_frames_without_a_microphone_are_marked_and_no_others(kind):
    framing = Framing.of(MfccOptions(), RATE)
    signal = np.concatenate([silence(kind, 800), speech(1600), silence(kind, 800)])
    marked = silent_frames(signal, framing)
    starts = np.arange(len(marked)) * SHIFT
    inside = (starts + SIZE <= 800) | (starts >= 2400)
    assert np.array_equal(marked, inside)
    assert is_silent(silence(kind, 800)) and not is_silent(signal)


def test_mirrored_edges_are_marked_as_the_signal_is():
    framing = Framing.of(MfccOptions(snip_edges=False), RATE)
    marked = silent_frames(np.concatenate([np.zeros(400, np.float32), speech(800)]), framing)
    assert len(marked) == 15 and marked[:4].all() and not marked[6:].any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm_vars", [False, True])
@pytest.mark.parametrize("kind", ["zeros", "noise of a step"])
def test_silence_changes_no_feature_of_the_speech(mode, norm_vars, kind):
    """Before, between and after speech. The mean of a whole recording, and of its past, is that of its speech."""
    if mode == "causal":
        maker = pipeline(mode, norm_vars=norm_vars, global_frames=20)
    else:
        maker = pipeline(mode, norm_vars=norm_vars)
    parts = speech(2400, 5), speech(2400, 6)
    nothing = silence(kind, 1600)
    signal = np.concatenate([nothing, parts[0], nothing, parts[1], nothing])
    # Frames that hold both speech and silence are new; these few aside, what is compared is the same speech.
    (with_silence,) = maker.finish([maker.front_end(signal)], ["x"])
    (alone,) = maker.finish([maker.front_end(np.concatenate(parts))], ["x"])
    n, dim = 2400 // SHIFT, 13
    first = with_silence[1600 // SHIFT : 1600 // SHIFT + n - 2, :dim]
    difference = np.abs(first - alone[: n - 2, :dim]).max()
    moved = mfcc(signal, RATE)[:, 0].mean() - mfcc(np.concatenate(parts), RATE)[:, 0].mean()
    assert difference < 1.5 < 2.5 < abs(moved)


@pytest.mark.parametrize("mode", MODES)
def test_pauses_of_training_speech_stand_in_their_place(mode):
    maker = pipeline(mode)
    signal = np.concatenate([np.zeros(4000, np.float32), speech(4000, 7)])
    (features,) = maker.finish([maker.front_end(signal)], ["x"])
    placed = features[: 4000 // SHIFT - 3, :13]
    pauses = {row.tobytes() for row in maker.pauses}
    assert all(row.tobytes() in pauses for row in placed)
    assert len(np.unique(placed, axis=0)) > 10  # no model can put a Gaussian on one frame
    assert placed[:, 0].mean() < features[4000 // SHIFT :, 0].mean() - 2  # they are quiet


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["speech", "zeros", "noise of a step"]), st.integers(50, 3000)), min_size=1),
    st.lists(st.integers(1, 4000)),
    st.booleans(),
)
def test_pieces_give_the_features_of_the_whole(parts, cuts, norm_vars):
    maker = pipeline("causal", norm_vars=norm_vars, global_frames=20)
    pieces = [speech(n, n) if kind == "speech" else silence(kind, n) for kind, n in parts]
    signal = np.concatenate([*pieces, speech(SIZE)])
    (whole,) = maker.finish([maker.front_end(signal)], ["x"])
    stream, given_out, begin = maker.stream(), [], 0
    for length in [*cuts, len(signal)]:
        given_out.append(stream.accept(signal[begin : begin + length]))
        begin += length
    assert np.array_equal(np.concatenate([*given_out, stream.flush()]), whole)


@pytest.mark.parametrize("mode", ["utterance", "speaker", "sliding"])
def test_nothing_but_silence_is_finite(mode):
    maker = pipeline(mode, norm_vars=True)
    (features,) = maker.finish([maker.front_end(np.zeros(RATE, np.float32))], ["x"])
    assert np.isfinite(features).all()
    with pytest.raises(ValueError, match="all recordings are digital silence"):
        maker.with_prior([maker.front_end(np.zeros(RATE, np.float32))])


@pytest.mark.parametrize("kind", ["fbank", "lpcc", "lpc", "reflection_coefficients"])
def test_other_front_ends_do_the_same(kind):
    """Networks take log mel energies; of the linear prediction alone no loudness is known, so no pauses are either."""
    maker = FeaturePipeline(RATE, ({"kind": kind}, {"kind": "cmvn", "mode": "utterance"}))
    maker = maker.with_prior([maker.front_end(speech(RATE, seed)) for seed in range(3)])
    assert (maker.pauses is None) == (kind in ("lpc", "reflection_coefficients"))
    parts = speech(2400, 5), speech(2400, 6)
    signal = np.concatenate([silence("zeros", 4000), parts[0], silence("zeros", 4000), parts[1]])
    (with_silence,) = maker.finish([maker.front_end(signal)], ["x"])
    (alone,) = maker.finish([maker.front_end(np.concatenate(parts))], ["x"])
    first, n = 4000 // SHIFT, 2400 // SHIFT - 2
    assert np.abs(with_silence[first : first + n] - alone[:n]).max() < 0.15 * np.abs(alone).max()
    if maker.pauses is not None:
        assert with_silence[: first - 3, 0].mean() < alone[:, 0].mean()


def test_dither_marks_the_same_frames_and_streams():
    signal = np.concatenate([np.zeros(1600, np.float32), speech(2400), silence("noise of a step", 1600)])
    steps = ({"kind": "mfcc", "options": {"dither": 1.0}}, {"kind": "cmvn", "mode": "causal"}, {"kind": "delta"})
    maker = FeaturePipeline(RATE, steps)
    maker = maker.with_prior([maker.front_end(speech(RATE))])
    plain = pipeline("causal")
    assert np.array_equal(maker.silent(maker.front_end(signal)), plain.silent(plain.front_end(signal)))
    (whole,) = maker.finish([maker.front_end(signal)], ["x"])
    stream = maker.stream()
    pieces = [stream.accept(signal[k : k + 333]) for k in range(0, len(signal), 333)]
    assert np.array_equal(np.concatenate([*pieces, stream.flush()]), whole)


def test_a_model_keeps_its_pauses():
    maker = pipeline("utterance")
    again = FeaturePipeline.from_json(maker.to_json(), maker.arrays())
    signal = np.concatenate([speech(4000), np.zeros(4000, np.float32)])
    (expected,), (got,) = (p.finish([p.front_end(signal)], ["x"]) for p in (maker, again))
    assert np.array_equal(got, expected)


def test_features_for_other_code_are_kaldis():
    raw = FeaturePipeline(RATE, ({"kind": "mfcc"},))
    signal = silence("noise of a step", 4000)
    assert np.array_equal(raw.front_end(signal), mfcc(signal, RATE))


@pytest.mark.parametrize("dim", [1, 13])
def test_pause_frames_are_drawn_like_the_quietest_frames(dim):
    rng = np.random.default_rng(0)
    quiet, loud = rng.standard_normal((400, dim)) - 8, rng.standard_normal((3600, dim)) + 8
    frames = pause_frames([np.concatenate([loud, quiet]).astype(np.float32)])
    assert np.abs(frames.mean(axis=0) + 8).max() < 0.5 and 0.35 < frames.std() < 0.65
    steps = np.abs(np.diff(np.concatenate([frames, frames[:1]]), axis=0)).mean()
    assert steps < np.abs(frames - frames[rng.permutation(256)]).mean()  # neighbours are alike


def test_one_quiet_frame_is_enough():
    assert np.isfinite(pause_frames([np.zeros((1, 3), np.float32)])).all()
