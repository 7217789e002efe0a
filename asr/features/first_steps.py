"""What a pipeline begins with: a front-end that makes features of samples, or features that a corpus brings along."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..display.brief import changed_repr
from ..errors import AsrError, ModelError, did_you_mean
from ..options import field_names, with_keywords
from .frames import Framing
from .front_ends import FRONT_ENDS, PITCH_DIM, Extractor, front_end
from .options import FrameOptions, FramePositions, PitchOptions
from .silence import silent_frames

if TYPE_CHECKING:
    from .streaming import Stage

_MOST_VALUES = 100_000  # of a frame; more is a slip, or a model made to take all memory
_FRAMES = field_names(FramePositions)


@dataclass(frozen=True, init=False, repr=False)
class FrontEnd:
    """A front-end with its settings, the first step of a `FeaturePipeline` that takes audio.

    Args:
        kind: "mfcc", "fbank", "lpc", "lpcc", "reflection_coefficients" or "pitch".
        options: of the class that this kind has, e.g. MfccOptions; None: its defaults.
        pitch: settings of the three values of `pitch` behind the front-end's, in the same frames; None: there are none.

    Raises:
        ValueError: for an unknown kind, with the nearest known one.
        TypeError: for another kind's options.

    Examples:
        >>> FrontEnd("mfcc", pitch=PitchOptions(min_f0=70)).dim
        16
    """

    kind: str
    options: FramePositions
    pitch: PitchOptions | None

    __repr__ = changed_repr

    def __init__(self, kind: str, options: FramePositions | None = None, *, pitch: PitchOptions | None = None) -> None:
        wanted = front_end(kind).options
        chosen = wanted() if options is None else options
        if type(chosen) is not wanted:
            raise TypeError(f"{kind} takes options of type {wanted.__name__}, not {type(chosen).__name__}")
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "options", chosen)
        object.__setattr__(self, "pitch", None if pitch is None else _in_frames(pitch, chosen))
        if pitch is not None and wanted is PitchOptions:
            raise ValueError("pitch has no key 'pitch': it has these values already")

    @property
    def _extractor(self) -> Extractor:
        return FRONT_ENDS[self.kind]

    @property
    def dim(self) -> int:
        """Values per frame."""
        return self._extractor.dim(self.options) + (PITCH_DIM if self.pitch else 0)

    @property
    def frame_shift(self) -> float:
        """Milliseconds from one frame to the next."""
        return self.options.frame_shift

    @property
    def first_boundary(self) -> float:
        """Milliseconds: where the boundary before frame 0 lies, see `FeaturePipeline.first_boundary`."""
        if not self.options.snip_edges:
            return 0.0
        return max(0.0, self.options.frame_length - self.options.frame_shift) / 2

    @property
    def streams(self) -> bool:
        """Whether a frame is made of its own samples alone; pitch is that of the best way through all frames."""
        return self._extractor.streams and self.pitch is None

    @property
    def rises_with_loudness(self) -> bool:
        """Whether the first value of a frame rises with its loudness."""
        return self._extractor.rises_with_loudness and not getattr(self.options, "htk_compat", False)

    def loudness(self, finished: np.ndarray) -> np.ndarray | None:
        """See `FeaturePipeline.loudness`.

        Args:
            finished: float32 (n_frames, dim or more), the front-end's columns first.
        """
        return self._extractor.loudness(finished, self.options)

    def check(self, rate: int) -> None:
        """Check a sampling rate in Hz.

        Raises:
            ValueError: for one that is none, or at which these settings are impossible.
        """
        if type(rate) is not int or rate < 1:
            raise ValueError(f"sample_rate={rate!r}; need a whole number of Hz, 1 or more")
        try:
            self._extractor.check(self.options, rate)
            if self.pitch is not None:
                FRONT_ENDS["pitch"].check(self.pitch, rate)
        except (ValueError, AsrError) as error:
            raise ValueError(f"{self.kind} at {rate} Hz: {error}") from error

    def words(self, rate: int) -> str:
        """The front-end as a person would say it."""
        with_pitch = " with pitch and voicing" if self.pitch else ""
        frames = f"every {self.frame_shift:g} ms from {self.options.frame_length:g} ms at {rate} Hz"
        return f"{self._extractor.dim(self.options)} {self._extractor.words}{with_pitch} {frames}"

    def silence(self, rate: int) -> np.ndarray | None:
        """What marks a frame of digital silence, float32 (k,), the first k values: the features of zeros.

        None where a frame is not made of its own samples alone.
        """
        if not self._extractor.streams:
            return None
        options = self.options
        if isinstance(options, FrameOptions):
            options = dataclasses.replace(options, dither=0.0)
        zeros = np.zeros(Framing.of(options, rate).size, np.float32)
        return self._extractor(zeros, rate, options)[0]

    def compute(
        self, samples: np.ndarray, rate: int, *, seed: int = 0, vtln_warp: float = 1.0, silence: np.ndarray | None
    ) -> np.ndarray:
        """The features of a signal, float32 (n_frames, dim); errors are those of `FeaturePipeline.front_end`.

        Args:
            samples: float32 (n_samples,) in [-1, 1].
            rate: Hz.
            seed: as in `mfcc`.
            vtln_warp: as in `mfcc`.
            silence: what is put into frames of digital silence; None: their own features.
        """
        features = self._extractor(samples, rate, self.options, seed=seed, vtln_warp=vtln_warp)
        if silence is not None:
            features[silent_frames(samples, Framing.of(self.options, rate))] = silence
        if self.pitch is None:
            return features
        return np.hstack([features, FRONT_ENDS["pitch"](samples, rate, self.pitch)])

    def stream(self, rate: int, *, seed: int = 0, vtln_warp: float = 1.0, silence: np.ndarray | None = None) -> "Stage":
        """The front-end for a signal that is still arriving.

        Raises:
            ModelError: for one with pitch.
        """
        if not self.streams:
            raise ModelError(
                "pitch is known when a recording has ended, so this pipeline cannot stream; use front_end() and "
                "finish() on whole recordings"
            )
        assert isinstance(self.options, FrameOptions)  # of what streams
        how: dict[str, Any] = {"seed": seed, "vtln_warp": vtln_warp, "silence": silence}
        from .streaming import StreamingFrontEnd

        return StreamingFrontEnd(self.kind, rate, options=self.options, **how)

    def to_json(self) -> dict[str, Any]:
        """The kind and all settings."""
        table: dict[str, Any] = {"kind": self.kind, "options": dataclasses.asdict(self.options)}
        if self.pitch is not None:
            own = (name for name in field_names(PitchOptions) if name not in _FRAMES)
            table["pitch"] = {name: getattr(self.pitch, name) for name in own}
        return table

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> "FrontEnd":
        """The front-end of a table: "kind" and, where wanted, tables of "options" and of "pitch", which may be empty.

        Raises:
            ValueError: for an unknown key, with the nearest known one, or an impossible value.
            TypeError: for an unknown option, with the nearest known one.
        """
        kind = table["kind"]
        known = ("options",) if front_end(kind).options is PitchOptions else ("options", "pitch")
        for key in table:
            if key not in ("kind", *known):
                raise ValueError(f"{kind} has no key {key!r}{did_you_mean(key, known)}")
            if key != "kind" and not isinstance(table[key], Mapping):
                raise ValueError(f"{key} = {table[key]!r}; need a table of settings, {{}} for the defaults")
        options = with_keywords(front_end(kind).options(), table.get("options", {}), kind)
        if "pitch" not in table:
            return cls(kind, options)
        for name in _FRAMES:
            if name in table["pitch"]:
                raise ValueError(f"pitch has the front-end's {name}; leave it out there")
        return cls(kind, options, pitch=with_keywords(PitchOptions(), table["pitch"], "pitch"))


def _in_frames(settings: PitchOptions, frames: FramePositions) -> PitchOptions:
    """Settings of pitch for another front-end's frames.

    Raises:
        ValueError: where they ask for frames of their own.
    """
    for name, default in ((name, getattr(PitchOptions(), name)) for name in _FRAMES):
        if getattr(settings, name) not in (default, getattr(frames, name)):
            raise ValueError(f"pitch has the front-end's {name}; leave it out there")
    return dataclasses.replace(settings, **{name: getattr(frames, name) for name in _FRAMES})


@dataclass(frozen=True)
class Given:
    """Features that a corpus brings along, the first step of a `FeaturePipeline` that takes no audio.

    Attributes:
        dim: values per frame.
        frame_shift: milliseconds from one frame to the next.
        first_boundary: milliseconds, for the times of what is recognised: see FeaturePipeline.first_boundary; 7.5 for
            Kaldi's features of whole frames of 25 ms every 10 ms.

    Raises:
        ValueError: for an impossible value.
    """

    kind: ClassVar[str] = "given"
    streams: ClassVar[bool] = True
    rises_with_loudness: ClassVar[bool] = False

    dim: int
    frame_shift: float = 10.0
    first_boundary: float = 0.0

    def __post_init__(self) -> None:
        if type(self.dim) is not int or not 1 <= self.dim <= _MOST_VALUES:
            raise ValueError(f"given features: dim={self.dim!r}; need the values per frame, 1 to {_MOST_VALUES}")
        shift = self.frame_shift
        if isinstance(shift, bool) or not isinstance(shift, (int, float)) or not (math.isfinite(shift) and shift > 0):
            raise ValueError(f"given features: frame_shift={shift!r}; need milliseconds above 0")
        first = self.first_boundary
        if isinstance(first, bool) or not isinstance(first, (int, float)) or not 0 <= first < math.inf:
            raise ValueError(f"given features: first_boundary={first!r}; need milliseconds, 0 or more")

    def loudness(self, finished: np.ndarray) -> np.ndarray | None:
        """Nothing is known of it."""
        return None

    def check(self, rate: int) -> None:
        """Check a sampling rate.

        Raises:
            ValueError: unless it is 0, as there are no samples.
        """
        if type(rate) is not int or rate != 0:
            raise ValueError(f"sample_rate={rate!r}; need 0 for given features")

    def words(self, rate: int) -> str:
        """Where the features come from."""
        return f"{self.dim} values given with the corpus, one frame every {self.frame_shift:g} ms"

    def silence(self, rate: int) -> np.ndarray | None:
        """No frame is marked as digital silence."""
        return None

    def stream(self, rate: int, *, seed: int = 0, vtln_warp: float = 1.0, silence: np.ndarray | None = None) -> "Stage":
        """Frames that are still arriving, checked."""
        from .given import GivenStream

        return GivenStream(self.dim)

    def to_json(self) -> dict[str, Any]:
        """The kind and all settings."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> "Given":
        """The features of a table: "dim" and, where wanted, the other settings.

        Raises:
            ValueError: for anything else.
        """
        known = field_names(cls)
        for key in table:
            if key != "kind" and key not in known:
                raise ValueError(f"{cls.kind} has no key {key!r}{did_you_mean(key, known)}")
        return cls(**{"dim": None, **{key: value for key, value in table.items() if key != "kind"}})
