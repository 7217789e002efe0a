"""What every recipe shares: steps that are not made twice (run), the bench, and how it ends (finish)."""

import sys
from pathlib import Path


def _check_start() -> None:
    """End with what to do where a script imports its neighbours and was not started as a module, so that it cannot."""
    main = sys.modules["__main__"]
    file = Path(getattr(main, "__file__", None) or "-")
    is_script = not getattr(main, "__package__", "") and file.is_file()
    if is_script and "\nfrom ." in file.read_text(encoding="utf-8", errors="replace"):
        name = ".".join([*file.resolve().parent.parts[-2:], file.stem])
        sys.exit(f"error: {file} imports its neighbours: start it as a module from the checkout, python -m {name}")


_check_start()
