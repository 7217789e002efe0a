"""`asr info`."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import AsrError
from .common import (
    AllowCommands,
    ChannelChoice,
    SpeakerPattern,
    TextSuffix,
    TierName,
    channel_of,
    command_folder,
    model_names,
    named_as_given,
    output,
    refuse_inputs,
    standard_input,
    writing,
)


def info(
    place: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|GRAPH|CORPUS|FEATURES|LEXICON|LM|TREE|AUDIO",
            help="A path, or the name of a shipped model.",
            autocompletion=model_names,
        ),
    ],
    speaker: SpeakerPattern = None,
    text_suffix: TextSuffix = None,
    tier: TierName = None,
    channel: ChannelChoice = None,
    allow_commands: AllowCommands = False,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="SVG", help="Of a model or its tree.json: draw the tree, too.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every problem of a corpus, not each kind.")] = False,
) -> None:
    """Say what is in a model, graph, corpus or other file.

    Other files are features, lexica, language models (ARPA), phonetic decision trees, recordings, and what training
    writes: alignments, checkpoints, curves, results, whole output folders.

    \b
    Example:
      asr info digits
      asr info data/train --json
      asr info recordings/ --speaker '^[^_]+' --text-suffix .lab
      asr info interviews/ --text-suffix .TextGrid --tier words
      asr info triphones/ --draw tree.svg
    """
    from json import dumps

    from ..info import as_lines, describe

    facts = describe(
        standard_input(place),
        speaker=speaker,
        text_suffix=text_suffix,
        tier=tier,
        channel=channel_of(channel),
        allow_commands=command_folder(allow_commands),
        all_problems=verbose,
    )
    if draw is not None:
        _draw_tree(place, draw)
    with output(None) as stream:
        lines = dumps(facts, ensure_ascii=False, indent=1) if json else "\n".join(as_lines(facts))
        stream.write(named_as_given(lines) + "\n")


def _draw_tree(place: str, picture: Path) -> None:
    from ..files import write_text
    from ..info.tree import tree_drawing

    if picture.suffix.lower() != ".svg":
        raise AsrError(f"{picture}: trees are drawn as SVG; give the picture the ending .svg")
    refuse_inputs(picture, [place])
    drawing = tree_drawing(place)
    with writing(picture):
        write_text(picture, drawing)
