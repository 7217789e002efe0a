"""What several commands share: complaints, output that is written whole, a progress bar, completions."""

import atexit
import contextlib
import functools
import io
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, TextIO

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

ChannelChoice = Annotated[
    str | None,
    typer.Option(
        "--channel", metavar="N", help="One channel, counted from 1; each: every one as a speaker, call-1 and call-2."
    ),
]
AllowCommands = Annotated[
    bool,
    typer.Option("--allow-commands", help="Run the commands in a wav.scp (sph2pipe ... |), with all your rights."),
]
_STDIN = "stdin"  # the name of the file that keeps what comes on standard input
_SHOWN = 3  # complaints of a kind, before they are counted alone


def complain(message: str) -> None:
    """An error on stderr."""
    from ..files import readable

    message = named_as_given(message)
    # The name of a file need not be Unicode, and a stderr that was replaced need not take what is none.
    typer.echo(readable(f"asr: {message}").encode("utf-8", "backslashreplace").decode("utf-8"), err=True)


def complain_of_input(message: str) -> None:
    """What is wrong with an input, on one line of stderr: the name of a file may hold line breaks."""
    complain(" ".join(message.splitlines()))


class Complaints:
    """What is wrong with inputs, a line each; of many of the same kind the first ones, and at the end their number.

    Args:
        verbose: say all.
        how: to see all, in words.
    """

    def __init__(self, *, verbose: bool = False, how: str = "") -> None:
        self._how = f" ({how})" if how else ""
        self._shown = sys.maxsize if verbose else _SHOWN
        self._counts: dict[str, int] = {}
        self._last: dict[str, str] = {}

    def add(self, message: str, place: str | os.PathLike = "") -> None:
        """One of them.

        Args:
            place: what it is about, of which the kind of the message is independent.
        """
        from ..errors import kind_of_message

        kind = kind_of_message(message, os.fspath(place))
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._counts[kind] <= self._shown:
            complain_of_input(message)
        self._last[kind] = message

    def end(self) -> None:
        """How many were not said."""
        for kind, count in self._counts.items():
            if count > self._shown:
                complain_of_input(
                    f"and {count - self._shown} more of this kind{self._how}; the last: {self._last[kind]}"
                )


def _nothing() -> None:
    pass


class RecordingWarnings(logging.Handler):
    """What the reader of audio warns of, on stderr: each thing once, however often a recording is read.

    Attributes:
        before: called before a line, to make room for it.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.before: Callable[[], None] = _nothing
        self._said: set[str] = set()
        self._complaints = Complaints()

    def show_all(self) -> None:
        """Say all, not the first ones of each kind."""
        self._complaints = Complaints(verbose=True)

    def emit(self, record: logging.LogRecord) -> None:
        message = f"warning: {record.getMessage()}"
        if message not in self._said:
            self._said.add(message)
            self.before()
            self._complaints.add(message, str(record.args[0]) if isinstance(record.args, tuple) and record.args else "")

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Warnings are printed in here; at the end, how many were not."""
        self.before, self._said, self._complaints = _nothing, set(), Complaints()
        room = logging.getLogger("asr.audio")
        level = room.level
        room.setLevel(logging.WARNING)
        room.addHandler(self)
        try:
            yield
        finally:
            room.removeHandler(self)
            room.setLevel(level)
            self._complaints.end()


recording_warnings = RecordingWarnings()


def channel_of(text: str | None) -> int | Literal["each"] | None:
    """The channel that is asked for: counted from 0, each, or None. Raises BadParameter for another text."""
    if text is None:
        return None
    if text == "each":
        return "each"
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f"{text!r}; need 1 for the first, 2 for the next ..., or each", param_hint="--channel")
    return int(text) - 1


def command_folder(allowed: bool) -> Path | None:
    """A folder for what commands of a wav.scp write, which is gone with the process; None where none may run."""
    return _temporary_folder() if allowed else None


def standard_input(given: str | os.PathLike) -> str | os.PathLike:
    """For `-` a file with what comes on standard input, which is gone with the process; other names as they are."""
    if os.fspath(given) != "-":
        return given
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise AsrError("- is standard input, and nothing is piped into it; give a file, or pipe something into asr")
    path = _temporary_folder() / _STDIN
    if path.exists():
        raise AsrError("- is standard input, which can be read once, and is given twice")
    with path.open("wb") as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept, 1 << 20)
    return path


def named_as_given(text: str) -> str:
    """A text in which what came on standard input is called so, and commands that convert it read it there, too."""
    if not _temporary_folder.cache_info().currsize:
        return text
    path = str(_temporary_folder() / _STDIN)
    if path not in text:
        return text
    text = re.sub(
        rf"ffmpeg (.*?)-i {re.escape(path)} (.*?) ?{re.escape(path)}\.wav", r"ffmpeg \1-i - \2 -f wav -", text
    )
    return text.replace(f"{path} {path}.wav", "- -").replace(path, "standard input")


def piped(given: Path | None) -> Path | None:
    """What an argument names, or what is piped into the command where that is `-`; a callback of arguments."""
    return None if given is None else Path(standard_input(given))


def language_given(given: str) -> str:
    """The code of a language, once it is one; a callback of options."""
    from ..errors import ConfigError
    from ..lang.languages import check_language

    try:
        check_language(given)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None
    return given


@functools.cache
def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="asr-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


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


def check_input(path: Path | None) -> None:
    """Raise AsrError where a file that is given is not there: said before work begins that takes minutes."""
    from ..files import kind_of
    from ..files.whole import dead_link

    kind = "file" if path is None else kind_of(path)
    if kind == "folder":
        raise AsrError(f"{path}: is a folder; give a file")
    if path is not None and kind in ("missing", "unreachable"):
        raise AsrError(f"{path}: cannot be read ({dead_link(path) or 'no such file'})")


def check_model_out(out: Path) -> None:
    """Raise AsrError where no model's folder can be written, or an older one replaced: said before hours of work."""
    from ..files import check_replaceable, is_stream, kind_of

    if is_stream(out) or kind_of(out) == "file":
        raise AsrError(f"{out}: is no folder; give the name of a new one, or of an older model")
    above = next((folder for folder in out.absolute().parents if kind_of(folder) != "missing"), out)
    if kind_of(above) != "folder" or not os.access(above, os.W_OK):
        why = "may not be written to" if kind_of(above) == "folder" else "is no folder"
        raise AsrError(f"{out}: cannot be written ({above} {why}); give another place")
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
            # The name of a file need not be Unicode; what is none is written as \udcXX.
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
        yield sys.stdout
        sys.stdout.flush()
        return
    if path.suffix.lower() in (".gz", ".xz", ".bz2"):
        raise AsrError(f"{path}: what is written there is not packed; give {path.with_suffix('')}, and pack that")
    with writing(path), _file(path) as stream:
        yield stream


@contextlib.contextmanager
def _file(path: Path) -> Iterator[TextIO]:
    from ..files import is_stream, kind_of, replacing

    if kind_of(path) == "folder":
        raise AsrError(f"{path}: is a folder; give --out the name of a file")
    if is_stream(path):  # whoever reads a pipe gets each line when it is there
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            yield stream
        return
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
    ):
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
