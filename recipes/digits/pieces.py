"""Digits inside the sentences of other speakers: found by alignment, and cut out."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from asr.corpus import Corpus, Utterance
from asr.errors import AsrError
from asr.features.pipeline import FeaturePipeline
from asr.lang.dictionary import dictionary_lexicon
from asr.model.model import Model
from asr.train.data import Data
from asr.train.ladder import train_ladder
from asr.train.stage import Sizes

from .copies import read, write_wav

EDGE = 0.01  # s kept on either side of a piece
SHORTEST = 0.12  # s of a word; a shorter one was not found where it is


def train_cutter(sentences: Corpus, rate: int, seed: int, n_jobs: int, progress: Callable[[int, int], None]) -> Model:
    """A step: monophones of the sentences with the CMU dictionary; those with other words are left out."""
    words = {u.id: plain(u.text or "") for u in sentences}
    lexicon, oov = dictionary_lexicon(w for text in words.values() for w in text.split())
    known = [replace(u, text=words[u.id]) for u in sentences if words[u.id] and not set(words[u.id].split()) & set(oov)]
    front_end = {"kind": "mfcc", "options": {"use_energy": False}}
    pipeline = FeaturePipeline(rate, (front_end, {"kind": "cmvn", "mode": "utterance"}))
    stages = train_ladder(
        Data.of(known, pipeline, n_jobs=n_jobs, allow_silence=True), lexicon, ["mono"], pipeline=pipeline,
        sizes=Sizes(), seed=seed, n_jobs=n_jobs, progress=lambda _, done, total: progress(done, total),
    )  # fmt: skip
    return stages["mono"].model


def cut_digits(
    sentences: Corpus, cutter: Model, words: Sequence[str], folder: Path, progress: Callable[[int, int], None]
) -> Corpus:
    """A step: every row of digits in the sentences.

    A sentence that is nothing but digits is one piece, as it is. Those that cannot be aligned are left out.
    """
    found = []
    for done, utterance in enumerate(sentences, start=1):
        text = plain(utterance.text or "")
        if set(text.split()) & set(words) and not cutter.lexicon.oov_words([text]):
            samples = read(utterance, cutter.sample_rate)
            for number, (piece, said) in enumerate(_pieces(cutter, samples, text, set(words))):
                path = folder / f"{utterance.id}-{number}.wav"
                write_wav(path, piece, cutter.sample_rate)
                found.append(Utterance(path.stem, utterance.speaker, path, said))
        progress(done, len(sentences))
    return Corpus(found)


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
