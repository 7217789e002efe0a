"""`asr export`: a model whose network runs elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from .common import check_model_out, model_names, refuse_inputs, writing
from .usage import Command, Commands

export = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None)


@export.callback()
def _about() -> None:
    """Write a trained network for other programs to run.

    \b
    Example:
      asr export onnx build/mboshi/dev-dnn-hmm-units-test/model small-model --int8
      asr transcribe small-model recording.wav
    """


@export.command(cls=Command, no_args_is_help=True)
def onnx(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model directory with a network.", autocompletion=model_names)
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The model directory to write.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Weights of 8 bits: a quarter of the size; for DNN and TDNN.")
    ] = False,
) -> None:
    """Write a model whose network onnxruntime runs, without torch.

    OUT is a whole model directory: asr transcribe runs it as any other. What the network says is compared with torch,
    and has to be the same; with --int8 the largest difference is reported.

    \b
    Example:
      asr export onnx trained exported
      asr export onnx trained small --int8
    """
    from ..errors import ModelError
    from ..extras import require_torch
    from ..model.model import find_model, load

    refuse_inputs(out, [find_model(model)])
    check_model_out(out)
    trained = load(model)
    if trained.acoustic.runs_on == "numpy":  # said before torch is asked for, which would be of no use
        raise ModelError(f"{model}: its acoustics are Gaussians, not a network; only networks are exported")
    require_torch()
    from ..model.export import LENGTHS, export_onnx

    exported = export_onnx(trained, int8=int8)
    with writing(out):
        exported.model.save(out)
    before, after = exported.n_bytes
    typer.echo(
        f"{out}: {after:,} bytes of network ({before:,} before); log-likelihoods differ by {exported.difference:.2g} "
        f"at most, the best pdf is the same in {100 * exported.same_best:.1f} % of frames, in random utterances of "
        f"{LENGTHS[0]} to {LENGTHS[-1]} frames",
        err=True,
    )
