"""Language models at their size: seconds and memory of each step, beside plain Python and KenLM.

    python tests/benchmarks/bench_lm.py                          # reading and writing, a made-up model of 4.4 M n-grams
    python tests/benchmarks/bench_lm.py --arpa LM.arpa           # the same with another one
    python tests/benchmarks/bench_lm.py --text words.txt         # a 4-gram of a text, beside plain Python and KenLM
    python tests/benchmarks/bench_lm.py --drawn 100 --text words.txt   # 100 million words drawn from its 4-gram, too

Each figure is of a process of its own; memory is the most that it and its children had at once, by getrusage.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from asr.jit import prepare
from asr.lm import NgramModel, arpa_kernels, binary_kernels, names, read_arpa, trie_kernels, write_arpa
from asr.lm.model import with_back_offs
from asr.lm.trie import Trie
from asr.lm.vocabulary import Vocabulary

N_WORDS = 100_000  # that two programs are compared on


def made_up(n_words: int = 100_000, n_bigrams: int = 700_000, n_trigrams: int = 2_000_000) -> NgramModel:
    """A trigram with random n-grams, some words more frequent than others."""
    rng = np.random.default_rng(0)
    grams = [
        np.unique((n_words * rng.random((n, k)) ** 3).astype(np.int64) + 3, axis=0)
        for k, n in ((2, n_bigrams), (3, n_trigrams))
    ]
    trie, _ = Trie.build(n_words + 3, grams)
    log_probs = np.log(rng.uniform(1e-9, 1e-5, trie.n_nodes))
    log_probs[[0, 2]] = -np.inf
    words = Vocabulary.of(f"{'abcdefghij'[i % 10]}{i}" for i in range(n_words))
    return with_back_offs(NgramModel(words, trie, log_probs, np.zeros(trie.n_nodes)))


def python_pass(path: str) -> None:
    """Read a file and split its lines, as any program in plain Python has to."""
    with Path(path).open("rb") as stream:
        for line in stream:
            line.split()


STEPS = {
    "python": python_pass,
    "arpa": read_arpa,
    "write": lambda path: write_arpa(NgramModel.load(path), f"{path}.arpa"),
    "binary": NgramModel.load,
    "save": lambda path: read_arpa(path).save(f"{path}.ngram"),
    "make": lambda path: write_arpa(made_up(), path),
}


def timed(step: str, path: Path) -> tuple[float, float, float]:
    """Seconds of a step, of all its threads together, and MiB of its process.

    The system counts the memory of the process that starts another one as that one's, so this one stays small.
    """
    done = subprocess.run([sys.executable, __file__, "--step", step, path], capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout))


def step(name: str, path: str) -> None:
    """What `timed` starts."""
    prepare(arpa_kernels, binary_kernels, trie_kernels, names)
    started, before = time.perf_counter(), time.process_time()
    result = STEPS[name](path)
    seconds, cpu = time.perf_counter() - started, time.process_time() - before
    del result
    print(json.dumps([seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def files(path: Path) -> None:
    """Reading and writing beside plain Python."""
    binary = Path(f"{path}.ngram")
    timed("save", path)  # compiled code and the file's pages are there then
    plain, plain_cpu, _ = timed("python", path)
    arpa, arpa_cpu, arpa_mib = timed("arpa", path)
    opened, opened_cpu, opened_mib = timed("binary", binary)
    print(f"{path.stat().st_size / 1e6:.0f} MB")
    print(f"{'plain Python, lines split':<28}{plain:8.2f} s {plain_cpu:8.2f} s of CPU")
    print(f"{'read_arpa':<28}{arpa:8.2f} s {arpa_cpu:8.2f} s of CPU {arpa_mib:6.0f} MiB, {arpa / plain:.2f} x Python")
    print(f"{'NgramModel.load':<28}{opened:8.2f} s {opened_cpu:8.2f} s of CPU {opened_mib:6.0f} MiB, ", end="")
    print(f"{opened / arpa:.3f} x read_arpa")
    written, written_cpu, _ = timed("write", binary)
    print(f"{'NgramModel.load, write_arpa':<28}{written:8.2f} s {written_cpu:8.2f} s of CPU")


def command(*arguments: str | Path) -> None:
    """Run `asr lm`, and say what it took."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "asr", "lm", *map(str, arguments)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"asr lm {arguments[0]}: {time.perf_counter() - started:.0f} s, {cpu:.0f} s of CPU,", end=" ")
    print(f"{after.ru_maxrss / 1024:.0f} MiB at most of the commands so far", flush=True)


def sentences_of(path: Path) -> list[list[str]]:
    """100,000 words of a text: sentences as they are, and as many words in no order, so that models back off."""
    rng, found = random.Random(0), []
    step = max(path.stat().st_size // 6_000_000, 1)  # lines of a million words, from all of the text
    with path.open(encoding="utf-8") as lines:
        chosen = [words for line in islice(lines, 0, None, step) if (words := line.split())]
    rng.shuffle(chosen)
    n = 0
    for i, words in enumerate(chosen):
        found.append(words if i % 2 else rng.sample(words, len(words)))
        n += len(words)
        if n > N_WORDS:
            break
    return found


def text(path: Path, arpa: Path, order: int = 4) -> None:
    """A model of a text, beside KenLM."""
    command("train", path, "--order", str(order), "--out", arpa)
    sentences = sentences_of(path)
    print(f"{len(sentences)} sentences, {sum(map(len, sentences))} words")
    kenlm_beside(arpa, sentences, log_probs_of(arpa, sentences))


def log_probs_of(arpa: Path, sentences: list[list[str]]) -> np.ndarray:
    """The natural-log probability of each word and end of some sentences, by a file of ours."""
    model = read_arpa(arpa)
    ids = model.vocabulary.encode(sentences)
    return model.token_log_probs(ids)[ids != 1]


def beside_plain(path: Path, folder: Path, n_lines: int, order: int = 4) -> None:
    """A model of the first lines of a text beside plain Python, which takes gigabytes for ten million words."""
    from plain_kneser_ney import PlainKneserNey

    cut, arpa = folder / "cut.txt", folder / "cut.arpa"
    with path.open(encoding="utf-8") as lines, cut.open("w", encoding="utf-8") as kept:
        kept.writelines(line for line in islice(lines, n_lines or None) if line.strip())
    path = cut
    command("train", path, "--order", str(order), "--out", arpa)
    sentences = sentences_of(path)
    ours, started = log_probs_of(arpa, sentences), time.perf_counter()
    with path.open(encoding="utf-8") as lines:
        plain = PlainKneserNey(map(str.split, lines), order)
    expected = np.array([p for words in sentences for p in plain.probs(words)])
    n_words = sum(map(len, sentences))
    print(
        f"plain Python: {time.perf_counter() - started:.0f} s; probabilities of {n_words} words differ by up to",
        end=" ",
    )
    print(f"{np.abs(np.exp(ours) - expected).max():.1e}, relatively {np.abs(np.exp(ours) / expected - 1).max():.1e}")


def kenlm_beside(arpa: Path, sentences: list[list[str]], ours: np.ndarray) -> None:
    """The perplexity by KenLM's Python module, where it is installed."""
    try:
        import kenlm
    except ImportError:
        print("kenlm is not installed: pip install kenlm")
        return
    queried = kenlm.Model(str(arpa))
    theirs = np.array([p for words in sentences for p, _, _ in queried.full_scores(" ".join(words))])
    pair = [float(np.exp(-ours.mean())), float(10 ** -theirs.mean())]
    print(f"perplexity: ours {pair[0]:.6f}, KenLM's of our file {pair[1]:.6f}:", end=" ")
    print(f"apart by {abs(pair[0] / pair[1] - 1):.1e}", flush=True)


def drawn(model: Path, millions: float, folder: Path, memory: str) -> None:
    """Words drawn from a model are counted and estimated."""
    found, words = folder / "drawn.txt", folder / "drawn.ngram"
    mean = 18.0  # words of a sentence, about
    command("sample", model, "--sentences", str(int(millions * 1e6 / mean)), "--out", found)
    print(f"{found.stat().st_size / 1e6:.0f} MB of text")
    command("train", found, "--order", "4", "--cutoffs", "0,1,2", "--memory", memory, "--out", words)


def main() -> None:
    """Read the command line and run what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arpa", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--drawn", type=float, metavar="MILLIONS")
    parser.add_argument(
        "--plain-lines", type=int, default=0, metavar="N", help="lines that plain Python counts; 0: all"
    )
    parser.add_argument("--memory", default="600M")
    parser.add_argument("--folder", type=Path, help="for what is made, gigabytes with --drawn")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step(*options.step)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        if options.text:
            beside_plain(options.text, folder, options.plain_lines)
            text(options.text, folder / "four.arpa")
            if options.drawn:
                drawn(folder / "four.arpa", options.drawn, folder, options.memory)
            return
        path = folder / "lm.arpa"
        if options.arpa:
            path.symlink_to(options.arpa.resolve())
        else:
            timed("make", path)
        files(path)


if __name__ == "__main__":
    main()
