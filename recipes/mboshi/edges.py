"""Where words begin and end by the systems of a finished run, compared with one of them, on the held-out utterances.

Each utterance is aligned with its transcript, by itself: nothing else of the speaker is known.

    python -m recipes.mboshi.edges --corpus DIR --out build/mboshi [--systems tri,dnn-hmm,cnn-lstm-ctc]

Nobody has marked the edges by hand: the reference is the alignment of sat.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from asr.corpus import Utterance
from asr.errors import AudioError, ModelError
from asr.model import Model, load
from asr.model.transcript import TimedWord
from asr.options import load_config
from asr.recipe.run import run_recipe
from asr.scoring.edges import EdgeScore, score_edges

from .parts import HERE, Settings, all_data, read_corpus

REFERENCE = "sat"

logger = logging.getLogger("asr.recipe")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="the folder of train/ and dev/")
    parser.add_argument("--out", type=Path, default=Path("build/mboshi"), metavar="DIR", help="the run (%(default)s)")
    parser.add_argument("--systems", default="tri,dnn-hmm,cnn-lstm-ctc", metavar="NAMES", help="(%(default)s)")
    arguments = parser.parse_args()
    names = [REFERENCE, *arguments.systems.split(",")]
    for name, edges in compared(arguments.corpus, arguments.out, names).items():
        sys.stdout.write(f"{name}\n{edges.report()}\n\n")


def compared(corpus: Path, out: Path, names: list[str]) -> dict[str, EdgeScore]:
    """The edges of all systems but the first, compared with those of the first."""
    train, dev = read_corpus(corpus, "train"), read_corpus(corpus, "dev")
    held_out = set(all_data(train, dev, load_config(HERE / "mboshi.toml", Settings)).part.apart)
    utterances = [u for u in train.utterances if u.id in held_out]
    found = {name: aligned(load(place_of(out, name)), utterances) for name in names}
    by_all = set.intersection(*(set(words) for words in found.values()))
    first, *others = ({u: words for u, words in found[name].items() if u in by_all} for name in names)
    return {name: score_edges(first, other) for name, other in zip(names[1:], others, strict=True)}


def place_of(out: Path, name: str) -> Path:
    """The folder of a system's model. Raises ModelError where the run has none."""
    found = sorted(out.glob(f"train-{name}-*-session-dev-seed*/model"))
    if not found:
        raise ModelError(f"{out}: has no model of {name} on dev; run.py makes it")
    return found[0]


def aligned(model: Model, utterances: Sequence[Utterance]) -> dict[str, tuple[TimedWord, ...]]:
    """The words of utterances with their times; those that cannot be aligned are told of and left out."""
    found = {}
    for u in utterances:
        assert u.audio is not None and u.text is not None  # read_corpus gives both
        try:
            found[u.id] = model.align(u.audio, u.text).words
        except (AudioError, ModelError) as error:
            logger.warning("%s: %s", u.id, error)
    return found


if __name__ == "__main__":
    run_recipe(main)
