"""`asr graph`: a model with other words or another language model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import check_model_out, complain, model_names, piped, refuse_inputs, writing

if TYPE_CHECKING:
    from ..graph.budget import Step


def graph(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model directory, or a shipped model.", autocompletion=model_names)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="MODEL2", help="The model directory to write.")],
    lm: Annotated[
        Path | None,
        typer.Option("--lm", metavar="A.arpa", callback=piped, help="A language model of words: which follow which."),
    ] = None,
    words: Annotated[
        Path | None, typer.Option("--words", metavar="W", callback=piped, help="A list of words; any may follow any.")
    ] = None,
    lexicon: Annotated[
        list[str] | None,
        typer.Option(
            "--lexicon", metavar="L", help="How words are said that MODEL lacks: letters, a file, cmudict, g2p:DIR."
        ),
    ] = None,
    max_states: Annotated[
        int | None,
        typer.Option("--max-states", metavar="N", min=1, help="Give up at larger graphs; what memory allows."),
    ] = None,
) -> None:
    """Give a trained model other words or another language model.

    Only the decoding graph is built anew; nothing is trained. Its size after each step is printed.

    \b
    Example:
      asr lm train sentences.txt --order 3 --out lm.arpa.gz
      asr graph mine/model --lm lm.arpa.gz --lexicon letters --out mine2
      asr graph digits --words yes-no.txt --lexicon cmudict --out answers
    """
    if (lm is None) == (words is None):
        raise typer.BadParameter("give either --lm A.arpa or --words W", param_hint="--lm")
    from ..files import kind_of
    from ..graph.budget import Step
    from ..lang.sources import check_sources
    from ..model.model import find_model, load
    from ..model.regraph import listed_words, need_pynini, with_language_model, with_words, words_told

    refuse_inputs(out, [find_model(model)])
    check_model_out(out)
    need_pynini()  # what fails at once comes before models and language models are read, which can take minutes
    check_sources(lexicon or [])
    trained, steps = load(model), list[Step]()
    compiling: dict[str, Any] = {"max_states": max_states, "told": steps.append}
    if lm is not None:
        from ..lm import read_model

        made, lost = with_language_model(
            trained, read_model(lm), lexicon or [], max_states=max_states, told=steps.append
        )
    else:
        assert words is not None
        made, lost = with_words(trained, listed_words(words), lexicon or [], **compiling)
    if lost:
        shown = "; ".join(f"{word} ({why})" for word, why in list(lost.items())[:8]) + (
            "; ..." if len(lost) > 8 else ""
        )
        complain(f"warning: words that the model cannot say are left out, {len(lost)}: {shown}{_cure(lexicon)}")
    before = kind_of(out / "model.json") == "file"
    with writing(out):
        made.save(out)
    if before:
        typer.echo(f"{out}: the model that was there is replaced", err=True)
    typer.echo(_table(steps), err=True)
    typer.echo(f"{out}: {words_told(made)} can be recognised", err=True)


def _cure(lexicon: list[str] | None) -> str:
    """How words without pronunciation get one."""
    if lexicon:
        return "; another --lexicon, given after the first, may have them"
    return "; say how they are said: --lexicon cmudict (English), or --lexicon FILE"


def _table(steps: "list[Step]") -> str:
    """The sizes and seconds of a graph's steps, a line each."""
    head = f"{'step':<12} {'states':>12} {'arcs':>12} {'seconds':>9}"
    return "\n".join([head, *(f"{s.name:<12} {s.n_states:12,} {s.n_arcs:12,} {s.seconds:9.2f}" for s in steps)])
