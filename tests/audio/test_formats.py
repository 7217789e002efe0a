"""Files that FFmpeg wrote, against what FFmpeg decodes from them; and those that only FFmpeg can decode."""

import importlib.util
import logging
import shlex
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile

from asr import audio
from asr.audio import ffmpeg
from asr.errors import AudioError

REFERENCES = Path(__file__).parents[1] / "references" / "audio.npz"
WHOLE = [
    *("opus-16k", "opus-48k", "opus-stereo", "opus-60ms", "vorbis", "mp3-16k", "mp3-vbr", "flac", "flac-24", "wav-24"),
    *("wav-ima", "wav-ms", "wav-mulaw", "wav-double", "au-alaw", "aiff-16", "caf-24", "w64-16"),
]
FOREIGN = {
    **dict.fromkeys(("m4a", "mp4", "mov", "3gp"), "an MPEG-4 file"),
    **dict.fromkeys(("webm", "mkv"), "a Matroska or WebM file"),
    **{"aac": "an AAC file", "wma": "a Windows Media file", "amr": "an AMR file", "ac3": "an AC-3 file"},
    **{"flv": "a Flash video", "ts": "an MPEG transport stream", "mpg": "an MPEG video", "avi": "an AVI video"},
    **{"wv": "a WavPack file", "tta": "a True Audio file", "rm": "a RealMedia file", "ogg-flac": "FLAC in Ogg"},
    "wav-aac": "a wav file with samples of the kind 0x00ff",
    "wav-wma": "a wav file with samples of the kind 0x0161",
    "wav-mp3": "a wav file with samples of the kind 0x0055",
}


@pytest.fixture(scope="module")
def recorded():
    with np.load(REFERENCES) as archive:
        return dict(archive)


@pytest.fixture
def alone(monkeypatch):
    """Neither PyAV nor the ffmpeg program is there."""
    monkeypatch.setattr(ffmpeg, "decoder", lambda: None)


def test_all_that_is_recorded_is_tested(recorded):
    assert {key.split(".")[0] for key in recorded} == {*WHOLE, *FOREIGN}


@pytest.mark.parametrize("name", WHOLE)
def test_samples_are_those_of_ffmpeg(recorded, tmp_path, name):
    """FFmpeg decodes opus at 48 kHz, libopus at the rate of what was encoded, which differs near half that rate; and
    FFmpeg leaves out the last packet of a short Vorbis file."""
    path, expected = tmp_path / f"x.{name.split('-')[0]}", recorded[f"{name}.samples"]
    path.write_bytes(recorded[f"{name}.bytes"].tobytes())
    rate = int(recorded[f"{name}.rate"])
    factor, tolerance = (48000 // rate, 0.02) if name in ("opus-16k", "opus-60ms") else (1, 2e-6)
    expected = scipy.signal.resample_poly(expected, 1, factor, axis=0) if factor > 1 else expected
    for channel in range(expected.shape[1]):
        samples, own_rate = audio.read(path, channel=channel)
        assert own_rate == rate
        if name == "vorbis":
            assert len(samples) == 1920 > len(expected) == 1664
            samples = samples[:1664]
        np.testing.assert_allclose(samples, expected[:, channel], rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["opus-48k", "opus-16k", "vorbis", "mp3-16k", "flac"])
def test_sounds_begin_when_they_did(recorded, tmp_path, name):
    """No encoder's delay is left in front: the signal that was encoded lies at the same samples."""
    spec = importlib.util.spec_from_file_location("record_audio", REFERENCES.with_name("record_audio.py"))
    recorder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recorder)
    rate = int(recorded[f"{name}.rate"])
    original = recorder.signal(rate, 1, recorder.SECONDS)[:, 0]
    (tmp_path / "x").write_bytes(recorded[f"{name}.bytes"].tobytes())
    samples = audio.read(tmp_path / "x").samples
    assert len(samples) == len(original)
    assert np.argmax(scipy.signal.correlate(samples, original)) == len(original) - 1


def test_opus_at_48_khz_is_resampled(recorded, tmp_path):
    (tmp_path / "x.opus").write_bytes(recorded["opus-48k.bytes"].tobytes())
    samples, rate = audio.read(tmp_path / "x.opus", 16000)
    expected = scipy.signal.resample_poly(recorded["opus-48k.samples"][:, 0], 1, 3)
    assert rate == 16000 and len(samples) == len(expected) == 1920
    assert np.abs(samples - expected)[100:-100].max() < 1e-3


@pytest.mark.parametrize("name", ["opus-48k", "opus-16k", "vorbis"])
def test_a_cut_ogg_file_is_named(recorded, tmp_path, name):
    content = recorded[f"{name}.bytes"].tobytes()
    for kept in (len(content) - 1, len(content) * 2 // 3, content.rindex(b"OggS")):
        (tmp_path / "x.ogg").write_bytes(content[:kept])
        with pytest.raises(AudioError, match=r"x\.ogg: truncated: .*copy or download it again"):
            audio.read(tmp_path / "x.ogg")


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("suffix", ["own", ".wav", ".MP3", ""])
def test_what_only_ffmpeg_decodes_gives_its_command(recorded, tmp_path, alone, name, suffix):
    path = tmp_path / f"it's a b{'.' + name.split('-')[0] if suffix == 'own' else suffix}"
    path.write_bytes(recorded[f"{name}.bytes"].tobytes())
    with pytest.raises(AudioError) as error:
        audio.read(path)
    message = str(error.value)
    assert (
        message.startswith(f"{path}: {FOREIGN[name]}")
        and "`pip install av` reads it" in message
        and audio.undecodable(path) == message
    )
    command = shlex.split(message.split("convert it: ")[1])
    assert command[:7] == ["ffmpeg", "-i", str(path), "-ar", "16000", "-ac", "1"] and len(command) == 8
    target = Path(command[7])
    assert target.suffix == ".wav" and target != path and target.parent == tmp_path


@pytest.mark.parametrize("name", ["m4a", "webm", "aac", "wma"])
@pytest.mark.parametrize("which", [None, "PyAV"])
def test_a_cut_one_is_still_what_it_is(recorded, tmp_path, monkeypatch, name, which):
    if which:
        pytest.importorskip("av")
    monkeypatch.setattr(ffmpeg, "decoder", lambda: which)
    path = tmp_path / "x.wav"
    path.write_bytes(recorded[f"{name}.bytes"].tobytes()[:100])
    with pytest.raises(AudioError, match=FOREIGN[name]):
        audio.read(path)


def test_what_can_be_decoded_is_not_undecodable(recorded, tmp_path):
    for name in WHOLE:
        (tmp_path / "x.mp4").write_bytes(recorded[f"{name}.bytes"].tobytes())
        assert audio.undecodable(tmp_path / "x.mp4") is None
        assert len(audio.read(tmp_path / "x.mp4").samples) > 900
    assert audio.undecodable(tmp_path / "missing.m4a") is None and audio.undecodable(tmp_path) is None
    assert audio.undecodable("a\0b.m4a") is None
    (tmp_path / "empty.m4a").write_bytes(b"")
    assert audio.undecodable(tmp_path / "empty.m4a") is None


def test_names_are_no_options_or_protocols_of_ffmpeg(recorded, tmp_path, monkeypatch, alone):
    monkeypatch.chdir(tmp_path)
    for name, line in {
        "-x.m4a": "ffmpeg -i ./-x.m4a -ar 16000 -ac 1 ./-x.wav",
        "10:30.m4a": "ffmpeg -i ./10:30.m4a -ar 16000 -ac 1 ./10:30.wav",
        "$(rm x).WAV": "ffmpeg -i '$(rm x).WAV' -ar 16000 -ac 1 '$(rm x)-converted.wav'",
    }.items():
        Path(name).write_bytes(recorded["m4a.bytes"].tobytes())
        assert audio.undecodable(name).endswith(f"convert it: {line}")


@pytest.mark.parametrize(
    ("suffix", "form"), [(".raw", "s16le -ar 16000"), (".PCM", "s16le"), (".ulaw", "mulaw -ar 8000")]
)
def test_samples_without_header(tmp_path, suffix, form):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(np.random.default_rng(0).integers(-9000, 9000, 16000).astype("<i2").tobytes())
    with pytest.raises(AudioError, match=f"raw samples without a header.*convert it: ffmpeg -f {form}"):
        audio.read(path)


def test_a_raw_name_is_not_held_against_a_file_with_header(tmp_path):
    samples = np.arange(-500, 500, dtype=np.int16)
    for form in ("wav", "flac", "nist"):
        soundfile.write(tmp_path / "y", samples, 8000, format=form, subtype="PCM_16")
        (tmp_path / "y").replace(tmp_path / "x.raw")
        assert np.array_equal(audio.read(tmp_path / "x.raw").samples, samples / np.float32(32768))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer.*git lfs pull"),
        (b"\n<!DOCTYPE html><html><title>404</title>", "a web page"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip; unpack it"),
        (b"PK\x03\x04\x14\x00", "a zip archive; unpack it"),
    ],
)
def test_what_is_no_sound_at_all(tmp_path, start, message):
    (tmp_path / "x.wav").write_bytes(start + bytes(100))
    with pytest.raises(AudioError, match=rf"x\.wav: .*{message}"):
        audio.read(tmp_path / "x.wav")


def test_other_content_may_be_for_ffmpeg(tmp_path):
    (tmp_path / "x.xyz").write_bytes(b"some other format" * 100)
    with pytest.raises(AudioError, match=r"not audio, or .*if it plays elsewhere, .*convert it: ffmpeg -i .*x\.wav$"):
        audio.read(tmp_path / "x.xyz")


def test_channels_of_opposite_phase_are_reported(tmp_path, caplog):
    left = 0.3 * np.sin(np.arange(4000) / 9)
    soundfile.write(tmp_path / "x.wav", np.column_stack([left, -left]), 8000)
    with caplog.at_level(logging.WARNING, logger="asr"):
        assert np.abs(audio.read(tmp_path / "x.wav").samples).max() < 1e-4
    assert (
        f"{tmp_path / 'x.wav'}: its channels cancel each other out (opposite phase); take one of them: --channel 1"
        in caplog.text
    )
    caplog.clear()
    assert np.abs(audio.read(tmp_path / "x.wav", channel=0).samples).max() > 0.2
    soundfile.write(tmp_path / "y.wav", np.column_stack([left, np.roll(left, 700)]), 8000)
    audio.read(tmp_path / "y.wav")
    soundfile.write(tmp_path / "z.wav", np.zeros((4000, 2)), 8000)
    audio.read(tmp_path / "z.wav")
    assert not caplog.records
