"""The stages of a recipe that climbs the ladder of models: train a rung, tune its decoding, test it once."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..features.pipeline import FeaturePipeline
from ..hmm.questions import read_questions
from ..lang.letters import LetterTable
from ..lang.lexicon import Lexicon
from ..model.model import Model, load
from ..model.passes import adapt, scores
from ..scoring import score
from ..train.ladder import Rung, Sizes, too_short, train_rung, warn_of_failures
from ..train.tuning import TuningPoint, at_edge
from .grammars import Grammar, with_references
from .tasks import read_json, usable, write_json, write_pairs

logger = logging.getLogger("asr.recipe")

_COUNTS = ("errors", "total")  # of a point of tuning.json; the rest of it are settings


@dataclass(frozen=True)
class Search:
    """What is tried on held-out utterances, and how wide the search is.

    acoustic_scales: tried with the middle one of the penalties. insertion_penalties: tried with the best scale.
    beam: nats. max_active: tokens kept in a frame.
    """

    acoustic_scales: tuple[float, ...]
    insertion_penalties: tuple[float, ...]
    beam: float = 13.0
    max_active: int = 7000


def make_rung(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    lexicon: Path,
    pipeline: FeaturePipeline,
    sizes: Sizes,
    stage: str,
    previous: Path | None,
    seed: int,
    n_jobs: int,
    progress: Callable[[int, int], None],
    questions: Path | None = None,
) -> None:
    """A rung of the ladder (asr.train.ladder) trained on some utterances, from the one before.

    It tells of utterances that cannot be aligned, but not of those of which the rung before did, nor of those that are
    too short, which are counted before the first one.
    questions: a file of sets of phones that the trees may ask about, besides those found by clustering.
    """
    words = Lexicon.load(lexicon)
    asked = () if questions is None else read_questions(questions, words.phones)
    heard = usable(data, ids)
    before = None if previous is None else Rung.load(previous)
    rung = train_rung(
        stage, heard, words, before,
        pipeline=pipeline, sizes=sizes, questions=asked, seed=seed, n_jobs=n_jobs, progress=progress,
    )  # fmt: skip
    known = too_short(heard, words, pipeline.frame_shift) if before is None else before.failures
    warn_of_failures(stage, {u: why for u, why in rung.failures.items() if u not in known}, len(heard.raw))
    rung.save(folder)


def tune_rung(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    graph: Path,
    letters: Path,
    grammar: Grammar,
    search: Search,
    n_jobs: int,
    progress: Callable[[int, int], None],
) -> None:
    """tuning.json: the errors on held-out utterances, of each acoustic scale and then of each insertion penalty."""
    model = load(graph / "model").with_decoding(beam=search.beam, max_active=search.max_active)
    held_out = with_references(usable(data, ids), grammar, LetterTable.load(letters))
    table = held_out.normalised(model.features)
    loglikes = dict(scores(model, table, adapt(model, table, held_out.speakers)))
    penalties = search.insertion_penalties
    points: list[TuningPoint] = []

    def tried(scale: float, penalty: float) -> None:
        if any((p.acoustic_scale, p.insertion_penalty) == (scale, penalty) for p in points):
            return
        tuned = model.with_decoding(acoustic_scale=scale, insertion_penalty=penalty)
        counted = score(held_out.references, recognised(tuned, loglikes, n_jobs))
        points.append(TuningPoint(scale, penalty, counted.errors, counted.total))
        progress(len(points), len(search.acoustic_scales) + len(penalties) - 1)

    for scale in search.acoustic_scales:
        tried(scale, penalties[len(penalties) // 2])
    best = fewest_errors(points).acoustic_scale
    for penalty in penalties:
        tried(best, penalty)
    if edge := at_edge(points, fewest_errors(points)):
        logger.info("%s: %s; widen the recipe's search", folder.name, edge)
    write_json(folder / "tuning.json", [asdict(p) for p in points])


def fewest_errors(points: Sequence[TuningPoint]) -> TuningPoint:
    """The point to use; of equal ones the first."""
    return min(points, key=lambda p: p.errors)


def best_setting(folders: Sequence[Path]) -> dict[str, float]:
    """The point of tuning.json in some folders with the fewest errors in all of them together; of equal ones the first.

    Only settings that were tried in every folder count.
    """
    errors, totals = dict[tuple, float](), dict[tuple, list[float]]()
    tables = [read_json(folder / "tuning.json") for folder in folders]
    for table in tables:
        for setting, point in {tuple(p[k] for k in p if k not in _COUNTS): p for p in table}.items():
            errors[setting] = errors.get(setting, 0) + point["errors"]
            totals.setdefault(setting, []).append(point["total"])
    best = min((s for s in errors if len(totals[s]) == len(tables)), key=lambda s: errors[s])
    names = [name for name in tables[0][0] if name not in _COUNTS]
    return {**dict(zip(names, best, strict=True)), "errors": errors[best], "total": sum(totals[best])}


def test_rung(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    graph: Path,
    tuned: Sequence[Path],
    letters: Path,
    grammar: Grammar,
    search: Search,
    n_jobs: int,
) -> None:
    """Decode a test set once: hypotheses.tsv, references.tsv, test.json and the tuned model.

    An utterance without features stays among the references, so that its words count as deleted.
    tuned: folders of `tune_rung`; what is best is best for all of them together, of what was tried in all.
    """
    best = best_setting(tuned)
    model = load(graph / "model").with_decoding(
        acoustic_scale=best["acoustic_scale"], insertion_penalty=best["insertion_penalty"],
        beam=search.beam, max_active=search.max_active,
    )  # fmt: skip
    model.decoder  # noqa: B018 - compiles the search before the clock starts
    part, table = usable(data, ids), LetterTable.load(letters)
    begin = time.process_time()
    features = part.normalised(model.features)
    hypotheses = recognised(model, dict(scores(model, features, adapt(model, features, part.speakers))), n_jobs)
    seconds = time.process_time() - begin
    write_pairs(folder / "hypotheses.tsv", {u: hypotheses.get(u, "") for u in ids})
    write_pairs(folder / "references.tsv", {u: grammar.reference(part.transcripts[u], table) for u in ids})
    rtf = seconds / (len(features.frames) * model.frame_shift)
    write_json(folder / "test.json", {"decode_rtf": rtf, "tuned": best})
    model.save(folder / "model")


def recognised(model: Model, loglikes: Mapping[str, np.ndarray], n_threads: int = 1) -> dict[str, str]:
    """Utterance id -> what is recognised in its log-likelihoods, float32 (n_frames, n_pdfs).

    n_threads: how many search at once; what they find does not depend on it.
    """
    ids = sorted(loglikes, key=lambda u: -len(loglikes[u]))

    def some(first: int) -> dict[str, str]:
        decoder = model.with_decoding().decoder  # of its own: a search keeps its state there
        found = {}
        for u in ids[first::n_threads]:
            found[u] = model.text(decoder.decode(loglikes[u]).words)
        return found

    with ThreadPoolExecutor(n_threads) as pool:
        parts = list(pool.map(some, range(n_threads)))
    return {u: text for part in parts for u, text in part.items()}
