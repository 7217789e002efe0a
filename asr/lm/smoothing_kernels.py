"""The compiled steps of smoothing: probabilities of the n-grams that begin alike, from counts and shorter ones."""

from ..jit import kernel
from .trie_kernels import INTS

_COUNTS = "Array(int64, 1, 'C', readonly=True)"
_ARRAYS = f"{INTS}, {INTS}, {_COUNTS}, {_COUNTS}, float64[::1], float64[::1]"


@kernel(f"void(int64, int64, float64, float64, float64, {_ARRAYS})")
def discount(first, stop, once, twice, more, first_child, suffix, numbers, left_out, probs, weights):
    """Fill probabilities and back-off weights by modified Kneser-Ney smoothing.

    Args:
        first: the first n-gram whose children, one word longer, are filled.
        stop: the first one that is none of them.
        once: what is taken off a count of 1.
        twice: of 2.
        more: of 3 or more.
        first_child: of the trie.
        suffix: of the trie.
        numbers: adjusted counts.
        left_out: those of the children that were cut, summed.
        probs: filled for all shorter n-grams; for single words what is below them, the uniform distribution.
        weights: to be filled for n-grams with children.
    """
    for node in range(first, stop):
        begin, end = first_child[node], first_child[node + 1]
        if begin == end:
            continue
        total, given = float(left_out[node]), float(left_out[node])
        for below in range(begin, end):
            total += numbers[below]
            if numbers[below]:
                given += once if numbers[below] == 1 else twice if numbers[below] == 2 else more
        for below in range(begin, end):
            number, taken = float(numbers[below]), 0.0
            if number:
                taken = once if number == 1 else twice if number == 2 else more
            lower = probs[below] if node == 0 else probs[suffix[below]]
            probs[below] = (number - taken + given * lower) / total
        weights[node] = given / total


@kernel(f"void(int64, int64, {_ARRAYS})")
def share_with_new(first, stop, first_child, suffix, numbers, left_out, probs, weights):
    """The same by Witten-Bell smoothing: each different word after a history counts once more, for new ones."""
    for node in range(first, stop):
        begin, end = first_child[node], first_child[node + 1]
        if begin == end:
            continue
        total = given = 0.0
        for below in range(begin, end):
            total += numbers[below]
            given += numbers[below] > 0
        total += given
        for below in range(begin, end):
            lower = probs[below] if node == 0 else probs[suffix[below]]
            probs[below] = (numbers[below] + given * lower) / total
        weights[node] = given / total
