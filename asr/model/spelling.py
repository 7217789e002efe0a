"""How a model writes the words that a person gives it."""

from collections.abc import Iterable

from ..lang.lexicon import Lexicon


def spelled_as_in(lexicon: Lexicon, words: Iterable[str], *, once: bool = True) -> list[str]:
    """Words in the case of the lexicon's: as it spells them, or as all of its words are written.

    Args:
        once: whether a word that comes again is left out.

    Examples:
        >>> spelled_as_in(Lexicon([("seven", ("S",)), ("one", ("W",))]), ["Seven", "Twenty-one", "one"])
        ['seven', 'twenty-one', 'one']
    """
    known = list(dict.fromkeys(entry.word for entry in lexicon.entries if any(map(str.isalpha, entry.word))))
    of_small: dict[str, str] = {}
    for word in known:
        of_small.setdefault(word.lower(), word)
    has_small, has_capitals = (any(word != case(word) for word in known) for case in (str.upper, str.lower))
    style = str.lower if not has_capitals else str.upper if not has_small else str
    has = set(known)
    found = [w if w in has else of_small.get(w.lower(), style(w)) for w in words]
    return list(dict.fromkeys(found)) if once else found
