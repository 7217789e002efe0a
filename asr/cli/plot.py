"""`asr plot`."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import AsrError
from .common import complain_of_input, model_names, piped, refuse_inputs, writing
from .features import parsed_settings, settings

if TYPE_CHECKING:
    import numpy as np

    from ..model.transcript import Transcript
    from ..report.signal import Panel, Pitch


class Shown(str, Enum):
    """The features that can be drawn."""

    mfcc = "mfcc"
    fbank = "fbank"
    lpc = "lpc"
    lpcc = "lpcc"
    pitch = "pitch"
    none = "none"


_NAME = 80  # letters of a file's name that the title has room for
_NAMES = {
    "mfcc": "MFCC coefficient",
    "fbank": "mel filter (log)",
    "lpc": "LPC coefficient",
    "lpcc": "LPCC coefficient",
}


def plot(
    file: Annotated[Path, typer.Argument(metavar="FILE", callback=piped, help="An audio file; - is standard input.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PICTURE", help="A .png, .svg or .pdf file to write; needed.")
    ] = None,
    features: Annotated[Shown, typer.Option("--features", help="What is drawn below the spectrogram.")] = Shown.mfcc,
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of the features, see asr features KIND --settings.",
            autocompletion=settings,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="Show the words it recognises.", autocompletion=model_names),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="WORDS", help="With --model: show where these words were said.")
    ] = None,
    lexicon: Annotated[
        str | None,
        typer.Option(
            "--lexicon", metavar="L", help="With --text: how words are said that MODEL lacks; cmudict, a file."
        ),
    ] = None,
    channel: Annotated[
        int | None, typer.Option("--channel", metavar="N", min=1, help="One channel, counted from 1; else their mean.")
    ] = None,
    start: Annotated[float | None, typer.Option("--start", metavar="S", min=0.0, help="Seconds; from there.")] = None,
    end: Annotated[float | None, typer.Option("--end", metavar="S", min=0.0, help="Seconds; up to there.")] = None,
) -> None:
    """Draw waveform, spectrogram and features of a recording.

    All over one time axis; with --model also the words and phones that are recognised in it.

    \b
    Example:
      asr plot seven.wav --out seven.png
      asr plot seven.wav --out seven.svg --features lpcc --model digits --text seven
    """
    if out is None:
        raise typer.BadParameter("give the picture to write, e.g. --out picture.png", param_hint="--out")
    if text is not None and model is None:
        raise typer.BadParameter("needs a --model that knows the words", param_hint="--text")
    if lexicon is not None and text is None:
        raise typer.BadParameter("is of no use without --text", param_hint="--lexicon")
    if set and features is Shown.none:
        raise typer.BadParameter("is of no use with --features none", param_hint="--set")
    from .. import audio
    from ..files import kind_of
    from ..report.signal import check_picture, draw_signal, save_picture

    options = parsed_settings(features.value, set or []) if features is not Shown.none else {}
    refuse_inputs(out, [file])
    check_picture(out)
    if kind_of(out) == "folder":
        raise AsrError(f"{out}: is a folder; give --out the name of a file")
    samples, rate = audio.read(file, channel="mix" if channel is None else channel - 1, start=start, end=end)
    panel = _panel(samples, rate, features, options, file)
    found = _recognised(model, samples, rate, text, lexicon) if model is not None else None
    figure = draw_signal(
        samples,
        rate,
        panel=panel,
        words=[(w.word, w.start, w.end) for w in found.words] if found else [],
        phones=[(p.phone, p.start, p.end) for p in found.phones] if found else [],
        offset=start or 0.0,
        title=_title(file, rate, len(samples) / rate, found, text),
    )
    with writing(out):
        save_picture(figure, out)


def _panel(samples: "np.ndarray", rate: int, kind: Shown, options: dict, file: Path) -> "Panel | Pitch | None":
    """The features to draw. Raises AsrError for settings that are impossible at this rate."""
    if kind is Shown.none:
        return None
    from ..features.front_ends import FRONT_ENDS
    from ..features.options import PitchOptions
    from ..features.pitch_tracking import track_pitch
    from ..report.signal import Panel, Pitch

    chosen = FRONT_ENDS[kind.value].options(**options)
    shift, length = chosen.frame_shift / 1000, chosen.frame_length / 1000
    begin = (length - shift) / 2 if chosen.snip_edges else 0.0  # a frame stands for the shift around its middle
    try:
        if isinstance(chosen, PitchOptions):
            track = track_pitch(samples, rate, options=chosen)
            return Pitch(track.hz, track.voicing, shift, begin)
        matrix = FRONT_ENDS[kind.value](samples, rate, chosen)
    except (ValueError, AsrError) as error:
        raise AsrError(f"{file}: {error}") from None
    return Panel(_NAMES[kind.value], matrix, shift, begin, standardised=kind is not Shown.fbank)


def _recognised(name: str, samples: "np.ndarray", rate: int, text: str | None, lexicon: str | None) -> "Transcript":
    from ..model.model import load
    from .transcribe import what_it_knows

    model = load(name)
    found = model.transcribe(samples, rate) if text is None else model.align(samples, text, rate, lexicon=lexicon)
    if not found.words:
        complain_of_input("warning: no words were recognised")
    if not found.fits:
        complain_of_input(
            "warning: the recording is unlike what this model is for, and the words are hardly those that were said. "
            f"What it knows is {what_it_knows(name, model)}"
        )
    return found


def _title(file: Path, rate: int, seconds: float, found: "Transcript | None", text: str | None) -> str:
    """The file's name over what is shown of it; names that are long in the middle are cut there: both ends tell."""
    from ..files import readable

    name = readable(" ".join(file.name.splitlines())).encode("utf-8", "backslashreplace").decode()
    name = name if len(name) <= _NAME else f"{name[: _NAME // 2]}…{name[-_NAME // 2 + 1 :]}"
    said = "" if found is None else f"    {'recognised' if text is None else 'aligned'}: {found.text}"
    return f"{name}\n{rate} Hz, {seconds:.2f} s{said}"
