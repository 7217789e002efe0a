"""Yes and no in Hebrew with a monophone GMM-HMM: features, training, tuning on held-out speech, test, report.

    python recipes/yesno/run.py --corpus DIR --out build/yesno    DIR or a folder below it is waves_yesno

The same command goes on where an interrupted run stopped.
"""

import argparse
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from asr.corpus import Corpus, Utterance
from asr.errors import CorpusError
from asr.features.options import MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.lang.lexicon import Lexicon
from asr.options import load_config
from asr.recipe.bench import Bench, Fold, System, folds_of
from asr.recipe.finish import finish
from asr.recipe.run import Run, run_recipe
from asr.recipe.searches import GraphSearch
from asr.recipe.systems import Part, train_mono
from asr.train.data import Data

HERE = Path(__file__).resolve().parent
LEXICON = HERE.parents[1] / "lang" / "yesno" / "lexicon.tsv"
WORDS = {"0": "no", "1": "yes"}
NAME = re.compile(r"[01](_[01]){7}")


@dataclass(frozen=True)
class Settings:
    """yesno.toml."""

    sample_rate: int
    seeds: tuple[int, ...]
    n_parts: int
    mfcc: MfccOptions
    mono: MonoOptions
    grid: GraphSearch


def main() -> None:
    arguments = parse_arguments()
    settings = load_config(HERE / "yesno.toml", Settings)
    corpus = waves_yesno(Path(arguments.corpus))

    run, pipeline = Run(arguments.out), mfcc_with_deltas(settings)
    data = run.step("features", Data.of, corpus, pipeline)
    fold = official(corpus, settings.n_parts)
    bench = Bench(run, corpus)
    common = {"pipeline": pipeline, "lexicon": Lexicon.load(LEXICON)}
    results = []
    kaldi = replace(settings.mono, start="equal")  # Kaldi's random path; ours takes quiet stretches as silence
    for variant, how in (("", settings.mono), ("kaldi-start", kaldi)):
        options = {**common, "options": how}
        mono = System("mono", "mfcc", train_mono, options, data, variant, search=settings.grid)
        results += [bench.test(mono, "official", [fold], seed) for seed in settings.seeds]
    finish(run, "Yes and no", results, corpus)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, metavar="DIR", help="the recordings, openslr.org/1")
    parser.add_argument("--out", default="build/yesno", metavar="DIR", help="where everything goes (%(default)s)")
    return parser.parse_args()


def mfcc_with_deltas(settings: Settings) -> FeaturePipeline:
    """Cepstra less the speaker's mean, with derivatives."""
    front_end = {"kind": "mfcc", "options": asdict(settings.mfcc)}
    steps = (front_end, {"kind": "cmvn", "mode": "speaker"}, {"kind": "delta", "order": 2, "window": 2})
    return FeaturePipeline(settings.sample_rate, steps)


def waves_yesno(folder: Path) -> Corpus:
    """The recordings, whose names are their transcripts: 0_1_1_0_1_0_1_1.wav is no yes yes no yes no yes yes."""
    found = [p for p in sorted(folder.rglob("*.wav")) if NAME.fullmatch(p.stem)]
    if not found:
        raise CorpusError(
            f"{folder}: no recordings named like 0_1_1_0_1_0_1_1.wav here or below; unpack waves_yesno.tar.gz "
            "(openslr.org/1) and give its folder"
        )
    return Corpus(Utterance(p.stem, "speaker", p, " ".join(WORDS[c] for c in p.stem.split("_"))) for p in found)


def official(corpus: Corpus, n_parts: int) -> Fold:
    """Kaldi's split: what begins with no is trained on, what begins with yes is scored; every n-th is held out."""
    train = tuple(u.id for u in corpus if u.id.startswith("0"))
    test = tuple(u.id for u in corpus if u.id.startswith("1"))
    return Fold("official", Part("official", train), test, folds_of(train, n_parts))


if __name__ == "__main__":
    run_recipe(main)
