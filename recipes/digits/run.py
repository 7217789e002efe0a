"""Spoken digits with a monophone GMM-HMM: features, training, tuning on held-out speech, test, report.

    python recipes/digits/run.py --corpus DIR --out build/digits    the Free Spoken Digit Dataset in DIR or below it
    python recipes/digits/run.py --corpus synth --out build/demo    speech synthesised on the spot

The same command goes on where an interrupted run stopped.
"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from corpora import (  # type: ignore[import-not-found]
    connected_tests,
    places,
    read_fsdd,
    single_tests,
    string_lists,
    synth_tests,
    synthesised,
    write_lists,
)

from asr.corpus import Corpus, Utterance
from asr.features import LpcOptions, MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.recipe import Run, load_config, run_recipe
from asr.recipe.ending import Result, finish, ship
from asr.recipe.strings import PADDED, join_strings, padded_copies, spoken
from asr.recipe.systems import Bench, Grid, System, copied, extract_features, speed_copies, speed_prefix

HERE = Path(__file__).resolve().parent
LEXICON = HERE.parents[1] / "lang" / "digits" / "lexicon.tsv"
TESTS = ("official", "loso", "connected-official", "connected-loso")


@dataclass(frozen=True)
class Settings:
    """digits.toml."""

    sample_rate: int
    seeds: tuple[int, ...]
    string_seed: int
    n_jobs: int
    global_frames: int
    mfcc: MfccOptions
    lpcc: LpcOptions
    mono: MonoOptions
    grid: Grid


def main() -> None:
    arguments = parse_arguments()
    settings = load_config(HERE / "digits.toml", Settings)
    if arguments.make_lists:
        write_lists(read_fsdd(Path(arguments.corpus)), settings.string_seed)
        return
    run = Run(arguments.out)
    systems = all_systems(settings)
    if arguments.corpus == "synth":
        corpus, copies, truth = synthesised(run), [], None
        systems, tests = [s for s in systems if s.variant == "causal"], synth_tests(corpus)
    else:
        corpus = read_fsdd(Path(arguments.corpus))
        copies = training_copies(run, corpus, systems, settings)
        inputs = {"utterances": list(corpus), "strings": string_lists(corpus, settings.string_seed)}
        inputs |= {"rate": settings.sample_rate, "seed": settings.string_seed}
        joined = run.stage("strings", join_strings, inputs)
        strings, truth = spoken(joined, corpus), joined / "edges.ctm"
        possible = single_tests(corpus) | connected_tests(corpus, strings)
        tests = {name: possible[name] for name in arguments.tests}
        corpus = Corpus([*corpus, *strings])
    data = {}
    for system in systems:
        if system.front_end not in data:
            inputs = {"utterances": [*corpus, *copies], "pipeline": system.features, "n_jobs": settings.n_jobs}
            data[system.front_end] = run.stage(f"features-{system.front_end}", extract_features, inputs)
    bench = Bench(run, data, LEXICON, settings.grid, settings.n_jobs, fallback="digits", truth=truth)
    results = [
        Result(system, name, seed, bench.test(system, folds, seed))
        for name, (folds, n_seeds) in tests.items()
        for system in systems
        for seed in settings.seeds[: min(n_seeds, arguments.seeds or n_seeds)]
    ]
    finish(run, "Spoken digits", results, corpus)
    if arguments.ship:
        ship(arguments.ship, [r for r in results if r.system.adaptation == "none"], LEXICON.parent / "CARD.md")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="synth", metavar="DIR|synth", help="the recordings, or synth (default)")
    parser.add_argument("--out", default="build/digits", metavar="DIR", help="where everything goes (%(default)s)")
    parser.add_argument("--tests", default=",".join(TESTS), metavar="NAMES", help="only these (%(default)s)")
    parser.add_argument("--seeds", type=int, metavar="N", help="no more than N seeds a test, for a quick look")
    parser.add_argument("--ship", type=Path, metavar="DIR", help="also write the streaming model with its card there")
    parser.add_argument("--make-lists", action="store_true", help="only write the lists of strings anew")
    arguments = parser.parse_args()
    arguments.tests = arguments.tests.split(",")
    if not set(arguments.tests) <= set(TESTS) or (arguments.ship and set(arguments.tests) != set(TESTS)):
        parser.error(f"--tests takes {','.join(TESTS)} or some of them; --ship needs them all")
    return arguments


def all_systems(settings: Settings) -> list[System]:
    """The plain ones are normalised with all of a speaker's recordings, as in Kaldi's recipes; "causal" with the past.

    "padded" is trained on copies of the recordings with pauses around them, and not on the recordings themselves.
    """
    mfcc: dict[str, Any] = {"kind": "mfcc", "options": asdict(settings.mfcc)}
    lpcc: dict[str, Any] = {"kind": "lpcc", "options": asdict(settings.lpcc)}
    deltas = {"kind": "delta", "order": 2, "window": 2}
    speaker: dict[str, Any] = {"kind": "cmvn", "mode": "speaker"}
    causal: dict[str, Any] = {"kind": "cmvn", "mode": "causal", "global_frames": settings.global_frames}

    def system(front_end: dict, cmvn: dict, adaptation: str, variant: str = "", **more: Any) -> System:
        pipeline = FeaturePipeline(settings.sample_rate, (front_end, cmvn, deltas))
        return System(pipeline, settings.mono, adaptation, variant, **more)

    return [
        system(mfcc, speaker, "speaker"),
        system(mfcc, speaker, "speaker", "padded", speeds=(), copies=(PADDED,)),
        system(mfcc, causal, "none", "causal"),
        system(lpcc, speaker, "speaker"),
    ]


def training_copies(run: Run, corpus: Corpus, systems: list[System], settings: Settings) -> list[Utterance]:
    """What systems are trained on beside the recordings: these at other speeds, or with pauses around them."""
    found: list[Utterance] = []
    inputs: dict[str, Any] = {"utterances": list(corpus), "rate": settings.sample_rate}
    for speed in sorted({speed for s in systems for speed in s.speeds} - {1.0}):
        folder = run.stage(f"speed-{speed:g}", speed_copies, inputs | {"speed": speed})
        found += copied(folder, list(corpus), speed_prefix(speed))
    inputs |= {"places": places(corpus), "seed": settings.string_seed}
    if any(PADDED in s.copies for s in systems):
        found += copied(run.stage("padded", padded_copies, inputs), list(corpus), PADDED)
    return found


if __name__ == "__main__":
    run_recipe(main)
