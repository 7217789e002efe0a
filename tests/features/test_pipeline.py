"""Feature pipelines as model.json lists them, and extraction over a corpus with broken files in it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.signal
import soundfile

from asr.corpus import Utterance
from asr.corpus.extract import extract
from asr.errors import AudioError, ConfigError, CorpusError, ModelError
from asr.features import (
    FbankOptions,
    LpcOptions,
    MfccOptions,
    PitchOptions,
    cmvn,
    cmvn_statistics,
    delta,
    fbank,
    lpc,
    lpcc,
    mfcc,
    reflection_coefficients,
    splice,
)
from asr.features.archive import write_archive, write_matrix
from asr.features.front_ends import FRONT_ENDS, Extractor
from asr.features.pipeline import Affine, Cmvn, Delta, FeaturePipeline, FrontEnd, Given, Splice, step_from_json
from asr.features.table import FeatureTable

MFCC = {"kind": "mfcc", "options": {"use_energy": False}}
GIVEN = {"kind": "given", "dim": 3, "frame_shift": 8.0}
DELTA = {"kind": "delta", "order": 2, "window": 2}
CAUSAL = {"kind": "cmvn", "mode": "causal", "window": 30}


def samples(seconds: float = 0.5, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(8000 * seconds))).astype(np.float32)


# What models were saved with before steps said all their settings, and the steps that they are.
SAVED = [
    (MFCC, FrontEnd("mfcc", MfccOptions(use_energy=False))),
    ({"kind": "fbank"}, FrontEnd("fbank")),
    ({"kind": "lpcc", "options": {}}, FrontEnd("lpcc", LpcOptions())),
    ({"kind": "mfcc", "pitch": {}}, FrontEnd("mfcc", pitch=PitchOptions())),
    (
        {"kind": "fbank", "options": {"frame_shift": 8}, "pitch": {"min_f0": 70}},
        FrontEnd("fbank", FbankOptions(frame_shift=8.0), pitch=PitchOptions(min_f0=70.0)),
    ),
    ({"kind": "pitch", "options": {"max_f0": 300}}, FrontEnd("pitch", PitchOptions(max_f0=300.0))),
    ({"kind": "given", "dim": 13}, Given(13)),
    (GIVEN, Given(3, frame_shift=8.0)),
    ({"kind": "cmvn", "mode": "speaker"}, Cmvn("speaker")),
    ({"kind": "cmvn", "mode": "causal", "global_frames": 10}, Cmvn("causal", global_frames=10)),
    ({"kind": "cmvn", "mode": "sliding", "norm_vars": True, "window": 300}, Cmvn("sliding", True, 300)),
    ({"kind": "delta"}, Delta()),
    (DELTA, Delta(order=2, window=2)),
    ({"kind": "splice", "left": 3}, Splice(left=3, right=4)),
]


@pytest.mark.parametrize(("table", "step"), SAVED, ids=lambda x: x["kind"] if isinstance(x, dict) else "")
def test_a_step_is_what_its_table_says_and_writes_all_its_settings(table, step):
    assert step_from_json(table) == step
    written = json.loads(json.dumps(step.to_json()))
    assert step_from_json(written) == step
    tables = [(table, written), *((table[key], written[key]) for key in ("options", "pitch") if key in table)]
    for said, all_of_it in tables:
        assert said.keys() <= all_of_it.keys()
    settings = {"mfcc": MfccOptions, "fbank": FbankOptions, "lpcc": LpcOptions, "pitch": PitchOptions}
    if step.kind in settings:
        assert settings[step.kind](**written["options"]) == step.options


def test_steps_and_their_tables_make_the_same_pipeline():
    tables = (MFCC, CAUSAL, DELTA, {"kind": "splice"})
    steps = [FrontEnd("mfcc", MfccOptions(use_energy=False)), Cmvn("causal", window=30), Delta(), Splice()]
    one, other = FeaturePipeline(8000, tables), FeaturePipeline(8000, steps)
    assert one.steps == other.steps == (one.first, *one.later) and one.to_json() == other.to_json()
    assert one.then({"kind": "delta"}).steps == other.then(Delta()).steps
    assert repr(one.steps) == (
        "(FrontEnd(kind='mfcc', options=MfccOptions(use_energy=False), pitch=None), Cmvn(mode='causal', window=30), "
        "Delta(), Splice())"
    )


def test_steps_are_equal_whatever_they_normalise_with_but_matrices_are_compared():
    prior = cmvn_statistics([mfcc(samples(), 8000)])
    assert Cmvn("causal", prior=prior) == Cmvn("causal") != Cmvn("causal", window=3)
    assert Affine(np.eye(3)) == Affine(np.eye(3)) != Affine(2 * np.eye(3)) and Affine(np.eye(3)) != Delta()
    assert repr(Affine(np.eye(3))) == "Affine(matrix=float64 (3, 3))"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FrontEnd("mfc"), "no front-end 'mfc'.*did you mean 'mfcc'"),
        (lambda: FrontEnd("mfcc", LpcOptions()), "mfcc takes options of type MfccOptions, not LpcOptions"),
        (lambda: FrontEnd("pitch", pitch=PitchOptions()), "pitch has no key 'pitch'"),
        (lambda: FrontEnd("mfcc", pitch=PitchOptions(frame_shift=5)), "pitch has the front-end's frame_shift"),
        (lambda: Given(0), "dim=0; need the values per frame"),
        (lambda: Cmvn("speakers"), "cmvn mode 'speakers'; need one of .*did you mean 'speaker'"),
        (lambda: Cmvn("causal", window=0), "window=0, global_frames=200; need 1 or more"),
        (lambda: Cmvn("causal", global_frames=-1), "global_frames=-1"),
        (lambda: Cmvn("speaker", norm_vars="yes"), "norm_vars='yes'; need True or False"),
        (lambda: Delta(order=21), "order=21, window=2; need order 0 to 20"),
        (lambda: Delta(order="2"), "order='2'; need a whole number"),
        (lambda: Splice(left=1.5), "left=1.5; need a whole number"),
        (lambda: Splice(right=1001), "left=4, right=1001; need 0 to 1000"),
        (lambda: Affine(np.ones(3)), "affine has no matrix"),
    ],
)
def test_each_step_checks_its_own_settings(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_no_features_are_computed_to_make_a_pipeline(kind, monkeypatch):
    def computed(*arguments, **settings):
        raise AssertionError("features are computed")

    expected = FeaturePipeline(8000, [FrontEnd(kind)]).front_end(samples()).shape[1]
    monkeypatch.setattr(Extractor, "__call__", computed)
    pipeline = FeaturePipeline(8000, [FrontEnd(kind), Cmvn("utterance"), Delta(order=1), Splice(1, 1)])
    assert (pipeline.raw_dim, pipeline.dim) == (expected, 6 * expected)
    assert FeaturePipeline.from_json(pipeline.to_json()).steps == pipeline.steps
    with pytest.raises(AssertionError, match="features are computed"):
        pipeline.front_end(samples())


def test_frames_may_be_longer_than_a_second():
    pipeline = FeaturePipeline(8000, [FrontEnd("mfcc", MfccOptions(frame_length=1500.0, frame_shift=500.0)), Delta()])
    assert pipeline.front_end(samples(3)).shape == (4, 13)


def test_a_pipeline_says_whether_it_needs_the_speaker():
    for mode in ("utterance", "speaker", "sliding", "causal"):
        pipeline = FeaturePipeline(8000, [FrontEnd("mfcc"), Delta(), Cmvn(mode)])
        assert (pipeline.needs_speaker, pipeline.streaming) == (mode == "speaker", mode == "causal")
    assert not FeaturePipeline(8000, [FrontEnd("mfcc")]).needs_speaker


def test_speaker_steps_are_the_functions_in_order():
    pipeline = FeaturePipeline(8000, (FrontEnd("mfcc", MfccOptions(use_energy=False)), Cmvn("speaker"), Delta()))
    raw = [pipeline.front_end(samples(0.5, seed)) for seed in range(3)]
    assert np.array_equal(raw[0], mfcc(samples(), 8000, use_energy=False))
    done = pipeline.finish(raw, ["x", "y", "x"])
    statistics = cmvn_statistics([raw[0], raw[2]])
    assert np.array_equal(done[2], delta(cmvn(raw[2], mode="speaker", statistics=statistics)))
    assert np.array_equal(done[1], delta(cmvn(raw[1])))
    assert (pipeline.raw_dim, pipeline.dim, pipeline.streaming) == (13, 39, False)


def test_causal_prior_travels_through_json_and_arrays():
    pipeline = FeaturePipeline(8000, (MFCC, DELTA, CAUSAL))
    assert pipeline.streaming and pipeline.dim == 39
    training = [pipeline.front_end(samples(1, seed)) for seed in (5, 6)]
    fitted = pipeline.with_prior(training)
    raw = pipeline.front_end(samples())
    expected = cmvn(delta(raw), mode="causal", window=30, prior=cmvn_statistics([delta(m) for m in training]))
    (done,) = fitted.finish([raw], ["x"])
    assert np.array_equal(done, expected)
    value = json.loads(json.dumps(fitted.to_json()))
    assert value["steps"][1:] == [DELTA, CAUSAL | {"norm_vars": False, "global_frames": 200}]
    again = FeaturePipeline.from_json(value, fitted.arrays())
    assert np.array_equal(again.finish([raw], ["x"])[0], done)
    with pytest.raises(ValueError, match="no prior statistics; need with_prior"):
        pipeline.finish([raw], ["x"])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (({"kind": "mfc"},), "step 0: unknown kind 'mfc'; did you mean 'mfcc'.*need a table with a kind of cmvn"),
        (({"kind": "mfcc", "option": {}},), "mfcc has no key 'option'; did you mean 'options'"),
        (({"kind": "mfcc", "options": {"num_cep": 13}},), "no option 'num_cep'; did you mean 'num_ceps'"),
        (({"kind": "mfcc", "options": {"num_ceps": 99}},), "num_ceps=99; need 1 to"),
        (({"kind": "mfcc", "options": {"high_freq": 7000}},), "at 8000 Hz: high_freq=7000"),
        ((MFCC, {"kind": "cmvn"}), "mode None; need one of"),
        ((MFCC, {"kind": "cmvn", "mode": "causal", "windows": 3}), "did you mean 'window'"),
        ((MFCC, {"kind": "delta", "order": -1}), "order=-1"),
        ((MFCC, {"kind": "splice", "left": -1}), "left=-1"),
        ((MFCC, {"kind": "splice", "order": 1}), "splice has no key 'order'"),
        ((MFCC, {"kind": "cmvn", "mode": "sliding", "window": 0}), "window=0"),
        (({"kind": "lpcc", "options": {"num_mel_bins": 23}},), "lpcc has no option 'num_mel_bins'"),
        (({"kind": "lpcc", "options": {"order": 200}},), "at 8000 Hz: order=200; need less than the 200 samples"),
        ((MFCC, MFCC), "step 1: mfcc is a front-end"),
        ((DELTA,), "first of a feature pipeline's steps"),
        ((), "first of a feature pipeline's steps"),
        ((GIVEN,), "sample_rate=8000; need 0 for given features"),
        ((MFCC, GIVEN), "step 1: given is a front-end"),
        ((MFCC, {"kind": ["delta"]}), r"step 1: unknown kind \['delta'\]"),
        ((MFCC, "delta"), "step 1: 'delta' is no step"),
        (({"kind": "mfcc", "options": [1]},), r"step 0: options = \[1\]; need a table"),
        ((MFCC, {"kind": "delta", "order": 10**400}), "step 1: "),
    ],
)
def test_wrong_steps(steps, message):
    with pytest.raises(ConfigError, match=message):
        FeaturePipeline(8000, steps)


def test_wrong_json():
    with pytest.raises(ConfigError, match="steps is 5; need a list of tables"):
        FeaturePipeline.from_json({"sample_rate": 8000, "steps": 5})
    with pytest.raises(ConfigError, match="no key 'step'; did you mean 'steps'"):
        FeaturePipeline.from_json({"sample_rate": 8000, "step": []})
    with pytest.raises(ConfigError, match="lacks 'steps'"):
        FeaturePipeline.from_json({"sample_rate": 8000})


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"kind": "given"}, "dim=None; need the values per frame"),
        ({"kind": "given", "dims": 3}, "given has no key 'dims'; did you mean 'dim'"),
        (GIVEN | {"dim": 0}, "dim=0; need the values per frame, 1 to 100000"),
        (GIVEN | {"dim": 10**9}, "dim=1000000000; need"),
        (GIVEN | {"dim": True}, "dim=True"),
        (GIVEN | {"dim": "3"}, "dim='3'"),
        (GIVEN | {"frame_shift": 0}, "frame_shift=0; need milliseconds above 0"),
        (GIVEN | {"frame_shift": float("nan")}, "frame_shift=nan"),
        (GIVEN | {"frame_shift": "10"}, "frame_shift='10'"),
    ],
)
def test_wrong_given_features(step, message):
    with pytest.raises(ConfigError, match=message):
        FeaturePipeline(0, (step, DELTA))


def test_a_learned_matrix_travels_through_json_and_arrays_and_streams_to_the_bit():
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(5, 28))  # of 9 spliced values three times, and an offset
    pipeline = FeaturePipeline(0, (GIVEN, {"kind": "splice"})).then_affine(matrix)
    pipeline = pipeline.then(CAUSAL, {"kind": "delta", "order": 1})
    frames = rng.normal(size=(90, 3)).astype(np.float32)
    pipeline = pipeline.with_prior([frames])
    value = json.loads(json.dumps(pipeline.to_json()))
    assert value["steps"][2] == {"kind": "affine"} and pipeline.dim == 10 and pipeline.streaming
    again = FeaturePipeline.from_json(value, pipeline.arrays())
    (whole,) = again.finish([frames], ["x"])
    by_hand = splice(frames).astype(np.float64) @ matrix[:, :27].T + matrix[:, 27]
    prior = cmvn_statistics([by_hand.astype(np.float32)])
    expected = delta(cmvn(by_hand.astype(np.float32), mode="causal", window=30, prior=prior), order=1)
    assert np.allclose(whole, expected, atol=1e-4)
    for size in (1, 7, 89):
        stream = again.stream()
        pieces = [stream.accept(frames[a : a + size]) for a in range(0, 90, size)]
        assert np.array_equal(np.concatenate([*pieces, stream.flush()]), whole)


def test_wrong_matrices():
    pipeline = FeaturePipeline(0, (GIVEN,))
    with pytest.raises(ConfigError, match=r"step 1: a transform of shape \(2, 5\) does not fit features of 3 values"):
        pipeline.then_affine(np.ones((2, 5)))
    with pytest.raises(ConfigError, match="step 1: affine has no matrix"):
        FeaturePipeline(0, (GIVEN, {"kind": "affine"}))
    with pytest.raises(ConfigError, match="affine has no key 'dim'"):
        FeaturePipeline(0, (GIVEN, {"kind": "affine", "dim": 3}))


def test_audio_needs_a_rate():
    for rate in (0, -1, True, 8000.0):
        with pytest.raises(ConfigError, match="need a whole number of Hz, 1 or more"):
            FeaturePipeline(rate, (MFCC,))


def test_given_features_are_finished_like_others_and_travel_through_json():
    steps = (GIVEN, {"kind": "cmvn", "mode": "speaker"}, DELTA)
    pipeline = FeaturePipeline.from_json(json.loads(json.dumps(FeaturePipeline(0, steps).to_json())))
    rng = np.random.default_rng(0)
    raw = [pipeline.raw(rng.normal(3, 1, size=(20, 3))) for _ in range(2)]
    done = pipeline.finish(raw, ["x", "x"])
    assert np.array_equal(done[0], delta(cmvn(raw[0], mode="speaker", statistics=cmvn_statistics(raw))))
    assert (pipeline.raw_dim, pipeline.dim, pipeline.frame_shift, pipeline.streaming) == (3, 9, 0.008, False)
    assert FeaturePipeline(0, (GIVEN | {"dim": 13}, CAUSAL)).streaming
    for call in (lambda: pipeline.front_end(samples()), lambda: pipeline.options):
        with pytest.raises(ModelError, match=r"takes features \(3 values every 8 ms\), not audio: give it FILE.npy"):
            call()
    for bad, message in ((np.ones((2, 4)), "has 4 values per frame; need 3"), (raw[0] * np.nan, "is nan")):
        with pytest.raises(CorpusError, match=f"x.npy: .*{message}"):
            pipeline.raw(bad, where="x.npy")


@pytest.mark.parametrize("cuts", [[], [0, 1, 2, 3], [7, 7, 40], [199], [13, 26, 39, 52, 65, 120]])
def test_a_stream_of_given_features_equals_the_whole_to_the_bit(cuts):
    for steps in ((GIVEN, CAUSAL, DELTA), (GIVEN, DELTA, CAUSAL | {"norm_vars": True}), (GIVEN, {"kind": "splice"})):
        rng = np.random.default_rng(len(cuts))
        frames = rng.normal(2, 3, size=(200, 3))  # float64, as a caller may have them
        pipeline = FeaturePipeline(0, steps).with_prior([rng.normal(2, 3, size=(50, 3)).astype(np.float32)])
        (whole,) = pipeline.finish([pipeline.raw(frames)], ["x"])
        stream = pipeline.stream()
        pieces = [stream.accept(frames[a:b]) for a, b in zip([0, *cuts], [*cuts, 200], strict=True)]
        assert np.array_equal(np.concatenate([*pieces, stream.flush()]), whole)
        with pytest.raises(ValueError, match="has been flushed"):
            stream.accept(frames)
        with pytest.raises(CorpusError, match="has 2 values per frame; need 3"):
            pipeline.stream().accept(frames[:, :2])
        with pytest.raises(ValueError, match="flushed already"):
            stream.flush()


@pytest.mark.parametrize("compute", [mfcc, fbank, lpc, lpcc, reflection_coefficients])
def test_every_front_end_with_splice_and_a_sliding_window(compute):
    steps = (
        {"kind": compute.__name__, "options": {"frame_shift": 8.0}},
        {"kind": "cmvn", "mode": "sliding", "window": 20, "norm_vars": True},
        {"kind": "splice", "left": 2, "right": 1},
    )
    pipeline = FeaturePipeline(8000, steps)
    pipeline = FeaturePipeline.from_json(json.loads(json.dumps(pipeline.to_json())), pipeline.arrays())
    raw = pipeline.front_end(samples())
    assert np.array_equal(raw, compute(samples(), 8000, frame_shift=8))
    (done,) = pipeline.finish([raw], ["x"])
    assert np.array_equal(done, splice(cmvn(raw, mode="sliding", window=20, norm_vars=True), left=2, right=1))
    assert (pipeline.raw_dim, pipeline.dim, pipeline.streaming) == (raw.shape[1], done.shape[1], False)
    assert FeaturePipeline(8000, (steps[0], CAUSAL, steps[2])).streaming


def test_only_mel_filters_can_be_warped():
    assert FeaturePipeline(8000, (MFCC,)).front_end(samples(), vtln_warp=1.1).shape == (48, 13)
    with pytest.raises(ValueError, match=r"vtln_warp=1.1; lpcc has no mel filters"):
        FeaturePipeline(8000, ({"kind": "lpcc"},)).front_end(samples(), vtln_warp=1.1)


def test_a_model_trains_on_linear_prediction():
    """Two words that are two all-pole filters: after training, a word's middle is likeliest under its own phone."""
    from asr.gmm.mono import MonoOptions
    from asr.lang.lexicon import Lexicon
    from asr.train.data import Data
    from asr.train.mono import train_monophone

    pipeline = FeaturePipeline(8000, ({"kind": "lpcc", "options": {"order": 10}}, CAUSAL | {"window": 600}, DELTA))
    rng = np.random.default_rng(0)
    raw, words = {}, {}
    for i in range(24):
        words[f"u{i}"] = word = ("low", "high")[i % 2]
        silence, noise = (0.001 * rng.standard_normal(2400) for _ in range(2))
        tone = scipy.signal.lfilter([1], [1, -2 * 0.95 * np.cos(0.6 if word == "low" else 2.2), 0.95**2], 20 * noise)
        signal = np.concatenate([silence, tone, silence[::-1]]).astype(np.float32)
        raw[f"u{i}"] = pipeline.front_end(signal)
    data = Data(FeatureTable.from_dict(raw), dict.fromkeys(words, "s"), words)
    lexicon = Lexicon((("low", ("L",)), ("high", ("H",))))
    model, result = train_monophone(data, lexicon, pipeline, MonoOptions(num_iters=8, total_gaussians=18))
    assert model.streaming and model.features.dim == 39 and len(result.alignments) == 24
    features = model.features.finish(list(raw.values()), ["s"] * 24)
    pdfs, phones = model.transitions.pdf_of_id[1:], model.transitions.phone_of_id[1:]
    for word, matrix in zip(words.values(), features, strict=True):
        likelihood = model.acoustic.log_likelihoods(matrix[35:55]).mean(axis=0)
        (phone,) = set(phones[pdfs == likelihood.argmax()])
        assert lexicon.phones.name(phone) == {"low": "L", "high": "H"}[word]


def corpus(folder):
    utterances = []
    for i in range(70):
        path = folder / f"u{i}.wav"
        soundfile.write(path, samples(0.3, i), 16000 if i % 2 else 8000)
        utterances.append(SimpleNamespace(id=f"u{i}", speaker="s", audio=path, start=None, end=None, channel=None))
    (folder / "u3.wav").write_bytes(b"")
    soundfile.write(folder / "u40.wav", samples(0.01), 8000)
    utterances[5].start, utterances[5].end = 0.05, 0.15
    utterances[6].audio = None
    return utterances


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_extract_collects_failures(tmp_path, n_jobs):
    pipeline, seen = FeaturePipeline(8000, (MFCC,)), []
    table, problems = extract(
        corpus(tmp_path), pipeline, n_jobs=n_jobs, progress=lambda done, total: seen.append((done, total))
    )
    assert [problem.where for problem in problems] == ["u3", "u6", "u40"]
    assert "u3.wav: empty (0 bytes)" in problems[0].message and "u40.wav: too short" in problems[2].message
    assert table.ids == [f"u{i}" for i in range(70) if i not in (3, 6, 40)]
    assert seen[-1] == (70, 70) and len(seen) == 3
    assert np.array_equal(table["u0"], pipeline.front_end(soundfile.read(tmp_path / "u0.wav", dtype="float32")[0]))
    assert len(table["u5"]) == 8 and len(table["u1"]) == 13


def test_extract_may_stop_at_the_first_failure(tmp_path):
    with pytest.raises(AudioError, match=r"utterance 'u3': .*u3.wav: empty"):
        extract(corpus(tmp_path), FeaturePipeline(8000, (MFCC,)), allow_failures=False)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_given_features_are_read_from_where_the_utterances_say(tmp_path, n_jobs):
    rng = np.random.default_rng(0)
    matrices = {f"u{i}": rng.normal(size=(5 + i, 3)).astype(np.float32) for i in range(40)}
    write_archive(tmp_path / "x.ark", matrices.items())
    places = dict(line.split() for line in (tmp_path / "x.scp").read_text().splitlines())
    write_matrix(tmp_path / "u1.npy", matrices["u1"])
    write_matrix(tmp_path / "u2.npy", np.ones((4, 2)))
    places |= {"u1": f"{tmp_path}/u1.npy", "u2": f"{tmp_path}/u2.npy", "u3": f"{tmp_path}/u3.npy", "u4": None}
    utterances = [Utterance(name, "s", features=place) for name, place in places.items()]
    pipeline = FeaturePipeline(0, (GIVEN, DELTA))
    table, problems = extract(utterances, pipeline, n_jobs=n_jobs)
    assert table.ids == [name for name in matrices if name not in ("u2", "u3", "u4")]
    assert all(np.array_equal(table[name], matrices[name]) for name in table.ids)
    assert problems == [
        ("u2", f"{tmp_path}/u2.npy: has 2 values per frame; need 3, as the model or pipeline says"),
        ("u3", f"{tmp_path}/u3.npy: no such file"),
        ("u4", "utterance 'u4' has no features, which this pipeline takes"),
    ]
    with pytest.raises(CorpusError, match=rf"utterance 'u2': {tmp_path}/u2.npy: has 2 values"):
        extract(utterances, pipeline, allow_failures=False)
