"""The words of a language model and their ids; sentences as one flat array of ids."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..display.brief import many, short
from ..errors import LanguageModelError

UNKNOWN, START, END = "<unk>", "<s>", "</s>"
UNKNOWN_ID, START_ID, END_ID = 0, 1, 2

Sentence = str | Sequence[str]

_BLANK = re.compile(r"[ \t\n\r\f\v]")  # what separates the fields of an ARPA file


@dataclass(frozen=True)
class Vocabulary:
    """Names with ids from 0: `<unk>`, `<s>`, `</s>`, then the words, sorted.

    Names are kept in Unicode's composed form (NFC), as the lexicon keeps them.

    Raises:
        LanguageModelError: for a name that is empty, holds blanks, or is there twice.

    Examples:
        >>> Vocabulary.of(["no", "yes", "no"]).names
        ('<unk>', '<s>', '</s>', 'no', 'yes')
    """

    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Vocabulary: {many(len(self.names), 'name')}, {short(', '.join(self.names[3:8]))}>"

    def __post_init__(self) -> None:
        if not unicodedata.is_normalized("NFC", "\n".join(self.names)):
            object.__setattr__(self, "names", tuple(unicodedata.normalize("NFC", name) for name in self.names))
        if self.names[:3] != (UNKNOWN, START, END):
            raise LanguageModelError(f"a vocabulary starts with {UNKNOWN}, {START}, {END}; found {self.names[:3]}")
        if not all(self.names) or _BLANK.search("".join(self.names)):
            name = next(name for name in self.names if not name or _BLANK.search(name))
            raise LanguageModelError(f"word {name!r}: need one or more characters, none of them a blank")
        if len(self._ids) != len(self.names):
            twice = next(name for i, name in enumerate(self.names) if self._ids[name] != i)
            raise LanguageModelError(f"word {twice!r} is in the vocabulary twice")

    @classmethod
    def of(cls, words: Iterable[str]) -> "Vocabulary":
        """The vocabulary of some words, each of which may come many times; the three reserved names are added."""
        known = set(words)
        if not unicodedata.is_normalized("NFC", "\n".join(known)):
            known = {unicodedata.normalize("NFC", word) for word in known}
        known -= {UNKNOWN, START, END}
        return cls((UNKNOWN, START, END, *sorted(known)))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._ids

    def id(self, name: str) -> int:
        """The id of a word; that of `<unk>` for a word that is not in the vocabulary."""
        return self._ids.get(unicodedata.normalize("NFC", name), UNKNOWN_ID)

    def encode(self, sentences: Iterable[Sentence]) -> np.ndarray:
        """The ids of some sentences, one after the other: `<s>`, the words, `</s>`.

        Args:
            sentences: text with blanks between words, or sequences of words; an empty one counts as a sentence.

        Returns:
            int64 (n_tokens,).

        Raises:
            LanguageModelError: for a sentence that itself holds `<s>` or `</s>`.
        """
        return self.encode_tokens(tokens_of(sentences))

    def encode_tokens(self, tokens: list[str]) -> np.ndarray:
        """The ids of tokens as `tokens_of` returns them. Returns int64 (n_tokens,)."""
        ids = self._ids
        return np.fromiter((ids.get(token, UNKNOWN_ID) for token in tokens), np.int64, len(tokens))


def tokens_of(sentences: Iterable[Sentence]) -> list[str]:
    """The words of all sentences in one list, each sentence between `<s>` and `</s>`.

    Raises:
        LanguageModelError: for a sentence that itself holds one of these.
    """
    tokens: list[str] = []
    for number, sentence in enumerate(sentences, 1):
        text = sentence if isinstance(sentence, str) else " ".join(sentence)
        words = unicodedata.normalize("NFC", text).split()
        if START in words or END in words:
            raise LanguageModelError(
                f"sentence {number}: {text!r} holds {START} or {END}; leave these marks out, they are added"
            )
        tokens.append(START)
        tokens += words
        tokens.append(END)
    return tokens
