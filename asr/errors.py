"""The errors that the toolkit raises on purpose. Each message says where, what is wrong, and what to do."""

import difflib
import re
from collections.abc import Iterable, Sequence


class AsrError(Exception):
    """Anything that a user can mend: the command line prints its message without a traceback."""


class AudioError(AsrError):
    """An audio file or sample array that cannot be used."""


class CorpusError(AsrError):
    """A corpus, transcript or data directory that is inconsistent. problems: of the utterances, where none is left."""

    problems: Sequence = ()


class LexiconError(AsrError):
    """A lexicon or symbol table that is wrong, or a word that has no pronunciation."""


class LanguageModelError(AsrError):
    """A language model, or the text it is made from, that cannot be used."""


class GraphError(AsrError):
    """A graph that cannot be built, read or searched."""


class ModelError(AsrError):
    """A model directory that is incomplete, or a training run that cannot go on."""


class ConfigError(AsrError):
    """A setting in a recipe's TOML file that is unknown or has an impossible value."""


def kind_of_message(message: str, place: str = "") -> str:
    """What messages of the same kind have in common: no place, no names in quotes, no numbers.

    Nor is the name of a file without what it ends with: `no transcript a.txt` of a.wav.

    Examples:
        >>> kind_of_message("a.wav: cut at 1.25 s", "a.wav") == kind_of_message("b.wav: cut at 3 s", "b.wav")
        True
    """
    text = message.replace(place, "") if place else message
    stem = re.split(r"[/\\]", place)[-1].rpartition(".")[0]
    if stem and not stem.isdigit():  # 571.mp3 is a number already, and is part of others: 81.571 s
        text = re.sub(rf"(?<!\w){re.escape(stem)}(?!\w)", "'", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\S*[/\\]\S*", "'", text)
    return re.sub(r"\d+(\.\d+)?", "0", text)


def first_of(problems: Sequence[str], most: int = 10) -> str:
    """The first of some problems, a line each, and how many more there are.

    Examples:
        >>> first_of(["a:1: no id", "a:2: no id", "a:3: no id"], 2)
        'a:1: no id\\na:2: no id\\n... and 1 more'
    """
    more = [f"... and {len(problems) - most} more"] if len(problems) > most else []
    return "\n".join([*problems[:most], *more])


def listed(names: Iterable[str], most: int = 10) -> str:
    """The first of some names in a line, and how many more there are.

    Examples:
        >>> listed(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def nearest(name: str, known: Iterable[str], count: int = 1, cutoff: float = 0.4) -> list[str]:
    """Up to `count` of the `known` names that look most like `name`, best first; for "did you mean" messages.

    Args:
        cutoff: how alike they must be, 0 to 1: twice the letters in common by both names' lengths.
    """
    known = list(known)
    folded = {k.lower(): k for k in known}
    matches = difflib.get_close_matches(name.lower(), folded, n=count, cutoff=cutoff)
    return [folded[m] for m in matches]


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.4) -> str:
    """`"; did you mean 'mfcc'?"`, or an empty string where nothing is near.

    Args:
        cutoff: as of `nearest`.
    """
    found = nearest(name, known, cutoff=cutoff)
    return f"; did you mean {found[0]!r}?" if found else ""
