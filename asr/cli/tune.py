"""`asr tune`: how wide a model should search."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import AsrError
from .common import (
    AllowCommands,
    ChannelChoice,
    channel_of,
    check_model_out,
    command_folder,
    complain_of_input,
    model_names,
    output,
    progress,
    writing,
)

if TYPE_CHECKING:
    from ..corpus import Corpus
    from ..model.model import Model
    from ..train.beams import BeamPoint
    from ..train.data import Data

_UTTERANCES = 300
_SHOWN = 3  # problems of a corpus


def tune(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model directory, or a shipped model.", autocompletion=model_names)
    ],
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="Recordings with transcripts: a folder, Kaldi data, .tsv, Lhotse.")
    ],
    speed: Annotated[
        float | None,
        typer.Option(
            "--speed", metavar="X", help="The seconds of a core that a second of speech may take, e.g. 0.05.", min=0.0
        ),
    ] = None,
    beams: Annotated[
        str,
        typer.Option("--beams", metavar="LIST", help="Those to try, in nats: 6,8,10; 14 from 4 to 20 if not given."),
    ] = "",
    utterances: Annotated[
        int, typer.Option("--utterances", metavar="N", min=1, help="Try them on so many, from all over the corpus.")
    ] = _UTTERANCES,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="MODEL2", help="Write the model with the chosen beam; MODEL itself, or a new one."
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--plot", metavar="PICTURE", help="Draw it: a .png, .svg or .pdf file.")
    ] = None,
    channel: ChannelChoice = None,
    allow_commands: AllowCommands = False,
) -> None:
    """Choose the beam that a model searches with.

    Wide beams find more, narrow ones are fast. Recordings with transcripts are decoded with each beam; a table tells
    errors and time. Chosen is the narrowest beam that makes hardly more errors than the widest, with --speed the widest
    that is as fast. Take recordings that the model was not trained on, and not those of a test that counts.

    \b
    Example:
      asr tune mine/model held-out/ --plot beams.png
      asr tune mine/model held-out/ --speed 0.05 --out mine/model
    """
    from ..model.model import load
    from ..train.beams import BEAMS, beams_table, chosen_beam, try_beams

    wanted = _parsed(beams) or BEAMS
    if picture is not None:
        from ..report.signal import check_picture

        check_picture(picture)
    if out is not None:
        check_model_out(out)
    recogniser = load(model)
    read = _read(corpus, channel, allow_commands, utterances)
    data, seconds = _features(read, recogniser)
    _tell_unknown(data, recogniser)
    with progress("beams", len(wanted)) as done:
        points = try_beams(recogniser, data, wanted, front_end_seconds=seconds, progress=done)
    best = chosen_beam(points, speed)
    with output(None) as stream:
        stream.write(beams_table(points, best) + "\n")
    if picture is not None:
        _draw(points, best, picture)
    if out is not None:
        with writing(out):
            recogniser.with_decoding(beam=best.beam).save(out)
        typer.echo(f"{out}: searches with a beam of {best.beam:g} (before: {recogniser.decoding.beam:g})", err=True)


def _parsed(text: str) -> tuple[float, ...]:
    """The beams of a list."""
    try:
        beams = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        beams = (0.0,)
    if any(not 0 < beam < 1e4 for beam in beams):
        raise typer.BadParameter(f"{text!r}: give numbers above 0, separated by commas: 6,8,10", param_hint="--beams")
    return beams


def _read(path: Path, channel: str | None, allow_commands: bool, n_most: int) -> "Corpus":
    """The utterances to try the beams on; every k-th, so that all speakers are among them."""
    from ..corpus import Corpus
    from ..corpus.problems import in_lines

    found = Corpus.read(path, channel=channel_of(channel), allow_commands=command_folder(allow_commands))
    lines = list(in_lines(found.problems))
    for line in lines[:_SHOWN]:
        complain_of_input(f"warning: {line}")
    if len(lines) > _SHOWN:
        complain_of_input(f"warning: {len(lines) - _SHOWN} more kinds of problems; see: asr info {path} -v")
    spoken = [utterance for utterance in found if utterance.text]
    if not spoken:
        raise AsrError(f"{path}: no recording has a transcript, so errors cannot be counted; put X.txt beside X.wav")
    n = min(n_most, len(spoken))
    return Corpus([spoken[i * len(spoken) // n] for i in range(n)])


def _features(corpus: "Corpus", recogniser: "Model") -> "tuple[Data, float]":
    """The utterances' features, and the seconds of processor time that they took."""
    import time

    from ..train.data import Data

    start = time.process_time()
    data = Data.of(corpus, recogniser.features, allow_silence=True)
    return data, time.process_time() - start


def _tell_unknown(data: "Data", recogniser: "Model") -> None:
    """That the transcripts have words which cannot be recognised, where they are many: case, or another language."""
    unknown = recogniser.lexicon.oov_words(data.references.values())
    n_words = sum(len(text.split()) for text in data.references.values())
    n_lost = sum(unknown.values())
    if 10 * n_lost > n_words:
        shown = ", ".join(list(unknown)[:5])
        complain_of_input(
            f"warning: {n_lost} of {n_words} words in the transcripts are not in the model, such as {shown}: each is "
            "an error with any beam; is their case or punctuation another (asr text normalize)?"
        )


def _draw(points: "list[BeamPoint]", best: "BeamPoint", path: Path) -> None:
    from ..report.beams import draw_beams
    from ..report.signal import save_picture

    with writing(path):
        save_picture(draw_beams(points, best), path)
