"""What a recogniser of continuous speech may say: units of sound, whole words, or words and parts of words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from .. import lm
from ..errors import ConfigError, GraphError
from ..graph.arpa import arpa_grammar
from ..lang.entries import nfc
from ..lang.letters import LetterTable, letter_lexicon, spelled
from ..lang.lexicon import Lexicon
from ..lang.subwords import JOIN, frequent_words, in_parts, open_model, with_parts
from ..lang.units import unit_lexicon
from ..lm import NgramModel
from ..model.graphs import with_graph
from ..model.model import Model
from ..train.stage import TrainedStage


@dataclass(frozen=True)
class Grammar:
    """How transcripts become sentences of a language model."""

    kind: Literal["units", "words", "open"]  # of sound; of the transcripts; these, and syllables that make new ones
    order: int  # of the n-grams
    silence_prob: float = 0.5  # of a pause after each unit, word or part of a word
    fewest: int = 1  # times that a word must come to be whole in all of an open model, not in half of it
    vowels: str = ""  # letters that end a syllable, without accents

    def __post_init__(self) -> None:
        if self.order < 1:
            raise ConfigError(f"a grammar of order {self.order}; need 1 or more")
        if self.kind == "open" and not self.vowels:
            raise ConfigError("an open grammar needs the vowels, which end syllables")

    def reference(self, text: str, table: LetterTable) -> str:
        """What recognition is scored against: the units of a transcript, or its words."""
        return " ".join(units_of(text, table)) if self.kind == "units" else nfc(text)

    def sentences(self, texts: Sequence[str], table: LetterTable) -> list[str]:
        """The language model's sentences; of an open grammar, those with rare words in syllables."""
        if self.kind != "open":
            return [self.reference(text, table) for text in texts]
        whole = frequent_words(texts, self.fewest)
        return [with_parts(text, whole, self.vowels) for text in texts]

    def lexicon(self, texts: Sequence[str], table: LetterTable, phones: Iterable[str]) -> Lexicon:
        """The lexicon of what may be said; it has all of the phones, whether they are said or not.

        Raises:
            GraphError: where a word of the texts cannot be said with these phones.
        """
        units = sorted(set(phones))
        if self.kind == "units":
            return unit_lexicon(units, silence_prob=self.silence_prob)
        words = {word for text in texts for word in nfc(text).split()}
        tokens: dict[str, str] = {word: word for word in words}
        if self.kind == "open":
            tokens |= {part: part.strip(JOIN) for word in words for part in in_parts(word, self.vowels)}
        said = {entry.word: entry.phones for entry in spelled(sorted(set(tokens.values())), table)[0]}
        entries = [(token, said[spelling]) for token, spelling in sorted(tokens.items()) if spelling in said]
        lexicon = Lexicon(tuple(entries), silence_prob=self.silence_prob)  # type: ignore[arg-type]
        there = sorted({phone for entry in lexicon.entries for phone in entry.phones})
        if there != units:
            unlike = ", ".join(sorted(set(there) ^ set(units)))
            raise GraphError(f"grammar and model have not the same phones: {unlike}")
        return lexicon


def units_of(text: str, table: LetterTable) -> list[str]:
    """The units of a transcript's words, without word boundaries."""
    return [nfc(unit) for word in text.split() for unit in table.spell(word)[0]]


def spelled_lexicon(texts: Sequence[str], letters: Path) -> Lexicon:
    """A step: the words of some texts, said as they are spelled in a letter table."""
    return letter_lexicon([word for text in texts for word in text.split()], LetterTable.load(letters))


def language_model(
    texts: Sequence[str], grammar: Grammar, letters: Path, lexicon: Lexicon
) -> tuple[NgramModel, Lexicon]:
    """A step: the n-gram of a grammar from transcripts, and the lexicon of its words, with the model's phones."""
    table = LetterTable.load(letters)
    known = grammar.lexicon(texts, table, {phone for entry in lexicon.entries for phone in entry.phones})
    words = [entry.word for entry in known.entries]
    sentences = grammar.sentences(texts, table)
    if grammar.kind != "open":
        return lm.train(sentences, grammar.order, words=words), known
    whole = replace(grammar, kind="words").sentences(texts, table)
    return open_model(whole, sentences, grammar.order, words=words), known


def grammar_graph(
    trained: TrainedStage, language: tuple[NgramModel, Lexicon], grammar: Grammar, letters: Path
) -> Model:
    """A step: a trained model with the decoding graph of a grammar's language model."""
    model, lexicon = trained.model, replace(language[1], silence_prob=grammar.silence_prob)
    named = list(lexicon.phones)[: lexicon.n_phones + 1]
    if named != list(model.lexicon.phones)[: model.lexicon.n_phones + 1]:
        raise GraphError("the language model has not the phones of the acoustic model; make both from the same words")
    joiner = JOIN if grammar.kind == "open" else ""
    return ngram_graph(trained, language[0], lexicon, joiner, LetterTable.load(letters))


def ngram_graph(
    trained: TrainedStage, ngram: NgramModel, lexicon: Lexicon, joiner: str, letters: LetterTable | None
) -> Model:
    """A step: a trained model with the decoding graph of an n-gram.

    Args:
        lexicon: the model's own words, and parts of words after them.
        joiner: what begins or ends these parts; "" where there are none.
        letters: how new words are spelled, which are aligned by that.
    """
    model = replace(trained.model, lexicon=lexicon, joiner=joiner, letters=letters)
    return with_graph(model, arpa_grammar(ngram, lexicon))
