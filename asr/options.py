"""Options as frozen dataclasses: from keywords, from TOML tables, with the nearest known name in every complaint."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from .errors import did_you_mean

T = TypeVar("T")


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
