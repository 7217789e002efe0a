"""The settings of the Mboshi recipe, its recordings, and which of them are trained, tuned and tested on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.corpus import Corpus
from asr.errors import CorpusError
from asr.features import MfccOptions
from asr.recipe.ctc_tests import JointGrid, PrefixGrid
from asr.recipe.grammars import Grammar
from asr.recipe.ladder_bench import Bench, Part
from asr.recipe.networks import (
    CNN_CTC,
    CTC_ATTENTION,
    HYBRID,
    LFMMI,
    RNN_CTC,
    CtcPlan,
    HybridPlan,
    JointPlan,
    LfmmiPlan,
)
from asr.recipe.rungs import Search
from asr.train.ladder import Sizes

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

    @property
    def networks(self) -> dict[str, HybridPlan | LfmmiPlan | CtcPlan]:
        """The plan of each system that is a network."""
        return {
            HYBRID: self.dnn,
            LFMMI: self.lfmmi,
            RNN_CTC: self.rnn_ctc,
            CNN_CTC: self.cnn_lstm_ctc,
            CTC_ATTENTION: self.ctc_attention,
        }


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
