"""`asr info`."""

from typing import Annotated

import typer

from .common import model_names, output


def info(
    place: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|GRAPH|CORPUS|FEATURES|LEXICON|AUDIO",
            help="A path, or the name of a shipped model.",
            autocompletion=model_names,
        ),
    ],
    speaker: Annotated[
        str | None,
        typer.Option("--speaker", metavar="PATTERN", help="Of a folder: regular expression that finds the speaker."),
    ] = None,
    text_suffix: Annotated[
        str | None, typer.Option("--text-suffix", metavar="SUFFIX", help="Of a folder: how transcripts end; .txt.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Say what is in a model, graph, corpus or other file.

    \b
    Example:
      asr info digits
      asr info data/train --json
      asr info recordings/ --speaker '^[^_]+' --text-suffix .lab
    """
    from json import dumps

    from ..info import as_lines, describe

    given = {"speaker": speaker, "text_suffix": text_suffix}
    facts = describe(place, **{name: value for name, value in given.items() if value is not None})
    with output(None) as stream:
        stream.write((dumps(facts, ensure_ascii=False, indent=1) if json else "\n".join(as_lines(facts))) + "\n")
