"""JSON of any file: whatever is wrong with one is an error of ours that names it."""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

from ..errors import AsrError
from . import read_bytes

_MOST = 128_000_000  # bytes; a tree of 100,000 leaves has a tenth of it
_KINDS = {dict: "an object, { ... }", list: "a list, [ ... ]", object: "JSON"}


def read_json(path: str | os.PathLike, *, kind: type = dict, error: type[AsrError] = AsrError) -> Any:
    """What a JSON file holds: an object by default.

    Args:
        kind: the class that it must be of: dict, list, or object for any.
        error: the class of what is raised.

    Raises:
        AsrError: of class `error`, naming the file, where it cannot be read, is no JSON, too large, nested too deep, or
            of another kind.
    """
    try:
        raw = read_bytes(path, most=_MOST)
    except (OSError, ValueError) as problem:
        raise error(f"{path}: cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    return parse_json(raw, str(path), kind=kind, error=error)


def parse_json(raw: bytes | str, where: str, *, kind: type = dict, error: type[AsrError] = AsrError) -> Any:
    """What a text of JSON holds; see `read_json`.

    Args:
        where: what messages begin with.
    """
    try:
        content = json.loads(raw)
    except RecursionError:
        raise error(f"{where}: damaged: its brackets are nested too deep (RecursionError)") from None
    except ValueError as problem:
        raise error(f"{where}: not JSON, or damaged ({problem})") from None
    if not isinstance(content, kind):
        raise error(f"{where}: need {_KINDS.get(kind, kind.__name__)} of JSON; it holds a {type(content).__name__}")
    return content


@contextlib.contextmanager
def taking_apart(where: str | os.PathLike, *, what: str, error: type[AsrError] = AsrError) -> Iterator[None]:
    """What goes wrong with the content of a file, such as a missing key or a text for a number, as an error of ours.

    Args:
        what: it was taken for, e.g. "a checkpoint".
    """
    try:
        yield
    except error as problem:
        if os.fspath(where) in str(problem):
            raise
        raise error(f"{where}: not {what}, or damaged ({problem})") from None
    except KeyError as problem:
        raise error(f"{where}: not {what}, or damaged (it lacks {problem})") from None
    except (AsrError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as problem:
        reason = " ".join(str(problem).split()) or type(problem).__name__
        raise error(f"{where}: not {what}, or damaged ({reason})") from None
