"""All n-grams of a model in one sorted array of integers.

Everything else (counting, smoothing, scoring, pruning, mixing) is then a few array operations over all n-grams at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..display.brief import many


@dataclass(frozen=True, eq=False)
class Trie:
    """A set of n-grams that holds the beginning of each of its n-grams, too.

    Node 0 is the empty n-gram; nodes 1 ... n_words are the words with ids 0 ... n_words - 1, all of them; then come the
    bigrams, the trigrams and so on, each order sorted by the node of all its words but the last, its parent, then by
    the last word. So `keys`, parent * n_words + last word, ascend from node to node, and one binary search finds the
    child of a node, whatever its order.

    Attributes:
        n_words: how many words there are.
        offsets: int64 (order + 2,): the first node of each order 0 ... order, and the number of nodes.
        keys: int64 (n_nodes,), ascending; that of node 0 is below all others.

    Examples:
        >>> trie, _ = Trie.build(3, [np.array([[0, 1], [2, 0]]), np.array([[0, 2, 1]])])
        >>> trie.words_of(2).tolist(), trie.words_of(3).tolist()
        ([[0, 1], [0, 2], [2, 0]], [[0, 2, 1]])
    """

    n_words: int
    offsets: np.ndarray
    keys: np.ndarray

    def __repr__(self) -> str:
        return f"<Trie: order {self.order}, {many(self.n_words, 'word')}, {many(len(self.keys), 'node')}>"

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return len(self.offsets) - 2

    @property
    def n_nodes(self) -> int:
        """How many n-grams there are, the empty one included."""
        return len(self.keys)

    def nodes(self, order: int) -> slice:
        """The nodes of one order."""
        return slice(int(self.offsets[order]), int(self.offsets[order + 1]))

    @cached_property
    def parent(self) -> np.ndarray:
        """int64 (n_nodes,): the node of all words but the last; 0 for the empty n-gram."""
        return np.maximum(self.keys // self.n_words, 0)

    @cached_property
    def word(self) -> np.ndarray:
        """int64 (n_nodes,): the last word; 0 for the empty n-gram."""
        return np.where(self.keys < 0, 0, self.keys % self.n_words)

    @cached_property
    def has_children(self) -> np.ndarray:
        """bool (n_nodes,): whether a longer n-gram begins with this one."""
        result = np.zeros(self.n_nodes, bool)
        result[self.parent[1:]] = True
        return result

    @cached_property
    def suffix(self) -> np.ndarray:
        """int64 (n_nodes,): the longest n-gram of the set that this one ends in, other than itself."""
        result = np.zeros(self.n_nodes, np.int64)
        for order in range(2, self.order + 1):
            here = self.nodes(order)
            result[here] = self._longest(result, result[self.parent[here]], self.word[here])
        return result

    def _longest(self, suffix: np.ndarray, states: np.ndarray, words: np.ndarray) -> np.ndarray:
        nodes = self.find(states, words)
        missing = np.flatnonzero(nodes < 0)
        while len(missing):
            states = states.copy()
            states[missing] = suffix[states[missing]]
            nodes[missing] = self.find(states[missing], words[missing])
            missing = missing[nodes[missing] < 0]
        return nodes

    def find(self, parents: np.ndarray, words: np.ndarray) -> np.ndarray:
        """The nodes of n-grams given as parent nodes and last words; -1 where there is none, or no parent (-1)."""
        wanted = parents * self.n_words + words
        place = np.minimum(np.searchsorted(self.keys, wanted), self.n_nodes - 1)
        return np.where((self.keys[place] == wanted) & (parents >= 0), place, -1)

    def words_of(self, order: int) -> np.ndarray:
        """The n-grams of one order. Returns int64 (n_ngrams, order): word ids."""
        here = self.nodes(order)
        node = np.arange(here.start, here.stop)
        result = np.empty((len(node), order), np.int64)
        for column in range(order - 1, -1, -1):
            result[:, column] = self.word[node]
            node = self.parent[node]
        return result

    def at(self, grams: np.ndarray) -> np.ndarray:
        """The nodes of n-grams of one order, int (n, order), or -1. Returns int64 (n,)."""
        node = np.zeros(len(grams), np.int64)
        for words in grams.T:
            node = self.find(node, words)
        return node

    def longest_at(self, ids: np.ndarray, breaks: np.ndarray) -> np.ndarray:
        """For each place in a text the longest known n-gram below the highest order that ends there.

        Args:
            ids: int (n_tokens,): word ids.
            breaks: bool (n_tokens,): where a sentence begins: no n-gram reaches across.

        Returns:
            int64 (n_tokens,): nodes; the history of what comes next.
        """
        longest = node = 1 + ids
        for _ in range(2, self.order):
            before = np.concatenate(([-1], node[:-1]))
            node = self.find(np.where(breaks, -1, before), ids)
            longest = np.where(node >= 0, node, longest)
        return longest if self.order > 1 else np.zeros_like(longest)

    def subset(self, kept: np.ndarray) -> "Trie":
        """The trie of some of the nodes.

        Args:
            kept: bool (n_nodes,): all words are kept, and the parent of each kept node.
        """
        renumbered = np.cumsum(kept) - 1
        offsets = np.concatenate(([0], np.cumsum(kept)))[self.offsets]
        keys = np.where(self.keys < 0, self.keys, renumbered[self.parent] * self.n_words + self.word)
        order = int(np.max(np.flatnonzero(np.diff(offsets)), initial=1))
        return Trie(self.n_words, offsets[: order + 2], keys[kept])

    @classmethod
    def unigrams(cls, n_words: int) -> "Trie":
        """The trie that has all words and no longer n-grams."""
        keys = np.concatenate(([-n_words - 1], np.arange(n_words)))
        return cls(n_words, np.array([0, 1, 1 + n_words]), keys)

    def extended(self, keys: np.ndarray) -> "Trie":
        """The trie with n-grams of the next order added.

        Args:
            keys: int64, ascending, no two the same.
        """
        offsets = np.append(self.offsets, self.n_nodes + len(keys))
        return Trie(self.n_words, offsets, np.concatenate((self.keys, keys)))

    @classmethod
    def build(cls, n_words: int, grams: Sequence[np.ndarray]) -> tuple["Trie", list[np.ndarray]]:
        """The trie of some n-grams, and of what they begin with.

        Args:
            grams: for each order from 2 int (n, order): word ids, in any order.

        Returns:
            the trie and, for each of the arrays, the nodes of its n-grams.
        """
        wanted = list(grams)
        for i in range(len(wanted) - 1, 0, -1):
            wanted[i - 1] = np.concatenate((wanted[i - 1], wanted[i][:, :-1]))
        trie, nodes = cls.unigrams(n_words), []
        for given, needed in zip(grams, wanted, strict=True):
            keys = trie.at(needed[:, :-1]) * n_words + needed[:, -1]
            first = trie.n_nodes
            unique, places = np.unique(keys, return_inverse=True)
            trie = trie.extended(unique)
            nodes.append(first + places[: len(given)])
        return trie, nodes
