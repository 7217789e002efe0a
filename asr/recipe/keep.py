"""How the objects that steps make are kept in folders, and come back; nothing is ever unpickled."""

import dataclasses
import json
import typing
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..errors import AsrError, ConfigError
from ..files import write_text
from ..files.json_files import read_json, taking_apart

VALUE = "value.json"
"""The file of plain values: numbers, texts, and lists, dictionaries and dataclasses of them."""

# The names of those that are one file, or one folder.
_NAMES = {"Corpus": "corpus.tsv", "Lexicon": "lexicon.tsv", "LetterTable": "letters.tsv", "NgramModel": "lm.arpa.gz"}
_NAMES["Model"] = "model"


def declared(function: Callable) -> Any:
    """The type of what a function returns, as it declares it; None if it does not."""
    returned = SimpleNamespace(__annotations__={n: t for n, t in function.__annotations__.items() if n == "return"})
    return typing.get_type_hints(returned, function.__globals__).get("return")


def keep(value: Any, kind: Any, folder: Path) -> None:
    """Write an object of a declared type into an empty folder; a tuple of objects has a folder for each.

    Raises:
        ConfigError: for a type that cannot be kept.
    """
    if is_plain(kind):
        text = json.dumps(value, default=dataclasses.asdict, indent=1, ensure_ascii=False)
        write_text(folder / VALUE, text + "\n")
    elif typing.get_origin(kind) is tuple:
        for number, (part, of_part) in enumerate(zip(value, typing.get_args(kind), strict=True)):
            (folder / str(number)).mkdir()
            keep(part, of_part, folder / str(number))
    else:
        _ways(kind)[0](value, folder / _NAMES.get(kind.__name__, ""))


def fetch(kind: Any, folder: Path) -> Any:
    """What `keep` wrote. Raises AsrError for files that are damaged."""
    if is_plain(kind):
        with taking_apart(folder / VALUE, what="a value", error=AsrError):
            return _made(kind, read_json(folder / VALUE, kind=object))
    if typing.get_origin(kind) is tuple:
        return tuple(fetch(part, folder / str(n)) for n, part in enumerate(typing.get_args(kind)))
    return _ways(kind)[1](folder / _NAMES.get(kind.__name__, ""))


def is_plain(kind: Any) -> bool:
    """Whether values of a type are kept as JSON."""
    if kind in (int, float, str, bool, None, type(None)):
        return True
    if arguments := typing.get_args(kind):
        return all(is_plain(a) for a in arguments if a is not Ellipsis and not isinstance(a, str))
    if hasattr(kind, "save") or kind.__name__ in _NAMES:
        return False
    return dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")


def _ways(kind: Any) -> tuple[Callable, Callable]:
    """The functions that write and read objects of a type."""
    if kind.__name__ == "Corpus":
        return kind.to_tsv, lambda path: kind.from_tsv(path, strict=True)
    if kind.__name__ == "NgramModel":
        arpa = import_module("..lm.arpa", __package__)
        return arpa.write_arpa, arpa.read_arpa
    if kind.__name__ == "Model":
        return kind.save, import_module(kind.__module__).load
    if not hasattr(kind, "save"):
        raise ConfigError(f"{kind.__name__} cannot be kept: it has no `save`, and is no plain value or dataclass")
    return kind.save, kind.load


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
        key = arguments[0] if arguments[0] in (int, float) else str
        return {key(name): _made(arguments[1], inner) for name, inner in value.items()}
    return value
