"""The systems of the digits recipe without HMMs: networks trained with CTC, whose units are whole words.

Decoding is tuned on strangers where strangers are tested: for each speaker of "loso" on the other five, each recognised
by the network that was trained without him. For "official" it is tuned on the recordings held out from training.
"""

from collections.abc import Sequence
from pathlib import Path

from systems import Settings  # type: ignore[import-not-found]

from asr.corpus import Corpus
from asr.features.pipeline import FeaturePipeline
from asr.recipe import Run
from asr.recipe.ladder_bench import Bench, Part, Test, pool
from asr.recipe.ladder_ending import Scored, scored
from asr.recipe.networks import CNN_CTC, CTC_ATTENTION, RNN_CTC
from asr.recipe.strings import PADDED
from asr.recipe.systems import Fold
from asr.scoring import score
from asr.train.speeds import speed_prefix

UNITS = Path(__file__).resolve().parents[2] / "lang" / "digits" / "words.tsv"
HELD_OUT_EVERY = 10  # training recordings: they tell the best epoch


def make_bench(
    run: Run, corpus: Corpus, data: Path, pipeline: FeaturePipeline, settings: Settings, gpus: str | None
) -> Bench:
    """What the systems have in common. corpus: recordings and copies. data: features of them all, with a pipeline."""
    plans = {RNN_CTC: settings.rnn_ctc, CNN_CTC: settings.cnn_lstm_ctc, CTC_ATTENTION: settings.ctc_attention}
    bench = Bench(
        run, corpus, data, UNITS, None, pipeline, settings.seeds[0], settings.n_jobs, networks=plans, gpus=gpus,
        adaptation="speaker",
    )  # fmt: skip
    return bench.with_lexicon(list(corpus.transcripts().values()))


def tests_of(
    bench: Bench, system: str, variant: str, test: str, folds: Sequence[Fold], settings: Settings
) -> list[Test]:
    """A system on all folds of a test, pooled, decoded in each way that it can be.

    variant: "robust": trained on recordings and copies, with masks; "": on the recordings as they are.
    """
    bench = bench if variant else bench.without_augmentation()
    grids = settings.ctc_search, settings.prefix_search, settings.joint_search
    parts = [_part(fold, test, variant, settings, bench.corpus) for fold in folds]
    tests = [
        bench.ctc_tests(part, system, settings.ctc_words, *grids, [other for other in parts if other is not part])
        for part in parts
    ]
    return [pool(ways) for ways in zip(*tests, strict=True)]


def words_scored(tests: Sequence[Test], seed: int) -> list[Scored]:
    """The rows of the tests, with the errors of each utterance."""
    return [scored(t, "", "wer", score(t.references, t.hypotheses), seed) for t in tests]


def _part(fold: Fold, test: str, variant: str, settings: Settings, corpus: Corpus) -> Part:
    held_out = fold.train[::HELD_OUT_EVERY]
    rest = [i for i in fold.train if i not in set(held_out)]
    copies = [speed_prefix(speed) for speed in settings.speeds if speed != 1.0] + [PADDED]
    prefixes = ["", *copies] if variant else [""]
    train = tuple(prefix + i for prefix in prefixes for i in rest if prefix + i in corpus)
    part = Part(fold.name, train, held_out, fold.test, settings.sizes, of=test, variant=variant)
    return part if variant else part.as_plain()
