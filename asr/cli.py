"""The `asr` command: arguments in, calls to the toolkit, lines out. No algorithm lives here.

Everything heavy is imported inside the commands, so that `asr --help` answers at once.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ._version import __version__
from .errors import AsrError

app = typer.Typer(
    name="asr",
    help="Train and run speech recognisers: GMM-HMM models, HCLG graphs, Viterbi decoding.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class OutputFormat(str, Enum):
    """How transcripts are written."""

    text = "text"
    json = "json"
    ctm = "ctm"


class Unit(str, Enum):
    """What is counted in scoring."""

    word = "word"
    char = "char"


def main() -> None:
    """Run the command; an error that the user can mend is one line on stderr and exit status 1."""
    try:
        app()
    except AsrError as error:
        complain(str(error))
        sys.exit(1)
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        sys.stderr.close()
        sys.exit(1)


def complain(message: str) -> None:
    """One error on stderr."""
    typer.echo(f"asr: {message}", err=True)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"asr {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Train and run speech recognisers: GMM-HMM models, HCLG graphs, Viterbi decoding."""


@app.command()
def transcribe(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model directory, or a shipped model: digits.")],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="INPUT...", help="Audio files, folders, Kaldi data directories.", show_default=False),
    ] = None,
    format: Annotated[
        OutputFormat, typer.Option("--format", help="id<TAB>words, a JSON object a line, or NIST's CTM.")
    ] = OutputFormat.text,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there instead of stdout.")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Transcribe the recording inside the package.")] = False,
    beam: Annotated[float | None, typer.Option("--beam", min=0.1, help="Search beam, in nats.")] = None,
) -> None:
    """Turn recordings into words.

    Example: asr transcribe digits recordings/ --format json --out words.jsonl
    """
    from .model import load
    from .transcription import FORMATS, Failure, find_recordings, transcribe_all

    given = [*(inputs or []), *([sample_recording()] if sample else [])]
    if not given:
        raise typer.BadParameter("give at least one file, folder or data directory (or --sample)", param_hint="INPUT")
    recogniser = load(model)
    if beam is not None:
        recogniser = recogniser.with_decoding(beam=beam)
    recordings, failures = find_recordings(given)
    total = len(recordings) + len(failures)
    for failure in failures:
        complain(failure.message)
    write = FORMATS[format.value]
    with _output(out) as stream, _progress(len(recordings), quiet=out is None) as step:
        for recording, result in transcribe_all(recogniser, recordings):
            step()
            if isinstance(result, Failure):
                failures.append(result)
                complain(result.message)
                continue
            if not result.reached_final:
                typer.echo(f"asr: warning: {recording.path}: no sentence end was reached; best so far", err=True)
            stream.write(write(recording.id, result))
    if failures:
        typer.echo(f"asr: {len(failures)} of {total} failed", err=True)
        raise typer.Exit(1)


@app.command()
def score(
    reference: Annotated[Path, typer.Argument(metavar="REF", help="Kaldi text or TSV: an id, then the words.")],
    hypothesis: Annotated[Path, typer.Argument(metavar="HYP", help="The same for what was recognised.")],
    unit: Annotated[Unit | None, typer.Option("--unit", help="Score this unit only; both by default.")] = None,
    confusions: Annotated[int, typer.Option("--confusions", min=0, help="How many confusions to list.")] = 10,
) -> None:
    """Compare transcripts with references: word and character error rate, confusions, confidence interval.

    Utterances are joined by id; one that HYP lacks counts as deletions.

    Example: asr score data/test/text words.tsv
    """
    from .scoring import read_transcripts
    from .scoring import score as compare

    references, hypotheses = read_transcripts(reference), read_transcripts(hypothesis)
    for each in [unit] if unit else list(Unit):
        result = compare(references, hypotheses, unit=each.value)
        typer.echo(result.report(confusions=confusions if each is Unit.word or unit else 0))


def sample_recording() -> Path:
    """The synthesised recording that is shipped with the package."""
    from importlib import resources

    return Path(str(resources.files("asr") / "data" / "sample.wav"))


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """stdout, flushed at the end, or a file that is written whole or not at all."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    from .files import replacing

    if path.exists() and not path.is_file():  # a pipe or /dev/null is written to, never replaced
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
        return
    try:
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
    except OSError as error:
        raise AsrError(f"{path}: cannot be written ({error.strerror})") from error


@contextlib.contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A progress bar with time left on stderr, where a person is watching and nothing else is printed."""
    if quiet or total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("transcribe", total=total)
        yield lambda: bar.advance(task)


if __name__ == "__main__":
    main()
