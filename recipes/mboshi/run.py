"""Mboshi, a Bantu language of 4.5 hours of sentences: the ladder of GMM-HMMs, networks above it, and some without it.

    python recipes/mboshi/run.py --corpus DIR --out build/mboshi    DIR holds train/ and dev/

The same command goes on where an interrupted run stopped.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from asr.corpus import Corpus
from asr.errors import CorpusError
from asr.features import MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.ladder import STAGES, Sizes
from asr.nn import require_torch
from asr.recipe import Run, load_config, run_recipe
from asr.recipe.ctc_tests import JointGrid, PrefixGrid
from asr.recipe.grammars import Grammar
from asr.recipe.ladder_bench import Bench, Part, Test
from asr.recipe.ladder_ending import finish
from asr.recipe.networks import (
    CNN_CTC,
    CTC_ATTENTION,
    CTC_SYSTEMS,
    HYBRID,
    LFMMI,
    RNN_CTC,
    CtcPlan,
    HybridPlan,
    JointPlan,
    LfmmiPlan,
    present_gpus,
)
from asr.recipe.rungs import Search
from asr.recipe.tasks import extract_features

HERE = Path(__file__).resolve().parent
LANG = HERE.parents[1] / "lang" / "mboshi"
TESTS = ("dev", "plain", "words", "1-hour", "10-minutes", "speaker-out")
SYSTEMS = (*STAGES, HYBRID, LFMMI, *CTC_SYSTEMS)  # networks are tested on dev and plain, with units
SECONDS = {"1-hour": 3600.0, "10-minutes": 600.0}


@dataclass(frozen=True)
class Settings:
    """mboshi.toml."""

    sample_rate: int
    seed: int
    held_out: int
    n_jobs: int
    mfcc: MfccOptions
    sizes: Sizes
    units: Grammar
    words: Grammar
    open: Grammar
    unit_search: Search
    word_search: Search
    dnn: HybridPlan
    lfmmi: LfmmiPlan
    rnn_ctc: CtcPlan
    cnn_lstm_ctc: CtcPlan
    ctc_attention: JointPlan
    prefix_search: PrefixGrid
    joint_search: JointGrid


def main() -> None:
    arguments = parse_arguments()
    settings = load_config(HERE / "mboshi.toml", Settings)
    run = Run(arguments.out)
    train, dev = read_corpus(Path(arguments.corpus), "train"), read_corpus(Path(arguments.corpus), "dev")
    mean = {"kind": "cmvn", "mode": "speaker"}
    pipeline = FeaturePipeline(settings.sample_rate, ({"kind": "mfcc", "options": asdict(settings.mfcc)}, mean))
    inputs = {"utterances": [*train, *dev], "pipeline": pipeline, "n_jobs": settings.n_jobs}
    data = run.stage("features", extract_features, inputs)
    letters, questions = LANG / "letters.tsv", LANG / "questions.txt"
    networks = {HYBRID: settings.dnn, LFMMI: settings.lfmmi}
    networks |= {RNN_CTC: settings.rnn_ctc, CNN_CTC: settings.cnn_lstm_ctc}
    networks[CTC_ATTENTION] = settings.ctc_attention
    common = {"seed": settings.seed, "n_jobs": settings.n_jobs, "gpus": arguments.gpus, "networks": networks}
    bench = Bench(run, Corpus([*train, *dev]), data, letters, questions, pipeline, **common)
    bench = bench.with_lexicon(list(train.transcripts().values()))
    whole = all_data(train, dev, settings)
    rungs, tests = [s for s in arguments.systems if s in STAGES], list[Test]()
    for name in arguments.tests:
        if name == "dev":
            for s in arguments.systems:
                if s in CTC_SYSTEMS:
                    tests += ctc_tests(bench, whole, s, settings)
                else:
                    tests.append(bench.test(whole, s, settings.units, settings.unit_search))
        elif name == "plain":  # dev again, by systems that are trained without augmentation
            plain = bench.without_augmentation()
            for s in (s for s in arguments.systems if s in CTC_SYSTEMS):
                tests += ctc_tests(plain, whole.as_plain(), s, settings)
        elif name == "words":
            words = (settings.words, settings.open)
            tests += [bench.test(whole, s, g, settings.word_search) for s in rungs[-1:] for g in words]
        elif name == "speaker-out":
            folds = without_one_speaker(whole, voices(train) | voices(dev), bench)
            tests += [bench.pooled(name, folds, s, settings.units, settings.unit_search) for s in rungs]
        else:
            part = less_data(whole, name, settings.seed, bench)
            tests += [bench.test(part, s, settings.units, settings.unit_search) for s in rungs]
    finish(run, "Mboshi", tests, letters, voices(dev), settings.seed)


def ctc_tests(bench: Bench, part: Part, system: str, settings: Settings) -> list[Test]:
    """A system without HMMs, decoded in each way that it can be."""
    searches = settings.unit_search, settings.prefix_search, settings.joint_search
    return bench.ctc_tests(part, system, settings.units, *searches)


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


def read_corpus(folder: Path, part: str) -> Corpus:
    """The recordings of train/ or dev/: X.ogg with its words in X.mb.cleaned.

    Names begin with the speaker's and the session's, SPEAKER_DATE-TIME_...; a speaker in a session is adapted to.
    """
    if not (folder / part).is_dir():
        raise CorpusError(
            f"{folder}: has no folder {part}/; give the folder that holds train/ and dev/, with recordings and "
            ".mb.cleaned transcripts (github.com/besacier/mboshi-french-parallel-corpus)"
        )
    return Corpus.from_folder(folder / part, speaker=r"^[^_]+_[^_]+", text_suffix=".mb.cleaned")


def voices(corpus: Corpus) -> dict[str, str]:
    """Utterance id -> who speaks, in whichever session."""
    return {u: speaker.split("_")[0] for u, speaker in corpus.speaker_of.items()}


def all_data(train: Corpus, dev: Corpus, settings: Settings) -> Part:
    """All training utterances but those held out by the seed, to tune on where their sentence is new; tested is dev."""
    order = np.random.default_rng(settings.seed).permutation(len(train))
    held_out = {train.ids[i] for i in order[: settings.held_out].tolist()}
    rest = tuple(u for u in train.ids if u not in held_out)
    heard = {train[u].text for u in rest}
    kept = tuple(u for u in train.ids if u in held_out and train[u].text not in heard)
    return Part("dev", rest, kept, tuple(dev.ids), settings.sizes)


def less_data(whole: Part, name: str, seed: int, bench: Bench) -> Part:
    """Some minutes of the training utterances, drawn by the seed, with models that suit them."""
    order = np.random.default_rng(seed).permutation(len(whole.train))
    chosen = bench.first_seconds([whole.train[i] for i in order.tolist()], SECONDS[name])
    return Part(name, tuple(chosen), whole.held_out, whole.test, Sizes.of_hours(bench.hours(chosen)), variant=name)


def without_one_speaker(whole: Part, speaker_of: dict[str, str], bench: Bench) -> Sequence[Part]:
    """A part for each speaker (see `voices`), who is neither trained nor tuned on, and of whom dev is tested."""
    parts = []
    for speaker in sorted({speaker_of[u] for u in whole.test}):
        train, held_out = ([u for u in ids if speaker_of[u] != speaker] for ids in (whole.train, whole.held_out))
        sizes = Sizes.of_hours(bench.hours(train))
        mine = tuple(u for u in whole.test if speaker_of[u] == speaker)
        parts.append(Part(f"without-{speaker}", tuple(train), tuple(held_out), mine, sizes))
    return parts


if __name__ == "__main__":
    run_recipe(main)
