"""CTC prefix beam search: the likeliest token strings under a CTC network and a language model of its tokens."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..display.brief import brief_repr
from ..errors import LanguageModelError, ModelError, did_you_mean
from ..lm import NgramModel
from ..lm.states import StateTable
from ..lm.vocabulary import END, END_ID, START, UNKNOWN, UNKNOWN_ID
from .check import check_log_probs

_FIRST_ROOM = 1 << 14  # prefixes met before the memory for them is doubled


@dataclass(frozen=True)
class PrefixOptions:
    """How wide to search, and how to weigh the language model.

    A string's score is its CTC log probability, plus lm_weight times that of the language model, plus insertion_bonus
    for each token.
    """

    beam_size: int = 50  # prefixes kept after each frame; time and memory grow with it
    beam: float = 20.0  # nats below the frame's best prefix at which others are dropped; math.inf: no limit
    tokens_per_frame: int = 50  # only a frame's likeliest may be added to prefixes; bounds the time of flat frames
    lm_weight: float = 0.5  # factor on the language model's log probabilities; 0: it is not used
    insertion_bonus: float = 0.0  # nats added for each token; more means longer strings

    def __post_init__(self) -> None:
        if not self.beam_size >= 1:
            raise ValueError(f"beam_size={self.beam_size}; must be 1 or more")
        if not self.beam > 0:
            raise ValueError(f"beam={self.beam}; must be above 0")
        if not self.tokens_per_frame >= 1:
            raise ValueError(f"tokens_per_frame={self.tokens_per_frame}; must be 1 or more")
        if not (self.lm_weight >= 0 and math.isfinite(self.lm_weight)):
            raise ValueError(f"lm_weight={self.lm_weight}; must be 0 or more, and finite")
        if not math.isfinite(self.insertion_bonus):
            raise ValueError(f"insertion_bonus={self.insertion_bonus}; must be finite")


@dataclass(frozen=True, eq=False)
class Prefix:
    """A token string that a search found. Scores are natural logarithms, higher is better.

    Attributes:
        tokens: int32 (n_tokens,): columns, 1 or more.
        score: ctc + lm_weight * lm + insertion_bonus * n_tokens.
        ctc: log probability, summed over all paths that write the string and whose prefixes stayed in the beam.
        lm: log probability of the string as a sentence, its end included; 0 without a model, or where its weight is 0.
        frames: int32 (n_tokens,): the frame in which each token begins on the likeliest single path of the string.
    """

    tokens: np.ndarray
    score: float
    ctc: float
    lm: float
    frames: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


class PrefixSearch:
    """A prefix beam search for any number of utterances, one after the other, with one language model or none.

    Prefixes, not paths, compete: the probabilities of all alignments of a prefix are summed, those that end in a blank
    apart from those that end in its last token, so that a prefix can be told from the one with that token twice. The
    language model is asked at each token and at the end. With beams wide open the result is exact. A prefix that comes
    back after it was dropped goes on with the paths from then on. Each search object is for one thread at a time.

    Args:
        tokens: the names of columns 1, 2 ...: letters, phones or word pieces. Column 0 is the blank.
        lm: a model over these names. None: CTC alone decides.

    Raises:
        LanguageModelError: for tokens that the model does not have.
        ModelError: for a name that is there twice.

    Ref: Graves, 2012, section 7.5.3; Hannun et al., 2014, First-pass large vocabulary continuous speech recognition
    using bi-directional recurrent DNNs. Unlike theirs, the bonus is per token, and the sentence end is scored.

    Examples:
        >>> search = PrefixSearch(["a", "b"])
        >>> frames = np.log(np.array([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]], np.float32))
        >>> [(found.tokens.tolist(), round(found.score, 4)) for found in search.search(frames, n_best=2)]
        [([1], -0.5798), ([], -1.3863)]
    """

    def __init__(self, tokens: Sequence[str], lm: NgramModel | None = None, options: PrefixOptions | None = None):
        from . import prefix_kernels as kernels

        self.tokens, self.lm = tuple(tokens), lm
        self.options = options if options is not None else PrefixOptions()
        self._kernels = kernels
        self._words = words_of_tokens(self.tokens, lm)
        self._model = StateTable.of(lm) if lm is not None else _no_model()
        o, k = self.options, kernels
        self._weight = o.lm_weight if lm is not None else 0.0
        self._settings = np.zeros(k.N_SETTINGS)
        self._settings[[k.BEAM, k.WEIGHT, k.BONUS]] = o.beam, self._weight, o.insertion_bonus
        self._registers = np.zeros(k.N_REGISTERS, np.int64)
        self._active = np.empty((k.N_SCORES, o.beam_size)), np.empty((k.N_LINKS, o.beam_size), np.int32)
        self._pool = np.empty((k.N_SCORES, 2 * o.beam_size)), np.empty((k.N_LINKS, 2 * o.beam_size), np.int32)
        self._chosen = np.empty(len(self.tokens), np.int32)
        self._values = np.empty((2, max(len(self.tokens), 2 * o.beam_size)))
        self._make_room(max(_FIRST_ROOM, 2 * o.beam_size))

    def _make_room(self, n_nodes: int) -> None:
        """A tree for so many prefixes, and a table for its nodes that stays half empty."""
        self._tree, self._tree_lm = np.zeros((self._kernels.N_TREE, n_nodes), np.int32), np.zeros(n_nodes)
        self._table = np.zeros(1 << (2 * n_nodes - 1).bit_length(), np.int32)

    def _grow(self) -> None:
        """Twice the room, with all that is there."""
        tree, tree_lm = self._tree, self._tree_lm
        self._make_room(2 * len(tree_lm))
        self._tree[:, : len(tree_lm)], self._tree_lm[: len(tree_lm)] = tree, tree_lm
        self._kernels.fill_table(self._registers[self._kernels.N_NODES], self._tree, self._table)

    def search(self, log_probs: np.ndarray, n_best: int = 1) -> list[Prefix]:
        """The likeliest token strings of an utterance, best first, no two the same.

        Args:
            log_probs: float32 (n_frames, 1 + n_tokens): natural logs of what the network gives to the blank and each
                token, which sum to one in each frame; -inf for what is impossible.
            n_best: 1 or more; fewer come back where the last frame's beam has fewer, none if no string is possible.

        Raises:
            ModelError: for a matrix of another shape, and for values that are NaN or above 0.
        """
        if n_best < 1:
            raise ValueError(f"n_best={n_best}; must be 1 or more")
        matrix, width = check_log_probs(log_probs), len(self.tokens) + 1
        if matrix.shape[1] != width:
            raise ModelError(f"log_probs of shape {matrix.shape}; need (n_frames, {width}), the blank and each token")
        k = self._kernels
        self._start()
        while (
            k.advance(
                matrix, self.options.beam_size, self.options.tokens_per_frame, self._settings, self._registers,
                *self._active, *self._pool, self._tree, self._tree_lm, self._table, self._chosen, self._values,
                self._words, *self._model,
            )
            == k.FULL
        ):  # fmt: skip
            self._grow()
        n = int(self._registers[k.N_ACTIVE])
        k.end_sentences(n, END_ID, self._weight, *self._active, self._tree, self._tree_lm, *self._model)
        totals = self._active[0][k.TOTAL, :n]
        best = np.argsort(-totals, kind="stable")[:n_best]
        return [self._prefix(int(i), matrix) for i in best if totals[i] > -np.inf]

    def _start(self) -> None:
        """Forget the utterance before: one prefix, the empty one, that ends in a blank."""
        k = self._kernels
        self._table.fill(0)
        self._tree[:, 0] = 0
        self._tree[k.LM_STATE, 0] = self._model.start if self.lm is not None else 0
        scores, links = self._active
        links[k.NODE, 0] = 0
        scores[[k.BOTH, k.BLANK, k.LAST, k.PRIOR], 0] = 0.0, 0.0, -np.inf, 0.0
        self._registers[[k.N_ACTIVE, k.N_NODES, k.FRAME]] = 1, 1, 0

    def _prefix(self, place: int, matrix: np.ndarray) -> Prefix:
        """The result for one of the active prefixes."""
        k = self._kernels
        scores, links = self._active
        node, labels = int(links[k.NODE, place]), []
        while node:
            labels.append(int(self._tree[k.LABEL, node]))
            node = int(self._tree[k.PARENT, node])
        tokens, frames = np.array(labels[::-1], np.int32), np.empty(len(labels), np.int32)
        n_places = 2 * len(tokens) + 1
        k.first_frames(matrix, tokens, np.empty((len(matrix), n_places), np.int8), np.empty(n_places), frames)
        score, ctc, lm = (float(scores[row, place]) for row in (k.TOTAL, k.BOTH, k.LM))
        return Prefix(tokens, score, ctc, lm, frames)


def words_of_tokens(tokens: tuple[str, ...], lm: NgramModel | None) -> np.ndarray:
    """int32 (1 + n_tokens,): the model's word for each column; 0 for the blank, and everywhere without a model.

    Raises:
        LanguageModelError: for tokens that the model does not have.
        ModelError: for a name that is there twice.
    """
    if len(set(tokens)) != len(tokens):
        twice = next(name for i, name in enumerate(tokens) if name in tokens[:i])
        raise ModelError(f"token {twice!r} is there twice; each column after the blank needs a name of its own")
    words = np.zeros(1 + len(tokens), np.int32)
    if lm is None:
        return words
    words[1:] = [lm.vocabulary.id(name) for name in tokens]
    known = [
        name not in (START, END) and (word != UNKNOWN_ID or (name == UNKNOWN and not lm.is_closed))
        for name, word in zip(tokens, words[1:].tolist(), strict=True)
    ]
    missing = [name for name, has in zip(tokens, known, strict=True) if not has]
    if missing:
        shown = ", ".join(map(repr, missing[:10])) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise LanguageModelError(
            f"the language model has no token {shown}{did_you_mean(missing[0], lm.vocabulary.names[3:])}; "
            "it must be one over the network's tokens, with all of them in its vocabulary"
        )
    return words


def _no_model() -> StateTable:
    """A table that is never read."""
    nothing = np.zeros(1, np.int32)
    return StateTable(nothing, nothing, nothing, nothing, np.zeros(1), np.zeros(1))
