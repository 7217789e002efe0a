"""The recursions of CTC over a transcript's states: blank, first unit, blank, second unit, ..., blank.

State s is the unit s // 2 if s is odd, else a blank. A path stays in a state, goes to the next, or skips a blank
between two units that differ. All in float64: products of hundreds of probabilities.
"""

import numpy as np

from ..jit import kernel, subkernel


@subkernel
def column(units, s):
    """The column that state s emits."""
    return units[s // 2] if s % 2 else 0


@subkernel
def skips(units, s):
    """Whether state s may follow state s - 2."""
    return s % 2 == 1 and s >= 3 and units[s // 2] != units[s // 2 - 1]


@subkernel
def log_add(a, b):
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    if b == -np.inf:
        return a
    return a + np.log1p(np.exp(b - a))


@kernel("float64(Array(float32, 2, 'C', readonly=True), Array(int32, 1, 'C', readonly=True), float64[:, ::1])")
def occupancies(log_probs, units, posteriors):
    """The log probability of the units, and how probable each column is at each frame given the units.

    Args:
        log_probs: float32 (n_frames, n_columns).
        units: int32 (n_units,).
        posteriors: written, float64 of that shape; zeros where the units are impossible.
    """
    n_frames, n_states = log_probs.shape[0], 2 * len(units) + 1
    posteriors[:] = 0.0
    if n_frames == 0:
        return 0.0 if len(units) == 0 else -np.inf
    alpha = np.full((n_frames, n_states), -np.inf)
    # A path begins with a blank or with the first unit.
    for s in range(min(2, n_states)):
        alpha[0, s] = log_probs[0, column(units, s)]
    for t in range(1, n_frames):
        # States that are too late to have been reached, or to reach the end, are left out.
        first, last = max(0, n_states - 2 * (n_frames - t)), min(n_states, 2 * t + 2)
        for s in range(first, last):
            total = alpha[t - 1, s]
            if s >= 1:
                total = log_add(total, alpha[t - 1, s - 1])
            if skips(units, s):
                total = log_add(total, alpha[t - 1, s - 2])
            alpha[t, s] = total + log_probs[t, column(units, s)]
    # It ends in the last unit or in the blank behind it.
    log_prob = alpha[n_frames - 1, n_states - 1]
    if n_states > 1:
        log_prob = log_add(log_prob, alpha[n_frames - 1, n_states - 2])
    if log_prob == -np.inf:
        return log_prob
    beta = np.full(n_states, -np.inf)  # of what comes after frame t
    beta[max(0, n_states - 2) :] = 0.0
    after = np.empty(n_states)
    for t in range(n_frames - 1, -1, -1):
        for s in range(n_states):
            # Several states may emit the same column: all blanks, and a unit that comes twice.
            posteriors[t, column(units, s)] += np.exp(alpha[t, s] + beta[s] - log_prob)
        for s in range(n_states):
            after[s] = beta[s] + log_probs[t, column(units, s)]
        # beta of frame t - 1: what may follow its states, with the probability of frame t.
        for s in range(n_states):
            total = after[s]
            if s + 1 < n_states:
                total = log_add(total, after[s + 1])
            if s + 2 < n_states and skips(units, s + 2):
                total = log_add(total, after[s + 2])
            beta[s] = total
    return log_prob


@kernel("float64(Array(float32, 2, 'C', readonly=True), Array(int32, 1, 'C', readonly=True), int32[::1])")
def best_states(log_probs, units, states):
    """The most probable path of the units: its log probability, and the state of each frame in `states`.

    Args:
        log_probs: float32 (n_frames, n_columns), one frame at least.
        units: int32 (n_units,).
        states: written, int32 (n_frames,), where there is a path.
    """
    n_frames, n_states = log_probs.shape[0], 2 * len(units) + 1
    score = np.full(n_states, -np.inf)
    before = np.empty(n_states)
    back = np.zeros((n_frames, n_states), np.int8)
    for s in range(min(2, n_states)):
        score[s] = log_probs[0, column(units, s)]
    for t in range(1, n_frames):
        before[:] = score
        for s in range(n_states):
            best, step = before[s], 0
            if s >= 1 and before[s - 1] > best:
                best, step = before[s - 1], 1
            if skips(units, s) and before[s - 2] > best:
                best, step = before[s - 2], 2
            score[s] = best + log_probs[t, column(units, s)]
            back[t, s] = step
    s = n_states - 1
    if n_states > 1 and score[s - 1] > score[s]:
        s -= 1
    log_prob = score[s]
    if log_prob > -np.inf:
        for t in range(n_frames - 1, -1, -1):
            states[t] = s
            s -= back[t, s]
    return log_prob
