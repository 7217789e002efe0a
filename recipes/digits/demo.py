"""A digit recogniser in minutes, of speech that is synthesised on the spot: monophones that know nothing but the past.

    python recipes/digits/demo.py --out build/demo

The same command goes on where an interrupted run stopped.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from asr.audio.synth import SynthOptions, synthesise_digits
from asr.corpus import Corpus, Utterance
from asr.features.options import MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.lang.lexicon import Lexicon
from asr.recipe.bench import Bench, Fold, System
from asr.recipe.finish import finish
from asr.recipe.run import Run, run_recipe
from asr.recipe.searches import GraphSearch
from asr.recipe.systems import Part, train_mono
from asr.train.data import Data

HERE = Path(__file__).resolve().parent
LEXICON = HERE.parents[1] / "lang" / "digits" / "lexicon.tsv"

MFCC = {"kind": "mfcc", "options": asdict(MfccOptions(use_energy=False))}
PIPELINE = FeaturePipeline(
    8000, (MFCC, {"kind": "cmvn", "mode": "causal", "global_frames": 10}, {"kind": "delta", "order": 2, "window": 2})
)
GRID = GraphSearch((0.0333, 0.05, 0.0833, 0.1429, 0.2), (-5.0, -2.0, 1.0, 4.0, 8.0), beam=25.0)


def main() -> None:
    run = Run(parse_arguments().out)
    corpus = run.step("speech", speak_digits, SynthOptions())
    data = run.step("features", Data.of, corpus, PIPELINE)
    options = {"pipeline": PIPELINE, "lexicon": Lexicon.load(LEXICON), "options": MonoOptions(total_gaussians=1000)}
    mono = System("mono", "mfcc", train_mono, options, data, "causal", "none", search=GRID)
    result = Bench(run, corpus).test(mono, "synth", [split(corpus)])
    finish(run, "Spoken digits", [result], corpus)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="build/demo", metavar="DIR", help="where everything goes (%(default)s)")
    return parser.parse_args()


def speak_digits(options: SynthOptions, folder: Path, progress: Callable[[int, int], None]) -> Corpus:
    """Connected digits by espeak-ng voices; ids begin with train- or test-."""
    synthesise_digits(folder / "digits", options=options, progress=progress)
    parts = {part: Corpus.from_folder(folder / "digits" / part) for part in ("train", "test")}
    return Corpus(Utterance(f"{p}-{u.id}", u.speaker, u.audio, u.text) for p, spoken in parts.items() for u in spoken)


def split(corpus: Corpus) -> Fold:
    """Voices of the test part are not trained on; every sixth training voice is held out to tune decoding on."""
    train = [u for u in corpus if u.id.startswith("train-")]
    held = set(sorted({u.speaker for u in train})[::6])
    rest, tuning = (tuple(u.id for u in train if (u.speaker in held) == out) for out in (False, True))
    test = tuple(u.id for u in corpus if u.id.startswith("test-"))
    return Fold("synth", Part("synth", tuple(u.id for u in train)), test, ((Part("synth-tuning", rest), tuning),))


if __name__ == "__main__":
    run_recipe(main)
