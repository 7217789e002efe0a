"""Options as frozen dataclasses: from keywords, from TOML tables, with the nearest known name in every complaint."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from .errors import did_you_mean

T = TypeVar("T")
P = ParamSpec("P")


def field_names(options_class: type) -> list[str]:
    """The names of a dataclass' fields, in order."""
    return [f.name for f in dataclasses.fields(options_class)]


def with_keywords(options: T, keywords: Mapping[str, Any], where: str) -> T:
    """A copy of a frozen dataclass with some fields replaced.

    keywords: field name -> value.
    where: who was called, for the message, e.g. "mfcc()".
    Raises TypeError for an unknown name, with the nearest known one.
    """
    known = field_names(type(options))
    for name in keywords:
        if name not in known:
            raise TypeError(f"{where} has no option {name!r}{did_you_mean(name, known)}")
    return dataclasses.replace(options, **keywords)  # type: ignore[type-var]


def known_names(function: Callable[P, T]) -> Callable[P, T]:
    """A decorator: of a keyword that the function does not have the TypeError says which one it has is nearest.

    >>> @known_names
    ... def search(*, beam=13.0):
    ...     return beam
    >>> search(beem=3.0)
    Traceback (most recent call last):
    TypeError: search() has no option 'beem'; did you mean 'beam'?
    """
    code = function.__code__
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    @functools.wraps(function)
    def checked(*args: P.args, **keywords: P.kwargs) -> T:
        for name in keywords:
            if name not in known:
                raise TypeError(f"{_called(function)} has no option {name!r}{did_you_mean(name, known)}")
        return function(*args, **keywords)

    return checked


def given(**values: Any) -> dict[str, Any]:
    """Those that are not None: what a caller named, where None stands for something else's value."""
    return {name: value for name, value in values.items() if value is not None}


def takes_options(options_class: type) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator of functions that take the fields of an options class by name, and write each out with its default.

    Written out, `help`, editors and type checkers know them all. The function has a keyword `options`, too, for all at
    once. What a caller gives by name replaces the fields of these options, or of the defaults, and the function finds
    all in its `options`: of the names it says what they are, no more.
    The decorated function raises TypeError for an unknown name, with the nearest known one, and for options of another
    class.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Size:
    ...     width: int = 3
    >>> @takes_options(Size)
    ... def line(sign, *, options=None, width=3):
    ...     return sign * options.width
    >>> line("-"), line("-", width=5), line("-", options=Size(7))
    ('---', '-----', '-------')
    """
    fields = set(field_names(options_class))

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        code = function.__code__
        others = set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) - fields

        @functools.wraps(function)
        def with_options(*args: P.args, **keywords: P.kwargs) -> T:
            where = _called(function)
            given = keywords.get("options") or options_class()
            if not isinstance(given, options_class):
                raise TypeError(f"{where} takes options of type {options_class.__name__}, not {type(given).__name__}")
            named = {name: value for name, value in keywords.items() if name not in others}
            rest: dict[str, Any] = {name: value for name, value in keywords.items() if name in others}
            rest["options"] = with_keywords(given, named, where)
            return function(*args, **rest)

        return with_options

    return decorated


def _called(function: Callable) -> str:
    """How a function's name stands in messages: `mfcc()`, `Model.load()`; a class for its `__init__`."""
    return function.__qualname__.removesuffix(".__init__").rpartition("<locals>.")[2] + "()"
