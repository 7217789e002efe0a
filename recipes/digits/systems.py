"""The systems that the digits recipe compares, and the settings of digits.toml."""

from dataclasses import asdict, dataclass
from typing import Any

from asr.adaptation import WARPS
from asr.features import LpcOptions, MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.recipe.strings import PADDED
from asr.recipe.systems import Grid, System

SINGLE, CONNECTED = ("official", "loso"), ("connected-official", "connected-loso")
SHIPPED = "causal-robust"  # the variant that is shipped with the package
AGAINST_MISMATCH = ("", "vars", "vtln", "speed", "robust")  # of which each fold of loso chooses one
SEVERAL_SEEDS = ("", "robust", "causal", SHIPPED)  # variants that are trained with every seed for the official tests
VARIANTS = ("plain", "vars", "vtln", "speed", "padded", "robust", "causal", SHIPPED)


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
    grid: Grid


def all_systems(settings: Settings) -> dict[System, tuple[str, ...]]:
    """Each system with the tests that it takes part in.

    The plain ones are normalised with the mean of all of a speaker's recordings, as in Kaldi's recipes. Against the
    mismatch of speakers: "vars" divides by the speaker's standard deviation too, "vtln" also chooses a warp for each
    speaker, "speed" is trained on the recordings at other speeds too. "padded" is trained on the recordings with pauses
    around them. "robust" does all of that but vtln. The causal ones know nothing but the past.
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
    return {
        system(mfcc, mean): (*SINGLE, *CONNECTED),
        system(lpcc, mean): (*SINGLE, *CONNECTED),
        system(mfcc, both, "vars"): SINGLE,
        system(mfcc, both, "vtln", warps=WARPS[::2]): SINGLE,
        system(mfcc, mean, "speed", speeds=settings.speeds): SINGLE,
        system(mfcc, mean, "padded", speeds=(), copies=(PADDED,)): ("official", "connected-official"),
        system(mfcc, both, "robust", **more): (*SINGLE, *CONNECTED),
        system(mfcc, causal, "causal"): (*SINGLE, *CONNECTED),
        system(mfcc, causal, SHIPPED, **more): (*SINGLE, *CONNECTED),
    }
