"""What a recogniser of continuous speech may say: units of sound, whole words, or words and parts of words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from .. import lm
from ..errors import ConfigError, GraphError
from ..graph.grammar import arpa_grammar
from ..lang.entries import nfc
from ..lang.letters import LetterTable, spelled
from ..lang.lexicon import Lexicon
from ..lang.subwords import JOIN, frequent_words, in_parts, open_model, with_parts
from ..lang.units import unit_lexicon
from ..model.graphs import with_graph
from ..model.model import Model, load
from ..train.data import Data

KINDS = ("units", "words", "open")


@dataclass(frozen=True)
class Grammar:
    """How transcripts become sentences of a language model.

    kind: "units": the units of sound, one after another, without word boundaries. "words": the words of the training
        transcripts. "open": these words, and syllables that new ones are made of.
    order: of the n-grams. fewest: how often a word must come to be whole wherever it comes, for "open": half of the
        model is that of the words, the other half has rarer words in syllables.
    silence_prob: probability of a pause after each unit, word or part of a word.
    vowels: letters that end a syllable, without accents.
    """

    kind: Literal["units", "words", "open"]
    order: int
    silence_prob: float = 0.5
    fewest: int = 1
    vowels: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.order < 1:
            raise ConfigError(f"grammar {self.kind!r} of order {self.order}; need one of {', '.join(KINDS)}, and >= 1")
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

        Raises GraphError where a word of the texts cannot be said with these phones.
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


def make_language_model(folder: Path, texts: Sequence[str], letters: Path, lexicon: Path, grammar: Grammar) -> None:
    """`folder`/lm.arpa.gz and `folder`/lexicon.tsv of a grammar, from the training transcripts; and letters.tsv.

    letters: a letter table. lexicon: that of the acoustic model, for its phones.
    """
    table, trained = LetterTable.load(letters), Lexicon.load(lexicon)
    phones = {phone for entry in trained.entries for phone in entry.phones}
    known = grammar.lexicon(texts, table, phones)
    words = [entry.word for entry in known.entries]
    sentences = grammar.sentences(texts, table)
    if grammar.kind == "open":
        whole = replace(grammar, kind="words").sentences(texts, table)
        model = open_model(whole, sentences, grammar.order, words=words)
    else:
        model = lm.train(sentences, grammar.order, words=words)
    lm.write_arpa(model, folder / "lm.arpa.gz")
    known.save(folder / "lexicon.tsv")
    table.save(folder / "letters.tsv")


def make_graph(folder: Path, rung: Path, language_model: Path, grammar: Grammar) -> None:
    """A trained model with the graph of a grammar, in `folder`/model."""
    model = load(rung / "model")
    lexicon = replace(Lexicon.load(language_model / "lexicon.tsv"), silence_prob=grammar.silence_prob)
    named = list(lexicon.phones)[: lexicon.n_phones + 1]
    if named != list(model.lexicon.phones)[: model.lexicon.n_phones + 1]:
        raise GraphError(f"{language_model}: has not the phones of the model {rung}; make both from the same words")
    arpa = arpa_grammar(lm.read_arpa(language_model / "lm.arpa.gz"), lexicon)
    joiner = JOIN if grammar.kind == "open" else ""
    letters = LetterTable.load(language_model / "letters.tsv")  # by which new words can be aligned
    with_graph(replace(model, lexicon=lexicon, joiner=joiner, letters=letters), arpa).save(folder / "model")


def with_references(data: Data, grammar: Grammar, table: LetterTable) -> Data:
    """The utterances with what their recognition is scored against."""
    return replace(data, transcripts={u: grammar.reference(data.transcripts[u], table) for u in data.raw})


def model_of(folder: Path) -> Model:
    """The model that a stage left."""
    return load(folder / "model")
