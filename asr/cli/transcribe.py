"""`asr transcribe`."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from .._version import __version__
from ..errors import AsrError
from .common import (
    AllowCommands,
    ChannelChoice,
    Complaints,
    SpeakerPattern,
    channel_of,
    check_input,
    command_folder,
    complain,
    complain_of_input,
    model_names,
    recording_warnings,
    refuse_inputs,
    sample_recording,
    standard_input,
)
from .meter import Meter, clock
from .transcript_output import TranscriptOutput, check_form, journal_beside, piece_key

if TYPE_CHECKING:
    from ..corpus import Utterance
    from ..model.model import Model
    from ..model.transcript import Transcript
    from ..model.transcription import Part

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_REFUSED = 50  # recordings in a row, from the first: whatever is wrong, it is not about single ones
_SHOWN_PIECES = 3  # in a notice
_BONUS = 6.0  # nats, for a word of a phrase; see tests/benchmarks/bench_boost.py
_MANY = 5000  # recordings whose headers nobody waits for


class OutputFormat(str, Enum):
    """How transcripts are written."""

    text = "text"
    lines = "lines"
    json = "json"
    ctm = "ctm"
    srt = "srt"
    vtt = "vtt"
    csv = "csv"
    textgrid = "textgrid"
    eaf = "eaf"
    lattice = "lattice"


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
            metavar="INPUT",
            help="Audio or features: files, folders, Kaldi data directories, .tsv; - is standard input.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        OutputFormat,
        typer.Option(
            "--format",
            help="id<TAB>words; the same in lines with times; a JSON object a line; NIST's CTM; subtitles; a row a "
            "word; Praat's and ELAN's tiers; Kaldi's lattices.",
        ),
    ] = OutputFormat.text,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write there, whole or not at all; goes on if stopped.")
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Transcribe the recording inside the package.")] = False,
    beam: Annotated[float | None, typer.Option("--beam", min=0.1, help="Search beam, in nats.")] = None,
    boost: Annotated[
        Path | None,
        typer.Option(
            "--boost", metavar="P", help="Phrases, one a line, # a comment, that are likely; for asr graph --dynamic."
        ),
    ] = None,
    bonus: Annotated[
        float | None,
        typer.Option("--bonus", metavar="NATS", help="What each word of such a phrase gains, 6; more finds more."),
    ] = None,
    nbest: Annotated[
        int | None, typer.Option("--nbest", metavar="N", min=1, help="With json: the best N texts of each piece.")
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option("--min-confidence", metavar="P", min=0.0, max=1.0, help="Leave out words that are less sure."),
    ] = None,
    mark_unsure: Annotated[
        bool, typer.Option("--mark-unsure", help="With --min-confidence: put them in parentheses instead.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", help="Processes; -1 for one on each core. The words are the same.")
    ] = -1,
    speaker: SpeakerPattern = None,
    channel: ChannelChoice = None,
    allow_commands: AllowCommands = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Every complaint, and how speakers were adapted to.")
    ] = False,
) -> None:
    """Turn recordings into words.

    A recording of more than a minute is cut at its pauses, and its words are written as they are found. Where --out is
    given, the same command goes on after it was stopped. srt and vtt (subtitles), textgrid (Praat) and eaf (ELAN) are
    files of one recording: give --out a folder for several.

    In JSON each word has a confidence: the probability that it is right where the model was calibrated ("calibrated":
    true), else how sure the model is of itself, which is too sure.

    A model of speaker-adaptive training hears each file as a speaker of its own, unless --speaker finds the speaker in
    the names of files, or a corpus says who speaks: of all recordings of a speaker together it learns more.

    \b
    Example:
      asr transcribe digits recordings/ --format json --out words.jsonl
      asr transcribe digits call.wav --channel each
      ffmpeg -i talk.mp4 -f wav - | asr transcribe digits - --format srt > talk.srt
      asr transcribe mine/model recordings/ --speaker '^[^_]+' -v
    """
    if jobs != 1:  # matrix products by one thread in each process; it is NumPy's import that starts more
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ..corpus.recordings import find_recordings
    from ..model.model import load

    given: list[str | Path] = [*(inputs or []), *([sample_recording()] if sample else [])]
    if not given:
        raise typer.BadParameter("give at least one file, folder or data directory (or --sample)", param_hint="INPUT")
    if jobs < 1 and jobs != -1:
        raise typer.BadParameter("give the number of processes, or -1 for one on each core", param_hint="--jobs")
    if boost is None and bonus is not None:
        raise typer.BadParameter("goes with --boost, a file of phrases", param_hint="--bonus")
    if nbest is not None and format is not OutputFormat.json:
        raise typer.BadParameter("goes with --format json", param_hint="--nbest")
    if mark_unsure and min_confidence is None:
        raise typer.BadParameter("goes with --min-confidence", param_hint="--mark-unsure")
    refuse_inputs(out, given)
    recogniser = load(model)
    if beam is not None:
        recogniser = recogniser.with_decoding(beam=beam)
    likely = None if boost is None else _Boosted.of(boost, _BONUS if bonus is None else bonus)
    if likely is not None:
        recogniser = likely.model(recogniser)
    wants_lattices = format is OutputFormat.lattice
    if format in (OutputFormat.json, OutputFormat.csv, OutputFormat.lattice) or min_confidence is not None:
        recogniser = recogniser.with_alternatives(
            nbest or 1, least=min_confidence or 0.0, marks=mark_unsure, lattice=wants_lattices
        )
    problems = Complaints(verbose=verbose, how="all with -v")
    if verbose:
        recording_warnings.show_all()
    found, unusable = find_recordings(
        [standard_input(name) for name in given],
        speaker=speaker,
        channel=channel_of(channel),
        allow_commands=command_folder(allow_commands),
    )
    for problem in unusable:
        problems.add(str(problem), problem.where)
    recordings = _fitting(recogniser, found)
    if recordings:
        recogniser.decoder  # noqa: B018 - what is wrong with the model is said once, not for each recording
    about = _about(model, recogniser, recordings, repr(likely or ""))
    n_bad, recognised = _write_transcripts(recogniser, recordings, out, format, problems, about, jobs)
    problems.end()
    for warning in recognised.warnings(len(recordings), what_it_knows(model, recogniser)):
        complain_of_input(f"warning: {warning}")
    if verbose:
        from ..model.transcription import transforms_in_words

        complain(transforms_in_words(recognised.kinds) or "the model does not adapt to speakers")
    n_failed = len(unusable) + len(found) - len(recordings) + n_bad
    if n_failed:
        complain(f"{n_failed} of {len(found) + len(unusable)} failed")
        raise typer.Exit(1)


class _Boosted(NamedTuple):
    """Phrases that are likely, with their bonus in nats."""

    phrases: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, path: Path, bonus: float) -> "_Boosted":
        """Those of a file."""
        from ..model.dynamic import read_phrases

        check_input(path)
        return cls(tuple(read_phrases(path, bonus)))

    def model(self, recogniser: "Model") -> "Model":
        """The model in which they gain; words that it does not have are named."""
        from ..model.dynamic import boosted

        made, unknown = boosted(recogniser, self.phrases)
        if unknown:
            from ..display.brief import many, short

            shown = ", ".join(short(word, 40) for word in unknown[:8]) + (", ..." if len(unknown) > 8 else "")
            complain(
                f"warning: {many(len(unknown), 'word')} of the phrases {'is' if len(unknown) == 1 else 'are'} not in "
                f"the model, and phrases with {'it' if len(unknown) == 1 else 'them'} are left out: {shown}; put such "
                "words into a language model, and asr graph --dynamic --lexicon"
            )
        return made


def what_it_knows(name: str, recogniser: "Model") -> str:
    """What a model can recognise, in words: `digits: ten words`."""
    from ..model.regraph import vocabulary_in_words

    text = vocabulary_in_words(recogniser)
    number, _, rest = text.partition(" ")
    is_small = number.isdecimal() and int(number) < len(_NUMBERS)
    return f"{Path(name).name}: {_NUMBERS[int(number)] + ' ' + rest if is_small else text}"


def _fitting(recogniser: "Model", found: list["Utterance"]) -> list["Utterance"]:
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
    recogniser: "Model",
    recordings: list["Utterance"],
    out: Path | None,
    form: OutputFormat,
    problems: Complaints,
    about: str,
    n_jobs: int,
) -> tuple[int, "_Recognised"]:
    """Transcribe all and write each result as it comes; how many recordings failed, and what is to be reported.

    Args:
        about: what the transcripts depend on beside the recordings.
    """
    from ..corpus import Problem
    from ..model.transcription import recognise

    is_folder = check_form(out, form.value, len(recordings))
    failed: set[str] = set()
    recognised = _Recognised()
    with (
        Meter("transcribed", len(recordings), _seconds(recordings)) as meter,
        journal_beside(out, about, is_folder=is_folder) as (known, note),
        TranscriptOutput(out, form.value, is_folder=is_folder) as written,
    ):
        recording_warnings.before = meter.hide
        parts = recognise(
            recogniser, recordings, n_jobs=n_jobs, known=known, progress=lambda _, *gone: meter.gone(*gone)
        )
        for part in _closing(parts):
            meter.hide()
            note(part)
            if isinstance(part.result, Problem):
                failed.add(part.recording.id)
                problems.add(part.result.message, part.recording.path)
                if len(failed) == _REFUSED and not recognised.any and len(recordings) > _REFUSED:
                    complain(
                        f"not one of the first {_REFUSED} of {len(recordings)} could be used; Ctrl-C stops the rest"
                    )
            else:
                recognised.add(part.recording, part.result)
            meter.is_mid_line = written.write(part) and out is None and sys.stdout.isatty()
            meter.done(part.end - part.start, is_last=part.is_last)
    return len(failed), recognised


def _closing(parts: Iterator["Part"]) -> Iterator["Part"]:
    """The parts; what makes them is stopped at once where who takes them is."""
    with contextlib.closing(parts):  # type: ignore[type-var]
        yield from parts


def _counted(some: Sequence[Path], n_recordings: int) -> str:
    """Some of the recordings, as the subject of a sentence with its verb."""
    if n_recordings < 2:
        return "the recording is"
    return f"{len(some)} of {n_recordings} recordings {'is' if len(some) == 1 else 'are'}"


class _Fit:
    """How a recording fits the model, from its pieces."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unlike: list[tuple[float, float]] = []  # s from and to, of pieces that are clearly unlike
        self._n_frames = self._n_unlike = 0

    def add(self, piece: "Transcript") -> None:
        """Take note of a piece, whose times are the recording's."""
        if piece.evidence is not None:
            self._n_frames += piece.evidence.n_frames
            self._n_unlike += 0 if piece.fits else piece.evidence.n_frames
            self.unlike += piece.unlike

    @property
    def share(self) -> float:
        """The part of what is spoken that is in pieces which do not fit, 0 to 1."""
        return self._n_unlike / self._n_frames if self._n_frames else 0.0

    def in_words(self) -> str:
        """When the pieces are that are unlike, a few of them."""
        shown = ", ".join(f"{clock(start)} to {clock(end)}" for start, end in self.unlike[:_SHOWN_PIECES])
        more = len(self.unlike) - _SHOWN_PIECES
        return f"{shown} and {more} more" if more > 0 else shown


class _Recognised:
    """What is said of all recordings together when they are transcribed."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}  # speaker -> how the model adapted
        self.any = False
        self._unfinished: list[Path] = []
        self._fit: dict[str, _Fit] = {}  # of each recording
        self._silent: dict[Path, bool] = {}
        self._wordless: dict[Path, bool] = {}

    def add(self, recording: "Utterance", result: "Transcript") -> None:
        """Take note of what was recognised in a recording, or in a piece of one."""
        self.any = True
        self.kinds[recording.speaker] = result.transform or self.kinds.get(recording.speaker, "")
        if not result.reached_final and recording.path not in self._unfinished[-1:]:
            self._unfinished.append(recording.path)
        self._silent[recording.path] = self._silent.get(recording.path, True) and result.is_silent
        self._wordless[recording.path] = self._wordless.get(recording.path, True) and not result.text
        self._fit.setdefault(recording.id, _Fit(recording.path)).add(result)

    def warnings(self, n_recordings: int, knows: str) -> Iterator[str]:
        """A line for each kind of thing that a person should know.

        Args:
            knows: what the model does.
        """
        if silent := [path for path, is_silent in self._silent.items() if is_silent]:
            what = _counted(silent, n_recordings)
            yield f"{what} silent all through (the first: {silent[0]}); was a microphone muted?"
        if wordless := [path for path, has_none in self._wordless.items() if has_none and not self._silent[path]]:
            what = f"{len(wordless)} of {n_recordings} recordings" if n_recordings > 1 else "the recording"
            yield (
                f"no words were found in {what}, though there is sound (the first: {wordless[0]}); is it "
                "speech, and loud enough?"
            )
        if unlike := [fit for fit in self._fit.values() if fit.share >= 0.5]:
            part = f", {unlike[0].share:.0%} of what is spoken in it" if unlike[0].share < 1 else ""
            yield (
                f"{_counted([fit.path for fit in unlike], n_recordings)} unlike what this model is for, and the words "
                f"are hardly those that were said (the first: {unlike[0].path}{part}). What it knows is {knows}"
            )
        if partly := [fit for fit in self._fit.values() if fit.share < 0.5 and fit.unlike]:
            what = f"{len(partly)} of {n_recordings} recordings have" if n_recordings > 1 else "the recording has"
            yield (
                f"{what} pieces that are unlike what this model is for (the first: {partly[0].path}, "
                f"{partly[0].in_words()}). What it knows is {knows}"
            )
        if self._unfinished:
            what = f"{len(self._unfinished)} of {n_recordings} recordings end" if n_recordings > 1 else "it ends"
            yield (
                f"{what} where the model's grammar allows no end, and the words are the best so far (the first: "
                f"{self._unfinished[0]}), also with four times the beam; was the end cut off, or something else said?"
            )


def _seconds(recordings: list["Utterance"]) -> float | None:
    """How much audio that is, for a terminal's progress; None where that is not known, or would take long to find."""
    if sys.stderr is None or not sys.stderr.isatty() or len(recordings) > _MANY:
        return None
    from .. import audio

    total = 0.0
    for recording in recordings:
        end = recording.end
        if end is None and recording.audio is not None:
            try:
                end = audio.describe(recording.audio).duration_seconds
            except AsrError:
                end = recording.start or 0.0  # what is wrong with it is said when it is read
        if end is None:
            return None
        total += end - (recording.start or 0.0)
    return total


def _about(model: str, recogniser: "Model", recordings: list["Utterance"], phrases: str) -> str:
    """What a transcript depends on beside its recording: the model, and whose other recordings it adapts to."""
    from ..audio.voice_activity import CutOptions
    from ..model.model import find_model
    from ..model.transcription import LongOptions, needs_all_of_speaker

    description = (find_model(model) / "model.json").read_text(encoding="utf-8")  # with the digests of all files
    together = [piece_key(r, 0, 0.0, 0.0) for r in recordings] if needs_all_of_speaker(recogniser) else []
    asked = recogniser.decoding, recogniser.lattices, phrases
    return repr([__version__, description, asked, LongOptions(), CutOptions(), together])
