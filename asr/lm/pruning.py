"""Smaller models: without the n-grams whose loss changes the distribution least."""

import logging
import math

import numpy as np

from ..errors import LanguageModelError
from .model import NgramModel, lower_log_probs, masses_left, with_back_offs
from .vocabulary import START_ID

_log = logging.getLogger(__name__)


def prune(model: NgramModel, threshold: float) -> NgramModel:
    """The model without the n-grams that hardly matter, by relative entropy.

    An n-gram of two words or more goes if backing off instead changes the perplexity of the model's own distribution by
    less than the threshold, relatively, and no longer n-gram that stays begins with it. Back-off weights are then
    computed anew.

    Args:
        threshold: 0 or more, e.g. 1e-8 for large models, 1e-6 for a third of the size; 0 removes what changes nothing.

    Raises:
        LanguageModelError: for a negative one.

    Same as SRILM's ngram -prune. After Kneser-Ney smoothing, whose short n-grams are made for backing off and not for
    histories, pruned models suffer more than after Witten-Bell.   Ref: Stolcke, 1998.
    """
    if not threshold >= 0.0:
        raise LanguageModelError(f"threshold={threshold}; need 0 or more")
    trie = model.trie
    kept = np.ones(trie.n_nodes, bool)
    history_log_probs = _joint_log_probs(model)
    for order in range(trie.order, 1, -1):
        here = trie.nodes(order)
        matters = _divergences(model, order, history_log_probs) >= math.log1p(threshold)
        is_needed = np.zeros(trie.n_nodes, bool)
        is_needed[trie.parent[kept.nonzero()[0]]] = True
        kept[here] = matters | is_needed[here]
        _log.info("order %d: %d of %d n-grams stay", order, int(kept[here].sum()), here.stop - here.start)
    smaller = NgramModel(model.vocabulary, trie.subset(kept), model.log_probs[kept], model.back_offs[kept])
    return with_back_offs(smaller)


def _joint_log_probs(model: NgramModel) -> np.ndarray:
    """The log probability of all words of each n-gram, one after the other; `<s>` is certain."""
    trie = model.trie
    result = np.zeros(trie.n_nodes)
    for order in range(1, trie.order + 1):
        here = trie.nodes(order)
        result[here] = result[trie.parent[here]] + model.log_probs[here]
        if order == 1:
            result[1 + START_ID] = 0.0
    return result


def _divergences(model: NgramModel, order: int, history_log_probs: np.ndarray) -> np.ndarray:
    """The relative entropy between the model and the one without each of the n-grams of an order.

    Only the history's own distribution changes: the n-gram's probability becomes that of backing off, with a back-off
    weight that takes its mass in.
    """
    trie = model.trie
    here = trie.nodes(order)
    nodes = np.arange(here.start, here.stop)
    history = trie.parent[here]
    place = history - trie.nodes(order - 1).start
    left, left_below = (mass[place] for mass in masses_left(model, order))
    log_prob, log_lower = model.log_probs[here], lower_log_probs(model, nodes)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_weight = np.log(left + np.exp(log_prob)) - np.log(left_below + np.exp(log_lower))
        # What is left to back off keeps its shape, and only its weight changes.
        rest = np.where(left > 0.0, left * (log_weight - model.back_offs[history]), 0.0)
        lost = np.exp(log_prob) * (log_lower + log_weight - log_prob)
        divergence = -np.exp(history_log_probs[history]) * (lost + rest)
    # What backing off would make impossible is never given up; what is impossible already is no loss.
    divergence[np.isnan(divergence)] = np.inf
    divergence[np.isneginf(log_prob) | np.isneginf(history_log_probs[history])] = 0.0
    return divergence
