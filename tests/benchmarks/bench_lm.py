"""Seconds for a language model of a million n-grams: `python tests/benchmarks/bench_lm.py`.

The text is random: 3 million words of 12,000, of which each is often followed by one of three others.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from asr.lm import count, estimate, interpolate, prune, read_arpa, write_arpa


def text(n_tokens: int, length: int = 15) -> list[str]:
    """Sentences of `length` words."""
    rng = np.random.default_rng(0)
    ids = np.minimum((rng.pareto(0.9, n_tokens) * 3).astype(int), 49_999)
    following = rng.integers(0, 50_000, (50_000, 3))
    chosen = rng.random(n_tokens - 1) < 0.6
    ids[1:][chosen] = following[ids[:-1][chosen], rng.integers(0, 3, chosen.sum())]
    return [" ".join(map(str, ids[i : i + length])) for i in range(0, n_tokens, length)]


def timed(what: str, call: Callable[[], Any]) -> Any:
    """The result of a call; its seconds are printed."""
    started = time.perf_counter()
    result = call()
    print(f"{what:<28}{time.perf_counter() - started:8.2f} s")
    return result


def main() -> None:
    """Time each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=3_000_000)
    parser.add_argument("--order", type=int, default=3)
    options = parser.parse_args()
    sentences = text(options.tokens)
    counts = timed("count", lambda: count(sentences, options.order))
    model = timed("estimate", lambda: estimate(counts))
    print(" + ".join(map(str, model.n_ngrams)), "n-grams")
    timed("perplexity, 300,000 words", lambda: model.perplexity(sentences[:20_000]).total())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lm.arpa"
        timed("write", lambda: write_arpa(model, path))
        timed("read", lambda: read_arpa(path))
    smaller = timed("prune", lambda: prune(model, 1e-7))
    timed("interpolate", lambda: interpolate(model, smaller, 0.5))


if __name__ == "__main__":
    main()
