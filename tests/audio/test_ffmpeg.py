"""What PyAV or the ffmpeg program decodes: m4a, webm, wma, video; each test with either, where it is there."""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from asr import audio
from asr.audio import ffmpeg
from asr.errors import AudioError

RATE = 48000
KINDS = {  # file's ending: container's name in FFmpeg, codec
    "m4a": ("ipod", "aac"),
    "webm": ("webm", "libopus"),
    "mkv": ("matroska", "flac"),
    "wma": ("asf", "wmav2"),
    "aac": ("adts", "aac"),
    "mov": ("mov", "pcm_s16le"),
    "avi": ("avi", "pcm_s16le"),
    "wv": ("wv", "wavpack"),
    "oga": ("ogg", "flac"),
}
EXACT = ("flac", "pcm_s16le", "wavpack")


def signal(seconds: float = 1.0) -> np.ndarray:
    """Two channels, whose mean is neither."""
    time = np.arange(int(RATE * seconds)) / RATE
    chirp = np.sin(2 * np.pi * (200 * time + 900 * time**2))
    return (np.stack([0.4 * chirp, 0.1 * np.sin(2 * np.pi * 300 * time)]) * 2**15).round().astype(np.int16)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """One of each kind, by PyAV."""
    av = pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("files")
    for ending, (form, codec) in KINDS.items():
        with av.open(str(folder / f"x.{ending}"), "w", format=form) as container:
            if ending == "avi":  # its sound is the second stream
                picture = container.add_stream("mjpeg", rate=25)
                picture.width = picture.height = 16
                picture.pix_fmt = "yuvj420p"
            stream = container.add_stream(codec, rate=RATE, layout="stereo")
            if ending == "wv":
                stream.format = "s16p"
            if codec not in EXACT:
                stream.bit_rate = 96000
            frame = av.AudioFrame.from_ndarray(signal().T.reshape(1, -1), format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            for packet in (*stream.encode(frame), *stream.encode(None)):
                if packet.size:  # flac's last one only has side data
                    container.mux(packet)
    return {ending: folder / f"x.{ending}" for ending in KINDS}


@pytest.mark.parametrize("ending", KINDS)
def test_sound_lies_where_it_did(files, which, ending):
    for channel in (0, 1):
        samples, rate = audio.read(files[ending], channel=channel)
        original = signal()[channel] / np.float32(2**15)
        assert rate == RATE and len(samples) >= len(original) * (0.95 if ending in ("wma", "avi") else 1)
        if KINDS[ending][1] in EXACT:
            assert np.array_equal(samples[: len(original)], original[: len(samples)])
        elif ending in ("m4a", "webm"):  # others do not tell their encoder's delay
            errors = {lag: np.abs(samples[9600 + lag :][:9600] - original[9600:][:9600]).mean() for lag in range(-9, 9)}
            assert min(errors, key=lambda lag: errors[lag]) == 0 and errors[0] < 0.02


@pytest.mark.parametrize("ending", KINDS)
def test_stretches_and_resampled_blocks(files, which, ending):
    whole = audio.read(files[ending], channel=1).samples
    part = audio.read(files[ending], channel=1, start=0.3, end=0.7).samples
    assert np.array_equal(part, whole[14400:33600])
    joined = np.concatenate(list(audio.blocks(files[ending], 16000, seconds=0.1)))
    assert np.array_equal(joined, audio.read(files[ending], 16000).samples)
    with pytest.raises(AudioError, match=rf"x\.{ending}: part 3 s to 4 s lies beyond the end"):
        audio.read(files[ending], start=3, end=4)


@pytest.mark.parametrize("ending", KINDS)
def test_cut_files_are_named(files, which, ending, tmp_path):
    content = files[ending].read_bytes()
    for kept in (60, len(content) // 2, len(content) - 300):
        (tmp_path / "cut").write_bytes(content[:kept])
        with pytest.raises(AudioError, match=r"cut: .*(truncated|damaged)"):
            audio.read(tmp_path / "cut")


@pytest.mark.parametrize("ending", KINDS)
def test_pyav_and_the_program_agree(files, monkeypatch, ending):
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg program")
    read = {}
    for name in ("PyAV", "ffmpeg"):
        monkeypatch.setattr(ffmpeg, "decoder", lambda name=name: name)
        read[name] = audio.read(files[ending])
        assert audio.describe(files[ending]).n_channels == 2
    assert read["PyAV"].rate == read["ffmpeg"].rate
    np.testing.assert_allclose(read["PyAV"].samples, read["ffmpeg"].samples, atol=1e-4)


def test_bytes_and_odd_names(files, which, tmp_path):
    expected = audio.read(files["m4a"]).samples
    assert np.array_equal(audio.read(files["m4a"].read_bytes()).samples, expected)
    with files["m4a"].open("rb") as stream:
        assert np.array_equal(audio.read(stream).samples, expected)
    for name in ("-x.m4a", "a:b.m4a", "concat:x.m4a", "é %d.m4a"):
        (tmp_path / name).write_bytes(files["m4a"].read_bytes())
        assert np.array_equal(audio.read(tmp_path / name).samples, expected)
        assert audio.undecodable(tmp_path / name) is None


def test_opus_leaves_out_its_delay_whatever_rate_the_file_names(which, tmp_path):
    """An encoder that was given 16 kHz notes that rate, and counts its delay at 48 kHz."""
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "x.webm"), "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=16000, layout="mono")
        tone = (0.3 * np.sin(np.arange(16000) / 9)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(tone[None], format="flt", layout="mono")
        frame.sample_rate = 16000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    samples = audio.read(tmp_path / "x.webm", 16000).samples
    errors = [np.abs(samples[3000 + lag : 9000 + lag] - tone[3000:9000]).mean() for lag in range(28)]
    assert np.argmin(errors) == 0


def test_lists_of_other_files_are_not_followed(which, tmp_path, files):
    """FFmpeg opens what such a text names."""
    (tmp_path / "x.m4a").write_bytes(files["m4a"].read_bytes())
    for text in (f"ffconcat version 1.0\nfile '{tmp_path}/x.m4a'\n", f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/x.m4a\n"):
        (tmp_path / "list.m3u8").write_text(text)
        with pytest.raises(AudioError, match="not audio"):
            audio.read(tmp_path / "list.m3u8")


def test_without_either_the_advice_is_to_install_one(files, monkeypatch):
    monkeypatch.setattr(ffmpeg, "decoder", lambda: None)
    with pytest.raises(AudioError, match=r"an MPEG-4 file .*`pip install av` reads it, or convert it: ffmpeg -i "):
        audio.read(files["m4a"])
    with pytest.raises(AudioError, match=r"^the recording given as bytes: .*ffmpeg -i - -ar 16000 -ac 1 -f wav -$"):
        audio.read(files["m4a"].read_bytes())


def test_a_video_without_sound(which, tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    with pytest.raises(AudioError, match=r"x\.mp4: an MPEG-4 file .*without sound"):
        audio.read(tmp_path / "x.mp4")


def test_the_program_ends_with_the_reading(files, monkeypatch):
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg program")
    monkeypatch.setattr(ffmpeg, "decoder", lambda: "ffmpeg")
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    next(audio.blocks(files["mkv"], seconds=0.01))
    assert len(started) == 2 and all(process.returncode is not None for process in started)
