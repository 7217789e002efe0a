"""Mfcc and Fbank of torch: those of numpy, batched, with right gradients, on a GPU where there is one."""

import inspect
import io
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr import audio
from asr.errors import AudioError
from asr.features import FbankOptions, MfccOptions, fbank, mfcc, n_frames
from asr.features.options import WINDOW_TYPES
from asr.nn import Fbank, Mfcc

PAIRS = ((Mfcc, mfcc), (Fbank, fbank))
both = pytest.mark.parametrize(("module", "function"), PAIRS, ids=["mfcc", "fbank"])
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def noise(*shape: int, seed: int = 0, loudness: float = 0.1) -> np.ndarray:
    return (loudness * np.random.default_rng(seed).standard_normal(shape)).clip(-1, 1).astype(np.float32)


def assert_equal(ours, expected):
    """Within 1e-4, and 1e-5 of the largest value: lifters and linear outputs are large, and so is float32's step."""
    found = ours.detach().cpu().numpy()
    assert found.shape == expected.shape and ours.dtype == torch.float32
    assert np.abs(found - expected).max(initial=0) <= 1e-4 + 1e-5 * np.abs(expected).max(initial=0)


COMMON = {
    "frame_length": st.sampled_from([16.0, 25.0, 32.0]),
    "frame_shift": st.sampled_from([5.0, 10.0, 12.5]),
    "snip_edges": st.booleans(),
    "preemphasis_coefficient": st.sampled_from([0.0, 0.5, 0.97]),
    "remove_dc_offset": st.booleans(),
    "window_type": st.sampled_from(WINDOW_TYPES),
    "round_to_power_of_two": st.booleans(),
    "num_mel_bins": st.integers(10, 26),
    "low_freq": st.sampled_from([0.0, 20.0, 300.0]),
    "high_freq": st.sampled_from([0.0, -200.0, 3400.0]),
    "vtln_high": st.sampled_from([-500.0, -800.0]),
    "use_energy": st.booleans(),
    "energy_floor": st.sampled_from([0.0, 1.0, 1e9]),
    "raw_energy": st.booleans(),
    "htk_compat": st.booleans(),
}
OF_MFCC = {"cepstral_lifter": st.sampled_from([0.0, 22.0, 40.0])}
OF_FBANK = {"use_log_fbank": st.booleans(), "use_power": st.booleans()}
CASES = st.one_of(
    st.tuples(st.just(PAIRS[0]), st.fixed_dictionaries({"num_ceps": st.integers(1, 10)}, optional=COMMON | OF_MFCC)),
    st.tuples(st.just(PAIRS[1]), st.fixed_dictionaries({}, optional=COMMON | OF_FBANK)),
)


@settings(max_examples=200, deadline=None)
@given(CASES, st.sampled_from([8000, 16000]), st.integers(600, 5000), st.sampled_from([0.001, 0.1, 0.5]), st.booleans())
def test_those_of_numpy_with_any_options(case, rate, n_samples, loudness, warped):
    (module, function), names = case
    if warped:
        names = {**names, "vtln_warp": 1.1, "low_freq": 20.0, "high_freq": 0.0}
    samples = noise(n_samples, seed=n_samples, loudness=loudness)
    assert_equal(module(rate, **names)(torch.tensor(samples)), function(samples, rate, **names))


@both
@pytest.mark.parametrize("device", DEVICES)
def test_speech_and_silence(module, function, device, sample):
    samples, rate = audio.read(sample)
    front_end = module(rate).to(device)
    assert_equal(front_end(torch.tensor(samples, device=device)), function(samples, rate))
    assert_equal(front_end(torch.zeros(1000, device=device)), function(np.zeros(1000, np.float32), rate))


@pytest.fixture(scope="module")
def low_passed(sample):
    """float32, speech with nothing above 4 kHz at 16 kHz, as after a telephone, at three levels; as 16 bits, too."""
    samples, _ = audio.read(sample, 8000)
    empty = [audio.resample(level * samples, 8000, 16000) for level in (1.0, 0.1, 0.01)]
    return [*empty, (np.round(empty[0] * 32768) / 32768).astype(np.float32)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("module", "function", "names"), [(*pair, names) for pair in PAIRS for names in ({}, {"num_mel_bins": 80})]
)
def test_empty_bands_have_the_same_values(module, function, names, device, low_passed):
    """The rounding of float32, other in every FFT, would be all that is in them: up to 0.5 apart."""
    front_end = module(16000, **names).to(device)
    for samples in low_passed:
        found = front_end(torch.tensor(samples, device=device)).cpu().numpy()
        assert np.abs(found - function(samples, 16000, **names)).max() <= 1e-4


@both
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("snip_edges", [True, False])
def test_batches_are_the_recordings_alone(module, function, device, snip_edges):
    lengths = [4000, 1234, 201, 40, 1]
    batch = np.full((5, 4000), np.nan, dtype=np.float32)  # what lies behind a recording is not looked at
    for row, n in zip(batch, lengths, strict=True):
        row[:n] = noise(n, seed=n)
    front_end = module(8000, snip_edges=snip_edges).to(device)
    for given_lengths in (lengths, torch.tensor(lengths, device=device)):
        features, counts = front_end(torch.tensor(batch, device=device), given_lengths)
        assert features.device.type == counts.device.type == device
        assert counts.tolist() == n_frames(lengths, 8000, snip_edges=snip_edges).tolist()
        assert features.shape == (5, counts.max(), front_end.dim)
        for rows, n_rows, samples, n in zip(features, counts.tolist(), batch, lengths, strict=True):
            if n_rows:
                assert_equal(rows[:n_rows], function(samples[:n], 8000, snip_edges=snip_edges))
            assert not rows[n_rows:].any()
    pair = noise(2, 900)
    assert_equal(front_end(torch.tensor(pair, device=device))[1], function(pair[1], 8000, snip_edges=snip_edges))


@both
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32])
def test_integers_follow_the_rule_of_the_functions(module, function, dtype):
    top = np.iinfo(dtype).max
    whole = np.random.default_rng(0).integers(-top * (dtype != np.uint8), top, 2000).astype(dtype)
    assert_equal(module(8000)(torch.tensor(whole)), function(whole, 8000))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("module", "names"),
    [
        (Mfcc, {}),
        (Mfcc, {"use_energy": False, "htk_compat": True, "snip_edges": False}),
        (Fbank, {"use_energy": True, "raw_energy": False}),
        (Fbank, {"use_power": False, "use_log_fbank": False, "remove_dc_offset": False}),
    ],
)
def test_gradients_are_those_of_small_differences(module, names, device):
    tiny = {"frame_length": 4.0, "frame_shift": 2.0, "num_mel_bins": 3, **({"num_ceps": 3} if module is Mfcc else {})}
    front_end = module(8000, **tiny, **names).to(device)
    samples = torch.tensor(noise(2, 70), dtype=torch.float64, device=device, requires_grad=True)
    lengths = torch.tensor([70, 50])
    assert torch.autograd.gradcheck(lambda x: front_end(x, lengths)[0], (samples,))


@both
def test_silence_has_a_gradient_without_nan(module, function):
    names = {} if module is Mfcc else {"use_power": False}
    samples = torch.zeros(800, requires_grad=True)
    module(8000, **names)(samples).sum().backward()
    assert torch.isfinite(samples.grad).all()


@both
def test_options_are_those_of_the_function(module, function):
    ours, theirs = inspect.signature(module).parameters, inspect.signature(function).parameters
    wanted = {name: p for name, p in theirs.items() if name not in ("samples", "lengths", "seed")}
    assert dict(ours) == wanted
    assert module(8000, options=(MfccOptions if module is Mfcc else FbankOptions)(num_mel_bins=20)).dim in (13, 20)
    with pytest.raises(
        TypeError, match=rf"{module.__name__}\(\) has no option 'num_mel_bin'; did you mean 'num_mel_bins'"
    ):
        module(8000, num_mel_bin=20)
    with pytest.raises(ValueError, match="high_freq=5000"):
        module(8000, high_freq=5000.0)


def test_precision():
    """float64 stays; half precision, also autocast's, is computed in single, of which it has the error."""
    samples, front_end = torch.tensor(noise(4000)), Mfcc(8000)
    exact = front_end(samples.double())
    assert exact.dtype == torch.float64 and (front_end(samples) - exact).abs().max() < 1e-4
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(front_end(samples), Mfcc(8000)(samples))
    assert front_end(samples.bfloat16()).dtype == torch.float32
    assert (front_end.double()(samples.double()) - exact).abs().max() < 1e-4


def test_it_is_a_module_without_weights_or_state():
    front_end = Fbank(16000, num_mel_bins=80, use_energy=True)
    assert repr(front_end) == "Fbank(16000 Hz, dim=81, num_mel_bins=80, use_energy=True)"
    assert not list(front_end.parameters()) and not front_end.state_dict()
    assert {name for name, _ in front_end.named_buffers()} == {"window", "filters"}
    assert {b.dtype for b in front_end.to(torch.float64).buffers()} == {torch.float64}


def test_dither_is_torchs_noise_of_the_size_asked_for():
    front_end = Fbank(8000, dither=30.0)
    torch.manual_seed(0)
    noisy = front_end(torch.zeros(8000))
    expected = fbank(np.zeros(8000, np.float32), 8000, dither=30.0)
    assert abs(float(noisy.mean()) - expected.mean()) < 0.05
    assert not torch.equal(noisy, front_end(torch.zeros(8000)))


def test_what_cannot_be_used():
    front_end = Mfcc(8000)
    for samples, message in (
        (torch.zeros(1000, dtype=torch.int64), "torch.int64, which has no known full scale; need floats"),
        (torch.zeros(2, 1, 1000), r"shape \(2, 1, 1000\); need \(n_samples,\) or \(batch, n_samples\)"),
        (torch.zeros(2, 199), "too short: 199 samples at 8000 Hz; a frame has 200"),
    ):
        with pytest.raises(AudioError, match=message):
            front_end(samples)
    for lengths, message in (
        ([1000], r"lengths of shape \(1,\)"),
        ([1000, 1001], "lengths are 1000 to 1001; need 0 to 1000"),
        ([1.0, 0.5], "need whole numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            front_end(torch.zeros(2, 1000), lengths)


@both
@pytest.mark.parametrize("snip_edges", [True, False])
def test_compiled_and_exported_it_is_the_same(module, function, snip_edges):
    """Captured whole by torch.compile; in ONNX for any number of recordings of any length."""
    onnxruntime = pytest.importorskip("onnxruntime")
    front_end, samples = module(8000, snip_edges=snip_edges), torch.tensor(noise(3, 4000))
    compiled = torch.compile(front_end, backend="eager", fullgraph=True)
    lengths = torch.tensor([4000, 1000, 300])
    assert all(map(torch.equal, compiled(samples, lengths), front_end(samples, lengths)))
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            front_end, (samples[:1, :1600],), content, dynamo=False, opset_version=17, input_names=["samples"],
            output_names=["features"], dynamic_axes={"samples": {0: "batch", 1: "n"}, "features": {0: "batch", 1: "t"}},
        )  # fmt: skip
    session = onnxruntime.InferenceSession(content.getvalue())
    for n in (1600, 4000, 777):
        (found,) = session.run(None, {"samples": samples[:, :n].numpy()})
        for ours, recording in zip(found, samples[:, :n].numpy(), strict=True):
            assert_equal(torch.tensor(ours), function(recording, 8000, snip_edges=snip_edges))


@both
def test_the_functions_of_numpy_and_tensors(module, function):
    """Tensors of the CPU are taken as arrays; where that would lose something, the error says what to use."""
    samples = torch.tensor(noise(2000))
    found = function(samples, 8000)
    assert type(found) is np.ndarray and np.array_equal(found, function(samples.numpy(), 8000))
    assert np.array_equal(function([samples], 8000)[0], found)
    for tensor, message in (
        (samples.clone().requires_grad_(), r"a tensor that requires a gradient; .* Mfcc or Fbank of asr.nn.features"),
        (samples.to("meta"), r"a tensor that is on meta; .* asr.nn.features, or pass samples.detach\(\).cpu\(\)"),
    ):
        with pytest.raises(AudioError, match=message):
            function(tensor, 8000)


def test_the_features_of_numpy_do_not_load_torch():
    code = (
        "import sys, numpy as np, asr.features as f; x = np.zeros(8000); f.mfcc([x], 8000); f.fbank(x, 8000);"
        "f.StreamingFrontEnd('mfcc', 8000).accept(x); print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
