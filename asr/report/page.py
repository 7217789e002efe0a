"""The page of a report: sections, style, and what identifies a run."""

import dataclasses
import html
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

from .._version import __version__
from ..errors import AsrError
from ..extras import install
from ..files import write_text
from .style import STYLE

_PACKAGES = ("numpy", "scipy", "numba", "soundfile", "soxr", "pynini")


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page: a title (plain text) and its content (HTML, already escaped where it holds data).

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

    value: the one number, with its unit. label: what it counts. sentences: what it means, in words.
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

    title, lead: plain text; lead is a sentence under the headline.
    facts: what identifies the run, see `run_facts`; plain text, shown as a table at the end.
    Returns the path.
    """
    numbered = [(f"s{i}", section) for i, section in enumerate([*sections, _facts_section(facts)], start=1)]
    links = "".join(f'<a href="#{name}">{html.escape(s.title)}</a>' for name, s in numbered)
    lead_html = f"<p>{html.escape(lead)}</p>\n" if lead else ""
    top, body = _with_units(f"{_headline(headline)}{lead_html}"), _with_units(_body(numbered))
    write_text(
        path,
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n"
        f"<h1>{html.escape(title)}</h1>\n{top}"
        f'<nav aria-label="Sections">{links}</nav>\n</header>\n<main>\n{body}\n</main>\n</body>\n</html>\n',
    )
    return Path(path)


def _with_units(text: str) -> str:
    """Numbers keep their percent sign on their line."""
    return re.sub(r"(?<=\d) %", "\u00a0%", text)


def command_html(command: str) -> str:
    """A command whose words are broken across lines only where one is longer than a line: no option after its hyphens.

    command: plain text, words with blanks between them.
    """
    words = (f"<span>{html.escape(word, quote=False)}</span>" for word in command.split(" "))
    return f'<code class="command">{" ".join(words)}</code>'


def _headline(headline: Headline | None) -> str:
    if headline is None:
        return ""
    values = [("value", headline.value, headline.label)]
    if headline.second is not None:
        values.append(("second", *headline.second))
    shown = "".join(
        f'<div><span class="{kind}">{html.escape(value)}</span> <span class="label">{html.escape(label)}</span></div>'
        for kind, value, label in values
    )
    told = html.escape(" ".join(headline.sentences))
    return f'<div class="top"><div class="headline">{shown}</div>\n<p class="meaning">{told}</p></div>\n'


def _body(numbered: Sequence[tuple[str, Section]]) -> str:
    """The sections, wide ones by themselves, others that follow one another in columns."""
    blocks = []
    for wide, group in itertools.groupby(numbered, key=lambda pair: pair[1].wide):
        inside = [_section(name, section) for name, section in group]
        if not wide and len(inside) > 1:
            inside = ['<div class="columns">', *(f"<div>{section}</div>" for section in inside), "</div>"]
        blocks += inside
    return "\n".join(blocks)


def _section(name: str, section: Section) -> str:
    about = f'<p class="about">{html.escape(section.about)}</p>\n' if section.about else ""
    title = f'<h2 id="{name}">{html.escape(section.title)}</h2>'
    return f'<section aria-labelledby="{name}">\n{title}\n{about}{section.html}\n</section>'


def run_facts(*, seed: int, **more: object) -> dict[str, str]:
    """When, where and with what a run was made: time, command, seed, machine, versions.

    more: further facts, shown under their names with blanks for underscores, e.g. corpus="FSDD 1.0".
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
        raise AsrError(f"plots need matplotlib; install it with: {install('demo')}") from None


def _facts_section(facts: Mapping[str, str]) -> Section:
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    return Section("This run", f'<table class="facts"><tbody>{rows}</tbody></table>')


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
