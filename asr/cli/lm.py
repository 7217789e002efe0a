"""`asr lm`: train, measure, mix and prune language models."""

import math
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import AsrError
from .common import complain_of_input, output, piped, progress, refuse_inputs, writing
from .usage import Command, Commands

if TYPE_CHECKING:
    from ..lm import NgramModel, Perplexity
    from ..nn.lm import Kind, NeuralModel


class Units(str, Enum):
    """What an n-gram is made of."""

    words = "words"
    letters = "letters"
    phones = "phones"


class Smoothing(str, Enum):
    """How the probability of what was not seen is estimated."""

    kneser_ney = "modified-kneser-ney"
    witten_bell = "witten-bell"


class Network(str, Enum):
    """What a language model is that is a network."""

    lstm = "lstm"
    gru = "gru"
    transformer = "transformer"


lm = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None)


def _writable(out: Path) -> Path:
    """The name of a file that a model can be written to; a callback of options."""
    if str(out) == "-":
        raise typer.BadParameter("a model goes to a file; give its name")
    if out.suffix.lower() in (".xz", ".bz2"):
        raise typer.BadParameter(f"models are packed with gzip: {out.with_suffix('.gz')}")
    return out


_Model = Annotated[
    Path, typer.Argument(metavar="LM", callback=piped, help="An ARPA file, plain or .gz, or an .ngram file.")
]
_Text = Annotated[
    Path,
    typer.Argument(metavar="TEXT", callback=piped, help="A sentence a line, plain, .gz, .xz or .bz2; - is stdin."),
]
_Out = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="LM",
        callback=_writable,
        help="An ARPA file, packed with .gz, or .ngram, which opens at once.",
    ),
]
_Ids = Annotated[bool, typer.Option("--ids", help="Lines begin with an utterance id, as in Kaldi's text.")]
_Units = Annotated[Units, typer.Option("--units", help="What the model is made of.")]
_Lexicon = Annotated[
    Path | None, typer.Option("--lexicon", metavar="FILE", help="With --units phones: how the words are said.")
]


_STEPS = 1000  # of a progress bar
_LEAST_WEIGHT = 5e-4  # of one of two models: with less it hardly matters, and four digits show 0 and 1
_NETWORK = ".safetensors"


def _all_piped(given: list[Path]) -> list[Path]:
    """What arguments name, or what is piped into the command where that is `-`; a callback."""
    return [path for path in map(piped, given) if path is not None]


@lm.callback()
def _about() -> None:
    """Make, measure, mix, prune and sample language models.

    N-gram models as ARPA files, which other toolkits read and write, too, or as .ngram files, which open at once.

    \b
    Example:
      asr lm train sentences.txt --order 3 --out lm.arpa.gz
      asr lm ppl lm.arpa.gz held-out.txt
    """


@lm.command(cls=Command, no_args_is_help=True)
def train(
    texts: Annotated[
        list[Path],
        typer.Argument(
            metavar="TEXT...", callback=_all_piped, help="A sentence a line, plain, .gz, .xz or .bz2; - is stdin."
        ),
    ],
    out: _Out,
    order: Annotated[int, typer.Option("--order", min=1, max=20, help="Words in the longest n-grams.")] = 3,
    smoothing: Annotated[Smoothing, typer.Option("--smoothing", help="For what was not seen.")] = Smoothing.kneser_ney,
    units: _Units = Units.words,
    lexicon: _Lexicon = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            "--vocabulary", metavar="FILE", callback=piped, help="The only words to tell apart; others count as <unk>."
        ),
    ] = None,
    cutoffs: Annotated[
        str,
        typer.Option("--cutoffs", metavar="N,N,...", help="Leave out what comes so often or less, by order: 0,0,1; 0."),
    ] = "0",
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="For sorting, as 500M or 4G; half of what is free.")
    ] = None,
    neural: Annotated[bool, typer.Option("--neural", help="A network in place of n-grams, .safetensors.")] = False,
    network: Annotated[Network, typer.Option("--network", help="With --neural: its kind.")] = Network.lstm,
    held_out: Annotated[
        Path | None,
        typer.Option(
            "--held-out", metavar="TEXT", callback=piped, help="With --neural: learn until it predicts this text best."
        ),
    ] = None,
    ids: _Ids = False,
) -> None:
    """Estimate a language model from text of any size.

    What memory does not hold is kept in temporary files beside the model. A network (--neural) ranks what a recogniser
    found with n-grams anew; of the text every twentieth sentence is held out where there is no --held-out. A training
    that was interrupted goes on where it was.

    \b
    Example:
      asr lm train sentences.txt --order 3 --out lm.arpa.gz
      asr lm train sentences.txt --neural --out lm.safetensors
      asr lm train web.xz books.xz --order 4 --cutoffs 0,0,1 --memory 1G --out lm.ngram
      asr lm train data/train/text --ids --units letters --order 5 --out letters.arpa.gz
    """
    from ..display.brief import many
    from ..files import replacing
    from ..lm import Means, count, count_text, estimate, write_model

    refuse_inputs(out, [path for path in (*texts, lexicon, vocabulary, held_out) if path is not None])
    limits, most = _cutoffs(cutoffs), None if memory is None else _bytes(memory)
    if neural != (out.suffix == _NETWORK):
        what = f"a network is written to a file {_NETWORK}" if neural else f"{_NETWORK} is for networks: give --neural"
        raise typer.BadParameter(what, param_hint="--out")
    if held_out is not None and not neural:
        raise typer.BadParameter("goes with --neural", param_hint="--held-out")
    words = None if vocabulary is None else [w for line in _sentences(vocabulary, Units.words, None) for w in line]
    if neural:
        sentences = [sentence for text in texts for sentence in _sentences(text, units, lexicon, ids)]
        check = None if held_out is None else _sentences(held_out, units, lexicon, ids)
        _train_network(out, network.value, sentences, check, words, order)
        return
    with progress("training", _STEPS) as advance, writing(out), replacing(out) as temporary:
        bar = _Bar(advance)
        if units is Units.words and lexicon is None:
            means = Means(memory=most, folder=temporary.parent, progress=bar.within(0.0, 0.85))
            counts = count_text(texts, order, vocabulary=words, cutoffs=limits, has_ids=ids, means=means)
        else:
            sentences = [sentence for text in texts for sentence in _sentences(text, units, lexicon, ids)]
            counts = count(sentences, order, vocabulary=words, cutoffs=limits)
        bar(0.85)
        n_sentences, model = counts.n_sentences, estimate(counts, smoothing.value)
        del counts
        bar(0.9)
        write_model(model, temporary)
        bar(1.0)
    typer.echo(f"{out}: {_size(model)}, from {many(n_sentences, 'sentence')}", err=True)


def _train_network(
    out: Path,
    kind: "Kind",
    sentences: list[list[str]],
    held_out: list[list[str]] | None,
    vocabulary: list[str] | None,
    order: int,
) -> None:
    """Train a network and write it; says how well it and n-grams of the same text predict what was held out."""
    import shutil

    from ..extras import require_torch
    from ..lm import count, estimate
    from ..lm.mixing import mixed_perplexity

    require_torch()
    from ..nn.lm import train_words

    if held_out is None:
        held_out, sentences = sentences[::20], [s for i, s in enumerate(sentences) if i % 20]
    folder = out.with_name(f".{out.name}.training")
    with progress("training", _STEPS) as advance, writing(out):
        bar = _Bar(advance)
        model, _ = train_words(
            sentences,
            held_out,
            kind,
            folder=folder,
            vocabulary=vocabulary,
            progress=lambda done, total: bar(done / total),
        )
        model.save(out)
    shutil.rmtree(folder)
    ngrams = estimate(count(sentences, order, vocabulary=vocabulary))
    both, weight = mixed_perplexity(model, ngrams, held_out)
    typer.echo(f"{out}: {repr(model)[14:-1]}", err=True)
    typer.echo(
        f"perplexity of {len(held_out)} held-out sentences: network {model.perplexity(held_out).total():.1f}, "
        f"{order}-grams {ngrams.perplexity(held_out).total():.1f}, mixed {both:.1f} (network {weight:.2f})",
        err=True,
    )


@lm.command(cls=Command, no_args_is_help=True)
def ppl(
    model: _Model,
    text: _Text,
    units: _Units = Units.words,
    lexicon: _Lexicon = None,
    each: Annotated[bool, typer.Option("--each", help="A line for each sentence, too.")] = False,
    ids: _Ids = False,
) -> None:
    """Perplexity of a text, and how many of its words are unknown.

    Lower is better. What counts as a word is up to --units, which must be the model's.

    \b
    Example:
      asr lm ppl lm.arpa.gz held-out.txt
      asr lm ppl lm.arpa.gz held-out.txt --each
    """
    found, sentences = _read(model), _sentences(text, units, lexicon, ids)
    result = found.perplexity(sentences)
    with output(None) as stream:
        if each:
            stream.write("perplexity\tunits\tunknown\tsentence\n")
            rows = zip(result.per_sentence(), result.n_words, result.n_unknown, sentences, strict=True)
            stream.writelines(f"{p:.2f}\t{n}\t{u}\t{' '.join(words)}\n" for p, n, u, words in rows)
            stream.write("\n")
        stream.write(_summary(result, units.value))
    if result.oov_rate == 1.0:
        raise AsrError(
            f"{text}: no word of it is known to {model}, so that nothing but ends of sentences was predicted; is the "
            f"model made of other units than {units.value} (--units), or of words spelled otherwise?"
        )
    if result.oov_rate > 0.5:
        complain_of_input(f"warning: most {units.value} of {text} are unknown to {model}; is it made of other units?")


@lm.command(cls=Command, no_args_is_help=True)
def interpolate(
    first: Annotated[Path, typer.Argument(metavar="LM1", help="An ARPA or .ngram file.")],
    second: Annotated[Path, typer.Argument(metavar="LM2", help="Another one.")],
    out: _Out,
    weight: Annotated[float | None, typer.Option("--weight", metavar="W", help="Weight of LM1, 0 < W < 1.")] = None,
    tune: Annotated[
        Path | None,
        typer.Option("--tune", metavar="TEXT", callback=piped, help="Find the weight that suits this text best."),
    ] = None,
    units: _Units = Units.words,
    lexicon: _Lexicon = None,
    ids: _Ids = False,
) -> None:
    """Mix two language models into one.

    \b
    Example:
      asr lm interpolate general.arpa.gz own.arpa.gz --tune held-out.txt --out mixed.arpa.gz
      asr lm interpolate general.arpa.gz own.arpa.gz --weight 0.3 --out mixed.arpa.gz
    """
    if (weight is None) == (tune is None):
        raise typer.BadParameter("give either --weight, e.g. 0.5, or --tune TEXT", param_hint="--weight")
    from ..lm import interpolate as mix
    from ..lm import read_model, tuned_weight, write_model

    refuse_inputs(out, [path for path in (first, second, tune, lexicon) if path is not None])
    text = [] if tune is None else _sentences(tune, units, lexicon, ids)
    with progress("mixing", 3) as advance:
        models = read_model(first), read_model(second)
        advance()
        weight = tuned_weight(*models, text) if weight is None else weight
        mixed = mix(*models, weight)
        advance()
        with writing(out):
            write_model(mixed, out)
        advance()
    typer.echo(f"{out}: {_size(mixed)}; weight of {first} {weight:.4f}", err=True)
    least, useless = min((weight, first), (1 - weight, second))
    if tune is not None and least < _LEAST_WEIGHT:
        complain_of_input(f"warning: {useless} has a weight of {least:.2g}: the other one alone suits {tune} as well")


@lm.command(cls=Command, no_args_is_help=True)
def prune(
    model: _Model,
    out: _Out,
    threshold: Annotated[
        float, typer.Option("--threshold", metavar="T", help="Relative change of the perplexity, e.g. 1e-7.")
    ],
) -> None:
    """Remove the n-grams that matter least, by relative entropy.

    \b
    Example:
      asr lm prune lm.arpa.gz --threshold 1e-7 --out small.arpa.gz
    """
    from ..lm import prune as pruned
    from ..lm import read_model, write_model

    refuse_inputs(out, [model])
    with progress("pruning", 3) as advance:
        whole = read_model(model)
        advance()
        smaller = pruned(whole, threshold)
        advance()
        with writing(out):
            write_model(smaller, out)
        advance()
    typer.echo(f"{out}: {_size(smaller)}, of {_size(whole)}", err=True)


@lm.command(cls=Command, no_args_is_help=True)
def sample(
    model: _Model,
    sentences: Annotated[int, typer.Option("--sentences", metavar="N", min=1, help="How many.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another one, another text.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there, not to stdout.")] = None,
) -> None:
    """Draw sentences from a language model: what it takes for likely.

    \b
    Example:
      asr lm sample lm.arpa.gz --sentences 5
    """
    import numpy as np

    from ..lm import read_model
    from ..lm import sample as drawn

    refuse_inputs(out, [model])
    found = read_model(model)
    with output(out) as stream:
        for lines in drawn(found, sentences, np.random.default_rng(seed)):
            stream.write(lines.decode())


def _read(path: Path) -> "NgramModel | NeuralModel":
    """The language model of a file, n-grams or a network."""
    if path.suffix != _NETWORK:
        from ..lm import read_model

        return read_model(path)
    from ..extras import require_torch

    require_torch()
    from ..nn.lm import NeuralModel

    return NeuralModel.load(path)


def _sentences(path: Path, units: Units, lexicon: Path | None, ids: bool = False) -> list[list[str]]:
    """The sentences of a text file in the model's units."""
    if (units is Units.phones) != (lexicon is not None):
        raise typer.BadParameter("--units phones and --lexicon FILE go together", param_hint="--lexicon")
    from ..lang.lexicon import Lexicon
    from ..lm import read_sentences

    said = None if lexicon is None else Lexicon.load(lexicon)
    return read_sentences(path, units=units.value, lexicon=said, has_ids=ids)


class _Bar:
    """Moves a progress bar to the part of the whole that is done."""

    def __init__(self, advance: Callable[[], None]) -> None:
        self._advance, self._done = advance, 0

    def __call__(self, part: float) -> None:
        while self._done < min(part, 1.0) * _STEPS:
            self._advance()
            self._done += 1

    def within(self, first: float, end: float) -> Callable[[float], None]:
        """The same for a step that takes a part of the whole."""
        return lambda part: self(first + (end - first) * part)


def _cutoffs(given: str) -> list[int]:
    """Numbers between commas. Raises BadParameter for others."""
    if not re.fullmatch(r"\d{1,9}(,\d{1,9})*", given):
        raise typer.BadParameter(f"{given!r}; need numbers between commas, such as 0,0,1", param_hint="--cutoffs")
    return [int(number) for number in given.split(",")]


def _bytes(given: str) -> int:
    """A size such as 500M. Raises BadParameter for another text."""
    found = re.fullmatch(r"(\d{1,9})\s*([kmgt]?)i?b?", given.strip().lower())
    if not found or int(found[1]) == 0:
        raise typer.BadParameter(f"{given!r}; need a size, such as 500M or 4G", param_hint="--memory")
    return int(found[1]) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[found[2]]


def _size(model: "NgramModel") -> str:
    return " + ".join(f"{n} {order}-grams" for order, n in enumerate(model.n_ngrams, 1))


def _summary(result: "Perplexity", units: str) -> str:
    """The figures of a text."""
    including = result.total(unknown=True)
    rows = [
        ("sentences", f"{result.n_sentences}"),
        (units, f"{int(result.n_words.sum())}"),
        ("unknown", f"{int(result.n_unknown.sum())} ({100 * result.oov_rate:.2f} %)"),
        ("perplexity", f"{result.total():.3f}"),
        ("  without ends of sentences", "none" if result.oov_rate == 1.0 else f"{result.total(end=False):.3f}"),
        ("  with unknown ones as <unk>", f"{including:.3f}" if math.isfinite(including) else "infinite"),
    ]
    return "".join(f"{name:<30}{value}\n" for name, value in rows)
