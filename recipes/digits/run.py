"""Spoken digits with a monophone GMM-HMM: features, training, tuning on held-out speech, test, report.

    python recipes/digits/run.py --corpus DIR --out build/digits    the Free Spoken Digit Dataset in DIR or below it
    python recipes/digits/run.py --corpus synth --out build/demo    speech synthesised on the spot

The same command goes on where an interrupted run stopped.
"""

import argparse
import re
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from asr.corpus import Corpus, Utterance
from asr.errors import CorpusError
from asr.features import MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.recipe import Run, load_config, run_recipe
from asr.recipe.ending import Result, finish, ship
from asr.recipe.systems import Bench, Fold, Grid, HeldOut, System, extract_features, speak_digits
from asr.synth import SynthOptions

HERE = Path(__file__).resolve().parent
LEXICON = HERE.parents[1] / "lang" / "digits" / "lexicon.tsv"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FSDD_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)")


@dataclass(frozen=True)
class Settings:
    """digits.toml."""

    sample_rate: int
    seeds: tuple[int, ...]
    n_jobs: int
    global_frames: int
    mfcc: MfccOptions
    mono: MonoOptions
    grid: Grid


def main() -> None:
    arguments = parse_arguments()
    settings = load_config(HERE / "digits.toml", Settings)
    run = Run(arguments.out)
    corpus = synthesised(run) if arguments.corpus == "synth" else fsdd(Path(arguments.corpus))
    tests = synth_tests(corpus) if arguments.corpus == "synth" else fsdd_tests(corpus)
    systems = all_systems(settings)[1 if arguments.corpus == "synth" else 0 :]
    inputs = {"utterances": list(corpus), "pipeline": systems[0].features, "n_jobs": settings.n_jobs}
    data = run.stage("features", extract_features, inputs)
    bench = Bench(run, data, LEXICON, settings.grid, settings.n_jobs, fallback="digits")
    results = [
        Result(system, name, seed, bench.test(system, folds, seed))
        for name, (folds, n_seeds) in tests.items()
        for system in systems
        for seed in settings.seeds[:n_seeds]
    ]
    finish(run, "Spoken digits", results, corpus)
    if arguments.ship:
        ship(arguments.ship, [r for r in results if r.system.adaptation == "none"], LEXICON.parent / "CARD.md")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="synth", metavar="DIR|synth", help="the recordings, or synth (default)")
    parser.add_argument("--out", default="build/digits", metavar="DIR", help="where everything goes (%(default)s)")
    parser.add_argument("--ship", type=Path, metavar="DIR", help="also write the streaming model with its card there")
    return parser.parse_args()


def all_systems(settings: Settings) -> list[System]:
    """The plain one is normalised with all of a speaker's recordings, as in Kaldi's recipes; "causal" with the past."""
    front_end = {"kind": "mfcc", "options": asdict(settings.mfcc)}
    deltas = {"kind": "delta", "order": 2, "window": 2}
    speaker: dict[str, Any] = {"kind": "cmvn", "mode": "speaker"}
    causal: dict[str, Any] = {"kind": "cmvn", "mode": "causal", "global_frames": settings.global_frames}

    def system(cmvn: dict[str, Any], adaptation: str, variant: str) -> System:
        pipeline = FeaturePipeline(settings.sample_rate, (front_end, cmvn, deltas))
        return System(pipeline, settings.mono, adaptation, variant)

    return [system(speaker, "speaker", ""), system(causal, "none", "causal")]


def fsdd(folder: Path) -> Corpus:
    """The recordings DIGIT_SPEAKER_INDEX.wav in a folder or below it."""
    found = [(p, FSDD_NAME.fullmatch(p.stem)) for p in sorted(folder.rglob("*.wav"))]
    utterances = [Utterance(p.stem, m[2], p, WORDS[int(m[1])]) for p, m in found if m]
    if not utterances:
        raise CorpusError(
            f"{folder}: no DIGIT_SPEAKER_INDEX.wav files here or below; clone the Free Spoken Digit Dataset "
            "(github.com/Jakobovski/free-spoken-digit-dataset) and give its folder"
        )
    return Corpus(utterances)


def fsdd_tests(corpus: Corpus) -> dict[str, tuple[list[Fold], int]]:
    """Test name -> folds, and how many seeds to run: the official split, and leave one speaker out."""

    def ids(wanted) -> tuple[str, ...]:
        return tuple(u.id for u in corpus if wanted(int(u.id.rsplit("_", 1)[1]), u.speaker))

    held_out = HeldOut("official10", ids(lambda i, s: i >= 10), ids(lambda i, s: 5 <= i < 10))
    official = Fold("official", ids(lambda i, s: i >= 5), ids(lambda i, s: i < 5), (held_out,))
    speakers = sorted(corpus.speakers)
    pairs = {
        pair: HeldOut("without-" + "-".join(pair), ids(lambda i, s, pair=pair: s not in pair), ())
        for pair in combinations(speakers, 2)
    }
    loso = []
    for out in speakers:
        inner = tuple(
            HeldOut(rest.name, rest.train, ids(lambda i, s, pair=pair, out=out: s in pair and s != out))
            for pair, rest in pairs.items()
            if out in pair
        )
        train, test = ids(lambda i, s, out=out: s != out), ids(lambda i, s, out=out: s == out)
        loso.append(Fold(f"loso-{out}", train, test, inner))
    return {"official": ([official], 5), "loso": (loso, 1)}


def synthesised(run: Run) -> Corpus:
    """Connected digits by espeak-ng voices; ids begin with train- or test-."""
    folder = run.stage("speech", speak_digits, {"options": SynthOptions()}) / "digits"
    parts = {part: Corpus.from_folder(folder / part) for part in ("train", "test")}
    return Corpus(
        Utterance(f"{part}-{u.id}", u.speaker, u.audio, u.text) for part, corpus in parts.items() for u in corpus
    )


def synth_tests(corpus: Corpus) -> dict[str, tuple[list[Fold], int]]:
    """Voices of the test part were never heard in training; every sixth training voice is held out for tuning."""
    train = [u for u in corpus if u.id.startswith("train-")]
    held = set(sorted({u.speaker for u in train})[::6])
    rest, tuning = ([u.id for u in train if (u.speaker in held) == out] for out in (False, True))
    test = tuple(u.id for u in corpus if u.id.startswith("test-"))
    fold = Fold("synth", tuple(u.id for u in train), test, (HeldOut("synth-tuning", tuple(rest), tuple(tuning)),))
    return {"synth": ([fold], 1)}


if __name__ == "__main__":
    run_recipe(main)
