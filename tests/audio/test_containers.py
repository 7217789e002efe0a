"""Sizes that writers leave open, tags before a recording, joined ones, and recordings that were cut."""

import contextlib
import struct

import numpy as np
import pytest
import soundfile

from asr import audio
from asr.errors import AudioError

RATE = 16000


def values(n: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, (n, channels), dtype=np.int16)


@pytest.fixture
def make(tmp_path):
    def write(form: str, samples: np.ndarray, subtype: str = "PCM_16") -> bytes:
        soundfile.write(tmp_path / "x", samples, RATE, format=form, subtype=subtype)
        return (tmp_path / "x").read_bytes()

    return write


def wav(data: bytes, bits: int = 16, channels: int = 1, size: int | None = None, behind: bytes = b"") -> bytes:
    """size: what the header says of the data, if not the truth."""
    size, width = len(data) if size is None else size, bits * channels // 8
    form = struct.pack("<IHHIIHH", 16, 1, channels, RATE, RATE * width, width, bits)
    riff = (size + 36 + len(behind)) & 0xFFFFFFFF
    return b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size) + data + behind


def whole(source, samples: np.ndarray) -> bool:
    return all(
        np.array_equal(audio.read(source, channel=c).samples * 2**15, samples[:, c]) for c in range(samples.shape[1])
    )


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0])
def test_wav_of_a_pipe_or_a_killed_recorder(size):
    samples = values(4000, 2)
    assert whole(wav(samples.tobytes(), 16, 2, size), samples)
    assert audio.describe(wav(samples.tobytes(), 16, 2, size)).duration_seconds == 0.25


@pytest.mark.parametrize(("bits", "channels"), [(24, 1), (16, 6), (24, 6), (32, 5), (8, 3)])
def test_sox_rounds_the_size_of_a_pipe_down_to_whole_blocks(bits, channels):
    block = bits * channels // 8
    data = np.random.default_rng(0).integers(0, 256, 1000 * block, dtype=np.uint8).tobytes()
    unknown = audio.read(wav(data, bits, channels, 0x7FFFF000 // block * block), channel=channels - 1).samples
    assert len(unknown) == 1000
    assert np.array_equal(unknown, audio.read(wav(data, bits, channels), channel=channels - 1).samples)


def test_a_wav_without_samples_has_none_whatever_stands_behind():
    text = b"LIST" + struct.pack("<I", 12) + b"INFOISFTabcd"
    with pytest.raises(AudioError, match="holds no samples"):
        audio.read(wav(b"", behind=text))
    samples = values(100)
    assert whole(wav(samples.tobytes(), behind=text), samples)


@pytest.mark.parametrize("kept", [50, 1000, 7999])
def test_a_cut_wav_is_named(kept):
    content = wav(values(4000).tobytes())
    with pytest.raises(AudioError, match=f"truncated: the header promises 8000 bytes, the file has {kept}"):
        audio.read(content[: 44 + kept])


def test_a_size_that_counts_the_header_is_not_a_cut():
    """Some writers put the size of the file, or the one of RIFF, where that of the samples belongs."""
    samples = values(4000)
    for extra in (36, 44):
        assert whole(wav(samples.tobytes(), size=8000 + extra), samples)
    with pytest.raises(AudioError, match="truncated"):
        audio.read(wav(samples.tobytes(), size=8040))


ID3 = b"ID3\3\0\0\0\0\0\x0cTIT2\0\0\0\2\0\0\0a"


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64", "NIST", "OGG", "MP3"])
def test_an_id3_tag_may_stand_before_any_format(make, form):
    content = make(form, values(4000), {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(form, "PCM_16"))
    expected = audio.read(content).samples
    for tagged in (ID3 + content, ID3 + ID3 + content):
        assert np.array_equal(audio.read(tagged).samples, expected)
        with pytest.raises(AudioError, match="truncated"):
            audio.read(tagged[:-300])


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "AU", "RF64", "W64", "NIST"])
@pytest.mark.parametrize("between", [b"", ID3])
def test_joined_files_are_one_recording(make, form, between):
    samples = values(4001, 2), values(77, 2, 1), values(1500, 2, 2)
    joined = between.join(make(form, part) for part in samples)
    together = np.concatenate(samples)
    assert whole(joined, together) and audio.describe(joined).duration_seconds == len(together) / RATE
    part = audio.read(joined, channel=1, start=4000 / RATE, end=4500 / RATE).samples
    assert np.array_equal(part * 2**15, together[4000:4500, 1])
    with pytest.raises(AudioError, match="truncated"):
        audio.read(joined[:-100])


def test_a_caf_of_unknown_length(make):
    samples = values(3000, 2)
    content = bytearray(make("CAF", samples))
    at = content.index(b"data") + 4
    for size in (b"\xff" * 8, bytes(8)):
        content[at : at + 8] = size
        assert whole(bytes(content), samples)
    content[at : at + 8] = struct.pack(">q", 13000)
    with pytest.raises(AudioError, match="truncated: the header promises 13000 bytes"):
        audio.read(bytes(content))


@pytest.mark.parametrize("size", [0, 0x7F000008, 0xFFFFFFFF])
def test_an_aiff_or_au_of_a_pipe(make, size):
    samples = values(3000, 2)
    for form, mark, offset in (("AIFF", b"SSND", 4), ("AU", b".snd", 8)):
        content = bytearray(make(form, samples))
        at = content.index(mark) + offset
        content[at : at + 4] = struct.pack(">I", size)
        if form == "AIFF":
            content[4:8] = struct.pack(">I", size)
        assert whole(bytes(content), samples)


@pytest.mark.parametrize("sizes", [(0, 0), (2**64 - 1, 2**64 - 1), (0, 2**63 - 1)])
def test_rf64_and_w64_of_a_pipe(make, sizes):
    samples = values(3000, 2)
    content = bytearray(make("RF64", samples))
    at = content.index(b"ds64") + 8
    content[at : at + 16] = struct.pack("<QQ", *sizes)
    assert whole(bytes(content), samples)
    content = bytearray(make("W64", samples))
    if sizes[1]:
        at = content.index(b"data\xf3") + 16
        content[at : at + 8] = struct.pack("<Q", sizes[1])
        assert whole(bytes(content), samples)


def count(content: bytes, n_samples: int) -> bytes:
    """A FLAC file that promises so many samples."""
    changed = bytearray(content)
    changed[21:26] = ((content[21] & 0xF0) << 32 | n_samples).to_bytes(5, "big")
    return bytes(changed)


@pytest.mark.parametrize("n_samples", [1, 5000, 40001])
def test_a_flac_of_a_pipe_has_no_count(make, n_samples):
    samples = values(n_samples, 2)
    content = make("FLAC", samples)
    unknown = count(content, 0)
    assert whole(unknown, samples) and whole(unknown + b"TAG" + bytes(125), samples)
    assert audio.describe(unknown).duration_seconds == n_samples / RATE
    assert whole(unknown + unknown, np.concatenate([samples, samples]))
    for kept in (len(content) - 1, len(content) - 7, 60):
        with pytest.raises(AudioError, match="truncated: the last FLAC frame is not whole"):
            audio.read(unknown[:kept])


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64", "NIST"])
def test_damaged_headers_raise_nothing_else(make, form):
    content = make(form, values(3000, 2))
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for at in rng.integers(0, 200, rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        with contextlib.suppress(AudioError):
            audio.read(bytes(damaged), start=float(rng.choice([0, 0.05])))


@pytest.mark.parametrize("channels", [1, 6])
@pytest.mark.parametrize(("form", "told", "order", "empty"), [("W64", 16, "<q", 24), ("CAF", 4, ">q", 4)])
def test_a_header_that_sox_wrote_three_times_is_no_sound(make, form, told, order, empty, channels):
    """In a pipe it cannot go back to fill in the size: it writes the header twice before the samples, and behind."""
    samples = values(4000, channels)
    content = make(form, samples)
    at = content.index(b"data")
    n_head = at + told + 8 + (4 if form == "CAF" else 0)
    header = bytearray(content[:n_head])
    struct.pack_into(order, header, at + told, empty)
    written = bytes(header) * 2 + content[n_head : n_head + 8000 * channels] + bytes(header)
    assert whole(written, samples)
    assert audio.describe(written).duration_seconds == 0.25
