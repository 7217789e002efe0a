"""A recipe's settings: one TOML file, read into frozen dataclasses, every mistake named with file and key."""

import dataclasses
import importlib
import os
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError, did_you_mean

T = TypeVar("T")


def load_config(path: str | os.PathLike, config_class: type[T]) -> T:
    """The settings of a TOML file as an instance of a frozen dataclass.

    config_class: its fields are bool, int, float, str, tuples of those (tuple[int, ...]), `... | None`, or further
        dataclasses, which are TOML tables. A setting that the file leaves out has the field's default.
    Raises ConfigError for a missing file, broken TOML, an unknown key (with the nearest known one), a missing key
    without a default, or a value of the wrong type; ValueErrors of a dataclass' own checks become ConfigErrors.
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
