"""Stages that recipes have in common: extract features, train a model, tune its decoding on held-out data, test it.

Each function writes into the folder that `Run.stage` hands it, and the next stage reads from there.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import audio
from ..augment import change_speed
from ..corpus import Corpus, Utterance
from ..errors import AsrError, CorpusError
from ..features.extract import extract
from ..features.pipeline import FeaturePipeline
from ..files import write_text
from ..gmm.mono import MonoOptions
from ..lang.lexicon import Lexicon
from ..model import load
from ..scoring import EdgeScore, Score, read_ctm, read_transcripts, score, score_edges
from ..synth import SynthOptions, synthesise_digits
from ..training import Data, TuningPoint, add_tuning, best_point, decode_all, train_monophone, tune_decoding, with_graph
from ..transcription import as_ctm
from ..word_edges import share_within
from .results import ResultRow
from .stages import Run, cpu_seconds

logger = logging.getLogger("asr.recipe")


@dataclass(frozen=True)
class Grid:
    """The decoding options that are tried on held-out utterances, and the beam (nats) of all decoding."""

    acoustic_scales: tuple[float, ...] = (0.0333, 0.05, 0.0667, 0.0833, 0.1, 0.1429, 0.2)
    insertion_penalties: tuple[float, ...] = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 7.0, 10.0)
    beam: float = 13.0


@dataclass(frozen=True)
class System:
    """One way to build a recogniser: everything but the data and the seed.

    features: the pipeline, as in model.json. adaptation: see ResultRow.
    speeds: of the training recordings, 1.0 is as they are; see `speed_copies`. Without any, only copies are trained on.
    copies: prefixes of the ids of further copies of the training recordings, which must be among the data.
    """

    features: FeaturePipeline
    options: MonoOptions
    adaptation: str
    variant: str = ""
    model: str = "mono"
    speeds: tuple[float, ...] = (1.0,)
    copies: tuple[str, ...] = ()

    @property
    def front_end(self) -> str:
        """The first step's kind, e.g. "mfcc"."""
        return str(self.features.steps[0]["kind"])

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the ids of all recordings that it is trained on begin with; nothing for the recordings themselves."""
        return (*("" if speed == 1.0 else speed_prefix(speed) for speed in self.speeds), *self.copies)

    @property
    def name(self) -> str:
        """A name for folders."""
        parts = (self.model, self.front_end, self.variant, self.adaptation)
        return "-".join(p for p in parts if p)


@dataclass(frozen=True)
class HeldOut:
    """A part of the training data that decoding is tuned on, and the rest, which a model is trained on for that.

    name: of the rest; folds that leave out the same utterances share one model.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Fold:
    """Training and test utterances, and how the training part is split for tuning.

    model: name of the training part; folds with the same one share a model. Empty: the fold's name.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    held_out: tuple[HeldOut, ...]
    model: str = ""


@dataclass(frozen=True)
class Bench:
    """What all systems of a recipe have in common.

    data: a folder of `extract_features`, or one for each front end's name. lexicon: a lexicon file.
    tuning_seed: of the models trained for tuning. fallback: see asr.training.with_graph.
    truth: a CTM file of true word times, of test utterances whose word edges are scored too.
    """

    run: Run
    data: Path | Mapping[str, Path]
    lexicon: Path
    grid: Grid
    n_jobs: int = 1
    tuning_seed: int = 0
    fallback: str | None = None
    truth: Path | None = None

    def test(self, system: System, folds: Sequence[Fold], seed: int) -> "Tested":
        """Train, tune and test a system on every fold; what is there already is not done again."""
        trained, tested, tunings = [], [], []
        for fold in folds:
            tuned = [self._tuned(system, part) for part in fold.held_out]
            tunings.append(tuned)
            model = self._trained(system, fold.model or fold.name, fold.train, seed)
            data, beam = self._data(system), self.grid.beam
            inputs = {"data": data, "trained": model, "ids": fold.test, "tuned": tuned, "beam": beam}
            tested.append(self._stage(f"test-{system.name}-{fold.name}-seed{seed}", test, inputs))
            trained.append(model)
        return collect(tested, trained, tunings, self.truth)

    def _data(self, system: System) -> Path:
        return self.data if isinstance(self.data, Path) else self.data[system.front_end]

    def _tuned(self, system: System, part: HeldOut) -> Path:
        model = self._trained(system, part.name, part.train, self.tuning_seed)
        heard = hashlib.sha256("\n".join(part.test).encode()).hexdigest()[:8]
        inputs = {"data": self._data(system), "trained": model, "ids": part.test, "grid": self.grid}
        return self._stage(f"tune-{system.name}-{part.name}-on-{heard}", tune, inputs)

    def _trained(self, system: System, name: str, ids: tuple[str, ...], seed: int) -> Path:
        inputs = {"data": self._data(system), "ids": ids, "lexicon": self.lexicon, "system": system, "seed": seed}
        inputs |= {"n_jobs": self.n_jobs, "fallback": self.fallback}
        return self._stage(f"train-{system.name}-{name}-seed{seed}", train, inputs)

    def _stage(self, name: str, make: Callable[..., None], inputs: dict[str, Any]) -> Path:
        """A stage that several folds may share."""
        if name not in self.run.folders:
            self.run.stage(name, make, inputs)
        return self.run.folders[name]


def speak_digits(folder: Path, options: SynthOptions, progress: Callable[[int, int], None]) -> None:
    """Synthesised connected digits in `folder`/digits/train and `folder`/digits/test."""
    synthesise_digits(folder / "digits", options=options, progress=progress)


def speed_prefix(speed: float) -> str:
    """What Kaldi puts before the ids of utterances and speakers of another speed, e.g. "sp0.9-"."""
    return f"sp{speed:g}-"


def speed_copies(
    folder: Path, utterances: Sequence[Utterance], speed: float, rate: int, progress: Callable[[int, int], None]
) -> None:
    """The recordings at another speed (see asr.augment.change_speed), as 16-bit ID.wav; `copied` lists them."""
    write_copies(folder, utterances, lambda u, samples: change_speed(samples, rate, speed), rate, progress)


def write_copies(
    folder: Path,
    utterances: Sequence[Utterance],
    change: Callable[[Utterance, np.ndarray], np.ndarray],
    rate: int,
    progress: Callable[[int, int], None],
) -> None:
    """The utterances' samples after a change, as 16-bit ID.wav. What cannot be read is warned of and left out."""
    for number, utterance in enumerate(utterances, start=1):
        try:
            assert utterance.audio is not None  # copies are made of sound
            samples = audio.read(utterance.audio, rate, start=utterance.start, end=utterance.end).samples
            write_wav(folder / f"{utterance.id}.wav", change(utterance, samples), rate)
        except AsrError as error:
            logger.warning("no copy of %s: %s", utterance.id, error)
        progress(number, len(utterances))


def copied(folder: Path, utterances: Sequence[Utterance], prefix: str) -> list[Utterance]:
    """The utterances of a folder of copies; their ids and speakers begin with the prefix."""
    files = ((u, folder / f"{u.id}.wav") for u in utterances)
    return [Utterance(prefix + u.id, prefix + u.speaker, file, u.text) for u, file in files if file.exists()]


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """A 16-bit wav file of float samples in [-1, 1]; larger ones are clipped."""
    import soundfile

    integers = np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)
    soundfile.write(path, integers, rate, subtype="PCM_16")


def extract_features(
    folder: Path,
    utterances: Sequence[Utterance],
    pipeline: FeaturePipeline,
    n_jobs: int,
    progress: Callable[[int, int], None],
) -> None:
    """Raw front-end features of a corpus, as a Data folder. Recordings that cannot be used are warned of."""
    corpus = Corpus(utterances)
    table, failures = extract(corpus, pipeline, n_jobs=n_jobs, progress=progress)
    for failure in failures:
        logger.warning("no features of %s: %s", failure.id, failure.message)
    if not len(table):
        raise CorpusError("not one recording of the corpus could be used; see the warnings above")
    Data(table, corpus.speaker_of, corpus.transcripts()).save(folder)


def usable(data: Path, ids: Sequence[str]) -> Data:
    """The utterances of a Data folder with these ids, without those whose recording gave no features."""
    whole = Data.load(data)
    return whole.select(i for i in ids if i in whole.raw)


def with_copies(data: Path, ids: Sequence[str], system: System) -> Data:
    """The utterances that a system is trained on. Raises CorpusError if there is not one copy of a wanted kind."""
    wanted = usable(data, [prefix + i for prefix in system.prefixes for i in ids])
    for prefix in system.prefixes:
        if not any(prefix + i in wanted.raw for i in ids):
            raise CorpusError(f"{data}: {system.name} needs copies of the recordings called {prefix}ID; there is none")
    return wanted


def train(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    lexicon: Path,
    system: System,
    seed: int,
    n_jobs: int,
    fallback: str | None,
    progress: Callable[[int, int], None],
) -> None:
    """A trained model with its graph in `folder`/model, and the log of its training."""
    begin = cpu_seconds()
    model, result = train_monophone(
        with_copies(data, ids, system),
        Lexicon.load(lexicon),
        system.features,
        system.options,
        seed=seed,
        n_jobs=n_jobs,
        progress=progress,
    )
    seconds = cpu_seconds() - begin
    with_graph(model, fallback=fallback).save(folder / "model")
    write_json(folder / "training.json", {"train_cpu_seconds": seconds, "log": [asdict(r) for r in result.log]})


def tune(folder: Path, data: Path, trained: Path, ids: Sequence[str], grid: Grid) -> None:
    """The errors of a trained model on held-out utterances for every setting of the grid, as tuning.json."""
    points = tune_decoding(
        load(trained / "model").with_decoding(beam=grid.beam),
        usable(data, ids),
        acoustic_scales=grid.acoustic_scales,
        insertion_penalties=grid.insertion_penalties,
    )
    write_json(folder / "tuning.json", [asdict(p) for p in points])


def read_tuning(*folders: Path) -> list[TuningPoint]:
    """The tuning table of a stage, or the sum of several."""
    tables = [json.loads((f / "tuning.json").read_text(encoding="utf-8")) for f in folders]
    return add_tuning([TuningPoint(**p) for p in table] for table in tables)


def test(folder: Path, data: Path, trained: Path, ids: Sequence[str], tuned: Sequence[Path], beam: float) -> None:
    """Decode a test set once, with what was best on held-out data: hypotheses.tsv, test.json and the tuned model.

    A recording of the test set that has no features stays among the references, so its words count as deleted.
    """
    best = best_point(read_tuning(*tuned))
    model = load(trained / "model").with_decoding(
        acoustic_scale=best.acoustic_scale, insertion_penalty=best.insertion_penalty, beam=beam
    )
    part = usable(data, ids)
    decoded = decode_all(model, part)
    write_pairs(folder / "hypotheses.tsv", decoded.hypotheses)
    write_pairs(folder / "references.tsv", {i: part.transcripts[i] for i in ids})
    write_text(folder / "hypotheses.ctm", "".join(as_ctm(i, t) for i, t in decoded.transcripts.items()))
    unfinished = sum(not t.reached_final for t in decoded.transcripts.values())
    write_json(folder / "test.json", {"decode_rtf": decoded.rtf, "unfinished": unfinished, "tuned": asdict(best)})
    model.save(folder / "model")


@dataclass(frozen=True)
class Tested:
    """A finished test: hypotheses against references, over one fold or several, and the folders of its stages.

    edges: of correct words, where the true times are known.
    """

    tests: list[Path]
    trainings: list[Path]
    tunings: list[list[Path]]
    references: dict[str, str]
    hypotheses: dict[str, str]
    train_cpu_seconds: float
    decode_rtf: float
    edges: EdgeScore | None = None

    def score(self, unit: str = "word") -> Score:
        """Errors over all folds together."""
        return score(self.references, self.hypotheses, unit=unit)  # type: ignore[arg-type]

    def row(self, system: System, test_name: str, seed: int) -> ResultRow:
        """The row of results.json."""
        result = self.score()
        return ResultRow(
            model=system.model,
            features=system.front_end,
            variant=system.variant,
            adaptation=system.adaptation,
            test=test_name,
            metric="wer",
            seed=seed,
            value=result.rate,
            errors=result.errors,
            total=result.total,
            train_cpu_seconds=self.train_cpu_seconds,
            decode_rtf=self.decode_rtf,
            substitutions=result.substitutions,
            deletions=result.deletions,
            insertions=result.insertions,
            edges_within_50_ms=share_within(self.edges.edges, 50) if self.edges and self.edges.words else None,
        )


def collect(tests: list[Path], trainings: list[Path], tunings: list[list[Path]], truth: Path | None = None) -> Tested:
    """The test stages of all folds, pooled: training time is their sum, the real-time factor their mean.

    truth: a CTM file; edges are scored if it has words of every reference that has any.
    """
    references: dict[str, str] = {}
    hypotheses: dict[str, str] = {}
    for folder in tests:
        references |= read_transcripts(folder / "references.tsv")
        hypotheses |= read_transcripts(folder / "hypotheses.tsv")
    seconds = [read_json(f / "training.json")["train_cpu_seconds"] for f in trainings]
    rtfs = [read_json(f / "test.json")["decode_rtf"] for f in tests]
    edges = _edges(tests, references, truth) if truth is not None else None
    return Tested(tests, trainings, tunings, references, hypotheses, sum(seconds), sum(rtfs) / len(rtfs), edges)


def _edges(tests: list[Path], references: dict[str, str], truth: Path) -> EdgeScore | None:
    true = read_ctm(truth)
    if any(text and i not in true for i, text in references.items()):
        return None
    files = [f / "hypotheses.ctm" for f in tests]
    heard = {i: words for file in files if file.stat().st_size for i, words in read_ctm(file).items()}
    return score_edges({i: true[i] for i in references if i in true}, heard)


def write_pairs(path: Path, texts: dict[str, str]) -> None:
    """`id<TAB>words` lines, as `asr score` reads them."""
    write_text(path, "".join(f"{i}\t{t}\n" for i, t in texts.items()))


def write_json(path: Path, value: Any) -> None:
    """A JSON file for people and programs."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """The inverse of write_json."""
    return json.loads(path.read_text(encoding="utf-8"))
