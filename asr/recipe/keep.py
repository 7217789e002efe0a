"""How the objects that steps make are kept in folders, and come back; nothing is ever unpickled."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import AsrError, ConfigError
from ..files import write_text
from ..files.json_files import read_json, taking_apart

VALUE = "value.json"
"""The file of plain values: numbers, texts, and lists, dictionaries and dataclasses of them."""

# Those that are kept in one file, or not by methods `save` and `load`: the file's name.
_FILES = {
    "Corpus": "corpus.tsv",
    "Lexicon": "lexicon.tsv",
    "LetterTable": "letters.tsv",
    "Model": "model",
    "NgramModel": "lm.arpa.gz",
}


def keep(value: Any, kind: Any, folder: Path) -> None:
    """Write an object into an empty folder.

    Args:
        kind: its type, as the function that made it declares it.

    Raises:
        ConfigError: for a type that cannot be kept.

    What has `save` writes itself: an object with several files into the folder, one with a single file under a usual
    name. A tuple of objects has a folder for each.
    """
    if typing.get_origin(kind) is tuple and not is_plain(kind):
        for number, (part, of_part) in enumerate(zip(value, typing.get_args(kind), strict=True)):
            (folder / str(number)).mkdir()
            keep(part, of_part, folder / str(number))
    elif is_plain(kind):
        write_text(folder / VALUE, json.dumps(_listed(value), indent=1, ensure_ascii=False) + "\n")
    elif kind.__name__ == "Corpus":
        value.to_tsv(folder / _FILES["Corpus"])
    elif kind.__name__ == "NgramModel":
        from ..lm.arpa import write_arpa

        write_arpa(value, folder / _FILES["NgramModel"])
    elif hasattr(kind, "save"):
        value.save(folder / _FILES.get(kind.__name__, ""))
    else:
        raise ConfigError(f"{kind.__name__} cannot be kept: it has no `save`, and is no plain value or dataclass")


def fetch(kind: Any, folder: Path) -> Any:
    """What `keep` wrote.

    Raises:
        AsrError: for files that are damaged.
    """
    if typing.get_origin(kind) is tuple and not is_plain(kind):
        return tuple(fetch(part, folder / str(n)) for n, part in enumerate(typing.get_args(kind)))
    if is_plain(kind):
        with taking_apart(folder / VALUE, what="a value", error=AsrError):
            return _made(kind, read_json(folder / VALUE, kind=object))
    place = folder / _FILES.get(kind.__name__, "")
    if kind.__name__ == "Corpus":
        return kind.from_tsv(place, strict=True)
    if kind.__name__ == "NgramModel":
        from ..lm.arpa import read_arpa

        return read_arpa(place)
    if kind.__name__ == "Model":
        from ..model.model import load

        return load(place)
    return kind.load(place)


def is_plain(kind: Any) -> bool:
    """Whether values of a type are kept as JSON."""
    if kind in (int, float, str, bool, None, type(None)):
        return True
    if arguments := typing.get_args(kind):
        return all(is_plain(a) for a in arguments if a is not Ellipsis and not isinstance(a, str))
    if hasattr(kind, "save") or kind.__name__ in _FILES:
        return False
    return dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")


def _listed(value: Any) -> Any:
    """A value as JSON has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _listed(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _listed(inner) for name, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _made(kind: Any, value: Any) -> Any:
    """A value of a type from what JSON has of it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _made(hints[name], inner) for name, inner in value.items()})  # type: ignore[operator]
    if hasattr(kind, "_fields"):
        return kind(*value)
    if origin in (list, tuple):
        kinds = arguments if origin is tuple and arguments[-1] is not Ellipsis else [arguments[0]] * len(value)
        return origin(_made(k, inner) for k, inner in zip(kinds, value, strict=True))
    if origin is dict:
        return {_key(arguments[0], name): _made(arguments[1], inner) for name, inner in value.items()}
    return value


def _key(kind: Any, name: str) -> Any:
    return kind(name) if kind in (int, float) else name
