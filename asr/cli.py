"""The `asr` command: arguments in, calls to the toolkit, lines out. No algorithm lives here.

Everything heavy is imported inside the commands, so that `asr --help` answers at once.
"""

import contextlib
import io
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from ._version import __version__
from .errors import AsrError

if TYPE_CHECKING:
    from .model import Model
    from .transcription import Recording

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
    # What the library warns of is said by the commands. Being told to stop leaves nothing half-written behind.
    logging.basicConfig(level=logging.ERROR, format="asr: %(message)s")
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_DFL:  # nohup ignores it
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    try:
        app()
    except AsrError as error:
        complain(str(error))
        sys.exit(1)
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        sys.stdout = None  # else Python would try to write what is left, and complain again
        complain(f"{error.filename or 'stdout'}: {error.strerror or error}")
        sys.exit(1)


def complain(message: str) -> None:
    """An error on stderr."""
    typer.echo(f"asr: {message}", err=True)


def complain_of_input(message: str) -> None:
    """What is wrong with an input, on one line of stderr: the name of a file may hold line breaks."""
    complain(" ".join(message.splitlines()))


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
        list[str] | None,
        typer.Argument(metavar="INPUT...", help="Audio files, folders, Kaldi data directories.", show_default=False),
    ] = None,
    format: Annotated[
        OutputFormat, typer.Option("--format", help="id<TAB>words, a JSON object a line, or NIST's CTM.")
    ] = OutputFormat.text,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there, whole or not at all.")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Transcribe the recording inside the package.")] = False,
    beam: Annotated[float | None, typer.Option("--beam", min=0.1, help="Search beam, in nats.")] = None,
) -> None:
    """Turn recordings into words.

    Example: asr transcribe digits recordings/ --format json --out words.jsonl
    """
    from .model import load
    from .transcription import find_recordings

    given: list[str | Path] = [*(inputs or []), *([sample_recording()] if sample else [])]
    if not given:
        raise typer.BadParameter("give at least one file, folder or data directory (or --sample)", param_hint="INPUT")
    recogniser = load(model)
    if beam is not None:
        recogniser = recogniser.with_decoding(beam=beam)
    recordings, failures = find_recordings(given)
    total = len(recordings) + len(failures)
    for failure in failures:
        complain_of_input(failure.message)
    if recordings:
        recogniser.decoder  # noqa: B018 - what is wrong with the model is said once, not for each recording
    n_failed = len(failures) + _write_transcripts(recogniser, recordings, out, format)
    if n_failed:
        complain(f"{n_failed} of {total} failed")
        raise typer.Exit(1)


def _write_transcripts(recogniser: "Model", recordings: list["Recording"], out: Path | None, form: OutputFormat) -> int:
    """Transcribe all and write what is heard; the number of recordings that failed."""
    from .transcription import FORMATS, Failure, transcribe_all

    n_failed = 0
    with _output(out) as stream, _progress(len(recordings), quiet=out is None) as step:
        for recording, result in transcribe_all(recogniser, recordings):
            step()
            if isinstance(result, Failure):
                n_failed += 1
                complain_of_input(result.message)
                continue
            if not result.reached_final:
                complain_of_input(f"warning: {recording.path}: no sentence end was reached; best so far")
            stream.write(FORMATS[form.value](recording.id, result))
    return n_failed


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
    with _output(None) as stream:
        for each in [unit] if unit else list(Unit):
            result = compare(references, hypotheses, unit=each.value)
            stream.write(result.report(confusions=confusions if each is Unit.word or unit else 0) + "\n")


def sample_recording() -> Path:
    """The synthesised recording that is shipped with the package."""
    from importlib import resources

    return Path(str(resources.files("asr") / "data" / "sample.wav"))


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """stdout, flushed at the end, or a file that is written whole or not at all. Always UTF-8 with Unix line ends."""
    if path is None or str(path) in ("-", "/dev/stdout"):
        if sys.stdout is None:
            raise AsrError("stdout is closed; give a file with --out FILE")
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        with _file(path) as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise AsrError(f"{path}: cannot be written ({error.strerror or error}); give another --out") from error


@contextlib.contextmanager
def _file(path: Path) -> Iterator[TextIO]:
    from .files import kind_of, replacing

    kind = kind_of(path)
    if kind == "folder":
        raise AsrError(f"{path}: is a folder; give --out the name of a file")
    # Pipes, /dev/null, and files that the system shows as devices (/dev/fd/3) are written to, never replaced.
    if kind == "other" or path.absolute().parts[1:2] in (("dev",), ("proc",)):
        with path.open("a", encoding="utf-8", newline="\n") as stream:
            yield stream
        return
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream


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
