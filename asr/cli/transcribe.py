"""`asr transcribe`."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import (
    SpeakerPattern,
    complain,
    complain_of_input,
    model_names,
    output,
    progress,
    refuse_inputs,
    sample_recording,
)

if TYPE_CHECKING:
    from ..model import Model
    from ..transcription import Recording


class OutputFormat(str, Enum):
    """How transcripts are written."""

    text = "text"
    json = "json"
    ctm = "ctm"


def transcribe(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model directory, or a shipped model: digits.", autocompletion=model_names
        ),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT", help="Audio or features: files, folders, Kaldi data directories, .tsv.", show_default=False
        ),
    ] = None,
    format: Annotated[
        OutputFormat, typer.Option("--format", help="id<TAB>words, a JSON object a line, or NIST's CTM.")
    ] = OutputFormat.text,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there, whole or not at all.")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Transcribe the recording inside the package.")] = False,
    beam: Annotated[float | None, typer.Option("--beam", min=0.1, help="Search beam, in nats.")] = None,
    speaker: SpeakerPattern = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say how speakers were adapted to.")] = False,
) -> None:
    """Turn recordings into words.

    A model of speaker-adaptive training hears each file as a speaker of its own, unless --speaker finds the speaker in
    the names of files, or a corpus says who speaks: of all recordings of a speaker together it learns more.

    \b
    Example:
      asr transcribe digits recordings/ --format json --out words.jsonl
      asr transcribe mine/model recordings/ --speaker '^[^_]+' -v
    """
    from ..model import load
    from ..transcription import find_recordings

    given: list[str | Path] = [*(inputs or []), *([sample_recording()] if sample else [])]
    if not given:
        raise typer.BadParameter("give at least one file, folder or data directory (or --sample)", param_hint="INPUT")
    refuse_inputs(out, given)
    recogniser = load(model)
    if beam is not None:
        recogniser = recogniser.with_decoding(beam=beam)
    found, failures = find_recordings(given, speaker=speaker)
    for failure in failures:
        complain_of_input(failure.message)
    recordings = _fitting(recogniser, found)
    if recordings:
        recogniser.decoder  # noqa: B018 - what is wrong with the model is said once, not for each recording
    n_failed = len(failures) + len(found) - len(recordings)
    n_bad, told = _write_transcripts(recogniser, recordings, out, format)
    n_failed += n_bad
    if verbose:
        complain(told or "the model does not adapt to speakers")
    if n_failed:
        complain(f"{n_failed} of {len(found) + len(failures)} failed")
        raise typer.Exit(1)


def _fitting(recogniser: "Model", found: list["Recording"]) -> list["Recording"]:
    """The recordings that are what the model takes, audio or features; of many others one line says how many."""
    takes_features = recogniser.features.given is not None
    fits = [(r.features if takes_features else r.audio) is not None for r in found]
    n_unfit = fits.count(False)
    if n_unfit < 2:
        return found  # transcribing says what is wrong with it
    if takes_features:
        what = "are audio alone, and this model takes features: give it a feats.scp or .npy files"
    else:
        what = f"are features alone, and this model takes audio at {recogniser.sample_rate} Hz: give it the recordings"
    first = found[fits.index(False)]
    complain_of_input(f"{n_unfit} of {len(found)} {what} (the first: {first.id}, {first.path})")
    return [recording for recording, fit in zip(found, fits, strict=True) if fit]


def _write_transcripts(
    recogniser: "Model", recordings: list["Recording"], out: Path | None, form: OutputFormat
) -> tuple[int, str]:
    """Transcribe all and write what is heard; how many recordings failed, and how speakers were adapted to, if so."""
    from ..transcription import FORMATS, Failure, told_transforms, transcribe_all

    n_failed, kinds = 0, dict[str, str]()
    with output(out) as stream, progress("transcribe", len(recordings), quiet=out is None) as step:
        for recording, result in transcribe_all(recogniser, recordings):
            step()
            if isinstance(result, Failure):
                n_failed += 1
                complain_of_input(result.message)
                continue
            kinds[recording.speaker] = result.transform or kinds.get(recording.speaker, "")
            if not result.reached_final:
                complain_of_input(f"warning: {recording.path}: no sentence end was reached; best so far")
            stream.write(FORMATS[form.value](recording.id, result))
    return n_failed, told_transforms(kinds)
