"""`asr doctor`."""

from typing import Annotated

import typer

from .common import complain, output

_MARKS = {"ok": "ok", "note": "note", "missing": "--", "broken": "BROKEN"}


def doctor(
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")] = False,
) -> None:
    """Say what works here, what is missing, and what installs it.

    Exit status 0 if the core works, with or without optional parts; 1 if something needed is broken.

    \b
    Example:
      asr doctor
    """
    import dataclasses
    from json import dumps

    from ..info.doctor import examine

    topic, n_broken = "", 0
    with output(None) as stream:
        for check in examine():
            n_broken += check.state == "broken"
            if json:
                stream.write(dumps(dataclasses.asdict(check), ensure_ascii=False) + "\n")
                continue
            if check.topic != topic:
                stream.write(f"{check.topic}\n")
                topic = check.topic
            stream.write(f"  {_MARKS[check.state]:6}  {check.name:16} {check.detail}\n")
            if check.remedy:
                stream.write(f"  {'':6}  {'':16} -> {check.remedy}\n")
            stream.flush()
    if n_broken:
        complain(f"{n_broken} needed parts are broken; see above")
        raise typer.Exit(1)
