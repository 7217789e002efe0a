"""The Free Spoken Digit Dataset: its recordings, and the tests that are made of them."""

import re
from itertools import combinations
from pathlib import Path

from asr.corpus import Corpus, Utterance
from asr.errors import CorpusError
from asr.recipe.bench import Fold
from asr.recipe.systems import Part

from .strings import String, listed, make_strings, write_list

HERE = Path(__file__).resolve().parent
LEXICON = HERE.parents[1] / "lang" / "digits" / "lexicon.tsv"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAME = re.compile(r"(\d)_([a-z]+)_(\d+)")
SINGLE, CONNECTED = ("official", "loso"), ("connected-official", "connected-loso")
TUNING = "tuning-official"  # strings that connected-official is tuned on; they are made anew each time
APART_EVERY = 10  # training recordings: they tell the best epoch of a network

Tests = dict[str, list[Fold]]


def read_fsdd(folder: Path) -> Corpus:
    """The recordings DIGIT_SPEAKER_TAKE.wav in a folder or below it."""
    found = [(p, NAME.fullmatch(p.stem)) for p in sorted(folder.rglob("*.wav"))]
    utterances = [Utterance(p.stem, m[2], p, WORDS[int(m[1])]) for p, m in found if m]
    if not utterances:
        raise CorpusError(
            f"{folder}: no DIGIT_SPEAKER_INDEX.wav files here or below; clone the Free Spoken Digit Dataset "
            "(github.com/Jakobovski/free-spoken-digit-dataset) and give its folder"
        )
    return Corpus(utterances)


def take(utterance: Utterance) -> int:
    """Which of a speaker's recordings of a digit it is, from 0."""
    return int(utterance.id.rsplit("_", 1)[1])


def places(corpus: Corpus) -> dict[str, str]:
    """Utterance id -> what was recorded together: a speaker's digits of one take, which no split parts."""
    return {u.id: f"{u.speaker}-{take(u)}" for u in corpus}


def single_tests(corpus: Corpus) -> Tests:
    """The official split, and leave one speaker out."""
    takes = {u.id: take(u) for u in corpus}
    train, test = _ids(corpus, lambda u: takes[u.id] >= 5), _ids(corpus, lambda u: takes[u.id] < 5)
    rest, tuning = _ids(corpus, lambda u: takes[u.id] >= 10), _ids(corpus, lambda u: 5 <= takes[u.id] < 10)
    official = Fold("official", _part("official", train), test, ((_part("official10", rest), tuning),))
    of_speaker = {s: _ids(corpus, lambda u, s=s: u.speaker == s) for s in corpus.speakers}
    return {"official": [official], "loso": _leave_one_out(corpus, of_speaker, "loso")}


def connected_tests(corpus: Corpus, strings: Corpus) -> Tests:
    """The single tests with strings of the recordings instead; the models are the same.

    In a fold of connected-loso, decoding is tuned on the strings of the speakers who are not scored in that fold.
    """
    (official,) = single_tests(corpus)["official"]
    ((part, _),) = official.tuning
    scored, tuning, everyone = (_listed(strings, name) for name in (CONNECTED[0], TUNING, CONNECTED[1]))
    fold = Fold(CONNECTED[0], official.part, tuple(scored.ids), ((part, tuple(tuning.ids)),))
    of_speaker = {s: _ids(everyone, lambda u, s=s: u.speaker == s) for s in corpus.speakers}
    return {CONNECTED[0]: [fold], CONNECTED[1]: _leave_one_out(corpus, of_speaker, CONNECTED[1])}


def string_lists(corpus: Corpus, seed: int) -> list[String]:
    """The strings of both connected tests, and those that connected-official is tuned on."""
    tuning = [u for u in corpus if 5 <= take(u) < 10]
    lists = [listed(HERE / f"{n}.tsv", n, found, seed) for n, found in _listed_recordings(corpus).items()]
    return [*(s for strings in lists for s in strings), *make_strings(TUNING, tuning, seed)]


def write_lists(corpus: Corpus, seed: int, folder: Path = HERE) -> None:
    """connected-official.tsv and connected-loso.tsv."""
    for name, recordings in _listed_recordings(corpus).items():
        write_list(folder / f"{name}.tsv", make_strings(name, recordings, seed), seed)


def _leave_one_out(corpus: Corpus, of_speaker: dict[str, tuple[str, ...]], test: str) -> list[Fold]:
    """A fold for each speaker, tuned on each of the others with a model that was trained on neither of the two.

    of_speaker: speaker -> utterances to decode.
    Networks are tuned on one of the others alone: neighbours in the alphabet are pairs, and each one's network is tuned
    on the other with the network that was trained on neither of the two.
    """
    speakers = sorted(corpus.speakers)
    partner = {s: speakers[i ^ 1 if i ^ 1 < len(speakers) else 0] for i, s in enumerate(speakers)}
    without = {
        pair: _part("without-" + "-".join(pair), _ids(corpus, lambda u, pair=pair: u.speaker not in pair))
        for pair in combinations(speakers, 2)
    }
    folds = []
    for out in speakers:
        tuning = {pair: (p, of_speaker[pair[pair[0] == out]]) for pair, p in without.items() if out in pair}
        few = (tuning[tuple(sorted((out, partner[out])))],) if len(speakers) > 1 else ()  # type: ignore[index]
        train = _ids(corpus, lambda u, out=out: u.speaker != out)
        part = _part(f"loso-{out}", train)
        folds.append(Fold(f"{test}-{out}", part, of_speaker[out], tuple(tuning.values()), few))
    return folds


def _part(name: str, train: tuple[str, ...]) -> Part:
    return Part(name, train, train[::APART_EVERY])


def _listed_recordings(corpus: Corpus) -> dict[str, list[Utterance]]:
    """The recordings of each committed list: those that are scored."""
    return {CONNECTED[0]: [u for u in corpus if take(u) < 5], CONNECTED[1]: list(corpus)}


def _listed(strings: Corpus, name: str) -> Corpus:
    return strings.where(lambda u: u.id.startswith(f"{name}-"))


def _ids(corpus: Corpus, wanted) -> tuple[str, ...]:
    return tuple(u.id for u in corpus if wanted(u))
