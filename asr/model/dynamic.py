"""Models whose words and language model are apart, to be composed while decoding; and phrases that gain in them."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..files import as_utf8
from ..files.texts import text_bytes
from ..lang.entries import nfc
from ..lang.lexicon import Lexicon
from ..lang.sources import spelled_as_in
from .model import Model

if TYPE_CHECKING:
    import pynini

    from ..graph.budget import Step
    from ..graph.const_fst import Graph
    from ..graph.dynamic import DynamicGraph, WordGraph


def with_dynamic_graph(
    model: Model,
    grammar: "Graph | pynini.Fst",
    *,
    exact: bool = False,
    words: "WordGraph | None" = None,
    max_states: int | None = None,
    progress: "Callable[[Step], None] | None" = None,
) -> Model:
    """The model with words and grammar apart, which are composed while decoding.

    Args:
        grammar: as of `with_graph`; an n-gram model or another one whose states are histories of words.
        exact: whether costs are those of the language model itself, see `DynamicGraph`.
        words: of the model's lexicon, where they are there already; None: they are made.
        max_states: as of `with_graph`, like `progress`.

    Raises:
        GraphError: for a grammar that cannot be used, and where the words have too many states.
    """
    from ..graph.dynamic import DynamicGraph, numbered_grammar
    from ..graph.grammar import checked_grammar, finished_words

    if model.joiner:
        grammar = finished_words(grammar, model.lexicon, model.joiner)
    checked = checked_grammar(grammar, model.lexicon)
    lexicon = model.units.of_graph(model.lexicon)
    if words is None:
        words = model.units.compile_words(lexicon, max_states=max_states, progress=progress)
    numbered = numbered_grammar(checked, words.labels, model.lexicon.words["#0"])
    return replace(model, lexicon=lexicon, graph=DynamicGraph(words, numbered, exact=exact))


def dynamic_graph_of(model: Model) -> "DynamicGraph | None":
    """The model's graph if its words and its language model are apart, else None."""
    from ..graph.dynamic import DynamicGraph

    return model.graph if isinstance(model.graph, DynamicGraph) else None


def words_of(model: Model, lexicon: Lexicon) -> "WordGraph | None":
    """The words of a model's dynamic graph, if they are those of a lexicon and said as it says."""
    graph = dynamic_graph_of(model)
    if graph is None:
        return None
    return graph.words if _said(model.lexicon) == _said(model.units.of_graph(lexicon)) else None


def _said(lexicon: Lexicon) -> tuple:
    """All of a lexicon that such a graph depends on."""
    return lexicon.entries, lexicon.silence_phone, lexicon.silence_prob, lexicon.position_dependent


def boosted(model: Model, phrases: Iterable[tuple[str, float]]) -> tuple[Model, list[str]]:
    """The model in which some phrases are likelier, and the words of these that it does not have.

    A phrase with such a word is left out.

    Args:
        phrases: words separated by blanks, and the bonus in nats that saying them all gains.

    Raises:
        ModelError: where the model's graph is a static one, which has its costs built in.
    """
    graph = dynamic_graph_of(model)
    if graph is None:
        raise ModelError(
            "phrases can be boosted where words and language model are apart: make such a model, "
            "asr graph MODEL --lm A.arpa --dynamic --out MODEL2"
        )
    said, unknown = list[tuple[list[int], float]](), dict[str, None]()
    for text, bonus in phrases:
        words = spelled_as_in(model.lexicon, text.split(), once=False)
        missing = [word for word in words if word not in model.lexicon]
        unknown.update(dict.fromkeys(missing))
        if words and not missing:
            said.append(([model.lexicon.words[word] for word in words], bonus))
    return replace(model, graph=graph.boosting(said)), list(unknown)


def read_phrases(path: str | os.PathLike, bonus: float) -> list[tuple[str, float]]:
    """The phrases of a file, one a line; a number behind a tab is a phrase's own bonus for each of its words.

    Empty lines are passed over, and those that begin with #.

    Args:
        bonus: nats for each word, of those that have none of their own.

    Raises:
        ModelError: naming the line, for a bonus that is no number, and for what is not UTF-8; for a file that cannot
            be read.
    """
    from ..graph.phrases import MOST_GAIN

    found = []
    for number, line in enumerate(as_utf8(text_bytes(path, error=ModelError)).splitlines(), 1):
        if line.startswith(b"#"):
            continue
        try:
            text, _, own = line.decode("utf-8").partition("\t")
        except UnicodeDecodeError:
            raise ModelError(f"{path}:{number}: not UTF-8 text; save the file as UTF-8") from None
        try:
            each = float(own) if own.strip() else bonus
        except ValueError:
            what = f"{own!r} is no bonus; need a phrase, or a phrase, a tab and nats"
            raise ModelError(f"{path}:{number}: {what}") from None
        if not 0 <= each <= MOST_GAIN:
            raise ModelError(f"{path}:{number}: a bonus of {each:g}; need 0 to {MOST_GAIN:g} nats")
        if text.split():
            found.append((nfc(text), each * len(text.split())))
    return found
