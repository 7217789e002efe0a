"""Text drawn from a language model: what it takes for likely, and text of any size for tests."""

from collections.abc import Iterator

import numpy as np

from ..errors import LanguageModelError
from . import sampling_kernels as kernels
from .model import NgramModel
from .names import NameTable
from .threads import in_order
from .vocabulary import END_ID

_AT_ONCE = 4096  # sentences that a thread draws at once


def sample(
    model: NgramModel, n_sentences: int, rng: np.random.Generator, *, longest: int = 200, n_threads: int | None = None
) -> Iterator[bytes]:
    """Sentences drawn from a model, in pieces of whole lines, UTF-8; unknown words are `<unk>`.

    Args:
        n_sentences: how many.
        rng: where chance comes from. The text does not depend on the number of threads.
        longest: words of a sentence; longer ones end there.
        n_threads: None: one on each core.

    Raises:
        LanguageModelError: for a model in which no sentence can end.
    """
    if np.isneginf(model.log_probs[1 + END_ID]):
        raise LanguageModelError("the model's </s> has no probability, so no sentence that is drawn would end")
    trie, sums = model.trie, np.empty(model.trie.n_nodes)
    kernels.add_up(trie.first_child, np.ascontiguousarray(model.log_probs, np.float64), sums)
    names = NameTable.of([name.encode() for name in model.vocabulary.names])
    widest = int(np.diff(names.starts).max()) + 1

    def lines(item: tuple[int, int]) -> bytes:
        seed, n = item
        ids = np.empty(n * (longest + 2), np.int32)
        random = np.array([seed], np.uint64)
        arrays = (trie.first_child, trie.word, trie.suffix, model.states, sums)
        ids = ids[: kernels.draw_sentences(*arrays, n, longest, random, ids)]
        out = np.empty(len(ids) * widest, np.uint8)
        return out[: kernels.put_sentences(ids, names.pool, names.starts, out)].tobytes()

    sizes = (min(_AT_ONCE, n_sentences - done) for done in range(0, n_sentences, _AT_ONCE))
    seeds = iter(lambda: int(rng.integers(0, 1 << 63)), None)
    yield from in_order(lines, zip(seeds, sizes, strict=False), n_threads)
