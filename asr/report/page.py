"""The page of a report: sections, style, and what identifies a run."""

import dataclasses
import html
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import __version__
from ..errors import AsrError
from ..files import write_text

_PACKAGES = ("numpy", "scipy", "numba", "soundfile", "soxr", "pynini")

_STYLE = """
:root { color-scheme: light dark; --bg: #ffffff; --fg: #1c2128; --soft: #59636e; --line: #d1d9e0; --card: #f6f8fa;
  --bad: #b42318; --badbg: #fee4e2; --warn: #8a4b00; --warnbg: #fdecc8; --link: #0a58ca; }
@media (prefers-color-scheme: dark) { :root { --bg: #14181d; --fg: #e4e9ee; --soft: #9aa5b1; --line: #343c45;
  --card: #1c2229; --bad: #ffb4ab; --badbg: #5c1d18; --warn: #ffd591; --warnbg: #553a08; --link: #8ab4f8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1.25rem 4rem; background: var(--bg); color: var(--fg);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: .4rem 0; max-width: 46rem; }
.soft, figcaption, nav { color: var(--soft); }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: 1rem 0; }
a { color: var(--link); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .75rem 0; }
th, td { padding: .3rem .5rem; font-size: .92rem; text-align: left; white-space: nowrap;
         border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--line); font-weight: 600; }
.number { text-align: right; }
.facts th { color: var(--soft); font-weight: 400; vertical-align: top; }
.facts td { white-space: normal; overflow-wrap: anywhere; }
figure { margin: 1rem 0; }
figure svg { max-width: 100%; height: auto; display: block; font-family: inherit; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
figcaption { font-size: .9rem; max-width: 46rem; }
.words { margin: .2rem 0 1.1rem; font-size: .95rem; }
.words td, .words th { border: 0; padding: .05rem .4rem; }
.words th { color: var(--soft); font-weight: 400; padding-left: 0; }
.bad { background: var(--badbg); color: var(--bad); font-weight: 600; border-radius: 3px; }
.gap { background: var(--warnbg); color: var(--warn); border-radius: 3px; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .92em; overflow-wrap: anywhere; }
"""


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page: a title (plain text) and its content (HTML, already escaped where it holds data)."""

    title: str
    html: str


def write_report(
    path: str | os.PathLike, *, title: str, sections: Sequence[Section], facts: Mapping[str, str], lead: str = ""
) -> Path:
    """Write one HTML page that needs nothing else: no network, no other file, no script.

    title, lead: plain text; lead is the sentence under the title, e.g. the headline result.
    facts: what identifies the run, see `run_facts`; plain text, shown as a table at the end.
    Returns the path.
    """
    numbered = [(f"s{i}", section) for i, section in enumerate([*sections, _facts_section(facts)], start=1)]
    links = "".join(f'<a href="#{name}">{html.escape(s.title)}</a>' for name, s in numbered)
    body = "\n".join(
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{html.escape(s.title)}</h2>\n{s.html}\n</section>'
        for name, s in numbered
    )
    lead_html = f"<p>{html.escape(lead)}</p>" if lead else ""
    write_text(
        path,
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<header>\n"
        f'<h1>{html.escape(title)}</h1>\n{lead_html}\n<nav aria-label="Sections">{links}</nav>\n</header>\n'
        f"<main>\n{body}\n</main>\n</body>\n</html>\n",
    )
    return Path(path)


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
        "command": " ".join(sys.argv),
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
        raise AsrError("plots need matplotlib; install it with: pip install 'hclg[demo]'") from None


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
