"""What is wrong with a line of an ARPA file, found once the compiled reader has stopped at it."""

from collections.abc import Container, Iterator
from typing import NoReturn

from ..errors import LanguageModelError

_NEWLINE = b"\n"


def line_number(text: bytes, place: int) -> int:
    """The number, from 1, of the line that holds a byte."""
    return text.count(_NEWLINE, 0, place) + 1


def refuse(path, text: bytes, place: int, message: str) -> NoReturn:
    """Raise LanguageModelError for the line that begins at a byte."""
    end = text.find(_NEWLINE, place)
    shown = text[place : len(text) if end < 0 else end].decode("utf-8", "backslashreplace").strip()
    raise LanguageModelError(f"{path}:{line_number(text, place)}: {message}; found {shown[:100]!r}") from None


def lines_of(text: bytes, first: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines of a part of the text that are no blanks, each with its first byte."""
    while first < end:
        stop = text.find(_NEWLINE, first, end)
        stop = end if stop < 0 else stop
        line = text[first:stop]
        if line.strip():
            yield first, line
        first = stop + 1


def place_of(text: bytes, first: int, end: int, row: int) -> int:
    """The first byte of a line, counted from 0 without blank ones."""
    return next(place for number, (place, _) in enumerate(lines_of(text, first, end)) if number == row)


def complain(path, text: bytes, first: int, end: int, order: int, known: Container[bytes]) -> NoReturn:
    """Raise the error for the first line of a part of a section that is not as it should be.

    Args:
        known: the words of the 1-grams, as the file spells them.
    """
    what = f"a logarithm, {order} word{'s' * (order > 1)} and perhaps a back-off weight"
    for place, line in lines_of(text, first, end):
        fields = line.split()
        if len(fields) not in (order + 1, order + 2):
            message = f"expected {what}, {order + 1} or {order + 2} fields, not {len(fields)}"
            refuse(path, text, place, message)
        for field in (fields[0], *fields[order + 1 :]):
            try:
                float(field)
            except ValueError:
                refuse(path, text, place, f"expected {what}; {field.decode('utf-8', 'replace')!r} is no number")
        for word in fields[1 : order + 1]:
            if word not in known:
                name = word.decode("utf-8", "backslashreplace")
                refuse(path, text, place, f"word {name!r} is not among the 1-grams")
    raise AssertionError("a section without fault was refused")
