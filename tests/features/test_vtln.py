"""Vocal-tract-length warping: Kaldi's piecewise straight function, its filters, and the features they give.

Kaldi's filters are also compared in test_against_kaldi.py; here torchaudio's answers are, which follow Kaldi in float64
(tests/references/record_vtln.py), and the definition written down anew.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.features import FbankOptions, MfccOptions, StreamingFrontEnd, fbank, mfcc
from asr.features.mel import _warped, mel_filters

REFERENCES = Path(__file__).parents[1] / "references" / "vtln.npz"
WARPS = (0.8, 0.88, 0.95, 1.0, 1.05, 1.12, 1.2, 1.25)
OPTIONS = {
    8000: {"num_mel_bins": 23, "low_freq": 20.0, "high_freq": 0.0, "vtln_low": 100.0, "vtln_high": -500.0},
    16000: {"num_mel_bins": 40, "low_freq": 60.0, "high_freq": -400.0, "vtln_low": 200.0, "vtln_high": 7000.0},
}


@pytest.fixture(scope="module")
def recorded():
    with np.load(REFERENCES) as archive:
        return dict(archive)


def from_nyquist(hz: float, rate: int) -> float:
    return hz if hz > 0 else rate / 2 + hz


def knots(options: MfccOptions, rate: int, warp: float) -> tuple[list[float], list[float]]:
    """Where the warp's straight pieces meet, and the frequencies there after the warp, in Hz.

    Kaldi's feature documentation: low_freq and high_freq stay; between l and h it is f / warp; vtln_low is the smaller
    of l and what l becomes, vtln_high the larger of h and what h becomes.
    """
    low, high = options.low_freq, from_nyquist(options.high_freq, rate)
    lower = options.vtln_low if warp < 1 else options.vtln_low * warp
    upper = from_nyquist(options.vtln_high, rate) * (warp if warp < 1 else 1)
    assert min(lower, lower / warp) == pytest.approx(options.vtln_low)
    assert max(upper, upper / warp) == pytest.approx(from_nyquist(options.vtln_high, rate))
    return [low, lower, upper, high], [low, lower / warp, upper / warp, high]


def triangles(options: MfccOptions, rate: int, fft_size: int, warp: float) -> np.ndarray:
    """Filters in float64: edges even in mel, warped in Hz, straight in mel between them."""

    def mel(hz):
        return 1127 * np.log1p(np.asarray(hz) / 700)

    before, after = knots(options, rate, warp)
    edges = np.linspace(mel(before[0]), mel(before[-1]), options.num_mel_bins + 2)
    edges = mel(np.interp(700 * np.expm1(edges / 1127), before, after))
    bins = mel(np.arange(fft_size // 2) * rate / fft_size)
    shapes = [np.interp(bins, edges[i : i + 3], [0, 1, 0]) for i in range(options.num_mel_bins)]
    return np.column_stack(shapes)


@pytest.mark.parametrize("rate", OPTIONS)
@given(warp=st.floats(0.7, 1.4))
def test_the_warp_is_kaldis_straight_pieces(rate, warp):
    options = MfccOptions(**OPTIONS[rate])
    before, after = knots(options, rate, warp)
    hz = np.linspace(before[0], before[-1], 2001)
    warped = _warped(hz.astype(np.float32), options, rate, warp)
    np.testing.assert_allclose(warped, np.interp(hz, before, after), rtol=2e-6)
    assert warped[0] == hz[0] and warped[-1] == hz[-1]  # the ends stay
    assert (np.diff(warped) > 0).all()  # no filter is empty, none changes places
    middle = (hz > before[1]) & (hz < before[2])
    np.testing.assert_allclose(warped[middle] * warp, hz[middle], rtol=1e-6)
    outside = np.array([0, before[0] / 2, before[-1] + 1], dtype=np.float32)
    np.testing.assert_array_equal(_warped(outside, options, rate, warp), outside)


@pytest.mark.parametrize("rate", OPTIONS)
@given(warp=st.floats(0.7, 1.4))
def test_warps_undo_each_other_in_the_middle(rate, warp):
    options = MfccOptions(**OPTIONS[rate])
    hz = np.linspace(700, 2000, 100, dtype=np.float32)
    there = _warped(hz, options, rate, warp)
    np.testing.assert_allclose(_warped(there, options, rate, 1 / warp), hz, rtol=1e-6)


@pytest.mark.parametrize("warp", WARPS)
@pytest.mark.parametrize("rate", OPTIONS)
def test_filters_are_the_definitions(rate, warp):
    options, fft_size = MfccOptions(**OPTIONS[rate]), 256 * rate // 8000
    ours = mel_filters(options, rate, fft_size, warp)
    np.testing.assert_allclose(ours, triangles(options, rate, fft_size, warp), rtol=0, atol=3e-5)


@pytest.mark.parametrize("warp", WARPS)
@pytest.mark.parametrize("rate", OPTIONS)
def test_filters_and_features_are_torchaudios(recorded, rate, warp):
    samples, key = recorded[f"{rate}.samples"], f"{rate}.{warp}"
    filters = mel_filters(MfccOptions(**OPTIONS[rate]), rate, 256 * rate // 8000, warp)
    np.testing.assert_allclose(filters, recorded[f"{key}.filters"], rtol=0, atol=3e-5)
    ours = fbank(samples, rate, vtln_warp=warp, **OPTIONS[rate])
    np.testing.assert_allclose(ours, recorded[f"{key}.fbank"], rtol=0, atol=1e-3)
    ours = mfcc(samples, rate, vtln_warp=warp, **OPTIONS[rate])
    np.testing.assert_allclose(ours, recorded[f"{key}.mfcc"], rtol=0, atol=1e-3)


def test_warps_differ_by_more_than_the_tolerance(recorded):
    """So the comparison above would see a warp that is ignored, or turned around."""
    for rate in OPTIONS:
        plain = recorded[f"{rate}.1.0.fbank"]
        for warp in WARPS:
            if warp != 1:
                assert np.abs(recorded[f"{rate}.{warp}.fbank"] - plain).mean() > 0.03
        assert np.abs(recorded[f"{rate}.0.8.fbank"] - recorded[f"{rate}.1.25.fbank"]).mean() > 0.1


def test_a_longer_tract_is_undone():
    """Filters move by 1 / warp: those of a speaker whose formants are 10 % lower see the same with warp 1.1."""
    rate, time = 8000, np.arange(8000) / 8000

    def vowel(scale):
        return sum(0.2 * np.sin(2 * np.pi * hz * scale * time) for hz in (600, 1200, 2400)).astype(np.float32)

    options = {"num_mel_bins": 40, "low_freq": 60}
    target = fbank(vowel(1.0), rate, **options).mean(axis=0)
    distances = {}
    for warp in (0.8, 0.9, 1.0, 1.1, 1.2):
        distances[warp] = np.abs(fbank(vowel(0.9), rate, vtln_warp=warp, **options).mean(axis=0) - target).mean()
    assert min(distances, key=distances.get) == pytest.approx(1.1)


def test_streams_and_pipelines_take_the_warp():
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal(8000)).astype(np.float32)
    whole = mfcc(samples, 8000, vtln_warp=1.1)
    stream = StreamingFrontEnd("mfcc", 8000, vtln_warp=1.1)
    parts = [stream.accept(samples[i : i + 777]) for i in range(0, 8000, 777)]
    assert np.array_equal(np.concatenate([*parts, stream.flush()]), whole)
    assert not np.array_equal(whole, mfcc(samples, 8000))


@pytest.mark.parametrize("warp", [0, -1.0, 0.01, 50])
def test_impossible_warps(warp):
    with pytest.raises(ValueError, match=f"vtln_warp={warp:g}; need"):
        fbank(np.zeros(8000), 8000, options=FbankOptions(), vtln_warp=warp)
