"""The page of a report: its templates, sections, style, and what identifies a run.

Names of files and words come from strangers: whatever text is put into a place of a template is escaped. Only what a
template calls `safe` is not: markup that another template or a plot has made.
"""

import dataclasses
import functools
import importlib.metadata
import itertools
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..errors import AsrError
from ..files import write_text

if TYPE_CHECKING:
    import jinja2

_PACKAGES = ("numpy", "scipy", "numba", "soundfile", "soxr", "pynini")


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page: a title (plain text) and its content (HTML, already escaped where it holds data).

    Attributes:
        about: plain text, what it is of, such as the system and the test; under the title.
        wide: whether it needs the whole width; others stand in two columns where the screen has room for two.
    """

    title: str
    html: str
    about: str = ""
    wide: bool = False


@dataclasses.dataclass(frozen=True)
class Headline:
    """What a reader should know if it is all that is read; plain text.

    Attributes:
        value: the one number, with its unit.
        label: what it counts.
        sentences: what it means, in words.
        second: another (value, label), smaller.
    """

    value: str
    label: str
    sentences: tuple[str, ...]
    second: tuple[str, str] | None = None


def write_report(
    path: str | os.PathLike,
    *,
    title: str,
    sections: Sequence[Section],
    facts: Mapping[str, str],
    lead: str = "",
    headline: Headline | None = None,
) -> Path:
    """Write one HTML page that needs nothing else: no network, no other file, no script.

    Args:
        title: plain text; lead is a sentence under the headline.
        lead: plain text; lead is a sentence under the headline.
        facts: what identifies the run, see `run_facts`; plain text, shown as a table at the end.

    Returns:
        the path.
    """
    numbered = [(f"s{i}", section) for i, section in enumerate([*sections, _facts_section(facts)], start=1)]
    page = rendered(
        "page", title=title, headline=headline, lead=lead, numbered=numbered, groups=_groups(numbered)
    )  # fmt: skip
    write_text(path, re.sub(r"(?<=\d) %", "\u00a0%", page) + "\n")  # numbers keep their percent sign on their line
    return Path(path)


def _groups(numbered: Sequence[tuple[str, Section]]) -> list[tuple[bool, list[tuple[str, Section]]]]:
    """(whether they stand in columns, sections): wide ones by themselves, several others that follow one another."""
    groups = [(wide, list(group)) for wide, group in itertools.groupby(numbered, key=lambda pair: pair[1].wide)]
    return [(not wide and len(group) > 1, group) for wide, group in groups]


def run_facts(*, seed: int, **more: object) -> dict[str, str]:
    """When, where and with what a run was made: time, command, seed, machine, versions.

    Args:
        **more: further facts, shown under their names with blanks for underscores, e.g. corpus="FSDD 1.0".
    """
    versions = [f"hclg {__version__}", f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    facts = {
        "finished": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "command": shlex.join(sys.argv),
        "seed": str(seed),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores",
        "versions": ", ".join(versions),
    }
    return facts | {name.replace("_", " "): str(value) for name, value in more.items()}


def check_plotting() -> None:
    """Raise AsrError where plots and pictures cannot be made, so that this is known before hours of training."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        from ..extras import install

        raise AsrError(f"plots need matplotlib; install it with: {install('demo')}") from None


def _facts_section(facts: Mapping[str, str]) -> Section:
    return Section("This run", rendered("facts", facts=facts))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


def rendered(name: str, /, **values: Any) -> str:
    """HTML: templates/NAME.html with these values in its places. One that is left without a value is an error."""
    return _environment().get_template(f"{name}.html").render(values).strip()


@functools.cache
def _environment() -> "jinja2.Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
