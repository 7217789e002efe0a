"""Phrases that are made likelier while decoding: an automaton of what was said of them so far, as arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..display.brief import brief_repr
from ..errors import GraphError

MOST_GAIN = 500.0
"""Nats that a word may gain: the search adds up exponentials of gains, and that of 710 is no number any more."""


class Phrases(NamedTuple):
    """Phrases of words and what each gains, found in a stream of words by Aho and Corasick's automaton.

    A node is the longest end of what was said that begins a phrase. A phrase that is only begun has a part of its bonus
    already, which is given back where something else is said.

    Attributes:
        nodes: int32 (4 * n_nodes,): of each node its first arc, how many it has, its failure node, the longest other
            that it ends in, and where one stands after it: itself, or where no phrase goes on from it, a failure node.
        arcs: int32 (2 * n_arcs,): label and node, those of a node ascending by label.
        bonus: float32 (2 * n_nodes,): nats that are granted while in a node, and for the phrases that end in it.
    """

    nodes: np.ndarray
    arcs: np.ndarray
    bonus: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)

    @classmethod
    def of(cls, phrases: Sequence[tuple[Sequence[int], float]]) -> "Phrases":
        """The automaton of some phrases: the labels of each one's words, and its bonus in nats; none may be empty.

        A phrase that is there twice has the larger bonus; one inside another has its own beside the other's.

        Raises:
            GraphError: for a bonus below 0, and where a word gains more than MOST_GAIN.
        """
        for _, bonus in phrases:
            if not 0 <= bonus < np.inf:
                raise GraphError(f"a phrase has a bonus of {bonus:g}; need 0 nats or more")
        children, part, whole = [dict[int, int]()], [0.0], [0.0]
        for labels, bonus in phrases:
            node = 0
            for i, label in enumerate(labels):
                if label not in children[node]:
                    children[node][label] = len(children)
                    children.append({})
                    part.append(0.0)
                    whole.append(0.0)
                node = children[node][label]
                if i + 1 < len(labels):
                    part[node] = max(part[node], bonus * (i + 1) / len(labels))
            whole[node] = max(whole[node], bonus)
        fail, stands = [0] * len(children), list(range(len(children)))
        waiting = [0]
        for node in waiting:  # grows while it is read: nodes nearer to the start come first
            for label, child in children[node].items():
                if node:
                    back = fail[node]
                    while back and label not in children[back]:
                        back = fail[back]
                    fail[child] = children[back].get(label, 0)
                whole[child] += whole[fail[child]]
                part[child] = max(part[child], part[fail[child]])
                stands[child] = child if children[child] else stands[fail[child]]
                waiting.append(child)
        gains = [whole[c] + part[stands[c]] - part[node] for node in waiting for c in children[node].values()]
        if (most := max(gains, default=0.0)) > MOST_GAIN:
            raise GraphError(f"a word gains {most:g} nats in phrases; need {MOST_GAIN:g} or less, and 4 are many")
        return cls._flat(children, fail, stands, part, whole)

    @classmethod
    def _flat(
        cls, children: list[dict[int, int]], fail: list[int], stands: list[int], part: list[float], whole: list[float]
    ) -> "Phrases":
        count = np.array([len(c) for c in children])
        nodes = np.stack([np.cumsum(count) - count, count, fail, stands], axis=1).astype(np.int32)
        arcs = np.array([pair for c in children for pair in sorted(c.items())], np.int32).reshape(-1)
        return cls(nodes.ravel(), arcs, np.stack([part, whole], axis=1).astype(np.float32).ravel())


NO_PHRASES = Phrases.of([])
