"""`asr features`."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import AsrError, did_you_mean
from .common import (
    AllowCommands,
    ChannelChoice,
    Complaints,
    channel_of,
    command_folder,
    complain,
    complain_of_input,
    progress,
    standard_input,
    writing,
)

if TYPE_CHECKING:
    from ..corpus.feature_files import Source, Written
    from ..features.pipeline import FeaturePipeline


class Kind(str, Enum):
    """The front-ends."""

    mfcc = "mfcc"
    fbank = "fbank"
    lpc = "lpc"
    lpcc = "lpcc"
    reflection_coefficients = "reflection_coefficients"
    pitch = "pitch"


class Form(str, Enum):
    """How features are written."""

    npy = "npy"
    ark = "ark"


class Cmvn(str, Enum):
    """Normalisations that need nothing but the recordings themselves."""

    utterance = "utterance"
    speaker = "speaker"
    sliding = "sliding"


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completions of --set."""
    from ..features.front_ends import FRONT_ENDS
    from ..options import field_names

    given = ctx.params.get("kind") or ctx.params.get("features") or "mfcc"
    options = FRONT_ENDS[getattr(given, "value", given)].options
    return [f"{name}=" for name in field_names(options) if name.startswith(incomplete)]


def features(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help=f"{', '.join(k.value for k in Kind)}.")],
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT", help="Audio: files, folders, Kaldi data, .tsv; - is stdin.")
    ] = None,
    out: Annotated[str | None, typer.Option("--out", metavar="DIR", help="The folder to write to; needed.")] = None,
    form: Annotated[
        Form, typer.Option("--as", help="npy: one ID.npy a recording; ark: Kaldi's feats.ark and feats.scp.")
    ] = Form.npy,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the front-end.", autocompletion=settings),
    ] = None,
    show_settings: Annotated[
        bool, typer.Option("--settings", help="List the front-end's settings and their defaults, and stop.")
    ] = False,
    rate: Annotated[
        int | None, typer.Option("--rate", metavar="HZ", help="Resample to this rate; by default the files' own.")
    ] = None,
    cmvn: Annotated[Cmvn | None, typer.Option("--cmvn", help="Take the mean away: of what.")] = None,
    norm_vars: Annotated[bool, typer.Option("--norm-vars", help="With --cmvn: divide by the deviation too.")] = False,
    deltas: Annotated[
        int, typer.Option("--deltas", metavar="ORDER", min=0, max=5, help="Add time derivatives up to this order.")
    ] = 0,
    channel: ChannelChoice = None,
    allow_commands: AllowCommands = False,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, max=256, help="Processes.")] = 1,
) -> None:
    """Compute features into numpy files or a Kaldi archive.

    Settings have Kaldi's names and defaults, but for dither, which is 0. Normalisation comes before derivatives.

    \b
    Example:
      asr features mfcc recordings/ --out feats --set num_ceps=20 --deltas 2
      asr features fbank data/train --out data/train --as ark --rate 16000
    """
    if show_settings:
        _list_settings(kind)
        return
    if not inputs:
        raise typer.BadParameter("give at least one file, folder or data directory", param_hint="INPUT")
    if not out:  # an empty name, of a variable that is not set, would be the current folder
        raise typer.BadParameter("give the folder to write to", param_hint="--out")
    if norm_vars and cmvn is None:
        raise typer.BadParameter("needs --cmvn utterance, speaker or sliding", param_hint="--norm-vars")
    steps: list[dict[str, Any]] = [{"kind": kind.value, "options": parsed_settings(kind.value, set or [])}]
    if cmvn is not None:
        steps.append({"kind": "cmvn", "mode": cmvn.value, "norm_vars": norm_vars})
    if deltas:
        steps.append({"kind": "delta", "order": deltas})
    folder = Path(out)
    _check_out(folder, inputs, form)
    sources, n_failed = _sources(inputs, channel, allow_commands)
    total = len(sources) + n_failed
    if sources:
        n_failed += _write(sources, _pipeline(sources, rate, steps), folder, form, jobs)
    if n_failed:
        complain(f"{n_failed} of {total} failed")
        raise typer.Exit(1)


def _list_settings(kind: Kind) -> None:
    """Each setting with its default, and what the comment beside it in the source says of it."""
    import inspect

    from ..features.front_ends import FRONT_ENDS
    from ..options import field_names

    options = FRONT_ENDS[kind.value].options
    lines = [line for part in options.__mro__[-2::-1] for line in inspect.getsource(part).splitlines()]
    for name in field_names(options):
        comments = [line.partition("  # ")[2] for line in lines if line.strip().startswith(f"{name}: ")]
        meaning = next((comment for comment in reversed(comments) if comment), "")
        typer.echo(f"{f'{name}={getattr(options(), name)}':32}  {meaning}".rstrip())


def parsed_settings(kind: str, pairs: list[str]) -> dict[str, Any]:
    """The front-end's options from `name=value` texts, each of the type of its default."""
    from ..features.front_ends import FRONT_ENDS
    from ..options import field_names

    options = FRONT_ENDS[kind].options
    known, found = field_names(options), dict[str, Any]()
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")  # as Kaldi's programs take it
        if not equals:
            raise typer.BadParameter(f"{pair!r}; need NAME=VALUE, for instance {known[0]}=20", param_hint="--set")
        if name not in known:
            hint = did_you_mean(name, known)
            raise typer.BadParameter(f"{kind} has no setting {name!r}{hint}", param_hint="--set")
        if name in found:
            raise typer.BadParameter(f"{name} is given twice", param_hint="--set")
        found[name] = _value(text.strip(), getattr(options(), name))
    try:
        options(**found)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from None
    return found


def _value(text: str, default: Any) -> Any:
    """The text as the type of the default where it can be read so; what cannot the options complain about."""
    if isinstance(default, bool):
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower(), text)
    for number in (int, float) if isinstance(default, (int, float)) else ():
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _check_out(out: Path, inputs: list[str], form: Form) -> None:
    """Raise AsrError, before anything is computed, where nothing could be written."""
    from ..files import kind_of

    kind = kind_of(out)
    if kind not in ("folder", "missing"):
        raise AsrError(f"{out}: is no folder; give --out the name of a folder")
    for given in inputs:
        # Features beside wav.scp are how Kaldi does it; among the recordings themselves they would be in the way.
        same = kind == "folder" and kind_of(given) == "folder" and out.samefile(given)
        if same and not (form is Form.ark and kind_of(Path(given) / "wav.scp") == "file"):
            raise AsrError(f"{out}: is an input too; give --out another folder")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)


def _sources(inputs: list[str], channel: str | None, allow_commands: bool) -> tuple[list["Source"], int]:
    """What to compute features of, and how many inputs there are none of."""
    from ..corpus.feature_files import Source
    from ..corpus.recordings import find_recordings

    recordings, failures = find_recordings(
        [standard_input(given) for given in inputs],
        channel=channel_of(channel),
        allow_commands=command_folder(allow_commands),
    )
    complaints = [(failure.message, failure.id) for failure in failures]
    complaints += [
        (f"{r.path}: holds features already; need audio", str(r.path)) for r in recordings if r.audio is None
    ]
    problems = Complaints()
    for message, place in complaints:
        problems.add(message, place)
    problems.end()
    sources = [
        Source(r.id, r.audio, r.speaker, r.start, r.end, channel=r.channel) for r in recordings if r.audio is not None
    ]
    return sources, len(complaints)


def _pipeline(sources: list["Source"], rate: int | None, steps: list[dict[str, Any]]) -> "FeaturePipeline":
    """The pipeline at the given rate, or at the recordings' own. Raises AsrError for what is impossible at it."""
    from ..audio import RATES
    from ..corpus.feature_files import common_rate
    from ..features.pipeline import FeaturePipeline

    if rate is not None and not RATES[0] <= rate <= RATES[1]:
        raise typer.BadParameter(f"{rate}; need {RATES[0]} to {RATES[1]} Hz", param_hint="--rate")
    # Where no file can be read any rate will do: each is complained of.
    found = rate if rate is not None else common_rate(source.audio for source in sources) or 16000
    return FeaturePipeline(found, tuple(steps))


def _write(sources: list["Source"], pipeline: "FeaturePipeline", out: Path, form: Form, jobs: int) -> int:
    """Write all features and say so; the number of recordings that failed."""
    from ..corpus.feature_files import write_features

    with writing(out), progress("features", len(sources)) as step:
        done = write_features(sources, pipeline, out, form=form.value, n_jobs=jobs, progress=step)
    problems, path_of = Complaints(), {source.id: source.audio for source in sources}
    for problem in done.problems:
        problems.add(problem.message, path_of.get(problem.where, ""))
    problems.end()
    for name, file in done.renamed.items():
        complain_of_input(f"warning: {name!r} is written as {file}")
    if done.n_files:
        typer.echo(_summary(done, pipeline))
    return len(done.problems)


def _summary(done: "Written", pipeline: "FeaturePipeline") -> str:
    what = f"{done.n_files} recording{'s' if done.n_files > 1 else ''}"
    return f"{what}, {done.n_frames} frames of {done.dim} values at {pipeline.sample_rate} Hz: {done.place}"
