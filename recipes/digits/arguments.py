"""What the digits recipe may be asked for on the command line."""

import argparse

from systems import MODELS, SINGLE, VARIANTS  # type: ignore[import-not-found]

from asr.recipe.networks import CTC_SYSTEMS, present_gpus

TESTS = ("official", "loso", "connected-official", "connected-loso")


def parse_arguments(about: str) -> argparse.Namespace:
    """The command line, checked; about: what --help says first."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="synth", metavar="DIR|synth", help="the recordings, or synth (default)")
    parser.add_argument("--out", default="build/digits", metavar="DIR", help="where everything goes (%(default)s)")
    parser.add_argument("--tests", default=",".join(TESTS), metavar="NAMES", help="only these (%(default)s)")
    parser.add_argument("--variants", default=",".join(VARIANTS), metavar="NAMES", help="only these (%(default)s)")
    parser.add_argument("--models", default=",".join(MODELS), metavar="NAMES", help="only these (%(default)s)")
    parser.add_argument("--gpus", type=present_gpus, metavar="all|0,2", help="GPUs that train networks of CTC (none)")
    parser.add_argument("--seeds", type=int, default=99, metavar="N", help="no more than N seeds a test")
    parser.add_argument("--make-lists", action="store_true", help="only write the lists of strings anew")
    arguments = parser.parse_args()
    arguments.tests = arguments.tests.split(",")
    arguments.models = arguments.models.split(",")
    arguments.variants = arguments.variants.split(",")
    if not set(arguments.variants) <= set(VARIANTS):
        parser.error(f"--variants takes {','.join(VARIANTS)} or some of them")
    if not set(arguments.models) <= set(MODELS):
        parser.error(f"--models takes {','.join(MODELS)} or some of them")
    arguments.variants = ["" if v == "plain" else v for v in arguments.variants]
    if set(arguments.models) <= set(CTC_SYSTEMS) and (
        arguments.corpus == "synth" or not set(SINGLE) & set(arguments.tests)
    ):
        parser.error(
            f"{', '.join(CTC_SYSTEMS)} are tested on recordings alone: --corpus DIR, --tests {','.join(SINGLE)}"
        )
    if not set(arguments.tests) <= set(TESTS):
        parser.error(f"--tests takes {','.join(TESTS)} or some of them")
    return arguments
