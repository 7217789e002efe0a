"""`asr graph`: a model with other words or another language model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import (
    check_input,
    check_model_out,
    complain,
    model_names,
    output,
    piped,
    refuse_inputs,
    standard_input,
    writing,
)

if TYPE_CHECKING:
    from ..graph.budget import Step
    from ..lm.model import NgramModel
    from ..model.model import Model


def graph(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model directory, or a shipped model.", autocompletion=model_names)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="MODEL2", help="The model directory to write.")],
    lm: Annotated[
        list[str] | None,
        typer.Option(
            "--lm",
            metavar="A.arpa",
            help="A language model of words: which follow which. Several are mixed: A.arpa:0.7 and B.arpa:0.3.",
        ),
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
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic",
            help="Keep words and language model apart, and compose them while decoding: any size, in seconds.",
        ),
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="With --dynamic: costs of words are those of the model, not the cheapest.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build nothing: check all inputs; tell states, memory and time.")
    ] = False,
) -> None:
    """Give a trained model other words or another language model.

    Only the decoding graph is built anew; nothing is trained. Its size after each step is printed. With --dry-run,
    what that is going to take is estimated in seconds. With --dynamic the words are put together once for all language
    models: of a model that was made so, they are taken over. Phrases can then be boosted (asr transcribe --boost).

    \b
    Example:
      asr lm train sentences.txt --order 3 --out lm.arpa.gz
      asr graph mine/model --lm lm.arpa.gz --lexicon letters --out mine2
      asr graph mine/model --lm large.arpa --lexicon cmudict --out large --dry-run
      asr graph mine/model --lm talk.arpa:0.7 --lm books.arpa:0.3 --dynamic --out mine3
      asr graph digits --words yes-no.txt --lexicon cmudict --out answers
    """
    if (lm is None) == (words is None):
        raise typer.BadParameter("give either --lm A.arpa or --words W", param_hint="--lm")
    if (dynamic and (lm is None or dry_run)) or (exact and not dynamic):
        raise typer.BadParameter("--dynamic goes with --lm, without --dry-run; --exact with --dynamic")
    from ..files import kind_of
    from ..lang.sources import check_sources, opened
    from ..model.language_models import parts_of, read_parts
    from ..model.model import find_model, load
    from ..model.regraph import listed_words, vocabulary_in_words, with_language_model, with_words

    parts = parts_of([str(standard_input(name)) for name in lm or []]) if lm else []
    read = [part.path for part in parts] if words is None else [words]
    refuse_inputs(out, [find_model(model), *read])
    check_model_out(out)
    for path in read:
        check_input(path)
    # What can be wrong is looked at in order of the time that it takes: a large language model comes last.
    check_sources(lexicon or [])
    trained, listed = load(model), None if words is None else listed_words(words)
    sources = opened(lexicon or [])
    ngram = read_parts(parts) if parts else None
    if dry_run:
        lost = _tell_expected(trained, ngram, listed, sources, max_states)
        _tell_lost(lost, lexicon)
        return
    compiling: dict[str, Any] = {"max_states": max_states, "progress": _Table().add}
    if ngram is not None:
        made, lost = with_language_model(trained, ngram, sources, dynamic=dynamic, exact=exact, **compiling)
    else:
        made, lost = with_words(trained, listed or [], sources, **compiling)
    _tell_lost(lost, lexicon)
    before = kind_of(out / "model.json") == "file"
    with writing(out):
        made.save(out)
    if before:
        typer.echo(f"{out}: the model that was there is replaced", err=True)
    typer.echo(f"{out}: {vocabulary_in_words(made)} can be recognised", err=True)


def _tell_expected(
    trained: "Model", ngram: "NgramModel | None", listed: list[str] | None, sources: list[Any], max_states: int | None
) -> dict[str, str]:
    """What the build will take, on stdout, and on stderr what speaks against it. Returns the words that are lost."""
    from ..graph.budget import Budget
    from ..model.regraph import expected_of_language_model, expected_of_words

    if ngram is not None:
        expected, lost = expected_of_language_model(trained, ngram, sources)
    else:
        expected, lost = expected_of_words(trained, listed or [], sources)
    with output(None) as stream:
        stream.write(f"{expected.in_words()}\n")
    against = Budget.of(max_states).against(expected.most_states, expected.n_bytes)
    if against:
        complain(f"warning: {against}")
    return lost


def _cure(lexicon: list[str] | None) -> str:
    """How words without pronunciation get one."""
    if lexicon:
        return "; another --lexicon, given after the first, may have them"
    return "; say how they are said: --lexicon cmudict (English), or --lexicon FILE"


def _tell_lost(lost: dict[str, str], lexicon: list[str] | None) -> None:
    """The words that are left out, and how they could be said."""
    if lost:
        from ..display.brief import short

        shown = "; ".join(f"{short(word, 40)} ({short(why, 80)})" for word, why in list(lost.items())[:8])
        shown += "; ..." if len(lost) > 8 else ""
        complain(f"warning: words that the model cannot say are left out, {len(lost)}: {shown}{_cure(lexicon)}")


class _Table:
    """The sizes and seconds of a graph's steps on stderr, a line each, when the step is done."""

    def __init__(self) -> None:
        self._is_first = True

    def add(self, s: "Step") -> None:
        """The line of a step."""
        if self._is_first:
            typer.echo(f"{'step':<12} {'states':>12} {'arcs':>12} {'seconds':>9}", err=True)
            self._is_first = False
        typer.echo(f"{s.name:<12} {s.n_states:12,} {s.n_arcs:12,} {s.seconds:9.2f}", err=True)
