"""The stages that test a CTC model without its graph: by its best path, by prefix search, with an attention decoder."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from .. import lm
from ..ctc.greedy import greedy
from ..ctc.prefix import PrefixOptions, PrefixSearch
from ..errors import ConfigError
from ..features.table import FeatureTable
from ..lang.letters import LetterTable
from ..model.acoustic import log_posteriors
from ..model.model import Model, load
from ..scoring import score
from .grammars import Grammar, with_references
from .rungs import best_setting
from .tasks import usable, write_json, write_pairs


@dataclass(frozen=True)
class PrefixGrid:
    """What prefix search tries on held-out utterances, and how wide it is; see asr.ctc.prefix.PrefixOptions.

    lm_weights: tried with the middle one of the bonuses. insertion_bonuses: tried with the best weight.
    Raises ConfigError where there is nothing to try, or for a width that PrefixOptions does not take.
    """

    lm_weights: tuple[float, ...] = (0.3, 0.5, 0.7, 1.0)
    insertion_bonuses: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5)
    beam_size: int = 50
    beam: float = 20.0

    def __post_init__(self) -> None:
        _check_not_empty({"lm_weight": self.lm_weights, "insertion_bonus": self.insertion_bonuses})
        PrefixOptions(beam_size=self.beam_size, beam=self.beam)


@dataclass(frozen=True)
class JointGrid:
    """What joint search tries on held-out utterances, and how wide it is; see asr.model.joint_search.

    Raises ConfigError where there is nothing to try, or the beam is empty.
    """

    attention_weights: tuple[float, ...] = (0.3, 0.5, 0.7)
    lm_weights: tuple[float, ...] = (0.1, 0.3, 0.5)
    insertion_bonuses: tuple[float, ...] = (0.0, 0.5, 1.0)
    beam_size: int = 10

    def __post_init__(self) -> None:
        _check_not_empty(self.tried())
        if self.beam_size < 1:
            raise ConfigError(f"beam_size={self.beam_size}; need 1 or more")

    def tried(self) -> dict[str, tuple[float, ...]]:
        """By the name of JointSearchOptions, in the order in which they are chosen."""
        return {
            "attention_weight": self.attention_weights,
            "lm_weight": self.lm_weights,
            "insertion_bonus": self.insertion_bonuses,
        }


def _check_not_empty(tried: Mapping[str, tuple[float, ...]]) -> None:
    """Raise ConfigError where a list of what is tried is empty."""
    for name, values in tried.items():
        if not values:
            raise ConfigError(f"no {name} is tried; give one value at least")


def test_greedy(folder: Path, data: Path, ids: Sequence[str], trained: Path, letters: Path, grammar: Grammar) -> None:
    """What the best path of each utterance says: hypotheses.tsv, references.tsv and test.json."""
    model = load(trained / "model")
    said = lambda features: said_greedily(model, log_probs_of(model, features))  # noqa: E731
    _tested(folder, data, ids, model, letters, grammar, said, {})


def tune_prefix(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    trained: Path,
    language_model: Path,
    letters: Path,
    grammar: Grammar,
    grid: PrefixGrid,
    n_jobs: int,
    progress: Callable[[int, int], None],
) -> None:
    """tuning.json: the errors on held-out utterances, of each weight of the language model and then of each bonus."""
    model, units = load(trained / "model"), lm.read_arpa(language_model / "lm.arpa.gz")
    held_out = with_references(usable(data, ids), grammar, LetterTable.load(letters))
    found = log_probs_less_priors(model, held_out.normalised(model.features))
    points: list[dict[str, float]] = []

    def tried(weight: float, bonus: float) -> int:
        options = PrefixOptions(beam_size=grid.beam_size, beam=grid.beam, lm_weight=weight, insertion_bonus=bonus)
        counted = score(held_out.references, said_by_prefixes(model, units, found, options, n_jobs))
        points.append({"lm_weight": weight, "insertion_bonus": bonus, "errors": counted.errors, "total": counted.total})
        progress(len(points), len(grid.lm_weights) + len(grid.insertion_bonuses))
        return counted.errors

    middle = grid.insertion_bonuses[len(grid.insertion_bonuses) // 2]
    best = min(grid.lm_weights, key=lambda weight: tried(weight, middle))
    for bonus in grid.insertion_bonuses:
        tried(best, bonus)
    write_json(folder / "tuning.json", points)


def test_prefix(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    trained: Path,
    language_model: Path,
    tuned: Sequence[Path],
    letters: Path,
    grammar: Grammar,
    grid: PrefixGrid,
    n_jobs: int,
) -> None:
    """Prefix search once over a test set, with what was best on held-out utterances; files as of `test_greedy`."""
    model, units = load(trained / "model"), lm.read_arpa(language_model / "lm.arpa.gz")
    best = best_setting(tuned)
    options = PrefixOptions(
        beam_size=grid.beam_size, beam=grid.beam, lm_weight=best["lm_weight"], insertion_bonus=best["insertion_bonus"]
    )
    search = lambda features: said_by_prefixes(model, units, log_probs_less_priors(model, features), options, n_jobs)  # noqa: E731
    _tested(folder, data, ids, model, letters, grammar, search, asdict(options))


def tune_joint(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    trained: Path,
    language_model: Path,
    letters: Path,
    grammar: Grammar,
    grid: JointGrid,
    progress: Callable[[int, int], None],
) -> None:
    """tuning.json: held-out errors of attention weights, with the best of the language model's, then of bonuses."""
    search = _joint_search(trained, language_model, grid)
    held_out = with_references(usable(data, ids), grammar, LetterTable.load(letters))
    features = held_out.normalised(load(trained / "model").features)
    points: list[dict[str, float]] = []
    chosen = {name: values[len(values) // 2] for name, values in grid.tried().items()}
    for name, values in grid.tried().items():
        for value in values:
            point = {**chosen, name: value}
            if not any({**p, **point} == p for p in points):
                counted = score(held_out.references, search(features, point))
                points.append({**point, "errors": counted.errors, "total": counted.total})
                progress(len(points), sum(map(len, grid.tried().values())) - 2)
        best = min(points, key=lambda p: p["errors"])
        chosen = {name: best[name] for name in chosen}
    write_json(folder / "tuning.json", points)


def test_joint(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    trained: Path,
    language_model: Path,
    tuned: Sequence[Path],
    letters: Path,
    grammar: Grammar,
    grid: JointGrid,
) -> None:
    """Joint search once over a test set, with what was best on held-out utterances; files as of `test_greedy`."""
    best = best_setting(tuned)
    point = {name: best[name] for name in grid.tried()}
    search = _joint_search(trained, language_model, grid)
    _tested(folder, data, ids, load(trained / "model"), letters, grammar, lambda found: search(found, point), point)


def _joint_search(trained: Path, language_model: Path, grid: JointGrid) -> Callable[..., dict[str, str]]:
    """(features, weights) -> what joint search says of each utterance."""
    from ..model.decoder_file import load_decoder
    from ..model.joint_search import JointSearch, JointSearchOptions

    model, units = load(trained / "model"), lm.read_arpa(language_model / "lm.arpa.gz")
    decoder, name = load_decoder(model, trained), model.lexicon.phones.name

    def search(features: FeatureTable, weights: Mapping[str, float]) -> dict[str, str]:
        options = JointSearchOptions(beam_size=grid.beam_size, **weights)
        joint, found = JointSearch(model, decoder, units, options), dict[str, str]()
        for u in features:
            best = joint.search(features[u])
            found[u] = " ".join(name(int(p)) for p in best[0].units) if best else ""
        return found

    return search


def log_probs_of(model: Model, features: FeatureTable) -> dict[str, np.ndarray]:
    """Utterance id -> float32 (n_rows, n_columns), without priors."""
    return {u: log_posteriors(model.acoustic, features[u]) for u in features}


def log_probs_less_priors(model: Model, features: FeatureTable) -> dict[str, np.ndarray]:
    """The same, less the model's priors as its graph has them, and normalised again.

    What normalises a row is the same for all that may be said, so that prefix search finds what it would without.
    """
    return {u: log_softmax(model.acoustic.log_likelihoods(features[u]), axis=1) for u in features}


def said_greedily(model: Model, log_probs: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Utterance id -> the names of the best path's units."""
    name = model.lexicon.phones.name
    return {u: " ".join(name(int(p)) for p in greedy(rows)[0]) for u, rows in log_probs.items()}


def said_by_prefixes(
    model: Model,
    units: lm.NgramModel,
    log_probs: Mapping[str, np.ndarray],
    options: PrefixOptions,
    n_threads: int = 1,
) -> dict[str, str]:
    """Utterance id -> the names of the units that prefix search finds, with a language model of units."""
    phones = model.lexicon.phones
    columns = [p for p in range(1, model.lexicon.n_phones + 1) if p != model.lexicon.silence_id]  # it is never said
    names = [phones.name(p) for p in columns]
    ids = sorted(log_probs, key=lambda u: -len(log_probs[u]))

    def some(first: int) -> dict[str, str]:
        search, found = PrefixSearch(names, units, options), {}
        for u in ids[first::n_threads]:
            best = search.search(log_probs[u][:, [0, *columns]])
            found[u] = " ".join(names[k - 1] for k in best[0].tokens) if best else ""
        return found

    with ThreadPoolExecutor(n_threads) as pool:
        parts = list(pool.map(some, range(n_threads)))
    return {u: text for part in parts for u, text in part.items()}


def _tested(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    model: Model,
    letters: Path,
    grammar: Grammar,
    search: Callable[[FeatureTable], dict[str, str]],
    tuned: dict[str, float],
) -> None:
    """Recognise a test set and write what came out; an utterance without features stays among the references."""
    part, table = usable(data, ids), LetterTable.load(letters)
    begin = time.process_time()
    features = part.normalised(model.features)
    hypotheses = search(features)
    rtf = (time.process_time() - begin) / (len(features.frames) * model.frame_shift)
    write_pairs(folder / "hypotheses.tsv", {u: hypotheses.get(u, "") for u in ids})
    write_pairs(folder / "references.tsv", {u: grammar.reference(part.transcripts[u], table) for u in ids})
    write_json(folder / "test.json", {"decode_rtf": rtf, "tuned": tuned})
    model.save(folder / "model")
