"""What a pipeline does to features behind its front-end: one small class a step, each for whole recordings and streams.

A step says how many values a frame has behind it (`dim_after`), what becomes of whole recordings (`apply`) and of
features that are still arriving (`stream`), how a person would say it (`words`), and what a model's files hold of it
(`to_json`, `array`). Nobody else needs to know what kinds of steps there are: who writes another one adds it to STEPS.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..display.brief import brief_repr, changed_repr
from ..errors import ModelError, did_you_mean
from .deltas import check_delta, check_splice, delta, splice
from .normalization import MODES, CausalCmvn, check_statistics, cmvn, cmvn_statistics
from .options import of_type

if TYPE_CHECKING:
    from .streaming import Stage

Counted = Sequence[np.ndarray | None]
"""Of each utterance which frames count in its mean, bool (n_frames,); None: all of them."""


@dataclass(frozen=True, repr=False)
class Step(ABC):
    """A step of a `FeaturePipeline` behind its front-end: settings of one type each, and what it has learned.

    Attributes:
        kind: its name in JSON and TOML, where the fields are the keys beside it.
        array_name: what the array that it learns is called in a model's files; "" where it learns none.
        learned: the field that holds this array.

    Raises:
        ValueError: for an impossible setting.
    """

    kind: ClassVar[str]
    array_name: ClassVar[str] = ""
    learned: ClassVar[str] = ""

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            if isinstance(setting.default, (bool, int)):
                value = of_type(setting.name, getattr(self, setting.name), setting.default)
                object.__setattr__(self, setting.name, value)

    @property
    def streams(self) -> bool:
        """Whether a frame needs nothing of the future but a few frames."""
        return True

    @property
    def needs_speaker(self) -> bool:
        """Whether a frame depends on what else the speaker says."""
        return False

    @property
    def needs_statistics(self) -> bool:
        """Whether all frames of a recording or speaker are normalised with the same statistics, taken of them all."""
        return False

    @property
    def keeps_loudness(self) -> bool:
        """Whether the first values of a frame stay what they are, up to a scale and an offset."""
        return False

    @property
    def normalises(self) -> bool:
        """Whether it takes means away, in which digital silence does not count (see asr.features.silence)."""
        return False

    @abstractmethod
    def dim_after(self, dim: int) -> int:
        """Values per frame behind the step, of features of so many.

        Raises:
            ValueError: where it does not fit them.
        """

    @abstractmethod
    def words(self) -> str:
        """The step as a person would say it."""

    @abstractmethod
    def apply(
        self,
        features: Sequence[np.ndarray],
        speakers: Sequence[str],
        *,
        counted: Counted | None = None,
        statistics: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """What becomes of whole utterances, a list of float32 (n_frames, new dim).

        Args:
            features: of each utterance float32 (n_frames, dim).
            speakers: whose they are.
            counted: for a step that normalises.
            statistics: what it takes in place of those of the features.
        """

    @abstractmethod
    def stream(self, dim: int, *, silence: np.ndarray | None = None, pauses: np.ndarray | None = None) -> "Stage":
        """The step for features that are still arriving, equal to `apply` bit for bit.

        Args:
            dim: values per frame before it.
            silence: of a step that normalises, see StreamingNormalisation.
            pauses: of a step that normalises, see StreamingNormalisation.

        Raises:
            ModelError: for a step that needs a recording's end.
        """

    @property
    def learns(self) -> bool:
        """Whether it needs `learned_from` before it can be used."""
        return False

    def learned_from(self, features: Sequence[np.ndarray]) -> "Step":
        """The step that has learned from training data.

        Args:
            features: matrices (n_frames, dim), as they come to it.
        """
        return self

    def to_json(self) -> dict[str, Any]:
        """The kind and all settings; what was learned is in `array`."""
        return {"kind": self.kind} | {name: getattr(self, name) for name in self.settings()}

    @property
    def array(self) -> np.ndarray | None:
        """What the step has learned; None: nothing, or nothing yet."""
        return getattr(self, self.learned) if self.learned else None

    @classmethod
    def settings(cls) -> list[str]:
        """The names of the settings, which are the keys in JSON and TOML beside "kind"."""
        return [f.name for f in dataclasses.fields(cls) if f.name != cls.learned]

    @classmethod
    def from_json(cls, table: Mapping[str, Any], array: np.ndarray | None = None) -> "Step":
        """The step that `to_json` and `array` gave.

        Raises:
            ValueError: for an unknown key or an impossible value.
        """
        known = cls.settings()
        for key in table:
            if key != "kind" and key not in known:
                raise ValueError(f"{cls.kind} has no key {key!r}{did_you_mean(key, known)}")
        given: dict[str, Any] = {f.name: None for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING}
        given |= {key: value for key, value in table.items() if key != "kind"}
        return cls(**given | ({cls.learned: array} if cls.learned else {}))


class _OfEach(Step):
    """A step that does the same to each utterance, whoever speaks: a function of a frame and its neighbours."""

    @abstractmethod
    def of_one(self, features: np.ndarray) -> np.ndarray:
        """What becomes of one utterance, float32 (n_frames, new dim).

        Args:
            features: float32 (n_frames, dim).
        """

    def apply(
        self,
        features: Sequence[np.ndarray],
        speakers: Sequence[str],
        *,
        counted: Counted | None = None,
        statistics: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """What becomes of each utterance by itself."""
        return [self.of_one(matrix) for matrix in features]


@dataclass(frozen=True, repr=False)
class Cmvn(Step):
    """Means, and with norm_vars deviations, taken away: see `cmvn`.

    Attributes:
        mode: "speaker", "utterance", "sliding" or "causal"; only "causal" can be used while somebody is still speaking.
        window: frames, of "sliding" and "causal".
        global_frames: for how many frames the prior counts at most.
        prior: float64 (2, dim + 1), statistics (see `cmvn_statistics`) that "causal" begins with; from
            `FeaturePipeline.with_prior`. Two steps with other priors are equal.

    Examples:
        >>> Cmvn("causal", window=300).words()
        'mean normalised (causal)'
    """

    kind = "cmvn"
    array_name, learned = "cmvn_prior", "prior"

    mode: str
    norm_vars: bool = False
    window: int = 600
    global_frames: int = 200
    prior: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in MODES:
            hint = did_you_mean(str(self.mode), MODES)
            raise ValueError(f"cmvn mode {self.mode!r}; need one of {', '.join(MODES)}{hint}")
        if self.window < 1 or self.global_frames < 0:
            raise ValueError(f"window={self.window}, global_frames={self.global_frames}; need 1 or more, 0 or more")

    @property
    def streams(self) -> bool:
        """Whether it is causal."""
        return self.mode == "causal"

    @property
    def needs_speaker(self) -> bool:
        """Whether the means are a speaker's."""
        return self.mode == "speaker"

    @property
    def needs_statistics(self) -> bool:
        """Whether there is one mean for all frames."""
        return self.mode in ("utterance", "speaker")

    @property
    def keeps_loudness(self) -> bool:
        """One mean for all frames leaves loud frames louder than others."""
        return self.needs_statistics

    @property
    def normalises(self) -> bool:
        """Means are what it takes away."""
        return True

    @property
    def learns(self) -> bool:
        """Causal means need others to begin with."""
        return self.streams

    def learned_from(self, features: Sequence[np.ndarray]) -> "Cmvn":
        """With the statistics of the training data as prior.

        Raises:
            ValueError: without any frame.
        """
        return dataclasses.replace(self, prior=cmvn_statistics(features))

    def dim_after(self, dim: int) -> int:
        """As many as before.

        Raises:
            ValueError: for a prior of another dim.
        """
        check_statistics("prior", self.prior, dim)
        return dim

    def words(self) -> str:
        """What is taken away, and of what."""
        return f"{'mean and variance' if self.norm_vars else 'mean'} normalised ({self.mode})"

    def apply(
        self,
        features: Sequence[np.ndarray],
        speakers: Sequence[str],
        *,
        counted: Counted | None = None,
        statistics: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """The utterances normalised.

        Raises:
            ValueError: for a causal step without prior.
        """
        if statistics is not None:
            return [self._with(statistics, matrix) for matrix in features]
        counted = counted or [None] * len(features)
        if self.needs_speaker:
            return self._by_speaker(features, speakers, counted)
        how = self._reach() | {"mode": self.mode, "prior": self._checked_prior()}
        return [cmvn(m, counted=c, **how) for m, c in zip(features, counted, strict=True)]

    def _with(self, statistics: np.ndarray, features: np.ndarray) -> np.ndarray:
        return cmvn(features, mode="speaker", statistics=statistics, norm_vars=self.norm_vars)

    def _by_speaker(
        self, features: Sequence[np.ndarray], speakers: Sequence[str], counted: Counted
    ) -> list[np.ndarray]:
        """With the statistics of all frames of a speaker that count; without any, features stay as they are."""
        of_speaker: dict[str, list[np.ndarray]] = {}
        for matrix, speaker, kept in zip(features, speakers, counted, strict=True):
            of_speaker.setdefault(speaker, []).append(matrix if kept is None else matrix[kept])
        known = {s: cmvn_statistics(m) for s, m in of_speaker.items() if any(map(len, m))}
        return [self._with(known[s], m) if s in known else m for m, s in zip(features, speakers, strict=True)]

    def stream(self, dim: int, *, silence: np.ndarray | None = None, pauses: np.ndarray | None = None) -> "Stage":
        """Causal normalisation of features that are still arriving.

        Raises:
            ValueError: without prior.
        """
        if not self.streams:
            raise ModelError(
                f"cmvn of mode {self.mode!r} needs a recording's end, so this pipeline cannot stream; use mode "
                "'causal', or front_end() and finish() on whole recordings"
            )
        from .streaming import StreamingNormalisation

        return StreamingNormalisation(CausalCmvn(dim, prior=self._checked_prior(), **self._reach()), silence, pauses)

    def _reach(self) -> dict[str, Any]:
        return {"norm_vars": self.norm_vars, "window": self.window, "global_frames": self.global_frames}

    def _checked_prior(self) -> np.ndarray | None:
        if self.streams and self.prior is None:
            raise ValueError("causal cmvn has no prior statistics; need with_prior(training features)")
        return self.prior


@dataclass(frozen=True, repr=False)
class Delta(_OfEach):
    """The features and their derivatives up to `order`, slopes over `window` frames on each side: see `delta`.

    Examples:
        >>> Delta().dim_after(13)
        39
    """

    kind = "delta"

    order: int = 2
    window: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_delta(self.order, self.window)

    @property
    def keeps_loudness(self) -> bool:
        """The derivatives come behind the features."""
        return True

    def dim_after(self, dim: int) -> int:
        """The features' own, and as many of each order."""
        return dim * (1 + self.order)

    def words(self) -> str:
        """Up to which order."""
        return f"derivatives up to order {self.order}"

    def of_one(self, features: np.ndarray) -> np.ndarray:
        """The features with their derivatives."""
        return delta(features, order=self.order, window=self.window)

    def stream(self, dim: int, *, silence: np.ndarray | None = None, pauses: np.ndarray | None = None) -> "Stage":
        """order * window frames late."""
        from .streaming import streaming_delta

        return streaming_delta(order=self.order, window=self.window)


@dataclass(frozen=True, repr=False)
class Splice(_OfEach):
    """Each frame with `left` frames before and `right` after it side by side: see `splice`."""

    kind = "splice"

    left: int = 4
    right: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_splice(self.left, self.right)

    def dim_after(self, dim: int) -> int:
        """Those of all frames side by side."""
        return dim * (self.left + 1 + self.right)

    def words(self) -> str:
        """With how many frames."""
        return f"spliced with {self.left} before and {self.right} after"

    def of_one(self, features: np.ndarray) -> np.ndarray:
        """The frames with their neighbours."""
        return splice(features, left=self.left, right=self.right)

    def stream(self, dim: int, *, silence: np.ndarray | None = None, pauses: np.ndarray | None = None) -> "Stage":
        """`right` frames late."""
        from .streaming import streaming_splice

        return streaming_splice(left=self.left, right=self.right)


@dataclass(frozen=True, repr=False, eq=False)
class Affine(_OfEach):
    """The frames times a learned matrix, e.g. LDA and MLLT: see `affine`.

    Attributes:
        matrix: float64 (new dim, dim), or (new dim, dim + 1) with an offset in the last column.
    """

    kind = "affine"
    array_name, learned = "affine", "matrix"

    matrix: np.ndarray

    __repr__ = brief_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", np.asarray(self.matrix, np.float64))
        if self.matrix.ndim != 2:
            raise ValueError("affine has no matrix; need one from then_affine()")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Affine) and np.array_equal(self.matrix, other.matrix)

    __hash__ = None  # type: ignore[assignment]

    def dim_after(self, dim: int) -> int:
        """The rows of the matrix.

        Raises:
            ValueError: where its columns do not fit.
        """
        if self.matrix.shape[1] - dim not in (0, 1):
            raise ValueError(f"a transform of shape {self.matrix.shape} does not fit features of {dim} values a frame")
        return len(self.matrix)

    def words(self) -> str:
        """That there is one."""
        return "times a learned matrix"

    def of_one(self, features: np.ndarray) -> np.ndarray:
        """The frames times the matrix."""
        from .affine import affine  # numba takes a while, which importing mfcc should not

        return affine(features, self.matrix)

    def stream(self, dim: int, *, silence: np.ndarray | None = None, pauses: np.ndarray | None = None) -> "Stage":
        """No frame late."""
        from .streaming import StreamingContext

        return StreamingContext(self.of_one, 0, 0)


STEPS: dict[str, type[Step]] = {step.kind: step for step in (Cmvn, Delta, Splice, Affine)}
"""The steps behind a front-end by their kind."""
