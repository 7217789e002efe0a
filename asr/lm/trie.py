"""All n-grams of a model in flat, sorted arrays.

Everything else (counting, smoothing, scoring, pruning, mixing) is then a few array operations over all n-grams at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..display.brief import many
from ..errors import LanguageModelError
from .trie_kernels import fill_parents, fill_suffixes, find_all, find_grams

_MOST_NODES = 1 << 31


@dataclass(frozen=True, eq=False)
class Trie:
    """A set of n-grams that holds the beginning of each of its n-grams, too.

    Node 0 is the empty n-gram; nodes 1 ... n_words are the words with ids 0 ... n_words - 1, all of them; then come the
    bigrams, the trigrams and so on, each order sorted by the node of all its words but the last, its parent, then by
    the last word. So the n-grams that begin with another one are neighbours, and a binary search among them finds one.

    Attributes:
        n_words: how many words there are.
        offsets: int64 (order + 2,): the first node of each order 0 ... order, and the number of nodes.
        first_child: int32 (n_nodes + 1,), ascending: the first n-gram that is one word longer than this one and begins
            with it; the last ends where those of the next node begin.
        word: int32 (n_nodes,): the last word; 0 for the empty n-gram.
        given_suffix: `suffix`, where it is known already.

    The arrays may be mapped from a file, and read-only.

    Examples:
        >>> trie, _ = Trie.build(3, [np.array([[0, 1], [2, 0]]), np.array([[0, 2, 1]])])
        >>> trie.words_of(2).tolist(), trie.words_of(3).tolist()
        ([[0, 1], [0, 2], [2, 0]], [[0, 2, 1]])
    """

    n_words: int
    offsets: np.ndarray
    first_child: np.ndarray
    word: np.ndarray
    given_suffix: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"<Trie: order {self.order}, {many(self.n_words, 'word')}, {many(self.n_nodes, 'node')}>"

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return len(self.offsets) - 2

    @property
    def n_nodes(self) -> int:
        """How many n-grams there are, the empty one included."""
        return len(self.word)

    def nodes(self, order: int) -> slice:
        """The nodes of one order."""
        return slice(int(self.offsets[order]), int(self.offsets[order + 1]))

    @cached_property
    def parent(self) -> np.ndarray:
        """int32 (n_nodes,): the node of all words but the last; 0 for the empty n-gram."""
        result = np.empty(self.n_nodes, np.int32)
        fill_parents(self.first_child, result)
        return result

    @property
    def keys(self) -> np.ndarray:
        """int64 (n_nodes,), ascending: parent * n_words + last word; that of node 0 is below all others."""
        keys = self.parent.astype(np.int64) * self.n_words + self.word
        keys[0] = -self.n_words - 1
        return keys

    @property
    def has_children(self) -> np.ndarray:
        """bool (n_nodes,): whether a longer n-gram begins with this one."""
        return self.first_child[1:] > self.first_child[:-1]

    @cached_property
    def suffix(self) -> np.ndarray:
        """int32 (n_nodes,): the longest n-gram of the set that this one ends in, other than itself."""
        if self.given_suffix is not None:
            return self.given_suffix
        result = np.empty(self.n_nodes, np.int32)
        fill_suffixes(self.first_child, self.word, result)
        return result

    def find(self, parents: np.ndarray, words: np.ndarray) -> np.ndarray:
        """The nodes of n-grams given as parent nodes and last words; -1 where there is none, or no parent (-1)."""
        nodes = np.empty(len(parents), np.int32)
        find_all(self.first_child, self.word, as_ints(parents), as_ints(words), nodes)
        return nodes

    def words_of(self, order: int) -> np.ndarray:
        """The n-grams of one order. Returns int32 (n_ngrams, order): word ids."""
        here = self.nodes(order)
        node = np.arange(here.start, here.stop, dtype=np.int32)
        result = np.empty((len(node), order), np.int32)
        for column in range(order - 1, -1, -1):
            result[:, column] = self.word[node]
            node = self.parent[node]
        return result

    def at(self, grams: np.ndarray) -> np.ndarray:
        """The nodes of n-grams of one order, int (n, order), or -1. Returns int32 (n,)."""
        nodes = np.empty(len(grams), np.int32)
        find_grams(self.first_child, self.word, grams.astype(np.int32, copy=False), nodes)
        return nodes

    def longest_at(self, ids: np.ndarray, breaks: np.ndarray) -> np.ndarray:
        """For each place in a text the longest known n-gram below the highest order that ends there.

        Args:
            ids: int (n_tokens,): word ids.
            breaks: bool (n_tokens,): where a sentence begins: no n-gram reaches across.

        Returns:
            int32 (n_tokens,): nodes; the history of what comes next.
        """
        longest = node = as_ints(1 + ids)
        for _ in range(2, self.order):
            before = np.concatenate((as_ints([-1]), node[:-1]))
            node = self.find(np.where(breaks, -1, before), ids)
            longest = np.where(node >= 0, node, longest)
        return longest if self.order > 1 else np.zeros_like(longest)

    def subset(self, kept: np.ndarray) -> "Trie":
        """The trie of some of the nodes.

        Args:
            kept: bool (n_nodes,): all words are kept, and the parent of each kept node.
        """
        numbers = np.cumsum(kept)
        offsets = np.concatenate(([0], numbers))[self.offsets]
        parents = (numbers - 1)[self.parent[kept]]
        n_children = np.bincount(parents[1:], minlength=len(parents))
        order = int(np.max(np.flatnonzero(np.diff(offsets)), initial=1))
        return Trie(self.n_words, offsets[: order + 2], _first(n_children), self.word[kept])

    @classmethod
    def unigrams(cls, n_words: int) -> "Trie":
        """The trie that has all words and no longer n-grams."""
        first_child = np.full(n_words + 2, 1 + n_words, np.int32)
        first_child[0] = 1
        word = np.concatenate((as_ints([0]), np.arange(n_words, dtype=np.int32)))
        return cls(n_words, np.array([0, 1, 1 + n_words]), first_child, word)

    def extended(self, parents: np.ndarray, words: np.ndarray) -> "Trie":
        """The trie with n-grams of the next order added.

        Args:
            parents: int (n,), ascending: nodes of the highest order.
            words: int (n,): last words, ascending among the children of each parent, no two the same.

        Raises:
            LanguageModelError: for more n-grams than can be numbered.
        """
        here, n_nodes = self.nodes(self.order), self.n_nodes + len(words)
        if n_nodes >= _MOST_NODES:
            raise LanguageModelError(f"{n_nodes:,} n-grams; at most {_MOST_NODES - 1:,} can be numbered; give cutoffs")
        n_children = np.bincount(parents - here.start, minlength=here.stop - here.start)
        first_child = np.full(n_nodes + 1, n_nodes, np.int32)
        first_child[: here.start + 1] = self.first_child[: here.start + 1]
        first_child[here.start + 1 : here.stop + 1] = self.n_nodes + np.cumsum(n_children)
        return Trie(
            self.n_words, np.append(self.offsets, n_nodes), first_child, np.concatenate((self.word, as_ints(words)))
        )

    @classmethod
    def build(cls, n_words: int, grams: Sequence[np.ndarray]) -> tuple["Trie", list[np.ndarray]]:
        """The trie of some n-grams, and of what they begin with.

        Args:
            grams: for each order from 2 int (n, order): word ids, in any order.

        Returns:
            the trie and, for each of the arrays, the nodes of its n-grams.
        """
        wanted, k = list(grams), 0
        trie, nodes = cls.unigrams(n_words), list[np.ndarray]()
        while k < len(wanted):
            parents = trie.at(wanted[k][:, :-1])
            if len(parents) and parents.min() < 0:  # beginnings are missing: once more, with these
                for shorter in range(k - 1, -1, -1):
                    added = np.unique(wanted[k][parents < 0, : shorter + 2], axis=0)
                    wanted[shorter] = np.concatenate((wanted[shorter], added))
                trie, nodes, k = cls.unigrams(n_words), [], 0
                continue
            chosen, places = _sorted_once(parents, wanted[k][:, -1], n_words)
            nodes.append(trie.n_nodes + places[: len(grams[k])])
            trie, k = trie.extended(parents[chosen], wanted[k][chosen, -1]), k + 1
        return trie, nodes


def as_ints(values) -> np.ndarray:
    """Nodes or words as the kernels take them: int32, contiguous."""
    return np.ascontiguousarray(values, np.int32)


def _first(n_children: np.ndarray) -> np.ndarray:
    """The first child of each node, and the number of nodes, from the number of children of each."""
    result = np.ones(len(n_children) + 1, np.int32)
    np.cumsum(n_children, out=result[1:])
    result[1:] += 1
    return result


def _sorted_once(parents: np.ndarray, words: np.ndarray, n_words: int) -> tuple[np.ndarray | slice, np.ndarray]:
    """Which of some n-grams to take so that they ascend, each once, and the place of each among those taken."""
    keys = parents.astype(np.int64) * n_words + words
    if (keys[1:] > keys[:-1]).all():  # as in files that we write
        return slice(None), np.arange(len(keys), dtype=np.int32)
    from .sorting import stable_order

    order = stable_order(keys)
    keys = keys[order]
    is_new = np.concatenate(([True], keys[1:] != keys[:-1]))
    places = np.empty(len(keys), np.int32)
    places[order] = np.cumsum(is_new, dtype=np.int32) - 1
    return order[is_new], places
