"""Digits inside the sentences of other speakers: found by alignment, and cut out."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from asr import audio
from asr.corpus import Utterance
from asr.errors import AsrError
from asr.features.pipeline import FeaturePipeline
from asr.files import write_text
from asr.lang.dictionary import dictionary_lexicon
from asr.model import load
from asr.recipe.copies import write_wav
from asr.train.data import Data
from asr.train.ladder import Sizes, train_ladder

EDGE = 0.01  # s kept on either side of a piece
SHORTEST = 0.12  # s of a word; a shorter one was not found where it is


def train_cutter(
    folder: Path,
    utterances: Sequence[Utterance],
    rate: int,
    seed: int,
    n_jobs: int,
    progress: Callable[[int, int], None],
) -> None:
    """Monophones of the sentences with the CMU dictionary, in `folder`/model; those with other words are left out."""
    words = {u.id: plain(u.text or "") for u in utterances}
    lexicon, oov = dictionary_lexicon(w for text in words.values() for w in text.split())
    known = [u for u in utterances if words[u.id] and not set(words[u.id].split()) & set(oov)]
    front_end = {"kind": "mfcc", "options": {"use_energy": False}}
    pipeline = FeaturePipeline(rate, (front_end, {"kind": "cmvn", "mode": "utterance"}))
    data = replace(Data.of(known, pipeline, n_jobs=n_jobs, allow_silence=True), transcripts=words)
    rungs = train_ladder(
        data, lexicon, ["mono"], pipeline=pipeline, sizes=Sizes(), seed=seed, n_jobs=n_jobs,
        progress=lambda _, done, total: progress(done, total),
    )  # fmt: skip
    rungs["mono"].model.save(folder / "model")


def cut_digits(
    folder: Path,
    utterances: Sequence[Utterance],
    cutter: Path,
    words: Sequence[str],
    progress: Callable[[int, int], None],
) -> None:
    """Every row of digits in the sentences as `folder`/ID.wav, with a table, pieces.tsv, of all.

    A sentence that is nothing but digits is one piece, as it is. Those that cannot be aligned are left out.
    """
    model, rows = load(cutter / "model"), ["id\taudio\tspeaker\ttext"]
    for done, utterance in enumerate(utterances, start=1):
        text = plain(utterance.text or "")
        if set(text.split()) & set(words) and not model.lexicon.oov_words([text]):
            assert utterance.audio is not None  # it was aligned
            samples = audio.read(utterance.audio, model.sample_rate).samples
            for number, (piece, said) in enumerate(_pieces(model, samples, text, set(words))):
                name = f"{utterance.id}-{number}"
                write_wav(folder / f"{name}.wav", piece, model.sample_rate)
                rows.append(f"{name}\t{name}.wav\t{utterance.speaker}\t{said}")
        progress(done, len(utterances))
    write_text(folder / "pieces.tsv", "\n".join(rows) + "\n")


def _pieces(model, samples: np.ndarray, text: str, words: set[str]) -> list[tuple[np.ndarray, str]]:
    """The samples and the words of each row of digits in a sentence."""
    if set(text.split()) <= words:
        return [(samples, text)]
    try:
        aligned = model.align(samples, text, model.sample_rate).words
    except AsrError:
        return []
    rows: list[list] = [[]]
    for word in aligned:
        if word.word in words:
            rows[-1].append(word)
        elif rows[-1]:
            rows.append([])
    found = []
    for row in rows:
        if row and row[-1].end - row[0].start > SHORTEST * len(row):
            begin, end = (int(t * model.sample_rate) for t in (max(0, row[0].start - EDGE), row[-1].end + EDGE))
            found.append((samples[begin:end], " ".join(word.word for word in row)))
    return found


def plain(text: str) -> str:
    """A sentence in small letters without punctuation, as the dictionary spells words."""
    return " ".join(w.strip("'") for w in re.sub(r"[^a-z' ]+", " ", text.lower().replace("\u2019", "'")).split())
