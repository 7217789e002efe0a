"""The systems that a recipe compares, the folds of its tests, and the bench that trains, tunes and tests them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..features.pipeline import FeaturePipeline
from ..gmm.mono import MonoOptions
from ..train.ladder import STAGES, Sizes
from ..train.speeds import speed_prefix
from .network_stages import train_above
from .networks import HybridPlan, LfmmiPlan
from .stages import Run
from .tasks import Features, test, train, tune
from .tested import Tested, collect


@dataclass(frozen=True)
class Grid:
    """The decoding options that are tried on held-out utterances, and the beam (nats) of all decoding."""

    acoustic_scales: tuple[float, ...] = (0.0333, 0.05, 0.0667, 0.0833, 0.1, 0.1429, 0.2)
    insertion_penalties: tuple[float, ...] = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 7.0, 10.0)
    beam: float = 13.0


@dataclass(frozen=True)
class System:
    """One way to build a recogniser: everything but the data and the seed.

    features: the pipeline, as in model.json; without what training adds to it, where the model is not "mono".
    options: of monophones, or the sizes of a model above them. adaptation: see ResultRow.
    model: a stage of asr.train.ladder. below: the system whose model and alignment a model above "mono" starts from.
    tuned_as: the system whose errors on held-out data choose the decoding options, so that of this one only the models
        that are tested are trained; None: its own.
    speeds: of the training recordings, 1.0 is as they are; see `speed_copies`. Without any, only copies are trained on.
    copies: prefixes of the ids of further copies of the training recordings, which must be among the data.
    warps: of the mel filters, to choose each speaker's from (see asr.train.vtln); empty where none is chosen.
    """

    features: FeaturePipeline
    options: MonoOptions | Sizes
    adaptation: str
    variant: str = ""
    model: str = "mono"
    speeds: tuple[float, ...] = (1.0,)
    copies: tuple[str, ...] = ()
    warps: tuple[float, ...] = ()
    below: "System | None" = None
    tuned_as: "System | None" = None

    @property
    def front_end(self) -> str:
        """The first step's kind, e.g. "mfcc"."""
        return self.features.kind

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the ids of all recordings that it is trained on begin with; nothing for the recordings themselves."""
        return (*("" if speed == 1.0 else speed_prefix(speed) for speed in self.speeds), *self.copies)

    @property
    def name(self) -> str:
        """A name for folders."""
        parts = (self.model, self.front_end, self.variant, self.adaptation)
        return "-".join(p for p in parts if p)


@dataclass(frozen=True, eq=False)
class NetworkSystem(System):
    """A system with a network, above the rung `below`; `model` is asr.recipe.networks.HYBRID or LFMMI.

    features: of a hybrid the rung's, which it takes after each speaker's fMLLR transform; by LF-MMI its own.
    plan: the network and its training. grid: of its decoding, since its scores have another scale than the GMMs'.
    """

    plan: HybridPlan | LfmmiPlan = field(default_factory=HybridPlan)
    grid: Grid = field(default_factory=Grid)


def rungs_above(mono: System, sizes: Sizes) -> list[System]:
    """The models above monophones, each trained from the one below.

    mono: its features end with derivatives, which are left out for the others: asr.train.ladder adds what
        each of them needs.
    """
    found = [mono]
    features = replace(mono.features, steps=mono.features.steps[:-1])
    for model in STAGES[1:]:
        found.append(replace(mono, features=features, options=sizes, model=model, below=found[-1]))
    return found[1:]


def warped_name(front_end: str, warp: float) -> str:
    """What features at a warp are called, e.g. "mfcc-warp0.92"; at warp 1 they are just "mfcc"."""
    return front_end if warp == 1.0 else f"{front_end}-warp{warp:g}"


@dataclass(frozen=True)
class HeldOut:
    """A part of the training data that decoding is tuned on, and the rest, which a model is trained on for that.

    name: of the rest; folds that leave out the same utterances share one model.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Fold:
    """Training and test utterances, and how the training part is split for tuning.

    model: name of the training part; folds with the same one share a model. Empty: the fold's name.
    few: those of `held_out` that networks are tuned on, where training one for each would cost too much. Empty: all.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    held_out: tuple[HeldOut, ...]
    model: str = ""
    few: tuple[HeldOut, ...] = ()

    def parts(self, system: System) -> tuple[HeldOut, ...]:
        """What a system is tuned on."""
        return self.few if self.few and isinstance(system, NetworkSystem) else self.held_out


@dataclass(frozen=True)
class Bench:
    """What all systems of a recipe have in common.

    data: a folder of `extract_features`, or one for each front end's name, and each name with a warp: see
        `warped_name`. lexicon: a lexicon file.
    tuning_seed: of the models trained for tuning. fallback: see asr.model.graphs.with_graph.
    truth: a CTM file of true word times, of test utterances whose word edges are scored too.
    """

    run: Run
    data: Path | Mapping[str, Path]
    lexicon: Path
    grid: Grid
    n_jobs: int = 1
    tuning_seed: int = 0
    fallback: str | None = None
    truth: Path | None = None

    def test(self, system: System, folds: Sequence[Fold], seed: int) -> "Tested":
        """Train, tune and test a system on every fold; what is there already is not done again."""
        trained, tested, tunings = [], [], []
        for fold in folds:
            tuned = [self._tuned(system.tuned_as or system, part) for part in fold.parts(system)]
            tunings.append(tuned)
            model = self._trained(system, fold.model or fold.name, fold.train, seed)
            data, beam = self._data(system), self._grid(system).beam
            inputs = {"data": data, "trained": model, "ids": fold.test, "tuned": tuned, "beam": beam}
            tested.append(self._stage(f"test-{system.name}-{fold.name}-seed{seed}", test, inputs))
            trained.append(model)
        return collect(tested, trained, tunings, self.truth)

    def _data(self, system: System) -> Features:
        if isinstance(self.data, Path):
            return self.data
        of_warp = {warp: self.data[warped_name(system.front_end, warp)] for warp in system.warps}
        return of_warp or self.data[system.front_end]

    def _grid(self, system: System) -> Grid:
        return system.grid if isinstance(system, NetworkSystem) else self.grid

    def _tuned(self, system: System, part: HeldOut) -> Path:
        model = self._trained(system, part.name, part.train, self.tuning_seed)
        heard = hashlib.sha256("\n".join(part.test).encode()).hexdigest()[:8]
        inputs: dict[str, Any] = {"data": self._data(system), "trained": model, "ids": part.test}
        inputs["grid"] = self._grid(system)
        return self._stage(f"tune-{system.name}-{part.name}-on-{heard}", tune, inputs)

    def _trained(self, system: System, name: str, ids: tuple[str, ...], seed: int) -> Path:
        """A trained model; those below it are trained first."""
        below = None if system.below is None else self._trained(system.below, name, ids, seed)
        inputs: dict[str, Any] = {"data": self._data(system), "ids": ids, "lexicon": self.lexicon, "system": system}
        inputs |= {"seed": seed, "n_jobs": self.n_jobs, "fallback": self.fallback, "below": below}
        if isinstance(system, NetworkSystem):
            return self._trained_above(system, name, inputs)
        return self._stage(f"train-{system.name}-{name}-seed{seed}", train, inputs)

    def _trained_above(self, system: NetworkSystem, name: str, inputs: dict[str, Any]) -> Path:
        """A trained network. inputs: as of a rung."""
        assert system.below is not None  # alignments come from there
        of_rung, own = self._data(system.below), self._data(system)
        inputs = {k: v for k, v in inputs.items() if k not in ("lexicon", "fallback")}
        inputs |= {"data": of_rung, "inputs": None if own == of_rung else own}
        return self._stage(f"train-{system.name}-{name}-seed{inputs['seed']}", train_above, inputs)

    def _stage(self, name: str, make: Callable[..., None], inputs: dict[str, Any]) -> Path:
        """A stage that several folds may share."""
        if name not in self.run.folders:
            self.run.stage(name, make, inputs)
        return self.run.folders[name]
