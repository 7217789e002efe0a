"""PrefixSearch against flashlight-text's LexiconFreeDecoder with KenLM: speed, and agreement, at equal settings.

`python tests/benchmarks/bench_prefix.py [--reps 5] [--utterances 100]`: CPU seconds (neither uses a second thread), the
two in turn, medians. Both get the same float32 log probabilities, the same 5-gram model by way of an ARPA file, beam
of 50, 20 nats, and weight; flashlight adds the paths' probabilities, as we do (log_add). Its count of tokens a frame
includes the blank, ours does not; its beam counts a prefix that ends in a blank and the same in a token twice.

No recordings: utterances of 300 frames are drawn from a made-up language of 2,000 words of 40 sounds, and written as
CTC networks write, blank but for short spikes, some of them confused with a few other sounds.

2026-11, flashlight-text 0.0.7, an AMD EPYC with other work on it, 43 + 1,633 + 20,554 + 61,147 + 97,489 n-grams; share
of spikes confused, columns looked at in a frame, frames a second, tokens wrong, utterances on which both say the same:

|          | ours    | flashlight | ratio (3 runs)   | wrong, ours | wrong, flashlight | same |
|----------|---------|------------|------------------|-------------|-------------------|------|
| 25 %, 41 | 129,251 | 3,805      | 34.0 (31.5-38.7) | 6.99 %      | 7.03 %            | 94 % |
| 25 %, 10 | 125,604 | 6,091      | 20.6 (20.4-21.5) | 6.99 %      | 7.03 %            | 94 % |
| 75 %, 41 | 122,095 | 2,916      | 41.9 (41.2-44.9) | 18.68 %     | 18.51 %           | 87 % |
| 75 %, 10 | 131,272 | 5,456      | 24.1 (23.3-28.3) | 18.68 %     | 18.51 %           | 87 % |

Where they differ, one or the other has dropped the better string on the way. Scored exactly, each had the better one
11 times in another hundred utterances at 75 %.
"""

import argparse
import math
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.ctc.prefix import PrefixOptions, PrefixSearch
from asr.lm import NgramModel, read_arpa, train, write_arpa

N_TOKENS, N_FRAMES, ORDER = 40, 300, 5
BEAM_SIZE, BEAM, WEIGHT = 50, 20.0, 0.6
NAMES = [f"t{k}" for k in range(1, N_TOKENS + 1)]
# Share of the spikes that are confused, and columns of a frame that are looked at, the blank among them for the peer.
LOADS = ((0.25, N_TOKENS + 1), (0.25, 10), (0.75, N_TOKENS + 1), (0.75, 10))

HEAD = "confused, width ours frames/s       theirs  ratio (spread)         wrong: ours, theirs  same    our score above"


class Language:
    """Sentences of made-up words: sounds and words are as unevenly frequent as in speech."""

    def __init__(self, rng: np.random.Generator, n_words: int = 2000) -> None:
        sounds = 1.0 / np.arange(3, N_TOKENS + 3)
        lengths = rng.integers(2, 8, n_words)
        self.words = [rng.choice(N_TOKENS, length, p=sounds / sounds.sum()) + 1 for length in lengths]
        chances = 1.0 / np.arange(2, n_words + 2)
        self.chances, self.rng = chances / chances.sum(), rng

    def sentence(self, n_tokens: int) -> np.ndarray:
        """About so many columns, whole words."""
        parts, length = [], 0
        while length < n_tokens:
            parts.append(self.words[self.rng.choice(len(self.words), p=self.chances)])
            length += len(parts[-1])
        return np.concatenate(parts)


def posteriors(rng: np.random.Generator, tokens: np.ndarray, confused: float) -> np.ndarray:
    """float32 (N_FRAMES, 1 + N_TOKENS): blanks at 0.9 to 0.9999, and a spike of one to three frames for each token.

    confused: share of the spikes that four other tokens share, which are the same for each token every time.
    """
    rivals = np.random.default_rng(1).integers(1, N_TOKENS + 1, (N_TOKENS + 1, 4))
    logits = rng.normal(-9.0, 1.5, (N_FRAMES, N_TOKENS + 1))
    logits[:, 0] = rng.uniform(-2.0, 5.0, N_FRAMES)
    edges = np.linspace(0, N_FRAMES, len(tokens) + 1).astype(int)
    for token, begin, end in zip(tokens, edges[:-1], edges[1:], strict=True):
        width = int(rng.integers(1, min(3, end - begin - 1) + 1))
        first = int(rng.integers(begin, end - width))
        spike = slice(first, first + width)
        logits[spike, 0] = rng.normal(0.0, 1.5)
        logits[spike, token] = rng.normal(3.0, 1.0)
        if rng.random() < confused:
            logits[spike, rivals[token]] = rng.normal(1.5, 1.5, 4)
    logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return logits.astype(np.float32)


class Flashlight:
    """The peer, with the language model from an ARPA file."""

    def __init__(self, arpa: Path, count: int) -> None:
        from flashlight.lib.text.decoder import CriterionType, LexiconFreeDecoder, LexiconFreeDecoderOptions
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary

        # KenLM's logarithms are to base 10.
        options = LexiconFreeDecoderOptions(
            BEAM_SIZE, count, BEAM, WEIGHT * math.log(10.0), 0.0, True, CriterionType.CTC
        )
        self.lm = KenLM(str(arpa), Dictionary(["<blank>", *NAMES]))
        self.decoder = LexiconFreeDecoder(options, self.lm, -1, 0, [])

    def search(self, log_probs: np.ndarray) -> tuple[list[int], float]:
        """Columns and score of the best hypothesis."""
        self.decoder.decode_begin()
        self.decoder.decode_step(log_probs.ctypes.data, *log_probs.shape)
        self.decoder.decode_end()
        found = self.decoder.get_best_hypothesis(0)
        path = np.array(found.tokens[1:-1])  # one token a frame, between those of the start and the end
        changes = np.concatenate(([True], path[1:] != path[:-1]))
        return path[changes & (path > 0)].tolist(), found.score


class Ours:
    """PrefixSearch with the same interface."""

    def __init__(self, lm: NgramModel, count: int) -> None:
        options = PrefixOptions(BEAM_SIZE, BEAM, tokens_per_frame=min(count, N_TOKENS), lm_weight=WEIGHT)
        self.engine = PrefixSearch(NAMES, lm, options)

    def search(self, log_probs: np.ndarray) -> tuple[list[int], float]:
        """Columns and score of the best hypothesis."""
        found = self.engine.search(log_probs)[0]
        return found.tokens.tolist(), found.score


def timed(engine, utterances):
    begin = time.process_time()
    found = [engine.search(log_probs) for log_probs in utterances]
    return time.process_time() - begin, found


def compare(ours, theirs, utterances, truths, reps, label):
    timed(ours, utterances[:2]), timed(theirs, utterances[:2])
    runs = []
    for rep in range(reps):
        engines = (ours, theirs) if rep % 2 else (theirs, ours)
        seconds = {engine: timed(engine, utterances) for engine in engines}
        runs.append((seconds[ours], seconds[theirs]))
    medians = [statistics.median(run[side][0] for run in runs) for side in (0, 1)]
    ratios = [run[1][0] / run[0][0] for run in runs]
    n_frames = sum(map(len, utterances))
    found = [run[1] for run in runs[0]]
    n_tokens = sum(map(len, truths))
    rates = [
        100 * sum(Levenshtein.distance(h, t.tolist()) for (h, _), t in zip(side, truths, strict=True)) / n_tokens
        for side in found
    ]
    same = [a[0] == b[0] for a, b in zip(*found, strict=True)]
    gains = np.array([a[1] - b[1] for a, b in zip(*found, strict=True)])
    print(
        f"{label:<16}{n_frames / medians[0]:12,.0f} {n_frames / medians[1]:12,.0f}"
        f"  {medians[1] / medians[0]:6.2f} ({min(ratios):.2f}-{max(ratios):.2f})  {rates[0]:6.2f} % {rates[1]:6.2f} %"
        f"  {100 * np.mean(same):5.0f} %   {gains.min():+.1e} to {gains.max():+.1e}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--utterances", type=int, default=100)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    language = Language(rng)
    texts = [[NAMES[k - 1] for k in language.sentence(50)] for _ in range(5000)]
    truths = [language.sentence(50) for _ in range(arguments.utterances)]
    with tempfile.TemporaryDirectory() as folder:
        arpa = Path(folder) / "lm.arpa"
        write_arpa(train(texts, ORDER, words=NAMES), arpa)
        lm = read_arpa(arpa)
        print(f"{len(truths)} utterances of {N_FRAMES} frames; model of {' + '.join(map(str, lm.n_ngrams))} n-grams")
        print(HEAD)
        for confused, count in LOADS:
            rng = np.random.default_rng(2)
            utterances = [posteriors(rng, tokens, confused) for tokens in truths]
            ours, theirs = Ours(lm, count), Flashlight(arpa, count)
            compare(ours, theirs, utterances, truths, arguments.reps, f"{100 * confused:.0f} %, {count}")


if __name__ == "__main__":
    main()
