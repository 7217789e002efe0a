"""What callers of mfcc and fbank rely on: names, scales, errors, shapes, and pieces that equal the whole to the bit."""

import subprocess
import sys

import numpy as np
import pytest

from asr.errors import AudioError
from asr.features import FbankOptions, MfccOptions, fbank, mfcc
from asr.features.spectrum import mel_plan


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def test_names_and_options_are_the_same():
    samples = noise(8000)
    by_name = mfcc(samples, 16000, num_mel_bins=40, snip_edges=False)
    by_options = mfcc(samples, 16000, options=MfccOptions(num_mel_bins=40, snip_edges=False))
    assert by_name.shape == (50, 13)
    assert np.array_equal(by_name, by_options)
    mixed = mfcc(samples, 16000, options=MfccOptions(num_mel_bins=40), snip_edges=False)
    assert np.array_equal(mixed, by_name)
    assert fbank(samples, 16000, num_mel_bins=40, use_energy=True).shape == (48, 41)


def test_kaldis_defaults_but_for_dither():
    options = MfccOptions()
    assert (options.num_mel_bins, options.num_ceps, options.use_energy, options.raw_energy) == (23, 13, True, True)
    assert (options.cepstral_lifter, options.window_type, options.dither) == (22.0, "povey", 0.0)
    assert (options.preemphasis_coefficient, options.low_freq, options.high_freq) == (0.97, 20.0, 0.0)
    assert not FbankOptions().use_energy


def test_unknown_name_is_a_type_error_with_the_nearest():
    with pytest.raises(TypeError, match=r"mfcc\(\) has no option 'num_mel_bin'; did you mean 'num_mel_bins'\?"):
        mfcc(noise(8000), 16000, num_mel_bin=40)
    with pytest.raises(TypeError, match="did you mean 'use_log_fbank'"):
        fbank(noise(8000), 16000, use_logfbank=False)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"frame_length": 0}, "frame_length=0.0; need more than 0"),
        ({"frame_shift": 0.01}, "frame_shift=0.01; need 1 sample or more"),
        ({"window_type": "hann"}, "window_type='hann'.*did you mean 'hanning'"),
        ({"num_mel_bins": 2}, "num_mel_bins=2; need 3 to 1000"),
        ({"num_mel_bins": 23.5}, "num_mel_bins=23.5; need a whole number"),
        ({"num_mel_bins": 10**9, "num_ceps": 13}, "num_mel_bins=1000000000; need 3 to 1000"),
        ({"num_mel_bins": 200}, "num_mel_bins=200: filter . is narrower than an FFT bin"),
        ({"num_ceps": 24}, "num_ceps=24; need 1 to num_mel_bins=23"),
        ({"preemphasis_coefficient": 1.5}, "preemphasis_coefficient=1.5; need 0 to 1"),
        ({"low_freq": 9000}, "low_freq=9000; need less than 8000"),
        ({"high_freq": 8001}, "high_freq=8001 is 8001 Hz; need more than"),
        ({"high_freq": -8000}, "high_freq=-8000 is 0 Hz"),
        ({"snip_edges": 1}, "snip_edges=1; need True or False"),
        ({"dither": float("nan")}, "dither=nan; need a finite number"),
        ({"dither": 1e30}, r"dither=1e\+30; need 0 to 32768"),
        ({"frame_length": 25.1, "round_to_power_of_two": False}, "401 samples.*even"),
        ({"vtln_warp": 1.2, "vtln_low": 10}, "vtln_low=10 and vtln_high=-500 with vtln_warp=1.2"),
    ],
)
def test_impossible_values_name_value_and_range(names, message):
    with pytest.raises(ValueError, match=message):
        mfcc(noise(8000), 16000, **names)


def test_unusable_samples():
    with pytest.raises(AudioError, match=r"too short: 399 samples at 16000 Hz .* one frame needs 400"):
        mfcc(noise(399), 16000)
    with pytest.raises(AudioError, match="too short: 0 samples"):
        mfcc(np.zeros(0, dtype=np.float32), 16000, snip_edges=False)
    with pytest.raises(AudioError, match=r"need one channel, \(n_samples,\)"):
        fbank(np.zeros((10, 20, 2)), 16000)
    with pytest.raises(AudioError, match="complex"):
        fbank(np.zeros(1000, dtype=complex), 16000)
    for bad in (np.nan, np.inf):
        samples = noise(30000)
        samples[20000] = bad
        with pytest.raises(AudioError, match=r"1 of 30000 samples are NaN or infinite, the first is sample 20000"):
            mfcc(samples, 16000)
    with pytest.raises(AudioError, match="rate=0"):
        mfcc(noise(8000), 0)


def test_silence_is_not_an_error():
    assert np.isfinite(mfcc(np.zeros(8000, dtype=np.float32), 8000)).all()


def test_what_empty_bands_hold_is_not_rounding():
    """A tone of 1 kHz at full scale and noise 120 dB below it: the filters above 2 kHz are those of the noise alone."""
    rng, time = np.random.default_rng(0), np.arange(8000) / 16000
    loud = np.sin(2 * np.pi * 1000 * time) * 0.9
    options = FbankOptions(preemphasis_coefficient=0.0, window_type="blackman")
    plan = mel_plan(options, 16000.0, 1.0)
    samples = (loud + 1e-6 * rng.standard_normal(8000)).astype(np.float32)
    found = fbank(samples, 16000, options=options)
    heard = samples.astype(np.float64) * 32768
    for row in range(len(found)):
        frame = heard[row * 160 : row * 160 + 400]
        power = np.abs(np.fft.rfft((frame - frame.mean()) * plan.window, 512)[:256]) ** 2
        assert np.abs(found[row] - np.log(power @ plan.filters.astype(np.float64))).max() < 1e-5


def test_dither_is_seeded():
    samples = noise(8000)
    once, again, other = (mfcc(samples, 16000, dither=1.0, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert not np.array_equal(once, mfcc(samples, 16000))


@pytest.mark.parametrize("compute", [mfcc, fbank])
@pytest.mark.parametrize(("rate", "length"), [(16000, 25.0), (8000, 20.0), (44100, 32.0)])
def test_pieces_equal_the_whole_bit_for_bit(compute, rate, length):
    samples = noise(3 * rate, seed=7)
    size, shift = int(rate * length / 1000), rate // 100
    whole = compute(samples, rate, frame_length=length, use_energy=True)
    for first, count in [(0, 1), (0, 63), (0, 65), (64, 1), (64, 100), (128, 64), (192, 7), (192, 100)]:
        piece = samples[first * shift : (first + count - 1) * shift + size]
        assert np.array_equal(compute(piece, rate, frame_length=length, use_energy=True), whole[first : first + count])


def test_importing_features_loads_nothing_heavy():
    heavy = ("scipy", "numba", "librosa", "soundfile", "joblib")
    code = f"import sys, asr.features; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_package_exports_what_its_list_says():
    """Each name is an object of its room, listed for `dir` and editors, and `import asr` loads none of them."""
    import asr
    import asr.features

    assert sorted(asr.__all__) == asr.__all__ and set(asr.__all__) <= set(dir(asr))
    for name in asr.__all__:
        assert getattr(asr, name) is not None
    for name in ("lpc", "lpcc", "reflection_coefficients", "splice", "mfcc", "fbank", "delta", "cmvn"):
        assert getattr(asr, name) is getattr(asr.features, name)
    with pytest.raises(AttributeError, match="mfc"):
        _ = asr.mfc
    code = "import sys, asr; print([m for m in sys.modules if m.startswith(('asr.', 'numpy'))])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['asr._version']"
