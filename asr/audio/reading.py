"""Recordings as samples: whole, a stretch, piece by piece; and what their headers say."""

import logging
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr
from ..errors import AudioError
from .part import Part
from .parts import parts_of
from .samples import LOUDEST, RATES, Mixer, check_rate, peak, resample, resampled
from .source import Sound, Source, opened

logger = logging.getLogger(__name__)

_TOLD = 0.05  # s: where bytes were cut out, what is left of them does not tell how long they were
END_SLACK = 0.5  # s that a segment may reach past the end of its recording, as in Kaldi's extract-segments


class Audio(NamedTuple):
    """Samples, float32 (n_samples,) in [-1, 1], and their rate in Hz."""

    samples: np.ndarray
    rate: int

    def __repr__(self) -> str:
        return brief_repr(self)


class AudioInfo(NamedTuple):
    """What a recording's headers say, of all parts of a joined one together.

    Attributes:
        rate: Hz.
        duration_seconds: None where only decoding tells (of what FFmpeg decodes, it is the header's, and rough).
        format: container and codec in words.
    """

    rate: int
    n_channels: int
    duration_seconds: float | None
    format: str


def read(
    source: Sound,
    rate: int | None = None,
    *,
    channel: str | int = "mix",
    start: float | None = None,
    end: float | None = None,
    min_duration: float = 0.0,
) -> Audio:
    """One channel of a recording, or of a stretch of it.

    Args:
        source: a path, bytes, or a binary stream, which is read to its end (standard input: sys.stdin.buffer). wav,
            aiff, au, caf, w64, rf64 with integers of 8 to 32 bits, floats, mu-law or A-law; flac, ogg (vorbis, opus),
            mp3, NIST sphere, or another format of libsndfile; and where PyAV or the ffmpeg program is there, all that
            it reads. Joined recordings (`cat a.mp3 b.wav`) are one; a later part of another rate is resampled to the
            first's. Bytes that are no sound, but for tags and zeros, are named in a warning that is logged.
        rate: Hz to resample to; None keeps the file's own, which for opus is that of the recording it was made from.
        channel: "mix" for the mean of all channels, or the number of one, from 0. Channels of opposite phase cancel out
            in the mean: a warning is logged; take one of them.
        start: s; None is the file's start and end. `end` may lie up to 0.5 s behind the last sample.
        end: see `start`.
        min_duration: s; less than this is an error.

    Returns:
        Audio with at least one sample. Silence is not an error. A stretch is that of the whole, to the sample.

    Raises:
        AudioError: naming the file and the reason: missing, not readable, empty, not audio, truncated, without samples,
            too short, samples that are not finite or on an integer scale, an impossible rate, no such channel or part.
            What only FFmpeg can read (m4a, mp4, webm, aac, wma, amr and the like) is named with the command that
            converts it.

    Examples:
        >>> read("no-such-file.wav")
        Traceback (most recent call last):
        asr.errors.AudioError: no-such-file.wav: no such file
    """
    if rate is not None:
        check_rate(rate, where="resampled samples")
    with _recording(source) as recording:
        own_rate, mono = recording.rate, recording.stretch(channel, start, end, min_duration)
    if rate is not None and rate != own_rate:
        return Audio(resample(mono, own_rate, rate), rate)
    return Audio(mono, own_rate)


def blocks(
    source: Sound,
    rate: int | None = None,
    *,
    channel: str | int = "mix",
    seconds: float = 30.0,
    start: float | None = None,
    end: float | None = None,
) -> Iterator[np.ndarray]:
    """The samples of `read`, piece by piece: float32 (n,), all but the last of `seconds`.

    Joined, they equal those of `read` to the bit, resampled or not. Memory holds about two pieces, whatever the
    length of the recording (a stream, which is not a path, is kept in a temporary file).

    Args:
        source: as for `read`.
        rate: as for `read`.
        channel: as for `read`.
        start: as for `read`.
        end: as for `read`.
        seconds: more than 0.

    Raises:
        AudioError: as `read` does, for what is damaged when it comes to it.
    """
    if not seconds > 0:
        raise ValueError(f"seconds={seconds!r}; need more than 0")
    if rate is not None:
        check_rate(rate, where="resampled samples")
    with _recording(source) as recording:
        own_rate, at = recording.rate, start or 0.0

        def checked() -> Iterator[np.ndarray]:
            nonlocal at
            for piece in recording.mono(channel, start, end):
                _check_values(piece, at, own_rate, recording.name)
                yield piece
                at += len(piece) / own_rate

        new_rate = own_rate if rate is None else rate
        yield from _of_size(resampled(checked(), own_rate, new_rate), max(round(seconds * new_rate), 1))


def describe(source: Sound) -> AudioInfo:
    """What a recording's headers say; its samples are not decoded.

    Raises:
        AudioError: as `read` does.
    """
    with _recording(source) as recording:
        n = recording.n_samples
        duration = recording.parts[0].seconds if n is None else n / recording.rate
        return AudioInfo(recording.rate, recording.n_channels, duration, recording.words)


def undecodable(path: str | os.PathLike) -> str | None:
    """The message with which `read` would refuse the format of this file, or None; nothing is decoded.

    It names the file, what it is by its content, and the command that converts it. A file that is missing, that
    cannot be opened, or that is damaged gives None: `read` says more.
    """
    try:
        from .foreign import refusal

        reason = refusal(path) if Path(path).is_file() else None
    except (OSError, ValueError):
        return None
    return f"{path}: {reason}" if reason else None


class _Recording:
    """The parts of a file as one signal, with the first one's rate and channels."""

    def __init__(self, source: Source, parts: list[Part]):
        self.name, self.parts = source.name, parts
        self.rate, self.n_channels = parts[0].rate, parts[0].n_channels
        self._ends: list[int] = []  # of the parts decoded so far, samples at this rate
        lengths = [part.n_samples if part.rate == self.rate else None for part in parts]
        self.n_samples = None if None in lengths else sum(lengths)  # type: ignore[arg-type]
        joined = f"; {len(parts)} joined" if len(parts) > 1 else ""
        n_unread = sum(n_bytes for part in parts for _, n_bytes in part.unread)
        unread = f"; {n_unread} bytes of it are not read" if n_unread else ""
        self.words = parts[0].words + joined + unread

    def stretch(self, channel: str | int, start: float | None, end: float | None, min_duration: float) -> np.ndarray:
        """One channel from start to end in s, float32 (n,), in one piece.

        Args:
            min_duration: s.

        Raises:
            AudioError: as of `mono`, and for less than min_duration, or values that cannot be.
        """
        pieces = list(self.mono(channel, start, end))
        mono = np.concatenate(pieces) if len(pieces) != 1 else pieces[0]
        if len(mono) < min_duration * self.rate:
            raise AudioError(f"too short: {len(mono) / self.rate:.4g} s; need {min_duration:g} s or more")
        _check_values(mono, start or 0.0, self.rate, self.name)
        return mono

    def mono(self, channel: str | int, start: float | None, end: float | None) -> Iterator[np.ndarray]:
        """Consecutive pieces, float32 (n,), of one channel from start to end in s; at least one sample in all.

        Raises:
            AudioError: without the name.
        """
        first, last = _stretch(start, end, self.n_samples, self.rate)
        mixer, count = Mixer(channel, self.name), 0
        for block in self._blocks(first, last):
            if len(block):
                count += len(block)
                yield mixer(block)
        if last is None or last == self.n_samples:
            self._warn()
        if count == 0 and first == 0:
            raise AudioError("holds no samples (zero length)")
        if count == 0 or (last is not None and count < last - first - END_SLACK * self.rate):
            found = f"at {(first + count) / self.rate:.4g} s" if count else "of the recording"
            raise AudioError(f"{_place_in_words(start, end)} lies beyond the end {found}")
        mixer.finish()

    def _blocks(self, first: int, last: int | None) -> Iterator[np.ndarray]:
        """The samples first to last of all parts, float32 (n, self.n_channels)."""
        at = 0  # where the part begins
        self._ends.clear()
        for part in self.parts:
            if last is not None and at >= last:
                return
            if part.rate == self.rate and part.n_samples is not None and at + part.n_samples <= first:
                at += part.n_samples
                self._ends.append(at)
                continue
            lower, upper = max(first - at, 0), None if last is None else last - at
            if part.rate == self.rate:
                pieces = part.decode(lower, upper)
            else:
                pieces = _stretch_of(resampled(part.decode(0, None), part.rate, self.rate), lower, upper)
            length = lower
            for block in pieces:
                yield _with_channels(block, self.n_channels)
                length += len(block)
            at += length
            self._ends.append(at)

    def _warn(self) -> None:
        """Say what lies in the file and is not read."""
        gaps: list[tuple[float, int]] = []
        begin, missing = 0, 0.0
        for part, end in zip(self.parts, self._ends, strict=False):
            for seconds, n_bytes in part.unread:
                gaps.append((end / self.rate if seconds is None else begin / self.rate + seconds, n_bytes))
                if seconds is not None and part.bytes_per_second:
                    missing += n_bytes / part.bytes_per_second
            begin = end
        if gaps:
            n_bytes = sum(n_bytes for _, n_bytes in gaps)
            where = ", ".join(f"{seconds:.4g} s" for seconds, _ in gaps[:3]) + " and so on" * (len(gaps) > 3)
            lost = f"; about {missing:.2g} s are missing there" if missing >= _TOLD else ""
            logger.warning("%s: %d bytes behind %s are not read: no sound that is known%s", self.name, n_bytes, where,
                           lost)  # fmt: skip


def _stretch_of(pieces: Iterable[np.ndarray], first: int, last: int | None) -> Iterator[np.ndarray]:
    """The samples first to last of consecutive pieces."""
    at = 0
    for piece in pieces:
        yield piece[max(first - at, 0) : None if last is None else max(last - at, 0)]
        at += len(piece)


def _with_channels(block: np.ndarray, n_channels: int) -> np.ndarray:
    """The block with as many channels as the first part has: each the mean of those that are there."""
    if block.shape[1] == n_channels:
        return block
    return np.repeat(block.mean(axis=1, keepdims=True, dtype=np.float32), n_channels, axis=1)


def _of_size(pieces: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same samples in pieces of `size`, but for the last."""
    kept: list[np.ndarray] = []
    n_kept = 0
    for piece in pieces:
        while n_kept + len(piece) >= size:
            yield np.concatenate([*kept, piece[: size - n_kept]])
            piece, kept, n_kept = piece[size - n_kept :], [], 0
        kept.append(piece)
        n_kept += len(piece)
    if n_kept:
        yield np.concatenate(kept)


def _check_values(mono: np.ndarray, start: float, rate: int, name: str) -> None:
    """Raise AudioError for samples that no recording has."""
    bad = np.flatnonzero(~np.isfinite(mono))
    if len(bad):
        where = start + bad[0] / rate
        raise AudioError(
            f"{name}: {len(bad)} samples are NaN or infinite, the first at {where:.3f} s; make the file again"
        )
    if len(mono) and (loudest := peak(mono)) > LOUDEST:
        raise AudioError(f"{name}: floats up to {loudest:g}; need [-1, 1]: divide by the full scale, or write integers")


@contextmanager
def _recording(sound: Sound) -> Iterator[_Recording]:
    """The recording, open; what goes wrong meanwhile gets its name in front."""
    with opened(sound) as source:
        try:
            recording = _Recording(source, parts_of(source))
            if not RATES[0] <= recording.rate <= RATES[1]:
                complaint = f"its header says {recording.rate} Hz; need {RATES[0]} to {RATES[1]}"
                raise AudioError(f"{complaint}: damaged, or not sound")
            yield recording
        except AudioError as error:
            message = str(error)
            raise AudioError(
                message if message.startswith(f"{source.name}: ") else f"{source.name}: {message}"
            ) from None
        except MemoryError:
            raise AudioError(f"{source.name}: too long for the memory of this machine; read it in parts") from None
        except OSError as error:
            raise AudioError(f"{source.name}: cannot be read ({error})") from error


def _place_in_words(start: float | None, end: float | None) -> str:
    return f"part {start or 0.0:g} s to {'the end' if end is None else f'{end:g} s'}"


def _stretch(start: float | None, end: float | None, n: int | None, rate: int) -> tuple[int, int | None]:
    """The first sample and the one after the last of start to end in s.

    Args:
        n: samples in the recording, if known.
    """
    place = _place_in_words(start, end)
    if not all(math.isfinite(time) for time in (start, end) if time is not None):
        raise AudioError(f"{place}; need numbers of seconds")
    first = 0 if start is None else round(start * rate)
    last = n if end is None else round(end * rate)
    if start is None and end is None:
        return 0, n
    if n is not None and (first >= n or (last is not None and last > n + END_SLACK * rate)):
        raise AudioError(f"{place} lies beyond the end at {n / rate:.4g} s")
    if first < 0 or (last is not None and last <= first):
        raise AudioError(f"{place} is empty or begins before 0; need 0 <= start < end")
    return first, last if n is None or last is None else min(last, n)
