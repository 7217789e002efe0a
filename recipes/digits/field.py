"""Digits by anybody through any microphone: how the model that comes with the package is trained and tested.

    python -m recipes.digits.field --corpus DIR --english TABLE... --out build/field [--ship DIR]

DIR holds the Free Spoken Digit Dataset; each TABLE (id, audio, speaker, text) sentences of other speakers, whose digits
are trained on, too. All are trained on as they are and as other rooms and microphones would have made them
(asr.audio.conditions). For each of the dataset's speakers a model is trained without him: these models choose the
decoding options, say what a new speaker may expect, and what recordings look like that suit the model. The same
command goes on where an interrupted run stopped.
"""

import argparse
import logging
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from asr import audio
from asr.audio.augment import add_noise, floor_noise, noise_floor
from asr.audio.conditions import click, clipped, coloured_noise, gated, hum, microphone, recorded_elsewhere, room
from asr.corpus import Corpus, Utterance
from asr.errors import AsrError
from asr.features.options import MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.lang.lexicon import Lexicon
from asr.model.fit import Evidence, Reference
from asr.model.graphs import with_graph
from asr.model.model import Model
from asr.options import load_config
from asr.recipe.run import Run, run_recipe
from asr.train.data import Data
from asr.train.decoding import decode_all
from asr.train.ladder import train_ladder
from asr.train.stage import Sizes
from asr.train.tuning import TuningPoint, add_tuning, tune_decoding, with_tuning

from .copies import read
from .corpora import WORDS, read_fsdd, take
from .pieces import cut_digits, train_cutter

HERE = Path(__file__).resolve().parent
LANG = HERE.parents[1] / "lang" / "digits"
EVERYBODY = "everybody"  # the model of all speakers, without the official test's recordings
OFFICIAL, UNSEEN = "official", "unseen speaker"

logger = logging.getLogger("asr.recipe")

Tuned = Mapping[str, list[TuningPoint]]
Sound = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def _between(before: np.ndarray, x: np.ndarray, behind: np.ndarray) -> np.ndarray:
    return np.concatenate([before, x, behind]).astype(np.float32)


def _zeros(x: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    nothing = np.zeros(int(0.3 * rate))
    return _between(nothing, x, nothing)


def _step(x: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    before, behind = (rng.integers(-1, 2, rate // 2) / 32768 for _ in range(2))
    return _between(before, x, behind)


def _click(x: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    gap = floor_noise(noise_floor([x], rate), rate // 20, rng)
    return _between(click(rate, rng) * 0.5 * np.abs(x).max(), np.concatenate([gap, x]), np.zeros(0))


def _background(x: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    before, behind = (1e-4 * rng.standard_normal(rate) for _ in range(2))
    return _between(before, x, behind)


def _noise(x: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    return add_noise(x, coloured_noise(len(x), rng), float(rng.uniform(10, 20)), rng)


# What is done to the recordings of a test; each recording draws for itself.
CONDITIONS: dict[str, Sound] = {
    "as they are": lambda x, rate, rng: x,
    "0.3 s of zeros at both ends": _zeros,
    "0.5 s of noise of one 16-bit step at both ends": _step,
    "1 s of noise at -80 dB at both ends": _background,
    "a noise gate": lambda x, rate, rng: gated(x, rate),
    "a click before": _click,
    "a room": room,
    "another microphone": lambda x, rate, rng: microphone(x, rng),
    "noise, 10 to 20 dB": _noise,
    "hum of the mains": lambda x, rate, rng: hum(x, rate, rng),
    "a constant offset": lambda x, rate, rng: x + np.float32(0.1),
    "40 dB weaker": lambda x, rate, rng: x * np.float32(0.01),
    "20 dB too loud, clipped": lambda x, rate, rng: clipped(x, 20),
}
TUNED_ON = (
    "as they are", "another microphone", "a click before", "1 s of noise at -80 dB at both ends", "40 dB weaker",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """field.toml. copies: of each recording of the dataset, and of each piece of another speaker's sentences."""

    sample_rate: int
    seed: int
    copies: int
    piece_copies: int
    global_frames: int
    mono_gaussians: int
    leaves: int
    gaussians: int
    beam: float
    acoustic_scales: tuple[float, ...]
    insertion_penalties: tuple[float, ...]
    mfcc: MfccOptions

    @property
    def pipeline(self) -> FeaturePipeline:
        """The features; causal, so that the model can listen to speech that is still going on."""
        causal = {"kind": "cmvn", "mode": "causal", "global_frames": self.global_frames}
        return FeaturePipeline(self.sample_rate, ({"kind": "mfcc", "options": asdict(self.mfcc)}, causal))


def main() -> None:
    arguments = parse_arguments()
    settings = load_config(HERE / "field.toml", Settings)
    run, corpus = Run(arguments.out), readable(read_fsdd(Path(arguments.corpus)))
    others: Sequence[Utterance] = []
    if arguments.english:
        sentences = Corpus(u for table in arguments.english for u in Corpus.read(table))
        cutter = run.kept("english", train_cutter, sentences, settings.sample_rate, settings.seed, arguments.jobs)
        others = list(run.step("pieces", cut_digits, sentences, cutter, WORDS))
    train, test = corpus.where(lambda u: take(u) >= 5), corpus.where(lambda u: take(u) < 5)
    data = run.step("features", extract_with_copies, train, others, settings)
    lexicon, models = Lexicon.load(LANG / "lexicon.tsv"), {}
    for name in (EVERYBODY, *corpus.speakers):
        ids = [u.id for u in (*train, *others) if u.speaker != name]
        models[name] = run.kept(f"model-{name}", train_triphones, data, ids, lexicon, settings, arguments.jobs)
    unseen = {name: models[name] for name in corpus.speakers}
    tuned = run.step("tuned", tune_unseen, unseen, train, settings)
    far = run.step("test-unseen", recognise_unseen, unseen, train, tuned)
    near = run.step("test-official", recognise_official, models[EVERYBODY], test, tuned)
    made = finished(models[EVERYBODY].value, tuned, far, near)
    made.save(Path(arguments.out) / "model")
    if arguments.ship:
        made.save(arguments.ship)
    sys.stdout.write(table(near, far.rates))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, metavar="DIR", help="the Free Spoken Digit Dataset")
    parser.add_argument("--english", nargs="*", default=[], metavar="TABLE", help="sentences of other speakers")
    parser.add_argument("--out", default="build/field", metavar="DIR", help="where everything goes (%(default)s)")
    parser.add_argument("--ship", type=Path, metavar="DIR", help="also write the model there")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (%(default)s)")
    return parser.parse_args()


def readable(corpus: Corpus) -> Corpus:
    """The recordings that can be read; the others are named."""
    good = []
    for utterance in corpus:
        try:
            assert utterance.audio is not None  # digits are read from sound
            audio.read(utterance.audio)
            good.append(utterance)
        except AsrError as error:
            logger.warning("left out: %s", error)
    return Corpus(good)


def extract_with_copies(
    recordings: Corpus, others: Sequence[Utterance], settings: Settings, progress: Callable[[int, int], None]
) -> Data:
    """A step: the features of all training sound and its copies, see `copy_of`; each is of a speaker of its own."""
    pipeline, rate = settings.pipeline, settings.sample_rate
    found: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    copies = {u.id: n for us, n in ((recordings, settings.copies), (others, settings.piece_copies)) for u in us}
    for done, utterance in enumerate((*recordings, *others), start=1):
        samples = read(utterance, rate)
        for k in range(copies[utterance.id] + 1):
            name = copy_of(utterance.id, k)
            sound = recorded_elsewhere(samples, rate, _rng(settings.seed, name)) if k else samples
            found[name], texts[name] = pipeline.front_end(sound), utterance.text or ""
        progress(done, len(recordings) + len(others))
    return Data(FeatureTable.from_dict(found), {name: name for name in found}, texts)


def train_triphones(
    data: Data,
    ids: Sequence[str],
    lexicon: Lexicon,
    settings: Settings,
    n_jobs: int,
    progress: Callable[[int, int], None],
) -> Model:
    """A step: triphones of some recordings and all of their copies, with a loop over the words as their graph."""
    wanted = set(ids)
    chosen = data.where(lambda name: name.rpartition("#")[0] in wanted)
    sizes = Sizes(settings.mono_gaussians, float("inf"), settings.leaves, settings.gaussians)
    stages = train_ladder(
        chosen, lexicon, ["mono", "tri"], pipeline=settings.pipeline, sizes=sizes, seed=settings.seed,
        n_jobs=n_jobs, progress=lambda stage, done, total: progress(done + total * (stage == "tri"), 2 * total),
    )  # fmt: skip
    return with_graph(stages["tri"].model).with_decoding(beam=settings.beam)


def tune_unseen(models: Mapping[str, Model], recordings: Corpus, settings: Settings) -> dict[str, list[TuningPoint]]:
    """A step: the errors of every setting on speakers that each model was trained without, in TUNED_ON by turns."""
    sounds = [CONDITIONS[name] for name in TUNED_ON]
    points = {}
    for speaker, model in models.items():
        mine = [u for u in recordings if u.speaker == speaker]
        raw = {u.id: _features(model, u, sounds[i % len(sounds)], "tuning") for i, u in enumerate(mine)}
        held = Data(FeatureTable.from_dict(raw), {u: u for u in raw}, {u.id: u.text or "" for u in mine})
        scales, penalties = settings.acoustic_scales, settings.insertion_penalties
        points[speaker] = tune_decoding(model, held, acoustic_scales=scales, insertion_penalties=penalties)
    return points


@dataclass(frozen=True)
class Unseen:
    """Condition -> errors and words of speakers that models were trained without; and evidence of the recordings."""

    rates: dict[str, list[int]]
    evidence: list[Evidence]


def recognise_unseen(
    models: Mapping[str, Model], recordings: Corpus, tuned: Tuned, progress: Callable[[int, int], None]
) -> Unseen:
    """A step: errors in all conditions on speakers that each model was trained and tuned without."""
    rates: dict[str, list[int]] = {name: [0, 0] for name in CONDITIONS}
    found: list[Evidence] = []
    for done, (speaker, model) in enumerate(models.items(), start=1):
        ready = _tuned(model, tuned, without=speaker)
        for name in CONDITIONS:
            errors, total, evidence = _tested(ready, [u for u in recordings if u.speaker == speaker], name)
            rates[name][0] += errors
            rates[name][1] += total
            found += evidence if name == "as they are" else []  # others are told from speech unlike any of them
        progress(done, len(models))
    return Unseen(rates, found)


def recognise_official(model: Model, recordings: Corpus, tuned: Tuned) -> dict[str, list[int]]:
    """A step: error rates of all conditions on recordings 0 to 4 of all speakers."""
    ready = _tuned(model, tuned)
    return {name: list(_tested(ready, list(recordings), name)[:2]) for name in CONDITIONS}


def finished(model: Model, tuned: Tuned, far: Unseen, near: Mapping[str, Sequence[int]]) -> Model:
    """The model with its decoding options, the reference of recordings that suit it, and its card."""
    card = (LANG / "CARD.md").read_text(encoding="utf-8").replace("{table}", table(near, far.rates))
    return replace(_tuned(model, tuned), reference=Reference.of(far.evidence), card=card)


def table(near: Mapping[str, Sequence[int]], far: Mapping[str, Sequence[int]]) -> str:
    """Word error rates of both tests as lines of Markdown."""
    lines = [f"| recordings | {OFFICIAL} | {UNSEEN} |", "|---|---:|---:|"]
    for name in CONDITIONS:
        cells = [f"{100 * errors / total:.2f} % ({errors}/{total})" for errors, total in (near[name], far[name])]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def copy_of(name: str, k: int) -> str:
    """The id of the k-th copy of a recording; 0 is the recording itself."""
    return f"{name}#{k}"


def _tested(model: Model, recordings: Sequence[Utterance], condition: str) -> tuple[int, int, list[Evidence]]:
    """Errors, words, and the evidence of recordings in a condition."""
    raw = {u.id: _features(model, u, CONDITIONS[condition], condition) for u in recordings}
    data = Data(FeatureTable.from_dict(raw), {u: u for u in raw}, {u.id: u.text or "" for u in recordings})
    decoded = decode_all(model, data)
    result = decoded.score(data.references)
    return result.errors, result.total, [t.evidence for t in decoded.transcripts.values() if t.evidence is not None]


def _features(model: Model, utterance: Utterance, sound: Sound, draw: str) -> np.ndarray:
    """A recording's features before normalisation, after something was done to it."""
    samples = sound(read(utterance, model.sample_rate), model.sample_rate, _rng(draw, utterance.id))
    return model.features.front_end(samples.astype(np.float32))


def _tuned(model: Model, tuned: Tuned, without: str = "") -> Model:
    """The model with the options that were best for all speakers; without one of them, for the others."""
    return with_tuning(model, add_tuning(points for speaker, points in tuned.items() if speaker != without))


def _rng(*names: object) -> np.random.Generator:
    """A generator of its own for each name, whatever is drawn for others."""
    return np.random.default_rng(zlib.crc32(" ".join(map(str, names)).encode()))


if __name__ == "__main__":
    run_recipe(main)
