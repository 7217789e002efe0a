"""Docstrings have the sections that editors and the reference make tables of, and name only what is there."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

griffe = pytest.importorskip("griffe")

ROOT = Path(__file__).parents[1]
ROOMS = (
    "errors", "extras", "jit", "options", "processes",
    "audio", "cli", "corpus", "ctc", "decoding", "display", "features", "files", "gmm", "graph", "hmm", "info", "lang",
    "lm", "model", "nn", "recipe", "report", "scoring", "train", "transcribe",
)  # fmt: skip
OPTIONS = {"returns_named_value": False, "returns_multiple_items": False, "warn_missing_types": False}
_SENTENCE = re.compile(r"(Raises [A-Z]\w*(Error|Exception)|Returns |>>> )")
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "pages").rglob("*.md")),
    *sorted(ROOT.glob("recipes/*/README.md")),
]
_NAME = re.compile(r"`(asr(?:\.\w+)+)\b|^::: (asr[\w.]+)", re.MULTILINE)
_ENTRY = re.compile(r"(\*{0,2}\w+(?:, \w+)*): ")


def documented(thing) -> Iterator:
    """Functions and classes with a docstring, in a module or class and those in it."""
    for member in thing.members.values():
        if member.is_alias:
            continue
        if member.is_module or member.is_class:
            yield from documented(member)
        if (member.is_function or member.is_class) and member.docstring:
            yield member


def names_of(thing) -> set[str]:
    parameters = thing.parameters if thing.is_function or "__init__" in thing.members else ()
    return {p.name for p in parameters} | (
        {n for n, m in thing.members.items() if m.is_attribute} if thing.is_class else set()
    )


def faults(thing) -> Iterator[str]:
    """What is not in a section although it should be."""
    names = names_of(thing)
    for section in thing.docstring.parsed:
        if section.kind is griffe.DocstringSectionKind.admonition:
            yield f"no section of Google's: {section.title}"
        for line in section.value.splitlines() if section.kind is griffe.DocstringSectionKind.text else ():
            entry = _ENTRY.match(line)
            if _SENTENCE.match(line) or (entry and set(entry[1].split(", ")) <= names):
                yield line


@pytest.fixture(scope="module")
def package():
    return griffe.load(
        "asr", search_paths=[ROOT], docstring_parser=griffe.Parser.google, docstring_options=OPTIONS, submodules=True
    )


@pytest.mark.parametrize("room", ROOMS)
def test_sections(room, package, caplog):
    """The parser has no complaint, such as an entry of what is no parameter, and nothing stays outside the sections."""
    caplog.set_level(logging.WARNING, logger="griffe")
    things = list(documented(package[room]))
    found = [f"{thing.path}: {fault}" for thing in things for fault in faults(thing)]
    assert things and not found
    assert not [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("docstring", "fault"),
    [
        ("It.\n\n    x: Hz.", "x: Hz."),
        ("It.\n\n    Raises ValueError for 0.", "Raises ValueError for 0."),
        ("It.\n\n    Returns Hz.", "Returns Hz."),
        ("It.\n\n    >>> f(1)\n    2", ">>> f(1)"),
        ("It.\n\n    Arg:\n        x: Hz.", "no section of Google's: Arg"),
    ],
)
def test_what_is_outside_the_sections_is_found(docstring, fault):
    with griffe.temporary_visited_module(f'def f(x):\n    """{docstring}\n    """\n') as module:
        module["f"].docstring.parser = griffe.Parser.google
        assert list(faults(module["f"])) == [fault]


def test_a_parameter_that_is_not_there_is_found(caplog):
    with griffe.temporary_visited_module('def f(x):\n    """It.\n\n    Args:\n        y: Hz.\n    """\n') as module:
        module["f"].docstring.parser = griffe.Parser.google
        list(faults(module["f"]))
    assert "'y' does not appear in the function signature" in caplog.text


def names_in(page: Path) -> set[str]:
    """The toolkit's names in a page's running text; of a table of changes those of its last column."""
    text = page.read_text(encoding="utf-8")
    if page.name == "changelog.md":
        text = "\n".join(line.rstrip(" |").rpartition(" | ")[2] for line in text.splitlines() if line.startswith("|"))
    return {name for found in _NAME.findall(text) for name in found if name}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_names_in_the_pages_exist(page, package):
    unknown = []
    for name in sorted(names_in(page)):
        here = package
        for part in name.split(".")[1:]:
            here = here.final_target if here.is_alias else here
            here = here.all_members.get(part) if here is not None and not here.is_attribute else None
            if here is None:
                unknown.append(name)
                break
    assert not unknown


def test_the_pages_name_much():
    assert len(set().union(*map(names_in, PAGES))) > 60
