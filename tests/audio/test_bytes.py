"""Sample values from files put together byte by byte, as their formats' specifications say; libsndfile wrote none."""

import io
import struct

import numpy as np
import pytest
import scipy.io.wavfile

from asr import audio
from asr.audio import ffmpeg
from asr.errors import AudioError

VALUES = np.array([0, 1, -1, 77, -12345, 20000, 2**15 - 1, -(2**15)] * 40)  # int16 scale
CODES = np.tile(np.arange(256, dtype=np.uint8), 2)
W64 = {name: name + bytes.fromhex("f3acd3118cd100c04f8edb8a") for name in (b"wave", b"fmt ", b"data")}
W64[b"riff"] = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")


def mu_law(code: int) -> int:
    """ITU-T G.711, table 2: 8 segments of 16 steps, a bias of 132 on the 16-bit scale, all bits inverted."""
    code = ~code & 0xFF
    size = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return -size if code & 0x80 else size


def a_law(code: int) -> int:
    """ITU-T G.711, table 1: even bits inverted, the sign bit set for positive values."""
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 15
    size = 16 * step + 8 if segment == 0 else 16 * step + 0x108 << segment - 1
    return size if code & 0x80 else -size


def test_companding_laws_have_the_published_values():
    """Rows of G.711's tables 1a, 1b, 2a and 2b, on the 16-bit scale; and Python's audioop, up to 3.12."""
    published_mu = {0x00: -32124, 0x0F: -16764, 0x7E: -8, 0x7F: 0, 0x80: 32124, 0xEF: 132, 0xFE: 8, 0xFF: 0}
    published_a = {0x00: -5504, 0x2A: -32256, 0x55: -8, 0x80: 5504, 0xAA: 32256, 0xD5: 8, 0xD4: 24}
    assert {code: mu_law(code) for code in published_mu} == published_mu
    assert {code: a_law(code) for code in published_a} == published_a
    audioop = pytest.importorskip("audioop")
    for ours, theirs in ((mu_law, audioop.ulaw2lin), (a_law, audioop.alaw2lin)):
        assert [ours(c) for c in range(256)] == np.frombuffer(theirs(bytes(range(256)), 2), np.int16).tolist()


def big(data: bytes, width: int) -> bytes:
    """Little-endian numbers the other way round."""
    return np.frombuffer(data, np.uint8).reshape(-1, width)[:, ::-1].tobytes()


def encodings() -> dict[str, tuple[bytes, int, np.ndarray]]:
    """name -> little-endian bytes, bytes of a sample, the values that they stand for, in [-1, 1]."""
    fine = VALUES * 2**16 + 0x1234 * np.sign(VALUES) * (np.abs(VALUES) < 2**15 - 1)  # int32 scale
    floats = VALUES / 32768
    return {
        "u8": (bytes((VALUES // 256 + 128).astype(np.uint8)), 1, VALUES // 256 / 128),
        "s16": (VALUES.astype("<i2").tobytes(), 2, floats),
        "s24": (b"".join(int(v).to_bytes(3, "little", signed=True) for v in fine // 256), 3, fine // 256 / 2**23),
        "s32": (fine.astype("<i4").tobytes(), 4, fine / 2**31),
        "f32": (floats.astype("<f4").tobytes(), 4, floats),
        "f64": (floats.astype("<f8").tobytes(), 8, floats),
        "ulaw": (CODES.tobytes(), 1, np.array([mu_law(int(c)) for c in CODES]) / 32768),
        "alaw": (CODES.tobytes(), 1, np.array([a_law(int(c)) for c in CODES]) / 32768),
    }


def wav_format(name: str, width: int, channels: int, rate: int, is_extensible: bool = False) -> bytes:
    code = {"f": 3, "u": 7 if name == "ulaw" else 1, "a": 6}.get(name[0], 1)
    base = struct.pack("<HIIHH", channels, rate, rate * channels * width, channels * width, 8 * width)
    if not is_extensible:
        return struct.pack("<H", code) + base
    guid = bytes.fromhex("000000001000800000aa00389b71")
    return struct.pack("<H", 0xFFFE) + base + struct.pack("<HHI", 22, 8 * width, 0) + struct.pack("<H", code) + guid


def chunk(name: bytes, body: bytes, order: str = "<I") -> bytes:
    return name + struct.pack(order, len(body)) + body + bytes(len(body) % 2)


def wav(name: str, data: bytes, width: int, channels: int, rate: int) -> bytes:
    body = b"WAVE" + chunk(b"fmt ", wav_format(name, width, channels, rate)) + chunk(b"LIST", b"odd")
    return chunk(b"RIFF", body + chunk(b"data", data))


def wav_extensible(name: str, data: bytes, width: int, channels: int, rate: int) -> bytes:
    body = b"WAVE" + chunk(b"fmt ", wav_format(name, width, channels, rate, True)) + chunk(b"data", data)
    return chunk(b"RIFF", body)


def rf64(name: str, data: bytes, width: int, channels: int, rate: int) -> bytes:
    sizes = struct.pack("<QQQI", 72 + len(data), len(data), len(data) // width // channels, 0)
    body = b"WAVE" + chunk(b"ds64", sizes) + chunk(b"fmt ", wav_format(name, width, channels, rate))
    return b"RF64" + b"\xff" * 4 + body + b"data" + b"\xff" * 4 + data


def w64(name: str, data: bytes, width: int, channels: int, rate: int) -> bytes:
    form = wav_format(name, width, channels, rate)
    body = W64[b"wave"] + W64[b"fmt "] + struct.pack("<Q", 24 + len(form)) + form
    body += W64[b"data"] + struct.pack("<Q", 24 + len(data)) + data
    return W64[b"riff"] + struct.pack("<Q", 24 + len(body)) + body


def au(name: str, data: bytes, width: int, channels: int, rate: int) -> bytes:
    code = {"ulaw": 1, "s16": 3, "s24": 4, "s32": 5, "f32": 6, "f64": 7, "alaw": 27}[name]
    return struct.pack(">4sIIIII", b".snd", 28, len(data), code, rate, channels) + b"note" + big(data, width)


def aiff(name: str, data: bytes, width: int, channels: int, rate: int) -> bytes:
    exponent = rate.bit_length() - 1
    rate80 = struct.pack(">HQ", 16383 + exponent, rate << 63 - exponent)
    common = struct.pack(">hIh", channels, len(data) // width // channels, 8 * width) + rate80
    kinds = {"f32": b"fl32", "f64": b"fl64", "ulaw": b"ulaw", "alaw": b"alaw"}
    if name in kinds:
        common += kinds[name] + b"\x00\x00"
    sound = chunk(b"SSND", bytes(8) + big(data, width), ">I")
    return chunk(b"FORM", (b"AIFC" if name in kinds else b"AIFF") + chunk(b"COMM", common, ">I") + sound, ">I")


def caf(name: str, data: bytes, width: int, channels: int, rate: int) -> bytes:
    kind = name.encode() if name in ("ulaw", "alaw") else b"lpcm"
    flags = (name[0] == "f") + 2 * (kind == b"lpcm")
    described = struct.pack(">d4sIIIII", rate, kind, flags, width * channels, 1, channels, 8 * width)
    return (
        b"caff\x00\x01\x00\x00desc" + struct.pack(">q", 32) + described
        + b"data" + struct.pack(">q", len(data) + 4) + bytes(4) + data
    )  # fmt: skip


def sphere(data: bytes, width: int, channels: int, coding: str = "pcm", order: str = "01", rate: int = 16000) -> bytes:
    fields = [
        ("sample_rate", "i", rate), ("channel_count", "i", channels), ("sample_n_bytes", "i", width),
        ("sample_count", "i", len(data) // width // channels), ("sample_coding", f"s{len(coding)}", coding),
        ("sample_byte_format", f"s{len(order)}", order), ("sample_sig_bits", "i", 8 * width),
    ]  # fmt: skip
    header = "NIST_1A\n   1024\n" + "".join(f"{n} -{t} {v}\n" for n, t, v in fields) + "end_head\n"
    return header.encode().ljust(1024, b"\x00") + data


WRITERS = {f.__name__: f for f in (wav, wav_extensible, rf64, w64, au, aiff, caf)}
CASES = [
    (container, name)
    for container in WRITERS
    for name in encodings()
    if not (name == "u8" and container in ("au", "aiff", "caf"))  # these have signed bytes
]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("container", "name"), CASES)
def test_values(tmp_path, container, name, channels):
    data, width, expected = encodings()[name]
    path = tmp_path / f"x.{container}"
    path.write_bytes(WRITERS[container](name, data, width, channels, 11025))
    for channel in range(channels):
        samples, rate = audio.read(path, channel=channel)
        assert rate == 11025
        np.testing.assert_array_equal(samples, expected[channel::channels].astype(np.float32))


@pytest.mark.parametrize("name", ["u8", "s16", "s24", "s32", "f32", "f64"])
def test_wav_values_equal_scipys(tmp_path, name):
    """SciPy keeps the file's type, 24 bits as the upper ones of 32."""
    data, width, _ = encodings()[name]
    content = wav(name, data, width, 2, 16000)
    (tmp_path / "x.wav").write_bytes(content)
    rate, theirs = scipy.io.wavfile.read(io.BytesIO(content))
    assert rate == 16000
    if theirs.dtype.kind != "f":
        theirs = (theirs - 128.0 * (name == "u8")) / (128 if name == "u8" else 2 ** (8 * theirs.itemsize - 1))
    for channel in (0, 1):
        expected = theirs[:, channel].astype(np.float32)
        np.testing.assert_array_equal(audio.read(tmp_path / "x.wav", channel=channel).samples, expected)


@pytest.mark.parametrize("suffix", ["sph", "wav"])
@pytest.mark.parametrize("channels", [1, 2])
def test_sphere_values(tmp_path, channels, suffix):
    """Corpora of the LDC call their sphere files `.wav`, too."""
    laws, path = encodings(), tmp_path / f"x.{suffix}"
    files = {
        "little": (sphere(laws["s16"][0], 2, channels), laws["s16"][2]),
        "big": (sphere(big(laws["s16"][0], 2), 2, channels, order="10"), laws["s16"][2]),
        "ulaw": (sphere(laws["ulaw"][0], 1, channels, "ulaw", "1", 8000), laws["ulaw"][2]),
        "mu-law": (sphere(laws["ulaw"][0], 1, channels, "mu-law", "1", 8000), laws["ulaw"][2]),
        "alaw": (sphere(laws["alaw"][0], 1, channels, "alaw", "1", 8000), laws["alaw"][2]),
    }
    for name, (content, expected) in files.items():
        path.write_bytes(content)
        for channel in range(channels):
            samples, rate = audio.read(path, channel=channel)
            assert rate == (8000 if name in ("ulaw", "mu-law", "alaw") else 16000)
            np.testing.assert_array_equal(samples, expected[channel::channels].astype(np.float32), err_msg=name)
        path.write_bytes(content[:-2])
        with pytest.raises(AudioError, match="truncated: the header promises"):
            audio.read(path)


@pytest.mark.parametrize("coding", ["pcm,embedded-shorten-v2.00", "ulaw,embedded-shorten-v2.00"])
def test_shortened_sphere_names_sph2pipe(tmp_path, monkeypatch, coding):
    monkeypatch.setattr(ffmpeg, "decoder", lambda: None)
    path = tmp_path / "a b.sph"
    path.write_bytes(sphere(b"ajkg" + bytes(500), 2, 1, coding))
    with pytest.raises(AudioError, match="NIST sphere compressed with shorten") as error:
        audio.read(path)
    assert str(error.value).endswith(f"sph2pipe -f wav '{path}' '{tmp_path}/a b.wav'")
    assert audio.undecodable(path) == str(error.value)
