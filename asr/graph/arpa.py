"""A back-off n-gram model as a grammar."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GraphError
from ..lm.vocabulary import END_ID, START_ID, UNKNOWN
from .const_fst import Graph
from .trimming import trimmed

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon
    from ..lm.model import NgramModel

_log = logging.getLogger(__name__)


def arpa_grammar(lm: "NgramModel", lexicon: "Lexicon") -> Graph:
    """The language model as a grammar: a state for each history, and back-off arcs that read #0.

    A path that backs off only where the model lacks the n-gram costs what the model says of its words and the end of
    the sentence. As the back-off arcs are open to all, a cheaper path may exist where a shorter history predicts the
    words better; what the search finds is the cheapest. Sentences start in the state of `<s>`; `</s>` is the cost of a
    final state.

    Args:
        lm: words, by their names in the lexicon; `<unk>` is the lexicon's `unk`.
        lexicon: words of the model without a pronunciation are dropped with their n-grams, and a warning tells how
            many; their probability is not given to others. Words that the model lacks cannot be recognised.

    Raises:
        GraphError: where the two have no word in common, or no sentence can end.

    Same as Kaldi's arpa2fst --disambig-symbol=#0 --read-symbol-table=words.txt.
    """
    labels, trie = _labels(lm, lexicon), lm.trie
    kept = _usable(lm, labels)
    _report(lm, lexicon, labels, kept)
    possible, is_state = _possible(lm, kept)
    is_end = trie.word[possible] == END_ID
    ends, arcs = possible[is_end], possible[~is_end]
    if not len(ends):
        raise GraphError("language model: no sentence can end, as no n-gram ends in </s>")
    state, extra = _states_reached(lm, is_state)
    final = np.full(int(is_state.sum()), np.inf)
    final[state[trie.parent[ends]]] = -lm.log_probs[ends]
    # Every history but the empty one may back off, to the one without its first word.
    backing = np.flatnonzero(is_state & (lm.back_offs > -np.inf))[1:]
    word, back = labels[trie.word[arcs]], np.full(len(backing), lexicon.words["#0"])
    target = np.concatenate((arcs, trie.suffix[backing]))
    # Costs are negated log probabilities; `extra` is what leading on from skipped histories costs.
    weight = extra[target] - np.concatenate((lm.log_probs[arcs], lm.back_offs[backing]))
    graph = Graph.from_arrays(
        int(state[1 + START_ID]),
        state[np.concatenate((trie.parent[arcs], backing))],
        np.concatenate((word, back)),
        np.concatenate((word, 0 * back)),
        weight,
        state[target],
        final,
    )
    return trimmed(graph)


def words_after(lm: "NgramModel", labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes of what `arpa_grammar` makes: arcs with words of each state; of each word, its arcs, and where they lead.

    Args:
        labels: by word of the model, 0 where it has no pronunciation.

    Returns:
        int (n_states,): how many words may follow; and int (n_words,) twice: on how many arcs a word is, and to how
        many states these lead.
    """
    trie = lm.trie
    possible, is_state = _possible(lm, _usable(lm, labels))
    arcs = possible[trie.word[possible] != END_ID]
    after = np.bincount((np.cumsum(is_state) - 1)[trie.parent[arcs]], minlength=int(is_state.sum()))
    histories = np.flatnonzero(is_state)[1:]
    ends = np.bincount(trie.word[histories], minlength=trie.n_words)
    ends += np.bincount(trie.word[1 + np.flatnonzero(~is_state[1 : 1 + trie.n_words])], minlength=trie.n_words)
    return after, np.bincount(trie.word[arcs], minlength=trie.n_words), np.where(labels > 0, ends, 0)


def _possible(lm: "NgramModel", kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams that are arcs or ends, and bool (n_nodes,): which histories are states.

    A history that no n-gram begins with would only back off: the arcs to it lead on, at the cost of doing so.
    """
    possible = np.flatnonzero(kept & (lm.log_probs > -np.inf))
    is_state = np.zeros(lm.trie.n_nodes, bool)
    is_state[lm.trie.parent[possible]] = is_state[[0, 1 + START_ID]] = True
    return possible, is_state


def _usable(lm: "NgramModel", labels: np.ndarray) -> np.ndarray:
    """bool (n_nodes,): the n-grams of words with a label, which may begin with `<s>` and end in `</s>`."""
    trie, kept = lm.trie, np.zeros(lm.trie.n_nodes, bool)
    kept[0] = True
    for order in range(1, trie.order + 1):
        here = trie.nodes(order)
        word, parent = trie.word[here], trie.parent[here]
        allowed = (labels[word] > 0) | (word == END_ID) | ((word == START_ID) & (order == 1))
        follows = (order == 1) | (trie.word[parent] != END_ID)
        kept[here] = kept[parent] & allowed & follows
    return kept


def _labels(lm: "NgramModel", lexicon: "Lexicon") -> np.ndarray:
    """For each word of a language model its id in the lexicon, or 0. Raises GraphError if all are."""
    names = [lexicon.unk if name == UNKNOWN else name for name in lm.vocabulary.names]
    labels = np.array([lexicon.words[name] if name in lexicon else 0 for name in names])
    if not labels.any():
        shown = ", ".join(map(repr, lm.vocabulary.names[3:6]))
        raise GraphError(
            f"language model and lexicon have no word in common; the model has {len(names) - 3} words such as {shown}, "
            f"the lexicon {lexicon.n_words} such as {lexicon.entries[0].word!r}"
        )
    return labels


def _report(lm: "NgramModel", lexicon: "Lexicon", labels: np.ndarray, kept: np.ndarray) -> None:
    """Log what the grammar lacks of the language model, and what the model lacks of the lexicon."""
    words = [name for name, label in zip(lm.vocabulary.names[3:], labels[3:].tolist(), strict=True) if not label]
    if words:
        _log.warning(
            "%d of %d words of the language model have no pronunciation and were dropped, with %d of %d n-grams: %s",
            *(len(words), len(labels) - 3, int((~kept).sum()), len(kept) - 1),
            ", ".join(words[:10]) + (", ..." if len(words) > 10 else ""),
        )
    n_silent = lexicon.n_words - len(set(labels[labels > 0].tolist()))
    if n_silent:
        _log.info("%d of %d words of the lexicon are not in the language model", n_silent, lexicon.n_words)


def _states_reached(lm: "NgramModel", is_state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each n-gram leads: the state of its longest ending that has one, and the cost of backing off to it."""
    trie = lm.trie
    number = np.cumsum(is_state) - 1
    node, extra = np.arange(trie.n_nodes), np.zeros(trie.n_nodes)
    away = np.flatnonzero(~is_state)
    while len(away):
        extra[away] -= lm.back_offs[node[away]]
        node[away] = trie.suffix[node[away]]
        away = away[~is_state[node[away]]]
    return number[node], extra
