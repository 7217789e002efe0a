"""What is told to a person who lacks an optional part works in a checkout, as the package is on no index."""

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from asr import extras
from asr.extras import install

ROOT = Path(__file__).parents[1]


def test_the_command_names_the_checkout_that_is_run():
    assert install("nn") == f"pip install --editable '{ROOT}[nn]'" and install() == f"pip install --editable '{ROOT}'"


def test_elsewhere_it_says_where_it_is_to_be_given(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "asr" / "extras.py"))
    assert install("demo") == "pip install --editable '.[demo]' in the folder of hclg's checkout"


def test_nothing_tells_to_install_from_an_index():
    """The name may only stand in pyproject.toml, where extras refer to each other."""
    pages = [p for p in ROOT.rglob("*.md") if ".venv" not in p.parts and "build" not in p.parts]
    for path in [*pages, *(ROOT / "asr").rglob("*.py"), *(ROOT / "recipes").rglob("*.py")]:
        assert not re.search(r"install[^\n]*\bhclg(\[|\b)(?!'s)", path.read_text(encoding="utf-8")), path


def test_type_checkers_and_editors_can_follow_an_editable_install():
    """Setuptools writes a .pth file where the packages' folder is named; else a hook that they don't follow."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert settings["package-dir"] == {"": "."} and all(
        name.startswith("asr") for name in settings["packages"]["find"]["include"]
    )
