"""`asr text`: text as people write it, made into words."""

import codecs
import re
import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import AsrError
from .common import complain_of_input, language_given, output, refuse_inputs
from .usage import Command, Commands

_LONGEST = 64 << 20  # bytes of a line
_STDIN = "-"
_ID = re.compile(r"([^\t ]*)([\t ]*)(.*)", re.DOTALL)
_SHOWN = 5  # lines that are no text


class Case(str, Enum):
    """Which case letters get."""

    small = "lower"
    capital = "upper"
    keep = "keep"


class Signs(str, Enum):
    """What becomes of punctuation or brackets."""

    gone = "strip"
    keep = "keep"


class Lines(str, Enum):
    """How lines make paragraphs."""

    auto = "auto"
    wrapped = "wrapped"
    whole = "paragraphs"


class Numbers(str, Enum):
    """What becomes of numbers."""

    words = "words"
    keep = "keep"


text = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None)


@text.callback()
def _about() -> None:
    """Make text as people write it into words as they are said.

    \b
    Example:
      asr text sentences book.txt --language en | asr text normalize - --language en --out words.txt
    """


@text.command(cls=Command, no_args_is_help=True)
def normalize(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Text, a sentence a line, plain, .gz, .xz or .bz2; - is stdin.")
    ],
    language: Annotated[
        str,
        typer.Option(
            "--language",
            metavar="L",
            callback=language_given,
            help="en, fr, tr ...: how numbers are read, and I is small.",
        ),
    ] = "",
    case: Annotated[Case, typer.Option("--case", help="Small letters, capitals, or as they are.")] = Case.small,
    punctuation: Annotated[
        Signs, typer.Option("--punctuation", help="At the edges of words; it's and two-fold keep theirs.")
    ] = Signs.gone,
    brackets: Annotated[Signs, typer.Option("--brackets", help="[noise], <unk>, {x}, (laughs).")] = Signs.gone,
    numbers: Annotated[Numbers, typer.Option("--numbers", help="In words, or as they are.")] = Numbers.words,
    ids: Annotated[bool, typer.Option("--ids", help="Lines begin with an utterance id, which stays.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there, not to stdout.")] = None,
) -> None:
    """Write text as words: small letters, no punctuation, numbers in words.

    Any size, a line at a time. What was found and changed is reported on stderr: words in several spellings by case,
    signs, numbers, brackets, invisible characters, several scripts.

    \b
    Example:
      asr text normalize transcripts.txt --language en > words.txt
      zcat web.gz | asr text normalize - --out words.txt
    """
    from ..lang.normalize import Normalizer, Rules

    if file != _STDIN:
        refuse_inputs(out, [file])
    rules = Rules(language, case.value, punctuation.value, brackets.value, numbers.value)
    normalizer, bad = Normalizer(rules), _Bad(file)
    with output(out) as stream:
        for written in bad.lines():
            name, blank, said = re.match(_ID, written).groups() if ids else ("", "", written)  # type: ignore[union-attr]
            stream.write(f"{name}{blank}{normalizer(said)}\n")
    for told in normalizer.report():
        typer.echo(told, err=True)
    bad.end()


@text.command(cls=Command, no_args_is_help=True)
def sentences(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Running text, plain, .gz, .xz or .bz2; - is stdin.")],
    language: Annotated[
        str,
        typer.Option(
            "--language", metavar="L", callback=language_given, help="en, de ...: whose abbreviations are known."
        ),
    ] = "",
    lines: Annotated[
        Lines, typer.Option("--lines", help="Parts of paragraphs up to empty lines, or whole ones.")
    ] = Lines.auto,
    headings: Annotated[bool, typer.Option("--headings", help="Keep the headings of chapters.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there, not to stdout.")] = None,
) -> None:
    """Cut running text, as of books, into sentences, a line each.

    Any size. Headings, speakers' names in plays, and marks such as [Illustration] are left out.

    \b
    Example:
      asr text sentences book.txt --language en | asr text normalize - --language en --out sentences.txt
    """
    from ..display.brief import many
    from ..lang.sentences import Sentences

    if file != _STDIN:
        refuse_inputs(out, [file])
    cutter, bad = Sentences(language, lines=lines.value, headings=headings), _Bad(file)
    with output(out) as stream:
        stream.writelines(f"{sentence}\n" for sentence in cutter(bad.lines()))
    counts = cutter.counts
    typer.echo(
        f"{many(counts['sentences'], 'sentence')} in {many(counts['paragraphs'], 'paragraph')}; left out: "
        f"{many(0 if headings else counts['headings'], 'heading')}, {many(counts['marks'], 'mark')}",
        err=True,
    )
    bad.end()


class _Bad:
    """The lines of a file, without those that are no UTF-8, which are reported."""

    def __init__(self, file: str) -> None:
        self._file, self._n = file, 0

    def lines(self) -> Iterator[str]:
        """The others."""
        for number, line in enumerate(_lines(_blocks(self._file), self._file), 1):
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError:
                self._n += 1
                if self._n <= _SHOWN:
                    complain_of_input(f"{self._file}:{number}: not UTF-8 text; left out")

    def end(self) -> None:
        """Exit with status 1 where there were some."""
        from ..display.brief import many

        if self._n:
            complain_of_input(f"{many(self._n, 'line was', 'lines were')} left out")
            raise typer.Exit(1)


def _blocks(file: str) -> Iterable[bytes]:
    """The bytes of a file, or of standard input, in pieces."""
    from ..files.texts import text_blocks

    if file != _STDIN:
        return text_blocks(file, most=1 << 62)
    if sys.stdin is None:
        raise AsrError("stdin is closed; give it a file (< FILE), or the name of one")
    raw: Any = sys.stdin.buffer
    return iter(lambda: raw.read1(1 << 16), b"")


def _lines(blocks: Iterable[bytes], file: str) -> Iterator[bytes]:
    """Lines as UTF-8, without ends and byte-order mark; UTF-16 is known by its own."""
    pieces, is_first, decoder = [b""], True, None  # pieces: of the line that is begun, joined once
    for block in blocks:
        if is_first and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            decoder = codecs.getincrementaldecoder("utf-16")("replace")
        if decoder is not None:
            block = decoder.decode(block).encode("utf-8")
        if is_first:
            block, is_first = block.removeprefix(codecs.BOM_UTF8), False
        first, *others = block.split(b"\n")
        pieces.append(first)
        if others:
            *whole, begun = b"".join(pieces), *others
            pieces = [begun]
            yield from (line.removesuffix(b"\r") for line in whole)
        if sum(map(len, pieces)) > _LONGEST:
            raise AsrError(f"{file}: a line of more than {_LONGEST >> 20} MiB; break it into sentences")
    if rest := b"".join(pieces):
        yield rest
