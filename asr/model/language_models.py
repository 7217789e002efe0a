"""Language models as a command names them: a file, or several with the part that each has in a mixture."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import LanguageModelError
from ..files import kind_of
from ..lm import read_model
from ..lm.mixing import interpolate
from ..lm.model import NgramModel

_ROUNDING = 1e-3  # by which parts may miss 1


class Part(NamedTuple):
    """A file of a language model, and its part in a mixture, above 0 to 1."""

    path: Path
    weight: float


def parts_of(names: Sequence[str]) -> list[Part]:
    """What `A.arpa`, or `A.arpa:0.7` and `B.arpa:0.3`, stand for.

    Raises:
        LanguageModelError: for parts that do not add up to 1, and several files of which one has none.

    Examples:
        >>> [(part.path.name, part.weight) for part in parts_of(["talk.arpa:0.7", "books.arpa:0.3"])]
        [('talk.arpa', 0.7), ('books.arpa', 0.3)]
    """
    if len(names) == 1 and (kind_of(names[0]) == "file" or _part(names[0]) is None):
        return [Part(Path(names[0]), 1.0)]
    parts = []
    for name in names:
        part = _part(name)
        if part is None:
            raise LanguageModelError(f"{name}: of several language models each needs its part: {name}:0.5")
        parts.append(part)
    total = sum(part.weight for part in parts)
    # A part that is NaN is neither above 0 nor below.
    if not (abs(total - 1.0) <= _ROUNDING and all(part.weight > 0 for part in parts)):
        weights = " + ".join(f"{part.weight:g}" for part in parts)
        raise LanguageModelError(
            f"the parts of language models are above 0 and add up to 1; these: {weights} = {total:g}"
        )
    return parts


def _part(name: str) -> Part | None:
    path, _, weight = name.rpartition(":")
    try:
        return Part(Path(path), float(weight)) if path else None
    except ValueError:
        return None


def read_parts(parts: Sequence[Part]) -> NgramModel:
    """The one model of some parts; see `interpolate`."""
    model, weight = read_model(parts[0].path), parts[0].weight
    for part in parts[1:]:
        model = interpolate(model, read_model(part.path), weight / (weight + part.weight))
        weight += part.weight
    return model
