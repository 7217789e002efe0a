"""Phones or letters as the words of a language model."""

from collections.abc import Iterable

from ..options import known_names
from .entries import Entry
from .lexicon import Lexicon


@known_names
def unit_lexicon(
    units: Iterable[str],
    *,
    silence_phone: str = "SIL",
    silence_prob: float = 0.5,
    oov: str = "error",
    unk: str = "<unk>",
    position_dependent: bool = False,
) -> Lexicon:
    """The lexicon in which each unit is a word pronounced as itself: with a language model over units, a phone loop.

    silence_phone and what follows: settings of the lexicon.

    Args:
        units: names of phones; the silence phone among them is left out, as pauses are the lexicon's matter.
    """
    return Lexicon(
        tuple(Entry(unit, (unit,)) for unit in sorted(set(units) - {silence_phone})),
        silence_phone=silence_phone,
        silence_prob=silence_prob,
        oov=oov,
        unk=unk,
        position_dependent=position_dependent,
    )
