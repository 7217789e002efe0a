"""Mboshi, a Bantu language of 4.5 hours of sentences: the ladder of GMM-HMMs, networks above it, and some without it.

    python recipes/mboshi/run.py --corpus DIR --out build/mboshi    DIR holds train/ and dev/

The same command goes on where an interrupted run stopped.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from parts import (  # type: ignore[import-not-found]
    Settings,
    all_data,
    less_data,
    read_corpus,
    voices,
    without_one_speaker,
)

from asr.corpus import Corpus
from asr.extras import require_torch
from asr.features.pipeline import FeaturePipeline
from asr.model.graphs import require_pynini
from asr.recipe import Run, load_config, run_recipe
from asr.recipe.ladder_bench import Bench, Part, Test
from asr.recipe.ladder_ending import finish
from asr.recipe.networks import CTC_SYSTEMS, HYBRID, LFMMI, present_gpus
from asr.recipe.tasks import extract_features
from asr.train.ladder import STAGES

HERE = Path(__file__).resolve().parent
LANG = HERE.parents[1] / "lang" / "mboshi"
LETTERS = LANG / "letters.tsv"
TESTS = ("dev", "plain", "words", "1-hour", "10-minutes", "speaker-out")
SYSTEMS = (*STAGES, HYBRID, LFMMI, *CTC_SYSTEMS)  # networks are tested on dev and plain, with units


def main() -> None:
    arguments = parse_arguments()
    settings = load_config(HERE / "mboshi.toml", Settings)
    run = Run(arguments.out)
    train, dev = read_corpus(Path(arguments.corpus), "train"), read_corpus(Path(arguments.corpus), "dev")
    require_pynini("this recipe")  # not after hours of training
    bench = make_bench(run, train, dev, settings, arguments.gpus)
    whole, speakers = all_data(train, dev, settings), voices(train) | voices(dev)
    tests = [t for name in arguments.tests for t in tests_of(name, arguments.systems, whole, speakers, bench, settings)]
    finish(run, "Mboshi", tests, LETTERS, voices(dev), settings.seed, dev)


def make_bench(run: Run, train: Corpus, dev: Corpus, settings: Settings, gpus: str | None) -> Bench:
    """The features of all recordings, and what the systems have in common."""
    mean = {"kind": "cmvn", "mode": "speaker"}
    pipeline = FeaturePipeline(settings.sample_rate, ({"kind": "mfcc", "options": asdict(settings.mfcc)}, mean))
    inputs = {"utterances": [*train, *dev], "pipeline": pipeline, "n_jobs": settings.n_jobs}
    data = run.stage("features", extract_features, inputs)
    bench = Bench(
        run, Corpus([*train, *dev]), data, LETTERS, LANG / "questions.txt", pipeline, settings.seed, settings.n_jobs,
        networks=settings.networks, gpus=gpus,
    )  # fmt: skip
    return bench.with_lexicon(list(train.transcripts().values()))


def tests_of(
    name: str, systems: Sequence[str], whole: Part, speakers: dict[str, str], bench: Bench, settings: Settings
) -> list[Test]:
    """Those systems that take part in a test. whole: of all data. speakers: utterance id -> who speaks."""
    rungs = [s for s in systems if s in STAGES]
    if name == "dev":
        return [t for s in systems for t in of_all_data(s, whole, bench, settings)]
    if name == "plain":  # dev again, by systems that are trained without augmentation
        plain = bench.without_augmentation()
        return [t for s in systems if s in CTC_SYSTEMS for t in of_all_data(s, whole.as_plain(), plain, settings)]
    if name == "words":
        words = (settings.words, settings.open)
        return [bench.test(whole, s, g, settings.word_search) for s in rungs[-1:] for g in words]
    if name == "speaker-out":
        folds = without_one_speaker(whole, speakers, bench)
        return [bench.pooled(name, folds, s, settings.units, settings.unit_search) for s in rungs]
    part = less_data(whole, name, settings.seed, bench)
    return [bench.test(part, s, settings.units, settings.unit_search) for s in rungs]


def of_all_data(system: str, part: Part, bench: Bench, settings: Settings) -> list[Test]:
    """A system on dev: one of CTC, decoded in each way that it can be, or one of HMMs."""
    if system in CTC_SYSTEMS:
        searches = settings.unit_search, settings.prefix_search, settings.joint_search
        return bench.ctc_tests(part, system, settings.units, *searches)
    return [bench.test(part, system, settings.units, settings.unit_search)]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, metavar="DIR", help="folder with train/ and dev/")
    parser.add_argument("--out", default="build/mboshi", metavar="DIR", help="where everything goes (%(default)s)")
    parser.add_argument("--tests", default=",".join(TESTS), metavar="NAMES", help="only these (%(default)s)")
    parser.add_argument("--systems", default=",".join(SYSTEMS), metavar="NAMES", help="only these (%(default)s)")
    parser.add_argument("--gpus", type=present_gpus, metavar="all|0,2", help="GPUs that train networks (none)")
    arguments = parser.parse_args()
    for option, known in (("tests", TESTS), ("systems", SYSTEMS)):
        names = getattr(arguments, option).split(",")
        if not set(names) <= set(known):
            parser.error(f"--{option} takes {','.join(known)} or some of them")
        setattr(arguments, option, [name for name in known if name in names])
    systems, tests = set(arguments.systems), set(arguments.tests)
    if "dev" not in tests and not (systems & set(STAGES) if tests - {"plain"} else systems & set(CTC_SYSTEMS)):
        parser.error(
            "none of these systems takes part in these tests: networks are tested on dev and, with CTC, on plain"
        )
    if not set(arguments.systems) <= set(STAGES):
        require_torch()
    return arguments


if __name__ == "__main__":
    run_recipe(main)
