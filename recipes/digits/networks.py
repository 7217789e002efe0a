"""Spoken digits with networks: above the robust GMM-HMMs, a hybrid and one trained by LF-MMI; and with CTC.

    python -m recipes.digits.networks --corpus DIR --out build/digits    the folder of recipes.digits.run, or another

The same command goes on where an interrupted run stopped. What recipes.digits.run has trained there is taken. Results
are in OUT/networks.

Decoding is tuned on unseen speakers where these are tested: of CTC for each speaker of "loso" on the other five, each
recognised by the network that was trained without him. For "official" it is tuned on recordings held out from training.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr.corpus import Corpus
from asr.extras import require_torch
from asr.options import load_config
from asr.recipe.bench import Bench, Fold, Result, System, in_order, with_those_below
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
    HybridTable,
    JointTable,
    LfmmiTable,
    present_gpus,
    train_network,
)
from asr.recipe.run import Run, run_recipe, some_of
from asr.recipe.searches import GreedySearch, JointSearch, PrefixSearch
from asr.recipe.systems import Part
from asr.train.data import Data
from asr.train.speeds import speed_prefix

from . import run as hmms
from .copies import PADDED
from .corpora import HERE, SINGLE, read_fsdd, single_tests

UNITS = HERE.parents[1] / "lang" / "digits" / "words.tsv"
MODELS, VARIANTS = (HYBRID, LFMMI, *CTC_SYSTEMS), ("robust", "plain")


@dataclass(frozen=True)
class Settings:
    """networks.toml. words, prefix_search, joint_search: how CTC is decoded besides the search of each network."""

    dnn: HybridTable
    lfmmi: LfmmiTable
    rnn_ctc: CtcTable
    cnn_lstm_ctc: CtcTable
    ctc_attention: JointTable
    words: Grammar
    prefix_search: PrefixSearch
    joint_search: JointSearch


def main() -> None:
    arguments = parse_arguments()
    basic, settings = load_config(HERE / "digits.toml", hmms.Settings), load_config(HERE / "networks.toml", Settings)
    recordings = read_fsdd(Path(arguments.corpus))
    require_torch()
    run = Run(arguments.out)
    copies = hmms.training_copies(run, recordings, basic)
    corpus = hmms.with_strings(run, recordings, basic)
    every, tests = Corpus([*recordings, *copies]), single_tests(recordings)

    above = networks_above(hmms.all_systems(run, corpus, copies, basic), settings)
    bench = Bench(run, Corpus([*corpus, *copies]), basic.n_jobs, gpus=arguments.gpus)
    results = [bench.test(s, t, tests[t]) for t in arguments.tests for s in above if s.model in arguments.models]
    pairs = with_those_below(results)

    lexicon = run.step("units", spelled_lexicon, sorted(set(every.transcripts().values())), UNITS)
    bench = replace(bench, corpus=every, letters=UNITS, lexicon=lexicon)
    of_ctc: list[Result] = []
    for test in arguments.tests:
        for variant in arguments.variants:
            folds = [ctc_fold(fold, tests[test]) for fold in tests[test]]
            for system in ctc_systems(run, every, bench, settings, basic, variant == "plain"):
                if system.model in arguments.models:
                    of_ctc += ways_of_decoding(bench, system, test, folds, settings)
    results += of_ctc
    finish(run, "Spoken digits", results, corpus, pairs=[*pairs, *in_order(of_ctc)], place="networks")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, metavar="DIR", help="the recordings")
    parser.add_argument("--out", default="build/digits", metavar="DIR", help="where everything goes (%(default)s)")
    for name, known in (("tests", SINGLE), ("variants", VARIANTS), ("models", MODELS)):
        every, names = ",".join(known), some_of(known)
        parser.add_argument(f"--{name}", type=names, default=every, metavar="NAMES", help="only these (%(default)s)")
    parser.add_argument("--gpus", type=present_gpus, metavar="all|0,2", help="GPUs that train networks (none)")
    return parser.parse_args()


def networks_above(systems: dict[System, Sequence[str]], settings: Settings) -> list[System]:
    """The networks above the last robust model: the hybrid on its features, after fMLLR, LF-MMI on the monophones'."""
    best = next(s for s in systems if s.model == "sat" and s.variant == "robust")
    robust = next(s for s in systems if s.model == "mono" and s.variant == "robust")
    above = replace(best, train=train_network, below=best, tuned_as=None, is_network=True)
    hybrid = {"table": settings.dnn}
    lfmmi = {"table": settings.lfmmi, "pipeline": robust.options["pipeline"]}
    return [
        replace(above, model=HYBRID, options=hybrid, search=settings.dnn.search),
        replace(above, model=LFMMI, options=lfmmi, search=settings.lfmmi.search),
    ]


def ctc_systems(
    run: Run, every: Corpus, bench: Bench, settings: Settings, basic: hmms.Settings, plain: bool
) -> list[System]:
    """The networks without HMMs. plain: trained on the recordings as they are; else on copies too, with masks."""
    copies = (*(speed_prefix(s) for s in basic.speeds if s != 1.0), PADDED)
    prefixes = ("",) if plain else ("", *copies)
    joint = settings.ctc_attention
    tables = {
        RNN_CTC: settings.rnn_ctc, CNN_CTC: settings.cnn_lstm_ctc, CTC_ATTENTION: joint.above(settings.cnn_lstm_ctc)
    }  # fmt: skip
    found: dict[str, System] = {}
    for name, table in tables.items():
        used = table.without_augmentation() if plain else table
        pipeline = used.pipeline(basic.sample_rate)
        data = run.kept(f"features-{used.features}", Data.of, every, pipeline, n_jobs=basic.n_jobs)
        options = {"table": used, "lexicon": bench.lexicon, "pipeline": pipeline}
        found[name] = System(
            name, used.features, train_network, options, data, "plain" if plain else "robust",
            prefixes=prefixes, search=used.search, is_network=True,
        )  # fmt: skip
    found[CTC_ATTENTION] = replace(found[CTC_ATTENTION], below=found[joint.start])
    return list(found.values())


def ways_of_decoding(
    bench: Bench, system: System, test: str, folds: Sequence[Fold], settings: Settings
) -> list[Result]:
    """A system by its best path, by prefix search, by the graph TLG, and with its attention decoder if it has one."""
    searches = {"greedy": GreedySearch(), "prefix": settings.prefix_search, "tlg": system.search}
    if system.model == CTC_ATTENTION:
        searches["joint"] = settings.joint_search
    ways = [replace(system, grammar=settings.words, search=s, decoding=name) for name, s in searches.items()]
    return [bench.test(way, test, folds) for way in ways]


def ctc_fold(fold: Fold, folds: Sequence[Fold]) -> Fold:
    """The same for CTC: recordings that tell the best epoch are not trained on, and what decoding is tuned on."""
    parts = {
        f.name: Part(f"{f.name}-ctc", tuple(u for u in f.part.train if u not in f.part.apart), f.part.apart)
        for f in folds
    }
    others = tuple((parts[f.name], f.test) for f in folds if f is not fold)
    mine = parts[fold.name]
    return Fold(fold.name, mine, fold.test, others or ((mine, mine.apart),))


if __name__ == "__main__":
    run_recipe(main)
