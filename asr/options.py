"""Options as frozen dataclasses: from keywords, from TOML tables, with the nearest known name in every complaint."""

import dataclasses
import functools
import importlib
import os
import sys
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from .errors import ConfigError, did_you_mean

T = TypeVar("T")
P = ParamSpec("P")


def field_names(options_class: type) -> list[str]:
    """The names of a dataclass' fields, in order."""
    return [f.name for f in dataclasses.fields(options_class)]


def with_keywords(options: T, keywords: Mapping[str, Any], where: str) -> T:
    """A copy of a frozen dataclass with some fields replaced.

    Args:
        keywords: field name -> value.
        where: who was called, for the message, e.g. "mfcc()".

    Raises:
        TypeError: for an unknown name, with the nearest known one.
    """
    known = field_names(type(options))
    for name in keywords:
        if name not in known:
            raise TypeError(f"{where} has no option {name!r}{did_you_mean(name, known)}")
    return dataclasses.replace(options, **keywords)  # type: ignore[type-var]


def known_names(function: Callable[P, T]) -> Callable[P, T]:
    """A decorator: of a keyword that the function does not have the TypeError says which one it has is nearest.

    Examples:
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

    Examples:
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


def load_config(path: str | os.PathLike, config_class: type[T]) -> T:
    """The settings of a TOML file as an instance of a frozen dataclass.

    Args:
        config_class: its fields are bool, int, float, str, tuples of those (tuple[int, ...]), `... | None`, or further
            dataclasses, which are TOML tables. A setting that the file leaves out has the field's default.

    Raises:
        ConfigError: for a missing file, broken TOML, an unknown key (with the nearest known one), a missing key without
            a default, or a value of the wrong type; ValueErrors of a dataclass' own checks become ConfigErrors.
    """
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    file = Path(path)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None
    return from_table(config_class, table, where=f"{file}: ")


def from_table(config_class: type[T], table: Mapping[str, Any], *, where: str = "") -> T:
    """An instance of a dataclass from a mapping, checked as in `load_config`.

    Args:
        where: put before each key in messages, e.g. "digits.toml: mono.".
    """
    fields = {f.name: f for f in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(config_class)
    for name in table:
        if name not in fields:
            known = ", ".join(fields)
            raise ConfigError(f"{where}{name} is not a setting{did_you_mean(name, fields)} (known here: {known})")
    for name, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if name not in table and not has_default:
            raise ConfigError(f"{where}{name} is missing; it has no default")
    values = {name: _checked(hints[name], value, f"{where}{name}") for name, value in table.items()}
    try:
        return config_class(**values)
    except ValueError as error:
        raise ConfigError(f"{where.rstrip(' .:')}: {error}") from None


def _checked(kind: Any, value: Any, where: str) -> Any:
    """The value as the annotated type, or ConfigError. A whole number passes for a float, nothing else is converted."""
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} is {value!r}; it needs a table, [{where.rsplit(' ', 1)[-1]}]")
        return from_table(kind, value, where=f"{where}.")  # type: ignore[arg-type]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        choices = [a for a in arguments if a is not type(None)]
        if len(choices) != 1:
            raise TypeError(f"{where}: settings of type {kind} are not supported")
        return _checked(choices[0], value, where)
    if origin is typing.Literal:
        if value not in arguments:
            hint = did_you_mean(value, map(str, arguments)) if isinstance(value, str) else ""
            raise ConfigError(f"{where} is {value!r}; it must be one of {', '.join(map(repr, arguments))}{hint}")
        return value
    if origin is tuple:
        return _checked_tuple(arguments, value, where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{where} is {value!r}, of type {type(value).__name__}; it must be of type {kind.__name__}")
    return value


def _checked_tuple(arguments: tuple, value: Any, where: str) -> tuple:
    if not isinstance(value, list):
        raise ConfigError(f"{where} is {value!r}; it must be a list, [...]")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        raise ConfigError(f"{where} has {len(value)} values; it must have {len(arguments)}")
    return tuple(_checked(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(arguments, value, strict=True)))
