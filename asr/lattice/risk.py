"""How sure each word is, and the words with the least expected errors."""

from collections.abc import Sequence

import numpy as np

from ..decoding.viterbi import BestPath
from .words import WordLattice


def word_posteriors(lattice: WordLattice, words: Sequence[int]) -> np.ndarray:
    """The probability that each of some words is said where it stands among the others.

    All paths of the lattice, with their probabilities, are aligned to the words with the fewest errors on average.

    Args:
        words: of a path of the lattice, as a rule those of its best one.

    Returns:
        float64 (n_words,), 0 to 1.

    Ref: Xu, Povey, Mangu and Zhu, 2011; the same as the confidence of Kaldi's lattice-mbr-decode.
    """
    if not len(words):
        return np.zeros(0)
    from .kernels import place_words, summed_costs

    source, target, word, cost, n = _with_one_end(lattice)
    start = np.full(n, np.inf)
    start[0] = 0.0
    forward = summed_costs(source, target, cost, start, True)
    share = np.exp(forward[target] - forward[source] - cost)
    reference = np.zeros(2 * len(words) + 1, np.int32)
    reference[1::2] = words
    n_places = len(reference)
    by_arc, found = np.zeros((len(source), n_places + 1)), np.zeros((len(source) + 1, n_places))
    distance, weight = np.zeros((n, n_places + 1)), np.zeros((n, n_places + 1))
    place_words(source, target, word, share, n, reference, distance, by_arc, weight, found)
    return np.array([found[:-1, q][word == w].sum() for q, w in zip(range(1, n_places, 2), words, strict=True)])


def _with_one_end(lattice: WordLattice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Sources, targets, words and costs of the arcs, and the number of states, with one state more: the only end."""
    n, total = len(lattice.frames), lattice.finals.sum(axis=1)
    ends = np.flatnonzero(np.isfinite(total)).astype(np.int32)
    source = np.concatenate([lattice.arcs["source"], ends])
    order = np.argsort(source, kind="stable")
    target = np.concatenate([lattice.arcs["next"], np.full(len(ends), n, np.int32)])[order]
    word = np.concatenate([lattice.arcs["word"], np.zeros(len(ends), np.int32)])[order]
    cost = np.concatenate([lattice.costs, total[ends]])[order]
    return source[order], target, word, cost, n + 1


def least_risk(lattice: WordLattice, n: int = 100) -> BestPath:
    """Of the best n word sequences the one from which the others differ least, in errors weighed by their probability.

    Exact where the lattice has no more than n; of many sequences the rest has hardly any probability.

    Ref: Stolcke, Konig and Weintraub, Explicit word error minimization in N-best list rescoring, 1997.
    """
    from .kernels import edit_distance

    found = lattice.nbest(n)
    scores = np.array([path.score for path in found])
    shares = np.exp(scores - scores.max())
    row = np.empty(max(len(path.words) for path in found) + 1, np.int64)
    risks = [
        sum(share * edit_distance(path.words, other.words, row) for share, other in zip(shares, found, strict=True))
        for path in found
    ]
    return found[int(np.argmin(np.round(risks, 9)))]  # of equal ones the more probable
