"""A model's whole way from samples to features, in order, as its model.json lists it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from ..errors import ConfigError, ModelError, did_you_mean
from ..options import field_names, with_keywords
from .affine import affine
from .deltas import delta, splice
from .descriptions import in_words
from .frames import Framing
from .front_ends import FRONT_ENDS
from .given import Given, GivenStream, as_features
from .normalization import MODES, CausalCmvn, cmvn, cmvn_statistics
from .options import FbankOptions, FrameOptions, FramePositions, MfccOptions, PitchOptions
from .pitch import PITCH_DIM, pitch
from .silence import equal_rows, pause_frames, silent_frames, with_pauses
from .streaming import (
    FeatureStream,
    Stage,
    StreamingContext,
    StreamingFrontEnd,
    StreamingNormalisation,
    streaming_delta,
    streaming_splice,
)

_KEYS = {
    "cmvn": ("mode", "norm_vars", "window", "global_frames"),
    "delta": ("order", "window"),
    "splice": ("left", "right"),
    "affine": (),
    "given": ("dim", "frame_shift", "first_boundary"),
    **dict.fromkeys(FRONT_ENDS, ("options", "pitch")),
    "pitch": ("options",),
}
_MOST_STEPS, _MOST_VALUES = 50, 100_000  # values of a frame; more is a slip, or a model made to take all memory
_FIRST = ("given", *FRONT_ENDS)  # the kinds of a first step


@dataclass(frozen=True, eq=False)
class FeaturePipeline:
    """The front-end and what is done to its output, step by step.

    sample_rate: Hz of the samples it takes; the caller resamples. 0 for features that are given.
    steps: what model.json holds. The first is the front-end, {"kind": "mfcc", "fbank", "lpc", "lpcc",
        "reflection_coefficients" or "pitch", "options": {...}}, if wanted with "pitch": {...}, settings of
        PitchOptions, for the three values of `pitch` behind those of the front-end; or {"kind": "given", "dim": 13,
        "frame_shift": 10.0} (in ms) where the corpus brings features along. The others are {"kind": "cmvn", "mode":
        "speaker", "utterance", "sliding" or "causal"}, if wanted with "norm_vars", "window" and "global_frames",
        {"kind": "delta"}, if wanted with "order" and "window", {"kind": "splice"}, if wanted with "left" and "right",
        and {"kind": "affine"}, a learned matrix.
    Where cmvn comes right behind the front-end, frames of digital silence, which no microphone made
    (asr.features.silence), count in no mean, and behind it frames of the training data's pauses stand in their place.

    priors: step number -> prior statistics (see `cmvn`) of each causal cmvn step; from `with_prior`.
    pauses: float32 (n, raw_dim), frames of pauses behind that cmvn step; None: none are known. From `with_prior`.
    matrices: step number -> the matrix of each affine step (see `affine`), e.g. LDA and MLLT; from `then_affine`.
    Raises ConfigError for an unknown kind, key or option, with the nearest known name, or an impossible value.
    """

    sample_rate: int
    steps: tuple[dict[str, Any], ...]
    priors: Mapping[int, np.ndarray] = field(default_factory=dict)
    matrices: Mapping[int, np.ndarray] = field(default_factory=dict)
    pauses: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(dict(step) for step in self.steps))
        if len(self.steps) > _MOST_STEPS:
            raise ConfigError(f"a feature pipeline of {len(self.steps)} steps; need {_MOST_STEPS} or fewer")
        for number, step in enumerate(self.steps):
            _check_step(number, step)
            if step["kind"] == "affine" and np.ndim(self.matrices.get(number, 0.0)) != 2:
                raise ConfigError(f"feature pipeline step {number}: affine has no matrix; need one from then_affine()")
        if not self.steps or self.steps[0]["kind"] not in _FIRST:
            raise ConfigError(f"the first of a feature pipeline's steps must be one of {', '.join(_FIRST)}")
        if type(self.sample_rate) is not int or (self.sample_rate < 1 if self.given is None else self.sample_rate != 0):
            wanted = "0 for given features" if self.given else "a whole number of Hz, 1 or more"
            raise ConfigError(f"sample_rate={self.sample_rate!r}; need {wanted}")
        try:
            self._check_dims()
            if self.given:
                raw = np.zeros((1, self.given.dim), dtype=np.float32)
            else:
                raw = self.front_end(np.zeros(self.sample_rate, dtype=np.float32))
            self.finish([raw], [""], check_only=True)
            if self.pauses is not None:
                self._check_pauses()
        except (ValueError, TypeError, ModelError) as error:
            at = "of given features" if self.given else f"at {self.sample_rate} Hz"
            raise ConfigError(f"feature pipeline {at}: {error}") from error

    def __repr__(self) -> str:
        return f"<FeaturePipeline: {in_words(self)}>"

    @cached_property
    def given(self) -> Given | None:
        """What the given features are; None for a pipeline that takes audio."""
        if self.steps[0]["kind"] != "given":
            return None
        if "dim" not in self.steps[0]:
            raise ConfigError('feature pipeline step 0: given features need "dim", their values per frame')
        return Given(**{key: value for key, value in self.steps[0].items() if key != "kind"})

    @cached_property
    def options(self) -> FramePositions:
        """The front-end's options. Raises ModelError where features are given."""
        self.need_audio()
        kind = self.steps[0]["kind"]
        return with_keywords(FRONT_ENDS[kind].options(), self.steps[0].get("options", {}), f"feature kind {kind!r}")

    @cached_property
    def pitch_options(self) -> PitchOptions | None:
        """How pitch is found, in the front-end's frames; None for features without pitch."""
        given = self.steps[0].get("pitch")
        if given is None:
            return None
        shared = [name for name in field_names(FramePositions) if name in given]
        if shared:
            raise ConfigError(f"feature pipeline step 0: pitch has the front-end's {shared[0]}; leave it out there")
        frames = {name: getattr(self.options, name) for name in field_names(FramePositions)}
        return with_keywords(PitchOptions(), {**given, **frames}, "pitch")

    @property
    def raw_dim(self) -> int:
        """Values per frame behind the front-end, or of the given features."""
        if self.given:
            return self.given.dim
        return FRONT_ENDS[self.steps[0]["kind"]].dim(self.options) + (PITCH_DIM if self.pitch_options else 0)

    @property
    def dim(self) -> int:
        """Values per frame behind the last step."""
        return self._dim_after(len(self.steps))

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""
        return (self.given or self.options).frame_shift / 1000

    @property
    def first_boundary(self) -> float:
        """Seconds: where the boundary before frame 0 lies; that before frame t is t frame shifts later.

        A frame speaks for its middle, so two frames meet halfway between theirs. With whole frames only (snip_edges)
        that is half a frame less half a shift after t shifts: 7.5 ms at 25 and 10 ms. Kaldi's times leave this out.
        """
        if self.given:
            return self.given.first_boundary / 1000
        if not self.options.snip_edges:
            return 0.0
        return max(0.0, self.options.frame_length - self.options.frame_shift) / 2000

    @property
    def streaming(self) -> bool:
        """Whether the features of a frame need nothing of the future but a few frames."""
        return not self._needs_whole and all(step["mode"] == "causal" for step in self.steps if step["kind"] == "cmvn")

    @property
    def _needs_whole(self) -> bool:
        """Whether the first step needs a recording's end: pitch does, being that of the best way through all frames."""
        first = self.steps[0]
        return "pitch" in first or (not self.given and not FRONT_ENDS[first["kind"]].streams)

    def need_audio(self) -> None:
        """Raise ModelError for a pipeline that takes features."""
        if self.given:
            raise ModelError(
                f"this model takes features ({self.given.dim} values every {self.given.frame_shift:g} ms), not audio: "
                "give it FILE.npy, a feats.scp, or a data directory that has one"
            )

    def front_end(self, samples: np.ndarray, *, seed: int = 0, vtln_warp: float = 1.0) -> np.ndarray:
        """The first step's features, float32 (n_frames, raw_dim).

        samples: float32 (n_samples,) in [-1, 1] at `sample_rate`; seed, vtln_warp: as in `mfcc`.
        Raises AudioError for samples that are not finite or shorter than a frame, ValueError for a warp of a front-end
        without mel filters, ModelError where features are given.
        """
        self.need_audio()
        extractor, options = FRONT_ENDS[self.steps[0]["kind"]], self.options
        features = extractor(samples, self.sample_rate, options, seed=seed, vtln_warp=vtln_warp)
        if self._silence is not None:
            features[silent_frames(samples, Framing.of(options, self.sample_rate))] = self._silence
        if self.pitch_options is None:
            return features
        return np.hstack([features, pitch(samples, self.sample_rate, options=self.pitch_options)])

    def raw(self, features: np.ndarray, *, where: str = "") -> np.ndarray:
        """Features in place of the front-end's, float32 (n_frames, raw_dim): given ones, or ones computed elsewhere.

        where: whose they are, for messages. Raises CorpusError for another shape or values that are not finite.
        """
        return as_features(features, dim=self.raw_dim, where=where)

    def finish(
        self,
        raw: Sequence[np.ndarray],
        speakers: Sequence[str],
        *,
        check_only: bool = False,
        statistics: Mapping[int, np.ndarray] | None = None,
        until: int | None = None,
    ) -> list[np.ndarray]:
        """Everything behind the front-end: a list of float32 (n_frames, dim), one of each utterance.

        raw: what `front_end` or `raw` gave; speakers: whose they are, which matters to mode "speaker": its statistics
        are over the utterances in this list.
        check_only: a causal step without prior statistics is no error.
        statistics: number of a cmvn step -> the statistics of the recording or speaker that these are pieces of, which
            are taken instead of the pieces' own.
        until: the step to stop before.
        Raises ValueError for lists of different lengths or a causal step without prior statistics.
        """
        if len(raw) != len(speakers):
            raise ValueError(f"{len(raw)} feature matrices but {len(speakers)} speakers")
        features = list(raw)
        silent = [self.silent(matrix) for matrix in features]
        for number in range(1, len(self.steps) if until is None else until):
            if not check_only:
                self._check_prior(number)
            is_first = number == 1 and self._silence is not None
            if statistics and number in statistics:
                step = {key: value for key, value in self.steps[number].items() if key not in ("kind", "mode")}
                features = [cmvn(m, mode="speaker", statistics=statistics[number], **step) for m in features]
            else:
                features = self._apply(number, features, speakers, [~s for s in silent] if is_first else None)
            if is_first:
                features = [with_pauses(f, s, self.pauses) for f, s in zip(features, silent, strict=True)]
        return features

    def silent(self, raw: np.ndarray) -> np.ndarray:
        """Which frames of the front-end's are digital silence, bool (n_frames,). raw: (n_frames, raw_dim)."""
        return equal_rows(raw, self._silence)

    @cached_property
    def _silence(self) -> np.ndarray | None:
        """The values that mark a frame of digital silence: the front-end's of zeros; None where none is marked."""
        is_normalised = len(self.steps) > 1 and self.steps[1]["kind"] == "cmvn"
        if not is_normalised or self.given or not FRONT_ENDS[self.steps[0]["kind"]].streams:
            return None
        options = self.options
        if isinstance(options, FrameOptions):
            options = dataclasses.replace(options, dither=0.0)
        zeros = np.zeros(Framing.of(options, self.sample_rate).size, np.float32)
        return FRONT_ENDS[self.steps[0]["kind"]](zeros, self.sample_rate, options)[0]

    def _check_pauses(self) -> None:
        """Raise ValueError unless the frames of pauses are of this front-end."""
        shape = () if self.pauses is None else self.pauses.shape
        if len(shape) != 2 or not shape[0] or shape[1] != self.raw_dim:
            raise ValueError(f"frames of pauses have shape {shape}; need (n, {self.raw_dim}), n 1 or more")

    def loudness(self, finished: np.ndarray) -> np.ndarray | None:
        """Logarithms of the frames' energy, up to scale and offset, float32 (n_frames,); None if they cannot be told.

        finished: float32 (n_frames, dim), from `finish`. Of mel filters the lower half is taken, where voices are
        louder than most noises; of MFCC C0 or the energy.
        """
        behind = [step["kind"] == "delta" or step.get("mode") in ("utterance", "speaker") for step in self.steps[1:]]
        options = None if self.given else self.options
        if not all(behind) or not isinstance(options, MfccOptions | FbankOptions):
            return None
        if isinstance(options, MfccOptions):
            return finished[:, options.num_ceps - 1 if options.htk_compat else 0]
        if not options.use_log_fbank:
            return None
        first = int(options.use_energy and not options.htk_compat)
        return finished[:, first : first + max(1, options.num_mel_bins // 2)].mean(axis=1)

    def stream(self, *, seed: int = 0, vtln_warp: float = 1.0) -> FeatureStream:
        """The whole pipeline for a signal that is still arriving, to be fed with pieces of samples.

        All its frames, one after the other, equal bit for bit those of `front_end` and `finish`. Where features are
        given, it is fed with frames, (n, raw_dim).

        seed, vtln_warp: as in `front_end`.
        Raises ModelError for a pipeline with a step that needs the future (see `streaming`), ValueError for a causal
        step without prior statistics.
        """
        kind = self.steps[0]["kind"]
        if self._needs_whole:
            raise ModelError(
                "pitch is known when a recording has ended, so this pipeline cannot stream; use front_end() and "
                "finish() on whole recordings"
            )
        first: Stage = GivenStream(self.raw_dim) if self.given else self._front_end_stream(kind, seed, vtln_warp)
        stages = [first]
        for number, step in enumerate(self.steps[1:], start=1):
            settings = {key: value for key, value in step.items() if key not in ("kind", "mode")}
            if step["kind"] == "delta":
                stages.append(streaming_delta(**settings))
            elif step["kind"] == "splice":
                stages.append(streaming_splice(**settings))
            elif step["kind"] == "affine":
                stages.append(StreamingContext(partial(affine, matrix=self.matrices[number]), 0, 0))
            elif self._is_causal(number):
                self._check_prior(number)
                causal = CausalCmvn(self._dim_after(number), prior=self.priors[number], **settings)
                stages.append(StreamingNormalisation(causal, self._silence, self.pauses) if number == 1 else causal)
            else:
                raise ModelError(
                    f"feature pipeline step {number} (cmvn, mode {step['mode']!r}) needs a recording's end, so this "
                    "pipeline cannot stream; use mode 'causal', or front_end() and finish() on whole recordings"
                )
        return FeatureStream(stages)

    def _front_end_stream(self, kind: str, seed: int, vtln_warp: float) -> StreamingFrontEnd:
        options = self.options
        assert isinstance(options, FrameOptions)  # of what streams
        how: dict[str, Any] = {"seed": seed, "vtln_warp": vtln_warp, "silence": self._silence}
        return StreamingFrontEnd(kind, self.sample_rate, options=options, **how)

    def with_prior(self, raw: Sequence[np.ndarray]) -> "FeaturePipeline":
        """The pipeline that has learned from training data what its causal steps start from, and how pauses look.

        raw: what `front_end` gave for the training data.
        Raises ValueError without any frame that is not digital silence, where there is a cmvn step.
        """
        causal = [number for number in range(len(self.steps)) if self._is_causal(number)]
        if len(causal) > 1:
            raise ValueError("a pipeline with more than one causal cmvn step is not supported; need one")
        if not causal and self._silence is None:
            return self
        features = [self._counted(matrix) for matrix in raw]
        features = [matrix for matrix in features if len(matrix)]
        if not features:
            raise ValueError("no frames to take statistics of: all recordings are digital silence, or empty")
        pauses_from = features[:: len(features) // 1000 + 1]
        for number in range(1, causal[0] if causal else 0):
            features = self._apply(number, features, [""] * len(features))
        priors = {number: cmvn_statistics(features) for number in causal}
        learned = dataclasses.replace(self, priors=priors)
        return dataclasses.replace(learned, pauses=learned._pauses_of(pauses_from))

    def _counted(self, raw: np.ndarray) -> np.ndarray:
        """The frames that are no digital silence; the same array where there is none, as a corpus may be large."""
        silent = self.silent(raw)
        return raw[~silent] if silent.any() else raw

    def _pauses_of(self, raw: list[np.ndarray]) -> np.ndarray | None:
        """Frames of the pauses in utterances, or None where loudness cannot be told from features.

        raw: features without digital silence. Each utterance is taken for a speaker of its own.
        """
        options = None if self.given else self.options
        rises = self.steps[0]["kind"] in ("mfcc", "fbank", "lpcc") and not getattr(options, "htk_compat", False)
        if self._silence is None or not rises:
            return None
        return pause_frames(self._apply(1, raw, [str(k) for k in range(len(raw))]))

    def then(self, *steps: dict[str, Any]) -> "FeaturePipeline":
        """The pipeline with further steps behind the last one."""
        return dataclasses.replace(self, steps=(*self.steps, *steps))

    def then_affine(self, matrix: np.ndarray) -> "FeaturePipeline":
        """The pipeline with a learned transform behind the last step.

        matrix: (new dim, dim), or (new dim, dim + 1) with an offset in the last column; see `affine`.
        Raises ConfigError where it does not fit.
        """
        matrices = {**self.matrices, len(self.steps): np.asarray(matrix, np.float64)}
        return dataclasses.replace(self, steps=(*self.steps, {"kind": "affine"}), matrices=matrices)

    def to_json(self) -> dict[str, Any]:
        """What model.json holds of it: the sampling rate and the steps."""
        return {"sample_rate": self.sample_rate, "steps": [dict(step) for step in self.steps]}

    def arrays(self) -> dict[str, np.ndarray]:
        """The prior statistics and the matrices by name, for the model's file of arrays."""
        priors = {f"cmvn_prior_{number}": statistics for number, statistics in self.priors.items()}
        pauses = {} if self.pauses is None else {"pauses": self.pauses}
        return priors | pauses | {f"affine_{number}": matrix for number, matrix in self.matrices.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> "FeaturePipeline":
        """The pipeline from what `to_json` and `arrays` gave. Raises ConfigError for anything else."""
        known = ("sample_rate", "steps")
        for key in value:
            if key not in known:
                raise ConfigError(f"feature pipeline has no key {key!r}{did_you_mean(key, known)}")
        missing = [key for key in known if key not in value]
        if missing:
            raise ConfigError(f"feature pipeline lacks {missing[0]!r}")
        steps = tuple(value["steps"])

        def by_step(name: str) -> dict[int, np.ndarray]:
            found = ((number, (arrays or {}).get(f"{name}_{number}")) for number in range(len(steps)))
            return {number: np.asarray(array, np.float64) for number, array in found if array is not None}

        pauses = (arrays or {}).get("pauses")
        pauses = None if pauses is None else np.asarray(pauses, np.float32)
        return cls(value["sample_rate"], steps, by_step("cmvn_prior"), by_step("affine"), pauses)

    def _dim_after(self, number: int) -> int:
        """Values per frame behind the first `number` steps."""
        dim = self.raw_dim
        for i, step in enumerate(self.steps[1:number], start=1):
            dim = len(self.matrices[i]) if step["kind"] == "affine" else dim * _growth(step)
        return dim

    def _check_dims(self) -> None:
        """Raise ValueError where a frame would have too many values behind some step."""
        for number in range(len(self.steps)):
            dim = self._dim_after(number + 1)
            if dim > _MOST_VALUES:
                raise ValueError(f"{dim} values a frame behind step {number}; need {_MOST_VALUES} or fewer")

    def _is_causal(self, number: int) -> bool:
        return self.steps[number].get("mode") == "causal"

    def _check_prior(self, number: int) -> None:
        """Raise ValueError for a causal step without prior statistics."""
        if self._is_causal(number) and number not in self.priors:
            raise ValueError(f"step {number} (causal cmvn) has no prior statistics; need with_prior(training features)")

    def _apply(
        self,
        number: int,
        features: list[np.ndarray],
        speakers: Sequence[str],
        counted: Sequence[np.ndarray | None] | None = None,
    ) -> list[np.ndarray]:
        """One step behind the front-end, on all utterances. counted: of a cmvn step, see `cmvn`."""
        step = {key: value for key, value in self.steps[number].items() if key != "kind"}
        if self.steps[number]["kind"] == "delta":
            return [delta(matrix, **step) for matrix in features]
        if self.steps[number]["kind"] == "splice":
            return [splice(matrix, **step) for matrix in features]
        if self.steps[number]["kind"] == "affine":
            return [affine(matrix, self.matrices[number]) for matrix in features]
        counted = counted or [None] * len(features)
        if step["mode"] == "speaker":
            return _normalised_by_speaker(features, speakers, counted, step)
        prior = self.priors.get(number)  # of causal steps alone
        return [cmvn(m, counted=c, prior=prior, **step) for m, c in zip(features, counted, strict=True)]


def _normalised_by_speaker(
    features: list[np.ndarray], speakers: Sequence[str], counted: Sequence[np.ndarray | None], step: dict[str, Any]
) -> list[np.ndarray]:
    """cmvn with the statistics of all frames of a speaker that count; without any, features stay as they are."""
    of_speaker: dict[str, list[np.ndarray]] = {}
    for matrix, speaker, kept in zip(features, speakers, counted, strict=True):
        of_speaker.setdefault(speaker, []).append(matrix if kept is None else matrix[kept])
    statistics = {s: cmvn_statistics(m) for s, m in of_speaker.items() if any(map(len, m))}
    return [
        cmvn(m, statistics=statistics[s], **step) if s in statistics else m
        for m, s in zip(features, speakers, strict=True)
    ]


def _growth(step: dict[str, Any]) -> int:
    """How many times as many values per frame a step gives as it takes."""
    if step["kind"] == "delta":
        return 1 + step.get("order", 2)
    return step.get("left", 4) + 1 + step.get("right", 4) if step["kind"] == "splice" else 1


def _check_step(number: int, step: dict[str, Any]) -> None:
    """Raise ConfigError unless a step's kind, keys, mode and option names are known and it stands where it may."""
    where, kind = f"feature pipeline step {number}", step.get("kind")
    if kind not in _KEYS:
        raise ConfigError(f"{where}: unknown kind {kind!r}{did_you_mean(str(kind), _KEYS)}")
    for key in step:
        if key not in ("kind", *_KEYS[kind]):
            raise ConfigError(f"{where}: {kind} has no key {key!r}{did_you_mean(key, _KEYS[kind])}")
    if kind in _FIRST and number:
        raise ConfigError(f"{where}: {kind} is a front-end; need it first and once")
    if "pitch" in step and (kind == "pitch" or not isinstance(step["pitch"], Mapping)):
        raise ConfigError(f"{where}: pitch = {step['pitch']!r}; need a table of settings, {{}} for the defaults")
    if kind in FRONT_ENDS:
        known = field_names(FRONT_ENDS[kind].options)
        for name in step.get("options", {}):
            if name not in known:
                raise ConfigError(f"{where}: {kind} has no option {name!r}{did_you_mean(name, known)}")
    if kind == "cmvn" and step.get("mode") not in MODES:
        raise ConfigError(f"{where}: cmvn mode {step.get('mode')!r}; need one of {', '.join(MODES)}")
