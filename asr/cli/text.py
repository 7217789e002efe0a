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
      asr text normalize book.txt --language en --out sentences.txt
    """


@text.command(cls=Command, no_args_is_help=True)
def normalize(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Text, a sentence a line, plain or gzip; - is stdin.")],
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

    Any size, a line at a time. What was found and changed is told on stderr: words in several spellings by case, signs,
    numbers, brackets, invisible characters, several scripts.

    \b
    Example:
      asr text normalize transcripts.txt --language en > words.txt
      zcat web.gz | asr text normalize - --out words.txt
    """
    from ..display.brief import many
    from ..lang.normalize import Normalizer, Rules

    if file != _STDIN:
        refuse_inputs(out, [file])
    rules = Rules(language, case.value, punctuation.value, brackets.value, numbers.value)
    normalizer, n_bad = Normalizer(rules), 0
    with output(out) as stream:
        for number, line in enumerate(_lines(_blocks(file), file), 1):
            try:
                written = line.decode("utf-8")
            except UnicodeDecodeError:
                n_bad += 1
                if n_bad <= _SHOWN:
                    complain_of_input(f"{file}:{number}: not UTF-8 text; left out")
                continue
            name, blank, said = re.match(_ID, written).groups() if ids else ("", "", written)  # type: ignore[union-attr]
            stream.write(f"{name}{blank}{normalizer(said)}\n")
    for told in normalizer.report():
        typer.echo(told, err=True)
    if n_bad:
        complain_of_input(f"{many(n_bad, 'line was', 'lines were')} left out")
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
