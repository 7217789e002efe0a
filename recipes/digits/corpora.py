"""What the digits recipe hears: the Free Spoken Digit Dataset or synthesised speech, and the tests made of them."""

import re
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from systems import Settings  # type: ignore[import-not-found]

from asr.audio.synth import SynthOptions
from asr.corpus import Corpus, Utterance
from asr.errors import CorpusError
from asr.recipe import Run
from asr.recipe.copies import copied, speed_copies
from asr.recipe.strings import PADDED, String, join_strings, listed, make_strings, padded_copies, spoken, write_list
from asr.recipe.systems import Fold, HeldOut
from asr.recipe.tasks import speak_digits
from asr.train.speeds import speed_prefix

HERE = Path(__file__).resolve().parent
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAME = re.compile(r"(\d)_([a-z]+)_(\d+)")
LISTS = ("connected-official", "connected-loso")  # committed; the strings for tuning are made anew each time
TUNING = "tuning-official"

Tests = dict[str, tuple[list[Fold], int]]  # name -> folds, and how many seeds to run


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
    official = Fold("official", train, test, (HeldOut("official10", rest, tuning),))
    heard = {s: _ids(corpus, lambda u, s=s: u.speaker == s) for s in corpus.speakers}
    return {"official": ([official], 5), "loso": (_leave_one_out(corpus, heard, "loso"), 1)}


def string_lists(corpus: Corpus, seed: int) -> list[String]:
    """The strings of both connected tests, and those that connected-official is tuned on."""
    tuning = [u for u in corpus if 5 <= take(u) < 10]
    lists = [listed(HERE / f"{n}.tsv", n, found, seed) for n, found in _listed_recordings(corpus).items()]
    return [*(s for strings in lists for s in strings), *make_strings(TUNING, tuning, seed)]


def write_lists(corpus: Corpus, seed: int, folder: Path = HERE) -> None:
    """connected-official.tsv and connected-loso.tsv."""
    for name, recordings in _listed_recordings(corpus).items():
        write_list(folder / f"{name}.tsv", make_strings(name, recordings, seed), seed)


def connected_tests(corpus: Corpus, strings: list[Utterance]) -> Tests:
    """The single tests with strings of the recordings instead; the models are the same.

    In a fold of connected-loso, decoding is tuned on the strings of the speakers who are not scored in that fold.
    """
    single = single_tests(corpus)
    (official,), n_seeds = single["official"]
    scored, tuning, everyone = ([u for u in strings if u.id.startswith(f"{n}-")] for n in (LISTS[0], TUNING, LISTS[1]))
    part = official.held_out[0]
    fold = Fold(LISTS[0], official.train, _all(scored), (HeldOut(part.name, part.train, _all(tuning)),), official.name)
    heard = {s: _all([u for u in everyone if u.speaker == s]) for s in corpus.speakers}
    return {LISTS[0]: ([fold], n_seeds), LISTS[1]: (_leave_one_out(corpus, heard, LISTS[1]), 1)}


@dataclass(frozen=True)
class Heard:
    """What a run trains and tests on.

    corpus: recordings, and the strings made of them. copies: what systems are trained on beside recordings. tests: by
    name. truth: where the words of the strings are; None if there are none.
    """

    corpus: Corpus
    tests: Tests
    copies: list[Utterance] = field(default_factory=list)
    truth: Path | None = None


def recorded(run: Run, folder: Path, settings: Settings) -> Heard:
    """The recordings of a folder, and strings and copies made of them."""
    corpus = read_fsdd(folder)
    copies = training_copies(run, corpus, settings)
    inputs = {"utterances": list(corpus), "strings": string_lists(corpus, settings.string_seed)}
    inputs |= {"rate": settings.sample_rate, "seed": settings.string_seed}
    joined = run.stage("strings", join_strings, inputs)
    strings = spoken(joined, corpus)
    tests = single_tests(corpus) | connected_tests(corpus, strings)
    return Heard(Corpus([*corpus, *strings]), tests, copies, joined / "edges.ctm")


def training_copies(run: Run, corpus: Corpus, settings: Settings) -> list[Utterance]:
    """What systems are trained on beside the recordings: these at other speeds, or with pauses around them."""
    found: list[Utterance] = []
    inputs: dict[str, Any] = {"utterances": list(corpus), "rate": settings.sample_rate}
    for speed in settings.speeds:
        if speed != 1.0:
            folder = run.stage(f"speed-{speed:g}", speed_copies, inputs | {"speed": speed})
            found += copied(folder, list(corpus), speed_prefix(speed))
    inputs |= {"places": places(corpus), "seed": settings.string_seed}
    return found + copied(run.stage("padded", padded_copies, inputs), list(corpus), PADDED)


def synthesised(run: Run) -> Heard:
    """Connected digits by espeak-ng voices; ids begin with train- or test-."""
    folder = run.stage("speech", speak_digits, {"options": SynthOptions()}) / "digits"
    parts = {part: Corpus.from_folder(folder / part) for part in ("train", "test")}
    corpus = Corpus(
        Utterance(f"{part}-{u.id}", u.speaker, u.audio, u.text) for part, corpus in parts.items() for u in corpus
    )
    return Heard(corpus, synth_tests(corpus))


def synth_tests(corpus: Corpus) -> Tests:
    """Voices of the test part were never heard in training; every sixth training voice is held out for tuning."""
    train = [u for u in corpus if u.id.startswith("train-")]
    held = set(sorted({u.speaker for u in train})[::6])
    rest, tuning = ([u.id for u in train if (u.speaker in held) == out] for out in (False, True))
    test = tuple(u.id for u in corpus if u.id.startswith("test-"))
    fold = Fold("synth", tuple(u.id for u in train), test, (HeldOut("synth-tuning", tuple(rest), tuple(tuning)),))
    return {"synth": ([fold], 1)}


def _leave_one_out(corpus: Corpus, heard: dict[str, tuple[str, ...]], test: str) -> list[Fold]:
    """A fold for each speaker, tuned on each of the others with a model that heard neither of the two.

    heard: speaker -> utterances to decode.
    Networks are tuned on one of the others alone: neighbours in the alphabet are pairs, and each one's network is tuned
    on the other with the network that heard neither of the two.
    """
    speakers = sorted(corpus.speakers)
    without = {pair: _ids(corpus, lambda u, pair=pair: u.speaker not in pair) for pair in combinations(speakers, 2)}
    partner = {s: speakers[i ^ 1 if i ^ 1 < len(speakers) else 0] for i, s in enumerate(speakers)}
    folds = []
    for out in speakers:
        parts = tuple(
            HeldOut("without-" + "-".join(pair), rest, tuple(i for s in pair if s != out for i in heard[s]))
            for pair, rest in without.items()
            if out in pair
        )
        train = _ids(corpus, lambda u, out=out: u.speaker != out)
        pair = {out, partner[out]}
        few = tuple(p for p in parts if p.name == "without-" + "-".join(sorted(pair)))
        folds.append(Fold(f"{test}-{out}", train, heard[out], parts, f"loso-{out}", few))
    return folds


def _listed_recordings(corpus: Corpus) -> dict[str, list[Utterance]]:
    """The recordings of each committed list: those that are scored."""
    return {LISTS[0]: [u for u in corpus if take(u) < 5], LISTS[1]: list(corpus)}


def _ids(corpus: Corpus, wanted) -> tuple[str, ...]:
    return tuple(u.id for u in corpus if wanted(u))


def _all(utterances: list[Utterance]) -> tuple[str, ...]:
    return tuple(u.id for u in utterances)
