"""A stretch of a recording is that part of the whole, whatever the container, codec, rate and place."""

import numpy as np
import pytest
import soundfile

from asr import audio

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
# Not ALAC of 24 and 32 bits: libsndfile writes a last packet of a hundred samples or so wrongly.
LOSSLESS = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_16")
# The first has no header, the second is two files, the third holds instruments; the others round the rate or length.
LEFT_OUT = ("RAW", "SD2", "XI", "HTK", "PAF", "SDS", "VOC", "WVE")


def kinds() -> list[tuple[str, str]]:
    """Every container and codec that libsndfile writes."""
    forms = [form for form in soundfile.available_formats() if form not in LEFT_OUT]
    return [(form, codec) for form in sorted(forms) for codec in sorted(soundfile.available_subtypes(form))]


def written(path, form: str, codec: str, rng: np.random.Generator) -> tuple[int, np.ndarray] | None:
    """A file of random length, rate and channels; its rate and samples, or None where libsndfile refuses."""
    rate, n_channels = int(rng.choice(RATES)), int(rng.integers(1, 3))
    if codec in ("GSM610", "G721_32", "G723_24", "G723_40", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32"):
        n_channels = 1
    if codec == "OPUS":
        rate = int(rng.choice([8000, 12000, 16000, 24000, 48000]))
    time = np.arange(int(rng.integers(1500, 60000)))[:, None]
    samples = 0.4 * np.sin(time / 9 * (1 + time / 40000)) + 0.05 * rng.standard_normal((len(time), n_channels))
    try:
        soundfile.write(path, samples, rate, format=form, subtype=codec)
    except soundfile.LibsndfileError:
        return None
    return rate, samples


def check(path, form: str, codec: str, rng: np.random.Generator, n_stretches: int) -> int:
    """How many stretches were compared."""
    made = written(path, form, codec, rng)
    if made is None:
        return 0
    rate, samples = made
    channel = int(rng.integers(samples.shape[1]))
    whole = audio.read(path, channel=channel).samples
    if codec in LOSSLESS:
        np.testing.assert_allclose(whole, samples[:, channel], atol=1e-4)
    for k in range(n_stretches):
        first, last = np.sort(rng.integers(0, len(whole) + 1, 2))
        if k == 0:  # where a seek goes wrong first
            first, last = len(whole) - 1 - rng.integers(500), len(whole)
        if first < last:
            part = audio.read(path, channel=channel, start=first / rate, end=last / rate).samples
            np.testing.assert_array_equal(part, whole[first:last], err_msg=f"{form} {codec} {rate} Hz {first} {last}")
    return n_stretches


@pytest.mark.parametrize("kind", kinds(), ids="-".join)
def test_every_container_and_codec(tmp_path, kind):
    rng = np.random.default_rng(len(kind[0]) * 1000 + len(kind[1]))
    for _ in range(3):
        if check(tmp_path / "x", *kind, rng, 3):
            return
    pytest.skip("libsndfile writes no such file")


@pytest.mark.slow
def test_five_hundred_random_ones(tmp_path):
    rng = np.random.default_rng(20261130)
    n_checked = 0
    while n_checked < 500:
        form, codec = kinds()[rng.integers(len(kinds()))]
        n_checked += check(tmp_path / "x", form, codec, rng, 2)
