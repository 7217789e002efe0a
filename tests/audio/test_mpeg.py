"""mp3 files as LAME and FFmpeg write them, against FFmpeg's decoder; tagged, joined and cut ones."""

import contextlib
import struct

import numpy as np
import pytest
import soundfile

from asr import audio
from asr.errors import AudioError

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def signal(rate: int, channels: int, seconds: float, seed: int = 0) -> np.ndarray:
    """A sweep, and noise that comes and goes, so that frames differ in size."""
    time = np.arange(int(rate * seconds)) / rate
    noise = np.random.default_rng(seed).standard_normal((len(time), channels)) * (np.sin(9 * time) > 0)[:, None]
    sweep = np.column_stack([np.sin(2 * np.pi * (200 + 150 * c) * time * (1 + time)) for c in range(channels)])
    return (0.3 * sweep + 0.05 * noise).astype(np.float32)


def by_ffmpeg(path, rate, channels, *, seconds=0.7, kbits=64, quality=None, has_count=True, seed=0):
    """libmp3lame by way of FFmpeg. quality: for a variable bit rate; has_count: with a Xing or Info frame."""
    av = pytest.importorskip("av")
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(path), "w", format="mp3", options={"write_xing": str(int(has_count))}) as container:
        codec = {} if quality is None else {"q": str(quality), "flags": "+qscale", "global_quality": str(118 * quality)}
        stream = container.add_stream("libmp3lame", rate=rate, layout=layout, options=codec)
        if quality is None:
            stream.bit_rate = 1000 * kbits
        samples = np.ascontiguousarray(signal(rate, channels, seconds, seed).T)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


def by_lame(path, rate, channels, *, seconds=0.7, mode="CONSTANT", level=0.5, seed=0):
    """LAME by way of libsndfile."""
    samples = signal(rate, channels, seconds, seed)
    soundfile.write(path, samples, rate, format="MP3", bitrate_mode=mode, compression_level=level)
    return path


def ffmpegs(path) -> np.ndarray:
    """What FFmpeg decodes, (n_samples, n_channels)."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray().T for frame in container.decode(audio=0)])


def ours(source, channels) -> np.ndarray:
    return np.column_stack([audio.read(source, channel=c).samples for c in range(channels)])


def check(path, channels):
    """Every sample, and where it lies, is FFmpeg's."""
    samples, expected = ours(path, channels), ffmpegs(path)
    assert samples.shape == expected.shape
    if audio.describe(path).rate == 24000 and not has_right_bands():
        return
    np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("has_count", [True, False])
def test_ffmpegs_files(tmp_path, rate, has_count):
    """Those without a count are Common Voice's."""
    channels = 1 + RATES.index(rate) % 2
    for k, kbits in enumerate((16, 32, 64) if rate < 32000 else (48, 128, 320)):
        check(by_ffmpeg(tmp_path / "x.mp3", rate, channels, kbits=kbits, has_count=has_count, seed=k), channels)
    check(by_ffmpeg(tmp_path / "x.mp3", rate, channels, quality=4, has_count=has_count), channels)


@pytest.mark.parametrize("rate", RATES)
def test_lames_files(tmp_path, rate):
    for mode, level, channels in (("CONSTANT", 0.1, 2), ("AVERAGE", 0.5, 1), ("VARIABLE", 0.9, 2)):
        check(by_lame(tmp_path / "x.mp3", rate, channels, mode=mode, level=level), channels)


def has_right_bands() -> bool:
    """Whether FFmpeg's table of bands for 24 kHz is the standard's (ISO 13818-3, table B.2): FFmpeg 5 has 330 where
    that has 332, so that some lines of its spectra are wrong; FFmpeg 8 is right."""
    av = pytest.importorskip("av")
    return av.library_versions["libavcodec"] >= (62,)


def test_24_khz_is_decoded_as_the_encoder_meant_it(tmp_path):
    path = by_ffmpeg(tmp_path / "x.mp3", 24000, 1, kbits=160)
    samples, original = ours(path, 1)[:, 0], signal(24000, 1, 0.7)[:, 0]
    assert len(samples) == len(ffmpegs(path)) == len(original)
    error = samples - original
    assert 10 * np.log10(np.vdot(original, original) / np.vdot(error, error)) > 15


def id3(size: int, padding: int = 0) -> bytes:
    body = b"TIT2" + struct.pack(">IH", size, 0) + b"\0" + b"a" * (size - 1) + bytes(padding)
    return b"ID3\3\0\0" + bytes(len(body) >> shift & 127 for shift in (21, 14, 7, 0)) + body


APE = b"\5\0\0\0\0\0\0\0Title\0abcde"
APE_END = struct.pack("<8sIIIQ", b"APETAGEX", 2000, 32 + len(APE), 1, 0)
APE_START = struct.pack("<8sIIIIQ", b"APETAGEX", 2000, 32 + len(APE), 1, 0xA0000000, 0)[:32]
FRONTS = {"small": id3(1), "cover": id3(70_000), "padded": id3(5, 5000), "two": id3(9) + id3(200)}
BACKS = {"id3v1": b"TAG" + b"x" * 125, "ape": APE_START + APE + APE_END[:28].ljust(32, b"\0")}
BACKS["both"] = BACKS["ape"] + BACKS["id3v1"]


@pytest.mark.parametrize("front", ["", *FRONTS])
@pytest.mark.parametrize("back", ["", *BACKS])
@pytest.mark.parametrize("has_count", [True, False])
def test_tags_are_no_sound(tmp_path, front, back, has_count):
    content = by_ffmpeg(tmp_path / "x.mp3", 16000, 1, seconds=2, has_count=has_count).read_bytes()
    tagged = FRONTS.get(front, b"") + content + BACKS.get(back, b"")
    assert np.array_equal(audio.read(tagged).samples, audio.read(content).samples)


def test_with_many_bytes_behind_the_padding_stays_as_in_ffmpeg(tmp_path):
    path = by_ffmpeg(tmp_path / "x.mp3", 24000, 1, seconds=0.3, kbits=24)
    whole = len(audio.read(path).samples)
    path.write_bytes(path.read_bytes() + BACKS["id3v1"])
    assert whole == 7200 < len(audio.read(path).samples) == len(ffmpegs(path))


@pytest.mark.parametrize("has_count", [True, False])
def test_joined_files_are_one_recording(tmp_path, has_count):
    parts = [by_ffmpeg(tmp_path / f"{k}.mp3", 16000, 1, has_count=has_count, seed=k) for k in range(3)]
    joined = b"".join(path.read_bytes() for path in parts)
    expected = np.concatenate([audio.read(path).samples for path in parts])
    assert np.array_equal(audio.read(joined).samples, expected)
    info = audio.describe(joined)
    assert info.duration_seconds == len(expected) / 16000 and info.format == "MPEG-2 layer 3 (mp3); 3 joined"
    at = len(audio.read(parts[0]).samples) / 16000
    stretch = audio.read(joined, start=at - 0.1, end=at + 0.9).samples
    assert np.array_equal(stretch, expected[round((at - 0.1) * 16000) : round((at + 0.9) * 16000)])


def test_joined_files_of_other_rates_and_channels(tmp_path):
    first, second = by_lame(tmp_path / "a.mp3", 16000, 1), by_lame(tmp_path / "b.mp3", 44100, 2, seed=1)
    samples, rate = audio.read(first.read_bytes() + second.read_bytes())
    n = len(audio.read(first).samples)
    assert rate == 16000 and np.array_equal(samples[:n], audio.read(first).samples)
    np.testing.assert_allclose(samples[n:], audio.read(second, 16000).samples, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_cut_files_are_named(tmp_path, rate):
    """Where the length is told, or the last frame is not whole; at the end of a frame of the others, nothing shows."""
    rng = np.random.default_rng(rate)
    for has_count in (True, False):
        content = by_ffmpeg(tmp_path / "x.mp3", rate, 1, has_count=has_count).read_bytes()
        n_read = 0
        for kept in [len(content) // 2, len(content) - 1, len(content) - 3, *rng.integers(400, len(content) - 1, 20)]:
            try:
                audio.read(content[:kept])
                n_read += 1
            except AudioError as error:
                assert ": truncated: the " in str(error)
        assert n_read <= (0 if has_count else 2)


def test_stretches_are_those_of_the_whole(tmp_path, capfd):
    """Frames take bits from those before them: so some of those are decoded, and nothing is said about it."""
    rng = np.random.default_rng(0)
    for rate in RATES:
        path = by_ffmpeg(tmp_path / "x.mp3", rate, 2, seconds=3, kbits=32 if rate < 32000 else 64)
        whole = audio.read(path, channel=1).samples
        for first, last in np.sort(rng.integers(0, len(whole), (8, 2))):
            if first < last:
                part = audio.read(path, channel=1, start=first / rate, end=last / rate).samples
                np.testing.assert_array_equal(part, whole[first:last])
    assert capfd.readouterr().err == ""


def test_damaged_bytes_raise_nothing_else(tmp_path):
    content = by_lame(tmp_path / "x.mp3", 16000, 1).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 20)):
            damaged[at] = rng.integers(256)
        with contextlib.suppress(AudioError):
            audio.read(bytes(damaged), start=float(rng.uniform(0, 0.5)))
