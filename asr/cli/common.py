"""What several commands share: complaints, output that is written whole, a progress bar, completions."""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ..errors import AsrError

DATA = Path(__file__).parent.parent / "data"  # of the package; as a path, since completion has no time for imports

# How a folder of recordings is read, for every command that takes a corpus.
SpeakerPattern = Annotated[
    str | None,
    typer.Option("--speaker", metavar="PATTERN", help="Of a folder: regular expression that finds the speaker."),
]
TextSuffix = Annotated[
    str | None, typer.Option("--text-suffix", metavar="SUFFIX", help="Of a folder: how transcripts end; .txt.")
]
TierName = Annotated[
    str | None,
    typer.Option("--tier", metavar="NAME", help="Of transcripts with tiers (.TextGrid, .eaf): the one to read."),
]


def complain(message: str) -> None:
    """An error on stderr."""
    typer.echo(f"asr: {message}", err=True)


def complain_of_input(message: str) -> None:
    """What is wrong with an input, on one line of stderr: the name of a file may hold line breaks."""
    complain(" ".join(message.splitlines()))


def sample_recording() -> Path:
    """The synthesised recording that is shipped with the package."""
    return DATA / "sample.wav"


def model_names(incomplete: str) -> list[str]:
    """Completions of a model: those shipped, and model directories beside what is typed."""
    folder, (above, _, _) = DATA / "models", incomplete.rpartition("/")
    names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    with contextlib.suppress(OSError):
        beside = Path(above or ("/" if incomplete.startswith("/") else "."))
        prefix = incomplete[: len(incomplete) - len(incomplete.rpartition("/")[2])]
        names += sorted(f"{prefix}{p.name}" for p in beside.iterdir() if (p / "model.json").is_file())
    return [name for name in names if name.startswith(incomplete)]


def refuse_inputs(out: Path | None, inputs: Sequence[str | os.PathLike]) -> None:
    """Raise AsrError where `out` is one of the inputs, or lies in one that is a file."""
    for given in inputs if out is not None else ():
        if os.fspath(given) and out is not None and os.path.realpath(out) == os.path.realpath(given):
            raise AsrError(f"{out}: is an input too; give the output another name")


def check_model_out(out: Path) -> None:
    """Raise AsrError where no model's folder can be written, or an older one replaced: said before hours of work."""
    from ..files import check_replaceable, is_stream, kind_of

    if is_stream(out) or kind_of(out) == "file":
        raise AsrError(f"{out}: is no folder; give the name of a new one, or of an older model")
    with writing(out):
        check_replaceable(out, "model.json")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes wrong while writing there is said as an AsrError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise AsrError(f"{path}: cannot be written ({error.strerror or error}); give another place") from error


@contextlib.contextmanager
def output(path: Path | None) -> Iterator[TextIO]:
    """stdout, flushed at the end, or a file that is written whole or not at all. Always UTF-8 with Unix line ends."""
    if path is None or str(path) in ("-", "/dev/stdout"):
        if sys.stdout is None:
            raise AsrError("stdout is closed; give it a file (> FILE), or --out where the command has it")
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        yield sys.stdout
        sys.stdout.flush()
        return
    with writing(path), _file(path) as stream:
        yield stream


@contextlib.contextmanager
def _file(path: Path) -> Iterator[TextIO]:
    from ..files import is_stream, kind_of, replacing

    if kind_of(path) == "folder":
        raise AsrError(f"{path}: is a folder; give --out the name of a file")
    if is_stream(path):  # whoever reads a pipe gets each line when it is there
        with path.open("a", encoding="utf-8", newline="\n") as stream:
            yield stream
        return
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream


@contextlib.contextmanager
def progress(name: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """A progress bar with time left on stderr, where a person is watching and nothing else is printed."""
    if quiet or total < 2 or sys.stderr is None or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda: bar.advance(task)
