"""How the toolkit's optional parts are installed: it is on no package index yet, so from its checkout."""

import importlib.util
from pathlib import Path

from .errors import AsrError


def install(extra: str = "") -> str:
    """The command that installs the toolkit with one of its extras, such as "nn"; see pyproject.toml.

    It names the checkout where the toolkit is run from one.
    """
    checkout = Path(__file__).resolve().parent.parent
    known = (checkout / "pyproject.toml").is_file()
    wanted = f"[{extra}]" if extra else ""
    command = f"pip install --editable '{checkout if known else '.'}{wanted}'"
    return command if known else f"{command} in the folder of hclg's checkout"


def require_torch() -> None:
    """For the start of what needs networks.

    Raises:
        AsrError: with the command that installs torch, if it is missing.
    """
    if importlib.util.find_spec("torch") is None:
        raise AsrError(f"networks need torch, which is not installed; install it with: {install('nn')}")
