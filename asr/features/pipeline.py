"""A model's whole way from samples to features, in order, as its model.json lists it."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..display.brief import in_brief
from ..errors import AsrError, ConfigError, ModelError, did_you_mean
from .first_steps import FrontEnd, Given
from .front_ends import FRONT_ENDS
from .options import FramePositions
from .silence import equal_rows, pause_frames, with_pauses
from .steps import STEPS, Affine, Cmvn, Delta, Splice, Step

if TYPE_CHECKING:
    from .streaming import FeatureStream

__all__ = ["Affine", "Cmvn", "Delta", "FeaturePipeline", "FrontEnd", "Given", "Splice", "step_from_json"]

First = FrontEnd | Given
"""What a pipeline begins with."""

_MOST_STEPS, _MOST_VALUES = 50, 100_000  # values of a frame; more is a slip, or a model made to take all memory
_FIRST = (Given.kind, *FRONT_ENDS)  # the kinds of a first step


def step_from_json(table: Mapping[str, Any], array: np.ndarray | None = None) -> First | Step:
    """A step of a pipeline from a table of JSON or TOML: its "kind", and settings that are not the default.

    Args:
        table: {"kind": "mfcc", "fbank", "lpc", "lpcc", "reflection_coefficients" or "pitch", "options": {...}}, if
            wanted with "pitch": {...}, settings of PitchOptions; {"kind": "given", "dim": 13, "frame_shift": 10.0}; or,
            of a later step, {"kind": "cmvn", "delta", "splice" or "affine"} and the names of the class' fields.
        array: what the step has learned.

    Raises:
        ConfigError: for an unknown kind, key or option, with the nearest known name, or an impossible value.

    Examples:
        >>> step_from_json({"kind": "cmvn", "mode": "causal", "window": 300})
        Cmvn(mode='causal', window=300)
    """
    kinds = (*STEPS, *_FIRST)
    need = f"need a table with a kind of {', '.join(kinds)}"
    if not isinstance(table, Mapping):
        raise ConfigError(f"{in_brief(table)} is no step; {need}")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        hint = did_you_mean(kind, kinds) if isinstance(kind, str) else ""
        raise ConfigError(f"unknown kind {in_brief(kind)}{hint}; {need}")
    try:
        if kind in STEPS:
            return STEPS[kind].from_json(table, array)
        return Given.from_json(table) if kind == Given.kind else FrontEnd.from_json(table)
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(str(error)) from error


@contextlib.contextmanager
def _at_step(number: int) -> Iterator[None]:
    """What goes wrong becomes a ConfigError that says at which step."""
    try:
        yield
    except (ValueError, TypeError, AsrError) as error:
        raise ConfigError(f"feature pipeline step {number}: {error}") from error


@dataclass(frozen=True, eq=False, init=False, repr=False)
class FeaturePipeline:
    """The front-end and what is done to its output, step by step.

    Where Cmvn comes right behind the front-end, frames of digital silence, which no microphone made
    (asr.features.silence), count in no mean, and behind it frames of the training data's pauses stand in their place.

    Args:
        sample_rate: Hz of the samples it takes; the caller resamples. 0 for features that are given.
        steps: first a FrontEnd, or Given where the corpus brings features along; then what is done to them: Cmvn,
            Delta, Splice, Affine (see `then_affine`). A table of JSON or TOML stands for a step, too: see
            `step_from_json`.
        pauses: float32 (n, raw_dim), frames of pauses behind that Cmvn; None: none are known. From `with_prior`.

    Raises:
        ConfigError: for steps that are impossible, alone or one behind the other, or at this rate.

    Examples:
        >>> FeaturePipeline(8000, [FrontEnd("mfcc"), Cmvn("speaker"), Delta()]).dim
        39
    """

    sample_rate: int
    steps: tuple[First | Step, ...]
    pauses: np.ndarray | None

    def __init__(
        self,
        sample_rate: int,
        steps: Sequence[First | Step | Mapping[str, Any]],
        pauses: np.ndarray | None = None,
    ) -> None:
        if len(steps) > _MOST_STEPS:
            raise ConfigError(f"a feature pipeline of {len(steps)} steps; need {_MOST_STEPS} or fewer")
        made = []
        for number, step in enumerate(steps):
            with _at_step(number):
                made.append(step if isinstance(step, (FrontEnd, Given, Step)) else step_from_json(step))
                if number and isinstance(made[-1], (FrontEnd, Given)):
                    raise ConfigError(f"{made[-1].kind} is a front-end; need it first and once")
        object.__setattr__(self, "sample_rate", sample_rate)
        object.__setattr__(self, "steps", tuple(made))
        object.__setattr__(self, "pauses", pauses)
        with _at_step(0):
            self.first.check(sample_rate)
        self._dims  # noqa: B018 - steps that do not fit are reported now
        if pauses is not None and (pauses.ndim != 2 or not len(pauses) or pauses.shape[1] != self.raw_dim):
            raise ConfigError(
                f"feature pipeline: frames of pauses have shape {pauses.shape}; need (n, {self.raw_dim}), n 1 or more"
            )

    def __repr__(self) -> str:
        return f"<FeaturePipeline: {self.words()}>"

    def words(self) -> str:
        """The pipeline as a person would say it.

        Examples:
            >>> FeaturePipeline(8000, [FrontEnd("mfcc"), Delta(order=1)]).words()
            '13 MFCC every 10 ms from 25 ms at 8000 Hz, derivatives up to order 1: 26 values'
        """
        said = [self.first.words(self.sample_rate), *(step.words() for step in self.later)]
        return f"{', '.join(said)}: {self.dim} values"

    @cached_property
    def first(self) -> First:
        """What the pipeline begins with."""
        first = self.steps[0] if self.steps else None
        if not isinstance(first, (FrontEnd, Given)):
            raise ConfigError(f"the first of a feature pipeline's steps must be one of {', '.join(_FIRST)}")
        return first

    @cached_property
    def later(self) -> tuple[Step, ...]:
        """The steps behind the first one."""
        return tuple(step for step in self.steps if isinstance(step, Step))

    @property
    def given(self) -> Given | None:
        """What the given features are; None for a pipeline that takes audio."""
        return self.first if isinstance(self.first, Given) else None

    @property
    def options(self) -> FramePositions:
        """The front-end's options.

        Raises:
            ModelError: where features are given.
        """
        return self.need_audio().options

    @property
    def kind(self) -> str:
        """What the pipeline begins with in a word, e.g. "mfcc" or "given"."""
        return self.first.kind

    @property
    def raw_dim(self) -> int:
        """Values per frame behind the front-end, or of the given features."""
        return self.first.dim

    @property
    def dim(self) -> int:
        """Values per frame behind the last step."""
        return self._dims[-1]

    @cached_property
    def _dims(self) -> list[int]:
        """Values per frame behind each step.

        Raises:
            ConfigError: for a step that does not fit, or gives too many.
        """
        dims = [self.first.dim]
        for number, step in enumerate(self.later, start=1):
            with _at_step(number):
                dims.append(step.dim_after(dims[-1]))
                if dims[-1] > _MOST_VALUES:
                    raise ValueError(f"{dims[-1]} values a frame behind it; need {_MOST_VALUES} or fewer")
        return dims

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""
        return self.first.frame_shift / 1000

    @property
    def first_boundary(self) -> float:
        """Seconds: where the boundary before frame 0 lies; that before frame t is t frame shifts later.

        A frame speaks for its middle, so two frames meet halfway between theirs. With whole frames only (snip_edges)
        that is half a frame less half a shift after t shifts: 7.5 ms at 25 and 10 ms. Kaldi's times leave this out.
        """
        return self.first.first_boundary / 1000

    @property
    def streaming(self) -> bool:
        """Whether the features of a frame need nothing of the future but a few frames."""
        return self.first.streams and all(step.streams for step in self.later)

    @property
    def needs_speaker(self) -> bool:
        """Whether the features of a recording depend on what else its speaker says."""
        return any(step.needs_speaker for step in self.later)

    def need_audio(self) -> FrontEnd:
        """The front-end.

        Raises:
            ModelError: for a pipeline that takes features.
        """
        if isinstance(self.first, FrontEnd):
            return self.first
        raise ModelError(
            f"this model takes features ({self.first.dim} values every {self.first.frame_shift:g} ms), not audio: "
            "give it FILE.npy, a feats.scp, or a data directory that has one"
        )

    def front_end(self, samples: np.ndarray, *, seed: int = 0, vtln_warp: float = 1.0) -> np.ndarray:
        """The first step's features, float32 (n_frames, raw_dim).

        Args:
            samples: float32 (n_samples,) in [-1, 1] at `sample_rate`.
            seed: as in `mfcc`.
            vtln_warp: as in `mfcc`.

        Raises:
            AudioError: for samples that are not finite or shorter than a frame.
            ValueError: for a warp of a front-end without mel filters.
            ModelError: where features are given.
        """
        front_end = self.need_audio()
        return front_end.compute(samples, self.sample_rate, seed=seed, vtln_warp=vtln_warp, silence=self._silence)

    def raw(self, features: np.ndarray, *, where: str = "") -> np.ndarray:
        """Features in place of the front-end's, float32 (n_frames, raw_dim): given ones, or ones computed elsewhere.

        Args:
            features: numbers (n_frames, raw_dim).
            where: whose they are, for messages.

        Raises:
            CorpusError: for another shape or values that are not finite.
        """
        from .given import as_features

        return as_features(features, dim=self.raw_dim, where=where)

    def finish(
        self,
        raw: Sequence[np.ndarray],
        speakers: Sequence[str],
        *,
        statistics: Mapping[int, np.ndarray] | None = None,
        until: int | None = None,
    ) -> list[np.ndarray]:
        """Everything behind the front-end: a list of float32 (n_frames, dim), one of each utterance.

        Args:
            raw: what `front_end` or `raw` gave.
            speakers: whose they are, which matters where it `needs_speaker`: the statistics are over the utterances in
                this list.
            statistics: number of a step -> the statistics of the recording or speaker that these are pieces of, which
                are taken instead of the pieces' own.
            until: the number of the step to stop before.

        Raises:
            ValueError: for lists of different lengths or a causal step without prior statistics.
        """
        if len(raw) != len(speakers):
            raise ValueError(f"{len(raw)} feature matrices but {len(speakers)} speakers")
        features = list(raw)
        silent = [self.silent(matrix) for matrix in features]
        for number, step in enumerate(self.later[: None if until is None else until - 1], start=1):
            hides_silence = number == 1 and self._silence is not None
            counted = [~s for s in silent] if hides_silence else None
            features = step.apply(features, speakers, counted=counted, statistics=(statistics or {}).get(number))
            if hides_silence:
                features = [with_pauses(f, s, self.pauses) for f, s in zip(features, silent, strict=True)]
        return features

    def silent(self, raw: np.ndarray) -> np.ndarray:
        """Which frames of the front-end's are digital silence, bool (n_frames,).

        Args:
            raw: (n_frames, raw_dim).
        """
        return equal_rows(raw, self._silence)

    @cached_property
    def _silence(self) -> np.ndarray | None:
        """The values that mark a frame of digital silence: the front-end's of zeros; None where none is marked."""
        return self.first.silence(self.sample_rate) if self.later and self.later[0].normalises else None

    def loudness(self, finished: np.ndarray) -> np.ndarray | None:
        """Logarithms of the frames' energy, up to scale and offset, float32 (n_frames,); None where features have none.

        Of mel filters the lower half is taken, where voices are louder than most noises; of MFCC C0 or the energy.

        Args:
            finished: float32 (n_frames, dim), from `finish`.
        """
        return self.first.loudness(finished) if all(step.keeps_loudness for step in self.later) else None

    def stream(self, *, seed: int = 0, vtln_warp: float = 1.0) -> "FeatureStream":
        """The whole pipeline for a signal that is still arriving, to be fed with pieces of samples.

        All its frames, one after the other, equal bit for bit those of `front_end` and `finish`. Where features are
        given, it is fed with frames, (n, raw_dim).

        Args:
            seed: as in `front_end`.
            vtln_warp: as in `front_end`.

        Raises:
            ModelError: for a pipeline with a step that needs the future (see `streaming`).
            ValueError: for a causal step without prior statistics.
        """
        silence, pauses = self._silence, self.pauses
        stages = [self.first.stream(self.sample_rate, seed=seed, vtln_warp=vtln_warp, silence=silence)]
        for dim, step in zip(self._dims, self.later, strict=False):
            stages.append(step.stream(dim, silence=silence, pauses=pauses))
            silence = pauses = None  # they are for the step right behind the front-end
        from .streaming import FeatureStream

        return FeatureStream(stages)

    def with_prior(self, raw: Sequence[np.ndarray]) -> "FeaturePipeline":
        """The pipeline that has learned from training data what its causal steps start from, and how pauses look.

        Args:
            raw: what `front_end` gave for the training data.

        Raises:
            ValueError: without any frame that is not digital silence, where there is a Cmvn.
        """
        learning = [number for number, step in enumerate(self.later) if step.learns]
        if len(learning) > 1:
            raise ValueError("a pipeline with more than one causal cmvn step is not supported; need one")
        if not learning and self._silence is None:
            return self
        features = [self._counted(matrix) for matrix in raw]
        features = [matrix for matrix in features if len(matrix)]
        if not features:
            raise ValueError("no frames to take statistics of: all recordings are digital silence, or empty")
        pauses_from = features[:: len(features) // 1000 + 1]
        later = list(self.later)
        for number in learning:
            for step in later[:number]:
                features = step.apply(features, [""] * len(features))
            later[number] = later[number].learned_from(features)
        learned = FeaturePipeline(self.sample_rate, (self.first, *later))
        return dataclasses.replace(learned, pauses=learned._pauses_of(pauses_from))

    def _counted(self, raw: np.ndarray) -> np.ndarray:
        """The frames that are no digital silence; the same array where there is none, as a corpus may be large."""
        silent = self.silent(raw)
        return raw[~silent] if silent.any() else raw

    def _pauses_of(self, raw: list[np.ndarray]) -> np.ndarray | None:
        """Frames of the pauses in utterances, or None where the features do not say how loud they are.

        Args:
            raw: features without digital silence. Each utterance is taken for a speaker of its own.
        """
        if self._silence is None or not self.first.rises_with_loudness:
            return None
        return pause_frames(self.later[0].apply(raw, [str(k) for k in range(len(raw))]))

    def then(self, *steps: Step | Mapping[str, Any]) -> "FeaturePipeline":
        """The pipeline with further steps behind the last one."""
        return FeaturePipeline(self.sample_rate, (*self.steps, *steps), self.pauses)

    def then_affine(self, matrix: np.ndarray) -> "FeaturePipeline":
        """The pipeline with a learned transform behind the last step.

        Args:
            matrix: (new dim, dim), or (new dim, dim + 1) with an offset in the last column; see `affine`.

        Raises:
            ConfigError: where it does not fit.
        """
        with _at_step(len(self.steps)):
            step = Affine(matrix)
        return self.then(step)

    def to_json(self) -> dict[str, Any]:
        """What model.json holds of it: the sampling rate and the steps."""
        return {"sample_rate": self.sample_rate, "steps": [step.to_json() for step in self.steps]}

    def arrays(self) -> dict[str, np.ndarray]:
        """What the steps have learned and the pauses by name, for the model's file of arrays."""
        learned = {f"{s.array_name}_{k}": s.array for k, s in enumerate(self.later, 1) if s.array is not None}
        return learned if self.pauses is None else learned | {"pauses": self.pauses}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> "FeaturePipeline":
        """The pipeline from what `to_json` and `arrays` gave.

        Raises:
            ConfigError: for anything else.
        """
        known = ("sample_rate", "steps")
        for key in value:
            if key not in known:
                raise ConfigError(f"feature pipeline has no key {key!r}{did_you_mean(key, known)}")
        missing = [key for key in known if key not in value]
        if missing:
            raise ConfigError(f"feature pipeline lacks {missing[0]!r}")
        if not isinstance(value["steps"], Sequence):
            raise ConfigError(f"feature pipeline: steps is {in_brief(value['steps'])}; need a list of tables")
        steps = []
        for number, table in enumerate(value["steps"]):
            with _at_step(number):
                steps.append(step_from_json(table, _array_of(table, number, arrays or {})))
        pauses = (arrays or {}).get("pauses")
        return cls(value["sample_rate"], steps, None if pauses is None else np.asarray(pauses, np.float32))


def _array_of(table: Any, number: int, arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """What the step of a table has learned, float64; None: nothing."""
    kind = STEPS.get(str(table.get("kind"))) if isinstance(table, Mapping) else None
    found = arrays.get(f"{kind.array_name}_{number}") if kind else None
    return None if found is None else np.asarray(found, np.float64)
