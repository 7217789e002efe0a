"""`asr train`: a recogniser from a corpus."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import AsrError
from .common import (
    AllowCommands,
    ChannelChoice,
    SpeakerPattern,
    TextSuffix,
    TierName,
    channel_of,
    check_input,
    complain_of_input,
    language_given,
    output,
    piped,
)

if TYPE_CHECKING:
    from ..corpus import Corpus

_SHOWN = 5  # problems of a corpus


class Units(str, Enum):
    """What words are made of where no lexicon says it."""

    letters = "letters"


class Device(str, Enum):
    """Where networks are trained."""

    cpu = "cpu"
    cuda = "cuda"
    auto = "auto"


class TextAs(str, Enum):
    """What becomes of transcripts."""

    words = "words"
    as_is = "as-is"


class Vocabulary(str, Enum):
    """Whether only words of the transcripts can be recognised."""

    closed = "closed"
    open = "open"


def train(
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="Recordings with transcripts: a folder, Kaldi data, .tsv, Lhotse.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to leave everything in.")],
    lexicon: Annotated[
        list[str] | None,
        typer.Option(
            "--lexicon", metavar="L", help="How words are said: a file, cmudict, g2p, letters:TABLE; several in order."
        ),
    ] = None,
    units: Annotated[Units | None, typer.Option("--units", help="Words as they are spelled (the default).")] = None,
    lm_text: Annotated[
        Path | None,
        typer.Option(
            "--lm-text", metavar="T", callback=piped, help="More sentences for the language model, a line each."
        ),
    ] = None,
    vocabulary: Annotated[
        Vocabulary,
        typer.Option("--vocabulary", help="Only words of the transcripts, or new ones too."),
    ] = Vocabulary.closed,
    order: Annotated[
        int | None,
        typer.Option("--order", metavar="N", min=1, max=6, help="Words in the longest n-grams; 3, open 4."),
    ] = None,
    stages: Annotated[
        str, typer.Option("--stages", metavar="LIST", help="How far up the ladder; or ctc: a network without HMMs.")
    ] = "mono,tri,lda-mllt,sat",
    text: Annotated[
        TextAs, typer.Option("--text", help="Transcripts as words (case, punctuation, numbers), or as they are.")
    ] = TextAs.words,
    language: Annotated[
        str,
        typer.Option(
            "--language",
            metavar="L",
            callback=language_given,
            help="Of the transcripts: en, fr, tr ...; for their numbers.",
        ),
    ] = "",
    held_out: Annotated[
        str,
        typer.Option(
            "--held-out", metavar="N", help="Utterances kept for tuning and testing, or speaker:NAME; a tenth."
        ),
    ] = "",
    speaker: SpeakerPattern = None,
    text_suffix: TextSuffix = None,
    tier: TierName = None,
    channel: ChannelChoice = None,
    allow_commands: AllowCommands = False,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", help="Processes; -1 for one on each core.")] = -1,
    device: Annotated[
        Device, typer.Option("--device", help="Where a network is trained; auto: on a GPU where there is one.")
    ] = Device.auto,
    seed: Annotated[int, typer.Option("--seed", help="Of all that is random.")] = 0,
) -> None:
    """Train a recogniser on your own recordings.

    Leaves OUT/model for `asr transcribe`, and OUT/report.html. Words of the transcripts are what can be recognised;
    with --vocabulary open, new words made of their syllables too. The same command goes on where an interrupted one
    stopped.

    \b
    Example:
      asr train recordings/ mine
      asr train recordings/ mine --speaker '^[^_]+' --lm-text sentences.txt
      asr train recordings/ mine --vocabulary open
      asr train data/train mine --lexicon cmudict --lexicon g2p --stages mono,tri
      asr train recordings/ mine --stages ctc
    """
    if lexicon and units:
        raise typer.BadParameter("--units letters is --lexicon letters; give one of the two", param_hint="--units")
    if jobs == 0:
        raise typer.BadParameter("give the number of processes, or -1 for one on each core", param_hint="--jobs")
    from ..lang.sources import check_sources
    from ..recipe.own_data import check_place, planned
    from ..recipe.own_training import gpus_of, train_recogniser
    from ..recipe.run import naming

    check_input(lm_text)  # before the corpus is read, which may take minutes
    check_sources(lexicon or [])
    if allow_commands:
        check_place(out)  # what the commands write goes there
    of_folder = {"speaker": speaker, "text_suffix": text_suffix, "tier": tier}
    utterances = _read(corpus, of_folder, channel_of(channel), out / "work" / "commands" if allow_commands else None)
    wanted = [stage.strip() for stage in stages.split(",")]
    plan = planned(
        utterances, sources=lexicon or ["letters"], text=lm_text, stages=wanted, held_out=held_out, order=order,
        vocabulary=vocabulary.value, as_is=text is TextAs.as_is, language=language,
    )  # fmt: skip
    gpus_of(device.value, plan.stages)
    check_place(out)
    for note in plan.notes:
        typer.echo(note, err=True)
    with _told(), naming(out):
        outcome = train_recogniser(plan, out, seed=seed, n_jobs=jobs, device=device.value)
    with output(None) as stream:
        stream.write(f"{outcome.table()}\n\nmodel   {outcome.model}   (asr transcribe {outcome.model} FILE ...)\n")
        stream.write(f"report  {outcome.report}\n" if outcome.report else "")


def _read(
    path: Path, of_folder: dict[str, str | None], channel: "int | Literal['each'] | None", commands: Path | None
) -> "Corpus":
    """The corpus, and complaints about what of it cannot be used.

    Args:
        of_folder: options for a folder of recordings.
        commands: the folder for what commands write, if they may run.
    """
    from ..corpus import Corpus
    from ..corpus.kinds import corpus_kind
    from ..corpus.problems import in_lines

    given = {name: value for name, value in of_folder.items() if value is not None}
    if given and corpus_kind(path) != "folder":
        raise AsrError(f"{path}: is no folder of recordings; --speaker, --text-suffix and --tier are for one")
    if given:
        found = Corpus.from_folder(path, channel=channel, **given)  # type: ignore[arg-type]
    else:
        found = Corpus.read(path, channel=channel, allow_commands=commands)
    lines = list(in_lines(found.problems))
    for line in lines[:_SHOWN]:
        complain_of_input(f"warning: {line}")
    if len(lines) > _SHOWN:
        complain_of_input(f"warning: {len(lines) - _SHOWN} more kinds of problems; see: asr info {path} -v")
    return found


def _is_warning(record: logging.LogRecord) -> bool:
    """Whether a log is a warning that is to be printed here; those of recordings are by all commands."""
    return record.levelno >= logging.WARNING and not record.name.startswith("asr.audio.")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Stages and warnings on stderr, with the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    shown = ("asr.recipe", "asr.jit")
    handler.addFilter(lambda record: record.name in shown or _is_warning(record))
    handler.addFilter(lambda record: record.name != "asr.gmm.schedule.left_out")  # the recipe tells it, once a stage
    logging.getLogger("asr.jit").handlers.clear()  # it is printed here, with the time
    room = logging.getLogger("asr")
    level = room.level
    room.addHandler(handler)
    room.setLevel(logging.INFO)
    room.propagate = False
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("\ninterrupted; the same command goes on with the stage that was not finished", err=True)
        raise typer.Exit(130) from None
    finally:
        room.removeHandler(handler)
        room.setLevel(level)
        room.propagate = True
