"""Compiled steps through a language model, parts of other kernels. The arrays are those of `states.StateTable`."""

from ..jit import subkernel


@subkernel
def child(first_child, word, parent, wanted):
    """The node of an n-gram, given as the node of all its words but the last and that word; -1 where there is none."""
    if parent < 0:
        return -1
    low = first_child[parent]
    end = high = first_child[parent + 1]
    while low < high:
        middle = (low + high) // 2
        if word[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < end and word[low] == wanted else -1


@subkernel
def follow(state, word, first_child, last_word, suffix, log_probs, back_offs):
    """The log probability of a word after a history, and the longest n-gram that both end in; -inf if impossible."""
    score = 0.0
    while state != 0:
        found = child(first_child, last_word, state, word)
        if found >= 0:
            return score + log_probs[found], found
        score += back_offs[state]
        state = suffix[state]
    return score + log_probs[1 + word], 1 + word  # every word is a child of the empty n-gram, in order
