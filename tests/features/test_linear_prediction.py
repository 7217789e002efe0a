"""Linear prediction against a direct solution, against the spectrum it stands for, and against planted filters."""

import numpy as np
import pytest
import scipy.linalg
import scipy.signal

from asr import audio
from asr.errors import AudioError
from asr.features import LpcOptions, lpc, lpcc, reflection_coefficients
from asr.features.linear_prediction import cepstra, levinson_durbin

RATE = 8000


def voiced(seconds: float = 1.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A pulse train with noise through three formants, at changing loudness."""
    rng = np.random.default_rng(seed)
    source = 0.05 * rng.standard_normal(int(seconds * rate))
    source[:: rate // 110] += 1
    for hz, width in ((500, 80), (1500, 100), (2500, 150)):
        radius = np.exp(-np.pi * width / rate)
        source = scipy.signal.lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hz / rate), radius**2], source)
    source *= np.interp(np.arange(len(source)), [0, len(source) / 2, len(source)], [0.01, 1, 0.1])
    return (0.8 * source / np.abs(source).max()).astype(np.float32)


def plain_frames(samples: np.ndarray, rate: int, emphasis: float = 0.97) -> np.ndarray:
    """Whole 25 ms frames every 10 ms, centred, pre-emphasised, Hamming window, float64."""
    size, shift = rate // 40, rate // 100
    starts = np.arange(1 + (len(samples) - size) // shift) * shift
    frames = 32768 * samples.astype(np.float64)[starts[:, None] + np.arange(size)]
    frames -= frames.mean(axis=1, keepdims=True)
    previous = np.column_stack([frames[:, :1], frames[:, :-1]])
    return (frames - emphasis * previous) * np.hamming(size)


def autocorrelation(frame: np.ndarray, order: int) -> np.ndarray:
    return np.correlate(frame, frame, "full")[len(frame) - 1 :][: order + 1]


def recordings(folder, count: int = 12) -> list[np.ndarray]:
    """Some recordings of every digit and speaker, 8 kHz, float32, each frame with sound in it."""
    paths = sorted(folder.glob("*.wav"))
    assert len(paths) >= 1000
    return [audio.read(path).samples for path in paths[:: len(paths) // count]]


def solved(samples: np.ndarray, rate: int, order: int) -> list[tuple[np.ndarray, float]]:
    """Each frame's predictor from a direct solution of the normal equations, and the energy it leaves."""
    found = []
    for frame in plain_frames(samples, rate):
        r = autocorrelation(frame, order)
        a = scipy.linalg.solve_toeplitz(r[:-1], r[1:])
        found.append((a, r[0] - a @ r[1:]))
    return found


def by_recursion(a: np.ndarray, gain: float, count: int) -> list[float]:
    """The cepstrum, number by number: c_n = a_n + sum of k / n c_k a_(n-k) (Rabiner and Juang, equation 3.83)."""
    c = [np.log(gain)]
    for n in range(1, count):
        known = sum(k / n * c[k] * a[n - k - 1] for k in range(1, n) if n - k <= len(a))
        c.append(known + (a[n - 1] if n <= len(a) else 0.0))
    return c


def by_fft(a: np.ndarray, gain: float, count: int) -> np.ndarray:
    """The cepstrum as the inverse transform of the logarithm of the all-pole power spectrum."""
    spectrum = gain / np.abs(np.fft.rfft(np.concatenate([[1], -a]), 1 << 16)) ** 2
    return np.fft.irfft(np.log(spectrum))[:count]


@pytest.mark.parametrize(("rate", "order"), [(8000, 1), (8000, 12), (16000, 18), (44100, 40)])
def test_lpc_equals_a_direct_toeplitz_solution(rate, order):
    samples = voiced(rate=rate)
    ours = lpc(samples, rate, order=order)
    assert ours.dtype == np.float32 and ours.flags.c_contiguous
    np.testing.assert_allclose(ours, [a for a, _ in solved(samples, rate, order)], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", [12, 16])
def test_lpc_of_real_speech_equals_a_direct_toeplitz_solution(fsdd, order):
    for samples in recordings(fsdd):
        expected = [a for a, _ in solved(samples, RATE, order)]
        np.testing.assert_allclose(lpc(samples, RATE, order=order), expected, rtol=1e-5, atol=1e-5)


def test_lpcc_equals_the_recursion_and_the_cepstrum_of_the_spectrum():
    samples = voiced()
    ours = lpcc(samples, RATE, order=14, num_ceps=20, cepstral_lifter=0)
    for (a, gain), cepstrum in zip(solved(samples, RATE, 14), ours, strict=True):
        np.testing.assert_allclose(cepstrum, by_recursion(a, gain, 20), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(cepstrum, by_fft(a, gain, 20), rtol=1e-5, atol=1e-5)


def test_lpcc_of_real_speech_equals_the_recursion_and_the_cepstrum_of_the_spectrum(fsdd):
    for samples in recordings(fsdd, 6):
        ours = lpcc(samples, RATE, cepstral_lifter=0)
        for (a, gain), cepstrum in zip(solved(samples, RATE, 12), ours, strict=True):
            np.testing.assert_allclose(cepstrum, by_recursion(a, gain, 13), rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(cepstrum, by_fft(a, gain, 13), rtol=1e-5, atol=1e-5)


def test_librosas_lpc_is_another_estimate_of_the_same_filter(fsdd):
    """librosa gives [1, -a_1, ...] of one frame by Burg's method: both errors, forward and backward, and no window.

    On a long stationary signal the two methods agree; on frames of speech, windowed and pre-emphasised here, their
    spectra lie within a tenth of a decibel, while those of other frames are several decibels away.
    """
    librosa = pytest.importorskip("librosa")
    planted = np.array([1.3, -0.8, 0.2])
    signal = scipy.signal.lfilter([1], np.concatenate([[1], -planted]), np.random.default_rng(0).standard_normal(32000))
    signal = 0.1 * signal
    plain = {"preemphasis_coefficient": 0, "window_type": "rectangular", "remove_dc_offset": False}
    ours = lpc(signal, RATE, frame_length=4000, order=3, **plain)[0]
    np.testing.assert_allclose(ours, -librosa.lpc(signal, order=3)[1:], rtol=0, atol=1e-3)

    def spectrum(a):
        return -20 * np.log10(np.abs(np.fft.rfft(np.concatenate([[1], -np.asarray(a)]), 512)))

    samples = np.concatenate(recordings(fsdd, 6))
    ours = lpc(samples, RATE)
    theirs = [-librosa.lpc(frame, order=12)[1:] for frame in plain_frames(samples, RATE)]
    apart = [np.abs(spectrum(a) - spectrum(b)).mean() for a, b in zip(ours, theirs, strict=True)]
    unrelated = [np.abs(spectrum(a) - spectrum(b)).mean() for a, b in zip(ours, theirs[::-1], strict=True)]
    assert np.percentile(apart, 95) < 0.2 and np.median(unrelated) > 4


def test_the_lifter_scales_as_for_mfcc():
    plain = lpcc(voiced(), RATE, cepstral_lifter=0)
    scale = 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    np.testing.assert_allclose(lpcc(voiced(), RATE), plain * scale, rtol=1e-5)
    assert LpcOptions().cepstral_lifter == 22


def test_reflections_are_the_last_coefficient_of_each_order_and_bounded():
    samples = voiced()
    ours = reflection_coefficients(samples, RATE, order=6)
    for order in range(1, 7):
        np.testing.assert_allclose(ours[:, order - 1], lpc(samples, RATE, order=order)[:, -1], rtol=0, atol=1e-6)
    assert np.abs(ours).max() <= 1


def test_worked_example():
    """Order 2 by hand: r = 1, 0.8, 0.5 gives k1 = 0.8, k2 = (0.5 - 0.64) / 0.36, a1 = 0.8 (1 - k2)."""
    found = levinson_durbin(np.array([[1.0], [0.8], [0.5]]))
    k2 = -0.14 / 0.36
    np.testing.assert_allclose(found.reflections.ravel(), [0.8, k2])
    np.testing.assert_allclose(found.predictors.ravel(), [0.8 * (1 - k2), k2])
    np.testing.assert_allclose(found.error, 0.36 * (1 - k2**2))
    a1, a2 = found.predictors.ravel()
    expected = [np.log(found.error[0]), a1, a2 + a1**2 / 2, a1 * a2 + a1**3 / 3]
    np.testing.assert_allclose(cepstra(found, 4).ravel(), expected)


def test_a_planted_filter_is_found():
    planted = np.array([1.3, -0.8, 0.2])
    noise = np.random.default_rng(0).standard_normal(RATE * 4)
    signal = scipy.signal.lfilter([1], np.concatenate([[1], -planted]), noise)
    signal = (signal / np.abs(signal).max()).astype(np.float32)
    found = lpc(signal, RATE, frame_length=3000, order=3, preemphasis_coefficient=0, window_type="rectangular")
    np.testing.assert_allclose(found.mean(axis=0), planted, atol=0.02)


def test_loudness_moves_c0_alone():
    samples = voiced()
    loud, quiet = lpcc(samples, RATE), lpcc(samples / 4, RATE)
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], np.log(16), rtol=1e-5)
    np.testing.assert_allclose(loud[:, 1:], quiet[:, 1:], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(lpcc(np.round(samples * 32768).astype(np.int16), RATE).shape, loud.shape)


@pytest.mark.parametrize("compute", [lpc, lpcc, reflection_coefficients])
@pytest.mark.parametrize("value", [0, 0.25, 0.1])
def test_silence_and_a_constant_are_defined(compute, value):
    features = compute(np.full(8000, value, dtype=np.float32), RATE)
    expected = np.zeros_like(features)
    if compute is lpcc:
        expected[:, 0] = np.log(np.finfo(np.float32).eps)
    np.testing.assert_array_equal(features, expected)


@pytest.mark.parametrize("hz", [0.0, 1.0, 100.0, 1000.0, 4000.0])
@pytest.mark.parametrize("names", [{}, {"preemphasis_coefficient": 0, "remove_dc_offset": False, "order": 40}])
def test_tones_that_are_predicted_fully_stay_finite(hz, names):
    tone = np.cos(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)
    assert np.isfinite(lpcc(tone, RATE, **names)).all()
    assert np.abs(reflection_coefficients(tone, RATE, **names)).max() <= 1


def test_signals_of_rounding_noise_stay_finite():
    """A rank-one autocorrelation: the error is 0 after one step, and what is left is noise."""
    exact = levinson_durbin(np.ones((6, 2)))
    np.testing.assert_array_equal(exact.reflections, np.eye(5)[:, :1].repeat(2, axis=1))
    tone = levinson_durbin(np.cos(np.outer(np.arange(8), [0.3, 1.1, 2.9])))
    assert np.abs(tone.reflections[:2]).min() > 0.2 and not tone.reflections[2:].any()
    noisy = levinson_durbin(1 - 1e-16 * np.random.default_rng(0).random((30, 500)))
    assert np.isfinite(noisy.predictors).all() and np.abs(noisy.reflections).max() <= 1


@pytest.mark.parametrize("compute", [lpc, lpcc, reflection_coefficients])
@pytest.mark.parametrize(("rate", "length"), [(16000, 25.0), (8000, 20.0), (44100, 32.0)])
def test_pieces_equal_the_whole_bit_for_bit(compute, rate, length):
    samples = voiced(3.5, rate)
    size, shift = int(rate * length / 1000), rate // 100
    whole = compute(samples, rate, frame_length=length)
    for first, count in [(0, 1), (0, 63), (0, 65), (64, 1), (64, 100), (128, 64), (192, 7), (192, 150), (256, 20)]:
        piece = samples[first * shift : (first + count - 1) * shift + size]
        assert np.array_equal(compute(piece, rate, frame_length=length), whole[first : first + count])


@pytest.mark.parametrize("snip_edges", [True, False])
def test_frames_are_those_of_mfcc(snip_edges):
    from asr.features import mfcc

    samples = voiced(0.3)
    assert len(lpc(samples, RATE, snip_edges=snip_edges)) == len(mfcc(samples, RATE, snip_edges=snip_edges))


def test_names_and_errors():
    samples = voiced(0.5)
    assert np.array_equal(lpc(samples, RATE, order=10), lpc(samples, RATE, options=LpcOptions(order=10)))
    with pytest.raises(TypeError, match=r"lpcc\(\) has no option 'num_cep'; did you mean 'num_ceps'\?"):
        lpcc(samples, RATE, num_cep=13)
    with pytest.raises(TypeError, match=r"lpc\(\) has no option 'num_mel_bins'"):
        lpc(samples, RATE, num_mel_bins=23)
    with pytest.raises(ValueError, match="order=0; need 1 to 500"):
        reflection_coefficients(samples, RATE, order=0)
    with pytest.raises(ValueError, match="order=200; need less than the 200 samples of a frame"):
        lpc(samples, RATE, order=200)
    with pytest.raises(ValueError, match="num_ceps=0"):
        lpcc(samples, RATE, num_ceps=0)
    with pytest.raises(AudioError, match="too short: 199 samples"):
        lpc(samples[:199], RATE)
    bad = samples.copy()
    bad[300] = np.nan
    with pytest.raises(AudioError, match="the first is sample 300"):
        lpc(bad, RATE)


def test_dither_is_seeded():
    silence = np.zeros(4000, dtype=np.float32)
    once, again, other = (lpc(silence, RATE, dither=1.0, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(once, again) and not np.array_equal(once, other)
