"""Text for language models, from files: a sentence a line, plain or compressed, as words, letters or phones."""

import os
import unicodedata
from collections.abc import Iterable

from ..display.brief import many
from ..errors import LanguageModelError, did_you_mean
from ..files import as_utf8
from ..files.texts import text_bytes
from .units import Pronounces, letters, phones
from .vocabulary import END, START

UNITS = ("words", "letters", "phones")

_SHOWN = 10  # words without pronunciation that a message lists


def unpacked(path: str | os.PathLike) -> bytes:
    """The bytes of a text file as UTF-8, of what was compressed if it is a gzip file.

    Raises:
        LanguageModelError: if it is damaged, or holds more than there may be (see asr.files.texts).
    """
    return as_utf8(text_bytes(path, error=LanguageModelError))


def read_sentences(
    path: str | os.PathLike, *, units: str = "words", lexicon: Pronounces | None = None, has_ids: bool = False
) -> list[list[str]]:
    """The sentences of a text file, one a line, UTF-8; empty lines are passed over.

    A line may be enclosed in `<s>` and `</s>`.

    Args:
        units: "words", "letters" (each with its accents, "|" for the blanks), or "phones" (needs a lexicon).
        lexicon: for phones: pronunciations of the words.
        has_ids: whether the first word of each line is an utterance id, as in Kaldi's `text`; it is left out, and a
            line with nothing else is an empty sentence.

    Raises:
        LanguageModelError: with file:line for a line that is not UTF-8 or holds `<s>` or `</s>` inside, for a file
            without sentences, and for words without pronunciation.
    """
    if units not in UNITS:
        raise LanguageModelError(f"units={units!r}; need one of {', '.join(UNITS)}{did_you_mean(units, UNITS)}")
    if units == "phones" and lexicon is None:
        raise LanguageModelError("units='phones' needs a lexicon: how the words of the text are said")
    sentences = []
    for number, line in enumerate(unpacked(path).split(b"\n"), 1):
        try:
            words = unicodedata.normalize("NFC", line.decode("utf-8")).split()
        except UnicodeDecodeError:
            raise LanguageModelError(f"{path}:{number}: not UTF-8 text") from None
        if not words:
            continue
        words = words[has_ids:]
        words = words[words[:1] == [START] :]
        words = words[: len(words) - (words[-1:] == [END])]
        if START in words or END in words:
            raise LanguageModelError(f"{path}:{number}: holds {START} or {END} inside; give one sentence a line")
        sentences.append(words)
    if not sentences:
        raise LanguageModelError(f"{path}: holds no text")
    if units == "words":
        return sentences
    if lexicon is None:
        return [letters(" ".join(words)) for words in sentences]
    _check_pronounced(path, sentences, lexicon)
    return [phones(" ".join(words), lexicon) for words in sentences]


def _check_pronounced(path, sentences: Iterable[list[str]], lexicon: Pronounces) -> None:
    """Raise LanguageModelError listing the words that have no pronunciation."""
    unknown = lexicon.oov_words(map(" ".join, sentences))
    if unknown:
        listed = ", ".join(f"{word!r} ({count} times)" for word, count in list(unknown.items())[:_SHOWN])
        more = ", ..." if len(unknown) > _SHOWN else ""
        raise LanguageModelError(
            f"{path}: {many(len(unknown), 'word has', 'words have')} no pronunciation: {listed}{more}; add them to "
            "the lexicon"
        )
