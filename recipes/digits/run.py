"""Spoken digits with the ladder of GMM-HMMs: features, training, tuning on held-out speech, test, report.

    python recipes/digits/run.py --corpus DIR --out build/digits    the Free Spoken Digit Dataset in DIR or below it
    python recipes/digits/run.py --corpus synth --out build/demo    speech synthesised on the spot

The same command goes on where an interrupted run stopped.
"""

import argparse
from pathlib import Path

from arguments import parse_arguments  # type: ignore[import-not-found]
from corpora import (  # type: ignore[import-not-found]
    NAME,
    read_fsdd,
    recorded,
    synthesised,
    write_lists,
)
from ctc import make_bench, tests_of, words_scored  # type: ignore[import-not-found]
from systems import (  # type: ignore[import-not-found]
    AGAINST_MISMATCH,
    SINGLE,
    Settings,
    all_systems,
    has_several_seeds,
    has_torch,
    robust_monophone,
    trainable,
)

from asr.corpus import Corpus, Utterance
from asr.errors import ConfigError
from asr.model.graphs import has_pynini
from asr.recipe import Run, load_config, run_recipe
from asr.recipe.ending import finish, with_chosen
from asr.recipe.ladder_bench import Test
from asr.recipe.ladder_ending import show
from asr.recipe.networks import CTC_SYSTEMS
from asr.recipe.systems import Bench, System, warped_name
from asr.recipe.tasks import extract_features
from asr.recipe.tested import Result

HERE = Path(__file__).resolve().parent
LEXICON = HERE.parents[1] / "lang" / "digits" / "lexicon.tsv"


def main() -> None:
    arguments = parse_arguments(__doc__)
    settings = load_config(HERE / "digits.toml", Settings)
    if arguments.make_lists:
        write_lists(read_fsdd(Path(arguments.corpus)), settings.string_seed)
        return
    run = Run(arguments.out)
    systems = {s: tests for s, tests in all_systems(settings).items() if wanted(s, arguments)}
    wholes = ctc_systems(arguments)
    if arguments.corpus == "synth":
        systems = {s: ("synth",) for s in systems if s.variant == "causal"}
    else:
        systems = trainable(systems)
    if not systems and not wholes:
        raise ConfigError(
            "none of these systems can be trained here: networks need torch, those of CTC pynini too, and on "
            "synthesised speech there are only causal monophones"
        )
    heard = synthesised(run) if arguments.corpus == "synth" else recorded(run, Path(arguments.corpus), settings)
    tests = heard.tests if arguments.corpus == "synth" else {name: heard.tests[name] for name in arguments.tests}
    needed = [s for system in systems for s in (system, system.below) if s is not None]
    robust = robust_monophone(settings)
    data = all_features(run, list(heard.corpus), heard.copies, [*needed, *([robust] if wholes else [])], settings)
    lent = str(HERE / "monophones")  # their graph, where pynini is missing
    bench = Bench(run, data, LEXICON, settings.grid, settings.n_jobs, fallback=lent, truth=heard.truth)
    results = [
        Result(system, name, seed, bench.test(system, folds, seed))
        for name, (folds, n_seeds) in tests.items()
        for system, those in systems.items()
        if name in those
        for seed in settings.seeds[: min(n_seeds if has_several_seeds(system) else 1, arguments.seeds)]
    ]
    results = with_chosen(results, "loso", AGAINST_MISMATCH)
    networks = list[Test]()
    if wholes:
        single = Corpus([u for u in heard.corpus if NAME.fullmatch(u.id)] + heard.copies)
        ctc = make_bench(run, single, data[robust.front_end], robust.features, settings, arguments.gpus)
        for name in (n for n in SINGLE if n in tests):
            for system, variant in wholes:
                networks += tests_of(ctc, system, variant, name, tests[name][0], settings)
    rows = words_scored(networks, settings.seeds[0])
    if results:
        finish(run, "Spoken digits", results, heard.corpus, networks, rows)
    else:
        show(run, "Spoken digits", networks, rows, heard.corpus.speaker_of, settings.seeds[0], heard.corpus)


def wanted(system: System, arguments: argparse.Namespace) -> bool:
    """Whether a system was asked for, and its graphs can be built here; those of monophones come with the package."""
    asked = system.variant in arguments.variants and system.model in arguments.models
    return asked and (system.model == "mono" or has_pynini())


def ctc_systems(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """The systems without HMMs that were asked for, each with its variants, if they can be trained here."""
    asked = [(s, v) for s in CTC_SYSTEMS if s in arguments.models for v in ("robust", "") if v in arguments.variants]
    return asked if asked and arguments.corpus != "synth" and has_pynini() and has_torch() else []


def all_features(
    run: Run, corpus: list[Utterance], copies: list[Utterance], systems: list[System], settings: Settings
) -> dict[str, Path]:
    """The features of each front end, and without the copies at each warp that a system may choose, by name."""
    stages: dict[str, Path] = {}
    for system in systems:
        for warp in (1.0, *system.warps):
            name = warped_name(system.front_end, warp)
            if name not in stages:
                utterances = [*corpus, *copies] if warp == 1.0 else [u for u in corpus if NAME.fullmatch(u.id)]
                inputs = {"utterances": utterances, "pipeline": system.features, "n_jobs": settings.n_jobs}
                stages[name] = run.stage(f"features-{name}", extract_features, inputs | {"warp": warp})
    return stages


if __name__ == "__main__":
    run_recipe(main)
