"""Damage amid compressed recordings: what of it cannot be used is named, with where and how much, or the whole is."""

import functools
import io
import os
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from asr import audio
from asr.audio import ffmpeg
from asr.audio.source import Source
from asr.errors import AudioError

RATE = 48000
KINDS = {  # file's ending: container's name in FFmpeg, codec, type of the samples
    "m4a": ("ipod", "aac"),
    "webm": ("webm", "libopus"),
    "mkv": ("matroska", "flac"),
    "wma": ("asf", "wmav2"),
    "aac": ("adts", "aac"),
    "ts": ("mpegts", "aac"),
    "wv": ("wv", "wavpack", "s16p"),
    "tta": ("tta", "tta"),
    "oga": ("ogg", "flac"),
    "ac3": ("ac3", "ac3"),
    "mp3": ("mp3", "libmp3lame"),
    "mp2": ("mp2", "mp2"),
}


SECONDS = 3


@functools.cache
def encoded(form: str, codec: str, sample_format: str | None = None, rate: int = RATE) -> bytes:
    """Noise, which takes many bytes, as a file."""
    av = pytest.importorskip("av")
    noise = np.random.default_rng(5).integers(-9000, 9000, (1, rate * SECONDS * 2)).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        stream.bit_rate = 192000
        if sample_format:
            stream.format = sample_format
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            if packet.size:
                container.mux(packet)
    return file.getvalue()


def write(path: Path) -> bytes:
    """A file of the kind that its name says, and its content."""
    content = encoded(*KINDS[path.suffix[1:]])
    path.write_bytes(content)
    return content


@pytest.mark.parametrize("ending", KINDS)
@pytest.mark.parametrize(
    ("which", "how"),
    [("PyAV", "zeros"), ("PyAV", "noise"), ("PyAV", "cut out"), ("ffmpeg", "zeros")],
    indirect=["which"],
)
def test_damage_in_the_middle_is_named(which, tmp_path, caplog, ending, how):
    path = tmp_path / f"x.{ending}"
    content = write(path)
    assert abs(len(audio.read(path).samples) / RATE - SECONDS) < 0.2 and not caplog.records
    first, last = int(0.35 * len(content)), int(0.7 * len(content))
    noise = np.random.default_rng(1).bytes(last - first)
    amid = {"zeros": bytes(last - first), "noise": noise, "cut out": b""}[how]
    path.write_bytes(content[:first] + amid + content[last:])
    try:
        audio.read(path)
    except AudioError as error:
        assert re.search(r"x\.\w+: .*(damaged|truncated|floats up to)", str(error))
    else:
        assert all(re.search(r"x\.\w+: .*(damaged|bytes behind)", said) for said in caplog.messages) and caplog.messages


@pytest.mark.parametrize("ending", ["aac", "ac3", "mp3"])
def test_how_much_is_missing_is_told(which, tmp_path, caplog, ending):
    path = tmp_path / f"x.{ending}"
    content = write(path)
    at, length = len(content) // 3, len(content) // 3  # a second of three
    path.write_bytes(content[:at] + bytes(length) + content[at + length :])
    audio.read(path)
    told = re.search(r"(\d+) bytes behind ([\d.]+) s are not read.*about ([\d.]+) s are missing", caplog.text)
    assert told and abs(int(told[1]) - length) < 3000 and abs(float(told[2]) - 1) < 0.1
    assert abs(float(told[3]) - 1) < 0.2
    assert re.search(r"; \d+ bytes of it are not read", audio.describe(path).format)


@pytest.mark.parametrize("ending", ["ac3", "aac"])
def test_a_last_frame_that_is_cut(which, tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(write(path)[:-5])
    with pytest.raises(AudioError, match="truncated: its header promises"):
        audio.read(path)


def test_what_can_hardly_be_decoded_is_refused(tmp_path):
    """AAC in a wav file has lost the bounds of its packets."""
    (tmp_path / "x.wav").write_bytes(encoded("wav", "aac"))
    with pytest.raises(AudioError, match=r"damaged: \d+ of \d+ bytes cannot be decoded"):
        audio.read(tmp_path / "x.wav")


def test_integers_of_64_bits(which, tmp_path):
    (tmp_path / "x64.wav").write_bytes(encoded("wav", "pcm_s64le"))
    (tmp_path / "x.wav").write_bytes(encoded("wav", "pcm_s16le"))
    read = audio.read(tmp_path / "x64.wav")
    assert read.rate == RATE and np.array_equal(read.samples, audio.read(tmp_path / "x.wav").samples)


def test_a_caf_file_whose_last_packet_is_short(which, tmp_path):
    """FFmpeg, which writes it, counts the last packet as a whole one."""
    content = encoded("caf", "alac", "s16p")
    (tmp_path / "x.caf").write_bytes(content)
    assert len(audio.read(tmp_path / "x.caf").samples) == RATE * SECONDS
    (tmp_path / "x.caf").write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match="truncated"):
        audio.read(tmp_path / "x.caf")


@pytest.mark.parametrize(("form", "codec"), [("flv", "adpcm_swf"), ("rm", "ac3")])
def test_joined_and_cut_videos(which, tmp_path, form, codec):
    path = tmp_path / f"x.{form}"
    content = encoded(form, codec, rate=22050 if form == "flv" else RATE)
    path.write_bytes(content)
    n = len(audio.read(path).samples)
    path.write_bytes(content + content)
    assert len(audio.read(path).samples) == 2 * n
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match="truncated: its header promises"):
        audio.read(path)


def test_a_cut_voc_file(tmp_path):
    content = encoded("voc", "pcm_s16le", rate=22050)
    (tmp_path / "x.voc").write_bytes(content)
    assert len(audio.read(tmp_path / "x.voc").samples) >= 22050 * SECONDS
    (tmp_path / "x.voc").write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match="truncated: its blocks promise"):
        audio.read(tmp_path / "x.voc")


@pytest.mark.parametrize("kind", ["wav", "mp3", "aac", "nothing.mp3"])
def test_gigabytes_of_nothing_are_not_read(tmp_path, caplog, kind, monkeypatch):
    """Sparse files, which take no room on the disk."""
    monkeypatch.setattr(ffmpeg, "decoder", lambda: "PyAV")
    n_read = 0
    bytes_at = Source.bytes_at

    def counted(self, position, count):
        nonlocal n_read
        found = bytes_at(self, position, count)
        n_read += len(found)
        return found

    monkeypatch.setattr(Source, "bytes_at", counted)
    path, size = tmp_path / f"x.{kind}", 1 << 34
    path.write_bytes(encoded("wav", "pcm_s16le") if kind == "wav" else encoded(*KINDS[kind]) if kind in KINDS else b"")
    try:
        os.truncate(path, size)
    except OSError:
        pytest.skip("no sparse files here")
    if path.stat().st_blocks * 512 > size / 2:
        pytest.skip("no sparse files here")
    if kind in ("wav", *KINDS):
        assert abs(len(audio.read(path).samples) / RATE - SECONDS) < 0.2
        assert int(re.search(r"(\d+) bytes behind [\d.]+ s are not read", caplog.text)[1]) > size - (1 << 28)
    else:
        with pytest.raises(AudioError, match="not audio"):
            audio.read(path)
    assert n_read < 1 << 28
