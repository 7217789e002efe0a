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
from asr.features import MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.model.graphs import require_pynini
from asr.recipe import Run, load_config, run_recipe
from asr.recipe.ending import finish
from asr.recipe.systems import Bench, Fold, Grid, HeldOut, System
from asr.recipe.tasks import extract_features
from asr.recipe.tested import Result

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
    grid: Grid


def main() -> None:
    arguments = parse_arguments()
    settings = load_config(HERE / "yesno.toml", Settings)
    run = Run(arguments.out)
    corpus = waves_yesno(Path(arguments.corpus))
    require_pynini("this recipe")
    fold = official(corpus, settings.n_parts)
    systems = all_systems(settings)
    inputs = {"utterances": list(corpus), "pipeline": systems[0].features, "n_jobs": 1}
    data = run.stage("features", extract_features, inputs)
    bench = Bench(run, data, LEXICON, settings.grid)
    results = [
        Result(system, fold.name, seed, bench.test(system, [fold], seed))
        for system in systems
        for seed in settings.seeds
    ]
    finish(run, "Yes and no", results, corpus)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, metavar="DIR", help="the recordings, openslr.org/1")
    parser.add_argument("--out", default="build/yesno", metavar="DIR", help="where everything goes (%(default)s)")
    return parser.parse_args()


def all_systems(settings: Settings) -> list[System]:
    """The plain one begins with pauses as silence, the variant with Kaldi's random path."""
    front_end = {"kind": "mfcc", "options": asdict(settings.mfcc)}
    steps = (front_end, {"kind": "cmvn", "mode": "speaker"}, {"kind": "delta", "order": 2, "window": 2})
    pipeline = FeaturePipeline(settings.sample_rate, steps)
    kaldi = replace(settings.mono, start="equal")
    return [System(pipeline, settings.mono, "speaker"), System(pipeline, kaldi, "speaker", "kaldi-start")]


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
    held_out = []
    for part in range(n_parts):
        rest = tuple(i for k, i in enumerate(train) if k % n_parts != part)
        held_out.append(HeldOut(f"without-part{part}", rest, train[part::n_parts]))
    return Fold("official", train, test, tuple(held_out))


if __name__ == "__main__":
    run_recipe(main)
