"""Mboshi, a Bantu language of 4.5 hours of sentences: the ladder of GMM-HMMs, networks above it, and some without it.

    python -m recipes.mboshi.run --corpus DIR --out build/mboshi    DIR holds train/ and dev/

The same command goes on where an interrupted run stopped.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from asr.corpus import Corpus
from asr.extras import require_torch
from asr.features.pipeline import FeaturePipeline
from asr.lang.letters import LetterTable
from asr.options import load_config
from asr.recipe.bench import Bench, Fold, Result, System, in_order
from asr.recipe.finish import finish
from asr.recipe.grammars import Grammar, spelled_lexicon
from asr.recipe.networks import (
    CNN_CTC,
    CTC_ATTENTION,
    CTC_SYSTEMS,
    HYBRID,
    LFMMI,
    RNN_CTC,
    CtcTable,
    NetworkTable,
    present_gpus,
    train_network,
)
from asr.recipe.run import Run, run_recipe, some_of
from asr.recipe.searches import GreedySearch, Search
from asr.recipe.systems import train_stage
from asr.train.data import Data
from asr.train.ladder import STAGES

from .parts import HERE, Settings, all_data, less_data, read_corpus, voices, without_one_speaker

LANG = HERE.parents[1] / "lang" / "mboshi"
LETTERS, QUESTIONS = LANG / "letters.tsv", LANG / "questions.txt"
TESTS = ("dev", "plain", "words", "1-hour", "10-minutes", "speaker-out")
SYSTEMS = (*STAGES, HYBRID, LFMMI, *CTC_SYSTEMS)  # networks are tested on dev and plain, with units


def main() -> None:
    arguments, settings = parse_arguments(), load_config(HERE / "mboshi.toml", Settings)
    train, dev = read_corpus(Path(arguments.corpus), "train"), read_corpus(Path(arguments.corpus), "dev")
    run, corpus, pipeline = Run(arguments.out), Corpus([*train, *dev]), mfcc(settings)

    data = run.step("features", Data.of, corpus, pipeline, n_jobs=settings.n_jobs)
    lexicon = run.step("lexicon", spelled_lexicon, list(train.transcripts().values()), LETTERS)
    bench = Bench(run, corpus, settings.n_jobs, settings.seed, letters=LETTERS, lexicon=lexicon, gpus=arguments.gpus)
    ladder = stages(data, {"pipeline": pipeline, "lexicon": lexicon, "sizes": settings.sizes}, settings)
    systems = {s.model: s for s in (*ladder, *networks_above(bench, ladder[-1], settings), *ctc(bench, settings))}
    asked = [systems[name] for name in arguments.systems]
    hmms = [s for s in asked if s.model in STAGES]

    whole, speakers = all_data(train, dev, settings), voices(corpus)
    results: list[Result] = []
    for name in arguments.tests:
        if name == "dev":
            results += [r for s in asked for r in of_units(bench, s, "dev", [whole], settings)]
        elif name == "plain":  # dev again, by systems that are trained without augmentation
            plain = [s for s in ctc(bench, settings, plain=True) if s.model in arguments.systems]
            results += [r for s in plain for r in of_units(bench, s, "dev", [whole], settings)]
        elif name == "words":
            for kind, grammar in (("closed", settings.words), ("open", settings.open)):
                results += [r for s in hmms[-1:] for r in of_words(bench, s, whole, kind, grammar, settings)]
        elif name == "speaker-out":
            folds = without_one_speaker(whole, speakers)
            results += [r for s in hmms for r in of_units(bench, with_fitting_sizes(s), name, folds, settings)]
        else:
            less = [less_data(whole, name, settings.seed, data, pipeline.frame_shift)]
            results += [r for s in hmms for r in of_units(bench, with_fitting_sizes(s, name), "dev", less, settings)]
    spoken = Corpus(replace(u, speaker=speakers[u.id]) for u in dev)
    unit = "words" if results[0].metric == "wer" else "units"
    finish(run, "Mboshi", results, spoken, pairs=in_order(results), unit=unit, show=False)


def mfcc(settings: Settings) -> FeaturePipeline:
    """Cepstra less the mean of a speaker's session."""
    front_end = {"kind": "mfcc", "options": asdict(settings.mfcc)}
    return FeaturePipeline(settings.sample_rate, (front_end, {"kind": "cmvn", "mode": "speaker"}))


def stages(data: Any, options: Mapping[str, Any], settings: Settings) -> list[System]:
    """The ladder: monophones, triphones, LDA and MLLT, speaker-adaptive training, each from the one before."""
    found: list[System] = []
    for stage in STAGES:
        more, below = {**options, "stage": stage, "questions": QUESTIONS}, found[-1] if found else None
        found.append(
            System(
                stage, "mfcc", train_stage, more, data, adaptation="session", below=below, search=settings.unit_search
            )
        )
    return found


def with_fitting_sizes(system: System, variant: str = "") -> System:
    """A system of the ladder with models that suit the hours of speech that it is trained on."""
    below = None if system.below is None else with_fitting_sizes(system.below, variant)
    return replace(system, options={**system.options, "sizes": None}, below=below, variant=variant)


def networks_above(bench: Bench, sat: System, settings: Settings) -> list[System]:
    """The hybrid and the network trained by LF-MMI, on features of their own."""
    tables: dict[str, NetworkTable] = {HYBRID: settings.dnn, LFMMI: settings.lfmmi}
    found = []
    for name, table in tables.items():
        options = {"table": table, "aligned": sat.data, **own_features(bench, table, settings)}
        data = features(bench, table, settings)
        found.append(replace(
            sat, model=name, features=table.features, train=train_network, options=options, data=data, below=sat,
            search=table.search, is_network=True,
        ))  # fmt: skip
    return found


def ctc(bench: Bench, settings: Settings, *, plain: bool = False) -> list[System]:
    """The networks without HMMs. plain: trained on the recordings as they are, without masks."""
    joint, cnn = settings.ctc_attention, settings.cnn_lstm_ctc
    tables: dict[str, CtcTable] = {RNN_CTC: settings.rnn_ctc, CNN_CTC: cnn, CTC_ATTENTION: joint.above(cnn)}
    found: dict[str, System] = {}
    for name, table in tables.items():
        used = table.without_augmentation() if plain else table
        options = {"table": used, "lexicon": bench.lexicon, **own_features(bench, used, settings)}
        found[name] = System(
            name, used.features, train_network, options, features(bench, used, settings),
            "plain" if plain else "", "session", search=used.search, is_network=True,
        )  # fmt: skip
    found[CTC_ATTENTION] = replace(found[CTC_ATTENTION], below=found[joint.start])
    return list(found.values())


def own_features(bench: Bench, table: NetworkTable, settings: Settings) -> dict[str, Any]:
    """What is done to a network's features, and those of copies at other speeds."""
    copies = {speed: features(bench, table, settings, speed) for speed in table.speeds if speed != 1.0}
    return {"pipeline": table.pipeline(settings.sample_rate), "copies": copies}


def features(bench: Bench, table: NetworkTable, settings: Settings, speed: float = 1.0) -> Any:
    """A network's features of all recordings, as they are or at another speed; extracted when they are needed."""
    name = f"features-{table.features}" + (f"-speed{speed:g}" if speed != 1.0 else "")
    pipeline = table.pipeline(settings.sample_rate)
    return bench.run.kept(name, Data.of, bench.corpus, pipeline, n_jobs=settings.n_jobs, speed=speed)


def of_units(bench: Bench, system: System, test: str, folds: Sequence[Fold], settings: Settings) -> list[Result]:
    """Rows of a loop over units: errors of units, and of units without their tones; of CTC for each way to decode."""
    searches: dict[str, Search] = {"": system.search}
    if system.model in CTC_SYSTEMS:
        searches = {"greedy": GreedySearch(), "prefix": settings.prefix_search, "tlg": system.search}
    if system.model == CTC_ATTENTION:
        searches["joint"] = settings.joint_search
    table, found = LetterTable.load(LETTERS), []
    for decoding, search in searches.items():
        way = replace(system, grammar=settings.units, search=search, decoding=decoding)
        result = replace(bench.test(way, test, folds, settings.seed), metric="per")
        bare = [
            {u: " ".join(table.without_marks(text.split())) for u, text in side.items()}
            for side in (result.references, result.hypotheses)
        ]
        found += [result, replace(result, kind="tone-blind", references=bare[0], hypotheses=bare[1])]
    return found


def of_words(bench: Bench, system: System, fold: Fold, kind: str, grammar: Grammar, settings: Settings) -> list[Result]:
    """Rows of words: errors of words, and of characters with blanks."""
    system = replace(system, grammar=grammar, search=settings.word_search)
    result = replace(bench.test(system, "words", [fold], settings.seed), test="dev", kind=kind)
    return [result, replace(result, metric="cer")]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, metavar="DIR", help="folder with train/ and dev/")
    parser.add_argument("--out", default="build/mboshi", metavar="DIR", help="where everything goes (%(default)s)")
    for name, known in (("tests", TESTS), ("systems", SYSTEMS)):
        every, names = ",".join(known), some_of(known)
        parser.add_argument(f"--{name}", type=names, default=every, metavar="NAMES", help="only these (%(default)s)")
    parser.add_argument("--gpus", type=present_gpus, metavar="all|0,2", help="GPUs that train networks (none)")
    arguments = parser.parse_args()
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
