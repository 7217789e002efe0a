"""Files of lattices as Kaldi has them: archives in binary or text form, and .scp lists of places in them.

An archive is one `id lattice` after the other. In text form a lattice is lines between its id and an empty line:
`from to word graph,acoustic,labels` of class CompactLattice, the labels joined by `_`, or
`from to label word graph,acoustic` of class Lattice, and `state weight` where paths end. Words are numbers, or names if
a table of words is given, as after Kaldi's `int2sym.pl -f 3 words.txt`. Ref: Kaldi, src/lat/kaldi-lattice.cc.
"""

import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ..errors import GraphError
from ..features.archive import scp_entries
from ..files import replacing
from ..files.texts import text_bytes
from ..lang.symbols import SymbolTable
from .compact import CompactLattice
from .fst_text import fst_text, read_text
from .lattice import Lattice
from .vector_fst import MAGIC, fst_bytes, read_fst
from .words import WordLattice

AnyLattice = Lattice | WordLattice | CompactLattice

_LONGEST_ID = 1 << 12  # bytes
_PACKED = (b"\x1f\x8b", b"\xfd7zX", b"BZh")


def read_lattices(path: str | os.PathLike, *, words: SymbolTable | None = None) -> Iterator[tuple[str, Lattice]]:
    """Each lattice of an archive with its id, in order; or of a list of places in archives.

    Lattices of Kaldi's class CompactLattice are expanded: `WordLattice.of` makes words of them again, with the same
    sequences and costs. States that are in no path are left out, and the others get a topological order.

    Args:
        path: an archive of either class and form, also packed (lat.1.gz); a name that ends in .scp is a list.
        words: for a text form that names them; None: it numbers them.

    Raises:
        GraphError: naming file, line or byte, and id, for what is no lattice: damaged, without a path, with a cycle.
            What came before it was given.

    Same as Kaldi's lattice-copy, whose `ark:` and `scp:` the name of the file tells.
    """
    if Path(path).suffix == ".scp":
        yield from _listed(path, words)
        return
    with _Archive(path) as archive:
        at = archive.skip_blanks(0)
        while at < len(archive.data):
            name, at = archive.id_at(at)
            lattice, at = archive.lattice_at(at, name, words)
            yield name, lattice
            at = archive.skip_blanks(at)


def write_lattices(
    path: str | os.PathLike,
    lattices: Iterable[tuple[str, AnyLattice]],
    *,
    text: bool = False,
    words: SymbolTable | None = None,
    scp: str | os.PathLike | None = None,
) -> int:
    """Write an archive of lattices with their ids, whole or not at all; how many there were.

    A `WordLattice` becomes a CompactLattice with the labels of each sequence's best path. Costs are written as they
    are; Kaldi's decoders write acoustic costs unscaled: `lattice.rescale(acoustic=1 / scale)`.

    Args:
        text: the text form.
        words: their names, for the text form; None: numbers.
        scp: a list of the places in the archive, written too, with the archive's whole path.

    Raises:
        GraphError: for an id that is empty, has white space or is there twice.
        IndexError: for a word that the table has no name of.
    """
    target, places = Path(path), dict[str, int]()
    with replacing(target) as temporary:
        with temporary.open("wb") as stream:
            for name, lattice in lattices:
                if not name or name.split() != [name] or name in places:
                    what = "is there twice" if name in places else "is empty or has white space"
                    raise GraphError(f"{target}: the id {name!r} {what}; need each once, and no blanks")
                stream.write(f"{name} ".encode())
                places[name] = stream.tell()
                made = CompactLattice.of(lattice) if isinstance(lattice, WordLattice) else lattice
                stream.write(f"\n{fst_text(made, words)}\n".encode() if text else fst_bytes(made))
        if scp is not None:
            with replacing(scp) as listed:
                lines = (f"{name} {target.absolute()}:{at}\n" for name, at in places.items())
                listed.write_text("".join(lines), encoding="utf-8", newline="\n")
    return len(places)


def lattice_text(lattice: AnyLattice, words: SymbolTable | None = None) -> str:
    """A lattice in Kaldi's text form, without an id and the empty line behind it.

    Args:
        words: their names; None: numbers.
    """
    return fst_text(CompactLattice.of(lattice) if isinstance(lattice, WordLattice) else lattice, words)


def _listed(path: str | os.PathLike, words: SymbolTable | None) -> Iterator[tuple[str, Lattice]]:
    """The lattices of a list; of places in one file after the other, each is opened once."""
    archive, opened = None, ""
    try:
        for where, name, place in scp_entries(path):
            if not isinstance(place, str):
                raise GraphError(str(place))
            file, colon, offset = place.rpartition(":")
            at = int(offset) if colon and offset.isdecimal() else 0
            file = file if colon and offset.isdecimal() else place
            try:
                if archive is None or file != opened:
                    if archive is not None:
                        archive.close()
                    archive, opened = _Archive(file), file
                lattice, _ = archive.lattice_at(at, name, words)
            except GraphError as error:
                raise GraphError(f"{where}: {error}") from None
            yield name, lattice
    finally:
        if archive is not None:
            archive.close()


class _Archive:
    """A file of lattices, mapped into memory, or unpacked."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = path
        self._lines, self._counted = 1, 0  # the number of the line at a byte
        self.data: bytes | mmap.mmap = b""
        try:
            with Path(path).open("rb") as stream:
                head = stream.read(4)
                if head and not head.startswith(_PACKED):
                    self.data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise GraphError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        self.data = self.data or text_bytes(path, error=GraphError)
        self._bytes = np.frombuffer(self.data, np.uint8)

    def __enter__(self) -> "_Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back."""
        # The map goes with the last view of it; closed now, one that an error's traceback holds would be an error.
        self._bytes, self.data = np.zeros(0, np.uint8), b""

    def skip_blanks(self, at: int) -> int:
        """The byte where something follows."""
        while at < len(self.data) and self.data[at : at + 1].isspace():
            at += 1
        return at

    def id_at(self, at: int) -> tuple[str, int]:
        """The id that begins at a byte, and the byte where its lattice does."""
        head = self.data[at : at + _LONGEST_ID]
        blank = min((place for place in map(head.find, (b" ", b"\t", b"\n")) if place >= 0), default=-1)
        name = head[: max(blank, 0)]
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        if not text.isprintable() or not text:
            raise GraphError(f"{self.path}: byte {at}: no id of a lattice; is this an archive of lattices, undamaged?")
        return text, at + blank + (head[blank : blank + 1] != b"\n")

    def lattice_at(self, at: int, name: str, words: SymbolTable | None) -> tuple[Lattice, int]:
        """The lattice that begins at a byte, and the byte behind it."""
        if at >= len(self.data):
            raise GraphError(f"{self.path}: lattice {name!r}: byte {at} is beyond the file's {len(self.data)} bytes")
        if self.data[at : at + 1] == MAGIC[:1]:
            try:
                return read_fst(self._bytes, at)
            except GraphError as error:
                raise GraphError(f"{self.path}: lattice {name!r}: {error}") from None
        if not self.data[at : at + 1].isspace():
            what = "neither a lattice of OpenFst nor the end of a line"
            raise GraphError(f"{self.path}: lattice {name!r}: byte {at}: {what}")
        begin = self.data.find(b"\n", at) + 1
        if not begin or self.data[at:begin].strip():
            raise GraphError(f"{self.path}: lattice {name!r}: byte {at}: the id is not alone in its line")
        end = self._empty_line(begin)
        lines = self.data[begin:end].decode("utf-8", "replace").split("\n")
        where = f"{self.path}:{{}}: lattice {name!r}: "
        return read_text(lines, self._line_at(begin), where, words), end

    def _empty_line(self, at: int) -> int:
        """The byte behind the lines that begin at a byte: of the empty line, or of the file's end."""
        begin = at
        while True:
            end = self.data.find(b"\n", begin)
            if end < 0:
                if self.data[begin:].strip():
                    raise GraphError(f"{self.path}:{self._line_at(begin)}: the file ends amid a line; is it cut short?")
                return len(self.data)
            if not self.data[begin:end].strip():
                return begin
            begin = end + 1

    def _line_at(self, at: int) -> int:
        """The number of the line that begins at a byte, from 1."""
        if at < self._counted:  # of a list, which goes to and fro
            self._lines, self._counted = 1, 0
        self._lines += self.data[self._counted : at].count(b"\n")
        self._counted = at
        return self._lines
