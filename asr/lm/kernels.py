"""The compiled step through a language model, a part of other kernels. The arrays are those of `states.StateTable`."""

from ..jit import subkernel


@subkernel
def follow(state, word, first_child, last_word, suffix, log_probs, back_offs):
    """The log probability of a word after a history, and the longest n-gram that both end in; -inf if impossible."""
    score = 0.0
    while state != 0:
        low = first_child[state]
        end = high = first_child[state + 1]
        while low < high:
            middle = (low + high) // 2
            if last_word[middle] < word:
                low = middle + 1
            else:
                high = middle
        if low < end and last_word[low] == word:
            return score + log_probs[low], low
        score += back_offs[state]
        state = suffix[state]
    return score + log_probs[1 + word], 1 + word  # every word is a child of the empty n-gram, in order
