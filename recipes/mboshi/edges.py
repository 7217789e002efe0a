"""Where words begin and end by the systems of a finished run, compared with one of them, on the held-out utterances.

    python recipes/mboshi/edges.py --corpus DIR --out build/mboshi [--systems tri,dnn-hmm,cnn-lstm-ctc]

Nobody has marked the edges by hand: the reference is the alignment of sat.
"""

import argparse
import sys
from pathlib import Path

from parts import Settings, all_data, read_corpus  # type: ignore[import-not-found]

from asr.model import load
from asr.recipe import load_config
from asr.scoring import EdgeScore, score_edges

HERE = Path(__file__).resolve().parent
REFERENCE = "sat"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="the folder of train/ and dev/")
    parser.add_argument("--out", type=Path, default=Path("build/mboshi"), metavar="DIR", help="the run (%(default)s)")
    parser.add_argument("--systems", default="tri,dnn-hmm,cnn-lstm-ctc", metavar="NAMES", help="(%(default)s)")
    arguments = parser.parse_args()
    names = [REFERENCE, *arguments.systems.split(",")]
    for name in names:
        if not (arguments.out / f"dev-{name}" / "model").is_dir():
            sys.exit(f"error: {arguments.out} has no model of {name} on dev; run.py makes it")
    for name, edges in compared(arguments.corpus, arguments.out, names).items():
        sys.stdout.write(f"{name}\n{edges.report()}\n\n")


def compared(corpus: Path, out: Path, names: list[str]) -> dict[str, EdgeScore]:
    """The edges of all systems but the first, compared with those of the first."""
    train, dev = read_corpus(corpus, "train"), read_corpus(corpus, "dev")
    held_out = set(all_data(train, dev, load_config(HERE / "mboshi.toml", Settings)).held_out)
    utterances = [u for u in train.utterances if u.id in held_out]
    aligned = {}
    for name in names:
        model = load(out / f"dev-{name}" / "model")
        aligned[name] = {u.id: model.align(u.audio, u.text).words for u in utterances}
    return {name: score_edges(aligned[names[0]], aligned[name]) for name in names[1:]}


if __name__ == "__main__":
    main()
