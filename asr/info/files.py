"""Facts of recordings, feature files, lexica, symbol tables and language models."""

import contextlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import AsrError, LexiconError
from .facts import KINDS, Facts

_BLOCK = 1 << 20  # samples at once
_PHONE = 2.5  # letters of a phone's name on average, at most; words of speech have more
_SHOWN = 10  # problems or names that are listed


def audio_facts(path: Path) -> Facts:
    """Facts of a recording.

    Raises:
        AsrError: for a file that is none, naming what is known here.
    """
    from .. import audio
    from ..corpus.lists import AUDIO_SUFFIXES

    try:
        samples, rate = audio.read(path)
        header = audio.describe(path)
    except AsrError:
        if path.suffix.lower() in AUDIO_SUFFIXES:
            raise
        raise AsrError(f"{path}: of no kind that is known here; need {KINDS}") from None
    peak = max(float(samples.max()), -float(samples.min()))
    blocks = (samples[i : i + _BLOCK] for i in range(0, len(samples), _BLOCK))  # an hour in float64 is half a GB
    level = float(np.sqrt(sum(np.square(block, dtype=np.float64).sum() for block in blocks) / len(samples)))
    return {
        "what": "recording",
        "where": str(path),
        "seconds": round(len(samples) / rate, 4),
        "sample_rate": rate,
        "channels": header.n_channels,
        "samples": len(samples),
        "format": header.format,
        "peak_dbfs": _decibel(peak),
        "level_dbfs": _decibel(level),
        "offset": round(float(samples.mean()), 6),
        "clipped_samples": int((np.abs(samples) >= 0.9999).sum()),
        "bytes": path.stat().st_size,
    }


def _decibel(value: float) -> float | None:
    """Decibels below full scale; None for nothing at all."""
    return round(20 * float(np.log10(value)), 2) if value > 0 else None


def text_facts(path: Path, of_corpus: Mapping[str, Any] = MappingProxyType({})) -> Facts:
    """Facts of a text file: a corpus in one .tsv, a symbol table, or a lexicon.

    Args:
        of_corpus: what `corpus_facts` is told about a corpus.

    Raises:
        AsrError: for another, with what speaks against each.
    """
    from ..lang.symbols import SymbolTable

    if path.suffix.lower() == ".tsv" and not _begins_as_lexicon(path):
        from .corpus import corpus_facts
        from .own import transcript_facts

        columns = _first_line(path).split("\t")
        if len(columns) == 2 and not {"audio", "features"}.intersection(columns):  # a training's hypotheses
            with contextlib.suppress(AsrError):
                return transcript_facts(path)
        return corpus_facts(path, **of_corpus)
    try:
        table = SymbolTable.load(path)
        names = list(table)
        return {"what": "symbol table", "where": str(path), "symbols": len(names), "first": " ".join(names[:_SHOWN])}
    except AsrError:
        return _word_list_facts(path) or lexicon_facts(path)


def _word_list_facts(path: Path) -> Facts | None:
    """Facts of a file with a word on each line; None for another."""
    from ..files import numbered_lines

    words: dict[str, None] = {}
    for _, line in numbered_lines(path):
        if line is None or len(line.split()) > 1 or not re.match(r"['<\[]?\w", line.strip() or "_"):
            return None
        words |= dict.fromkeys(line.split())
    if not words:
        return None
    return {
        "what": "a list of words, for asr graph --words",
        "where": str(path),
        "words": len(words),
        "first": " ".join(list(words)[:_SHOWN]),
    }


def _first_line(path: Path) -> str:
    """The first line that is not empty; an empty one where there is none."""
    from ..files import numbered_lines

    return next((line for _, line in numbered_lines(path) if line), "")


def _begins_as_lexicon(path: Path) -> bool:
    """Whether a .tsv is a lexicon, not transcripts: by its name, its comments, its header or words with phones."""
    from ..files import numbered_lines
    from ..lang.foreign_lexicon import is_header

    first = _first_line(path)
    if first.startswith(";;") or path.stem.lower().startswith("lexicon") or is_header(first.split()):
        return True
    rows = [line.split("\t") for _, line in numbered_lines(path) if line and line.strip()]
    return all(len(row) == 2 for row in rows) and _are_words_with_phones([(row[0], row[1]) for row in rows])


def _are_words_with_phones(rows: Sequence[tuple[str, str]]) -> bool:
    phones = [phone for _, said in rows for phone in said.split()]
    n_words = sum(word.isalpha() for word, _ in rows)  # ids of utterances have digits or signs
    return 2 * n_words > len(rows) and len(phones) > len(rows) and sum(map(len, phones)) <= _PHONE * len(phones)


def is_lexicon_of_cells(path: Path) -> bool:
    """Whether each line of a .csv is a word, a comma, and phones between blanks."""
    from ..files import numbered_lines

    rows = [line.split(",") for _, line in numbered_lines(path) if line and line.strip()]
    return all(len(row) == 2 for row in rows) and _are_words_with_phones([(row[0], row[1]) for row in rows])


def lexicon_facts(path: Path) -> Facts:
    """Facts of a lexicon.

    Raises:
        LexiconError: with what is wrong in it.
    """
    from ..lang.lexicon import Lexicon, file_format

    try:
        lexicon = Lexicon.load(path)
        form, notes = file_format(path)
    except LexiconError as error:
        raise LexiconError(f"{error}; taken for a lexicon; known are {KINDS}") from None
    phones: Counter[str] = Counter(phone for entry in lexicon.entries for phone in entry.phones)
    lengths = sorted(len(entry.phones) for entry in lexicon.entries)
    said: dict[tuple[str, ...], set[str]] = {}
    for entry in lexicon.entries:
        said.setdefault(tuple(entry.phones), set()).add(entry.word)
    return {
        "what": "lexicon",
        "where": str(path),
        "format": form,
        "words": lexicon.n_words,
        "pronunciations": len(lexicon.entries),
        "phones": lexicon.n_phones,
        "phones_per_word": f"{lengths[0]} to {lengths[-1]}, median {lengths[len(lengths) // 2]}",
        "homophones": sum(len(words) > 1 for words in said.values()),
        "silence": lexicon.silence_phone,
        "silence_probability": lexicon.silence_prob,
        "unknown_words": lexicon.oov,
        "phone_counts": " ".join(f"{phone}:{n}" for phone, n in phones.most_common()),
        "notes": notes,
    }


def language_model_facts(path: Path) -> Facts:
    """Facts of a language model in an ARPA file, or one that opens at once.

    Raises:
        LanguageModelError: for a damaged one.
    """
    from ..lm.formats import read_model

    model = read_model(path)
    counts = model.n_ngrams
    counts[0] -= model.is_closed  # its <unk>, which no file lists
    return {
        "what": "language model",
        "where": str(path),
        "order": model.order,
        "ngrams": " ".join(f"{order}:{n}" for order, n in enumerate(counts, 1)),
        "unknown_words": "impossible" if model.is_closed else "have a probability",
        "bytes": path.stat().st_size,
    }
