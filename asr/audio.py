"""Audio files of any rate, channel count and format as float32 samples; a bad file is a clear error."""

import io
import logging
import math
import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import foreign
from .containers import problem
from .errors import AudioError

logger = logging.getLogger(__name__)

END_SLACK = 0.5  # s that a segment may reach past the end of its recording, as in Kaldi's extract-segments
_AGAIN = "; copy or download it again"
LOUDEST = 100.0  # float samples beyond this are on an integer scale, not in [-1, 1]
CANCELLED = 1e-3  # of the channels' power: with less in their mean, they are each other's negative
RATES = (1000, 1_000_000)  # Hz; a header that says less or more is damaged, and resampling it would take for ever


class Audio(NamedTuple):
    """Samples, float32 (n_samples,) in [-1, 1], and their rate in Hz."""

    samples: np.ndarray
    rate: int


def read(
    path: str | os.PathLike,
    rate: int | None = None,
    *,
    channel: str | int = "mix",
    start: float | None = None,
    end: float | None = None,
    min_duration: float = 0.0,
) -> Audio:
    """One channel of an audio file, or of a part of it.

    path: wav, aiff, au, caf, w64, rf64 with integers of 8 to 32 bits, floats, mu-law or A-law; flac, ogg (vorbis,
        opus), mp3, NIST sphere, or another format of libsndfile.
    rate: Hz to resample to; None keeps the file's own, which for opus is that of the recording it was made from.
    channel: "mix" for the mean of all channels, or the number of one, from 0. Channels of opposite phase cancel out
        in the mean: a warning is logged; take one of them.
    start, end: s; None is the file's start and end. `end` may lie up to 0.5 s behind the last sample.
    min_duration: s; less than this is an error.
    Returns Audio with at least one sample. Silence is not an error.
    Raises AudioError, naming the file and the reason: missing, not readable, empty, not audio, truncated, without
    samples, too short, samples that are not finite or on an integer scale, an impossible rate, no such channel or
    part. What only FFmpeg can read (m4a, mp4, webm, aac, wma, amr and the like) is named with the command that
    converts it.

    >>> read("no-such-file.wav")
    Traceback (most recent call last):
    asr.errors.AudioError: no-such-file.wav: no such file
    """
    _check_file(path)
    samples, own_rate = _decoded(path, start, end)
    if len(samples) == 0:
        raise AudioError(f"{path}: holds no samples (zero length)")
    if len(samples) < min_duration * own_rate:
        raise AudioError(f"{path}: too short: {len(samples) / own_rate:.4g} s; need {min_duration:g} s or more")
    mono = _one_channel(samples, channel, path)
    bad = np.flatnonzero(~np.isfinite(mono))
    if len(bad):
        where = (start or 0.0) + bad[0] / own_rate
        raise AudioError(
            f"{path}: {len(bad)} samples are NaN or infinite, the first at {where:.3f} s; make the file again"
        )
    if (loudest := _peak(mono)) > LOUDEST:
        raise AudioError(f"{path}: floats up to {loudest:g}; need [-1, 1]: divide by the full scale, or write integers")
    if rate is not None and rate != own_rate:
        return Audio(resample(mono, own_rate, rate), rate)
    return Audio(mono, own_rate)


def undecodable(path: str | os.PathLike) -> str | None:
    """The message with which `read` would refuse the format of this file, or None; nothing is decoded.

    It names the file, what it is by its content, and the command that converts it. A file that is missing, that
    cannot be opened, or that is damaged gives None: `read` says more.
    """
    try:
        reason = foreign.reason(path) if Path(path).is_file() else None
    except (OSError, ValueError):
        return None
    return f"{path}: {reason}" if reason else None


def resample(samples: np.ndarray, rate: float, new_rate: float) -> np.ndarray:
    """The signal at another sampling rate, float32 (about n_samples * new_rate / rate,).

    samples: float32 (n_samples,); rate, new_rate: Hz, more than 0.
    Raises ValueError for an impossible rate.
    """
    if not (rate > 0 and new_rate > 0):
        raise ValueError(f"rate={rate!r}, new_rate={new_rate!r}; need both in Hz and more than 0")
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if rate == new_rate or len(samples) == 0:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate, new_rate, quality="HQ"), dtype=np.float32)


def check_samples(array: Any, *, channel: str | int = "mix", where: str = "samples") -> np.ndarray:
    """Samples given from Python as float32 (n_samples,) in [-1, 1].

    array: (n_samples,) or (n_samples, n_channels), as soundfile and scipy read them. Floats are taken as they are;
        8-, 16- and 32-bit integers are divided by their full scale.
    channel: "mix" or the number of one, from 0.
    where: what to call the array in messages.
    Raises AudioError for another shape or type, no samples, values that are not finite or floats far beyond [-1, 1].

    >>> check_samples(np.array([0, 16384, -32768], dtype=np.int16))
    array([ 0. ,  0.5, -1. ], dtype=float32)
    """
    try:
        samples = np.asarray(array)
    except ValueError as error:
        raise AudioError(f"{where}: not an array of numbers ({error})") from None
    if samples.ndim not in (1, 2):
        raise AudioError(f"{where}: shape {samples.shape}; need (n_samples,) or (n_samples, n_channels)")
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        raise AudioError(
            f"{where}: shape {samples.shape} looks like channels first; need (n_samples, n_channels): pass array.T"
        )
    if samples.size == 0:
        raise AudioError(f"{where}: no samples (shape {samples.shape})")
    samples = _unit_scaled(samples, where)
    mono = _one_channel(samples if samples.ndim == 2 else samples[:, None], channel, where)
    if not np.isfinite(mono).all():
        bad = np.flatnonzero(~np.isfinite(mono))
        first = f"the first is sample {bad[0]}"
        raise AudioError(f"{where}: {len(bad)} of {len(mono)} samples are NaN or infinite, {first}")
    if (loudest := _peak(mono)) > LOUDEST:
        raise AudioError(f"{where}: floats up to {loudest:g}; need [-1, 1]: divide by the full scale, or pass int16")
    return mono


def _unit_scaled(samples: np.ndarray, where: str) -> np.ndarray:
    """Samples as float32; integers of a known full scale divided by it."""
    kind, bits = samples.dtype.kind, 8 * samples.dtype.itemsize
    if kind == "f":
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    if kind not in "iu" or bits > 32:
        hint = "; it has no known full scale" if kind in "iu" else ""
        raise AudioError(f"{where}: type {samples.dtype}{hint}; need floats in [-1, 1] or 8-, 16- or 32-bit integers")
    half = 2.0 ** (bits - 1)
    return ((samples - (half if kind == "u" else 0.0)) / half).astype(np.float32)


def _one_channel(samples: np.ndarray, channel: str | int, where: str | os.PathLike) -> np.ndarray:
    """(n_samples, n_channels) -> contiguous float32 (n_samples,)."""
    n_channels = samples.shape[1]
    if channel == "mix":
        if n_channels == 1:
            return np.ascontiguousarray(samples[:, 0])
        mean = samples.mean(axis=1, dtype=np.float32)
        if np.vdot(mean, mean) < CANCELLED * np.vdot(samples, samples) / n_channels:
            logger.warning("%s: its channels cancel each other out (opposite phase); take one: channel=0", where)
        return mean
    if isinstance(channel, str) or not 0 <= channel < n_channels:
        raise AudioError(f"{where}: has no channel {channel!r}; need 'mix' or 0 to {n_channels - 1}")
    return samples[:, channel].copy()


def _peak(samples: np.ndarray) -> float:
    """The largest absolute value, without a second array as long as the recording."""
    return max(float(samples.max()), -float(samples.min()))


def _check_file(path: str | os.PathLike) -> None:
    """Raise AudioError unless `path` is a regular file with something in it that may be read, and whole."""
    if not os.fspath(path):
        raise AudioError("an empty file name was given; need an audio file")
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise AudioError(f"{path}: is a folder; need an audio file")
        if not stat.S_ISREG(status.st_mode):
            raise AudioError(f"{path}: is a pipe or device; need a regular file")
        if status.st_size == 0:
            raise AudioError(f"{path}: empty (0 bytes)")
        reason = foreign.reason(path) or problem(path)
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file") from None
    except PermissionError:
        raise AudioError(f"{path}: no permission to read it") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{path}: cannot be read ({error})") from error
    if reason:
        raise AudioError(f"{path}: {reason}{_AGAIN if reason.startswith('truncated') else ''}")


def _decoded(path: str | os.PathLike, start: float | None, end: float | None) -> tuple[np.ndarray, int]:
    """The samples from start to end, float32 (n_samples, n_channels), and the rate in Hz."""
    import soundfile

    name = os.fspath(path) if os.name == "nt" else os.fsencode(path)  # any bytes are a name but on Windows
    try:
        # soundfile would take a `.raw` for headerless, whatever it holds; headerless ones do not come here.
        is_raw = Path(path).suffix.lower() == ".raw"
        stream = soundfile.SoundFile(io.BytesIO(Path(path).read_bytes()) if is_raw else name)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            f"{path}: not audio, or of a format that cannot be read ({_cause(error)}); if it plays elsewhere, "
            f"convert it: {foreign.ffmpeg_line(path)}"
        ) from None
    with stream:
        rate, promised = stream.samplerate, stream.frames
        if not RATES[0] <= rate <= RATES[1]:
            raise AudioError(f"{path}: its header says {rate} Hz; need {RATES[0]} to {RATES[1]}: damaged, or not sound")
        first, last = _part(path, start, end, promised, rate)
        try:
            if first:
                stream.seek(first)
            samples = stream.read(last - first, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise AudioError(f"{path}: truncated or damaged: {_cause(error)}{_AGAIN}") from None
    if len(samples) < last - first:
        found = (first + len(samples)) / rate
        message = f"the header promises {promised / rate:.4g} s, the samples end at {found:.4g} s"
        raise AudioError(f"{path}: truncated: {message}{_AGAIN}")
    return samples, rate


def _cause(error: Exception) -> str:
    """What libsndfile says, shortened; its MPEG reader takes all that it does not know for a missing file."""
    text = getattr(error, "error_string", str(error)).strip().removeprefix("Error :").strip().rstrip(".")
    return "format not recognised" if "does not exist" in text else text


def _part(path: str | os.PathLike, start: float | None, end: float | None, n: int, rate: int) -> tuple[int, int]:
    """The first sample and the one after the last of start to end in s; n: samples in the file."""
    part = f"part {start or 0.0:g} s to {'the end' if end is None else f'{end:g} s'}"
    if not all(math.isfinite(time) for time in (start, end) if time is not None):
        raise AudioError(f"{path}: {part}; need numbers of seconds")
    first = 0 if start is None else round(start * rate)
    last = n if end is None else round(end * rate)
    if start is None and end is None:
        return 0, n
    if first >= n or last > n + END_SLACK * rate:
        raise AudioError(f"{path}: {part} lies beyond the end at {n / rate:.4g} s")
    if first < 0 or last <= first:
        raise AudioError(f"{path}: {part} is empty or begins before 0; need 0 <= start < end")
    return first, min(last, n)
