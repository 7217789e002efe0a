"""From raw features and transcripts to a model that decodes, and its error on held-out data.

The recipes and the command line are thin above these functions: train, build the graph, tune the decoding options on
held-out utterances, score.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from ..errors import ModelError
from ..model.adaptation import adapt, scores
from ..model.model import Model
from ..scoring import Unit, score
from .data import Data

logger = logging.getLogger(__name__)


class Tried(Protocol):
    """What one setting of any numbers, by name, reached on held-out utterances; a dataclass."""

    @property
    def setting(self) -> Mapping[str, float]: ...
    @property
    def errors(self) -> int: ...
    @property
    def total(self) -> int: ...


P = TypeVar("P", bound=Tried)


@dataclass(frozen=True)
class TuningPoint:
    """What one setting reached on held-out utterances."""

    acoustic_scale: float
    insertion_penalty: float
    errors: int
    total: int

    @property
    def setting(self) -> dict[str, float]:
        """The numbers by name."""
        return {"acoustic_scale": self.acoustic_scale, "insertion_penalty": self.insertion_penalty}

    @property
    def rate(self) -> float:
        """Error rate, percent."""
        return 100.0 * self.errors / max(self.total, 1)


def tune_decoding(
    model: Model,
    held_out: Data,
    *,
    acoustic_scales: Sequence[float],
    insertion_penalties: Sequence[float],
    unit: Unit = "word",
    progress: Callable[[], object] | None = None,
) -> list[TuningPoint]:
    """The errors on held-out utterances for every pair of acoustic scale and insertion penalty.

    Args:
        unit: whose errors: "word", or "char", of which there are more, so that a small held-out set tells more.
        progress: called after each pair.

    Log-likelihoods are computed once; those of a model that adapts to speakers after a first pass as the model has it.
    The utterances must not be part of the training data nor of a scored test set.
    """
    table = held_out.normalised(model.features)
    loglikes = dict(scores(model, table, adapt(model, table, held_out.speakers)))
    points = []
    for scale in acoustic_scales:
        for penalty in insertion_penalties:
            decoder = model.with_decoding(acoustic_scale=scale, insertion_penalty=penalty).decoder
            hypotheses = {i: model.text(decoder.decode(x).words) for i, x in loglikes.items()}
            result = score(held_out.references, hypotheses, unit=unit)
            points.append(TuningPoint(scale, penalty, result.errors, result.total))
            if progress is not None:
                progress()
    return points


def plateau(points: Sequence[TuningPoint]) -> list[TuningPoint]:
    """The settings that are as good as the best, as far as the held-out set can tell.

    Held-out sets are small, so many settings tie, and differences of about the square root of the number of errors (its
    standard deviation) mean nothing.
    """
    if not points:
        raise ModelError("nothing was tuned; give at least one acoustic scale and one insertion penalty")
    fewest = min(p.errors for p in points)
    return [p for p in points if p.errors <= fewest + fewest**0.5]


def best_point(points: Sequence[P]) -> P:
    """The setting to use: in the middle of the plateau, which carries over to new data better than its edge."""
    if not points:
        raise ModelError("nothing was tuned; give at least one acoustic scale and one insertion penalty")
    return points[middle_of_plateau([tuple(p.setting.values()) for p in points], [p.errors for p in points])]


def middle_of_plateau(settings: Sequence[Sequence[float]], errors: Sequence[int]) -> int:
    """The number of the setting to use, of any numbers that were tried in all combinations.

    Args:
        settings: the values of each.
        errors: with each on held-out utterances. Of the settings that are as good as the best (see `plateau`) the one
            nearest to their mean is used, where neighbouring values of a number are one apart.
    """
    fewest = min(errors)
    good = [i for i, n in enumerate(errors) if n <= fewest + fewest**0.5]
    ranks = [{value: rank for rank, value in enumerate(sorted(set(values)))} for values in zip(*settings, strict=True)]
    places = np.array([[of[value] for of, value in zip(ranks, settings[i], strict=True)] for i in good])
    distances = np.square(places - places.mean(axis=0)).sum(axis=1)
    return min(zip(good, distances, strict=True), key=lambda pair: (pair[1], errors[pair[0]]))[0]


def at_edge(points: Sequence[P], best: P) -> str:
    """In words, which of a setting's numbers are the smallest or largest that were tried; empty where none is.

    Examples:
        >>> tried = [TuningPoint(scale, 0.0, int(100 * scale), 100) for scale in (0.1, 0.2, 0.4)]
        >>> at_edge(tried, best_point(tried)), at_edge(tried, tried[1])
        ('the acoustic scale, 0.1, is the smallest that was tried', '')
    """
    edges = []
    for name, chosen in best.setting.items():
        tried = sorted({p.setting[name] for p in points})
        if len(tried) > 1 and chosen in (tried[0], tried[-1]):
            which = "smallest" if chosen == tried[0] else "largest"
            edges.append(f"the {name.replace('_', ' ')}, {chosen:g}, is the {which} that was tried")
    return " and ".join(edges)


def beyond(points: Sequence[TuningPoint]) -> dict[str, list[float]] | None:
    """What to try next where the best of a grid is at its edge, as arguments of `tune_decoding`; None elsewhere.

    The next acoustic scale is in the same ratio as the last two, the next insertion penalty at the same distance.
    """
    best = best_point(points)
    scales = sorted({p.acoustic_scale for p in points})
    penalties = sorted({p.insertion_penalty for p in points})
    ends: list[tuple[float, float]] = [(scales[i], scales[j]) for i, j in ((0, 1), (-1, -2)) if len(scales) > 1]
    for edge, before in ends:
        if best.acoustic_scale == edge:
            return {"acoustic_scales": [edge * edge / before], "insertion_penalties": penalties}
    for edge, before in [(penalties[i], penalties[j]) for i, j in ((0, 1), (-1, -2)) if len(penalties) > 1]:
        if best.insertion_penalty == edge:
            return {"acoustic_scales": scales, "insertion_penalties": [2 * edge - before]}
    return None


def tuned(
    model: Model,
    held_out: Data,
    *,
    acoustic_scales: Sequence[float] | None = None,
    insertion_penalties: Sequence[float] | None = None,
    unit: Unit = "word",
    progress: Callable[[], object] | None = None,
) -> tuple[Model, list[TuningPoint]]:
    """The model with the acoustic scale and insertion penalty that suit held-out utterances, and what was tried.

    Arguments: as of `tune_decoding`. The setting is that of `best_point`; a warning is logged where it is at the edge
    of what was tried.
    """
    points = tune_decoding(
        model, held_out, unit=unit, progress=progress,
        acoustic_scales=acoustic_scales or model.units.acoustic_scales,
        insertion_penalties=insertion_penalties or model.units.insertion_penalties,
    )  # fmt: skip
    if edge := at_edge(points, best_point(points)):
        logger.warning("tuning: %s; beyond it may be better", edge)
    return with_tuning(model, points), points


def with_tuning(model: Model, points: Sequence[TuningPoint]) -> Model:
    """The model with the best setting of a tuning table; see `best_point`."""
    best = best_point(points)
    return model.with_decoding(acoustic_scale=best.acoustic_scale, insertion_penalty=best.insertion_penalty)


def add_tuning(tables: Iterable[Sequence[P]]) -> list[P]:
    """The sum of several tuning tables over the same settings, e.g. of one per held-out speaker."""
    alike: dict[tuple[float, ...], list[Any]] = {}
    for point in (p for table in tables for p in table):
        alike.setdefault(tuple(point.setting.values()), []).append(point)
    return [
        replace(same[0], errors=sum(p.errors for p in same), total=sum(p.total for p in same))
        for same in alike.values()
    ]
