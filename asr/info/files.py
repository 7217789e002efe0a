"""Facts of recordings, feature files, lexica, symbol tables and language models."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import AsrError, CorpusError, LexiconError
from .facts import KINDS, Facts

_BLOCK = 1 << 20  # samples at once
_SHOWN = 10  # problems or names that are listed


def audio_facts(path: Path) -> Facts:
    """Facts of a recording. Raises AsrError for a file that is none, naming what is known here."""
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


def feature_facts(path: Path) -> Facts:
    """Facts of a feature matrix or of an archive of them. Raises AsrError for what is neither."""
    from ..features.archive import read_matrix

    head: Facts = {"what": "features", "where": str(path)}
    if path.suffix.lower() == ".npy":
        matrix = read_matrix(str(path))
        return {**head, "frames": len(matrix), "dim": matrix.shape[1], "bytes": path.stat().st_size, **_values(matrix)}
    if path.suffix.lower() == ".npz":
        from ..features.table import FeatureTable

        table = FeatureTable.load(path)
        return {**head, **_archive({name: len(table[name]) for name in table}, table.dim), **_values(table.frames)}
    if path.suffix.lower() == ".ark":
        path = path.with_suffix(".scp")
        if not path.is_file():
            raise CorpusError(f"{head['where']}: an archive is read by its list, and there is no {path}")
    lengths: dict[str, int] = {}
    problems: list[str] = []
    dims: Counter[int] = Counter()
    for name, result in _entries(path):
        if isinstance(result, str):
            problems.append(result)
        else:
            lengths[name] = len(result)
            dims[result.shape[1]] += 1
    if not lengths:
        raise CorpusError("; ".join(problems[:1]) or f"{path}: lists nothing")
    facts = {**head, **_archive(lengths, max(dims, key=lambda dim: dims[dim]))}
    if len(dims) > 1:
        problems.append("dimensions differ: " + ", ".join(f"{n} of {dim}" for dim, n in sorted(dims.items())))
    return {**facts, "problems": len(problems), "first_problems": problems[:_SHOWN]}


def _entries(path: Path) -> Iterator[tuple[str, np.ndarray | str]]:
    """Each id of a list with its matrix, or with what is wrong."""
    from ..features.archive import read_matrix, scp_entries

    for where, name, place in scp_entries(path):
        if isinstance(place, CorpusError):
            yield name, str(place)
            continue
        try:
            yield name, read_matrix(place)
        except CorpusError as error:
            yield name, f"{where}: {error}"


def _archive(lengths: dict[str, int], dim: int) -> Facts:
    frames = sorted(lengths.values())
    return {
        "utterances": len(lengths),
        "frames": sum(frames),
        "dim": dim,
        "hours_at_10_ms": round(sum(frames) / 360000, 3),
        "frames_min_median_max": f"{frames[0]} {frames[len(frames) // 2]} {frames[-1]}" if frames else "none",
        "first_ids": " ".join(list(lengths)[:3]),
    }


def _values(matrix: np.ndarray) -> Facts:
    if matrix.size == 0:
        return {}
    return {
        "least": round(float(matrix.min()), 4),
        "greatest": round(float(matrix.max()), 4),
        "mean_of_each_value": " ".join(f"{v:.3g}" for v in matrix.mean(axis=0, dtype=np.float64)[:40]),
    }


def text_facts(path: Path, of_corpus: Mapping[str, Any] = MappingProxyType({})) -> Facts:
    """Facts of a text file: a corpus in one .tsv, a symbol table, or a lexicon.

    of_corpus: what `corpus_facts` is told about a corpus.

    Raises AsrError for another, with what speaks against each.
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
        return lexicon_facts(path)


def _first_line(path: Path) -> str:
    """The first line that is not empty; an empty one where there is none."""
    from ..files import numbered_lines

    return next((line for _, line in numbered_lines(path) if line), "")


def _begins_as_lexicon(path: Path) -> bool:
    return _first_line(path).startswith(";;") or path.stem.lower().startswith("lexicon")


def lexicon_facts(path: Path) -> Facts:
    """Facts of a lexicon. Raises LexiconError with what is wrong in it."""
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
    """Facts of a language model in an ARPA file. Raises LanguageModelError for a damaged one."""
    from ..lm.arpa import read_arpa

    model = read_arpa(path)
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
