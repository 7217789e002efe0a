"""The back-off n-gram model: flat arrays, one entry per n-gram, and the log probabilities of sentences."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..display.brief import many
from ..errors import LanguageModelError
from .perplexity import Perplexity, perplexity_of
from .trie import Trie, as_ints
from .trie_kernels import fill_states, step_all
from .vocabulary import START_ID, UNKNOWN_ID, Sentence, Vocabulary


@dataclass(frozen=True, eq=False)
class NgramModel:
    """A back-off n-gram model.

    The probability of a word after some others is that of the n-gram they make, where the model has it; otherwise the
    back-off weight of the history (1 where it has none) times the word's probability after the history without its
    first word.

    Attributes:
        vocabulary: the words.
        trie: the n-grams.
        log_probs: float64 (n_nodes,), float32 of a file that is mapped: natural log of the last word's probability
            after the others; -inf for `<s>`, which nothing is followed by, for `<unk>` in a closed vocabulary, and for
            the empty n-gram.
        back_offs: the same kind: natural log of the back-off weight; 0 where no longer n-gram begins with this one.
        given_states: `states`, where they are known already.
    """

    vocabulary: Vocabulary
    trie: Trie
    log_probs: np.ndarray
    back_offs: np.ndarray
    given_states: np.ndarray | None = None

    def __repr__(self) -> str:
        counts = " + ".join(f"{n:,}" for n in self.n_ngrams)
        return f"<NgramModel: order {self.order}, {many(len(self.vocabulary), 'word')}, {counts} n-grams>"

    def save(self, path: str | os.PathLike) -> None:
        """Write a file that opens at once (see `asr.lm.binary`), whole or not at all. Logarithms become float32."""
        from .binary import write_arrays  # compiled steps that most runs don't need

        trie = self.trie
        if not len(self.log_probs) == len(self.back_offs) == trie.n_nodes:
            raise ValueError(f"{len(self.log_probs)}, {len(self.back_offs)} logarithms of {trie.n_nodes} n-grams")
        write_arrays(
            path,
            self.vocabulary.names,
            trie.offsets,
            {
                "first_child": trie.first_child,
                "word": trie.word,
                "suffix": trie.suffix,
                "states": self.states,
                "log_probs": self.log_probs,
                "back_offs": self.back_offs,
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike) -> "NgramModel":
        """The model of a file that `save` wrote: arrays mapped from it, read-only, its logarithms float32.

        Raises:
            LanguageModelError: for another file, and one that is cut short or damaged.
        """
        from .binary import map_arrays

        names, offsets, arrays = map_arrays(path)
        try:
            vocabulary = Vocabulary(tuple(names))
        except LanguageModelError as error:
            raise LanguageModelError(f"{path}: {error}") from None
        trie = Trie(len(names), offsets, arrays["first_child"], arrays["word"], arrays["suffix"])
        return cls(vocabulary, trie, arrays["log_probs"], arrays["back_offs"], arrays["states"])

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return self.trie.order

    @property
    def n_ngrams(self) -> list[int]:
        """How many n-grams of each order there are, from single words on."""
        return np.diff(self.trie.offsets)[1:].tolist()

    @property
    def is_closed(self) -> bool:
        """Whether words outside the vocabulary are impossible."""
        return bool(np.isneginf(self.log_probs[1 + UNKNOWN_ID]))

    def step(self, states: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What words cost after histories, and the histories that they lead to; many at once.

        Args:
            states: int (n,): nodes of histories, e.g. 0 for none, or what an earlier step returned.
            words: int (n,): word ids.

        Returns:
            float64 (n,), natural-log probabilities, and int32 (n,), nodes of the longest n-grams found.
        """
        scores, nodes = np.empty(len(states)), np.empty(len(states), np.int32)
        trie = self.trie
        step_all(
            as_ints(states), as_ints(words), trie.first_child, trie.word, trie.suffix, *self._doubles, scores, nodes
        )
        return scores, nodes

    @cached_property
    def _doubles(self) -> tuple[np.ndarray, np.ndarray]:
        """`log_probs` and `back_offs` as the kernels take them."""
        return np.ascontiguousarray(self.log_probs, np.float64), np.ascontiguousarray(self.back_offs, np.float64)

    @cached_property
    def states(self) -> np.ndarray:
        """int32 (n_nodes,): the longest n-gram that each one ends in, itself included, and that matters for what comes.

        One matters if longer n-grams begin with it, or its back-off weight is not 1; the empty one always does.
        """
        if self.given_states is not None:
            return self.given_states
        result = np.empty(self.trie.n_nodes, np.int32)
        fill_states(self.trie.first_child, self.trie.suffix, self._doubles[1], result)
        return result

    def log_prob(self, history: Sequence[str], word: str) -> float:
        """The natural-log probability of a word after some others.

        Args:
            history: words, `<s>` first where a sentence begins; only the last order - 1 matter.
            word: a word or `</s>`; one that is not in the vocabulary counts as `<unk>`.
        """
        state = np.zeros(1, np.int64)
        for name in history[len(history) - min(len(history), self.order - 1) :]:
            _, state = self.step(state, np.array([self.vocabulary.id(name)]))
        return float(self.step(state, np.array([self.vocabulary.id(word)]))[0][0])

    def token_log_probs(self, ids: np.ndarray) -> np.ndarray:
        """The natural-log probability of each token of a text after those before it in its sentence.

        Args:
            ids: int64 (n_tokens,), as `vocabulary.encode` returns them.

        Returns:
            float64 (n_tokens,); 0 for `<s>`.
        """
        breaks = ids == START_ID
        ends = self.trie.longest_at(ids, breaks)
        histories = np.concatenate(([0], ends[:-1]))
        result = np.zeros(len(ids))
        result[~breaks] = self.step(histories[~breaks], ids[~breaks])[0]
        return result

    def score(self, sentence: Sentence) -> float:
        """The natural-log probability of a sentence, its end included; unknown words count as `<unk>`.

        -inf where the vocabulary is closed and a word is not in it.
        """
        return float(self.token_log_probs(self.vocabulary.encode([sentence])).sum())

    def perplexity(self, sentences: Iterable[Sentence]) -> Perplexity:
        """How well the model foretells some sentences: see `Perplexity`."""
        ids = self.vocabulary.encode(sentences)
        return perplexity_of(ids, self.token_log_probs(ids))


def lower_log_probs(model: NgramModel, nodes: np.ndarray) -> np.ndarray:
    """The log probability of the last word of some n-grams (nodes of order 2 or more) without their first word.

    That is what the back-off weight of the other words multiplies.
    """
    histories = model.trie.suffix[model.trie.parent[nodes]]
    return model.step(histories, model.trie.word[nodes])[0]


def with_back_offs(model: NgramModel) -> NgramModel:
    """The model with all back-off weights computed anew, so that probabilities sum to one after each history.

    The weight of a history is what its n-grams leave, over what they take after the history without its first word.
    """
    trie, back_offs = model.trie, np.zeros(model.trie.n_nodes)
    result = NgramModel(model.vocabulary, trie, model.log_probs, back_offs)
    for order in range(2, trie.order + 1):
        here = trie.nodes(order)
        left, left_below = masses_left(result, order)
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = np.log(left) - np.log(left_below)
        # Where all words of the vocabulary have an n-gram nothing is left, and the weight is never used.
        weights[(left <= 0) | (left_below <= 0)] = 0.0
        parents = np.unique(trie.parent[here])
        back_offs[parents] = weights[parents - trie.nodes(order - 1).start]
    return result


_ROUNDING = 1e-12  # a mass below this is what rounding leaves of none


def masses_left(model: NgramModel, order: int) -> tuple[np.ndarray, np.ndarray]:
    """For each n-gram of order - 1: 1 less the probabilities of its children, and 1 less their lower-order ones.

    Returns:
        two float64 (n_ngrams of order - 1,) arrays; below 1e-12 they are 0.
    """
    trie = model.trie
    here, above = trie.nodes(order), trie.nodes(order - 1)
    place = trie.parent[here] - above.start
    n = above.stop - above.start
    taken = np.bincount(place, np.exp(model.log_probs[here]), n)
    nodes = np.arange(here.start, here.stop)
    taken_below = np.bincount(place, np.exp(lower_log_probs(model, nodes)), n)
    left, left_below = 1.0 - taken, 1.0 - taken_below
    return np.where(left > _ROUNDING, left, 0.0), np.where(left_below > _ROUNDING, left_below, 0.0)
