"""Ogg files: joined, cut and damaged ones, and stretches of them."""

import contextlib

import numpy as np
import pytest
import soundfile

from asr import audio
from asr.audio.ogg import _checksum
from asr.errors import AudioError


def signal(rate: int, seconds: float, channels: int = 1, seed: int = 0) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    noise = np.random.default_rng(seed).standard_normal((len(time), channels))
    return (0.3 * np.sin(900 * time * (1 + time / 9))[:, None] + 0.05 * noise).astype(np.float32)


@pytest.fixture
def make(tmp_path):
    def write(subtype: str, rate: int, seconds: float, *, channels: int = 1, seed: int = 0) -> bytes:
        soundfile.write(tmp_path / "x", signal(rate, seconds, channels, seed), rate, format="OGG", subtype=subtype)
        return (tmp_path / "x").read_bytes()

    return write


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_joined_files_are_one_recording(make, subtype):
    parts = [make(subtype, 16000, seconds, seed=k) for k, seconds in enumerate((1.3, 0.4, 0.9))]
    joined = b"".join(parts)
    expected = np.concatenate([audio.read(part).samples for part in parts])
    assert len(expected) == 16000 * 2.6 and np.array_equal(audio.read(joined).samples, expected)
    assert audio.describe(joined).duration_seconds == 2.6 and audio.describe(joined).format.endswith("; 3 joined")
    assert np.array_equal(audio.read(joined, start=1.2, end=2.1).samples, expected[19200:33600])
    with pytest.raises(AudioError, match="truncated"):
        audio.read(joined[:-200])


def test_joined_vorbis_and_opus(make):
    first, second = make("VORBIS", 8000, 0.5, channels=2), make("OPUS", 16000, 0.5)
    samples = audio.read(first + second, channel=1).samples
    assert len(samples) == 8000 and np.array_equal(samples[:4000], audio.read(first, channel=1).samples)
    np.testing.assert_allclose(samples[4000:], audio.read(second, 8000).samples, atol=1e-6)


@pytest.mark.parametrize(("subtype", "rate"), [("VORBIS", 8000), ("VORBIS", 44100), ("OPUS", 16000), ("OPUS", 48000)])
def test_stretches_are_those_of_the_whole(make, subtype, rate):
    """Long enough that those at the end are decoded from a page in the middle on."""
    content = make(subtype, rate, 25.0, channels=2)
    whole = audio.read(content, channel=1).samples
    assert len(whole) == 25 * rate
    rng = np.random.default_rng(0)
    places = [(0, 1), (len(whole) - 1, len(whole)), (9 * rate // 2, len(whole)), *rng.integers(0, len(whole), (12, 2))]
    for first, last in np.sort([*places, (int(24.4 * rate), int(24.9 * rate))]):
        part = audio.read(content, channel=1, start=first / rate, end=last / rate).samples
        np.testing.assert_array_equal(part, whole[first:last])


def pages(content: bytes) -> list[tuple[int, int]]:
    """Where each page begins and ends."""
    found, at = [], 0
    while at < len(content):
        head = 27 + content[at + 26]
        length = head + sum(content[at + 27 : at + head])
        found.append((at, at + length))
        at += length
    return found


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_checksums(make, subtype):
    """That of each page is what the encoder wrote; a wrong one is named, wherever it is needed."""
    content = make(subtype, 16000, 5.0)
    for begin, end in pages(content):
        assert _checksum(content[begin:end]) == content[begin + 22 : begin + 26]
        damaged = bytearray(content)
        damaged[(begin + end) // 2] ^= 1
        said = f"the Ogg page at byte {begin} has a wrong checksum" if begin else "no Vorbis or Opus|wrong checksum"
        with pytest.raises(AudioError, match=f"damaged: .*({said})"):
            audio.read(bytes(damaged))


@pytest.mark.parametrize("early", [100, 4000, 30000])
def test_sound_that_begins_before_its_first_tick_is_read_whole(make, early):
    """A stream that was cut without decoding keeps whole pages; their ticks count from the cut on."""
    content = bytearray(make("VORBIS", 16000, 20.0))
    expected = audio.read(bytes(content)).samples
    for begin, end in pages(content)[2:]:
        tick = int.from_bytes(content[begin + 6 : begin + 14], "little", signed=True)
        content[begin + 6 : begin + 14] = (tick - early if tick != -1 else tick).to_bytes(8, "little", signed=True)
        content[begin + 22 : begin + 26] = _checksum(bytes(content[begin:end]))
    cut = bytes(content)
    np.testing.assert_array_equal(audio.read(cut).samples, expected)
    for first, last in ((0, 9000), (150_000, 160_000), (310_000, 320_000)):
        part = audio.read(cut, start=first / 16000, end=last / 16000).samples
        np.testing.assert_array_equal(part, expected[first:last])


def test_what_lies_between_and_behind_pages_is_passed_over(make):
    content = make("VORBIS", 16000, 3.0)
    expected = audio.read(content).samples
    _, middle = pages(content)[3]
    assert np.array_equal(audio.read(content + b"TAG" + bytes(125)).samples, expected)
    assert np.array_equal(audio.read(content[:middle] + b"OggS?" + bytes(99) + content[middle:]).samples, expected)


def test_a_page_that_is_missing_is_told(make):
    content = make("VORBIS", 16000, 9.0)
    begin, end = pages(content)[4]
    with pytest.raises(AudioError, match="truncated: the header promises 9 s, the samples end at"):
        audio.read(content[:begin] + content[end:])


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_damaged_bytes_raise_nothing_else(make, subtype):
    content = make(subtype, 16000, 3.0)
    rng = np.random.default_rng(0)
    for _ in range(50):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        begin, end = pages(content)[rng.integers(3)]
        if rng.random() < 0.5:  # a page whose checksum is right, whatever is in it
            damaged[begin + 22 : begin + 26] = _checksum(bytes(damaged[begin:end]))
        with contextlib.suppress(AudioError):
            audio.read(bytes(damaged), start=float(rng.uniform(0, 2.5)))
