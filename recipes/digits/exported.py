"""The hybrid networks of a finished run in ONNX, as they are and with 8-bit weights, on the same test sets.

python -m recipes.digits.exported --out build/digits
"""

import argparse
import sys
from pathlib import Path

from asr.model import Model, load
from asr.model.export import export_onnx
from asr.recipe.networks import HYBRID
from asr.scoring import score
from asr.scoring.reading import read_transcripts
from asr.train.data import Data
from asr.train.decoding import decode_all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/digits"), metavar="DIR", help="the run (%(default)s)")
    parser.add_argument("--tests", default="official,loso", metavar="NAMES", help="tests of the run (%(default)s)")
    arguments = parser.parse_args()
    whole = Data.load(arguments.out / "features-mfcc")
    for test in arguments.tests.split(","):
        folders = sorted(arguments.out.glob(f"test-{HYBRID}-*-{test}*-seed0"))
        folders = [f for f in folders if "-connected-" not in f.name]
        if not folders:
            sys.exit(f"error: {arguments.out} has no test of {HYBRID} on {test}; recipes.digits.networks makes it")
        counts, total = [0, 0, 0], 0
        for folder in folders:
            references = read_transcripts(folder / "references.tsv")
            counts = [a + b for a, b in zip(counts, errors(load(folder / "model"), whole, references), strict=True)]
            total += sum(len(text.split()) for text in references.values())
        told = [f"{name} {n} errors ({100 * n / total:.2f} %)" for name, n in zip(NAMES, counts, strict=True)]
        sys.stdout.write(f"{test} {total} words: " + ", ".join(told) + "\n")


NAMES = ("torch", "ONNX", "ONNX int8")


def errors(model: Model, whole: Data, references: dict[str, str]) -> list[int]:
    """The errors of a model in torch, in ONNX and with 8-bit weights."""
    part = whole.select(i for i in references if i in whole.raw)
    models = (model, export_onnx(model).model, export_onnx(model, int8=True).model)
    return [score(references, decode_all(m, part).hypotheses).errors for m in models]


if __name__ == "__main__":
    main()
