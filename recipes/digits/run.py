"""Spoken digits with GMM-HMMs: recordings, copies, features, the ladder of models, tuning on held-out speech, tests.

    python -m recipes.digits.run --corpus DIR --out build/digits    the Free Spoken Digit Dataset in DIR or below it

The same command goes on where an interrupted run stopped. Networks are trained by recipes.digits.networks.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from asr.corpus import Corpus
from asr.errors import ConfigError
from asr.features.options import LpcOptions, MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.lang.lexicon import Lexicon
from asr.options import load_config
from asr.recipe.bench import Bench, Result, System, with_those_below
from asr.recipe.finish import finish
from asr.recipe.run import Run, run_recipe, some_of
from asr.recipe.searches import GraphSearch
from asr.recipe.systems import train_mono, train_stage
from asr.train.data import Data
from asr.train.ladder import STAGES
from asr.train.speeds import speed_prefix
from asr.train.stage import Sizes
from asr.train.vtln import WARPS

from .copies import PADDED, join_strings, padded_copies, speed_copies
from .corpora import (
    CONNECTED,
    HERE,
    LEXICON,
    SINGLE,
    Tests,
    connected_tests,
    places,
    read_fsdd,
    single_tests,
    string_lists,
    write_lists,
)

TESTS = (*SINGLE, *CONNECTED)
VARIANTS = ("plain", "vars", "vtln", "speed", "padded", "robust", "causal", "causal-robust")
AGAINST_MISMATCH = ("", "vars", "vtln", "speed", "robust")  # of which each fold of loso chooses one
SEVERAL_SEEDS = (
    "",
    "robust",
    "causal",
    "causal-robust",
)  # of monophones, variants whose official tests have every seed


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
    grid: GraphSearch


def main() -> None:
    arguments, settings = parse_arguments(), load_config(HERE / "digits.toml", Settings)
    recordings = read_fsdd(Path(arguments.corpus))
    if arguments.make_lists:
        write_lists(recordings, settings.string_seed)
        return
    run = Run(arguments.out)
    corpus, copies = with_strings(run, recordings, settings), training_copies(run, recordings, settings)
    bench = Bench(run, Corpus([*corpus, *copies]), settings.n_jobs, truth=run.folder / "strings" / "edges.ctm")
    systems = all_systems(run, corpus, copies, settings)
    tests: Tests = single_tests(recordings) | connected_tests(recordings, corpus)
    wanted = {s: names for s, names in systems.items() if is_wanted(s, arguments)}
    if not wanted:
        raise ConfigError("these variants have none of these models; give others to --variants or --models")
    results = [
        bench.test(system, name, tests[name], seed)
        for name in arguments.tests
        for system, names in wanted.items()
        if name in names
        for seed in seeds_of(system, name, settings)[: arguments.seeds]
    ]
    results += chosen(bench, results)
    finish(run, "Spoken digits", results, corpus, pairs=with_those_below(results))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, metavar="DIR", help="the recordings")
    parser.add_argument("--out", default="build/digits", metavar="DIR", help="where everything goes (%(default)s)")
    for name, known in (("tests", TESTS), ("variants", VARIANTS), ("models", STAGES)):
        every, names = ",".join(known), some_of(known)
        parser.add_argument(f"--{name}", type=names, default=every, metavar="NAMES", help="only these (%(default)s)")
    parser.add_argument("--seeds", type=int, default=99, metavar="N", help="no more than N seeds a test")
    parser.add_argument("--make-lists", action="store_true", help="only write the lists of strings anew")
    return parser.parse_args()


def with_strings(run: Run, recordings: Corpus, settings: Settings) -> Corpus:
    """The recordings, and strings of them."""
    strings = string_lists(recordings, settings.string_seed)
    joined = run.step("strings", join_strings, recordings, strings, settings.sample_rate, settings.string_seed)
    return Corpus([*recordings, *joined])


def training_copies(run: Run, recordings: Corpus, settings: Settings) -> Corpus:
    """What systems are trained on beside the recordings: these at other speeds, and with pauses around them."""
    rate, seed = settings.sample_rate, settings.string_seed
    speeds = [s for s in settings.speeds if s != 1.0]
    made = [run.step(f"speed-{speed:g}", speed_copies, recordings, speed, rate) for speed in speeds]
    made.append(run.step("padded", padded_copies, recordings, places(recordings), rate, seed))
    return Corpus(u for copies in made for u in copies)


def all_systems(run: Run, corpus: Corpus, copies: Corpus, settings: Settings) -> dict[System, Sequence[str]]:
    """Each system with the tests that it takes part in.

    The plain ones are normalised with the mean of all of a speaker's recordings, as in Kaldi's recipes. Against the
    mismatch of speakers: "vars" divides by the speaker's standard deviation too, "vtln" also chooses a warp for each
    speaker, "speed" is trained on the recordings at other speeds too. "padded" is trained on the recordings with pauses
    around them. "robust" does all of that but vtln. The causal ones know nothing but the past. Above the monophones are
    all stages of the plain system, and the last one of the robust system, with the decoding options of the plain one.
    """
    mean: dict[str, Any] = {"kind": "cmvn", "mode": "speaker"}
    both: dict[str, Any] = {**mean, "norm_vars": True}
    causal: dict[str, Any] = {"kind": "cmvn", "mode": "causal", "global_frames": settings.global_frames}
    every, lexicon, data = Corpus([*corpus, *copies]), Lexicon.load(LEXICON), dict[str, Any]()

    def mono(kind: str, cmvn: dict, variant: str = "", prefixes: tuple[str, ...] = ("",)) -> System:
        pipeline = features_of(kind, cmvn, settings)
        options = {"pipeline": pipeline, "lexicon": lexicon, "options": settings.mono}
        if kind not in data:
            data[kind] = run.kept(f"features-{kind}", Data.of, every, pipeline, n_jobs=settings.n_jobs)
        adaptation = "none" if cmvn is causal else "speaker"
        return System(
            "mono", kind, train_mono, options, data[kind], variant, adaptation, prefixes, search=settings.grid
        )

    speeds = tuple("" if s == 1.0 else speed_prefix(s) for s in settings.speeds)
    plain, robust = mono("mfcc", mean), mono("mfcc", both, "robust", (*speeds, PADDED))
    above = stages_above(plain, settings.sizes)
    best = replace(stages_above(robust, settings.robust_sizes)[-1], tuned_as=above[-1])
    vtln = mono("mfcc", both, "vtln")
    single = Corpus(u for u in corpus if "-" not in u.id)
    at = {
        w: run.kept(f"features-mfcc-warp{w:g}", Data.of, single, vtln.options["pipeline"], vtln_warp=w)
        for w in WARPS[::2]
        if w != 1.0
    }
    return {
        plain: TESTS,
        mono("lpcc", mean): TESTS,
        mono("mfcc", both, "vars"): SINGLE,
        replace(vtln, data={w: at.get(w, data["mfcc"]) for w in WARPS[::2]}): SINGLE,
        mono("mfcc", mean, "speed", speeds): SINGLE,
        mono("mfcc", mean, "padded", (PADDED,)): ("official", "connected-official"),
        robust: TESTS,
        mono("mfcc", causal, "causal"): TESTS,
        mono("mfcc", causal, "causal-robust", (*speeds, PADDED)): TESTS,
        **dict.fromkeys(above, SINGLE),
        best: SINGLE,
    }


def features_of(kind: str, cmvn: dict, settings: Settings) -> FeaturePipeline:
    """A front end, normalised, with derivatives."""
    front_end = {"kind": kind, "options": asdict(getattr(settings, kind))}
    return FeaturePipeline(settings.sample_rate, (front_end, cmvn, {"kind": "delta", "order": 2, "window": 2}))


def stages_above(mono: System, sizes: Sizes) -> list[System]:
    """The models above monophones, each trained from the one below; each adds what it needs to the features."""
    pipeline: FeaturePipeline = mono.options["pipeline"]
    options = {"pipeline": replace(pipeline, steps=pipeline.steps[:-1]), "lexicon": mono.options["lexicon"]}
    found = [mono]
    for stage in STAGES[1:]:
        more = {**options, "sizes": sizes, "stage": stage}
        found.append(replace(mono, model=stage, train=train_stage, options=more, below=found[-1]))
    return found[1:]


def is_wanted(system: System, arguments: argparse.Namespace) -> bool:
    """Whether a system was asked for."""
    return (system.variant or "plain") in arguments.variants and system.model in arguments.models


def seeds_of(system: System, test: str, settings: Settings) -> Sequence[int]:
    """Several for the official tests of some monophones, else one."""
    several = system.model == "mono" and system.variant in SEVERAL_SEEDS and test.endswith("official")
    return settings.seeds if several else settings.seeds[:1]


def chosen(bench: Bench, results: Sequence[Result]) -> list[Result]:
    """The row "chosen" of loso: in each fold the variant that did best on held-out data; none if one is missing."""
    loso = [r for r in results if r.test == "loso" and r.system.model == "mono" and r.system.features == "mfcc"]
    candidates = [r for r in loso if r.system.variant in AGAINST_MISMATCH]
    return [bench.chosen(candidates, "chosen")] if len(candidates) == len(AGAINST_MISMATCH) else []


if __name__ == "__main__":
    run_recipe(main)
