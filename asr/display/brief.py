"""Short reprs: what a thing is and how large, in a line, whatever it holds.

A model, a corpus or the result of a training holds arrays and tables of any size; whoever looks at one in a console
or a debugger wants to know which one it is.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

_LONGEST = 60  # characters of a part that is shown as it is


def many(n: int, noun: str, nouns: str = "") -> str:
    """`1 word`, `1,234 words`.

    Args:
        nouns: the plural, where it is not the noun with an s.

    Examples:
        >>> many(1, "word"), many(1234, "arc"), many(2, "entry", "entries")
        ('1 word', '1,234 arcs', '2 entries')
    """
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def short(text: str, longest: int = _LONGEST) -> str:
    """A text, cut where it is longer.

    Examples:
        >>> short("one two three", 8)
        'one two…'
    """
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def in_brief(value: Any) -> str:
    """A value in a few words: itself if it is short, else its type and size.

    Examples:
        >>> in_brief(0.5), in_brief(list(range(100))), in_brief({"a": 1})
        ('0.5', '[100 items]', "{'a': 1}")
    """
    if hasattr(value, "dtype") and hasattr(value, "shape"):  # an array or a tensor
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, str):
        return repr(short(value))
    if isinstance(value, Collection) and len(value) > 3 and not isinstance(value, (bytes, range)):
        return _size(value)
    text = repr(value)
    if len(text) <= _LONGEST and "\n" not in text:
        return text
    return _size(value) if isinstance(value, Collection) else short(f"<{type(value).__name__}>")


def brief_repr(thing: Any) -> str:
    """The `__repr__` of a dataclass or named tuple that holds things of any size: each field in brief."""
    names = getattr(thing, "_fields", None) or [f.name for f in dataclasses.fields(thing) if f.repr]
    return f"{type(thing).__name__}({', '.join(f'{name}={in_brief(getattr(thing, name))}' for name in names)})"


def changed_repr(options: Any) -> str:
    """The `__repr__` of options: those that are not the defaults, which makes them anew when it is evaluated."""
    fields = [f for f in dataclasses.fields(options) if f.repr and getattr(options, f.name) != f.default]
    return f"{type(options).__name__}({', '.join(f'{f.name}={getattr(options, f.name)!r}' for f in fields)})"


def _size(value: Collection) -> str:
    count = many(len(value), "byte" if isinstance(value, (bytes, bytearray, memoryview)) else "item")
    if isinstance(value, (Mapping, set, frozenset)):
        return f"{{{count}}}"
    return f"({count})" if isinstance(value, tuple) else f"[{count}]"
