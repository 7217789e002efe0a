"""Digits by anybody through any microphone: how the model that comes with the package is trained and tested.

    python recipes/digits/field.py --corpus DIR --english TABLE... --out build/field [--ship DIR]

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
from typing import Any

import numpy as np
from corpora import WORDS, read_fsdd, take  # type: ignore[import-not-found]
from pieces import cut_digits, train_cutter  # type: ignore[import-not-found]

from asr import audio
from asr.audio.augment import add_noise, floor_noise, noise_floor
from asr.audio.conditions import click, clipped, coloured_noise, gated, hum, microphone, recorded_elsewhere, room
from asr.corpus import Corpus, Utterance
from asr.errors import AsrError
from asr.features import MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.lang.lexicon import Lexicon
from asr.model import Model, load
from asr.model.fit import Evidence, Reference
from asr.model.graphs import with_graph
from asr.recipe import Run, load_config, run_recipe
from asr.recipe.tasks import read_json, write_json
from asr.train.data import Data
from asr.train.decoding import decode_all
from asr.train.ladder import Sizes, train_ladder
from asr.train.tuning import TuningPoint, add_tuning, tune_decoding, with_tuning

HERE = Path(__file__).resolve().parent
LANG = HERE.parents[1] / "lang" / "digits"
EVERYBODY = "everybody"  # the model of all speakers, without the official test's recordings
OFFICIAL, UNSEEN = "official", "unseen speaker"

logger = logging.getLogger("asr.recipe")

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
    others: list[Utterance] = []
    if arguments.english:
        sentences = [u for table in arguments.english for u in Corpus.read(table)]
        common = {"utterances": sentences, "rate": settings.sample_rate, "seed": settings.seed}
        cutter = run.stage("english", train_cutter, common | {"n_jobs": arguments.jobs})
        pieces = run.stage("pieces", cut_digits, {"utterances": sentences, "cutter": cutter, "words": WORDS})
        others = list(Corpus.read(pieces / "pieces.tsv"))
    spoken = [u for u in corpus if take(u) >= 5]
    inputs = {"recordings": spoken, "others": others, "settings": settings}
    data = run.stage("features", hear, inputs)
    shared = {"data": data, "lexicon": LANG / "lexicon.tsv", "settings": settings, "n_jobs": arguments.jobs}
    models = {}
    for name in (EVERYBODY, *corpus.speakers):
        ids = [u.id for u in (*spoken, *others) if u.speaker != name]
        models[name] = run.stage(f"model-{name}", train, shared | {"ids": ids})
    unseen = {"models": {name: models[name] for name in corpus.speakers}, "recordings": spoken}
    tuned = run.stage("tuned", tune, unseen | {"settings": settings})
    far = run.stage("test-unseen", test_unseen, unseen | {"tuned": tuned})
    official = {"model": models[EVERYBODY], "recordings": [u for u in corpus if take(u) < 5], "tuned": tuned}
    near = run.stage("test-official", test_official, official)
    made = finished(models[EVERYBODY], tuned, far, near)
    made.save(Path(arguments.out) / "model")
    if arguments.ship:
        made.save(arguments.ship)
    sys.stdout.write(table(read_json(near / "rates.json"), read_json(far / "rates.json")))


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


def hear(
    folder: Path,
    recordings: Sequence[Utterance],
    others: Sequence[Utterance],
    settings: Settings,
    progress: Callable[[int, int], None],
) -> None:
    """The features of all training sound, as it is and in copies, see `copy_of`; each is of a speaker of its own."""
    pipeline, rate = settings.pipeline, settings.sample_rate
    found: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    copies = {u.id: n for us, n in ((recordings, settings.copies), (others, settings.piece_copies)) for u in us}
    for done, utterance in enumerate((*recordings, *others), start=1):
        samples = _samples(utterance, rate)
        for k in range(copies[utterance.id] + 1):
            name = copy_of(utterance.id, k)
            sound = recorded_elsewhere(samples, rate, _rng(settings.seed, name)) if k else samples
            found[name], texts[name] = pipeline.front_end(sound), utterance.text or ""
        progress(done, len(recordings) + len(others))
    Data(FeatureTable.from_dict(found), {name: name for name in found}, texts).save(folder)


def train(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    lexicon: Path,
    settings: Settings,
    n_jobs: int,
    progress: Callable[[int, int], None],
) -> None:
    """Triphones of some recordings and all of their copies, with a loop over the words as their graph."""
    heard = Data.load(data)
    wanted = set(ids)
    heard = heard.where(lambda name: name.rpartition("#")[0] in wanted)
    sizes = Sizes(settings.mono_gaussians, float("inf"), settings.leaves, settings.gaussians)
    rungs = train_ladder(
        heard, Lexicon.load(lexicon), ["mono", "tri"], pipeline=settings.pipeline, sizes=sizes, seed=settings.seed,
        n_jobs=n_jobs, progress=lambda stage, done, total: progress(done + total * (stage == "tri"), 2 * total),
    )  # fmt: skip
    with_graph(rungs["tri"].model).with_decoding(beam=settings.beam).save(folder / "model")


def tune(folder: Path, models: Mapping[str, Path], recordings: Sequence[Utterance], settings: Settings) -> None:
    """The errors of every decoding option on speakers that each model was trained without, in TUNED_ON by turns."""
    sounds = [CONDITIONS[name] for name in TUNED_ON]
    points: dict[str, list[dict[str, Any]]] = {}
    for speaker, place in models.items():
        model = load(place / "model")
        mine = [u for u in recordings if u.speaker == speaker]
        raw = {u.id: _heard(model, u, sounds[i % len(sounds)], "tuning") for i, u in enumerate(mine)}
        held = Data(FeatureTable.from_dict(raw), {u: u for u in raw}, {u.id: u.text or "" for u in mine})
        grid: dict[str, Any] = {"acoustic_scales": settings.acoustic_scales}
        found = tune_decoding(model, held, **grid, insertion_penalties=settings.insertion_penalties)
        points[speaker] = [asdict(point) for point in found]
    write_json(folder / "tuning.json", points)


def test_unseen(
    folder: Path, models: Mapping[str, Path], recordings: Sequence[Utterance], tuned: Path,
    progress: Callable[[int, int], None],
) -> None:  # fmt: skip
    """Errors in all conditions on speakers that each model was trained and tuned without, and the evidence of each."""
    rates: dict[str, list[int]] = {name: [0, 0] for name in CONDITIONS}
    found: list[Evidence] = []
    for done, (speaker, place) in enumerate(models.items(), start=1):
        model = _tuned(load(place / "model"), tuned, without=speaker)
        for name in CONDITIONS:
            errors, total, evidence = _tested(model, [u for u in recordings if u.speaker == speaker], name)
            rates[name][0] += errors
            rates[name][1] += total
            found += evidence if name == "as they are" else []  # others are told from speech unlike any of them
        progress(done, len(models))
    write_json(folder / "rates.json", rates)
    write_json(folder / "evidence.json", found)


def test_official(folder: Path, model: Path, recordings: Sequence[Utterance], tuned: Path) -> None:
    """Error rates of all conditions on recordings 0 to 4 of all speakers."""
    ready = _tuned(load(model / "model"), tuned)
    write_json(folder / "rates.json", {name: _tested(ready, recordings, name)[:2] for name in CONDITIONS})


def finished(model: Path, tuned: Path, far: Path, near: Path) -> Model:
    """The model with its decoding options, the reference of recordings that suit it, and its card."""
    reference = Reference.of([Evidence(*values) for values in read_json(far / "evidence.json")])
    card = (LANG / "CARD.md").read_text(encoding="utf-8")
    rates = table(read_json(near / "rates.json"), read_json(far / "rates.json"))
    return replace(_tuned(load(model / "model"), tuned), reference=reference, card=card.replace("{table}", rates))


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
    raw = {u.id: _heard(model, u, CONDITIONS[condition], condition) for u in recordings}
    data = Data(FeatureTable.from_dict(raw), {u: u for u in raw}, {u.id: u.text or "" for u in recordings})
    decoded = decode_all(model, data)
    result = decoded.score(data.references)
    return result.errors, result.total, [t.evidence for t in decoded.transcripts.values() if t.evidence is not None]


def _heard(model: Model, utterance: Utterance, sound: Sound, draw: str) -> np.ndarray:
    """A recording's features before normalisation, after something was done to it."""
    samples = sound(_samples(utterance, model.sample_rate), model.sample_rate, _rng(draw, utterance.id))
    return model.features.front_end(samples.astype(np.float32))


def _tuned(model: Model, tuned: Path, without: str = "") -> Model:
    """The model with the options that were best for all speakers; without one of them, for the others."""
    of_speaker = read_json(tuned / "tuning.json")
    points = [[TuningPoint(**p) for p in mine] for speaker, mine in of_speaker.items() if speaker != without]
    return with_tuning(model, add_tuning(points))


def _samples(utterance: Utterance, rate: int) -> np.ndarray:
    assert utterance.audio is not None  # digits are read from sound
    return audio.read(utterance.audio, rate, start=utterance.start, end=utterance.end).samples


def _rng(*names: object) -> np.random.Generator:
    """A generator of its own for each name, whatever is drawn for others."""
    return np.random.default_rng(zlib.crc32(" ".join(map(str, names)).encode()))


if __name__ == "__main__":
    run_recipe(main)
