"""Other words for a trained model: its lexicon and decoding graph are made anew, its acoustic model stays."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from .errors import GraphError, LexiconError
from .graph.grammar import arpa_grammar, word_loop
from .lang.entries import Entry, nfc
from .lang.lexicon import Lexicon
from .lang.sources import build_lexicon
from .lm.model import NgramModel
from .lm.text import read_sentences
from .model import Model
from .training import has_pynini, with_graph

_NAMED = 3  # the first names of a language model's vocabulary stand for no words


def with_language_model(
    model: Model, lm: NgramModel, sources: Sequence[str] = (), **compiling: Any
) -> tuple[Model, list[str]]:
    """The model with a graph of a language model's words, and the words that are left out.

    sources: of pronunciations for words that the model's lexicon lacks, see build_lexicon; none: they are left out,
        as are those with phones that the acoustic model does not have.
    compiling: max_states, told: see `compile_hclg`.
    Raises GraphError without pynini, where no word is left, or the graph has too many states.
    """
    need_pynini()
    lexicon, lost = extended(model.lexicon, lm.vocabulary.names[_NAMED:], sources)
    return with_graph(replace(model, lexicon=lexicon), arpa_grammar(lm, lexicon), **compiling), lost


def with_words(
    model: Model, words: Iterable[str], sources: Sequence[str] = (), **compiling: Any
) -> tuple[Model, list[str]]:
    """The model with a graph in which any of some words may follow any, and the words that are left out.

    sources, compiling, errors: as of `with_language_model`.
    """
    need_pynini()
    wanted = list(dict.fromkeys(map(nfc, words)))
    lexicon, lost = extended(model.lexicon, wanted, sources)
    left = [word for word in wanted if word in lexicon]
    if not left:
        raise GraphError(f"none of the {len(wanted)} words has a pronunciation in the model; give --lexicon for them")
    return with_graph(replace(model, lexicon=lexicon), word_loop(lexicon, left), **compiling), lost


def extended(lexicon: Lexicon, words: Iterable[str], sources: Sequence[str]) -> tuple[Lexicon, list[str]]:
    """The lexicon with more words of the same phones, and the words that it still lacks.

    Phones keep their ids, so trees and transitions of the old lexicon are those of the new one.
    """
    new = [word for word in dict.fromkeys(map(nfc, words)) if word not in lexicon]
    found: list[Entry] = []
    if new and sources:
        known = {phone for entry in lexicon.entries for phone in entry.phones}
        try:
            built = build_lexicon([" ".join(new)], list(sources)).lexicon
        except LexiconError as error:
            if "no source has any" not in str(error):
                raise
            return lexicon, new
        found = [e for e in built.entries if e.word not in lexicon and known.issuperset(e.phones)]
    there = {entry.word for entry in found}
    longer = replace(lexicon, entries=(*lexicon.entries, *found)) if found else lexicon
    return longer, [word for word in new if word not in there]


def listed_words(path: str | os.PathLike) -> list[str]:
    """The words of a file, separated by white space, each once. Raises LanguageModelError where there are none."""
    return list(dict.fromkeys(word for line in read_sentences(path) for word in line))


def need_pynini() -> None:
    """Raise GraphError without pynini."""
    if not has_pynini():
        raise GraphError(
            "a decoding graph is built with pynini, which is not installed (pip install pynini; it has wheels for "
            "Linux x86-64 alone); build it where pynini is, and copy the model"
        )
