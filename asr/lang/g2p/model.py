"""Grapheme-to-phoneme conversion by a joint n-gram model: pronunciations for words that no dictionary has."""

import json
import logging
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ... import _version
from ...display.brief import many
from ...errors import LanguageModelError, LexiconError, ModelError
from ...files import kind_of, replacing
from ...files.json_files import read_json
from ...lm import NgramModel, count, estimate, read_arpa, write_arpa
from ...options import known_names
from ..entries import Entry, nfc, shortened
from ..letters import word_counts
from ..lexicon import Lexicon
from .graphones import CHUNKS, Graphone, cut_lexicon, letters_of
from .search import BEAM, Pronunciation, Search, posteriors

_log = logging.getLogger(__name__)

ORDER = 7
_SETTINGS, _ARPA = "g2p.json", "graphones.arpa.gz"
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class G2p:
    """A model of the pronunciations of spellings.

    Attributes:
        model: n-gram model whose words are the names of graphones.
        settings: how it was made, as `save` writes them down.
    """

    model: NgramModel
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<G2p: {many(len(self.letters), 'letter')}, {repr(self.model)[1:-1]}>"

    @cached_property
    def _search(self) -> Search:
        return Search(self.model, _graphones(self.model))

    @property
    def letters(self) -> frozenset[str]:
        """The letters that the model knows."""
        return self._search.letters

    def pronounce(self, word: str, *, n_best: int = 1, beam: float = BEAM) -> list[Pronunciation]:
        """The likeliest pronunciations of a word, best first.

        Letters count without case. An accent that the model does not know is left out, and so is punctuation.

        Args:
            n_best: how many; fewer where there are no more in the beam.
            beam: nats; cuts that are so much less likely than the best so far are given up. More finds more, slower.

        Returns:
            an empty list for a word that has no letters, or whose letters no graphones fit.

        Raises:
            LexiconError: for a letter that the model does not know, and for impossible settings.
        """
        if n_best < 1 or not beam > 0:
            raise LexiconError(f"n_best={n_best}, beam={beam}; need 1 or more, and a number above 0")
        known: list[str] = []
        for letter in letters_of(word):
            if (readable := self._readable(letter)) is None:
                raise LexiconError(f"word {word!r}: the G2P model does not know the letter {letter!r}")
            known += readable
        return self._search.best(known, n_best, beam)

    def _readable(self, letter: str) -> list[str] | None:
        """A letter as the model knows it: itself, without accents, or nothing if it is punctuation."""
        plain = {"\u2019": "'"}.get(letter, letter)
        for form in (plain, unicodedata.normalize("NFD", plain)[0]):
            if form in self.letters:
                return [form]
        return [] if unicodedata.category(letter[0])[0] in "PC" else None

    def entries(
        self, words: Iterable[str] | Mapping[str, int], *, n_best: int = 1, beam: float = BEAM
    ) -> tuple[list[Entry], dict[str, str]]:
        """Entries of a lexicon for some words, and the words without any, each with the reason.

        Args:
            words: may come more than once, or with their counts; the most frequent comes first.
            n_best: pronunciations of each; their probabilities are relative to the likeliest.
        """
        entries, unsaid = [], {}
        for word in word_counts(words):
            try:
                pronunciations = self.pronounce(word, n_best=n_best, beam=beam)
            except LexiconError as error:
                unsaid[word] = str(error).partition(": ")[2] or str(error)
                continue
            if not pronunciations:
                unsaid[word] = "no letters, or none that the G2P model can join"
            weights = posteriors(pronunciations) if pronunciations else []
            entries += [Entry(word, p.phones, weight) for p, weight in zip(pronunciations, weights, strict=True)]
        return entries, unsaid

    @known_names
    def lexicon(
        self,
        words: Iterable[str] | Mapping[str, int],
        *,
        n_best: int = 1,
        beam: float = BEAM,
        silence_phone: str = "SIL",
        silence_prob: float = 0.5,
        oov: str = "error",
        unk: str = "<unk>",
        position_dependent: bool = False,
    ) -> Lexicon:
        """The lexicon of some words.

        Raises:
            LexiconError: listing those without a pronunciation; see `entries`.

        silence_phone and what follows: settings of the `Lexicon`.
        """
        entries, unsaid = self.entries(words, n_best=n_best, beam=beam)
        if unsaid:
            lines = [f"  {word!r}: {reason}" for word, reason in unsaid.items()]
            words_have = many(len(unsaid), "word has", "words have")
            raise LexiconError(f"{words_have} no pronunciation:\n{shortened(lines, len(lines))}")
        return Lexicon(
            tuple(entries),
            silence_phone=silence_phone,
            silence_prob=silence_prob,
            oov=oov,
            unk=unk,
            position_dependent=position_dependent,
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write the model as a folder of two text files, whole or not at all: g2p.json, and an ARPA file."""
        with replacing(path, mark=_SETTINGS) as temporary:
            temporary.mkdir()
            text = json.dumps({"format": _FORMAT, **self.settings}, indent=2, ensure_ascii=False)
            (temporary / _SETTINGS).write_text(text + "\n", encoding="utf-8", newline="\n")
            write_arpa(self.model, temporary / _ARPA)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "G2p":
        """Read a model.

        Raises:
            ModelError: for a folder that is none, or that is damaged.
        """
        folder = Path(path)
        if not is_g2p(folder):
            raise ModelError(
                f"{path}: not a G2P model: no file {_SETTINGS}; make one with: asr g2p train LEXICON {path}"
            )
        settings = read_json(folder / _SETTINGS, error=ModelError)
        if (form := settings.pop("format", None)) != _FORMAT:
            raise ModelError(f"{folder / _SETTINGS}: format {form!r}; this version reads {_FORMAT}")
        try:
            model = cls(read_arpa(folder / _ARPA), settings)
            _graphones(model.model)
        except (LanguageModelError, ValueError) as error:
            raise ModelError(f"{folder / _ARPA}: {error}") from None
        return model


def is_g2p(path: str | os.PathLike) -> bool:
    """Whether a folder holds a model that `G2p.save` wrote."""
    return kind_of(Path(path) / _SETTINGS) == "file"


def train(
    lexicon: Lexicon | Iterable[Entry],
    *,
    order: int = ORDER,
    smoothing: str = "modified-kneser-ney",
    chunks: Sequence[tuple[int, int]] = CHUNKS,
    n_iterations: int = 20,
) -> G2p:
    """The model of a lexicon: its words are cut into graphones, and an n-gram model is estimated from the cuts.

    Args:
        lexicon: with a few hundred words or more; several pronunciations of a word count as much as several words.
        order: graphones in the longest n-grams.
        smoothing: "modified-kneser-ney" or "witten-bell".
        chunks: numbers of letters and phones that a graphone may have.
        n_iterations: of expectation-maximisation, at most, in search of the cuts.

    Raises:
        LexiconError: where nothing can be cut.
        LanguageModelError: for an impossible order or smoothing.

    Same idea as Phonetisaurus and Sequitur.   Ref: Bisani and Ney, 2008; Novak, Minematsu and Hirose, 2016.
    """
    silence = lexicon.silence_phone if isinstance(lexicon, Lexicon) else None
    entries = lexicon.entries if isinstance(lexicon, Lexicon) else tuple(Entry(*entry) for entry in lexicon)
    cuts = cut_lexicon([e for e in entries if e.phones != (silence,)], chunks=chunks, n_iterations=n_iterations)
    names = [graphone.name for graphone in cuts.graphones]
    sequences = [[names[i] for i in sequence.tolist()] for sequence in cuts.sequences]
    # A letter that never stood alone would make words impossible; as a silent one it gets a little probability.
    alone = {g.letters[0] for g in cuts.graphones if len(g.letters) == 1}
    spare = [Graphone((x,), ()).name for g in cuts.graphones for x in g.letters if x not in alone]
    model = estimate(count(sequences, order, vocabulary=[*names, *spare]), smoothing, closed=True)
    settings = {
        "version": _version.__version__,
        "order": model.order,
        "smoothing": smoothing,
        "chunks": [list(chunk) for chunk in chunks],
        "entries": len(cuts.entries),
        "left_out": len(cuts.uncut),
        "graphones": len(names),
        "phones": sorted({phone for g in cuts.graphones for phone in g.phones}),
    }
    _log.info("%d graphones, n-grams %s", len(names), model.n_ngrams)
    return G2p(model, settings)


def _graphones(model: NgramModel) -> list[Graphone | None]:
    """The graphone of each word of a model. Raises ValueError where one is none."""
    return [None] * 3 + [Graphone.named(nfc(name)) for name in model.vocabulary.names[3:]]
