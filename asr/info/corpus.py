"""Facts of a corpus of any kind."""

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .. import audio
from ..corpus.utterance import Problem
from ..display.brief import many
from ..errors import AudioError, CorpusError
from .facts import Facts

if TYPE_CHECKING:
    from ..corpus import Corpus, Utterance

_SHOWN = 20  # problems, speakers, words that are listed
_GIVEN_SHIFT = 0.01  # s, taken for the frame shift of features that say none


def corpus_facts(
    path: Path,
    *,
    channel: "int | Literal['each'] | None" = None,
    allow_commands: str | os.PathLike | None = None,
    all_problems: bool = False,
    **settings: str,
) -> Facts:
    """Facts of a corpus: how much speech of whom, which words and letters, what is wrong with it.

    Only headers of recordings are read. Transcripts may be missing altogether.

    Args:
        channel: see Corpus.read.
        allow_commands: see Corpus.read.
        all_problems: list each, instead of a line for each kind.
        **settings: `speaker`, `text_suffix` and `tier` of Corpus.from_folder, for a folder of recordings.

    Raises:
        CorpusError: where nothing in it can be used.
    """
    from ..corpus import Corpus
    from ..corpus.problems import in_lines

    read: Callable[..., Corpus] = partial(Corpus.read, channel=channel, allow_commands=allow_commands)
    if settings:
        read = partial(Corpus.from_folder, channel=channel, **settings)  # type: ignore[arg-type]
    corpus, problems = _with_or_without_text(read, path, settings.get("text_suffix", ".txt"))
    seconds, rates = _durations(corpus, problems)
    usable = sorted(seconds.values())
    facts: Facts = {
        "what": "corpus",
        "where": str(path),
        "utterances": len(corpus),
        "hours": round(sum(usable) / 3600, 4),
        "speakers": len(corpus.speakers),
        "seconds_min_median_max": " ".join(f"{usable[i]:.2f}" for i in (0, len(usable) // 2, -1)) if usable else None,
        "sample_rates": ", ".join(f"{rate} Hz ({many(n, 'file')})" for rate, n in rates.most_common()) or "no audio",
        "with_features": sum(u.features is not None for u in corpus),
        "problems": len(problems),
        "transcripts": _texts(corpus),
        "who_speaks": _who_speaks(corpus),
        # Where nothing tells who speaks, each utterance is a speaker of its own, and a table of them says nothing.
        "of_speakers": _speakers(corpus, seconds) if len(corpus.speakers) < len(corpus) else [],
        "first_problems": [str(problem) for problem in problems] if all_problems else list(in_lines(problems))[:_SHOWN],
    }
    return facts


def _with_or_without_text(read: "Callable[..., Corpus]", path: Path, suffix: str) -> tuple["Corpus", list[Problem]]:
    """A corpus and its problems; where no transcript can be used, all of its utterances, and what is wrong with each.

    Args:
        suffix: of the files of transcripts, for a folder of recordings.
    """
    from ..corpus.folder import other_transcripts
    from ..files import kind_of

    try:
        corpus = read(path)
        return corpus, list(corpus.problems)
    except CorpusError as error:
        corpus = read(path, need_text=False)  # where that fails too, it is not for want of transcripts
        problems = list(corpus.problems)
        if kind_of(path) == "folder":
            problems += [p for p in error.problems if p not in problems and p.where.lower().endswith(suffix.lower())]
            problems += [Problem(str(path), line) for line in other_transcripts(path, suffix)]
        return corpus, problems


def _who_speaks(corpus: "Corpus") -> str | None:
    """How --speaker may find out, where nothing else tells."""
    from ..corpus.hints import speaker_hint

    paths = [u.audio for u in corpus if u.audio is not None]
    return speaker_hint(paths) if len(corpus.speakers) == len(corpus) == len(paths) else None


def _durations(corpus: "Corpus", problems: list[Problem]) -> tuple[dict[str, float], Counter[int]]:
    """Seconds of each utterance, and how many files have which rate; files that cannot be opened become problems."""
    lengths: dict[Path, float | None] = {}
    rates: Counter[int] = Counter()
    seconds: dict[str, float] = {}
    for utterance in corpus:
        path = utterance.audio
        if path is None:
            seconds[utterance.id] = _of_features(utterance, problems)
            continue
        if path not in lengths:
            lengths[path] = None
            try:
                header = audio.describe(path)
                lengths[path] = header.duration_seconds
                rates[header.rate] += 1
            except AudioError as error:
                reason = " ".join(str(error).removeprefix(f"{path}: ").split())
                problems.append(Problem(str(path), f"cannot be opened ({reason})"))
        whole = lengths[path]
        if whole is not None:
            end = whole if utterance.end is None else min(utterance.end, whole)
            seconds[utterance.id] = max(0.0, end - (utterance.start or 0.0))
    return seconds, rates


def _of_features(utterance: "Utterance", problems: list[Problem]) -> float:
    """The seconds of an utterance that has features alone."""
    from ..features.archive import read_matrix

    if utterance.features is None:
        return 0.0
    try:
        return len(read_matrix(utterance.features)) * _GIVEN_SHIFT
    except CorpusError as error:
        where, _, what = str(error).partition(": ")
        problems.append(Problem(where, what))
        return 0.0


def _texts(corpus: "Corpus") -> Facts:
    """Words, how often, and the characters they are written with."""
    from ..recipe.own_text import found_in

    texts = corpus.transcripts()
    words = Counter(word for text in texts.values() for word in text.split())
    if not words:
        return {"utterances_with_text": len(texts)}
    letters = Counter("".join(words.elements()))
    frequent = " ".join(f"{word}:{n}" for word, n in words.most_common(_SHOWN))
    return {
        "utterances_with_text": len(texts),
        "words": sum(words.values()),
        "different_words": len(words),
        "words_said_once": sum(n == 1 for n in words.values()),
        "most_frequent": frequent,
        "different_characters": len(letters),
        "characters": " ".join(f"{letter}:{n}" for letter, n in sorted(letters.items())),
        "as_asr_train_reads_them": found_in(texts.values()),
    }


def _speakers(corpus: "Corpus", seconds: dict[str, float]) -> list[Facts]:
    """A line a speaker, who speaks most first; the rest of many speakers in one line."""
    count: Counter[str] = Counter()
    time: Counter[str] = Counter()
    for utterance in corpus:
        count[utterance.speaker] += 1
        time[utterance.speaker] += seconds.get(utterance.id, 0.0)  # type: ignore[assignment]
    order = sorted(count, key=lambda speaker: (-time[speaker], speaker))
    rows = [{"speaker": s, "utterances": count[s], "minutes": round(time[s] / 60, 2)} for s in order[:_SHOWN]]
    if rest := order[_SHOWN:]:
        n, minutes = sum(count[s] for s in rest), round(sum(time[s] for s in rest) / 60, 2)
        rows.append({"speaker": f"{len(rest)} others", "utterances": n, "minutes": minutes})
    return rows
