"""What was wrong with a command line, in one line; and the list of commands in groups."""

import re
import sys
from typing import Any

import typer
import typer.core

from ..errors import did_you_mean, nearest
from .common import complain

_NEAR = 0.65  # how alike names must be: `trian` and `train` are, `align` and `train` (0.6) are not

# Typer brings Click with it or depends on it, according to its version; this is Click's error either way.
ClickError: type[Exception] = typer.BadParameter.__mro__[2]


class Command(typer.core.TyperCommand):
    """A command whose arguments are split, but not converted and checked, while the shell asks for completions.

    Converting them takes libraries that take longer to import than a person waits after the tab key.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments into the context; gives back what is left over."""
        return _split(self, ctx, args) if ctx.resilient_parsing else super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run it; Ctrl-C is confirmed by a line, unless the command has printed its own and raised Exit."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            complain("stopped; nothing was finished yet")
            raise typer.Exit(130) from None


class Commands(typer.core.TyperGroup):
    """A group of commands, listed under headings, their `rich_help_panel`, without importing rich."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As a Command's; what is left over is a command and its arguments."""
        return _split(self, ctx, args) if ctx.resilient_parsing else super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the headings and the commands below them."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        shown = [(name, command) for name, command in commands if command is not None and not command.hidden]
        room = formatter.width - 6 - max(len(name) for name, _ in shown)
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in shown:
            heading = getattr(command, "rich_help_panel", None)
            heading = heading if isinstance(heading, str) else "Commands"
            groups.setdefault(heading, []).append((name.ljust(12), command.get_short_help_str(room)))
        for heading, rows in groups.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


def _split(command: Any, ctx: Any, args: list[str]) -> list[str]:
    """Put the given options and arguments into the context as they are, for completion."""
    # An option at the end still waits for its value; with it nothing would be read.
    known = args[:-1] if args and args[-1].startswith("-") else args
    found, ctx.args, _ = command.make_parser(ctx).parse_args(args=list(known))
    ctx._opt_prefixes.update(("-", "--"))  # by which options are told from arguments
    homes = [vars(sys.modules[kind.__module__]) for kind in type(ctx).__mro__]
    sources = next(home["ParameterSource"] for home in homes if "ParameterSource" in home)  # Click's or Typer's own
    for name, value in found.items():
        if isinstance(value, (str, bool, int)) or (isinstance(value, (list, tuple)) and value):
            ctx.params[name] = value
            ctx.set_parameter_source(name, sources.COMMANDLINE)
    return ctx.args


def explain(error: Any) -> None:
    """Say on one line of stderr what was wrong with the command line; of a command without arguments show the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    context = getattr(error, "ctx", None)
    text = " ".join(error.format_message().replace("Value error, ", "").split())
    message = _no_option(error, context) or _no_command(text, context) or _suggesting(text)
    where = f" (see {context.command_path} --help)" if context is not None else ""
    complain(f"{message[:1].lower()}{message[1:].rstrip('.')}{where}")


def _no_option(error: Any, context: Any) -> str | None:
    """The message for an unknown option, with the nearest one; None for another error."""
    if type(error).__name__ != "NoSuchOption":
        return None
    name = error.option_name
    if context is None:
        return f"no option {name}"
    known = [o for parameter in context.command.params for o in (*parameter.opts, *parameter.secondary_opts)]
    bare = [o.removeprefix("--") for o in known if o.startswith("--")] + ["help"]
    near = nearest(name.removeprefix("--"), bare, cutoff=_NEAR)
    hint = f"; did you mean --{near[0]}?" if near else ""
    if context.command.name == "features" and (setting := _setting(name, context.params.get("kind"))):
        hint = f"; did you mean --set {setting}=VALUE?"
    return f"no option {name}{hint}"


def _no_command(text: str, context: Any) -> str | None:
    """The message for an unknown command, with the nearest one; None for another error."""
    found = re.match(r"No such command '([^']*)'", text)
    known = getattr(getattr(context, "command", None), "commands", {})
    return f"no command {found[1]!r}{did_you_mean(found[1], known, _NEAR)}" if found else None


def _setting(option: str, kind: Any) -> str | None:
    """The setting of a front-end that somebody tried to give as an option, as Kaldi's programs take it."""
    from ..features.front_ends import FRONT_ENDS
    from ..options import field_names

    kinds = [FRONT_ENDS[kind.value]] if kind is not None else FRONT_ENDS.values()
    name = option.removeprefix("--").removeprefix("no-").replace("-", "_")
    return name if any(name in field_names(front_end.options) for front_end in kinds) else None


def _suggesting(message: str) -> str:
    """A complaint about a value that is not one of some, with the nearest of them."""
    found = re.search(r"'([^']*)' is not one of (.*)", message)
    known = re.findall(r"'([^']*)'", found[2]) if found else []
    return message.rstrip(".") + (did_you_mean(found[1], known) if found else "")
