"""Records what FFmpeg writes and reads, for tests/test_audio_formats.py: a speech-like signal in many formats.

Needs `pip install av==18.1.0 soundfile`; av brings FFmpeg's libraries:

    python tests/references/record_audio.py tests/references/audio.npz

For each name in WHOLE the file's bytes and what FFmpeg decodes from it, float32 (n_samples, n_channels); for each in
FOREIGN, formats that libsndfile cannot read, the bytes alone.
"""

import io
import sys
from fractions import Fraction

import numpy as np
import soundfile

SECONDS = 0.12
# name -> container, codec, rate, channels, encoder's options; Ogg Vorbis is written by libsndfile
WHOLE = {
    "opus-16k": ("ogg", "libopus", 16000, 1, {}),
    "opus-48k": ("ogg", "libopus", 48000, 1, {}),
    "opus-stereo": ("ogg", "libopus", 48000, 2, {}),
    "opus-60ms": ("ogg", "libopus", 24000, 1, {"frame_duration": "60"}),
    "vorbis": ("ogg", "", 16000, 1, {}),
    "mp3-16k": ("mp3", "libmp3lame", 16000, 1, {}),
    "mp3-vbr": ("mp3", "libmp3lame", 44100, 2, {"q": "4"}),
    "flac": ("flac", "flac", 16000, 1, {}),
    "flac-24": ("flac", "flac", 16000, 2, {"sample_fmt": "s32"}),
    "wav-24": ("wav", "pcm_s24le", 8000, 2, {}),
    "wav-ima": ("wav", "adpcm_ima_wav", 16000, 1, {}),
    "wav-ms": ("wav", "adpcm_ms", 16000, 1, {}),
    "wav-mulaw": ("wav", "pcm_mulaw", 8000, 2, {}),
    "wav-double": ("wav", "pcm_f64le", 8000, 1, {}),
    "au-alaw": ("au", "pcm_alaw", 8000, 1, {}),
    "aiff-16": ("aiff", "pcm_s16be", 16000, 1, {}),
    "caf-24": ("caf", "pcm_s24be", 8000, 1, {}),
    "w64-16": ("w64", "pcm_s16le", 8000, 1, {}),
}
FOREIGN = {
    "m4a": ("ipod", "aac", 16000, 1, {}),
    "mp4": ("mp4", "aac", 16000, 1, {}),
    "mov": ("mov", "aac", 16000, 1, {}),
    "3gp": ("3gp", "aac", 16000, 1, {}),
    "webm": ("webm", "libopus", 48000, 1, {}),
    "mkv": ("matroska", "libopus", 48000, 1, {}),
    "aac": ("adts", "aac", 16000, 1, {}),
    "wma": ("asf", "wmav2", 44100, 1, {"b": "64000"}),
    "amr": ("amr", "libopencore_amrnb", 8000, 1, {}),
    "ac3": ("ac3", "ac3", 48000, 1, {}),
    "flv": ("flv", "libmp3lame", 44100, 1, {}),
    "ts": ("mpegts", "aac", 16000, 1, {}),
    "mpg": ("mpeg", "mp2", 44100, 1, {}),
    "wav-mp3": ("wav", "libmp3lame", 16000, 1, {}),
    "avi": ("avi", "libmp3lame", 16000, 1, {}),
    "wv": ("wv", "wavpack", 16000, 1, {}),
    "tta": ("tta", "tta", 16000, 1, {}),
    "rm": ("rm", "ac3", 44100, 1, {}),
    "ogg-flac": ("oga", "flac", 16000, 1, {}),
    "wav-aac": ("wav", "aac", 16000, 1, {}),
    "wav-wma": ("wav", "wmav2", 44100, 1, {"b": "64000"}),
}


def signal(rate: int, channels: int, seconds: float) -> np.ndarray:
    """Harmonics that glide under a swelling loudness, float32 (n_samples, channels)."""
    time = np.arange(round(rate * seconds)) / rate
    columns = []
    for channel in range(channels):
        phase = 2 * np.pi * (130 + 40 * channel) * (time + 0.2 * time**2)
        voice = sum(np.sin(k * phase + k) / k for k in range(1, 12))
        columns.append(0.2 * voice * (0.1 + np.sin(np.pi * time / seconds) ** 2))
    return np.column_stack(columns).astype(np.float32)


def encoded(container: str, codec: str, rate: int, channels: int, options: dict) -> bytes:
    """The signal as a file of FFmpeg's."""
    import av

    target, seconds = io.BytesIO(), SECONDS
    if not codec:
        soundfile.write(target, signal(rate, channels, seconds), rate, format=container)
        return target.getvalue()
    layout = "stereo" if channels == 2 else "mono"
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.options = {k: v for k, v in options.items() if k != "sample_fmt"}
        if "sample_fmt" in options:
            stream.codec_context.format = options["sample_fmt"]
        stream.codec_context.open()
        planes = np.ascontiguousarray(signal(rate, channels, seconds).T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate, stream.codec_context.frame_size or 0)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return target.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """What FFmpeg reads from a file, float32 (n_samples, n_channels)."""
    import av

    with av.open(io.BytesIO(data)) as source:
        resampler = av.AudioResampler("fltp")
        pieces = [p.to_ndarray() for frame in source.decode(audio=0) for p in resampler.resample(frame)]
    return np.concatenate(pieces, axis=1).T.astype(np.float32)


def main() -> None:
    """Write the archive named on the command line."""
    arrays = {}
    for name, (container, codec, rate, channels, options) in WHOLE.items():
        data = encoded(container, codec, rate, channels, options)
        arrays[f"{name}.bytes"] = np.frombuffer(data, dtype=np.uint8)
        arrays[f"{name}.samples"] = decoded(data)
        arrays[f"{name}.rate"] = np.array(rate)
    for name, (container, codec, rate, channels, options) in FOREIGN.items():
        data = encoded(container, codec, rate, channels, options)
        arrays[f"{name}.bytes"] = np.frombuffer(data, dtype=np.uint8)
    np.savez_compressed(sys.argv[1], **arrays)


if __name__ == "__main__":
    main()
