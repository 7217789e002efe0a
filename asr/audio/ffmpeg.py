"""What libsndfile cannot read (m4a, webm, wma, video and so on), by PyAV or by the ffmpeg program, where one is there.

Both hold the same decoders. PyAV comes first: it needs no other process, and `pip install av` brings it.
"""

import importlib
import io
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from .part import AGAIN, DamagedError, Part, UnknownFormatError, cut_short
from .promises import extent
from .source import Source

logger = logging.getLogger(__name__)

INSTALL = "pip install av"
_TELLING = ("mov", "matroska", "asf", "flv", "wv", "ape", "tta", "caf")  # formats whose headers tell their length
_CHECKED = ("wavpack", "tta", "flac", "ape", "tak")  # codecs whose checksums are looked at: all or nothing is right
_JUMP = 0.25  # s that the times of what follows each other may leave out: files in parts, and browsers', are rough
_BLOCK = 1 << 16  # samples per channel that come from the program at once
_LACK = (0.3, 0.005)  # s, and part of the length, that may lack for the encoder's delay and rough headers
_ALAC_PACKET = 4096  # samples
_FLOAT = {"s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63}  # PyAV's names of integers, and their full scale
_DURATION = re.compile(rb"Duration: (\d+):(\d+):(\d+\.\d+)")
_INPUT = re.compile(rb"Input #0, ([^\n]*?), from")
_CODEC = re.compile(rb"Stream #0[^\n]*Audio: ([\w-]+)")


def decoder() -> str | None:
    """The name of what reads these formats here: "PyAV", the path of the ffmpeg program, or None."""
    try:
        importlib.import_module("av")
    except ImportError:  # not there, or without a library that it needs
        return shutil.which("ffmpeg")
    return "PyAV"


def is_text(head: bytes) -> bool:
    """Whether a file that begins like this is text. FFmpeg reads some texts as lists of other files and addresses."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\r\n\ufeff" for character in text)


def ffmpeg_part(whole: Source) -> tuple[Part, int]:
    """The first audio stream of the recording that begins a file, and where that ends, or the file.

    Raises:
        UnknownFormatError: where FFmpeg knows no audio in it, or there is none here.
    """
    which = decoder()
    if which is None or is_text(whole.bytes_at(0, 4096)):
        raise UnknownFormatError("no decoder")
    end, unread, bytes_per_second = extent(whole)
    source = whole.between(0, end)
    open_it = _open_av if which == "PyAV" else _open_program
    with open_it(source) as sound:
        first, rate = next(sound.blocks, None), sound.rate
        words, promised = sound.words, sound.seconds
    if promised is not None and words == "caf, alac":  # whose last packet is counted as a whole one
        promised -= _ALAC_PACKET / rate
    if first is None:
        raise DamagedError(f"truncated or damaged: FFmpeg decodes no samples of it{AGAIN}")

    def decode(start: int, last: int | None) -> Iterator[np.ndarray]:
        at = 0
        with open_it(source) as sound:
            for block in sound.blocks:
                yield block[max(start - at, 0) : None if last is None else last - at]
                at += len(block)
                if last is not None and at >= last:
                    return
            sound.check(source.name, sum(n_bytes for _, n_bytes in unread))
        if promised is not None and at / rate < promised * (1 - _LACK[1]) - _LACK[0]:
            raise DamagedError(cut_short(promised, at / rate))

    part = Part(rate, first.shape[1], None, words, decode, promised, unread, bytes_per_second)
    return part, end


class _Damage:
    """What a decoder had to leave out. It is found while blocks are decoded.

    Attributes:
        n_bytes: in packets of which no sound came, and of how many.
        missing: seconds that the times leave out.
        where: seconds of sound before the first of both.
        complaint: what the decoder complains of, of which it does not say how much.
    """

    def __init__(self) -> None:
        self.n_bytes = self.n_of = 0
        self.missing = 0.0
        self.where: float | None = None
        self.complaint = ""

    def lose(self, where: float, *, n_bytes: int = 0, missing: float = 0.0) -> None:
        self.n_bytes += n_bytes
        self.missing += missing
        self.where = where if self.where is None else self.where

    def tell(self, name: str, n_known: int) -> None:
        """Log it as a warning.

        Args:
            n_known: bytes that were named by another.

        Raises:
            DamagedError: where most cannot be decoded.
        """
        if self.n_bytes > self.n_of / 2:
            raise DamagedError(f"damaged: {self.n_bytes} of {self.n_of} bytes cannot be decoded{AGAIN}")
        what = [f"{self.n_bytes} bytes cannot be decoded, and are left out"] if self.n_bytes > n_known else []
        what += [f"{self.missing:.4g} s of sound are missing by its times"] if self.missing and not n_known else []
        if what:
            logger.warning("%s: damaged: %s, behind %.4g s%s", name, "; ".join(what), self.where or 0.0, AGAIN)
        elif self.complaint:
            logger.warning("%s: damaged, and some of it may be left out (FFmpeg: %s)%s", name, self.complaint, AGAIN)


class _Sound:
    """A file that is being decoded.

    Args:
        blocks: float32 (n, n_channels).
        seconds: its length, where the header tells it.
        check: to be called at the end of the blocks; see `_Damage.tell`.
    """

    def __init__(
        self,
        rate: int,
        blocks: Iterator[np.ndarray],
        words: str,
        seconds: float | None,
        check: Callable[[str, int], None],
    ):
        self.rate, self.blocks, self.words, self.seconds, self.check = rate, blocks, words, seconds, check


@contextmanager
def _open_av(source: Source) -> Iterator[_Sound]:
    import av

    source.stream.seek(0)
    try:
        # Without a mode PyAV would take that of the stream's own file, and write into a temporary one.
        container = av.open(source.stream, "r", metadata_errors="ignore", options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, ValueError) as error:
        raise UnknownFormatError(_plain(error)) from None
    with container:
        if not container.streams.audio:
            raise UnknownFormatError("there is no sound in it")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise UnknownFormatError("FFmpeg has no decoder for its sound")
        form = container.format.name.split(",")[0]
        length = getattr(container, "duration", None) or 0
        is_told = form in _TELLING and len(container.streams) == 1 and length
        seconds = length / 1e6 if is_told else None
        if stream.codec_context.codec.canonical_name in _CHECKED:
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        damage = _Damage()
        frames = _without_lead(_av_frames(container, stream, damage), _forgotten(stream))
        rate, first = next(frames, (stream.rate or 1, None))
        words = f"{form}, {stream.codec_context.codec.canonical_name}"
        yield _Sound(rate, _of_one_rate(rate, first, frames), words, seconds, damage.tell)


def _of_one_rate(rate: int, first: np.ndarray | None, frames: Iterator[tuple[int, np.ndarray]]) -> Iterator[np.ndarray]:
    if first is not None:
        yield first
    for other, block in frames:
        if other != rate:
            raise DamagedError(f"its sampling rate changes from {rate} to {other} Hz within it; convert it to wav")
        yield block


def _av_frames(container: Any, stream: Any, damage: _Damage) -> Iterator[tuple[int, np.ndarray]]:
    """Rate and samples of each frame; a packet that cannot be decoded is passed over, as by the program, and noted."""
    import av

    packets, at, expected = container.demux(stream), 0.0, None
    while True:
        try:
            packet = next(packets, None)
        except av.error.InvalidDataError:
            damage.lose(at)
            continue
        except (av.error.FFmpegError, ValueError) as error:
            raise DamagedError(f"truncated or damaged: {_plain(error)}{AGAIN}") from None
        if packet is None:
            return
        damage.n_of += packet.size
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError):
            if (pause := _pause(packet, stream)) is not None:
                at, expected = at + 0.02, None if expected is None else expected + 0.02
                yield stream.rate, pause
            else:
                damage.lose(at, n_bytes=packet.size)
            continue
        for frame in frames:
            time = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
            if time is not None and expected is not None and time - expected > _JUMP:
                damage.lose(at, missing=time - expected)
            seconds = frame.samples / frame.sample_rate
            at, expected = at + seconds, None if time is None else time + seconds
            yield frame.sample_rate, _as_floats(frame)


def _pause(packet: Any, stream: Any) -> np.ndarray | None:
    """The silence that an AMR packet of the kind "comfort noise" stands for, which FFmpeg does not decode."""
    is_pause = stream.codec_context.codec.canonical_name in ("amr_nb", "amr_wb") and packet.size < 8
    return np.zeros((stream.rate // 50, 1), np.float32) if is_pause else None


def _forgotten(stream: Any) -> int:
    """Samples at the start that belong before it, but that FFmpeg 8 leaves there.

    It counts Opus' delay at the rate that the file names for the recording, and not at the 48 kHz of the codec.
    """
    codec = stream.codec_context
    head = codec.extradata or b""
    if codec.name not in ("opus", "libopus") or not head.startswith(b"OpusHead"):
        return 0
    delay = int.from_bytes(head[10:12], "little")
    return max(delay - getattr(codec, "delay", delay), 0)


def _without_lead(frames: Iterator[tuple[int, np.ndarray]], lead: int) -> Iterator[tuple[int, np.ndarray]]:
    for rate, samples in frames:
        yield rate, samples[lead:]
        lead = max(lead - len(samples), 0)


def _as_floats(frame: Any) -> np.ndarray:
    """A frame's samples, float32 (n, n_channels)."""
    n_channels = frame.layout.nb_channels
    if frame.format.name.startswith("s64"):  # which PyAV does not turn into arrays
        planes = [np.frombuffer(plane, "<i8") for plane in frame.planes]
        samples = np.stack([plane[: frame.samples * (n_channels if len(planes) == 1 else 1)] for plane in planes])
    else:
        samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, n_channels)
    name = frame.format.name.rstrip("p")
    if name == "u8":
        return ((samples.astype(np.float32) - 128) / 128).astype(np.float32)
    return np.ascontiguousarray(samples / _FLOAT.get(name, 1.0), dtype=np.float32)


def _plain(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def _open_program(source: Source) -> Iterator[_Sound]:
    with _path_of(source) as path, tempfile.TemporaryFile() as log:
        command = [shutil.which("ffmpeg") or "ffmpeg", "-hide_banner", "-nostats", "-nostdin", "-loglevel"]
        command += ["level+info", "-err_detect", "crccheck", "-protocol_whitelist", "file"]
        command += ["-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        try:
            assert process.stdout is not None
            header = _wav_header(process.stdout)
            if header is None:
                process.wait()
                raise UnknownFormatError(_last_line(log))
            rate, n_channels = header
            log.seek(0)
            output = log.read()

            def check(name: str, n_known: int) -> None:
                damage = _Damage()
                process.wait()
                damage.complaint = "" if n_known else _complaint(log)
                damage.tell(name, n_known)

            words = _container_and_codec(output)
            yield _Sound(rate, _floats_of(process.stdout, n_channels), words, _seconds(output), check)
        finally:
            process.kill()
            process.communicate()


@contextmanager
def _path_of(source: Source) -> Iterator[str]:
    """The file's absolute path; what has none, or is a part of a file, is copied to a temporary one."""
    if source.path is not None and source.path.stat().st_size == source.size:
        yield os.path.abspath(source.path)  # noqa: PTH100  a Path would follow links
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sound")  # noqa: PTH118
        source.stream.seek(0)
        with open(path, "wb") as copy:  # noqa: PTH123
            shutil.copyfileobj(source.stream, copy, 1 << 20)
        yield path


def _wav_header(stream: IO[bytes]) -> tuple[int, int] | None:
    """Rate and channels from the wav file that the program writes, up to its first sample; None for no such file."""
    if stream.read(12)[8:] != b"WAVE":
        return None
    rate = n_channels = 0
    while len(head := stream.read(8)) == 8:
        if head[:4] == b"data":
            return rate, n_channels
        content = stream.read(int.from_bytes(head[4:], "little"))
        if head[:4] == b"fmt ":
            n_channels, rate = int.from_bytes(content[2:4], "little"), int.from_bytes(content[4:8], "little")
    return None


def _floats_of(stream: IO[bytes], n_channels: int) -> Iterator[np.ndarray]:
    size = 4 * n_channels
    while data := stream.read(_BLOCK * size):
        data = data[: len(data) // size * size]
        yield np.frombuffer(data, "<f4").reshape(-1, n_channels).astype(np.float32)


def _seconds(output: bytes) -> float | None:
    """The length that the program read in the file's header."""
    form, duration = _INPUT.search(output), _DURATION.search(output)
    n_streams = output.split(b"Stream mapping")[0].count(b"  Stream #0:")
    if not form or not duration or n_streams != 1 or form[1].split(b",")[0].decode() not in _TELLING:
        return None
    hours, minutes, seconds = duration.groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _container_and_codec(output: bytes) -> str:
    form, codec = _INPUT.search(output), _CODEC.search(output)
    return ", ".join(found[1].split(b",")[0].decode() for found in (form, codec) if found)


def _complaint(log: io.BufferedRandom) -> str:
    """The first error that the program logged, or an empty string."""
    log.seek(0)
    lines = (line.decode("utf-8", "replace") for line in log)
    return next((line.partition("[error] ")[2].strip() for line in lines if "[error] " in line), "")


def _last_line(log: io.BufferedRandom) -> str:
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rpartition(": ")[2] if lines else "the ffmpeg program failed"
