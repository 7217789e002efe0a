"""Symbol tables: names and their integer ids, as OpenFst and Kaldi write them (`words.txt`, `phones.txt`)."""

import os
from collections.abc import Iterable, Iterator

from ..display.brief import many, short
from ..errors import LexiconError, did_you_mean
from ..files import numbered_lines, write_text

EPSILON = "<eps>"


class SymbolTable:
    """Names with consecutive ids from 0; id 0 is `<eps>`.

    Examples:
        >>> table = SymbolTable(["<eps>", "SIL", "AH"])
        >>> table["AH"], table.name(1), len(table)
        (2, 'SIL', 3)
    """

    def __init__(self, names: Iterable[str]):
        self._names = list(names)
        self._ids = {name: i for i, name in enumerate(self._names)}
        if not self._names or self._names[0] != EPSILON:
            raise LexiconError(f"a symbol table starts with {EPSILON}; this one starts with {self._names[:1]}")
        if len(self._ids) != len(self._names):
            seen: set[str] = set()
            twice = next(n for n in self._names if n in seen or seen.add(n))  # type: ignore[func-returns-value]
            raise LexiconError(f"symbol {twice!r} is in the table twice")

    def __repr__(self) -> str:
        return f"<SymbolTable: {many(len(self), 'symbol')}, {short(', '.join(self._names[:5]))}>"

    def __getitem__(self, name: str) -> int:
        try:
            return self._ids[name]
        except KeyError:
            raise LexiconError(f"symbol {name!r} is not in the table{did_you_mean(name, self._ids)}") from None

    def get(self, name: str) -> int | None:
        """The id of a name, or None."""
        return self._ids.get(name)

    def name(self, index: int) -> str:
        """The name of an id.

        Raises:
            IndexError: for a negative or unknown id.
        """
        if index < 0:
            raise IndexError(f"symbol ids are not negative; got {index}")
        return self._names[index]

    def __contains__(self, name: object) -> bool:
        return name in self._ids

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SymbolTable) and self._names == other._names

    def __hash__(self) -> int:
        return hash(tuple(self._names))

    def save(self, path: str | os.PathLike) -> None:
        """Write `name id` lines, as OpenFst's and Kaldi's text symbol tables."""
        write_text(path, "".join(f"{name} {i}\n" for i, name in enumerate(self._names)))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "SymbolTable":
        """Read `name id` lines.

        Raises:
            LexiconError: for a file that cannot be read, and with file:line where ids are not 0, 1, 2, ... once each.
        """
        entries: dict[int, str] = {}
        try:
            lines = list(numbered_lines(path))
        except OSError as error:
            raise LexiconError(f"{path}: cannot be read: {error.strerror}") from None
        for number, line in lines:
            if line is None:
                raise LexiconError(f"{path}:{number}: not valid UTF-8; save the file as UTF-8")
            if not line.strip():
                continue
            parts = line.split()
            if len(parts) != 2 or not parts[1].isdecimal():
                raise LexiconError(f"{path}:{number}: expected 'symbol id', found {line!r}")
            if int(parts[1]) in entries:
                raise LexiconError(f"{path}:{number}: id {parts[1]} is given twice")
            entries[int(parts[1])] = parts[0]
        missing = next((i for i in range(len(entries)) if i not in entries), None)
        if missing is not None:
            raise LexiconError(f"{path}: ids must run from 0 without gaps; {missing} is missing")
        try:
            return cls(entries[i] for i in range(len(entries)))
        except LexiconError as error:
            raise LexiconError(f"{path}: {error}") from None
