"""Pages and their parts from the templates in the folder beside, with places for data.

Names of files and words come from strangers: whatever text is put into a place is escaped. Only what a template calls
`safe` is not: markup that another template or a plot has made.
"""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


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
