"""Features of a signal that is still arriving: bit for bit those of the whole signal, however it is cut.

>>> stream = StreamingFrontEnd("mfcc", 16000)
>>> [len(stream.accept(np.zeros(n, dtype=np.float32))) for n in (100, 300, 320)], len(stream.flush())
([0, 1, 2], 0)
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from ..audio import as_rate
from ..options import field_names, known_names, with_keywords
from .deltas import as_matrix, delta, splice
from .frames import BLOCK_ROWS, INT16_SCALE, Framing, mirrored, one_channel
from .front_ends import FRONT_ENDS, front_end
from .normalization import CausalCmvn
from .options import FrameOptions
from .silence import equal_rows, silent_frames, with_pauses

_NAMES = frozenset(name for kind in FRONT_ENDS.values() if kind.streams for name in field_names(kind.options))


class Stage(Protocol):
    """What takes pieces of one thing in order and gives what is ready of another."""

    def accept(self, piece: np.ndarray, /) -> np.ndarray: ...

    def flush(self) -> np.ndarray: ...


class StreamingFrontEnd:
    """A front-end that is fed with pieces of a signal.

    The frames from `accept` and, last, from `flush`, one after the other, equal bit for bit those of the front-end's
    function on the whole signal. A frame comes as soon as its last sample is there; with snip_edges=False those that
    need the mirrored end come from `flush`. A signal shorter than a frame gives no frames instead of an error. Each
    call that gives frames costs as much as BLOCK_ROWS frames, so pieces of 10 ms cost more than pieces of 100 ms.

    Args:
        kind: "mfcc", "fbank", "lpc", "lpcc" or "reflection_coefficients".
        rate: Hz.
        options: all settings at once, as in the function of that name; those given by name replace single ones.
        seed: as in that function.
        vtln_warp: as in that function.
        silence: float32 (dim,), what stands for a frame of digital silence (asr.features.silence); None: its own
            features.

    All others are as in the function of that name; those that it does not have are no options here either, and None is
    its own default.

    Raises:
        ValueError: for an unknown kind, one that needs a whole recording, or an impossible value.
        TypeError: for an unknown name.
    """

    @known_names
    def __init__(
        self,
        kind: str,
        rate: float,
        *,
        options: FrameOptions | None = None,
        seed: int = 0,
        vtln_warp: float = 1.0,
        silence: np.ndarray | None = None,
        frame_length: float | None = None,
        frame_shift: float | None = None,
        snip_edges: bool | None = None,
        dither: float | None = None,
        preemphasis_coefficient: float | None = None,
        remove_dc_offset: bool | None = None,
        window_type: str | None = None,
        blackman_coeff: float | None = None,
        round_to_power_of_two: bool | None = None,
        num_mel_bins: int | None = None,
        low_freq: float | None = None,
        high_freq: float | None = None,
        vtln_low: float | None = None,
        vtln_high: float | None = None,
        use_energy: bool | None = None,
        energy_floor: float | None = None,
        raw_energy: bool | None = None,
        htk_compat: bool | None = None,
        num_ceps: int | None = None,
        cepstral_lifter: float | None = None,
        use_log_fbank: bool | None = None,
        use_power: bool | None = None,
        order: int | None = None,
    ) -> None:
        names = {name: value for name, value in locals().items() if name in _NAMES and value is not None}
        self._silence = silence
        self._compute = front_end(kind)
        if not self._compute.streams:
            raise ValueError(f"{kind} needs the whole recording, so it cannot stream; call its function")
        chosen = options or self._compute.options()
        assert isinstance(chosen, FrameOptions)  # of what streams
        options = with_keywords(chosen, names, f"{kind} stream")
        self._rate, self._warp, self._dither = as_rate(rate), vtln_warp, np.float32(options.dither)
        self._framing = Framing.of(options, self._rate)
        self._options = dataclasses.replace(options, dither=0.0, snip_edges=True)  # the edges are made here
        self._noise = np.random.default_rng(seed)
        self._kept = np.zeros((2, 0), dtype=np.float32)  # the last samples, floats in [-1, 1], with dither and without
        self._range = (np.inf, -np.inf)  # the smallest and the largest of the samples that are no longer kept
        self._n_samples = self._n_frames = 0  # samples taken, frames given
        self._ended = False
        self._compute(np.zeros(self._framing.size), self._rate, self._options, vtln_warp=vtln_warp)  # finds misfits now
        self.dim = self._compute.dim(options)

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """The frames that these samples complete, float32 (n, dim); n may be 0.

        Args:
            samples: (n_samples,), those after the last ones; floats in [-1, 1], or integers of 8, 16 or 32 bits.

        Raises:
            AudioError: for samples that are not finite or not one channel.
            ValueError: after `flush`.
        """
        if self._ended:
            raise ValueError("this stream has been flushed; start another one for another signal")
        samples = one_channel(samples, where=f"samples from {self._n_samples} on", may_be_empty=True)
        plain = samples
        if self._dither:
            noise = self._dither * self._noise.standard_normal(len(samples), dtype=np.float32)
            samples = (samples * INT16_SCALE + noise) / INT16_SCALE
        self._kept = np.concatenate([self._kept, [samples, plain]], axis=1)
        self._n_samples += len(samples)
        complete = self._n_samples - self._framing.first_sample(0) - self._framing.size
        return self._frames_until(1 + complete // self._framing.shift)

    def flush(self) -> np.ndarray:
        """The frames that are left once the signal has ended, float32 (n, dim)."""
        if self._ended:
            raise ValueError("this stream has been flushed already")
        self._ended = True
        return self._frames_until(self._framing.n_frames(self._n_samples))

    def _frames_until(self, until: int) -> np.ndarray:
        """The frames from the first that was not given yet to this one, computed from the start of their block on."""
        if until <= self._n_frames:
            return np.zeros((0, self.dim), dtype=np.float32)
        block = self._n_frames // BLOCK_ROWS * BLOCK_ROWS
        kept_from = self._n_samples - self._kept.shape[1]
        begin, end = self._framing.first_sample(block), self._framing.first_sample(until - 1) + self._framing.size
        if begin >= 0 and end <= self._n_samples:
            piece, plain = self._kept[:, begin - kept_from : end - kept_from]
        else:
            piece, plain = self._kept[:, mirrored(np.arange(begin, end), self._n_samples) - kept_from]
        frames = self._compute(piece, self._rate, self._options, vtln_warp=self._warp)
        if self._silence is not None:
            before = self._kept[1, : max(0, begin - kept_from)]
            earlier = self._range_with(before)
            frames[silent_frames(plain, dataclasses.replace(self._framing, snip_edges=True), earlier)] = self._silence
        frames = frames[self._n_frames - block :]
        self._n_frames = until
        next_block = self._framing.first_sample(until // BLOCK_ROWS * BLOCK_ROWS)
        needed_from = max(0, next_block - self._framing.size)  # the mirrored end reaches back by half a frame
        needless = max(0, needed_from - kept_from)
        self._range = self._range_with(self._kept[1, :needless])
        self._kept = self._kept[:, needless:].copy()
        return frames

    def _range_with(self, samples: np.ndarray) -> tuple[float, float]:
        """The smallest and the largest sample of those that are no longer kept and of these."""
        lowest, highest = self._range
        return min(lowest, samples.min(initial=np.inf)), max(highest, samples.max(initial=-np.inf))


class StreamingContext:
    """A function of a frame and its neighbours, fed with pieces of the features: `delta` or `splice`.

    Args:
        function: features to features of the same number of frames; at both ends it makes up the frames that it lacks.
        left: how many frames before it looks at, 0 or more.
        right: how many frames after it looks at, 0 or more; frames come so many frames late.
    """

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], left: int, right: int) -> None:
        self._function, self._left, self._right = function, left, right
        self._kept: np.ndarray | None = None
        self._n_kept_from = self._n_taken = self._n_given = 0

    def accept(self, features: np.ndarray) -> np.ndarray:
        """The frames whose neighbours are there now.

        Args:
            features: float32 (n_frames, dim), those after the last ones.

        Raises:
            ValueError: for another shape.
        """
        features = as_matrix(features, None if self._kept is None else self._kept.shape[1])
        self._kept = features.copy() if self._kept is None else np.concatenate([self._kept, features])
        self._n_taken += len(features)
        return self._give(self._n_taken - self._right)

    def flush(self) -> np.ndarray:
        """The last frames, with the last one repeated behind them.

        Raises:
            ValueError: if nothing was accepted ever.
        """
        return self._give(self._n_taken)

    def _give(self, until: int) -> np.ndarray:
        if self._kept is None:
            raise ValueError("nothing was accepted, so the dim is not known; accept an empty (0, dim) piece at least")
        until = max(until, self._n_given)
        if until == self._n_given:
            return self._function(self._kept[:0])
        result = self._function(self._kept)[self._n_given - self._n_kept_from : until - self._n_kept_from]
        self._n_given = until
        kept_from = max(0, until - self._left)
        self._kept = self._kept[kept_from - self._n_kept_from :].copy()
        self._n_kept_from = kept_from
        return result


def streaming_delta(*, order: int = 2, window: int = 2) -> StreamingContext:
    """`delta` of features that are still arriving; order * window frames late."""
    return StreamingContext(
        lambda features: delta(features, order=order, window=window), order * window, order * window
    )


def streaming_splice(*, left: int = 4, right: int = 4) -> StreamingContext:
    """`splice` of features that are still arriving; `right` frames late."""
    return StreamingContext(lambda features: splice(features, left=left, right=right), left, right)


class StreamingNormalisation:
    """Causal cmvn of features that are still arriving, with pauses in place of digital silence.

    Args:
        silence: float32 (k,), what the first k values of a frame of digital silence are.
        pauses: float32 (n, dim), frames to put there instead. None: there is nothing of the kind.
    """

    def __init__(self, cmvn: CausalCmvn, silence: np.ndarray | None, pauses: np.ndarray | None) -> None:
        self._cmvn, self._silence, self._pauses = cmvn, silence, pauses
        self._n_taken = 0

    def accept(self, features: np.ndarray) -> np.ndarray:
        """The features normalised, float32 (n_frames, dim).

        Args:
            features: float32 (n_frames, dim), those after the last ones.
        """
        silent = equal_rows(features, self._silence)
        result = self._cmvn.accept(features, ~silent)
        first, self._n_taken = self._n_taken, self._n_taken + len(features)
        return with_pauses(result, silent, self._pauses, first)

    def flush(self) -> np.ndarray:
        """No frames: none is ever late."""
        return self._cmvn.flush()


class FeatureStream:
    """Stages one behind the other, fed with pieces of a signal. Make one with `FeaturePipeline.stream`.

    The pieces that `accept` and, last, `flush` give, one after the other, are bit for bit what the stages make of the
    whole signal.
    """

    def __init__(self, stages: Iterable[Stage]) -> None:
        self._stages = list(stages)

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """The frames that are ready with these samples, float32 (n, dim); n may be 0. Errors: StreamingFrontEnd's."""
        for stage in self._stages:
            samples = stage.accept(samples)
        return samples

    def flush(self) -> np.ndarray:
        """The frames that are left once the signal has ended, float32 (n, dim).

        Raises:
            ValueError: the second time.
        """
        first, *others = self._stages
        ready = first.flush()
        for stage in others:
            ready = np.concatenate([stage.accept(ready), stage.flush()])
        return ready
