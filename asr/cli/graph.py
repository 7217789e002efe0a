"""`asr graph`: a model with other words or another language model."""

from pathlib import Path
from typing import Annotated

import typer

from .common import complain, model_names, refuse_inputs, writing


def graph(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model directory, or a shipped model.", autocompletion=model_names)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="MODEL2", help="The model directory to write.")],
    lm: Annotated[
        Path | None, typer.Option("--lm", metavar="A.arpa", help="A language model of words: which follow which.")
    ] = None,
    words: Annotated[
        Path | None, typer.Option("--words", metavar="W", help="A list of words; any may follow any.")
    ] = None,
    lexicon: Annotated[
        list[str] | None,
        typer.Option("--lexicon", metavar="L", help="How words are said that MODEL lacks: letters, a file, cmudict."),
    ] = None,
) -> None:
    """Give a trained model other words or another language model.

    Only the decoding graph is built anew; nothing is trained.

    \b
    Example:
      asr lm train sentences.txt --order 3 --out lm.arpa.gz
      asr graph mine/model --lm lm.arpa.gz --lexicon letters --out mine2
      asr graph digits --words yes-no.txt --lexicon cmudict --out answers
    """
    if (lm is None) == (words is None):
        raise typer.BadParameter("give either --lm A.arpa or --words W", param_hint="--lm")
    from ..model import find_model, load
    from ..regraph import listed_words, with_language_model, with_words

    refuse_inputs(out, [find_model(model)])
    trained = load(model)
    if lm is not None:
        from ..lm import read_arpa

        made, lost = with_language_model(trained, read_arpa(lm), lexicon or [])
    else:
        assert words is not None
        made, lost = with_words(trained, listed_words(words), lexicon or [])
    if lost:
        shown = ", ".join(lost[:8]) + (", ..." if len(lost) > 8 else "")
        complain(f"warning: words that the model cannot say are left out, {len(lost)}: {shown}")
    with writing(out):
        made.save(out)
    size = made.graph
    told = "" if size is None else f": {made.lexicon.n_words} words, {size.n_states} states, {size.n_arcs} arcs"
    typer.echo(f"{out}{told}", err=True)
