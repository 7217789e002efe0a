"""What the stages of recipes do: extract features, train a model, tune its decoding on held-out data, test it.

Each function writes into the folder that `Run.stage` hands it, and the next stage reads from there.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..audio.synth import SynthOptions, synthesise_digits
from ..corpus import Utterance
from ..errors import CorpusError
from ..features.pipeline import FeaturePipeline
from ..files import json_files, write_text
from ..lang.lexicon import Lexicon
from ..model.graphs import with_graph
from ..model.model import load
from ..train.data import Data
from ..train.decoding import decode_all
from ..train.ladder import Rung, Sizes, train_rung, warn_of_failures
from ..train.mono import train_monophone
from ..train.tuning import TuningPoint, add_tuning, at_edge, best_point, tune_decoding
from ..train.vtln import adapted, decode_vtln, train_vtln
from ..transcribe.writing import as_ctm
from .stages import cpu_seconds

if TYPE_CHECKING:
    from .systems import Grid, System

logger = logging.getLogger("asr.recipe")

# A folder of `extract_features`; where the vocal tract length is normalised, one for each warp.
Features = Path | Mapping[float, Path]


def speak_digits(folder: Path, options: SynthOptions, progress: Callable[[int, int], None]) -> None:
    """Synthesised connected digits in `folder`/digits/train and `folder`/digits/test."""
    synthesise_digits(folder / "digits", options=options, progress=progress)


def extract_features(
    folder: Path,
    utterances: Sequence[Utterance],
    pipeline: FeaturePipeline,
    n_jobs: int,
    progress: Callable[[int, int], None],
    warp: float = 1.0,
    speed: float = 1.0,
) -> None:
    """Raw front-end features of a corpus, as a Data folder.

    Recordings that cannot be used, or are silent all through, are left out, and warned of in a few lines.
    warp, speed: of all recordings; see `extract`.
    """
    data = Data.of(utterances, pipeline, n_jobs=n_jobs, vtln_warp=warp, speed=speed, progress=progress)
    data.save(folder)


def each(data: Features, function: Callable[[Path], Data]) -> Data | dict[float, Data]:
    """What a function makes of a folder, or of each warp's."""
    return function(data) if isinstance(data, Path) else {warp: function(folder) for warp, folder in data.items()}


def usable(data: Path, ids: Sequence[str]) -> Data:
    """The utterances of a Data folder with these ids, without those whose recording gave no features."""
    whole = Data.load(data)
    return whole.select(i for i in ids if i in whole.raw)


def with_copies(data: Path, ids: Sequence[str], system: "System") -> Data:
    """The utterances that a system is trained on. Raises CorpusError if there is not one copy of a wanted kind."""
    wanted = usable(data, [prefix + i for prefix in system.prefixes for i in ids])
    for prefix in system.prefixes:
        if not any(prefix + i in wanted.raw for i in ids):
            raise CorpusError(f"{data}: {system.name} needs copies of the recordings called {prefix}ID; there is none")
    return wanted


def train(
    folder: Path,
    data: Features,
    ids: Sequence[str],
    lexicon: Path,
    system: "System",
    seed: int,
    n_jobs: int,
    fallback: str | None,
    progress: Callable[[int, int], None],
    below: Path | None = None,
) -> None:
    """A trained model with its graph in `folder`/model, its alignment, and the log of its training.

    below: the same of the model that it starts from, whose processor time counts too.
    """
    begin = cpu_seconds()
    heard, words = each(data, lambda path: with_copies(path, ids, system)), Lexicon.load(lexicon)
    one = heard if isinstance(heard, Data) else next(iter(heard.values()))
    settings: dict[str, Any] = {"seed": seed, "n_jobs": n_jobs, "progress": progress}
    warps: dict[str, float] = {}
    if isinstance(system.options, Sizes):
        assert isinstance(heard, Data) and below is not None  # warps are of monophones
        settings |= {"pipeline": system.features, "sizes": system.options}
        rung = train_rung(system.model, heard, words, Rung.load(below), **settings)
    else:
        if isinstance(heard, Data):
            model, result = train_monophone(heard, words, system.features, system.options, **settings)
        else:
            model, result, warps = train_vtln(heard, words, system.features, system.options, **settings)
        rung = Rung(model, result.alignments, result.failures, result.log)
    seconds = cpu_seconds() - begin
    warn_of_failures(folder.name, rung.failures, len(one.raw))
    replace(rung, model=with_graph(rung.model, fallback=fallback)).save(folder)
    seconds += 0.0 if below is None else read_json(below / "training.json")["train_cpu_seconds"]
    told = {"train_cpu_seconds": seconds, "warps": warps}
    write_json(folder / "training.json", read_json(folder / "training.json") | told)


def tune(folder: Path, data: Features, trained: Path, ids: Sequence[str], grid: "Grid") -> None:
    """The errors of a trained model on held-out utterances for every setting of the grid, as tuning.json."""
    model = load(trained / "model").with_decoding(beam=grid.beam)
    heard = each(data, lambda path: usable(path, ids))
    points = tune_decoding(
        model,
        heard if isinstance(heard, Data) else adapted(model, heard)[0],
        acoustic_scales=grid.acoustic_scales,
        insertion_penalties=grid.insertion_penalties,
    )
    if edge := at_edge(points, best_point(points)):
        logger.info("%s: %s; widen the recipe's grid", folder.name, edge)
    write_json(folder / "tuning.json", [asdict(p) for p in points])


def read_tuning(*folders: Path) -> list[TuningPoint]:
    """The tuning table of a stage, or the sum of several."""
    tables = [json_files.read_json(f / "tuning.json", kind=list) for f in folders]
    return add_tuning([TuningPoint(**p) for p in table] for table in tables)


def test(folder: Path, data: Features, trained: Path, ids: Sequence[str], tuned: Sequence[Path], beam: float) -> None:
    """Decode a test set once, with what was best on held-out data: hypotheses.tsv, test.json and the tuned model.

    A recording of the test set that has no features stays among the references, so its words count as deleted.
    """
    best = best_point(read_tuning(*tuned))
    model = load(trained / "model").with_decoding(
        acoustic_scale=best.acoustic_scale, insertion_penalty=best.insertion_penalty, beam=beam
    )
    part = each(data, lambda path: usable(path, ids))
    decoded = decode_all(model, part) if isinstance(part, Data) else decode_vtln(model, part)
    transcripts = part.transcripts if isinstance(part, Data) else part[1.0].transcripts
    write_pairs(folder / "hypotheses.tsv", decoded.hypotheses)
    write_pairs(folder / "references.tsv", {i: transcripts[i] for i in ids})
    write_text(folder / "hypotheses.ctm", "".join(as_ctm(i, t) for i, t in decoded.transcripts.items()))
    unfinished = sum(not t.reached_final for t in decoded.transcripts.values())
    write_json(folder / "test.json", {"decode_rtf": decoded.rtf, "unfinished": unfinished, "tuned": asdict(best)})
    model.save(folder / "model")


def write_pairs(path: Path, texts: dict[str, str]) -> None:
    """`id<TAB>words` lines, as `asr score` reads them."""
    write_text(path, "".join(f"{i}\t{t}\n" for i, t in texts.items()))


def write_json(path: Path, value: Any) -> None:
    """A JSON file for people and programs."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """The inverse of write_json."""
    return json_files.read_json(path, kind=object)
