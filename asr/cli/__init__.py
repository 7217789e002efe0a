"""The `asr` command: arguments in, calls to the toolkit, lines out. No algorithm lives here.

One module a command; everything heavy is imported inside the commands, so that `asr --help` and tab completion answer
at once.
"""

import logging
import os
import signal
import sys
from typing import Annotated

import typer

from .._version import __version__
from ..errors import AsrError
from .common import complain, recording_warnings
from .doctor import doctor
from .export import export
from .features import features
from .g2p import g2p
from .graph import graph
from .info import info
from .lm import lm
from .plot import plot
from .score import score
from .text import text
from .train import train
from .transcribe import transcribe
from .tune import tune
from .usage import ClickError, Command, Commands, explain

_RECOGNISE, _LOOK, _HELP = "Recognise speech", "Features and pictures", "Look inside"
_PREPARE = "Prepare a recogniser"

app = typer.Typer(
    name="asr",
    cls=Commands,
    help="Train and run speech recognisers: GMM-HMM models, HCLG graphs, Viterbi decoding.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,  # it is added below: what Typer adds takes a long import before it answers
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=Command, no_args_is_help=True, rich_help_panel=_RECOGNISE)(transcribe)
app.command(cls=Command, no_args_is_help=True, rich_help_panel=_RECOGNISE)(score)
app.command(cls=Command, no_args_is_help=True, rich_help_panel=_PREPARE)(train)
app.command(cls=Command, no_args_is_help=True, rich_help_panel=_PREPARE)(graph)
app.command(cls=Command, no_args_is_help=True, rich_help_panel=_PREPARE)(tune)
app.add_typer(lm, name="lm", rich_help_panel=_PREPARE)
app.add_typer(text, name="text", rich_help_panel=_PREPARE)
app.add_typer(g2p, name="g2p", rich_help_panel=_PREPARE)
app.add_typer(export, name="export", rich_help_panel=_PREPARE)
app.command(cls=Command, no_args_is_help=True, rich_help_panel=_LOOK)(features)
app.command(cls=Command, no_args_is_help=True, rich_help_panel=_LOOK)(plot)
app.command(cls=Command, no_args_is_help=True, rich_help_panel=_HELP)(info)
app.command(cls=Command, rich_help_panel=_HELP)(doctor)


def main() -> None:
    """Run the command; an error that the user can mend is one line on stderr and exit status 1, wrong use 2."""
    # What the library warns of is said by the commands, but for recordings. Being told to stop leaves nothing
    # half-written behind.
    errors = logging.StreamHandler()
    errors.setLevel(logging.ERROR)
    logging.basicConfig(level=logging.ERROR, format="asr: %(message)s", handlers=[errors])
    _tell_of_compiling()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_DFL:  # nohup ignores it
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    if "_ASR_COMPLETE" in os.environ:
        from typer.completion import completion_init

        completion_init()
    try:
        with recording_warnings.shown():
            status = app(prog_name="asr", standalone_mode=False)
        sys.exit(status)
    except ClickError as error:
        explain(error)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        complain("stopped; nothing was finished yet")
        sys.exit(130)
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


def _tell_of_compiling() -> None:
    """Let a person at a terminal know why nothing happens in the first run."""
    if sys.stderr is not None and sys.stderr.isatty():
        log = logging.getLogger("asr.jit")
        log.setLevel(logging.INFO)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("asr: %(message)s"))
        log.handlers = [handler]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"asr {__version__}")
        raise typer.Exit


def _install_completion(ctx: typer.Context, param: typer.CallbackParam, wanted: bool) -> None:
    if wanted:
        from typer.completion import install_callback

        install_callback(ctx, param, True)


def _show_completion(ctx: typer.Context, param: typer.CallbackParam, wanted: bool) -> None:
    if wanted:
        from typer.completion import show_callback

        show_callback(ctx, param, True)


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=_install_completion,
            help="Make the tab key complete asr's commands and options in your shell: bash, zsh, fish.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option("--show-completion", callback=_show_completion, help="Print what that would add, for your shell."),
    ] = False,
) -> None:
    """Train and run speech recognisers: GMM-HMM models, HCLG graphs, Viterbi decoding.

    `asr COMMAND` alone explains a command. Start with: asr transcribe digits --sample
    """
