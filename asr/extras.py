"""How the toolkit's optional parts are installed: it is on no package index yet, so from its checkout."""

from pathlib import Path


def install(extra: str = "") -> str:
    """The command that installs the toolkit with one of its extras, such as "nn"; see pyproject.toml.

    It names the checkout where the toolkit is run from one.
    """
    checkout = Path(__file__).resolve().parent.parent
    known = (checkout / "pyproject.toml").is_file()
    wanted = f"[{extra}]" if extra else ""
    command = f"pip install --editable '{checkout if known else '.'}{wanted}'"
    return command if known else f"{command} in the folder of hclg's checkout"
