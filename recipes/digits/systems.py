"""The systems that the digits recipe compares, and the settings of digits.toml."""

import importlib.util
import logging
from dataclasses import asdict, dataclass, replace
from typing import Any

from asr.extras import install
from asr.features import LpcOptions, MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.recipe.ctc_tests import JointGrid, PrefixGrid
from asr.recipe.grammars import Grammar
from asr.recipe.networks import CTC_SYSTEMS, HYBRID, LFMMI, CtcPlan, HybridPlan, JointPlan, LfmmiPlan
from asr.recipe.rungs import Search
from asr.recipe.strings import PADDED
from asr.recipe.systems import Grid, NetworkSystem, System, rungs_above
from asr.train.ladder import STAGES, Sizes
from asr.train.vtln import WARPS

SINGLE, CONNECTED = ("official", "loso"), ("connected-official", "connected-loso")
CAUSAL_ROBUST = "causal-robust"
AGAINST_MISMATCH = ("", "vars", "vtln", "speed", "robust")  # of which each fold of loso chooses one
SEVERAL_SEEDS = ("", "robust", "causal", CAUSAL_ROBUST)  # of monophones, variants whose official tests have every seed
MODELS = (*STAGES, HYBRID, LFMMI, *CTC_SYSTEMS)  # the last ones are made in ctc.py
VARIANTS = ("plain", "vars", "vtln", "speed", "padded", "robust", "causal", CAUSAL_ROBUST)

logger = logging.getLogger("asr.recipe")


@dataclass(frozen=True)
class Settings:
    """digits.toml."""

    sample_rate: int
    seeds: tuple[int, ...]
    string_seed: int
    n_jobs: int
    global_frames: int
    speeds: tuple[float, ...]
    mfcc: MfccOptions
    lpcc: LpcOptions
    mono: MonoOptions
    sizes: Sizes
    robust_sizes: Sizes
    grid: Grid
    dnn: HybridPlan
    dnn_grid: Grid
    lfmmi: LfmmiPlan
    lfmmi_grid: Grid
    rnn_ctc: CtcPlan
    cnn_lstm_ctc: CtcPlan
    ctc_attention: JointPlan
    ctc_words: Grammar
    ctc_search: Search
    prefix_search: PrefixGrid
    joint_search: JointGrid


def trainable(systems: dict[System, tuple[str, ...]]) -> dict[System, tuple[str, ...]]:
    """Those that can be trained here: without torch none with a network, of which the user is told."""
    rest = {s: tests for s, tests in systems.items() if not isinstance(s, NetworkSystem)}
    return systems if len(rest) == len(systems) or has_torch() else rest


def has_torch() -> bool:
    """Whether networks can be trained here; if not, the user is told."""
    if importlib.util.find_spec("torch") is not None:
        return True
    logger.warning("systems with networks are left out: torch is not installed; %s", install("nn"))
    return False


def has_several_seeds(system: System) -> bool:
    """Whether a system is trained with every seed for the official tests."""
    return system.model == "mono" and system.variant in SEVERAL_SEEDS


def robust_monophone(settings: Settings) -> System:
    """The monophones on whose features and copies the robust systems above them are trained."""
    return next(s for s in all_systems(settings) if s.model == "mono" and s.variant == "robust")


def all_systems(settings: Settings) -> dict[System, tuple[str, ...]]:
    """Each system with the tests that it takes part in.

    The plain ones are normalised with the mean of all of a speaker's recordings, as in Kaldi's recipes. Against the
    mismatch of speakers: "vars" divides by the speaker's standard deviation too, "vtln" also chooses a warp for each
    speaker, "speed" is trained on the recordings at other speeds too. "padded" is trained on the recordings with pauses
    around them. "robust" does all of that but vtln. The causal ones know nothing but the past. Above the monophones are
    all rungs of the plain system, and the last one of the robust system, with the decoding options of the plain one.
    Above that one are two networks, each trained on its alignments: the hybrid on its features, after fMLLR, the one of
    LF-MMI on the features of the robust monophones.
    """
    mfcc: dict[str, Any] = {"kind": "mfcc", "options": asdict(settings.mfcc)}
    lpcc: dict[str, Any] = {"kind": "lpcc", "options": asdict(settings.lpcc)}
    deltas = {"kind": "delta", "order": 2, "window": 2}
    mean: dict[str, Any] = {"kind": "cmvn", "mode": "speaker"}
    both: dict[str, Any] = {"kind": "cmvn", "mode": "speaker", "norm_vars": True}
    causal: dict[str, Any] = {"kind": "cmvn", "mode": "causal", "global_frames": settings.global_frames}

    def system(front_end: dict, cmvn: dict, variant: str = "", **more: Any) -> System:
        pipeline = FeaturePipeline(settings.sample_rate, (front_end, cmvn, deltas))
        return System(pipeline, settings.mono, "none" if cmvn is causal else "speaker", variant, **more)

    more: dict[str, Any] = {"speeds": settings.speeds, "copies": (PADDED,)}
    plain, robust = system(mfcc, mean), system(mfcc, both, "robust", **more)
    above = rungs_above(plain, settings.sizes)
    best = replace(rungs_above(robust, settings.robust_sizes)[-1], tuned_as=above[-1])

    def network(model: str, features: FeaturePipeline, plan: HybridPlan | LfmmiPlan, grid: Grid) -> System:
        return NetworkSystem(
            features, best.options, "speaker", "robust", model, below=best, plan=plan, grid=grid, **more
        )

    return {
        plain: (*SINGLE, *CONNECTED),
        system(lpcc, mean): (*SINGLE, *CONNECTED),
        system(mfcc, both, "vars"): SINGLE,
        system(mfcc, both, "vtln", warps=WARPS[::2]): SINGLE,
        system(mfcc, mean, "speed", speeds=settings.speeds): SINGLE,
        system(mfcc, mean, "padded", speeds=(), copies=(PADDED,)): ("official", "connected-official"),
        robust: (*SINGLE, *CONNECTED),
        system(mfcc, causal, "causal"): (*SINGLE, *CONNECTED),
        system(mfcc, causal, CAUSAL_ROBUST, **more): (*SINGLE, *CONNECTED),
        **dict.fromkeys(above, SINGLE),
        best: SINGLE,
        network(HYBRID, best.features, settings.dnn, settings.dnn_grid): SINGLE,
        network(LFMMI, robust.features, settings.lfmmi, settings.lfmmi_grid): SINGLE,
    }
