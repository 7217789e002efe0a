"""Where somebody speaks, and where a long recording can be cut: in the pauses. From energies alone; needs numpy only.

A frame's level is how far its energy lies above the background's, in dB, averaged over bands of frequency. The
background of each band is what the band rarely falls below in the last seconds, so a hum, which fills few bands and
stays, raises the floor of these alone; the offset of a microphone lies below the lowest band. Frames of digital silence
(muted, gated, padded) are no speech, and count for no background: beside them all of a room's noise would be loud. Nor
is the background taken to be further below the loudest frames than a room's is.

Everything works on a signal that is still arriving, and what comes out does not depend on how it was cut into blocks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr
from . import check_rate

_FLOOR_DB = -140.0  # of the energy in a bin, re full scale; the rounding to 16 bits lies at about -120
_LOUD = 0.95  # of the frames are below the loudest: a click, or a door, is shorter
_CHUNK = 1.0  # s decided on at once, which makes the result independent of the blocks


@dataclass(frozen=True)
class VoiceOptions:
    """How speech is told from the background."""

    frame_shift: float = 0.01  # s; pauses between words begin and end on this grid
    frame_length: float = 0.032  # s; long enough to tell the lowest band from an offset
    lowest: float = 150.0  # Hz; below are rumble, the mains and little speech
    highest: float = 4000.0  # Hz; above, fricatives alone are loud
    n_bands: int = 10  # a hum or a whistle fills one or two
    memory: float = 15.0  # s of background in the estimate: a breath or two; longer takes longer to forget a fan
    rank: float = 0.1  # of a band's energies are below the background: pauses are that frequent, between syllables too
    smoothing: float = 0.07  # s: a stop consonant's closure is no pause
    least_db: float = 5.0  # above the background: noise alone hardly gets there
    share: float = 0.35  # of the loudest frames' level: speech is at least this far up
    range_db: float = 50.0  # what lies further below the loudest frames is background, whatever is below it

    def __post_init__(self) -> None:
        if not 0 < self.frame_shift <= self.frame_length:
            raise ValueError(f"frame_shift={self.frame_shift}, frame_length={self.frame_length}; need 0 < shift <= it")
        if not 0 < self.lowest < self.highest or self.n_bands < 1:
            raise ValueError(f"{self.n_bands} bands from {self.lowest:g} to {self.highest:g} Hz; need one, upwards")
        if not (self.memory >= _CHUNK and 0 <= self.rank < 1 and self.smoothing >= 0):
            raise ValueError(f"memory={self.memory}, rank={self.rank}; need {_CHUNK:g} s or more, and 0 <= rank < 1")


class Activity(NamedTuple):
    """Frames, one after the other; frame t is that of the samples around (t + 1/2) frame shifts.

    Attributes:
        level: float32 (n_frames,), dB above the background; 0 in digital silence.
        speech: bool (n_frames,).
    """

    level: np.ndarray
    speech: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


class VoiceActivity:
    """Tells speech from pauses in a signal that is fed in pieces of any size.

    Args:
        rate: Hz, 1000 or more.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> noise = 1e-3 * rng.standard_normal(48000).astype(np.float32)
        >>> noise[16000:24000] += 0.3 * rng.standard_normal(8000).astype(np.float32)   # loud from 1 s to 1.5 s
        >>> activity = voice_activity(noise, 16000)
        >>> edges = np.flatnonzero(np.diff(activity.speech)) + 1
        >>> (edges * 0.01).round(1).tolist()
        [1.0, 1.5]
    """

    def __init__(self, rate: float, options: VoiceOptions | None = None) -> None:
        self.options = o = options or VoiceOptions()
        check_rate(rate)
        self.shift = max(1, round(o.frame_shift * rate))
        self._size = max(self.shift, round(o.frame_length * rate))
        n_fft = 1 << (self._size - 1).bit_length()
        self._window = np.hanning(self._size + 2)[1:-1].astype(np.float32)
        self._n_fft, self._bands = n_fft, _bands(rate, n_fft, o)
        self._scale = 2.0 / (n_fft * float(np.square(self._window).sum()))
        self._chunk = max(1, round(_CHUNK / o.frame_shift))  # frames
        before = (self._size - self.shift) // 2  # so that a frame's middle is that of its shift
        self._kept = np.zeros(before, np.float32)
        self._is_first, self._ended = True, False
        n_kept = max(1, round(o.memory / o.frame_shift))
        self._history = np.zeros((0, len(self._bands) - 1), np.float32)  # energies of the last frames, dB
        self._n_history = n_kept
        self._levels = np.zeros(0, np.float32)  # of the last frames, for the loudest
        self._n_smooth = max(0, round(o.smoothing / o.frame_shift) - 1) // 2

    def accept(self, samples: np.ndarray) -> list[Activity]:
        """The seconds that are complete with these samples, each for itself; frames are late by up to a second.

        Args:
            samples: floats (n_samples,) in [-1, 1], those after the last ones.
        """
        if self._ended:
            raise ValueError("this signal has been flushed; start another VoiceActivity for another one")
        samples = np.asarray(samples, np.float32)
        if self._is_first and len(samples):
            self._kept[:] = samples[0]  # as if the recording had always been there: no step, no click
            self._is_first = False
        self._kept = np.concatenate([self._kept, samples])
        decided, step = [], self._chunk * self.shift
        while len(self._kept) >= step + self._size - self.shift:
            decided.append(self._decided(self._kept[: step + self._size - self.shift]))
            self._kept = self._kept[step:]
        return decided

    def flush(self) -> Activity:
        """What is left when the signal has ended: fewer frames than a second has, perhaps none."""
        if self._ended:
            raise ValueError("this signal has been flushed already")
        self._ended = True
        before = (self._size - self.shift) // 2
        n_frames = 0 if self._is_first else max(0, (len(self._kept) - before) // self.shift)
        if not n_frames:
            return Activity(np.zeros(0, np.float32), np.zeros(0, bool))
        needed = (n_frames - 1) * self.shift + self._size
        return self._decided(np.pad(self._kept, (0, max(0, needed - len(self._kept))), mode="edge")[:needed])

    def _decided(self, samples: np.ndarray) -> Activity:
        """The frames of some samples, with what came before."""
        o = self.options
        frames = np.lib.stride_tricks.sliding_window_view(samples, self._size)[:: self.shift]
        is_silent = frames.max(axis=1) == frames.min(axis=1)
        power = np.abs(np.fft.rfft(frames * self._window, self._n_fft)) ** 2 * self._scale
        energy = np.add.reduceat(power, self._bands[:-1], axis=1) / np.diff(self._bands)
        decibels = 10 * np.log10(np.maximum(energy, 10 ** (_FLOOR_DB / 10))).astype(np.float32)
        self._history = np.concatenate([self._history, decibels[~is_silent]])[-self._n_history :]
        if not len(self._history):
            return Activity(np.zeros(len(frames), np.float32), np.zeros(len(frames), bool))
        low, high = int(o.rank * len(self._history)), int(_LOUD * len(self._history))
        ordered = np.partition(self._history, (low, high), axis=0)
        background = np.maximum(ordered[low], ordered[high] - o.range_db)
        level = np.maximum(decibels - background, 0.0).mean(axis=1).astype(np.float32)
        level[is_silent] = 0.0
        level = _smoothed(level, self._n_smooth)
        self._levels = np.concatenate([self._levels, level[~is_silent]])[-self._n_history :]
        loudest = np.quantile(self._levels, _LOUD) if len(self._levels) else 0.0
        threshold = max(o.least_db, o.share * float(loudest))
        return Activity(level, (level > threshold) & ~is_silent)


def voice_activity(samples: np.ndarray, rate: float, options: VoiceOptions | None = None) -> Activity:
    """The frames of a whole signal.

    Args:
        samples: floats (n_samples,) in [-1, 1].
        rate: Hz. See VoiceActivity.
    """
    measure = VoiceActivity(rate, options)
    parts = [*measure.accept(samples), measure.flush()]
    return Activity(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True)
class CutOptions:
    """Where a long recording is cut. The longer a piece is already, the shorter a pause will do."""

    shortest: float = 4.0  # s; what is said in fewer has too little context for a language model
    longest: float = 25.0  # s; a piece is shown when it is over, and its search takes memory
    long_pause: float = 1.0  # s; after `shortest`, only such a pause, which ends sentences
    short_pause: float = 0.15  # s; just before `longest`, also one between two words
    keep: float = 0.5  # s of a pause that the piece before it keeps at most
    rest: float = 0.3  # s that must follow a cut: no piece is shorter

    def __post_init__(self) -> None:
        if not 0 < self.shortest < self.longest or not 0 < self.short_pause <= self.long_pause:
            raise ValueError(
                f"shortest={self.shortest}, longest={self.longest}, short_pause={self.short_pause}, "
                f"long_pause={self.long_pause}; need 0 < shortest < longest and 0 < short_pause <= long_pause"
            )
        if not (self.keep > 0 and self.longest / 2 > self.rest >= 0):
            raise ValueError(f"keep={self.keep}, rest={self.rest}; need keep > 0 and 0 <= rest < longest / 2")


class Piece(NamedTuple):
    """A part of a signal: its first sample's number, and its samples, float32 (n_samples,)."""

    start: int
    samples: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


def cut_at_pauses(
    blocks: Iterable[np.ndarray],
    rate: float,
    options: CutOptions | None = None,
    *,
    voice: VoiceOptions | None = None,
) -> Iterator[Piece]:
    """The pieces of a long signal, in order; together they are all of it.

    Each piece comes when its end is known; no more than a piece, a second and a block is held in memory. Where there is
    no pause the cut is in the quietest place of the piece's second half.

    Args:
        blocks: the signal in blocks of any size, floats (n_samples,) in [-1, 1].
        rate: Hz.
    """
    cutter = PauseCutter(rate, options, voice=voice)
    for block in blocks:
        yield from cutter.accept(block)
    yield from cutter.flush()


class PauseCutter:
    """`cut_at_pauses` for a signal that is fed in blocks."""

    def __init__(self, rate: float, options: CutOptions | None = None, *, voice: VoiceOptions | None = None) -> None:
        self.options = options or CutOptions()
        self._measure = VoiceActivity(rate, voice)
        self._shift, self._per_second = self._measure.shift, rate / self._measure.shift
        self._start = 0  # of the piece, in samples
        self._samples: list[np.ndarray] = []
        self._level, self._speech = np.zeros(0, np.float32), np.zeros(0, bool)  # from the piece's start on

    def accept(self, samples: np.ndarray) -> list[Piece]:
        """The pieces that are complete with these samples."""
        self._samples.append(np.asarray(samples, np.float32))
        pieces = []
        for second in self._measure.accept(samples):
            self._level = np.concatenate([self._level, second.level])
            self._speech = np.concatenate([self._speech, second.speech])
            while (cut := self._cut()) is not None:
                pieces.append(self._taken(cut))
        return pieces

    def flush(self) -> list[Piece]:
        """The last piece, if there is one."""
        rest = np.concatenate(self._samples) if self._samples else np.zeros(0, np.float32)
        self._samples = []
        return [Piece(self._start, rest)] if len(rest) else []

    def _taken(self, cut: int) -> Piece:
        """The piece that ends before a frame; the next one begins there."""
        held, n = np.concatenate(self._samples), cut * self._shift
        piece = Piece(self._start, held[:n].copy())
        self._samples, self._start = [held[n:].copy()], self._start + n
        self._level, self._speech = self._level[cut:], self._speech[cut:]
        return piece

    def _cut(self) -> int | None:
        """The frame to cut before, or None while there is none."""
        o, frames = self.options, self._per_second
        last = len(self._speech) - int(o.rest * frames)  # what must follow a cut is there
        edges = np.flatnonzero(np.diff(self._speech, prepend=True, append=True))
        for begin, end in edges.reshape(-1, 2) if len(edges) else ():
            middle = begin + int(min((end - begin) / 2, o.keep * frames))
            at = min(max((middle / frames - o.shortest) / (o.longest - o.shortest), 0.0), 1.0)
            needed = o.long_pause + at * (o.short_pause - o.long_pause)
            fits = o.shortest * frames <= middle <= min(last, o.longest * frames)
            if fits and end - begin >= needed * frames and self._speech[:begin].any():
                return int(middle)
        longest = int(o.longest * frames)
        if last < longest:
            return None
        half = longest // 2
        return half + int(np.argmin(self._level[half:longest]))


def _bands(rate: float, n_fft: int, o: VoiceOptions) -> np.ndarray:
    """The first bin of each band, and the one after the last."""
    highest = min(o.highest, 0.48 * rate)
    edges = np.geomspace(min(o.lowest, highest / 2), highest, o.n_bands + 1)
    return np.unique(np.round(edges * n_fft / rate).astype(int).clip(1, n_fft // 2))


def _smoothed(level: np.ndarray, n: int) -> np.ndarray:
    """The mean of each frame and up to n on both sides."""
    if not n or not len(level):
        return level
    sums = np.concatenate([np.zeros(1), np.cumsum(level, dtype=np.float64)])
    first, last = np.arange(len(level)) - n, np.arange(len(level)) + n + 1
    first, last = first.clip(0), last.clip(max=len(level))
    return ((sums[last] - sums[first]) / (last - first)).astype(np.float32)
