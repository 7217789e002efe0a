"""Other words for a trained model: its lexicon and decoding graph are made anew, its acoustic model stays."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..display.brief import many
from ..errors import GraphError
from ..graph.arpa import arpa_grammar, words_after
from ..graph.forecast import SMALL, Forecast, forecast
from ..graph.grammar import word_loop
from ..lang.entries import Entry, nfc
from ..lang.lexicon import Lexicon
from ..lang.sources import extended, new_entries, spelled_as_in
from ..lm.model import NgramModel
from ..lm.text import read_sentences
from ..lm.vocabulary import UNKNOWN
from .dynamic import with_dynamic_graph, words_of
from .graphs import with_graph
from .model import Model

if TYPE_CHECKING:
    from ..graph.budget import Step

_NAMED = 3  # the first names of a language model's vocabulary stand for no words


def with_language_model(
    model: Model,
    lm: NgramModel,
    sources: Sequence[Any] = (),
    *,
    dynamic: bool = False,
    exact: bool = False,
    max_states: int | None = None,
    progress: "Callable[[Step], None] | None" = None,
) -> tuple[Model, dict[str, str]]:
    """The model with a graph of a language model's words; and the words that are left out, each with the reason.

    Args:
        sources: of pronunciations for words that the model's lexicon lacks, see build_lexicon. None: models that were
            trained on spellings spell them by the same rule, others leave them out. Those with phones that the acoustic
            model does not have are left out in any case.
        dynamic: whether words and language model stay apart, to be composed while decoding; the words of a model that
            has them so already are taken over, where it lacks none.
        exact: of dynamic graphs: whether costs are those of the model itself, see `DynamicGraph`.
        max_states: see `compile_hclg`.
        progress: see `compile_hclg`.

    Raises:
        GraphError: where no word is left, or the graph has too many states.
    """
    lexicon, lost = extended(model.lexicon, lm.vocabulary.names[_NAMED:], sources, model.letters)
    compiling = {"max_states": max_states, "progress": progress}
    if dynamic:
        made = with_dynamic_graph(
            replace(model, lexicon=lexicon), arpa_grammar(lm, lexicon), exact=exact, words=words_of(model, lexicon),
            max_states=max_states, progress=progress,
        )  # fmt: skip
        kind = f"an n-gram of order {lm.order}, which is composed with the words while decoding"
        return replace(made, card=_card(made, kind, model.card)), lost
    return _with_graph(model, lexicon, arpa_grammar(lm, lexicon), f"an n-gram of order {lm.order}", compiling), lost


def with_words(
    model: Model,
    words: Iterable[str],
    sources: Sequence[Any] = (),
    *,
    max_states: int | None = None,
    progress: "Callable[[Step], None] | None" = None,
) -> tuple[Model, dict[str, str]]:
    """The model with a graph in which any of some words may follow any; and the words that are left out, and why.

    The other arguments, and what is raised, are as of `with_language_model`.
    """
    wanted = spelled_as_in(model.lexicon, map(nfc, words))
    lexicon, lost = extended(model.lexicon, wanted, sources, model.letters)
    _check_some(wanted, lost)
    left = [word for word in wanted if word in lexicon]
    compiling = {"max_states": max_states, "progress": progress}
    return _with_graph(
        model, lexicon, word_loop(lexicon, left), "a list of words, any of which may follow any", compiling
    ), lost


def _check_some(wanted: Sequence[str], lost: dict[str, str]) -> None:
    """Raise GraphError where all words are lost."""
    if len(lost) == len(wanted):
        word, why = next(iter(lost.items()))
        raise GraphError(
            f"none of the {many(len(wanted), 'word')} can be said: {word!r}: {why}; give --lexicon for them"
        )


def expected_of_language_model(
    model: Model, lm: NgramModel, sources: Sequence[Any] = ()
) -> tuple[Forecast, dict[str, str]]:
    """What `with_language_model` will take, and the words that it will leave out; in about a second.

    Small graphs are built, and their states and arcs counted.

    The arguments, and what is raised, are as there.
    """
    names = [model.lexicon.unk if name == UNKNOWN else name for name in lm.vocabulary.names]
    new, lost = new_entries(model.lexicon, names[_NAMED:], sources, model.letters)
    _check_some(names[_NAMED:], lost)
    said = _pronunciations(model.lexicon, new)
    n_phones = np.array([sum(map(len, said.get(name, ()))) for name in names])
    after, n_arcs, n_ends = words_after(lm, n_phones)
    can_be_said = n_phones > 0
    known = [said[name] for name, can in zip(names, can_be_said.tolist(), strict=True) if can]
    found = _forecast(model, known, n_arcs[can_be_said], after, float(n_ends @ n_phones))
    return _counted(found, lambda progress: with_language_model(model, lm, sources, progress=progress)), lost


def expected_of_words(
    model: Model, words: Iterable[str], sources: Sequence[Any] = ()
) -> tuple[Forecast, dict[str, str]]:
    """As `expected_of_language_model`, of `with_words`."""
    wanted = spelled_as_in(model.lexicon, map(nfc, words))
    new, lost = new_entries(model.lexicon, wanted, sources, model.letters)
    _check_some(wanted, lost)
    said = _pronunciations(model.lexicon, new)
    known = [said[word] for word in wanted if word in said]
    n_phones = sum(len(phones) for variants in known for phones in variants)
    found = _forecast(model, known, np.ones(len(known)), np.array([len(known)]), float(n_phones))
    return _counted(found, lambda progress: with_words(model, wanted, sources, progress=progress)), lost


def _counted(found: Forecast, build: "Callable[[Callable[[Step], None]], object]") -> Forecast:
    """The forecast, with what there is after the steps of building the graph if that is small.

    Args:
        build: builds it, and calls its argument after each step.
    """
    if found.most_states > SMALL:
        return found
    steps: list[Step] = []
    build(steps.append)
    return found.counted(steps)


def _pronunciations(lexicon: Lexicon, new: Iterable[Entry]) -> dict[str, list[tuple[str, ...]]]:
    said: dict[str, list[tuple[str, ...]]] = {}
    for entry in (*lexicon.entries, *new):
        said.setdefault(entry.word, []).append(entry.phones)
    return said


def _forecast(
    model: Model, known: Sequence[Sequence[Sequence[str]]], often: np.ndarray, after: np.ndarray, n_tails: float
) -> Forecast:
    """The forecast of a graph.

    Args:
        known: the pronunciations of each word.
        often: on how many arcs of the grammar it is.
        after: of each state of the grammar, how many words may follow.
        n_tails: phones of words, once for each state that they lead to.
    """
    number: dict[str, int] = {}
    every = [[number.setdefault(p, len(number) + 1) for p in phones] for variants in known for phones in variants]
    each = np.repeat(often, [len(variants) for variants in known])
    return forecast(every, each, after * (len(every) / len(known)), n_tails, *model.units.contexts)


def _with_graph(model: Model, lexicon: Lexicon, grammar: Any, kind: str, compiling: dict[str, Any]) -> Model:
    """The model with another graph, and a card that says what holds of it."""
    made = with_graph(replace(model, lexicon=lexicon), grammar, **compiling)
    return replace(made, card=_card(made, kind, model.card))


def words_of_graph(model: Model) -> tuple[int, int]:
    """How many words can come out of a model's graph, and how many parts of words that join to others."""
    labels = () if model.graph is None else model.graph.word_ids().tolist()
    names = [model.lexicon.words.name(label) for label in labels]
    n_parts = sum(bool(model.joiner) and name.strip(model.joiner) != name for name in names)
    return len(names) - n_parts, n_parts


def vocabulary_in_words(model: Model) -> str:
    """The words that can come out of a model's graph, for a person."""
    n_words, n_parts = words_of_graph(model)
    return many(n_words, "word") + (f", and new ones of {n_parts} parts" if n_parts else "")


def _card(made: Model, kind: str, card: str) -> str:
    """README.md of a model with another graph: that of the model before is quoted, for its data and licence."""
    quoted = "\n".join(f"> {line}".rstrip() for line in card.splitlines())
    return (
        f"# A recogniser of {vocabulary_in_words(made)}\n\n"
        f"Made by `asr graph` from the model whose card is quoted below, with another grammar: {kind}. Nothing was "
        "trained anew. How many errors it makes with these words was not measured; scales are still those that were "
        "tuned with the other words.\n\n"
        f"The card of the model before, whose words and error rates are not those of this one:\n\n{quoted}\n"
    )


def listed_words(path: str | os.PathLike) -> list[str]:
    """The words of a file, separated by white space, each once.

    Raises:
        LanguageModelError: where there are none.
    """
    return list(dict.fromkeys(word for line in read_sentences(path) for word in line))
