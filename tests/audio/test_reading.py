"""Reading audio: formats, channels, rates, parts; and each way in which a file can be broken has its own error."""

import io
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr import audio
from asr.errors import AudioError

FORMATS = {"wav": {}, "flac": {}, "ogg": {}, "mp3": {}, "aiff": {}, "au": {}, "w64": {}, "caf": {}}
FORMATS |= {"rf64": {"format": "RF64"}, "opus": {"format": "OGG", "subtype": "OPUS"}, "sph": {"format": "NIST"}}


def tone(rate: int = 16000, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    columns = [0.3 * np.sin(2 * np.pi * (300 + 200 * c) * time) for c in range(channels)]
    return np.column_stack(columns).astype(np.float32)


@pytest.fixture
def make(tmp_path):
    def write(name: str, samples: np.ndarray, rate: int = 16000, **options):
        path = tmp_path / name
        soundfile.write(path, samples, rate, **options)
        return path

    return write


@pytest.mark.parametrize("extension", FORMATS)
def test_formats_give_the_samples_back(make, extension):
    path = make(f"x.{extension}", tone(), **FORMATS[extension])
    samples, rate = audio.read(path)
    assert rate == 16000 and samples.dtype == np.float32 and samples.shape == (16000,)
    lossy = extension in ("ogg", "mp3", "opus")
    assert np.abs(samples - tone()[:, 0])[1000:-1000].max() < (0.05 if lossy else 1e-4)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_wav_encodings(make, subtype):
    error = np.abs(audio.read(make("x.wav", tone(), subtype=subtype)).samples - tone()[:, 0]).max()
    assert error < (0.02 if subtype in ("PCM_U8", "ULAW") else 1e-4)


def test_channels(make):
    both = tone(channels=2)
    path = make("x.wav", both, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(path).samples, both.mean(axis=1), atol=1e-6)
    assert np.array_equal(audio.read(path, channel=1).samples, both[:, 1])
    for channel in (2, -1, "left"):
        with pytest.raises(AudioError, match=r"x.wav: has no channel .*it has 1 to 2"):
            audio.read(path, channel=channel)


@pytest.mark.parametrize(("rate", "new_rate"), [(44100, 16000), (8000, 16000), (48000, 8000), (22050, 16000)])
def test_resampling_keeps_a_tone(make, rate, new_rate):
    samples, got = audio.read(make("x.wav", tone(rate), rate, subtype="FLOAT"), new_rate)
    expected = tone(new_rate)[:, 0]
    assert got == new_rate and abs(len(samples) - len(expected)) <= 1
    assert np.abs(samples[: len(expected)] - expected[: len(samples)])[500:-500].max() < 1e-3


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "opus"])
def test_a_part_is_the_part_of_the_whole(make, extension):
    noise = 0.1 * np.random.default_rng(0).standard_normal(48000)
    path = make(f"x.{extension}", noise, **FORMATS[extension])
    whole = audio.read(path).samples
    part = audio.read(path, start=1.25, end=2.0).samples
    np.testing.assert_allclose(part, whole[20000:32000], atol=1e-4)
    assert np.array_equal(audio.read(path, end=0.5).samples, whole[:8000])
    assert len(audio.read(path, start=2.5, end=3.4).samples) == 8000


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (2.0, 3.0, "part 2 s to 3 s lies beyond the end at 1 s"),
        (5.0, None, "part 5 s to the end lies beyond the end at 1 s"),
        (0.5, 1.6, "part 0.5 s to 1.6 s lies beyond"),
        (0.5, 0.5, "part 0.5 s to 0.5 s is empty"),
        (0.6, 0.5, "is empty"),
        (None, 0.0, "part 0 s to 0 s is empty"),
        (-0.1, 0.5, "begins before 0"),
        (float("nan"), 0.5, "part nan s to 0.5 s; need numbers of seconds"),
        (0.0, float("inf"), "need numbers of seconds"),
    ],
)
def test_impossible_parts(make, start, end, said):
    with pytest.raises(AudioError) as caught:
        audio.read(make("x.wav", tone()), start=start, end=end)
    assert said in str(caught.value) and "x.wav: " in str(caught.value)


@pytest.mark.parametrize("extension", FORMATS)
def test_truncated_files(make, extension, tmp_path):
    content = make(f"x.{extension}", tone(), **FORMATS[extension]).read_bytes()
    path = tmp_path / f"cut.{extension}"
    for kept in [10, 30, *(len(content) * k // 10 for k in range(1, 10)), len(content) - 2]:
        path.write_bytes(content[:kept])
        with pytest.raises(AudioError, match=r"cut\.\w+: (truncated|damaged|not audio)") as error:
            audio.read(path)
        assert kept < len(content) // 2 or "truncated" in str(error.value) or extension == "caf"


def test_wav_from_a_pipe_has_no_size_and_is_whole(make):
    path = make("x.wav", tone(), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = content[4:8] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert len(audio.read(path).samples) == 16000


def test_mp3_with_tags_is_whole(make):
    path = make("x.mp3", tone())
    tagged = b"ID3\\x03\\x00\\x00\\x00\\x00\\x01\\x00".decode("unicode_escape").encode("latin-1") + bytes(128)
    path.write_bytes(tagged + path.read_bytes() + b"TAG" + bytes(125))
    assert len(audio.read(path).samples) > 15000


def broken(make, tmp_path):
    """name -> (path, the reason that the error gives)."""
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is not audio\n" * 100)
    (tmp_path / "text.mp3").write_text("this is not audio\n" * 100)
    (tmp_path / "avi.wav").write_bytes(b"RIFF\x00\x10\x00\x00AVI " + bytes(1000))
    nan, inf = tone(), tone()
    nan[8000], inf[100:103] = np.nan, np.inf
    return {
        "missing": (tmp_path / "missing.wav", "no such file"),
        "folder": (tmp_path, "is a folder"),
        "empty": (tmp_path / "empty.wav", r"empty \(0 bytes\)"),
        "text": (tmp_path / "text.wav", "not audio"),
        "text as mp3": (tmp_path / "text.mp3", "not audio"),
        "video": (tmp_path / "avi.wav", "an AVI video"),
        "no samples": (make("zero.wav", tone()[:0]), "holds no samples"),
        "nan": (make("nan.wav", nan, subtype="FLOAT"), "1 samples are NaN or infinite, the first at 0.500 s"),
        "inf": (make("inf.wav", inf, subtype="DOUBLE"), "3 samples are NaN or infinite"),
        "short": (make("short.wav", tone()[:100]), r"too short: 0.00625 s; need 0.025 s or more"),
    }


@pytest.mark.parametrize(
    "name",
    ["missing", "folder", "empty", "text", "text as mp3", "video", "no samples", "nan", "inf", "short"],
)
def test_broken_files_are_named_with_the_reason(make, tmp_path, name):
    path, reason = broken(make, tmp_path)[name]
    with pytest.raises(AudioError, match=reason) as error:
        audio.read(path, 8000, min_duration=0.025)
    assert str(error.value).startswith(f"{path}: ")


def test_no_permission(make, monkeypatch):
    """The refusal is made up, for root may read everything."""

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match=r"x.wav: no permission to read it"):
        audio.read(make("x.wav", tone()))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="pipe or device"):
        audio.read(tmp_path / "pipe.wav")


def test_silence_is_no_error(make):
    assert not audio.read(make("x.wav", np.zeros(8000))).samples.any()


def test_samples_from_python():
    for dtype, half in [(np.int8, 127), (np.int16, 32767), (np.int32, 2**31 - 1)]:
        scaled = audio.check_samples(np.array([0, half, -half - 1], dtype=dtype))
        np.testing.assert_allclose(scaled, [0, 1, -1], atol=0.01)
        assert scaled.dtype == np.float32
    np.testing.assert_allclose(audio.check_samples(np.array([128, 0, 255], dtype=np.uint8)), [0, -1, 1], atol=0.01)
    assert np.array_equal(audio.check_samples([0.5, -0.25]), np.array([0.5, -0.25], dtype=np.float32))
    assert np.array_equal(audio.check_samples(np.array([[0.2, 0.4], [0, 0], [1, 0]]))[2:], [0.5])
    assert np.array_equal(
        audio.check_samples(np.array([[0, 2], [0, 4], [0, 8]], np.int16), channel=1) * 16384, [1, 2, 4]
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 16000)), r"\(2, 16000\) looks like channels first.*array.T"),
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\)"),
        (np.zeros(0), "no samples"),
        (np.array([1, 2, 3], dtype=np.int64), "int64; it has no known full scale"),
        (np.array([1j]), "type complex128"),
        (np.array(["a"]), "type <U1"),
        ([[1, 2], [3]], "not an array of numbers"),
        (np.array([0.1, np.nan]), "1 of 2 samples are NaN"),
        (np.array([1e300]), "1 of 1 samples are NaN or infinite"),
        (np.array([0.0, 20000.0]), "floats up to 20000; need"),
    ],
)
def test_unusable_samples_from_python(array, message):
    with pytest.raises(AudioError, match=f"^here: .*{message}"):
        audio.check_samples(array, where="here")


def test_impossible_rates_and_scales_are_errors(make):
    for rate in (1, 100, 2_000_000_000):
        with pytest.raises(AudioError, match=f"x.wav: its header says {rate} Hz"):
            audio.read(make("x.wav", tone(), rate))
    with pytest.raises(AudioError, match=r"x.wav: floats up to [\d.]+; need \[-1, 1\]"):
        audio.read(make("x.wav", tone() * 32768, subtype="FLOAT"))


def test_random_bytes_called_mp3_are_no_audio_and_nothing_else_is_said(tmp_path, capfd):
    for seed in range(5):
        (tmp_path / "x.mp3").write_bytes(np.random.default_rng(seed).bytes(90_000))
        with pytest.raises(AudioError, match="not audio: no MPEG layer 3 frame"):
            audio.read(tmp_path / "x.mp3")
    assert capfd.readouterr().err == ""


def test_names_of_any_bytes_are_read(make, tmp_path):
    odd = tmp_path / os.fsdecode(b"caf\xe9 \n.wav")
    make("x.wav", tone()).rename(odd)
    assert len(audio.read(odd).samples) == 16000


def test_an_empty_name_is_not_the_current_folder():
    with pytest.raises(AudioError, match="empty file name"):
        audio.read("")


def test_streams_and_bytes_are_read_as_files_are(make):
    path = make("x.flac", tone(channels=2))
    expected = audio.read(path, 8000, channel=1, start=0.1).samples
    for source in (path.read_bytes(), io.BytesIO(path.read_bytes()), str(path)):
        assert np.array_equal(audio.read(source, 8000, channel=1, start=0.1).samples, expected)
    with path.open("rb") as stream:
        assert audio.describe(stream) == (16000, 2, 1.0, "FLAC (Free Lossless Audio Codec), Signed 16 bit PCM")


def test_a_stream_that_cannot_be_sought_in_is_kept(make):
    """Standard input is such a one; it is named so."""

    class Pipe(io.RawIOBase):
        name = "<stdin>"

        def __init__(self, content):
            self.content = io.BytesIO(content)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.content.readinto(buffer)

    content = make("x.wav", tone()).read_bytes()
    assert len(audio.read(Pipe(content)).samples) == 16000
    with pytest.raises(AudioError, match=r"^standard input: truncated"):
        audio.read(Pipe(content[:5000]))
    with pytest.raises(AudioError, match=r"^standard input: empty"):
        audio.read(Pipe(b""))


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "opus"])
@pytest.mark.parametrize("rate", [None, 11025])
def test_blocks_joined_are_what_read_gives(make, extension, rate):
    samples = 0.1 * np.random.default_rng(0).standard_normal((16000 * 3, 2))
    path = make(f"x.{extension}", samples, **FORMATS[extension])
    for options in ({}, {"channel": 1}, {"start": 0.3, "end": 2.7}):
        blocks = list(audio.blocks(path, rate, seconds=0.4, **options))
        assert {len(block) for block in blocks[:-1]} == {round(0.4 * (rate or 16000))}
        assert 0 < len(blocks[-1]) <= len(blocks[0]) and blocks[0].dtype == np.float32
        assert np.array_equal(np.concatenate(blocks), audio.read(path, rate, **options).samples)


def test_what_is_wrong_in_blocks_comes_with_the_name(make):
    samples = tone(seconds=4)
    samples[50000] = np.nan
    pieces = audio.blocks(make("x.wav", samples, subtype="FLOAT"), seconds=1)
    with pytest.raises(AudioError, match=r"x\.wav: 1 samples are NaN or infinite, the first at 3.125 s"):
        list(pieces)
    with pytest.raises(ValueError, match="seconds=0"):
        next(audio.blocks("x.wav", seconds=0))


def test_memory_does_not_grow_with_the_length(tmp_path):
    """Ten minutes at 48 kHz are 115 MB as floats; what a block takes is 6."""
    with soundfile.SoundFile(tmp_path / "x.wav", "w", 48000, 1, "PCM_16") as stream:
        for _ in range(20):
            stream.write(np.zeros(48000 * 30, dtype=np.int16))
    tracemalloc.start()
    assert sum(len(block) for block in audio.blocks(tmp_path / "x.wav", 16000)) == 16000 * 600
    assert tracemalloc.get_traced_memory()[1] < 40e6
    tracemalloc.stop()


def test_a_header_that_promises_too_much_is_never_allocated(make, tmp_path):
    """A FLAC file's 36-bit count of samples, at its greatest, would take half a terabyte."""
    content = bytearray(make("x.flac", tone()).read_bytes())
    content[21:26] = bytes([content[21] | 0x0F, 255, 255, 255, 255])
    (tmp_path / "y.flac").write_bytes(content)
    with pytest.raises(AudioError, match=r"y\.flac: truncated: the header promises 4\.295e\+06 s, .* end at 1 s"):
        audio.read(tmp_path / "y.flac")
    assert len(audio.read(tmp_path / "y.flac", start=0.25, end=0.75).samples) == 8000


def test_no_memory_is_an_error_of_the_file(make, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(soundfile.SoundFile, "read", full)
    with pytest.raises(AudioError, match=r"x\.wav: too long for the memory"):
        audio.read(make("x.wav", tone()))


def test_a_link_to_nothing_is_told(tmp_path):
    (tmp_path / "x.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match=r"x\.wav: the link leads to no file"):
        audio.read(tmp_path / "x.wav")
