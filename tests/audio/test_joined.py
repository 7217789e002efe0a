"""Everything in a file is read, or what was not is named: recordings of any kind behind any other, and other bytes."""

import io
import logging

import numpy as np
import pytest
import soundfile

from asr import audio
from asr.errors import AudioError

RATE = 16000
NATIVE = ("WAV", "FLAC", "OGG", "OPUS", "MP3", "AIFF", "CAF", "W64", "RF64", "AU", "NIST", "VOC")
# FFmpeg's names of containers, and of the codecs in them.
FOREIGN = {
    "ipod": "aac",
    "webm": "libopus",
    "matroska": "aac",
    "asf": "wmav2",
    "adts": "aac",
    "ac3": "ac3",
    "eac3": "eac3",
    "wv": "wavpack",
    "tta": "tta",
    "avi": "mp2",
    "ogg": "flac",
}
TAGS = {
    "zeros": bytes(5000),
    "ID3v1": b"TAG" + b"x" * 125,
    "ID3v2": b"ID3\4\0\0\0\0\1\0" + bytes(128),
    "APE": b"APETAGEX" + (2000).to_bytes(4, "little") + (32).to_bytes(4, "little") + bytes(16),
}
OTHERS = {"text": b"hello world " * 100, "noise": np.random.default_rng(1).bytes(40_000)}


def samples(seed: int) -> np.ndarray:
    time = np.arange(int(0.8 * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.3 * np.sin(2 * np.pi * (300 + 100 * seed) * time) + 0.01 * noise).astype(np.float32)


def native(form: str, seed: int) -> bytes:
    stream = io.BytesIO()
    soundfile.write(
        stream, samples(seed), RATE, format="OGG" if form == "OPUS" else form, subtype={"OPUS": "OPUS"}.get(form)
    )
    return stream.getvalue()


def foreign(form: str, seed: int) -> bytes:
    av = pytest.importorskip("av")
    stream = io.BytesIO()
    codec = FOREIGN[form]
    try:
        with av.open(stream, "w", format=form) as container:
            track = container.add_stream(codec, rate=RATE if codec not in ("ac3", "eac3") else 48000, layout="mono")
            track.bit_rate = 64000
            resampler = av.AudioResampler(track.format, "mono", track.rate, frame_size=track.frame_size or 1024)
            frame = av.AudioFrame.from_ndarray(samples(seed)[None], format="flt", layout="mono")
            frame.sample_rate = RATE
            for piece in (*resampler.resample(frame), *resampler.resample(None), None):
                for packet in track.encode(piece):
                    container.mux(packet)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"no such file can be made here: {error}")
    return stream.getvalue()


def made(form: str, seed: int) -> bytes:
    return native(form, seed) if form in NATIVE else foreign(form, seed)


def read(content: bytes, caplog) -> np.ndarray:
    """The samples; nothing is said."""
    caplog.clear()
    found = audio.read(content)
    assert not caplog.records
    return found.samples if found.rate == RATE else audio.resample(found.samples, found.rate, RATE)


@pytest.mark.parametrize("form", [*NATIVE, *FOREIGN])
def test_recordings_behind_another(form, caplog):
    first = made(form, 1)
    whole = read(first, caplog)
    for other in dict.fromkeys((form, "WAV", "FLAC", "OGG", "MP3")):
        second = made(other, 2)
        expected = np.concatenate([whole, read(second, caplog)])
        joined = read(first + second, caplog)
        # FFmpeg knows no padding of a joined mp3; and what is resampled is so before or after.
        assert abs(len(joined) - len(expected)) < 0.03 * RATE, (form, other)
        n = min(len(joined), len(expected), len(whole))
        np.testing.assert_allclose(joined[: n - 2000], expected[: n - 2000], atol=1e-4)
        assert np.abs(joined[-8000:-4000]).max() > 0.1  # the second one's tone, not noise
        assert np.abs(joined).max() < 0.6


@pytest.mark.parametrize("form", [*NATIVE, *FOREIGN])
def test_tags_and_zeros_are_passed_over_and_other_bytes_are_named(form, caplog):
    first = made(form, 1)
    n = len(read(first, caplog))
    for name, tail in TAGS.items():
        # Of an mp3 with much behind it, FFmpeg leaves the padding there.
        assert abs(len(read(first + tail, caplog)) - n) < (0.05 if form == "MP3" else 0.03) * RATE, name
    for name, tail in OTHERS.items():
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert abs(len(audio.read(first + tail).samples) / audio.describe(first).rate - n / RATE) < 0.05, name
        (record,) = caplog.records
        n_bytes = int(record.getMessage().split(": ")[1].split()[0])
        assert " bytes behind 0." in record.getMessage() and abs(n_bytes - len(tail)) < 20, record.getMessage()
        assert f"{n_bytes} bytes of it are not read" in audio.describe(first + tail).format


def test_it_is_said_once_where_the_end_is_read(caplog):
    content = native("WAV", 1) + OTHERS["text"]
    audio.read(content, start=0.1, end=0.5)
    assert not caplog.records
    audio.read(content, start=0.1)
    assert [r.getMessage() for r in caplog.records] == [
        "the recording given as bytes: 1200 bytes behind 0.8 s are not read: no sound that is known"
    ]


def test_bytes_between_mp3_frames_are_named(caplog):
    """As where a download was resumed at the wrong place."""
    content, junk = native("MP3", 1), b"lost" * 100
    frames = [k for k in range(len(content)) if content[k : k + 2] == content[:2]]
    middle = frames[len(frames) // 2]
    audio.read(content[:middle] + junk + content[middle:])
    (record,) = caplog.records
    assert ": 400 bytes behind 0." in record.getMessage()


def test_a_recording_that_was_cut_is_named_behind_another_too():
    with pytest.raises(AudioError, match="truncated"):
        audio.read(native("FLAC", 1) + native("WAV", 2)[:-1000])


def test_stretches_across_kinds(caplog):
    content = native("FLAC", 1) + native("MP3", 2) + native("W64", 3)
    whole = read(content, caplog)
    assert len(whole) == 3 * len(samples(1))
    for start, end in ((0.0, 0.5), (0.7, 0.9), (0.5, 2.3), (1.9, 2.4)):
        part = audio.read(content, start=start, end=end).samples
        np.testing.assert_array_equal(part, whole[round(start * RATE) : round(end * RATE)])
