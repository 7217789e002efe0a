"""The settings of the Mboshi recipe, its recordings, and which of them are trained, tuned and tested on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.corpus import Corpus
from asr.errors import CorpusError
from asr.features.options import MfccOptions
from asr.recipe.bench import Fold
from asr.recipe.grammars import Grammar
from asr.recipe.networks import CtcTable, HybridTable, JointTable, LfmmiTable
from asr.recipe.searches import GraphSearch, JointSearch, PrefixSearch
from asr.recipe.systems import Part
from asr.train.data import Data
from asr.train.stage import Sizes

HERE = Path(__file__).resolve().parent
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
    unit_search: GraphSearch
    word_search: GraphSearch
    dnn: HybridTable
    lfmmi: LfmmiTable
    rnn_ctc: CtcTable
    cnn_lstm_ctc: CtcTable
    ctc_attention: JointTable
    prefix_search: PrefixSearch
    joint_search: JointSearch


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


def all_data(train: Corpus, dev: Corpus, settings: Settings) -> Fold:
    """All training utterances but those held out by the seed, to tune on where their sentence is new; tested is dev."""
    order = np.random.default_rng(settings.seed).permutation(len(train))
    held_out = {train.ids[i] for i in order[: settings.held_out].tolist()}
    rest = tuple(u for u in train.ids if u not in held_out)
    known = {train[u].text for u in rest}
    kept = tuple(u for u in train.ids if u in held_out and train[u].text not in known)
    return fold("dev", rest, kept, tuple(dev.ids))


def fold(name: str, train: tuple[str, ...], held_out: tuple[str, ...], test: tuple[str, ...]) -> Fold:
    """A model of some utterances, which is tuned, and its best epoch told, by the same others."""
    part = Part(name, train, held_out)
    return Fold(name, part, test, ((part, held_out),))


def less_data(whole: Fold, name: str, seed: int, data: Data, frame_shift: float) -> Fold:
    """Some minutes of the training utterances, drawn by the seed. data: features of them all."""
    train = [whole.part.train[i] for i in np.random.default_rng(seed).permutation(len(whole.part.train)).tolist()]
    train = [u for u in train if u in data.raw]
    total = np.cumsum([len(data.raw[u]) for u in train]) * frame_shift
    chosen = train[: int(np.searchsorted(total, SECONDS[name])) + 1]
    return fold(name, tuple(chosen), whole.part.apart, whole.test)


def without_one_speaker(whole: Fold, speaker_of: dict[str, str]) -> list[Fold]:
    """A fold for each speaker (see `voices`), who is neither trained nor tuned on, and of whom dev is tested."""
    folds = []
    for speaker in sorted({speaker_of[u] for u in whole.test}):
        train, held_out = (
            tuple(u for u in ids if speaker_of[u] != speaker) for ids in (whole.part.train, whole.part.apart)
        )
        mine = tuple(u for u in whole.test if speaker_of[u] == speaker)
        folds.append(fold(f"without-{speaker}", train, held_out, mine))
    return folds
